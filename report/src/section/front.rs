//! Draws the front of plans: speed against area, and what attacks leave and what is proved against area.

use super::{Cell, Figure, Section, Table, thousands};
use crate::Reports;
use crate::chart::Axis;
use crate::chart::curves::{Curves, Point as Mark, Series};
use crate::document::front::{Explored, Front, Point};
use dq_sim::report::Tally;

/// Says one value of a plan: its number and its words.
type Value<'a> = &'a dyn Fn(&Explored, &Point) -> (f64, String);

pub(super) fn section(reports: &Reports) -> Option<Section> {
    let mut section = Section {
        id: "front",
        title: "The front of plans",
        about:
            "Each point is a plan that no other one beats: none is at least as good in LUTs, block RAMs, DSP \
                blocks, frames per second and latency (and in accuracy, where it was attacked or certified) and \
                better in one of them. Resources are estimated, cycles are exact. `dq plan` makes the plan \
                of a point from what was asked for."
                .into(),
        ..Section::default()
    };
    for front in reports.fronts() {
        section.figures.push(speed(reports, front));
        section.figures.extend(accuracy(reports, front));
        section.tables.push(points(reports, front));
        section.tables.extend(refused(reports, front));
    }
    (!section.tables.is_empty()).then_some(section)
}

fn device(front: &Front) -> String {
    let device = front.device.as_deref().unwrap_or("any device");
    format!("{device} at {} MHz", front.clock_mhz)
}

/// Draws frames per second against LUTs.
fn speed(reports: &Reports, front: &Front) -> Figure {
    let all = || front.networks.iter().flat_map(|network| &network.points);
    let y = Axis::logarithmic("frames/s", all().map(|point| point.frames_per_second as f64));
    let value = |_: &Explored, point: &Point| {
        let frames = point.frames_per_second;
        ((frames.max(1) as f64).log10(), format!("{} frames/s", thousands(frames)))
    };
    let caption = format!("Frames per second against LUTs, {}", device(front));
    Figure {
        drawings: vec![against_luts(reports, front, caption.clone(), y, &value)],
        caption,
        legend: legend(reports, front),
    }
}

/// Draws accuracy against LUTs: without attack, under attack and proved at each radius; nothing where neither
/// attacks nor certificates say anything.
fn accuracy(reports: &Reports, front: &Front) -> Option<Figure> {
    let names: Vec<String> = accuracies(front).into_iter().map(|(name, _)| name).collect();
    let drawing = |(at, name): (usize, &String)| {
        let label = match name.as_str() {
            "clean" => "clean accuracy, %".into(),
            name => format!("accuracy at {name}, %"),
        };
        let value = |network: &Explored, _: &Point| {
            let percent = network.accuracies("ε").get(at).map_or(0.0, |(_, tally)| 100.0 * tally.accuracy);
            (percent, format!("{label}: {percent:.2}"))
        };
        let title = format!("{label}, against LUTs");
        against_luts(reports, front, title, Axis::percent(&label), &value)
    };
    let drawings: Vec<String> = names.iter().enumerate().map(drawing).collect();
    let caption = format!("Accuracy against LUTs, {}", device(front));
    (!drawings.is_empty()).then(|| Figure { caption, drawings, legend: legend(reports, front) })
}

/// Returns the accuracies that are known of the networks, those of the first.
fn accuracies(front: &Front) -> Vec<(String, Tally)> {
    front.networks.first().map_or(vec![], |network| network.accuracies("ε"))
}

/// Draws a value of every plan against its LUTs, a series per network.
fn against_luts(reports: &Reports, front: &Front, title: String, y: Axis, value: Value) -> String {
    let all = || front.networks.iter().flat_map(|network| &network.points);
    let x = Axis::logarithmic("LUTs", all().map(|point| point.used.lut as f64));
    let series = front.networks.iter().map(|network| {
        let named = reports.named(&network.model);
        let mark = |point: &Point| {
            let (y, words) = value(network, point);
            let title = format!("{}, {} LUTs: {words}", named.name, thousands(point.used.lut));
            Mark { x: (point.used.lut.max(1) as f64).log10(), y, interval: None, title }
        };
        let mut points: Vec<Mark> = network.points.iter().map(mark).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Series { name: named.name.clone(), colour: named.index, dashed: false, points }
    });
    let series = series.collect();
    Curves { title, x, y, series }.svg()
}

fn legend(reports: &Reports, front: &Front) -> Vec<(usize, String)> {
    let named = front.networks.iter().map(|network| reports.named(&network.model));
    named.map(|named| (named.index, named.name)).collect()
}

fn points(reports: &Reports, front: &Front) -> Table {
    let head =
        ["network", "asked for", "frames/s", "cycles", "latency, µs", "LUT", "FF", "BRAM", "DSP", "SPRAM"];
    let caption = format!(
        "Plans on the front, {}: {} of {} that were made",
        device(front),
        front.networks.iter().map(|network| network.points.len()).sum::<usize>(),
        front.plans
    );
    let mut table = Table::new(&caption, &head);
    table.head.extend(accuracies(front).into_iter().map(|(name, _)| format!("{name}, %")));
    for network in &front.networks {
        for point in &network.points {
            let used = &point.used;
            let mut row = vec![
                Cell::text(reports.named(&network.model).name),
                Cell::text(point.asked.text()),
                Cell::count(point.frames_per_second),
                Cell::count(point.interval),
                Cell::number(point.microseconds(front.clock_mhz), 1),
            ];
            row.extend([used.lut, used.ff, used.bram, used.dsp, used.spram].map(Cell::count));
            row.extend(network.accuracies("ε").iter().map(|(_, tally)| Cell::tally(tally)));
            table.row(row);
        }
    }
    table
}

fn refused(reports: &Reports, front: &Front) -> Option<Table> {
    let mut table = Table::new("What there is no plan for", &["network", "asked for", "why not"]);
    for network in &front.networks {
        for refused in &network.refused {
            let name = Cell::text(reports.named(&network.model).name);
            table.row(vec![name, Cell::text(refused.asked.text()), Cell::text(refused.why.clone())]);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}
