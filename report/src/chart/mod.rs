//! Draws charts as SVG. Each chart computes the places of its marks; its template in `templates/` draws them,
//! every mark with a title that says its values. Colours and fonts are the page's, so that light and dark
//! both work. A chart is 360 units wide, which a telephone shows at its own size.

pub mod bars;
pub mod curves;
pub mod heat;
pub mod pipeline;
mod scale;
pub mod spans;

pub use scale::Axis;

/// Width of every chart, in the units of its drawing.
pub const WIDTH: f64 = 360.0;

/// Number of colours that tell series apart.
pub const COLOURS: usize = 8;

/// Writes a coordinate with one digit after the point.
fn place(value: f64) -> String {
    let text = format!("{value:.1}");
    text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
}
