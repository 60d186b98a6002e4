//! Draws accuracy under natural corruptions.

use super::{Cell, Figure, Section, Table};
use crate::Reports;
use crate::chart::Axis;
use crate::chart::curves::{Point, Series};
use crate::document::{Corrupted, Corruptions};

pub(super) fn section(reports: &Reports) -> Option<Section> {
    let first = reports.corruptions().next()?;
    let all: Vec<(&Corruptions, &Corrupted)> =
        reports.corruptions().flat_map(|report| report.networks.iter().map(move |n| (report, n))).collect();
    let mut head = vec!["network".to_owned(), "corruption".into()];
    head.extend(first.severities.iter().map(|severity| format!("severity {severity}, %")));
    let mut table = Table { caption: "Accuracy under each corruption".into(), head, rows: vec![] };
    for (_, network) in &all {
        let name = reports.named(&network.model).name;
        for row in &network.kinds {
            let cells = row.accuracy.iter().map(|tally| Cell::number(100.0 * tally.accuracy, 2));
            table.row(
                [Cell::text(name.clone()), Cell::text(row.kind.clone())].into_iter().chain(cells).collect(),
            );
        }
    }
    let series: Vec<Series> = all.iter().map(|(report, network)| mean(reports, report, network)).collect();
    let caption = "Mean accuracy over the corruptions".to_owned();
    let x = Axis::at("severity", first.severities.iter().map(|severity| f64::from(*severity)));
    let figure = Figure::of_curves(caption, x, Axis::percent("accuracy, %"), series);
    let errors: Vec<String> = all
        .iter()
        .map(|(_, n)| format!("{} {:.2} %", reports.named(&n.model).name, 100.0 * n.mean_error))
        .collect();
    let folders = reports.corruptions().filter_map(|report| report.arrays.as_ref());
    let folders: String =
        folders.map(|folder| format!(" Corrupted images were read from the arrays in {folder}.")).collect();
    let about = format!(
        "Noise, blur, weather and what lenses and codecs do, at severities 1 to 5, on {} images.{folders} Mean \
         error: {}.",
        first.data.images,
        errors.join(", ")
    );
    let (figures, tables) = (vec![figure], vec![table]);
    Some(Section {
        id: "corruptions",
        title: "Natural corruptions",
        about,
        figures,
        tables,
        ..Section::default()
    })
}

fn mean(reports: &Reports, report: &Corruptions, network: &Corrupted) -> Series {
    let named = reports.named(&network.model);
    let point = |(n, severity): (usize, &u8)| {
        let all: Vec<f64> =
            network.kinds.iter().filter_map(|row| row.accuracy.get(n)).map(|t| t.accuracy).collect();
        let mean = 100.0 * all.iter().sum::<f64>() / all.len().max(1) as f64;
        let title = format!("{}, severity {severity}: {mean:.2} %", named.name);
        Point { x: f64::from(*severity), y: mean, interval: None, title }
    };
    let points = report.severities.iter().enumerate().map(point).collect();
    Series { points, name: named.name.clone(), colour: named.index, dashed: network.model.kind != "integer" }
}
