//! Draws what is proved between what is certified and what attacks leave.

use super::{Cell, Figure, Section, Table, percent};
use crate::Reports;
use crate::chart::Axis;
use crate::chart::curves::{Point, Series};
use crate::crossed::crossed;
use dq_sim::report::Tally;
use dq_sim::study::certify::{Certificates, Proof};

pub(super) fn section(reports: &Reports) -> Option<Section> {
    let certified: Vec<&Certificates> = reports.certificates().collect();
    let first = certified.first()?;
    let head = [
        "network",
        "ε",
        "certified, %",
        "attacked, %",
        "by intervals",
        "by lines",
        "by search",
        "open",
        "broken",
    ];
    let mut table = Table::new("Certificates", &head);
    for found in &certified {
        for radius in &found.radii {
            let count = |proof| Cell::count(radius.outcomes.count(proof) as u64);
            table.row(vec![
                Cell::text(reports.named(&found.model).name),
                Cell::count(u64::from(radius.eps)),
                Cell::tally(&radius.certified),
                Cell::tally(&crossed(reports, found, radius).attacked),
                count(Proof::ByBounds),
                count(Proof::ByLines),
                count(Proof::BySearch),
                count(Proof::Open),
                count(Proof::Broken),
            ]);
        }
    }
    let about = format!(
        "Certified ≤ true robust accuracy ≤ attacked, on {} images: integer bounds through the exact network, \
         intervals or lines, then a complete search of at most {} boxes per image. Attacked is what that search, the \
         attack beside it and every attack of this page on the same images left.",
        first.data.images, first.boxes
    );
    let figures = certified.iter().map(|found| sandwich(reports, found)).collect();
    let tables = vec![table];
    Some(Section {
        id: "certificates",
        title: "What is proved",
        about,
        figures,
        tables,
        ..Section::default()
    })
}

fn sandwich(reports: &Reports, found: &Certificates) -> Figure {
    let named = reports.named(&found.model);
    let mut radii: Vec<(u8, Tally, Tally)> = found
        .radii
        .iter()
        .map(|radius| (radius.eps, radius.certified, crossed(reports, found, radius).attacked))
        .collect();
    radii.sort_by_key(|(eps, ..)| *eps);
    let series = |what: &str, colour, dashed, tally: fn(&(u8, Tally, Tally)) -> Tally| {
        let point = |radius: &(u8, Tally, Tally)| Point {
            x: f64::from(radius.0),
            y: 100.0 * tally(radius).accuracy,
            interval: Some([100.0 * radius.1.accuracy, 100.0 * radius.2.accuracy]),
            title: format!("{what}, ε {}: {} %", radius.0, percent(&tally(radius))),
        };
        Series { name: what.into(), colour, dashed, points: radii.iter().map(point).collect() }
    };
    let series = vec![
        series("attacked", 1, true, |(.., attacked)| *attacked),
        series("certified", named.index, false, |(_, certified, _)| *certified),
    ];
    let caption = format!("{}: true robust accuracy lies in the shaded area", named.name);
    let x = Axis::at("ε, grey levels", radii.iter().map(|(eps, ..)| f64::from(*eps)));
    Figure::of_curves(caption, x, Axis::percent("accuracy, %"), series)
}
