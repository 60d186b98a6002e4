//! Says how the levels of an image, mostly uint8 pixels, become the graph's input.

use super::builder::Builder;
use super::levels::Levels;
use super::stream::{Stream, channels_first};
use crate::chain::{Chain, Link};
use crate::graph::Graph;
use crate::number::{Q, to_f64, whole};
use crate::per_channel::PerChannel;
use crate::tensor::Element;
use dq_net::Shape;
use dq_net::layer::{Input, Layer};
use num_traits::{One, Signed, Zero};
use std::sync::Arc;

/// The image and its normalization: input = ((level + lowest) · unit − mean) / std.
#[derive(Clone, Debug)]
pub struct Image {
    /// The network's input: shape of the image, and its levels.
    pub input: Input,
    /// Shape of the graph's input.
    pub dims: Vec<usize>,
    /// Where each element of the graph's input lies in the image.
    pub place: Vec<u32>,
    levels: Levels,
    mean: Vec<Q>,
    std: Vec<Q>,
}

/// What an image's elements are to the graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reading {
    /// Pixels from 0 to 1.
    Unit,
    /// Pixels from 0 to 255.
    Pixels,
    /// Levels of the quantizer that reads the input.
    Levels,
}

/// What pixels are to the graph.
#[derive(Clone, Debug, Default)]
pub struct Normalization {
    /// What the graph takes. `None`: what its element type or FINN's data type says, else pixels from 0 to 1.
    pub reading: Option<Reading>,
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
        let levels = levels(graph, wanted).map_err(named)?;
        let (shape, place) = shape(graph);
        let numbers = |what: &str, given: &[Q], default: Q| match given.len() {
            0 => Ok(vec![default; shape.channels]),
            1 => Ok(vec![given[0].clone(); shape.channels]),
            n if n == shape.channels => Ok(given.to_vec()),
            n => Err(named(format!("--{what}: expected 1 or {} numbers, found {n}", shape.channels))),
        };
        let (mean, std) = (numbers("mean", &wanted.mean, Q::zero())?, numbers("std", &wanted.std, Q::one())?);
        if std.iter().any(|s| !s.is_positive()) {
            return Err(named("--std: expected numbers above 0".into()));
        }
        let input = match levels.pixels {
            true => Input::pixels(shape),
            false => {
                let (lowest, unit) = (to_f64(&levels.levels.lowest), to_f64(&levels.levels.unit));
                Input { shape, levels: levels.levels.count, lowest, unit }
            }
        };
        Ok(Image { input, dims: entry.dims.clone(), place, levels: levels.levels, mean, std })
    }

    /// Returns the graph's input for a level of `channel`.
    pub fn value(&self, channel: usize, level: u8) -> Q {
        let Levels { lowest, unit, .. } = &self.levels;
        ((whole(level) + lowest) * unit - &self.mean[channel]) / &self.std[channel]
    }

    /// Says in words what was assumed.
    pub fn assumed(&self) -> String {
        let list = |values: &[Q]| {
            let same = values.iter().all(|v| *v == values[0]);
            let shown = if same { &values[..1] } else { values };
            shown.iter().map(|v| to_f64(v).to_string()).collect::<Vec<_>>().join(",")
        };
        let pixel = self.level();
        let plain = self.mean.iter().all(Zero::is_zero) && self.std.iter().all(One::is_one);
        let shape = self.input.shape;
        if plain {
            return format!("input = {pixel}, image {shape}");
        }
        let shifted = format!("({pixel} − {})", list(&self.mean));
        let scaled =
            if self.std.iter().all(One::is_one) { String::new() } else { format!(" / {}", list(&self.std)) };
        format!("input = {shifted}{scaled}, image {shape}")
    }

    /// Says in words what a level is to the graph.
    fn level(&self) -> String {
        let Levels { count, lowest, unit } = &self.levels;
        if self.input == Input::pixels(self.input.shape) {
            return if unit.is_one() { "pixel".into() } else { "pixel/255".into() };
        }
        let moved = match (lowest.is_zero(), lowest.is_negative()) {
            (true, _) => "level".to_owned(),
            (_, true) => format!("(level − {})", to_f64(&-lowest)),
            _ => format!("(level + {})", to_f64(lowest)),
        };
        let times = if unit.is_one() { String::new() } else { format!(" · {}", to_f64(unit)) };
        format!("{moved}{times} of levels 0 to {}", count - 1)
    }

    /// Adds the input node and returns the graph's input as a stream.
    pub(super) fn stream(&self, builder: &mut Builder) -> Result<Stream, String> {
        let node = builder.push("image", Layer::Input(self.input), &[])?;
        let mut links = vec![];
        if !self.levels.lowest.is_zero() {
            links.push(Link::Add(PerChannel::one(self.levels.lowest.clone())));
        }
        if !self.levels.unit.is_one() {
            links.push(Link::Mul(PerChannel::one(self.levels.unit.clone())));
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

/// The levels of an input, and whether they are uint8 pixels.
struct Read {
    levels: Levels,
    pixels: bool,
}

/// Returns what an image's elements are to the graph.
fn levels(graph: &Graph, wanted: &Normalization) -> Result<Read, String> {
    let pixels = |unit: Q| Read { levels: Levels { unit, ..Levels::of_bits(8, false) }, pixels: true };
    let other = |levels: Levels| Read { pixels: levels == Levels::of_bits(8, false), levels };
    let has_normalization = !(wanted.mean.is_empty() && wanted.std.is_empty());
    match (graph.input.element, wanted.reading) {
        (Element::Int(bits @ 1..=8, signed), reading) => {
            let is_pixel = (bits, signed) == (8, false);
            let fits = match reading {
                None | Some(Reading::Levels) => true,
                Some(Reading::Pixels) => is_pixel,
                Some(Reading::Unit) => false,
            };
            if has_normalization || !fits {
                return Err("expected no normalization of an input of whole numbers".into());
            }
            Ok(other(Levels::of_bits(bits, signed)))
        }
        (Element::Float | Element::Double, None) => {
            let noted = graph.input.datatype.as_deref().map_or(Ok(None), Levels::of_datatype)?;
            Ok(noted.map_or_else(|| pixels(Q::new(1.into(), 255.into())), other))
        }
        (Element::Float | Element::Double, Some(Reading::Unit)) => Ok(pixels(Q::new(1.into(), 255.into()))),
        (Element::Float | Element::Double, Some(Reading::Pixels)) => Ok(pixels(Q::one())),
        (Element::Float | Element::Double, Some(Reading::Levels)) => {
            if has_normalization {
                return Err("--input levels: expected no --mean and no --std".into());
            }
            Ok(Read { levels: Levels::of_quantizer(graph)?, pixels: false })
        }
        _ => Err("expected float32, or whole numbers of at most 8 bits".into()),
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
