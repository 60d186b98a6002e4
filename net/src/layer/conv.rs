//! Defines convolution: exact accumulators from levels and signed integer weights.

use super::kind::{FileForm, Kind};
use super::weights;
use super::window::{Axis, output_shape};
use crate::draw::Draw;
use crate::motion::{Motion, Moves};
use crate::pack::PackedInts;
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, Array4, ArrayView3, Ix4, s};
use serde::{Deserialize, Serialize};

/// Computes a 2-D convolution (cross-correlation), padded with one level. It is depth-wise where `groups`
/// equals the channels.
#[derive(Clone, Debug, PartialEq)]
pub struct Conv {
    /// Weights: output channel × kernel row × kernel column × input channel of the group.
    pub weights: Array4<i8>,
    /// Bits of a weight: with 1 bit weights are −1 and +1, with more they are two's complement.
    pub weight_bits: u8,
    /// Strides: rows, columns.
    pub stride: [usize; 2],
    /// Padding: top, bottom, left, right.
    pub pad: [usize; 4],
    /// Level that taps in the padding read: 0, or a level within the input's range, such as the zero point
    /// of levels that stand for signed values.
    pub pad_level: i32,
    /// Number of groups: output channel `o` reads the input channels of group `o / (outputs / groups)`.
    pub groups: usize,
}

impl Conv {
    /// Returns window, stride and padding along rows and columns.
    pub fn axes(&self) -> (Axis, Axis) {
        let (_, rows, columns, _) = self.weights.dim();
        let [top, bottom, left, right] = self.pad;
        (
            Axis { kernel: rows, stride: self.stride[0], before: top, after: bottom },
            Axis { kernel: columns, stride: self.stride[1], before: left, after: right },
        )
    }
}

impl Conv {
    /// Returns the Σ over the output channels o' of its group and every shift between their windows of
    /// |Σ of products of the weights of `o` and o' that meet|. Padding only leaves inputs out.
    fn correlation(&self, o: usize) -> u64 {
        let (outputs, rows, columns, _) = self.weights.dim();
        let per_group = outputs / self.groups;
        let first = o / per_group * per_group;
        // How far one window lies behind the other, along an axis of a kernel.
        let shifts = |kernel: usize, stride: usize| {
            let most = (kernel - 1) as isize / stride as isize;
            (-most..=most).map(move |shift| shift * stride as isize)
        };
        let own = self.weights.index_axis(ndarray::Axis(0), o);
        let cut = |kernel: usize, shift: isize| {
            let (own, other) = (shift.max(0) as usize, (-shift).max(0) as usize);
            let size = kernel - own.max(other);
            (own..own + size, other..other + size)
        };
        let mut sum = 0;
        for other in first..first + per_group {
            let other = self.weights.index_axis(ndarray::Axis(0), other);
            for dy in shifts(rows, self.stride[0]) {
                for dx in shifts(columns, self.stride[1]) {
                    let ((y, other_y), (x, other_x)) = (cut(rows, dy), cut(columns, dx));
                    let (a, b) = (own.slice(s![y, x, ..]), other.slice(s![other_y, other_x, ..]));
                    let products = a.iter().zip(b).map(|(&a, &b)| i64::from(i32::from(a) * i32::from(b)));
                    sum += products.sum::<i64>().unsigned_abs();
                }
            }
        }
        sum
    }
}

impl Kind for Conv {
    fn name(&self) -> &'static str {
        "conv"
    }

    fn check(&self) -> Result<(), Fault> {
        weights::check_not_empty(&self.weights)?;
        let outputs = self.weights.dim().0;
        if self.groups == 0 || !outputs.is_multiple_of(self.groups) {
            return Err(Fault::new("groups", format!("a divisor of its {outputs} outputs"), self.groups));
        }
        weights::check(self.weight_bits, &self.weights)
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        let (outputs, _, _, per_group) = self.weights.dim();
        let wanted = per_group * self.groups;
        if inputs[0].channels != wanted {
            return Err(Fault::new("weights", format!("{} input channels", inputs[0].channels), wanted));
        }
        let (rows, columns) = self.axes();
        output_shape(inputs[0], rows, columns, outputs)
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        let input = inputs[0].range;
        weights::check_levels(input)?;
        if self.pad_level != 0 && !input.contains(self.pad_level.into()) {
            return Err(Fault::new(
                "pad_level",
                format!("0 or a level of its input, {input}"),
                self.pad_level,
            ));
        }
        // A tap in the padding reads 0 or what any tap may read: the range is that of all taps.
        Ok(weights::sums(&self.weights, input))
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        let x = inputs[0];
        let (outputs, kernel_rows, kernel_columns, per_group) = self.weights.dim();
        let (rows, columns) = self.axes();
        let (height, width) = (x.dim().0, x.dim().1);
        let input = Shape::new(height, width, x.dim().2);
        let output = self.shape(&[input]).expect("checked by Network::new");
        Array3::from_shape_fn(output.dim(), |(oy, ox, o)| {
            let group = o / (outputs / self.groups);
            let mut acc = 0;
            for ky in 0..kernel_rows {
                for kx in 0..kernel_columns {
                    let place = rows.tap(oy, ky, height).zip(columns.tap(ox, kx, width));
                    for c in 0..per_group {
                        let level = match place {
                            Some((y, x0)) => x[[y, x0, group * per_group + c]],
                            None => self.pad_level,
                        };
                        acc += i32::from(self.weights[[o, ky, kx, c]]) * level;
                    }
                }
            }
            acc
        })
    }

    fn moves(&self, motion: &Motion) -> Option<Moves> {
        weights::spread(motion.first(), (0..self.weights.dim().0).map(|o| self.correlation(o)))
    }

    fn unit(&self, _: &[Option<f64>], _: Shape) -> Option<f64> {
        None
    }

    fn weight_bits(&self) -> Option<u8> {
        Some(self.weight_bits)
    }

    fn macs(&self, _: Shape, output: Shape) -> u64 {
        let (_, rows, columns, per_group) = self.weights.dim();
        output.len() as u64 * (rows * columns * per_group) as u64
    }
}

/// Holds a convolution as it stands in `model.json`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    weights: PackedInts,
    weight_bits: u8,
    stride: [usize; 2],
    pad: [usize; 4],
    /// Not there where it is 0, as in files of versions 1 and 2.
    #[serde(default, skip_serializing_if = "is_zero")]
    pad_level: i32,
    groups: usize,
}

fn is_zero(level: &i32) -> bool {
    *level == 0
}

impl FileForm for Conv {
    type Form = Form;
    const SINCE: u32 = 1;

    /// A program that does not know the padding's level would read 0.
    fn since(&self) -> u32 {
        if self.pad_level == 0 { Self::SINCE } else { 3 }
    }

    fn to_form(&self, _: &[Wire]) -> Form {
        let &Conv { ref weights, weight_bits, stride, pad, pad_level, groups } = self;
        Form { weights: weights::pack(weights, weight_bits), weight_bits, stride, pad, pad_level, groups }
    }

    fn from_form(form: Form) -> Result<Self, Fault> {
        let Form { weights, weight_bits, stride, pad, pad_level, groups } = form;
        let weights = weights::unpack::<Ix4>(&weights, weight_bits)?;
        Ok(Conv { weights, weight_bits, stride, pad, pad_level, groups })
    }
}

impl Conv {
    /// Draws a convolution of any groups, window, stride and padding.
    pub(crate) fn draw(draw: &mut Draw) -> Self {
        let Draw { random, options, input, .. } = draw;
        let (height, width, channels) = input.values.dim();
        let divisors: Vec<usize> = (1..=channels).filter(|&g| channels.is_multiple_of(g)).collect();
        let groups = if random.within(0, 2) == 0 { *random.one_of(&divisors) } else { 1 };
        let per_group = random.within(1, (options.max_channels / groups).max(1));
        let kernel = [random.within(1, 3), random.within(1, 3)];
        let mut pad = [0; 4];
        for (axis, size) in [height, width].into_iter().enumerate() {
            for side in 0..2 {
                pad[2 * axis + side] = random.within(0, kernel[axis] - 1);
            }
            let missing = kernel[axis].saturating_sub(size + pad[2 * axis] + pad[2 * axis + 1]);
            let before = missing.min(kernel[axis] - 1 - pad[2 * axis]);
            pad[2 * axis] += before;
            pad[2 * axis + 1] += missing - before;
        }
        let dim = (per_group * groups, kernel[0], kernel[1], channels / groups);
        let (weights, weight_bits) = draw.weights(dim);
        let stride = [draw.random.within(1, 2), draw.random.within(1, 3)];
        let pad_level = draw_pad_level(draw, pad);
        Conv { weights, weight_bits, stride, pad, pad_level, groups }
    }

    /// Draws a convolution with `outputs` channels whose square window keeps the map's size, but for
    /// `stride`.
    pub(crate) fn draw_square(draw: &mut Draw, outputs: usize, kernel: usize, stride: usize) -> Self {
        let channels = draw.input.values.dim().2;
        let depthwise = outputs == channels && draw.random.within(0, 3) == 0;
        let groups = if depthwise { channels } else { 1 };
        let (weights, weight_bits) = draw.weights((outputs, kernel, kernel, channels / groups));
        let pad = [kernel / 2; 4];
        let pad_level = draw_pad_level(draw, pad);
        Conv { weights, weight_bits, stride: [stride; 2], pad, pad_level, groups }
    }
}

/// Draws the level of a padding: 0 in half of the residual networks' convolutions, and in all chains.
fn draw_pad_level(draw: &mut Draw, pad: [usize; 4]) -> i32 {
    let Range { lo, hi } = draw.input.range;
    if !draw.options.residuals || pad == [0; 4] || draw.later.within(0, 1) == 0 {
        return 0;
    }
    draw.later.between(lo, hi) as i32
}
