//! Shows the headline: clean and worst-case accuracy of every network, radius by radius.

use super::{Cell, Section, Table};
use crate::Reports;
use dq_sim::report::Report;
use std::collections::BTreeSet;

pub(super) fn section(reports: &Reports) -> Option<Section> {
    let mut attacked: Vec<&Report> = reports.attacks().collect();
    let first = *attacked.first()?;
    // The float model stands beside its circuit: by name, then by kind.
    let position = |report: &Report| attacked_name(reports, report);
    attacked.sort_by_key(|report| position(report));
    let radii: BTreeSet<u8> = attacked.iter().flat_map(|r| r.worst.iter().map(|worst| worst.eps)).collect();
    let mut head =
        vec!["network".to_owned(), "what was attacked".into(), "attacks".into(), "clean, %".into()];
    head.extend(radii.iter().map(|eps| format!("ε {eps}, %")));
    let caption = format!("Accuracy on {} test images of {}", first.data.images, first.data.name);
    let mut table = Table { caption, head, rows: vec![] };
    for report in &attacked {
        let attacks: BTreeSet<String> = report.runs.iter().map(dq_sim::report::Run::title).collect();
        let kind = match report.model.kind.as_str() {
            "integer" => "the integer circuit".to_owned(),
            kind => format!("the {kind} model"),
        };
        let mut row = vec![
            Cell::text(reports.attacked(report).name),
            Cell::text(kind),
            Cell::text(attacks.into_iter().collect::<Vec<_>>().join(", ")),
            Cell::tally(&report.clean),
        ];
        let worst = |eps: &u8| report.worst.iter().find(|worst| worst.eps == *eps);
        row.extend(radii.iter().map(|eps| worst(eps).map_or_else(Cell::default, |w| Cell::tally(&w.tally))));
        table.row(row);
    }
    let norm = if first.threat_model.contains("Euclidean") { "Euclidean distance" } else { "grey levels" };
    let guarded = attacked.iter().find(|report| report.detector.is_some());
    let about = format!(
        "An image counts as robust at ε where no attack of the suite found an adversary within ε {norm}, so \
         true robust accuracy is at most this. In brackets: Wilson 95 % intervals. {}",
        guarded.map_or(&first.threat_model, |report| &report.threat_model)
    );
    Some(Section {
        id: "headline",
        title: "Accuracy under attack",
        about,
        tables: vec![table],
        ..Section::default()
    })
}

fn attacked_name(reports: &Reports, report: &Report) -> (String, usize) {
    let base = report.model.name.clone();
    (base, usize::from(report.model.kind == "integer") + 2 * reports.named(&report.model).index)
}
