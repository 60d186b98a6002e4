//! Draws a waterfall: one row per stage, from its first beat to its last.

use super::{Axis, COLOURS, WIDTH, place};
use askama::Template;

const ROW: f64 = 15.0;
const NAMES: f64 = 118.0;
/// Letters of a name that have room.
const LETTERS: usize = 17;

/// Holds a waterfall.
#[derive(Clone, Debug)]
pub struct Spans {
    /// What it shows.
    pub title: String,
    /// The axis of time.
    pub x: Axis,
    /// The rows, from the top.
    pub rows: Vec<Span>,
}

/// Holds one row.
#[derive(Clone, Debug)]
pub struct Span {
    /// Its name.
    pub name: String,
    /// Its colour.
    pub colour: usize,
    /// Where it begins and ends.
    pub range: [f64; 2],
    /// What it says, in words.
    pub title: String,
}

#[derive(Template)]
#[template(path = "spans.svg")]
struct Drawing<'a> {
    title: &'a str,
    width: f64,
    height: String,
    bottom: String,
    left: f64,
    label: &'a str,
    ticks: Vec<(String, &'a str)>,
    rows: Vec<Row<'a>>,
}

struct Row<'a> {
    name: String,
    text_y: String,
    y: String,
    x: String,
    width: String,
    colour: usize,
    title: &'a str,
}

impl Spans {
    /// Returns the drawing.
    pub fn svg(&self) -> String {
        let x = |value| self.x.place(value, NAMES, WIDTH - 22.0);
        let row = |(n, span): (usize, &'_ Span)| {
            let (from, to) = (x(span.range[0]), x(span.range[1]));
            let y = n as f64 * ROW;
            (place(y + 11.0), place(y + 3.0), place(from), place((to - from).max(1.0)))
        };
        let bottom = self.rows.len() as f64 * ROW + 2.0;
        let rows = self.rows.iter().enumerate().map(|(n, span)| {
            let (text_y, y, x, width) = row((n, span));
            let name = shortened(&span.name, LETTERS);
            Row { name, text_y, y, x, width, colour: span.colour % COLOURS, title: &span.title }
        });
        let drawing = Drawing {
            title: &self.title,
            width: WIDTH,
            height: place(bottom + 34.0),
            bottom: place(bottom),
            left: NAMES,
            label: &self.x.label,
            ticks: self.x.ticks.iter().map(|(at, text)| (place(x(*at)), text.as_str())).collect(),
            rows: rows.collect(),
        };
        drawing.render().expect("the template writes into a string")
    }
}

/// Returns `name` with at most `letters` letters; its middle gives way.
pub fn shortened(name: &str, letters: usize) -> String {
    let all: Vec<char> = name.chars().collect();
    if all.len() <= letters {
        return name.to_owned();
    }
    let end = letters / 2;
    let (begin, rest) = (&all[..letters - 1 - end], &all[all.len() - end..]);
    begin.iter().chain(['…'].iter()).chain(rest).collect()
}
