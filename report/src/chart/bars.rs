//! Draws bars of several parts each: what share of a resource each part of a circuit uses.

use super::{COLOURS, WIDTH, place};
use askama::Template;

const ROW: f64 = 34.0;
const BAR: f64 = 16.0;

/// Holds a chart of bars.
#[derive(Clone, Debug)]
pub struct Bars {
    /// What it shows.
    pub title: String,
    /// The bars, from the top.
    pub rows: Vec<Bar>,
}

/// Holds one bar.
#[derive(Clone, Debug)]
pub struct Bar {
    /// What it counts, and how much there is of it.
    pub label: String,
    /// The value at the right end.
    pub whole: f64,
    /// The parts, from the left.
    pub parts: Vec<Part>,
}

/// Holds one part of a bar.
#[derive(Clone, Debug)]
pub struct Part {
    /// Its colour; parts that belong together have the same in every bar.
    pub colour: usize,
    /// Its value.
    pub value: f64,
    /// What it says, in words.
    pub title: String,
}

#[derive(Template)]
#[template(path = "bars.svg")]
struct Drawing<'a> {
    title: &'a str,
    width: f64,
    height: f64,
    bar: f64,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    text_y: String,
    y: String,
    label: &'a str,
    /// The parts: place, width, colour, title.
    parts: Vec<(String, String, usize, &'a str)>,
}

impl Bars {
    /// Returns the drawing.
    pub fn svg(&self) -> String {
        let rows = self.rows.iter().enumerate().map(|(n, bar)| {
            let mut x = 0.0;
            let part = |part: &'_ Part| {
                let width = if bar.whole > 0.0 { WIDTH * part.value / bar.whole } else { 0.0 };
                let at = x;
                x += width;
                (place(at), place(width.min(WIDTH - at).max(0.0)), part.colour % COLOURS)
            };
            let places: Vec<(String, String, usize)> = bar.parts.iter().map(part).collect();
            let titles = bar.parts.iter().map(|part| part.title.as_str());
            let parts = places.into_iter().zip(titles).map(|((x, width, c), title)| (x, width, c, title));
            let y = n as f64 * ROW;
            Row { text_y: place(y + 11.0), y: place(y + 15.0), label: &bar.label, parts: parts.collect() }
        });
        let drawing = Drawing {
            title: &self.title,
            width: WIDTH,
            height: self.rows.len() as f64 * ROW,
            bar: BAR,
            rows: rows.collect(),
        };
        drawing.render().expect("the template writes into a string")
    }
}
