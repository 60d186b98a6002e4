//! The dot product of a vector of levels and a vector of weights: no `*` but in the form that is meant for DSP blocks, to
//! which tools map it even where it is 2 bits wide. Shared by every node of the same widths. What a form adds to every product is known beforehand; the
//! accumulators take it off again.

mod chains;
mod dsp;
mod heap;
mod pairs;
mod tree;
mod xnor;

use super::{contract, fit};
use crate::device::Family;
use crate::plan::Mac;
use crate::rtl::{Kernel, Module, Value};
use dq_net::Range;
use tree::Term;

/// Level bits and elements at which counting equal bits is the smallest form.
const XNOR_LEVEL_BITS: usize = 2;
const XNOR_SIMD: usize = 6;

/// Shape of a dot product.
#[derive(Clone, Copy, Debug)]
pub struct Dot {
    /// How it is built; never [`Mac::Auto`].
    pub mac: Mac,
    /// Elements.
    pub simd: usize,
    /// Bits of a level, unsigned.
    pub level_bits: usize,
    /// Bits of a weight: 1 is −1/+1 (0 stands for −1), more is two's complement.
    pub weight_bits: usize,
    /// Bits of the result, modulo 2^bits, at most.
    pub bits: usize,
}

/// What `mac` says, or the smallest form that `family` builds of `simd` elements; weights that can be `loaded` are never
/// recoded.
pub fn choose(
    mac: Mac,
    family: Family,
    simd: usize,
    level_bits: usize,
    weight_bits: usize,
    loaded: bool,
) -> Mac {
    // Counts pay while a level has few planes; sums in carry chains, where a LUT beside the carry has six inputs.
    let counts = weight_bits == 1 && level_bits <= XNOR_LEVEL_BITS && simd >= XNOR_SIMD && !loaded;
    match mac {
        Mac::Auto if counts => Mac::Xnor,
        Mac::Auto if family == Family::Xc7 && Mac::Chains.fits(simd, weight_bits) => Mac::Chains,
        Mac::Auto => Mac::Pairs,
        given => given,
    }
}

impl Dot {
    /// Cycles from the vectors to the result.
    pub fn latency(&self) -> u64 {
        match self.mac {
            Mac::Auto | Mac::Pairs => pairs::latency(self.simd, self.weight_bits),
            Mac::Chains => chains::latency(self),
            Mac::Xnor => xnor::latency(self),
            Mac::Dsp => dsp::latency(self),
        }
    }

    /// DSP blocks that it takes.
    pub fn multipliers(&self) -> usize {
        if self.mac == Mac::Dsp { dsp::multipliers(self) } else { 0 }
    }

    /// What the result is beyond the dot product, of any weights; more is for weights −1/+1 of [`Mac::Xnor`].
    pub fn excess(&self) -> i64 {
        if self.mac == Mac::Chains { chains::excess(self) } else { 0 }
    }

    /// What each weight of −1 adds to the result.
    pub fn excess_of_minus(&self) -> i64 {
        if self.mac == Mac::Xnor { (1 << self.level_bits) - 1 } else { 0 }
    }

    /// The weights of a beat as the memory holds them: the bits of each.
    pub fn recode(&self, weights: &mut [i64]) {
        if self.mac == Mac::Xnor {
            xnor::recode(weights);
        }
    }

    /// What the result may be, excess included.
    pub fn range(&self) -> Range {
        let most = ((1i64 << self.level_bits) - 1) * self.simd as i64;
        let range = match self.weight_bits {
            1 => Range::new(-most, most),
            w => Range::new(-(most << (w - 1)), most * ((1 << (w - 1)) - 1)),
        };
        match self.mac {
            Mac::Auto | Mac::Pairs | Mac::Dsp => range,
            Mac::Chains => Range::new(0, range.hi + self.excess()),
            Mac::Xnor => Range::new(0, most),
        }
    }

    /// Bits of the result: those of its range, at most `bits`.
    pub fn result_bits(&self) -> usize {
        (self.range().bits() as usize).min(self.bits)
    }

    /// The module: `x` (level 0 in the low bits), `w`, `dot`.
    pub fn module(&self) -> Module {
        let Dot { simd, level_bits, weight_bits, .. } = *self;
        let (bits, latency) = (self.result_bits(), self.latency());
        let weights = match (self.mac, weight_bits) {
            (Mac::Xnor, _) => "-1 / +1 (bit 0 / 1; the first of each three: the parity of all three)".into(),
            (_, 1) => "-1 / +1 (bit 0 / 1)".into(),
            _ => format!("{weight_bits} bits, signed"),
        };
        let (form, more) = match self.mac {
            Mac::Auto | Mac::Pairs => ("an adder tree a bit of the weights", String::new()),
            Mac::Chains => ("sums of pairs in carry chains", format!(" + {}", self.excess())),
            Mac::Xnor => {
                ("counted equal bits", format!(" + {} for each weight of -1", self.excess_of_minus()))
            }
            Mac::Dsp => ("multipliers", String::new()),
        };
        let note = format!(
            "Dot product of {simd} levels ({level_bits} bits) and {simd} weights, element 0 in the low bits.\n\
             Weights: {weights}.\n\
             dot = x[0] w[0] + ...{more} modulo 2^{bits}: {form}. Latency {latency}, interval 1."
        );
        let form = match self.mac {
            Mac::Auto | Mac::Pairs => "dot",
            Mac::Chains => "chain",
            Mac::Xnor => "xnor",
            Mac::Dsp => "dsp",
        };
        let name = format!("dq_{form}_s{simd}_x{level_bits}_w{weight_bits}_r{bits}");
        let mut k = Kernel::new(&name, &note);
        let x = k.input("x", simd * level_bits);
        let w = k.input("w", simd * weight_bits);
        let dot = k.output("dot", bits);
        let (total, registers) = match self.mac {
            Mac::Auto | Mac::Pairs => pairs::build(self, &mut k, x, w),
            Mac::Chains => chains::build(self, &mut k, x, w),
            Mac::Xnor => xnor::build(self, &mut k, x, w),
            Mac::Dsp => dsp::build(self, &mut k, x, w),
        };
        let Term { value, range } = total;
        let have = value.width();
        if have > bits {
            k.unused((&value).slice(bits, have - bits));
        }
        assert!(registers == latency, "{name}: {registers} registers deep, not {latency}");
        k.drive(dot, fit(value, range.signed(), bits));
        k.contract(&contract::dot(self, latency as usize));
        k.build()
    }
}
