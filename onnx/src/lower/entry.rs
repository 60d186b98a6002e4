//! Says how uint8 pixels become the graph's input.

use super::builder::Builder;
use super::stream::{Stream, channels_first};
use crate::chain::{Chain, Link, PerChannel};
use crate::graph::Graph;
use crate::number::{Q, whole};
use crate::tensor::Element;
use dq_net::Shape;
use dq_net::layer::{Input, Layer};
use num_traits::{One, Signed, Zero};
use std::sync::Arc;

/// The image and its normalization: input = (pixel · unit − mean) / std.
#[derive(Clone, Debug)]
pub struct Image {
    /// Shape of the image.
    pub shape: Shape,
    /// Shape of the graph's input.
    pub dims: Vec<usize>,
    /// Where each element of the graph's input lies in the image.
    pub place: Vec<u32>,
    unit: Q,
    mean: Vec<Q>,
    std: Vec<Q>,
}

/// What pixels are to the graph.
#[derive(Clone, Debug, Default)]
pub struct Normalization {
    /// Whether the graph takes pixels from 0 to 255; else from 0 to 1. `None`: 0 to 255 where the graph's
    /// input is uint8.
    pub raw: Option<bool>,
    /// Mean per channel, or one for all; none is 0.
    pub mean: Vec<Q>,
    /// Standard deviation per channel, or one for all; none is 1.
    pub std: Vec<Q>,
}

impl Image {
    /// Reads the image of a graph.
    pub fn read(graph: &Graph, wanted: &Normalization) -> Result<Self, String> {
        let entry = &graph.input;
        let named = |reason: String| format!("input `{}`: {reason}", crate::error::shown(&entry.name));
        let pixels = match entry.element {
            Element::Float | Element::Double => entry.datatype.as_deref() == Some("UINT8"),
            Element::Int(8, _) => true,
            _ => return Err(named("expected float32, uint8 or int8".into())),
        };
        let raw = wanted.raw.unwrap_or(pixels);
        if matches!(entry.element, Element::Int(..))
            && !(raw && wanted.mean.is_empty() && wanted.std.is_empty())
        {
            return Err(named("expected no normalization of an input of whole numbers".into()));
        }
        let (shape, place) = shape(graph);
        let numbers = |what: &str, given: &[Q], default: Q| match given.len() {
            0 => Ok(vec![default; shape.channels]),
            1 => Ok(vec![given[0].clone(); shape.channels]),
            n if n == shape.channels => Ok(given.to_vec()),
            n => Err(named(format!("--{what}: expected 1 or {} numbers, found {n}", shape.channels))),
        };
        // Pixels of an int8 input are shifted into its range.
        let shift = if entry.element == Element::Int(8, true) { 128 } else { 0 };
        let (mean, std) =
            (numbers("mean", &wanted.mean, whole(shift))?, numbers("std", &wanted.std, Q::one())?);
        if std.iter().any(|s| !s.is_positive()) {
            return Err(named("--std: expected numbers above 0".into()));
        }
        let unit = if raw { Q::one() } else { Q::new(1.into(), 255.into()) };
        Ok(Image { shape, dims: entry.dims.clone(), place, unit, mean, std })
    }

    /// Returns the graph's input for a pixel of `channel`.
    pub fn value(&self, channel: usize, pixel: u8) -> Q {
        (whole(pixel) * &self.unit - &self.mean[channel]) / &self.std[channel]
    }

    /// Says in words what was assumed.
    pub fn assumed(&self) -> String {
        let list = |values: &[Q]| {
            let same = values.iter().all(|v| *v == values[0]);
            let shown = if same { &values[..1] } else { values };
            shown.iter().map(|v| crate::number::to_f64(v).to_string()).collect::<Vec<_>>().join(",")
        };
        let pixel = if self.unit.is_one() { "pixel" } else { "pixel/255" };
        let plain = self.mean.iter().all(Zero::is_zero) && self.std.iter().all(One::is_one);
        if plain {
            return format!("input = {pixel}, image {}", self.shape);
        }
        let shifted = format!("({pixel} − {})", list(&self.mean));
        let scaled =
            if self.std.iter().all(One::is_one) { String::new() } else { format!(" / {}", list(&self.std)) };
        format!("input = {shifted}{scaled}, image {}", self.shape)
    }

    /// Adds the input node and returns the graph's input as a stream.
    pub(super) fn stream(&self, builder: &mut Builder) -> Result<Stream, String> {
        let node = builder.push("image", Layer::Input(Input { shape: self.shape }), &[])?;
        let mut links = vec![];
        if !self.unit.is_one() {
            links.push(Link::Mul(PerChannel::one(self.unit.clone())));
        }
        let per_channel = |values: &[Q]| match values.iter().all(|v| *v == values[0]) {
            true => PerChannel::one(values[0].clone()),
            false => PerChannel(Arc::new(values.to_vec())),
        };
        if !self.mean.iter().all(Zero::is_zero) {
            links.push(Link::Add(per_channel(&self.mean).map(|m| -m)));
        }
        if !self.std.iter().all(One::is_one) {
            links.push(Link::Div(per_channel(&self.std)));
        }
        let (dims, place) = (self.dims.clone(), Arc::new(self.place.clone()));
        Ok(Stream { node, dims, place, chain: Chain(links) })
    }
}

/// Returns the image's shape, and where each element of the graph's input lies in it.
fn shape(graph: &Graph) -> (Shape, Vec<u32>) {
    let entry = &graph.input;
    let straight = |shape: Shape| (shape, (0..shape.len() as u32).collect());
    match entry.dims[..] {
        [_, a, b, c] => {
            let turned = |op: &&crate::graph::Op| {
                op.kind == "Transpose"
                    && op.inputs.first() == Some(&entry.name)
                    && op.ints("perm") == Some(&[0, 3, 1, 2])
            };
            if graph.ops.iter().any(|op| turned(&op)) || (c <= 4 && a > 4) {
                return straight(Shape::new(a, b, c));
            }
            let shape = Shape::new(b, c, a);
            (shape, channels_first(shape))
        }
        // A line of samples where a convolution along it reads it, else a picture of one channel.
        [_, channels, width] if is_read_along(graph) => {
            let shape = Shape::new(1, width, channels);
            (shape, channels_first(shape))
        }
        [_, a, b] => straight(Shape::new(a, b, 1)),
        // A vector may be a square picture of one channel.
        _ => {
            let len: usize = entry.dims.iter().product();
            let side = len.isqrt();
            straight(if side * side == len { Shape::new(side, side, 1) } else { Shape::new(1, len, 1) })
        }
    }
}

/// Returns whether the graph convolves along one axis.
fn is_read_along(graph: &Graph) -> bool {
    let kernel = |op: &crate::graph::Op| op.inputs.get(1).and_then(|w| graph.constants.get(w));
    graph.ops.iter().any(|op| op.kind == "Conv" && kernel(op).is_some_and(|w| w.dims.len() == 3))
}
