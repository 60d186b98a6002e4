//! Shows where every figure comes from: files, hashes, settings, and the commands that make them again.

use super::commands::command;
use super::{Cell, Section, Table};
use crate::Reports;
use crate::document::Content;
use crate::reports::short;
use std::collections::BTreeSet;

pub(super) fn section(reports: &Reports) -> Option<Section> {
    let mut networks = Table::new("Networks", &["name", "kind", "content hash"]);
    for model in reports.networks() {
        let hash = if model.content_hash.is_empty() { "none" } else { &model.content_hash };
        networks.row(vec![Cell::text(&*model.name), Cell::text(&*model.kind), Cell::text(hash)]);
    }
    let mut files = Table::new("Files", &["file", "what", "images", "digest of the images", "seed"]);
    let mut lines = vec![];
    for document in reports.documents() {
        lines.push(command(&document.content));
        let (what, data, seed) = match &document.content {
            Content::Attacks(found) => ("attacks", Some(&found.data), Some(found.seed)),
            Content::Certificates(found) => ("certificates", Some(&found.data), Some(found.seed)),
            Content::Faults(found) => ("faults", Some(&found.data), Some(found.seed)),
            Content::Corruptions(found) => ("corruptions", Some(&found.data), Some(found.seed)),
            Content::Amplification(found) => ("error amplification", Some(&found.data), Some(found.seed)),
            Content::Landscapes(found) => ("loss around images", None, Some(found.seed)),
            Content::Circuit(_) => ("circuit", None, None),
            Content::Front(found) => ("front of plans", found.data.as_ref(), None),
            Content::Record(_) => ("board", None, None),
        };
        let name = document.path.file_name().unwrap_or_default().to_string_lossy();
        files.row(vec![
            Cell::text(name),
            Cell::text(what),
            data.map_or_else(Cell::default, |data| Cell::count(data.images as u64)),
            Cell::text(data.map(|data| short(&data.digest)).unwrap_or_default()),
            seed.map_or_else(Cell::default, Cell::count),
        ]);
    }
    let mut settings = Table::new("Settings of the attacks", &["attack", "ε", "settings"]);
    let mut seen = BTreeSet::new();
    for run in reports.attacks().flat_map(|report| &report.runs) {
        let text: Vec<String> = run.settings.iter().map(|(name, value)| format!("{name}: {value}")).collect();
        if seen.insert((run.title(), run.eps, text.join("; "))) {
            let eps = Cell::count(u64::from(run.eps));
            settings.row(vec![Cell::text(run.title()), eps, Cell::text(text.join("; "))]);
        }
    }
    let tables = [networks, files, settings].into_iter().filter(|table| !table.rows.is_empty()).collect();
    Some(Section {
        id: "sources",
        title: "Where the figures come from",
        about:
            "Every figure is that of a file below. Networks and images are named by the SHA-256 of what they \
                compute or hold, so that a figure can be made again and compared. Commands name a network's file \
                after the network, and a data set without its folder; FILE, FILES and FOLDER are of your choice, \
                and plan.json is what stands beside a circuit's report or in a board's record."
                .into(),
        tables,
        lines,
        ..Section::default()
    })
}
