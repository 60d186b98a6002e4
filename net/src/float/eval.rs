//! Defines the meaning of a float network's layers, in plain loops of f64.

use super::{FloatLayer, axes};
use crate::layer::{BitDepth, Median};
use crate::shape::Shape;
use ndarray::{Array3, ArrayView3, Zip, s};

/// Returns the output of `layer`, whose shape is `output`, for the input `x`.
pub(super) fn eval(layer: &FloatLayer, x: ArrayView3<f64>, output: Shape) -> Array3<f64> {
    let (height, width, channels) = x.dim();
    match layer {
        FloatLayer::Input { .. } | FloatLayer::Mix { .. } => unreachable!("checked: has not one input"),
        FloatLayer::Conv { weights, stride, pad, groups } => {
            let (outputs, kernel_rows, kernel_columns, per_group) = weights.dim();
            let (rows, columns) = axes([kernel_rows, kernel_columns], *stride, *pad);
            Array3::from_shape_fn(output.dim(), |(oy, ox, o)| {
                let group = o / (outputs / groups);
                let mut acc = 0.0;
                for ky in 0..kernel_rows {
                    for kx in 0..kernel_columns {
                        let (Some(y), Some(c0)) = (rows.tap(oy, ky, height), columns.tap(ox, kx, width))
                        else {
                            continue;
                        };
                        for c in 0..per_group {
                            acc += f64::from(weights[[o, ky, kx, c]]) * x[[y, c0, group * per_group + c]];
                        }
                    }
                }
                acc
            })
        }
        FloatLayer::Dense { weights } => Array3::from_shape_fn(output.dim(), |(_, _, o)| {
            weights.row(o).iter().zip(x).map(|(&w, &v)| f64::from(w) * v).sum()
        }),
        FloatLayer::Activation { scale, bias, ceiling, bits } => {
            let ceiling = f64::from(*ceiling);
            Array3::from_shape_fn(output.dim(), |(y, c0, c)| {
                let z = (x[[y, c0, c]] * f64::from(scale[c]) + f64::from(bias[c])).clamp(0.0, ceiling);
                bits.map_or(z, |bits| quantize(z, ceiling, bits))
            })
        }
        FloatLayer::Levels { scale, bias, points, unit } => {
            Array3::from_shape_fn(output.dim(), |(y, c0, c)| {
                let z = x[[y, c0, c]] * f64::from(scale[c]) + f64::from(bias[c]);
                f64::from(*unit) * points.iter().filter(|&&p| f64::from(p) <= z).count() as f64
            })
        }
        FloatLayer::Affine { scale, bias } => Array3::from_shape_fn(output.dim(), |(y, c0, c)| {
            x[[y, c0, c]] * f64::from(scale[c]) + f64::from(bias[c])
        }),
        FloatLayer::BitDepth { bits } => {
            let top = f64::from((1u32 << bits) - 1);
            x.mapv(|v| f64::from(BitDepth { bits: *bits }.level((v * 255.0).round() as i32)) / top)
        }
        FloatLayer::Median => Array3::from_shape_fn(output.dim(), |(y, c0, c)| {
            let taps = Median::taps(y, c0).map(|(y, c0)| x[[y, c0, c]]);
            taps[Median::choose(taps)]
        }),
        FloatLayer::MaxPool { window, stride } => Array3::from_shape_fn(output.dim(), |(oy, ox, c)| {
            let taps = (0..window[0]).flat_map(|ky| (0..window[1]).map(move |kx| (ky, kx)));
            taps.map(|(ky, kx)| x[[oy * stride[0] + ky, ox * stride[1] + kx, c]]).fold(f64::MIN, f64::max)
        }),
        FloatLayer::GlobalMean => Array3::from_shape_fn((1, 1, channels), |(_, _, c)| {
            x.slice(s![.., .., c]).sum() / (height * width) as f64
        }),
        FloatLayer::Logits { bias } => {
            Array3::from_shape_fn(x.dim(), |(y, c0, c)| x[[y, c0, c]] + f64::from(bias[c]))
        }
    }
}

/// Returns the output of a Mix.
pub(super) fn mix(layer: &FloatLayer, x: ArrayView3<f64>, y: ArrayView3<f64>) -> Array3<f64> {
    let FloatLayer::Mix { a, b } = layer else { unreachable!("checked: only a mix has two inputs") };
    Zip::from(x).and(y).map_collect(|x, y| f64::from(*a) * x + f64::from(*b) * y)
}

/// Rounds half to even, as libtorch does.
fn quantize(x: f64, ceiling: f64, bits: u8) -> f64 {
    let steps = f64::from((1u32 << bits) - 1);
    (x * steps / ceiling).round_ties_even() * ceiling / steps
}
