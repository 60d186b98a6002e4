//! Adds one bit for every two products of bits, as [`BitPairs`] and [`OneBitPairs`] do, but in a heap that full
//! adders compress: the smallest way where LUTs have four inputs, since a short carry chain leaves more of them
//! idle. What the levels give by themselves is the same for all PEs: it is counted once, and joins the heap as a
//! number.

use super::bit_pairs::BitPairs;
use super::carry_save::{Columns, Late, compress};
use super::form::{Dot, Excess, Form, Names};
use super::heap::{Circuit, Dry};
use super::one_bit_pairs::OneBitPairs;
use super::planes::majority;
use super::tree::Term;
use crate::device::Family;
use crate::rtl::{Kernel, Sig, Value, lanes, lit};
use dq_net::Range;

/// Builds heaps of pairs' bits.
pub struct BitHeap;

impl Form for BitHeap {
    fn names(&self) -> Names {
        Names { module: "bitheap", what: "a bit for two products of bits, in full adders", weights: None }
    }

    /// The accumulators need two cycles to read their starts, which two weights of one bit do not give.
    fn fits(&self, simd: usize, weight_bits: usize) -> bool {
        simd.is_multiple_of(2) && (weight_bits > 1 || simd > 2)
    }

    fn demands(&self) -> &'static str {
        "bitheap is for a simd that is even, above 2 for weights of 1 bit"
    }

    fn latency(&self, dot: &Dot) -> u64 {
        self.dry(dot).0
    }

    fn range(&self, dot: &Dot) -> Range {
        in_chains(dot).range(dot)
    }

    fn excess(&self, dot: &Dot) -> i64 {
        in_chains(dot).excess(dot)
    }

    fn excess_of(&self, dot: &Dot) -> Option<Excess> {
        in_chains(dot).excess_of(dot)
    }

    fn build(&self, dot: &Dot, k: &mut Kernel, x: Sig, w: Sig) -> (Term, u64) {
        let Dot { level_bits, weight_bits, .. } = *dot;
        let bits = self.range(dot).bits() as usize;
        let level = |pair: usize, bit: usize| [0, 1].map(|i| x.bit((2 * pair + i) * level_bits + bit));
        let shared = of_levels(dot, |pair, bit| {
            let [p, q] = level(pair, bit);
            if weight_bits == 1 { p.xor(q).not() } else { p.and(q).not() }
        });
        let (shared, registers) = compress(&mut Circuit::new(k, "levels_"), shared, None, bits);
        let late = Late { bits: shared, registers };
        let pairs = of_weights(dot, |pair, bit, plane| {
            let flips = [0, 1].map(|i| w.bit((2 * pair + i) * weight_bits + plane).not());
            let majority = majority(level(pair, bit), flips);
            // The highest plane of weights of more than one bit is negative.
            if weight_bits > 1 && plane + 1 == weight_bits { majority.not() } else { majority }
        });
        let (total, registers) = compress(&mut Circuit::new(k, ""), pairs, Some(late), bits);
        let total = lanes(total.into_iter().map(|bit| bit.unwrap_or(lit(0, 1))));
        (Term { value: k.wire("total", total).into(), range: self.range(dot) }, registers)
    }

    /// Counts adders, and a tenth more: where two stand between registers, tools make some bits twice.
    fn cost(&self, dot: &Dot, family: Family) -> (usize, usize) {
        let (_, own, shared) = self.dry(dot);
        let lut = own.luts + shared.luts / SHARED;
        // Wide LUTs are no wider than what full adders ask for.
        let lut = if family.has_wide_luts() { lut * 7 / 6 } else { lut * 11 / 10 };
        (lut, own.flip_flops + shared.flip_flops / SHARED)
    }
}

/// Number of PEs among which estimates divide what all share.
const SHARED: usize = 8;

impl BitHeap {
    /// Returns the registers, what a dot product takes by itself, and what all of the same levels share.
    fn dry(&self, dot: &Dot) -> (u64, Dry, Dry) {
        let bits = self.range(dot).bits() as usize;
        let (mut own, mut shared) = (Dry::default(), Dry::default());
        let products = of_levels(dot, |_, _| ());
        shared.luts += products.iter().map(Vec::len).sum::<usize>();
        let (number, registers) = compress(&mut shared, products, None, bits);
        let pairs = of_weights(dot, |_, _, _| ());
        own.luts += pairs.iter().map(Vec::len).sum::<usize>();
        let (_, registers) = compress(&mut own, pairs, Some(Late { bits: number, registers }), bits);
        (registers, own, shared)
    }
}

/// Returns the form that adds the same bits in carry chains: what is added too much is the same.
fn in_chains(dot: &Dot) -> &'static dyn Form {
    if dot.weight_bits == 1 { &OneBitPairs } else { &BitPairs }
}

/// Returns what `make` makes of each pair and bit of its levels, by weight.
fn of_levels<T>(dot: &Dot, mut make: impl FnMut(usize, usize) -> T) -> Columns<T> {
    let column = |bit| (0..dot.simd / 2).map(|pair| make(pair, bit)).collect();
    (0..dot.level_bits).map(column).collect()
}

/// Returns what `make` makes of each pair, bit of its levels and bit plane of its weights, by weight.
fn of_weights<T>(dot: &Dot, mut make: impl FnMut(usize, usize, usize) -> T) -> Columns<T> {
    let Dot { simd, level_bits, weight_bits, .. } = *dot;
    let mut columns: Columns<T> = (0..level_bits + weight_bits).map(|_| vec![]).collect();
    for bit in 0..level_bits {
        for plane in 0..weight_bits {
            // Of weights -1/+1 the majority counts twice.
            let at = bit + if weight_bits == 1 { 1 } else { plane };
            columns[at].extend((0..simd / 2).map(|pair| make(pair, bit, plane)));
        }
    }
    columns
}
