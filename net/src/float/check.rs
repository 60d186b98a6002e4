//! Checks the layers of a float network: how many inputs they have, their fields, and the shape of their output.

use super::{FloatLayer, axes};
use crate::error::Fault;
use crate::layer::window::output_shape;
use crate::shape::Shape;
use ndarray::{Array2, Array4};

/// Returns how many inputs a layer has.
pub(super) fn arity(layer: &FloatLayer) -> usize {
    match layer {
        FloatLayer::Input { .. } => 0,
        FloatLayer::Mix { .. } => 2,
        FloatLayer::Conv { .. }
        | FloatLayer::Dense { .. }
        | FloatLayer::Activation { .. }
        | FloatLayer::Levels { .. }
        | FloatLayer::Affine { .. }
        | FloatLayer::BitDepth { .. }
        | FloatLayer::Median
        | FloatLayer::MaxPool { .. }
        | FloatLayer::GlobalMean
        | FloatLayer::Logits { .. } => 1,
    }
}

/// Checks one layer and returns its output shape.
pub(super) fn output(layer: &FloatLayer, input: Shape) -> Result<Shape, Fault> {
    match layer {
        FloatLayer::Input { shape } => {
            shape.checked_len().map(|_| *shape).ok_or_else(|| Fault::new("shape", "1 to 2^26 pixels", shape))
        }
        FloatLayer::Conv { weights, stride, pad, groups } => conv(weights, *stride, *pad, *groups, input),
        FloatLayer::Dense { weights } => dense(weights, input),
        FloatLayer::Activation { scale, bias, ceiling, bits } => {
            affine(scale, bias, input)?;
            positive("ceiling", *ceiling)?;
            match bits {
                Some(b) if !(1..=8).contains(b) => Err(Fault::new("bits", "1 to 8", b)),
                _ => Ok(input),
            }
        }
        FloatLayer::Levels { scale, bias, points, unit } => {
            affine(scale, bias, input)?;
            finite("points", points)?;
            if points.is_empty() || points.len() > 255 || !points.is_sorted() {
                return Err(Fault::new("points", "1 to 255 rising numbers", points.len()));
            }
            positive("unit", *unit)?;
            Ok(input)
        }
        FloatLayer::Affine { scale, bias } => {
            affine(scale, bias, input)?;
            Ok(input)
        }
        FloatLayer::Mix { a, b } => {
            finite("a, b", [a, b])?;
            Ok(input)
        }
        FloatLayer::BitDepth { bits } => match bits {
            1..=8 => Ok(input),
            _ => Err(Fault::new("bits", "1 to 8", bits)),
        },
        FloatLayer::Median => Ok(input),
        FloatLayer::MaxPool { window, stride } => {
            let (rows, columns) = axes(*window, *stride, [0; 4]);
            output_shape(input, rows, columns, input.channels)
        }
        FloatLayer::GlobalMean => Ok(Shape::new(1, 1, input.channels)),
        FloatLayer::Logits { bias } => {
            if bias.len() < 2 || input != Shape::new(1, 1, bias.len()) {
                let rule = format!("one per class (at least 2) for {input}");
                return Err(Fault::new("bias", rule, bias.len()));
            }
            finite("bias", bias)?;
            Ok(input)
        }
    }
}

fn conv(
    weights: &Array4<f32>,
    stride: [usize; 2],
    pad: [usize; 4],
    groups: usize,
    input: Shape,
) -> Result<Shape, Fault> {
    let (outputs, rows, columns, per_group) = weights.dim();
    if weights.is_empty() || groups == 0 || outputs % groups != 0 {
        return Err(Fault::new("groups", "a divisor of its outputs", groups));
    }
    count("weights", input.channels, per_group * groups)?;
    finite("weights", weights)?;
    let (rows, columns) = axes([rows, columns], stride, pad);
    output_shape(input, rows, columns, outputs)
}

fn dense(weights: &Array2<f32>, input: Shape) -> Result<Shape, Fault> {
    count("weights", input.len(), weights.dim().1)?;
    finite("weights", weights)?;
    if weights.is_empty() {
        return Err(Fault::new("weights", "at least one weight", "none"));
    }
    Ok(Shape::new(1, 1, weights.dim().0))
}

fn affine(scale: &[f32], bias: &[f32], input: Shape) -> Result<(), Fault> {
    count("scale", input.channels, scale.len())?;
    count("bias", input.channels, bias.len())?;
    finite("scale", scale)?;
    finite("bias", bias)
}

fn finite<'a>(field: &str, values: impl IntoIterator<Item = &'a f32>) -> Result<(), Fault> {
    match values.into_iter().find(|v| !v.is_finite()) {
        Some(v) => Err(Fault::new(field, "finite numbers", v)),
        None => Ok(()),
    }
}

fn positive(field: &str, value: f32) -> Result<(), Fault> {
    let right = value.is_finite() && value > 0.0;
    if right { Ok(()) } else { Err(Fault::new(field, "finite and above 0", value)) }
}

fn count(field: &str, wanted: usize, found: usize) -> Result<(), Fault> {
    if wanted == found { Ok(()) } else { Err(Fault::new(field, wanted.to_string(), found)) }
}
