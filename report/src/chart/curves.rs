//! Draws curves: values against radii, layers, flips or severities, with their intervals shaded.

use super::{Axis, COLOURS, WIDTH, place};
use askama::Template;

const HEIGHT: f64 = 250.0;
const LEFT: f64 = 44.0;
const RIGHT: f64 = WIDTH - 16.0;
const TOP: f64 = 10.0;
const BOTTOM: f64 = HEIGHT - 40.0;
/// Height that slanted names below the axis need.
const NAMES: f64 = 44.0;

/// Holds one curve.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it is, as the legend says.
    pub name: String,
    /// Its colour.
    pub colour: usize,
    /// Whether its line is dashed.
    pub dashed: bool,
    /// Its points, from left to right.
    pub points: Vec<Point>,
}

/// Holds one point of a curve.
#[derive(Clone, Debug)]
pub struct Point {
    /// Place on the horizontal axis.
    pub x: f64,
    /// Value.
    pub y: f64,
    /// Interval of the value, where there is one.
    pub interval: Option<[f64; 2]>,
    /// What the point says, in words.
    pub title: String,
}

/// Holds a chart of curves.
#[derive(Clone, Debug)]
pub struct Curves {
    /// What it shows; the drawing's name for who cannot see it.
    pub title: String,
    /// The horizontal axis.
    pub x: Axis,
    /// The vertical axis.
    pub y: Axis,
    /// The curves, each drawn over those before it.
    pub series: Vec<Series>,
}

#[derive(Template)]
#[template(path = "curves.svg")]
struct Drawing<'a> {
    title: &'a str,
    width: f64,
    height: f64,
    frame: [String; 4],
    x_label: &'a str,
    y_label: &'a str,
    x_ticks: Vec<(String, &'a str)>,
    y_ticks: Vec<(String, &'a str)>,
    slanted: bool,
    label_at: [String; 2],
    series: Vec<Drawn<'a>>,
}

struct Drawn<'a> {
    name: &'a str,
    colour: usize,
    dashed: bool,
    band: String,
    line: String,
    dots: Vec<(String, String, &'a str)>,
}

impl Curves {
    /// Returns the drawing.
    pub fn svg(&self) -> String {
        let slanted = self.x.ticks.iter().any(|(_, text)| text.len() > 6);
        let height = if slanted { HEIGHT + NAMES } else { HEIGHT };
        let x = |value| self.x.place(value, LEFT, RIGHT);
        let y = |value| self.y.place(value, BOTTOM, TOP);
        let series = self.series.iter().map(|series| drawn(series, &x, &y)).collect();
        let drawing = Drawing {
            title: &self.title,
            width: WIDTH,
            height,
            frame: [LEFT, RIGHT, TOP, BOTTOM].map(place),
            x_label: &self.x.label,
            y_label: &self.y.label,
            x_ticks: self.x.ticks.iter().map(|(at, text)| (place(x(*at)), text.as_str())).collect(),
            y_ticks: self.y.ticks.iter().map(|(at, text)| (place(y(*at)), text.as_str())).collect(),
            slanted,
            label_at: [place(f64::midpoint(LEFT, RIGHT)), place(height - 8.0)],
            series,
        };
        drawing.render().expect("the template writes into a string")
    }
}

fn drawn<'a>(series: &'a Series, x: &impl Fn(f64) -> f64, y: &impl Fn(f64) -> f64) -> Drawn<'a> {
    let at = |point: &Point, value: f64| format!("{},{}", place(x(point.x)), place(y(value)));
    let line: Vec<String> = series.points.iter().map(|point| at(point, point.y)).collect();
    let bound = |side: usize| series.points.iter().filter_map(move |p| p.interval.map(|i| (p, i[side])));
    let mut band: Vec<String> = bound(0).map(|(point, value)| at(point, value)).collect();
    band.extend(bound(1).collect::<Vec<_>>().into_iter().rev().map(|(point, value)| at(point, value)));
    Drawn {
        name: &series.name,
        colour: series.colour % COLOURS,
        dashed: series.dashed,
        band: if band.len() > 2 { band.join(" ") } else { String::new() },
        line: line.join(" "),
        dots: series.points.iter().map(|p| (place(x(p.x)), place(y(p.y)), p.title.as_str())).collect(),
    }
}
