//! Makes the page's sections: what a report says becomes figures with their numbers in a table.

mod amplification;
mod certificates;
mod commands;
mod corruption;
mod doubts;
mod faults;
mod first_block;
mod foot;
mod front;
mod hardware;
mod headline;
mod landscape;
mod pictures;
mod robustness;

use crate::Reports;
use crate::chart::Axis;
use crate::chart::curves::{Curves, Series};
use crate::gallery::Gallery;
use crate::text::{percent, thousands};
use dq_sim::report::Tally;

/// Holds one section of the page.
#[derive(Debug, Default)]
pub struct Section {
    /// Its anchor.
    pub id: &'static str,
    /// Its heading.
    pub title: &'static str,
    /// What its figures mean, in a sentence or two.
    pub about: String,
    /// Its reasons to distrust the page's figures.
    pub alerts: Vec<Alert>,
    /// Its figures.
    pub figures: Vec<Figure>,
    /// Its tables.
    pub tables: Vec<Table>,
    /// Its pictures.
    pub pictures: Vec<Picture>,
    /// Its lines of text that is copied, such as commands.
    pub lines: Vec<String>,
}

/// Holds a reason to distrust figures.
#[derive(Debug)]
pub struct Alert {
    /// Which figures it concerns, and the rule that found it.
    pub title: String,
    /// What contradicts what.
    pub text: String,
    /// What it means, and what to do.
    pub advice: String,
}

/// Holds drawings with their legend.
#[derive(Debug, Default)]
pub struct Figure {
    /// Its caption.
    pub caption: String,
    /// The drawings, as SVG: one, or several small ones beside each other.
    pub drawings: Vec<String>,
    /// Colour and name of each series; empty where marks name themselves.
    pub legend: Vec<(usize, String)>,
}

/// Holds a table that can be sorted by its columns.
#[derive(Debug, Default)]
pub struct Table {
    /// What it holds.
    pub caption: String,
    /// Its columns' names.
    pub head: Vec<String>,
    /// Its rows.
    pub rows: Vec<Vec<Cell>>,
}

/// Holds one cell of a table.
#[derive(Clone, Debug, Default)]
pub struct Cell {
    /// What it shows.
    pub text: String,
    /// The number by which its column is sorted.
    pub value: Option<f64>,
}

/// Holds one image of the gallery with what the networks made of it.
#[derive(Debug)]
pub struct Picture {
    /// The images with their captions: original, adversary, difference. Each is a PNG in base64.
    pub images: Vec<(String, String)>,
    /// What was done to it.
    pub title: String,
    /// What each network says before and after.
    pub verdicts: Table,
}

/// Returns the page's sections, in order; those that have nothing to show are left out.
pub fn all(reports: &Reports, gallery: &Gallery) -> Vec<Section> {
    let sections = [
        doubts::section(reports),
        headline::section(reports),
        robustness::section(reports),
        certificates::section(reports),
        pictures::section(gallery),
        first_block::section(reports),
        amplification::section(reports),
        landscape::section(reports),
        corruption::section(reports),
        faults::section(reports),
        front::section(reports),
        hardware::section(reports),
        foot::section(reports),
    ];
    sections.into_iter().flatten().collect()
}

impl Figure {
    /// Returns a chart of `series`, whose names are the legend.
    fn of_curves(caption: String, x: Axis, y: Axis, series: Vec<Series>) -> Self {
        let legend = series.iter().map(|series| (series.colour, series.name.clone())).collect();
        let curves = Curves { title: caption.clone(), x, y, series };
        Self { caption, drawings: vec![curves.svg()], legend }
    }
}

impl Table {
    fn new(caption: &str, head: &[&str]) -> Self {
        Self { caption: caption.into(), head: head.iter().map(|&name| name.into()).collect(), rows: vec![] }
    }

    fn row(&mut self, cells: Vec<Cell>) {
        self.rows.push(cells);
    }
}

impl Cell {
    fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), value: None }
    }

    fn count(value: u64) -> Self {
        Self { text: thousands(value), value: Some(value as f64) }
    }

    fn number(value: f64, digits: usize) -> Self {
        Self { text: format!("{value:.digits$}"), value: Some(value) }
    }

    fn tally(tally: &Tally) -> Self {
        Self { text: percent(tally), value: Some(tally.accuracy) }
    }
}

/// Returns each value once, in the order of the first.
pub(crate) fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut all = vec![];
    for value in values {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}
