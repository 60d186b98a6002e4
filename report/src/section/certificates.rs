//! Draws what is proved between what is certified and what attacks leave.

use super::{Cell, Figure, Section, Table, percent};
use crate::Reports;
use crate::chart::Axis;
use crate::chart::curves::{Point, Series};
use crate::crossed::crossed;
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
    let mut figures = vec![];
    for found in &certified {
        // Attacks of the page may leave less than was known when the certificates were made.
        let attacked = found.radii.iter().map(|radius| crossed(reports, found, radius).attacked);
        let radii: Vec<(&Radius, Tally)> = found.radii.iter().zip(attacked).collect();
        figures.push(sandwich(reports, found, &radii));
        for (radius, attacked) in radii {
            let count = |proof| Cell::count(radius.outcomes.count(proof) as u64);
            table.row(vec![
                Cell::text(reports.named(&found.model).name),
                Cell::count(u64::from(radius.eps)),
                Cell::tally(&radius.certified),
                Cell::tally(&attacked),
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

/// Draws what is certified, and what is left at each radius.
fn sandwich(reports: &Reports, found: &Certificates, radii: &[(&Radius, Tally)]) -> Figure {
    let named = reports.named(&found.model);
    let series = |what: &str, colour, dashed, tally: fn(&(&Radius, Tally)) -> Tally| {
        let point = |at: &(&Radius, Tally)| {
            let ((radius, attacked), shown) = (at, tally(at));
            Point {
                x: f64::from(radius.eps),
                y: 100.0 * shown.accuracy,
                interval: Some([100.0 * radius.certified.accuracy, 100.0 * attacked.accuracy]),
                title: format!("{what}, ε {}: {} %", radius.eps, percent(&shown)),
            }
        };
        let mut points: Vec<Point> = radii.iter().map(point).collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Series { name: what.into(), colour, dashed, points }
    };
    let series = vec![
        series("attacked", 1, true, |(_, attacked)| *attacked),
        series("certified", named.index, false, |(radius, _)| radius.certified),
    ];
    let caption = format!("{}: true robust accuracy lies in the shaded area", named.name);
    let x = Axis::at("ε, grey levels", found.radii.iter().map(|radius| f64::from(radius.eps)));
    Figure::of_curves(caption, x, Axis::percent("accuracy, %"), series)
}
