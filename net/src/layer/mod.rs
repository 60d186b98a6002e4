//! The kinds of layer. One file a kind: its fields, its shape rule, its range rule and its integer result in plain
//! loops. Those files are the specification; everything fast is tested against them.

mod conv;
mod dense;
mod input;
mod logits;
mod mix;
mod pool;
mod rescale;
mod squeeze;
mod step;
pub mod window;

pub use conv::Conv;
pub use dense::Dense;
pub use input::Input;
pub use logits::Logits;
pub use mix::Mix;
pub use pool::{GlobalSum, MaxPool, SumPool};
pub use rescale::Rescale;
pub use squeeze::{BitDepth, Median};
pub use step::{Step, Surrogate};

use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array3, ArrayView3};

/// One layer of a network.
#[derive(Clone, Debug, PartialEq)]
pub enum Layer {
    /// The image.
    Input(Input),
    /// Convolution: exact accumulators.
    Conv(Conv),
    /// Fully connected: exact accumulators.
    Dense(Dense),
    /// Quantizer: one monotone step function a channel.
    Step(Step),
    /// Largest value of each window.
    MaxPool(MaxPool),
    /// Sum of each window.
    SumPool(SumPool),
    /// Sum of each channel.
    GlobalSum(GlobalSum),
    /// Convex combination of two streams.
    Mix(Mix),
    /// Affine of each channel into the residual stream.
    Rescale(Rescale),
    /// Colour depth of the image.
    BitDepth(BitDepth),
    /// Median of neighbouring pixels.
    Median(Median),
    /// Scores of the classes.
    Logits(Logits),
}

/// What every kind of layer answers. A wire's values are `i32`: [`Range::fits_accumulator`] holds on every wire.
pub trait Kind {
    /// The kind's name in files and tables.
    fn name(&self) -> &'static str;
    /// How many inputs it has.
    fn arity(&self) -> usize {
        1
    }
    /// Checks the fields that need no input to be judged.
    fn check(&self) -> Result<(), Fault>;
    /// Output shape. Called after [`Kind::check`] passed.
    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault>;
    /// Bounds of every output value, from the actual parameters. Called after [`Kind::shape`] passed.
    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault>;
    /// The meaning: output from inputs (height × width × channels), in plain loops.
    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32>;
    /// Multiply-accumulates of one image.
    fn macs(&self, _input: Shape, _output: Shape) -> u64 {
        0
    }
}

impl Layer {
    /// Bits of its weights, where it has any.
    pub fn weight_bits(&self) -> Option<u8> {
        match self {
            Layer::Conv(conv) => Some(conv.weight_bits),
            Layer::Dense(dense) => Some(dense.weight_bits),
            _ => None,
        }
    }

    /// The kind behind the enum.
    pub fn kind(&self) -> &dyn Kind {
        match self {
            Layer::Input(k) => k,
            Layer::Conv(k) => k,
            Layer::Dense(k) => k,
            Layer::Step(k) => k,
            Layer::MaxPool(k) => k,
            Layer::SumPool(k) => k,
            Layer::GlobalSum(k) => k,
            Layer::Mix(k) => k,
            Layer::Rescale(k) => k,
            Layer::BitDepth(k) => k,
            Layer::Median(k) => k,
            Layer::Logits(k) => k,
        }
    }
}

/// `value` clipped to `bits` bits, two's complement.
fn saturate(value: i64, bits: u8) -> i32 {
    let half = 1i64 << (bits - 1);
    value.clamp(-half, half - 1) as i32
}

/// Checks the bits of a residual stream.
fn check_stream_bits(bits: u8) -> Result<(), Fault> {
    if (2..=16).contains(&bits) { Ok(()) } else { Err(Fault::new("bits", "2 to 16", bits)) }
}

/// Checks that weights of `bits` bits lie within their set: ±1 at 1 bit, two's complement above.
pub(crate) fn check_weights<'a>(bits: u8, weights: impl Iterator<Item = &'a i8>) -> Result<(), Fault> {
    if !(1..=8).contains(&bits) {
        return Err(Fault::new("weight_bits", "1 to 8", bits));
    }
    let half = 1i32 << (bits - 1);
    let allowed = |w: i32| if bits == 1 { w.abs() == 1 } else { (-half..half).contains(&w) };
    for (i, &w) in weights.enumerate() {
        if !allowed(w.into()) {
            let set = if bits == 1 { "−1 or +1".into() } else { format!("{} to {}", -half, half - 1) };
            return Err(Fault::new(format!("weights[{i}]"), set, w));
        }
    }
    Ok(())
}

/// The range of `Σ w·x` over one output's weights, zero included: partial sums in any order stay within it.
pub(crate) fn dot_range<'a>(weights: impl Iterator<Item = &'a i8>, input: Range) -> Range {
    let mut sum = Range::new(0, 0);
    for &w in weights {
        let (a, b) = (i64::from(w) * input.lo.min(0), i64::from(w) * input.hi.max(0));
        sum = Range::new(sum.lo + a.min(b), sum.hi + a.max(b));
    }
    sum
}

/// Checks that a layer with weights reads levels: unsigned, at most 16 bits.
pub(crate) fn check_levels(input: Range) -> Result<(), Fault> {
    if input.lo >= 0 && input.bits() <= 16 {
        Ok(())
    } else {
        Err(Fault::new("inputs", "levels (no sign, at most 16 bits)", format!("a wire of {input}")))
    }
}
