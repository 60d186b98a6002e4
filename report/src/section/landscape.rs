//! Draws the loss around images: along an attack's steps, and over a square of the ball.

use super::{Cell, Figure, Section, Table};
use crate::Reports;
use crate::chart::Axis;
use crate::chart::curves::{Point, Series};
use crate::chart::heat::Heat;
use crate::document::{Landscapes, Surroundings};

/// Most surfaces that are drawn per network.
const SURFACES: usize = 4;

pub(super) fn section(reports: &Reports) -> Option<Section> {
    let all: Vec<&Landscapes> = reports.landscapes().collect();
    let first = all.first()?;
    let mut table = Table::new(
        "Loss around each image",
        &["network", "image", "label", "at it", "most", "end", "broken"],
    );
    let mut figures = vec![];
    for found in &all {
        let name = reports.named(&found.model).name;
        figures.push(curves(&name, found));
        figures.push(surfaces(&name, found));
        for image in &found.images {
            let look = &image.landscape;
            table.row(vec![
                Cell::text(name.clone()),
                Cell::count(image.index as u64),
                Cell::count(u64::from(image.label)),
                Cell::number(middle(image), 3),
                Cell::number(most(image), 3),
                Cell::number(look.curve.last().copied().unwrap_or_default(), 3),
                Cell::text(if look.broken { "yes" } else { "no" }),
            ]);
        }
    }
    let about = format!(
        "Cross entropy at ε {}: along 100 steps of an attack from a random start, and on a grid of the ball \
         along the gradient's signs (down) and random signs (right), dark where it is large. A sound attack's \
         curve rises and flattens; a surface with holes or one flat colour says that gradients tell little.",
        first.eps
    );
    Some(Section {
        id: "landscape",
        title: "Loss surfaces",
        about,
        figures,
        tables: vec![table],
        ..Section::default()
    })
}

fn middle(image: &Surroundings) -> f64 {
    let rows = &image.landscape.surface;
    rows.get(rows.len() / 2).and_then(|row| row.get(row.len() / 2)).copied().unwrap_or_default()
}

fn most(image: &Surroundings) -> f64 {
    image.landscape.surface.iter().flatten().copied().fold(0.0, f64::max)
}

fn curves(name: &str, found: &Landscapes) -> Figure {
    let series = found.images.iter().enumerate().map(|(n, image)| {
        let curve = &image.landscape.curve;
        let title = |step: usize| format!("image {}, step {step}: {:.3}", image.index, curve[step]);
        // A point every five steps says as much as a hundred.
        let steps = (0..curve.len()).step_by(5);
        let points = steps.map(|s| Point { x: s as f64, y: curve[s], interval: None, title: title(s) });
        Series { name: format!("image {}", image.index), colour: n, dashed: false, points: points.collect() }
    });
    let series: Vec<Series> = series.take(8).collect();
    let top = series.iter().flat_map(|s| s.points.iter().map(|p| p.y)).fold(0.0, f64::max);
    let caption = format!("{name}: loss along the attack's steps");
    let (x, y) = (Axis::round("step", 0.0, 100.0), Axis::round("cross entropy", 0.0, top));
    Figure::of_curves(caption, x, y, series)
}

fn surfaces(name: &str, found: &Landscapes) -> Figure {
    let shown: Vec<&Surroundings> = found.images.iter().take(SURFACES).collect();
    let top = shown.iter().map(|image| most(image)).fold(0.0, f64::max);
    let heat = |image: &&Surroundings| Heat {
        title: format!("{name}: loss around image {}", image.index),
        rows: image.landscape.surface.clone(),
        range: [0.0, top],
    };
    let drawings = shown.iter().map(|image| heat(image).svg()).collect();
    let caption = format!("{name}: loss over the ball, from 0 to {top:.2}");
    Figure { caption, drawings, ..Figure::default() }
}
