//! Builds the dot product of a vector of levels and a vector of weights. Only the form that is meant for DSP
//! blocks has a `*`: tools map it to DSP blocks even where it is 2 bits wide. A module is shared by every
//! node of the same widths. What a form adds to every product is known beforehand; the accumulators subtract
//! it again.
//!
//! There are six forms: pairs of levels whose sums the weights choose among, the same choice inside carry
//! chains, one bit for every two products of bits, in carry chains (in two files: weights of one bit have no
//! planes) or counted by full adders, counts of equal bits, and DSP blocks, two products per block where they
//! fit. All start their accumulator below zero by what the form adds too much, so no form costs a correction.

mod bit_heap;
mod bit_pairs;
mod carry_save;
mod chains;
mod contract;
mod dsp;
pub mod form;
mod heap;
mod one_bit_pairs;
mod pairs;
mod planes;
mod tree;
mod xnor;

pub use form::Dot;

use super::mvau::shape::Mvau;
use super::mvau::starts;
use super::word::fit;
use crate::device::Family;
use crate::plan::data::{Mac, Memory};
use crate::rtl::{Kernel, Module, Value};
use dq_net::Range;
use form::{Form, Names};
use tree::Term;

/// Most level bits, and fewest elements, at which counting equal bits is the smallest form.
const XNOR_LEVEL_BITS: usize = 2;
const XNOR_SIMD: usize = 6;

/// Returns the form that is called so, for weights of so many bits: one row per kind.
fn form(mac: Mac, weight_bits: usize) -> &'static dyn Form {
    match mac {
        Mac::Auto | Mac::Pairs => &pairs::Pairs,
        Mac::Chains => &chains::Chains,
        Mac::BitPairs if weight_bits == 1 => &one_bit_pairs::OneBitPairs,
        Mac::BitPairs => &bit_pairs::BitPairs,
        Mac::BitHeap => &bit_heap::BitHeap,
        Mac::Xnor => &xnor::Xnor,
        Mac::Dsp => &dsp::Dsp,
    }
}

/// Returns what the plan says for `mvau`, with accumulators of `bits`, or the smallest form that `family`
/// builds; of weights that can be `loaded` nothing is known.
pub fn choose(mvau: &Mvau, bits: usize, family: Family, loaded: bool) -> Mac {
    let Mvau { simd, level_bits, weight_bits, mac, .. } = *mvau;
    if mac != Mac::Auto {
        return mac;
    }
    // Counting is smaller than choosing while a level has few bit planes; carry chains are smaller than trees where
    // a LUT beside the carry has six inputs.
    let counts = weight_bits == 1 && level_bits <= XNOR_LEVEL_BITS && simd >= XNOR_SIMD && !loaded;
    let chains = family.has_wide_luts() && Mac::Chains.fits(simd, weight_bits);
    let first = if counts {
        Mac::Xnor
    } else if chains {
        Mac::Chains
    } else {
        Mac::Pairs
    };
    // A single word of weights is a constant, which synthesis folds into either.
    if loaded || mvau.words() == 1 {
        return first;
    }
    let pairs = [Mac::BitPairs, Mac::BitHeap].into_iter().filter(|mac| mac.fits(simd, weight_bits));
    [first].into_iter().chain(pairs).min_by_key(|&mac| luts(mvau, mac, bits, family)).expect("the first")
}

/// Returns the LUTs of all products of `mvau`, and what the memory is worth in which the starts of their
/// accumulators lie: in block RAM where there are many.
fn luts(mvau: &Mvau, mac: Mac, bits: usize, family: Family) -> usize {
    let Mvau { pe, simd, folds, level_bits, weight_bits, .. } = *mvau;
    let dot = Dot { mac, simd, level_bits, weight_bits, bits };
    let logic = pe * dot.cost(family).0;
    if folds == 1 || !dot.knows_weights() {
        return logic;
    }
    let starts = starts::cost(pe * bits, folds, Memory::Block, family);
    logic + (starts.lut + starts.bram * family.block_price() as u64) as usize
}

impl Mac {
    /// Returns whether `simd` products with weights of so many bits can be built so.
    pub fn fits(self, simd: usize, weight_bits: usize) -> bool {
        form(self, weight_bits).fits(simd, weight_bits)
    }

    /// Returns what it is for, with weights of so many bits, as a plan's error says it.
    pub(crate) fn demands(self, weight_bits: usize) -> &'static str {
        form(self, weight_bits).demands()
    }

    /// Returns whether weights can be loaded: the memory holds them as they are, and nothing else depends on them.
    pub fn loads(self) -> bool {
        let smallest = Dot { mac: self, simd: 1, level_bits: 1, weight_bits: 1, bits: 1 };
        !smallest.knows_weights()
    }
}

impl Dot {
    fn form(&self) -> &'static dyn Form {
        form(self.mac, self.weight_bits)
    }

    /// Returns the cycles from the vectors to the result.
    pub fn latency(&self) -> u64 {
        self.form().latency(self)
    }

    /// Returns the DSP blocks that it takes.
    pub fn multipliers(&self) -> usize {
        self.form().multipliers(self)
    }

    /// Returns the LUTs of four inputs and flip-flops, multipliers aside.
    pub fn cost(&self, family: Family) -> (usize, usize) {
        self.form().cost(self, family)
    }

    /// Returns what the result is beyond the dot product, of any weights.
    pub fn excess(&self) -> i64 {
        self.form().excess(self)
    }

    /// Returns whether the weights of a beat add something of their own: they must be known beforehand.
    pub fn knows_weights(&self) -> bool {
        self.form().excess_of(self).is_some()
    }

    /// Returns what the weights of a beat add to the result beyond that.
    pub fn excess_of(&self, weights: &[i64]) -> i64 {
        self.form().excess_of(self).map_or(0, |excess| (excess.of)(self, weights))
    }

    /// Turns the weights of a beat into those that the memory holds: the bits of each.
    pub fn recode(&self, weights: &mut [i64]) {
        self.form().recode(weights);
    }

    /// Returns what the result may be, excess included.
    pub fn range(&self) -> Range {
        self.form().range(self)
    }

    /// Returns the bits of the result: those of its range, at most `bits`.
    pub fn result_bits(&self) -> usize {
        self.bits_of(self.range())
    }

    /// Builds the module: `x` (level 0 in the low bits), `w`, `dot`.
    pub fn module(&self) -> Module {
        let Dot { simd, level_bits, weight_bits, .. } = *self;
        let (bits, latency) = (self.result_bits(), self.latency());
        let Names { module, what, weights } = self.form().names();
        let weights = match (weights, weight_bits) {
            (Some(weights), _) => weights.into(),
            (None, 1) => "-1 / +1 (bit 0 / 1)".into(),
            (None, _) => format!("{weight_bits} bits, signed"),
        };
        let excess = if self.excess() == 0 { String::new() } else { format!(" + {}", self.excess()) };
        let more = self.form().excess_of(self).map_or(String::new(), |excess| format!(" + {}", excess.what));
        let more = excess + &more;
        let note = format!(
            "Dot product of {simd} levels ({level_bits} bits) and {simd} weights, element 0 in the low \
             bits.\n\
             Weights: {weights}.\n\
             dot = x[0] w[0] + ...{more} modulo 2^{bits}: {what}. Latency {latency}, interval 1."
        );
        let name = format!("dq_{module}_s{simd}_x{level_bits}_w{weight_bits}_r{bits}");
        let mut k = Kernel::new(&name, &note);
        let x = k.input("x", simd * level_bits);
        let w = k.input("w", simd * weight_bits);
        let dot = k.output("dot", bits);
        let (total, registers) = self.form().build(self, &mut k, x, w);
        let Term { value, range } = total;
        let have = value.width();
        if have > bits {
            k.unused((&value).slice(bits, have - bits));
        }
        assert!(registers == latency, "{name}: {registers} registers deep, not {latency}");
        k.drive(dot, fit(value, range.signed(), bits));
        k.contract(&contract::dot(self, self.form()));
        k.build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pairs_bits_are_chosen_where_they_are_smaller_and_weights_are_known() {
        let unit = |simd, taps, folds| {
            let (level_bits, weight_bits, mac) = (2, 2, Mac::Auto);
            Mvau { pe: 8, simd, taps, folds, level_bits, weight_bits, mac }
        };
        let wide = unit(32, 9, 8);
        assert_eq!(choose(&wide, 16, Family::Xc7, false), Mac::BitPairs);
        assert_eq!(choose(&wide, 16, Family::Xc7, true), Mac::Chains);
        assert_eq!(choose(&unit(32, 1, 1), 16, Family::Xc7, false), Mac::Chains, "constant weights");
        assert_eq!(choose(&unit(4, 9, 512), 16, Family::Xc7, false), Mac::Chains, "many starts");
        assert_eq!(choose(&wide, 16, Family::Ecp5, false), Mac::BitHeap);
        assert_eq!(choose(&wide, 16, Family::Ecp5, true), Mac::Pairs);
        assert_eq!(choose(&unit(6, 9, 8), 16, Family::Ecp5, false), Mac::BitHeap);
        assert_eq!(choose(&unit(5, 9, 8), 16, Family::Ecp5, false), Mac::Pairs, "an odd number");
        let four = Mvau { level_bits: 4, weight_bits: 4, ..wide };
        assert_eq!(choose(&four, 16, Family::Ecp5, false), Mac::BitPairs);
        let one = Mvau { level_bits: 1, weight_bits: 1, ..unit(32, 9, 8) };
        assert_eq!(choose(&one, 16, Family::Xc7, false), Mac::BitPairs);
        assert_eq!(choose(&one, 16, Family::Ecp5, false), Mac::BitHeap);
        assert_eq!(choose(&Mvau { simd: 7, ..one }, 16, Family::Xc7, false), Mac::Xnor, "an odd number");
        assert_eq!(choose(&Mvau { level_bits: 2, ..one }, 16, Family::Xc7, false), Mac::BitPairs);
        let known = Mac::FORMS.into_iter().filter(|mac| !mac.loads());
        assert!(known.eq([Mac::BitPairs, Mac::BitHeap, Mac::Xnor]));
    }

    #[test]
    fn forms_that_know_their_weights_leave_time_to_read_the_starts() {
        for (simd, weight_bits) in (1..=8).flat_map(|simd| [1, 2, 4].map(|bits| (simd, bits))) {
            for mac in Mac::FORMS.into_iter().filter(|mac| !mac.loads() && mac.fits(simd, weight_bits)) {
                let dot = Dot { mac, simd, level_bits: 1, weight_bits, bits: 16 };
                assert!(dot.latency() >= 2, "{dot:?}");
            }
        }
    }

    #[test]
    fn what_weights_add_is_counted_pair_by_pair() {
        let dot = Dot { mac: Mac::BitPairs, simd: 4, level_bits: 2, weight_bits: 2, bits: 16 };
        // ~(1 | -2) = 0 and ~(0 | 0) = -1, three times each, as levels have two bits.
        assert_eq!(dot.excess_of(&[1, -2, 0, 0]), -3);
        let one = Dot { weight_bits: 1, ..dot };
        // Twice the largest level for the pair of -1 and -1.
        assert_eq!(one.excess_of(&[-1, -1, -1, 1]), 6);
        let xnor = Dot { mac: Mac::Xnor, ..one };
        assert_eq!(xnor.excess_of(&[1, -1, -1, 1]), 6);
        assert_eq!(Dot { mac: Mac::Chains, ..dot }.excess_of(&[1, -2, 0, 0]), 0);
    }
}
