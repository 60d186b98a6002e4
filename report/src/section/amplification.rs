//! Draws how an adversary's distance from its image grows through the layers (the paper's figure 3b).

use super::{Cell, Figure, Section, Table};
use crate::Reports;
use crate::chart::Axis;
use crate::chart::curves::{Point, Series};
use crate::document::{Amplification, Amplified, AmplifiedNetwork};
use crate::text::spread;
use dq_sim::study::amplify::Distance;
use std::collections::BTreeSet;

/// Holds what one report says of one network.
#[derive(Clone, Copy)]
pub(super) struct Of<'a> {
    pub report: &'a Amplification,
    pub network: &'a AmplifiedNetwork,
}

impl<'a> Of<'a> {
    /// Lists all networks of all reports.
    pub fn all(reports: &'a Reports) -> Vec<Self> {
        let of =
            |report: &'a Amplification| report.networks.iter().map(move |network| Self { report, network });
        reports.amplifications().flat_map(of).collect()
    }

    /// Names the network and, where reports differ in it, the attack.
    pub fn name(&self, reports: &Reports) -> String {
        let name = reports.named(&self.network.model).name;
        let attacks: BTreeSet<&str> = reports.amplifications().map(|report| &*report.attack).collect();
        if attacks.len() > 1 { format!("{name}, {}", self.report.attack) } else { name }
    }

    /// Returns the place of a radius in the report's lists.
    pub fn position(&self, eps: u8) -> Option<usize> {
        self.report.eps.iter().position(|known| *known == eps)
    }

    /// Returns cells with the distance at each of `radii`.
    pub fn cells(&self, distances: &[Distance], radii: &BTreeSet<u8>) -> Vec<Cell> {
        let at = |eps: &u8| self.position(*eps).and_then(|n| distances.get(n));
        let cell = |found: &Distance| Cell { text: spread(found), value: found.mean };
        radii.iter().map(|eps| at(eps).map(cell).unwrap_or_default()).collect()
    }
}

/// Collects the radii of all reports.
pub(super) fn radii(all: &[Of]) -> BTreeSet<u8> {
    all.iter().flat_map(|of| of.report.eps.iter().copied()).collect()
}

/// Describes the attack, and the images that it starts from.
pub(super) fn adversaries(all: &[Of]) -> String {
    let attacks: BTreeSet<&str> = all.iter().map(|of| &*of.report.attack).collect();
    let attacks = attacks.into_iter().collect::<Vec<_>>().join(", ");
    let of_images = match all.iter().map(|of| of.report.all).collect::<BTreeSet<bool>>().len() {
        1 if all[0].report.all => "of all images",
        1 => "of the images that the network classifies right",
        _ => "of images",
    };
    format!("adversaries {of_images} by {attacks}")
}

pub(super) fn section(reports: &Reports) -> Option<Section> {
    let all = Of::all(reports);
    let radii = radii(&all);
    let figures = match all[..] {
        [] => return None,
        [only] => vec![of_one(reports, only)],
        _ => radii.iter().map(|&eps| at(reports, &all, eps)).collect(),
    };
    let mut head = vec!["network".to_owned(), "input of".into(), "images".into()];
    head.extend(radii.iter().map(|eps| format!("ε {eps}")));
    let caption = "Normalized distance, mean ± standard deviation over images".into();
    let mut table = Table { caption, head, rows: vec![] };
    for of in &all {
        for (place, node) in places(of.network) {
            let images = Cell::count(of.network.attacked as u64);
            let mut row = vec![Cell::text(of.name(reports)), Cell::text(place), images];
            row.extend(of.cells(&node.distance, &radii));
            table.row(row);
        }
    }
    let about = format!(
        "Mean of ‖v(x′) − v(x)‖ / ‖v(x)‖ over {}, at the input of each layer with weights and at the scores \
         (shaded: one standard deviation over images): where it grows from layer to layer, the network \
         amplifies errors.",
        adversaries(&all)
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
fn places(network: &AmplifiedNetwork) -> Vec<(String, &Amplified)> {
    let last = network.nodes.len().saturating_sub(1);
    let shown = |(i, node): &(usize, &Amplified)| !node.read_by.is_empty() || *i == last;
    let name = |node: &Amplified| node.read_by.first().cloned().unwrap_or_else(|| "scores".into());
    network.nodes.iter().enumerate().filter(shown).map(|(_, node)| (name(node), node)).collect()
}

fn of_one(reports: &Reports, of: Of) -> Figure {
    let radii = of.report.eps.iter().enumerate();
    let series = radii.map(|(n, eps)| series(of, n, format!("ε {eps}"), n)).collect();
    figure(format!("{}: each radius", of.name(reports)), &[of], series)
}

fn at(reports: &Reports, all: &[Of], eps: u8) -> Figure {
    let series = all
        .iter()
        .enumerate()
        .filter_map(|(n, of)| Some(series(*of, of.position(eps)?, of.name(reports), n)));
    figure(format!("ε {eps}, each network"), all, series.collect())
}

fn series(of: Of, n: usize, name: String, colour: usize) -> Series {
    let point = |(x, (place, node)): (usize, (String, &Amplified))| {
        let found = node.distance.get(n)?;
        let y = found.mean?;
        let interval = found.deviation.map(|deviation| [(y - deviation).max(0.0), y + deviation]);
        let title = format!("{name}, input of {place}: {}", spread(found));
        Some(Point { x: x as f64, y, interval, title })
    };
    let points = places(of.network).into_iter().enumerate().filter_map(point).collect();
    Series { points, name, colour, dashed: false }
}

fn figure(caption: String, all: &[Of], series: Vec<Series>) -> Figure {
    let names = all.iter().map(|of| places(of.network)).max_by_key(Vec::len).unwrap_or_default();
    let names: Vec<String> = names.into_iter().map(|(name, _)| name).collect();
    let most = |point: &Point| point.interval.map_or(point.y, |[_, high]| high);
    let most = series.iter().flat_map(|s| s.points.iter().map(most)).fold(0.0, f64::max);
    let x = Axis::names("input of layer", &names);
    Figure::of_curves(caption, x, Axis::round("normalized distance", 0.0, most), series)
}
