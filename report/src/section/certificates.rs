//! Draws what is proved between what is certified and what attacks leave.

use super::{Cell, Figure, Section, Table, percent};
use crate::Reports;
use crate::chart::Axis;
use crate::chart::curves::{Point, Series};
use dq_sim::report::Tally;
use dq_sim::study::certify::{Certificates, Proof, Radius};

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
                Cell::tally(&radius.attacked),
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
         intervals or lines, then a complete search of at most {} boxes per image.",
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
    let series = |what: &str, colour, dashed, tally: fn(&Radius) -> &Tally| {
        let point = |radius: &Radius| Point {
            x: f64::from(radius.eps),
            y: 100.0 * tally(radius).accuracy,
            interval: Some([100.0 * radius.certified.accuracy, 100.0 * radius.attacked.accuracy]),
            title: format!("{what}, ε {}: {} %", radius.eps, percent(tally(radius))),
        };
        let mut points: Vec<Point> = found.radii.iter().map(point).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Series { name: what.into(), colour, dashed, points }
    };
    let series = vec![
        series("attacked", 1, true, |radius| &radius.attacked),
        series("certified", named.index, false, |radius| &radius.certified),
    ];
    let caption = format!("{}: true robust accuracy lies in the shaded area", named.name);
    let x = Axis::at("ε, grey levels", found.radii.iter().map(|radius| f64::from(radius.eps)));
    Figure::of_curves(caption, x, Axis::percent("accuracy, %"), series)
}
