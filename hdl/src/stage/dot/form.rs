//! Defines what a form of the dot product says of itself, and the shape that it is built for. One file per
//! form implements [`Form`]; defaults stand here.

use super::tree::Term;
use crate::device::Family;
use crate::plan::data::Mac;
use crate::rtl::{Kernel, Sig};
use dq_net::Range;

/// Describes the shape of a dot product.
#[derive(Clone, Copy, Debug)]
pub struct Dot {
    /// Form of the product; never [`Mac::Auto`].
    pub mac: Mac,
    /// Number of elements.
    pub simd: usize,
    /// Bits of a level, unsigned.
    pub level_bits: usize,
    /// Bits of a weight: with 1 bit weights are −1 and +1 (0 stands for −1), with more they are two's
    /// complement.
    pub weight_bits: usize,
    /// Most bits of the result, which is modulo 2^bits.
    pub bits: usize,
}

impl Dot {
    /// Returns what the sum of the products may be.
    pub fn products(&self) -> Range {
        let most = self.most();
        match self.weight_bits {
            1 => Range::new(-most, most),
            w => Range::new(-(most << (w - 1)), most * ((1 << (w - 1)) - 1)),
        }
    }

    /// Returns the largest sum of the levels.
    pub fn most(&self) -> i64 {
        self.most_level() * self.simd as i64
    }

    /// Returns the largest level.
    pub fn most_level(&self) -> i64 {
        (1 << self.level_bits) - 1
    }

    /// Returns the bits of a result within `range`: at most those that matter.
    pub fn bits_of(&self, range: Range) -> usize {
        (range.bits() as usize).min(self.bits)
    }
}

/// Says how a dot product is built.
pub trait Form {
    /// Returns how its modules are called, and what they are, in words.
    fn names(&self) -> Names;

    /// Returns whether `simd` products with weights of so many bits can be built so.
    fn fits(&self, simd: usize, weight_bits: usize) -> bool;

    /// Returns what it is for, as a plan's error says it.
    fn demands(&self) -> &'static str;

    /// Returns the cycles from the vectors to the result.
    fn latency(&self, dot: &Dot) -> u64;

    /// Builds the result, and returns how many registers deep it is.
    fn build(&self, dot: &Dot, k: &mut Kernel, x: Sig, w: Sig) -> (Term, u64);

    /// Returns the LUTs of four inputs and flip-flops, multipliers aside.
    fn cost(&self, dot: &Dot, family: Family) -> (usize, usize);

    /// Returns what the result may be, excess included.
    fn range(&self, dot: &Dot) -> Range {
        dot.products()
    }

    /// Returns the DSP blocks that it takes.
    fn multipliers(&self, _dot: &Dot) -> usize {
        0
    }

    /// Returns what the result is beyond the dot product, of any weights.
    fn excess(&self, _dot: &Dot) -> i64 {
        0
    }

    /// Returns what the weights of a beat add to the result beyond that, where the form lets them add
    /// something; such weights must be known, and cannot be loaded.
    fn excess_of(&self, _dot: &Dot) -> Option<Excess> {
        None
    }

    /// Turns the weights of a beat into those that the memory holds: the bits of each.
    fn recode(&self, _weights: &mut [i64]) {}

    /// Returns Verilog that is 1 where weight `i`, of −1/+1, is +1, of the weights `w` as the memory holds
    /// them.
    fn is_plus(&self, _dot: &Dot, w: &str, i: usize) -> String {
        format!("{w}[{i}]")
    }
}

/// Says what the weights of a beat add to the result beyond the dot product.
pub struct Excess {
    /// Returns it for the weights of a beat.
    pub of: fn(&Dot, &[i64]) -> i64,
    /// Says the same in words, behind a plus.
    pub what: String,
    /// Says the same in Verilog: signed terms of the weights `w` as the memory holds them, in so many bits.
    pub terms: fn(&Dot, &str, usize) -> Vec<String>,
}

/// Says how a form is called.
pub struct Names {
    /// Prefix of its modules' names, behind `dq_`.
    pub module: &'static str,
    /// Words for the form in the module's header.
    pub what: &'static str,
    /// Words for the weights, where the memory holds them in another code.
    pub weights: Option<&'static str>,
}
