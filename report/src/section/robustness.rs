//! Draws robust accuracy against the radius: all networks together, then each attack of each network.

use super::{Cell, Figure, Section, Table, distinct, percent};
use crate::Reports;
use crate::chart::Axis;
use crate::chart::curves::{Point, Series};
use crate::text::percent_of;
use dq_sim::report::{Outcome, Rate, Report, Run, Tally};

pub(super) fn section(reports: &Reports) -> Option<Section> {
    let attacked: Vec<&Report> = reports.attacks().collect();
    if attacked.iter().all(|report| report.runs.is_empty()) {
        return None;
    }
    let mut figures = vec![];
    if attacked.len() > 1 {
        figures.push(overlay(reports, &attacked));
    }
    figures.extend(attacked.iter().map(|report| each(reports, report)));
    let about =
        "Curves fall with the radius. The worst case counts an image as broken where any attack breaks it. Attacks \
            whose steps are too small for a radius amount to others there; the table names these."
            .into();
    let tables = [runs(reports, &attacked)].into_iter().chain(detectors(reports, &attacked)).collect();
    Some(Section {
        id: "robustness",
        title: "By radius and attack",
        about,
        figures,
        tables,
        ..Section::default()
    })
}

/// Draws the worst case of every network.
fn overlay(reports: &Reports, attacked: &[&Report]) -> Figure {
    let series = attacked.iter().map(|report| {
        let named = reports.attacked(report);
        let worst: Vec<(u8, &Tally)> = report.worst.iter().map(|worst| (worst.eps, &worst.tally)).collect();
        let dashed = report.model.kind != "integer";
        curve(named.name, named.index, dashed, &report.clean, worst)
    });
    figure("Worst case over all attacks, each network".into(), series.collect())
}

/// Draws every attack on one network.
fn each(reports: &Reports, report: &Report) -> Figure {
    let titles = distinct(report.runs.iter().map(Run::title));
    let curves = titles.iter().enumerate().map(|(n, title)| {
        let same = report.runs.iter().filter(|run| run.title() == *title);
        let tallies = same.map(|run| (run.eps, &run.tally)).collect();
        curve(title.clone(), n + 1, false, &report.clean, tallies)
    });
    let worst = report.worst.iter().map(|worst| (worst.eps, &worst.tally)).collect();
    let worst = curve("worst case".into(), 0, true, &report.clean, worst);
    let series: Vec<Series> = curves.chain([worst]).collect();
    figure(format!("{}: each attack", reports.attacked(report).name), series)
}

fn curve(name: String, colour: usize, dashed: bool, clean: &Tally, at: Vec<(u8, &Tally)>) -> Series {
    let mut at: Vec<(u8, &Tally)> = [(0, clean)].into_iter().chain(at).collect();
    at.sort_by_key(|(eps, _)| *eps);
    at.dedup_by_key(|(eps, _)| *eps);
    let point = |(eps, tally): (u8, &Tally)| Point {
        x: f64::from(eps),
        y: 100.0 * tally.accuracy,
        interval: Some(tally.interval.map(|bound| 100.0 * bound)),
        title: format!("{name}, ε {eps}: {} %", percent(tally)),
    };
    let points = at.into_iter().map(point).collect();
    Series { points, name, colour, dashed }
}

fn figure(caption: String, series: Vec<Series>) -> Figure {
    let radii = series.iter().flat_map(|series| series.points.iter().map(|point| point.x));
    let x = Axis::at("ε, grey levels", radii);
    Figure::of_curves(caption, x, Axis::percent("accuracy, %"), series)
}

/// Returns what each detector flags: of the images as they are, and of those whose label attacks changed.
fn detectors(reports: &Reports, attacked: &[&Report]) -> Option<Table> {
    let head = ["network", "images", "ε", "with another label", "flagged, %", "undetected"];
    let mut table = Table::new("What the detector flags", &head);
    for report in attacked {
        let Some(detector) = &report.detector else { continue };
        let name = || Cell::text(reports.attacked(report).name);
        let flagged = |rate: &Rate| Cell { text: percent_of(rate), value: Some(rate.rate) };
        let clean = [name(), Cell::text("as they are (false alarms)"), Cell::default(), Cell::default()];
        table.row([clean.into(), vec![flagged(&detector.false_alarms), Cell::default()]].concat());
        for (run, rate) in report.runs.iter().filter_map(|run| Some((run, run.detected.as_ref()?))) {
            let counts = [rate.total, rate.total - rate.count].map(|n| Cell::count(n as u64));
            let [changed, undetected] = counts;
            let title = Cell::text(run.title());
            let eps = Cell::count(u64::from(run.eps));
            table.row(vec![name(), title, eps, changed, flagged(rate), undetected]);
        }
    }
    (!table.rows.is_empty()).then_some(table)
}

/// Returns every run with its numbers.
fn runs(reports: &Reports, attacked: &[&Report]) -> Table {
    let head = ["network", "attack", "ε", "left, %", "broken", "median queries", "ties", "zero gradients"];
    let mut table = Table::new("Every attack", &head);
    for report in attacked {
        for run in &report.runs {
            let mut queries = run.queries.clone();
            queries.sort_unstable();
            let median =
                queries.get(queries.len() / 2).map_or_else(Cell::default, |q| Cell::count(u64::from(*q)));
            table.row(vec![
                Cell::text(reports.attacked(report).name),
                Cell::text(match run.same_as() {
                    Some(other) => format!("{}, here the same as {other}", run.title()),
                    None => run.title(),
                }),
                Cell::count(u64::from(run.eps)),
                Cell::tally(&run.tally),
                Cell::count(run.outcomes.count(Outcome::Broken) as u64),
                median,
                Cell::count(run.ties as u64),
                Cell::count(run.zero_gradients as u64),
            ]);
        }
    }
    table
}
