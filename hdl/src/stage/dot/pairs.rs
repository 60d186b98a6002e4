//! Adds bit planes of the weights in a tree.
//!
//! Levels are taken in pairs: sum and difference of each pair are computed once and registered (synthesis
//! merges those of all PEs, which see the same levels), and two weight bits choose among them. That takes one
//! LUT of six inputs per bit, where masking both levels and adding them takes two.

use super::form::{Dot, Form, Names};
use super::tree::{Term, Tree};
use crate::device::Family;
use crate::rtl::{Expr, Kernel, Sig, Value, lanes, lit};
use dq_net::Range;

/// Number of adder levels between two registers.
const LEVELS: usize = 2;

/// Builds bit planes in an adder tree.
pub struct Pairs;

impl Form for Pairs {
    fn names(&self) -> Names {
        Names { module: "dot", what: "an adder tree a bit of the weights", weights: None }
    }

    fn fits(&self, _simd: usize, _weight_bits: usize) -> bool {
        true
    }

    fn demands(&self) -> &'static str {
        "pairs are for all weights"
    }

    fn latency(&self, dot: &Dot) -> u64 {
        let log2 = |n: usize| n.next_power_of_two().trailing_zeros() as usize;
        match (dot.simd, dot.weight_bits) {
            (1, bits) => log2(bits.max(2)).div_ceil(LEVELS) as u64,
            // Sums of pairs come first, then a tree of half as many values; weights −1/+1 have one plane.
            (simd, bits) => 1 + (log2(simd.div_ceil(2)) + log2(bits)).div_ceil(LEVELS) as u64,
        }
    }

    fn build(&self, dot: &Dot, k: &mut Kernel, x: Sig, w: Sig) -> (Term, u64) {
        let planes = match (dot.simd, dot.weight_bits) {
            (1, 1) => signs(dot, x, w),
            (1, _) => products(dot, x, w),
            (_, 1) => signed_pairs(dot, k, x, w),
            _ => pairs(dot, k, x, w),
        };
        let first = usize::from(dot.simd > 1);
        let mut tree = Tree { k, bits: dot.bits_of(dot.products()), level: 0, step: LEVELS };
        let planes = tree.add_planes(planes);
        let total = tree.join(planes);
        (total, (first + tree.level / LEVELS) as u64)
    }

    fn cost(&self, dot: &Dot, _family: Family) -> (usize, usize) {
        let Dot { simd, level_bits, weight_bits, .. } = *dot;
        let planes = weight_bits.max(2);
        // Each plane is a tree of simd − 1 adders of growing width; then the planes are joined at full width.
        let (mut lut, mut ff, mut count, mut width, mut level) = (0, 0, simd, level_bits, 0);
        while count > 1 {
            width += 1;
            lut += planes * (count / 2) * (width + 1);
            count = count.div_ceil(2);
            level += 1;
            if level % 2 == 0 {
                ff += planes * count * width;
            }
        }
        lut += (planes - 1) * (width + planes);
        ff += width + planes;
        // Yosys builds the low levels in LUTs that do not absorb the masks.
        (lut * 8 / 5, ff)
    }
}

/// Returns, for weights −1/+1, x or its complement, and one more for each complement.
fn signs(dot: &Dot, x: Sig, w: Sig) -> Vec<Vec<Term>> {
    let high = dot.most_level();
    let value = |i: usize| {
        let flip = w.bit(i).not();
        let level = x.lane(i, dot.level_bits).zext(dot.level_bits + 1);
        level.xor(flip.repeat(dot.level_bits + 1)).signed()
    };
    let values =
        (0..dot.simd).map(|i| Term { value: value(i), range: Range::new(-high - 1, high) }).collect();
    let ones = (0..dot.simd).map(|i| Term { value: w.bit(i).not(), range: Range::new(0, 1) }).collect();
    vec![values, ones]
}

/// Returns the planes: plane b has the levels whose weight has bit b.
fn products(dot: &Dot, x: Sig, w: Sig) -> Vec<Vec<Term>> {
    let range = Range::levels(dot.level_bits as u8);
    let value = |i: usize, plane: usize| {
        x.lane(i, dot.level_bits).and(w.bit(i * dot.weight_bits + plane).repeat(dot.level_bits))
    };
    let plane = |b| (0..dot.simd).map(|i| Term { value: value(i, b), range }).collect();
    (0..dot.weight_bits).map(plane).collect()
}

/// Returns for each pair of levels its sum or difference or one of their negatives, which two weights −1/+1
/// choose. A cycle later.
fn signed_pairs(dot: &Dot, k: &mut Kernel, x: Sig, w: Sig) -> Vec<Vec<Term>> {
    let (bits, most) = (dot.level_bits, dot.most_level());
    let w = k.held("w_held", w);
    let pair = |first: usize| {
        let (a, second) = (x.lane(first, bits), (first + 1 < dot.simd).then(|| x.lane(first + 1, bits)));
        let wide = bits + 2;
        let zero = lit(0, wide);
        let (a, b) = (a.zext(wide), second.clone().map_or(zero.clone(), |b| b.zext(wide)));
        let parts = [("sum", a.clone().add(b.clone(), wide)), ("difference", a.sub(b, wide))];
        let [(sum, minus_sum), (difference, minus_difference)] = parts.map(|(name, value)| {
            let value = k.wire(&format!("{name}{first}"), value);
            let negative = zero.clone().sub(value, wide);
            (
                k.held(&format!("{name}{first}"), value.expr()),
                k.held(&format!("minus_{name}{first}"), negative),
            )
        });
        let value = match second {
            Some(_) => {
                let (one, other) = (w.bit(first), w.bit(first + 1));
                one.mux(other.clone().mux(sum, difference), other.mux(minus_difference, minus_sum))
            }
            None => {
                k.unused(difference);
                k.unused(minus_difference);
                w.bit(first).mux(sum, minus_sum)
            }
        };
        let value = k.wire(&format!("pair{first}"), value);
        Term { value: value.into(), range: Range::new(-2 * most, 2 * most) }
    };
    vec![(0..dot.simd).step_by(2).map(pair).collect()]
}

/// Returns the planes: for each pair of levels what two bits of weights choose of 0, both levels and their
/// sum. A cycle later.
fn pairs(dot: &Dot, k: &mut Kernel, x: Sig, w: Sig) -> Vec<Vec<Term>> {
    let (bits, most) = (dot.level_bits, dot.most_level());
    let w = k.held("w_held", w);
    let mut planes = vec![vec![]; dot.weight_bits];
    for first in (0..dot.simd).step_by(2) {
        let (a, second) = (x.lane(first, bits), (first + 1 < dot.simd).then(|| x.lane(first + 1, bits)));
        let weight = |i: usize, plane: usize| w.bit(i * dot.weight_bits + plane);
        let one = k.held(&format!("x{first}"), a.clone());
        let other = second.map(|b| {
            let sum = a.add(b.clone(), bits + 1);
            let other = k.held(&format!("x{}", first + 1), b);
            let sum = k.wire(&format!("sum{first}"), sum);
            // The lowest bit needs no sum.
            k.unused(sum.bit(0));
            (other, k.held(&format!("sum{first}_high"), sum.slice(1, bits)))
        });
        for (b, plane) in planes.iter_mut().enumerate() {
            let wide = |value: Sig| value.zext(bits + 1);
            let value = match other {
                Some((other, sum_high)) => {
                    let (left, right) = (weight(first, b), weight(first + 1, b));
                    let low = left.clone().and(one.bit(0)).xor(right.clone().and(other.bit(0)));
                    let high = |value: Expr| value.slice(1, bits);
                    let with = left.clone().mux(sum_high, high(wide(other)));
                    let high = right.mux(with, left.mux(high(wide(one)), lit(0, bits)));
                    lanes([low, high])
                }
                None => wide(one).and(weight(first, b).repeat(bits + 1)),
            };
            let value = k.wire(&format!("pair{first}_plane{b}"), value);
            plane.push(Term { value: value.into(), range: Range::new(0, 2 * most) });
        }
    }
    planes
}
