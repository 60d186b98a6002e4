//! Shows where every figure comes from: files, hashes, settings, and the commands that make them again.

use super::{Cell, Section, Table};
use crate::Reports;
use crate::document::{Amplification, Content};
use crate::reports::short;
use dq_sim::report::{Report, Start};
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
        let (what, data, seed) = match &document.content {
            Content::Attacks(found) => {
                lines.push(attack(found));
                ("attacks", Some(&found.data), Some(found.seed))
            }
            Content::Certificates(found) => {
                let eps: Vec<String> = found.radii.iter().map(|radius| radius.eps.to_string()).collect();
                lines.push(format!(
                    "dq certify {}.json --data {} --count {} --eps {} --boxes {} --attack {} --seed {} -o FILE",
                    found.model.name, found.data.name, found.data.images, eps.join(","), found.boxes,
                    found.attack, found.seed
                ));
                ("certificates", Some(&found.data), Some(found.seed))
            }
            Content::Faults(found) => ("faults", Some(&found.data), Some(found.seed)),
            Content::Corruptions(found) => ("corruptions", Some(&found.data), Some(found.seed)),
            Content::Amplification(found) => {
                lines.push(amplify(found));
                ("error amplification", Some(&found.data), Some(found.seed))
            }
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
                compute or hold, so that a figure can be made again and compared."
                .into(),
        tables,
        lines,
        ..Section::default()
    })
}

/// Returns the command that measures the distances again.
fn amplify(found: &Amplification) -> String {
    let join = |numbers: Vec<u8>| numbers.iter().map(u8::to_string).collect::<Vec<_>>().join(",");
    let models = found.networks.iter().map(|network| format!("{}.json", network.model.name));
    let block = found.networks.iter().find_map(|network| network.first_block.as_ref());
    let block = block.map(|block| {
        let bits = join(block.quantized.iter().map(|width| width.bits).collect());
        // Networks whose quantizers have other names were measured at their first ones.
        let nodes = found.networks.iter().filter_map(|network| network.first_block.as_ref());
        let is_one = nodes.map(|other| &other.node).all(|node| *node == block.node);
        let after = if is_one { format!(" --after {}", block.node) } else { String::new() };
        format!(" --bits {bits}{after}")
    });
    format!(
        "dq amplify {} --data {} --count {}{} --attack {} --eps {}{} --seed {} -o FILE",
        models.collect::<Vec<_>>().join(" "),
        found.data.name,
        found.data.images,
        if found.all { " --all" } else { "" },
        found.attack,
        join(found.eps.clone()),
        block.unwrap_or_default(),
        found.seed
    )
}

/// Returns the command that makes the report again.
fn attack(report: &Report) -> String {
    let mut attacks: Vec<&str> = vec![];
    for run in report.runs.iter().filter(|run| run.source.is_none()) {
        if !attacks.contains(&run.attack.as_str()) {
            attacks.push(&run.attack);
        }
    }
    let eps: BTreeSet<u8> = report.runs.iter().map(|run| run.eps).collect();
    let eps: Vec<String> = eps.iter().map(ToString::to_string).collect();
    let sources: BTreeSet<&String> = report.runs.iter().filter_map(|run| run.source.as_ref()).collect();
    let from: String = sources.iter().map(|source| format!(" --from {source}")).collect();
    let detector = report.detector.as_ref();
    let detector = detector.map(|detector| format!(" --detector {}", detector.squeezing)).unwrap_or_default();
    let start = if report.start == Start::Uniform { " --start uniform" } else { "" };
    format!(
        "dq attack {}.json --data {} --count {} --attack {} --eps {}{start}{from}{detector} --seed {} -o FILE",
        report.model.name,
        report.data.name,
        report.data.images,
        attacks.join(","),
        eps.join(","),
        report.seed
    )
}
