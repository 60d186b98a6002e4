//! Draws how far adversaries are from their images after a network's first block, with its values not rounded
//! and rounded to several widths (the paper's figure 3a).

use super::amplification::{Of, adversaries, radii};
use super::{Cell, Figure, Section, Table};
use crate::Reports;
use crate::chart::Axis;
use crate::chart::curves::{Point, Series};
use crate::text::{bits, spread};
use dq_sim::study::amplify::{Distance, Quantized};

pub(super) fn section(reports: &Reports) -> Option<Section> {
    let all: Vec<Of> = Of::all(reports).into_iter().filter(|of| of.network.first_block.is_some()).collect();
    if all.is_empty() {
        return None;
    }
    let radii = radii(&all);
    let mut head: Vec<String> = ["network", "after", "values", "images"].map(str::to_owned).into();
    head.extend(radii.iter().map(|eps| format!("ε {eps}")));
    let caption = "Normalized distance after the block, mean ± standard deviation over images".into();
    let mut table = Table { caption, head, rows: vec![] };
    let mut figures = vec![];
    for of in &all {
        let Some(block) = &of.network.first_block else { continue };
        figures.push(figure(of, block, &of.name(reports)));
        for (values, distances) in curves(block) {
            let images = distances.iter().map(|found| found.images).max().unwrap_or_default();
            let texts = [of.name(reports), block.node.clone(), values].map(Cell::text);
            let mut row: Vec<Cell> = texts.into();
            row.push(Cell::count(images as u64));
            row.extend(of.cells(distances, &radii));
            table.row(row);
        }
    }
    let about = format!(
        "Mean of ‖v(x′) − v(x)‖ / ‖v(x)‖ over {}, of the values that the quantizer rounds (dashed) and of \
         the same values rounded to other widths. Below the dashed curve a quantizer takes noise away, above it \
         it adds to the noise. Images whose rounded values are all zeros have no such distance and are left out.",
        adversaries(&all)
    );
    Some(Section {
        id: "first-block",
        title: "Distance after the first block",
        about,
        figures,
        tables: vec![table],
        ..Section::default()
    })
}

/// Returns the curves of a block with their names. The one that is not quantized comes last, drawn over those
/// that nearly meet it.
fn curves(block: &Quantized) -> Vec<(String, &[Distance])> {
    let quantized = block.quantized.iter().map(|width| (bits(width.bits), &width.distance[..]));
    quantized.chain([("not quantized".to_owned(), &block.unquantized[..])]).collect()
}

fn figure(of: &Of, block: &Quantized, name: &str) -> Figure {
    let series = |(n, (values, distances)): (usize, (String, &[Distance]))| {
        let mut points: Vec<Point> = of
            .report
            .eps
            .iter()
            .zip(distances)
            .filter_map(|(eps, found)| {
                let title = format!("{values}, ε {eps}: {}", spread(found));
                Some(Point { x: f64::from(*eps), y: found.mean?, interval: None, title })
            })
            .collect();
        points.sort_by(|a, b| a.x.total_cmp(&b.x));
        Series { name: values, colour: n, dashed: n == block.quantized.len(), points }
    };
    let series: Vec<Series> = curves(block).into_iter().enumerate().map(series).collect();
    let most = series.iter().flat_map(|s| s.points.iter().map(|p| p.y)).fold(0.0, f64::max);
    let x = Axis::at("ε, grey levels", of.report.eps.iter().map(|&eps| f64::from(eps)));
    let caption = format!("{name}: after {}", block.node);
    Figure::of_curves(caption, x, Axis::round("normalized distance", 0.0, most), series)
}
