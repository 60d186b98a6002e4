//! Draws what circuits withstand when bits flip.

use super::{Cell, Figure, Section, Table, percent};
use crate::Reports;
use crate::chart::Axis;
use crate::chart::curves::{Point, Series};
use crate::document::{Faults, FlipRate, Withstood};

pub(super) fn section(reports: &Reports) -> Option<Section> {
    let first: &Faults = reports.faults().next()?;
    let all: Vec<&Withstood> = reports.faults().flat_map(|report| &report.networks).collect();
    let figures = [random(reports, &all), searched(reports, &all)].into_iter().flatten().collect();
    let tables = vec![searches(reports, &all), places(reports, &all)];
    let about = format!(
        "Accuracy on {} images. Random flips: every bit of the weights' memory flips with some probability, \
         {} draws each. Searched flips: the progressive bit-flip search names those that do most harm.",
        first.data.images, first.trials
    );
    let tables = tables.into_iter().filter(|table: &Table| !table.rows.is_empty()).collect();
    Some(Section {
        id: "faults",
        title: "Faults of the circuit",
        about,
        figures,
        tables,
        ..Section::default()
    })
}

/// Returns the mean, the least and the most of `values`, in percent.
fn spread(values: &[f64]) -> [f64; 3] {
    let mean = values.iter().sum::<f64>() / values.len().max(1) as f64;
    let (least, most) = values.iter().fold((1.0, 0.0), |(a, b), &v| (f64::min(a, v), f64::max(b, v)));
    [100.0 * mean, 100.0 * least, 100.0 * most]
}

fn random(reports: &Reports, all: &[&Withstood]) -> Option<Figure> {
    let series = all.iter().filter(|network| !network.flips.is_empty()).map(|network| {
        let named = reports.named(&network.model);
        let point = |row: &FlipRate| {
            let [mean, least, most] = spread(&row.accuracy);
            let title = format!("{}, {:e}: {mean:.2} % ({least:.2}–{most:.2})", named.name, row.rate);
            Point { x: row.rate.log10(), y: mean, interval: Some([least, most]), title }
        };
        let mut points: Vec<Point> = network.flips.iter().filter(|row| row.rate > 0.0).map(point).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Series { points, name: named.name.clone(), colour: named.index, dashed: false }
    });
    let series: Vec<Series> = series.collect();
    let places = series.iter().flat_map(|series| series.points.iter().map(|point| point.x));
    let x = Axis::powers("probability that a bit of the weights flips", places);
    figure("Random flips: mean of the draws, least and most shaded", x, series)
}

fn searched(reports: &Reports, all: &[&Withstood]) -> Option<Figure> {
    let series = all.iter().filter(|network| !network.search.is_empty()).map(|network| {
        let named = reports.named(&network.model);
        let begin = [(0, &network.clean)].into_iter();
        let at = begin.chain(network.search.iter().enumerate().map(|(n, flip)| (n + 1, &flip.accuracy)));
        let points = at.map(|(flips, tally)| Point {
            x: flips as f64,
            y: 100.0 * tally.accuracy,
            interval: Some(tally.interval.map(|bound| 100.0 * bound)),
            title: format!("{}, {flips} flips: {} %", named.name, percent(tally)),
        });
        Series { points: points.collect(), name: named.name.clone(), colour: named.index, dashed: false }
    });
    let series: Vec<Series> = series.collect();
    let most = series.iter().map(|series| series.points.len()).max().unwrap_or(1) - 1;
    figure("Searched flips", Axis::round("number of flips", 0.0, most as f64), series)
}

fn figure(caption: &str, x: Axis, series: Vec<Series>) -> Option<Figure> {
    if series.is_empty() {
        return None;
    }
    Some(Figure::of_curves(caption.into(), x, Axis::percent("accuracy, %"), series))
}

fn searches(reports: &Reports, all: &[&Withstood]) -> Table {
    let mut table =
        Table::new("Searched flips, in order", &["network", "flip", "weight", "bit", "accuracy, %"]);
    for network in all {
        let name = reports.named(&network.model).name;
        for (n, flip) in network.search.iter().enumerate() {
            table.row(vec![
                Cell::text(name.clone()),
                Cell::count(n as u64 + 1),
                Cell::text(format!("{}[{}]", flip.node, flip.weight)),
                Cell::count(u64::from(flip.bit)),
                Cell::tally(&flip.accuracy),
            ]);
        }
        let text = match network.flips_to_chance {
            Some(flips) => format!("{flips} flips until accuracy is that of chance"),
            None if network.search.is_empty() => continue,
            None => format!("{} flips do not bring it to chance", network.search.len()),
        };
        table.row(vec![
            Cell::text(name),
            Cell::default(),
            Cell::text(text),
            Cell::default(),
            Cell::default(),
        ]);
    }
    table
}

fn places(reports: &Reports, all: &[&Withstood]) -> Table {
    let head =
        ["network", "node", "bits", "labels that one upset changes, %", "accuracy with a stuck bit, %"];
    let mut table = Table::new("One register or channel of each node", &head);
    for network in all {
        let name = reports.named(&network.model).name;
        let stuck = |node: &str| network.stuck.iter().find(|row| row.node == node);
        let upset = |node: &str| network.upsets.iter().find(|row| row.node == node);
        let upsets = network.upsets.iter().map(|row| (row.node.as_str(), row.bits));
        let only_stuck = network.stuck.iter().map(|row| (row.node.as_str(), row.bits));
        for (node, bits) in upsets.chain(only_stuck.filter(|(node, _)| upset(node).is_none())) {
            let stuck = stuck(node).map_or_else(Cell::default, |row| {
                let [mean, least, most] = spread(&row.accuracy);
                Cell { text: format!("{mean:.2} ({least:.2}–{most:.2})"), value: Some(mean) }
            });
            table.row(vec![
                Cell::text(name.clone()),
                Cell::text(node),
                Cell::count(u64::from(bits)),
                upset(node).map_or_else(Cell::default, |row| Cell::tally(&row.changed)),
                stuck,
            ]);
        }
    }
    table
}
