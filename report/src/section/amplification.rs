//! Draws how an adversary's distance from its image grows through the layers (the paper's figure 3b).

use super::{Cell, Figure, Section, Table};
use crate::Reports;
use crate::chart::Axis;
use crate::chart::curves::{Point, Series};
use crate::document::{Amplification, Amplified};
use std::collections::BTreeSet;

pub(super) fn section(reports: &Reports) -> Option<Section> {
    let found: Vec<&Amplification> = reports.amplifications().collect();
    let first = found.first()?;
    let radii: BTreeSet<u8> = found.iter().flat_map(|found| found.eps.iter().copied()).collect();
    let figures = match found[..] {
        [only] => vec![of_one(reports, only)],
        _ => radii.iter().map(|&eps| at(reports, &found, eps)).collect(),
    };
    let mut head = vec!["network".to_owned(), "input of".into()];
    head.extend(radii.iter().map(|eps| format!("ε {eps}")));
    let mut table = Table { caption: "Normalized distance".into(), head, rows: vec![] };
    for found in &found {
        for (place, node) in places(found) {
            let mut row = vec![Cell::text(reports.named(&found.model).name), Cell::text(place)];
            row.extend(radii.iter().map(|eps| match position(found, *eps) {
                Some(n) => Cell::number(node.distance[n], 4),
                None => Cell::default(),
            }));
            table.row(row);
        }
    }
    let about = format!(
        "Mean of ‖v(x′) − v(x)‖ / ‖v(x)‖ over {} adversaries by {}, at the input of each layer with weights and \
         at the scores: where it grows from layer to layer, the network amplifies errors.",
        first.attacked, first.attack
    );
    let tables = vec![table];
    Some(Section {
        id: "amplification",
        title: "Error amplification",
        about,
        figures,
        tables,
        ..Section::default()
    })
}

/// Returns the places that are drawn, with their names: inputs of layers with weights, and the scores.
fn places(found: &Amplification) -> Vec<(String, &Amplified)> {
    let last = found.nodes.len().saturating_sub(1);
    let shown = |(i, node): &(usize, &Amplified)| !node.read_by.is_empty() || *i == last;
    let name = |node: &Amplified| node.read_by.first().cloned().unwrap_or_else(|| "scores".into());
    found.nodes.iter().enumerate().filter(shown).map(|(_, node)| (name(node), node)).collect()
}

fn position(found: &Amplification, eps: u8) -> Option<usize> {
    found.eps.iter().position(|known| *known == eps)
}

fn of_one(reports: &Reports, found: &Amplification) -> Figure {
    let series =
        found.eps.iter().enumerate().map(|(n, eps)| series(found, n, format!("ε {eps}"), n)).collect();
    figure(format!("{}: each radius", reports.named(&found.model).name), &[found], series)
}

fn at(reports: &Reports, found: &[&Amplification], eps: u8) -> Figure {
    let series = found.iter().filter_map(|found| {
        let named = reports.named(&found.model);
        Some(series(found, position(found, eps)?, named.name, named.index))
    });
    figure(format!("ε {eps}, each network"), found, series.collect())
}

fn series(found: &Amplification, n: usize, name: String, colour: usize) -> Series {
    let point = |(x, (place, node)): (usize, (String, &Amplified))| Point {
        x: x as f64,
        y: node.distance[n],
        interval: None,
        title: format!("{name}, input of {place}: {:.4}", node.distance[n]),
    };
    let points = places(found).into_iter().enumerate().map(point).collect();
    Series { points, name, colour, dashed: false }
}

fn figure(caption: String, found: &[&Amplification], series: Vec<Series>) -> Figure {
    let names = found.iter().map(|found| places(found)).max_by_key(Vec::len).unwrap_or_default();
    let names: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
    let most = series.iter().flat_map(|s| s.points.iter().map(|p| p.y)).fold(0.0, f64::max);
    let x = Axis::names("input of layer", &names);
    Figure::of_curves(caption, x, Axis::round("normalized distance", 0.0, most), series)
}
