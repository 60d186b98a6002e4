//! Draws a surface as a grid of cells, dark where its values are large.

use super::place;
use askama::Template;

const SIZE: f64 = 168.0;

/// Holds a surface.
#[derive(Clone, Debug)]
pub struct Heat {
    /// What it shows.
    pub title: String,
    /// Values, row by row from the top.
    pub rows: Vec<Vec<f64>>,
    /// The values that have no colour and the full one.
    pub range: [f64; 2],
}

#[derive(Template)]
#[template(path = "heat.svg")]
struct Drawing<'a> {
    title: &'a str,
    size: f64,
    cell: String,
    cells: Vec<(String, String, String, String)>,
}

impl Heat {
    /// Returns the drawing.
    pub fn svg(&self) -> String {
        let cell = SIZE / self.rows.len().max(1) as f64;
        let [low, high] = self.range;
        let at = |n: usize| place(n as f64 * cell);
        let share = |v: f64| if high > low { ((v - low) / (high - low)).clamp(0.0, 1.0) } else { 0.0 };
        let row = |(r, row): (usize, &Vec<f64>)| {
            let cell = |(c, v): (usize, &f64)| (at(c), at(r), format!("{:.2}", share(*v)), format!("{v:.3}"));
            row.iter().enumerate().map(cell).collect::<Vec<_>>()
        };
        let cells = self.rows.iter().enumerate().flat_map(row).collect();
        let drawing = Drawing { title: &self.title, size: SIZE, cell: place(cell + 0.15), cells };
        drawing.render().expect("the template writes into a string")
    }
}
