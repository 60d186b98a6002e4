//! Builds products in the device's multipliers, two per multiplier where their bits leave room: (x₀ +
//! x₁·2^s)·(w₁ + w₀·2^s) = x₀w₁ + (x₀w₀ + x₁w₁)·2^s + x₁w₀·2^2s has the sum of both products in the middle.
//!
//! The field below the middle is signed: where it is negative it has taken one from the middle. That one is
//! given back as the carry of an addition in the tree, so that it costs nothing.

use super::form::{Dot, Form, Names};
use super::tree::{Term, Tree, cut};
use crate::device::Family;
use crate::rtl::{Expr, Kernel, Sig, Value, addr_bits, lanes, lit};
use crate::stage::word::fit;
use dq_net::Range;

/// Number of bits of a multiplier's signed operand: the fewest of all families.
const OPERAND: usize = 16;

/// Returns the bits of a field of two products, their sum's.
fn field(dot: &Dot) -> usize {
    dot.level_bits + dot.weight_bits + 1
}

/// Returns whether two products share a multiplier: both operands, the levels' with a sign, fit it.
fn packed(dot: &Dot) -> bool {
    let (levels, weights) = (dot.level_bits + 1, dot.weight_bits + 1);
    dot.simd > 1 && field(dot) + levels.max(weights) <= OPERAND
}

/// Builds products in DSP blocks.
pub struct Dsp;

impl Form for Dsp {
    fn names(&self) -> Names {
        Names { module: "dsp", what: "multipliers", weights: None }
    }

    fn fits(&self, _simd: usize, weight_bits: usize) -> bool {
        weight_bits >= 2
    }

    fn demands(&self) -> &'static str {
        "dsp is for weights of 2 bits or more"
    }

    fn multipliers(&self, dot: &Dot) -> usize {
        if packed(dot) { dot.simd.div_ceil(2) } else { dot.simd }
    }

    fn latency(&self, dot: &Dot) -> u64 {
        // There are registers for the operands, for the products, in the tree, and for the carry that is left
        // over.
        let sums = self.multipliers(dot);
        let tree = if sums > 1 { addr_bits(sums) } else { 0 };
        (2 + tree + usize::from(packed(dot))) as u64
    }

    /// Counts the packing of two weights, and an adder tree.
    fn cost(&self, dot: &Dot, _family: Family) -> (usize, usize) {
        let Dot { simd, level_bits, weight_bits, .. } = *dot;
        let sums = self.multipliers(dot);
        let (packed, width) = (simd - sums, level_bits + weight_bits);
        // On average a sum of the tree has two bits more than a product.
        let lut =
            packed * (weight_bits + 1) + (sums - 1) * (width + 3) + usize::from(packed > 0) * (width + 5);
        (lut, simd * width + packed + sums * (2 * width + 4))
    }

    fn build(&self, dot: &Dot, k: &mut Kernel, x: Sig, w: Sig) -> (Term, u64) {
        let simd = dot.simd;
        if !packed(dot) {
            let term = |i: usize| Term { value: product(dot, k, i, x, w), range: product_range(dot, 1) };
            let products = (0..simd).map(term).collect();
            let mut tree = Tree { k, bits: dot.bits_of(dot.products()), level: 0, step: 1 };
            let total = tree.add_planes(vec![products]).remove(0);
            return (total, 2 + tree.level as u64);
        }
        let mut sums: Vec<Sum> = (0..simd).step_by(2).map(|first| pair(dot, k, first, x, w)).collect();
        let mut level = 0;
        while sums.len() > 1 {
            level += 1;
            let mut rest = sums.into_iter().enumerate();
            sums = vec![];
            while let Some((i, a)) = rest.next() {
                let name = format!("level{level}_{}", i / 2);
                sums.push(match rest.next() {
                    Some((_, b)) => add(k, &name, dot.bits_of(dot.products()), a, b),
                    None => Sum {
                        value: k.held(&name, a.value).expr(),
                        carry: a.carry.map(|carry| k.held(&format!("{name}_carry"), carry).expr()),
                        ..a
                    },
                });
            }
        }
        let Sum { value, carry, range } = sums.remove(0);
        let bits = (range.bits() as usize).min(dot.bits_of(dot.products()));
        let value = cut(k, value, bits);
        let value = match carry {
            Some(carry) => value.add(carry.zext(bits), bits),
            None => value,
        };
        (Term { value: k.held("total", value).expr(), range }, 3 + level)
    }
}

/// Holds a sum without its carry, and the carry.
struct Sum {
    value: Expr,
    carry: Option<Expr>,
    /// Range of the sum with its carry.
    range: Range,
}

/// Sums the products of element `first` and the one behind it, if there is one; two cycles later.
fn pair(dot: &Dot, k: &mut Kernel, first: usize, x: Sig, w: Sig) -> Sum {
    let Dot { simd, level_bits, weight_bits, .. } = *dot;
    let field = field(dot);
    let level = |i: usize| x.lane(i, level_bits);
    let weight = |i: usize| w.lane(i, weight_bits);
    if first + 1 == simd {
        return Sum { value: product(dot, k, first, x, w), carry: None, range: product_range(dot, 1) };
    }
    let levels = lanes([level(first).zext(field), level(first + 1).zext(level_bits + 1)]);
    let levels = k.held(&format!("x{first}"), levels);
    // A negative weight in the low field takes one from the high field, which is given back here.
    let low = weight(first + 1).signed().sext(field);
    let high = weight(first)
        .signed()
        .sext(weight_bits + 1)
        .sub(sign(weight(first + 1), weight_bits), weight_bits + 1);
    let weights = k.held(&format!("w{first}"), lanes([low.unsigned(), high.unsigned()]));
    let product = levels.signed().mul(weights.signed(), 2 * field);
    let product = k.held(&format!("product{first}"), product);
    k.unused(product.slice(0, field - 1));
    let value = product.slice(field, field);
    Sum { value, carry: Some(product.bit(field - 1)), range: product_range(dot, 2) }
}

/// Returns the product of element `i` alone, two cycles later.
fn product(dot: &Dot, k: &mut Kernel, i: usize, x: Sig, w: Sig) -> Expr {
    let Dot { level_bits, weight_bits, .. } = *dot;
    let level = k.held(&format!("x{i}"), x.lane(i, level_bits).zext(level_bits + 1));
    let weight = k.held(&format!("w{i}"), w.lane(i, weight_bits));
    let product = level.signed().mul(weight.signed(), level_bits + weight_bits);
    k.held(&format!("product{i}"), product).expr()
}

/// Returns 1 where a weight is negative, in bits that a signed subtraction takes.
fn sign(weight: Expr, bits: usize) -> Expr {
    lanes([weight.bit(bits - 1), lit(0, bits)]).signed()
}

/// Returns `a + b` with one of their carries, a cycle later.
fn add(k: &mut Kernel, name: &str, bits: usize, a: Sum, b: Sum) -> Sum {
    let range = Range::new(a.range.lo + b.range.lo, a.range.hi + b.range.hi);
    // Without its carry a sum may be one less than the range's least.
    let width = (Range::new(range.lo - 1, range.hi).bits() as usize).min(bits);
    let (left, right) = (widen(k, a.value, width), widen(k, b.value, width));
    let (used, kept) = match (a.carry, b.carry) {
        (Some(used), kept) => (Some(used), kept),
        (None, used) => (used, None),
    };
    let value = match used {
        Some(carry) => {
            let sum = lanes([lit(1, 1), left]).add(lanes([carry, right]), width + 1);
            let sum = k.wire(&format!("{name}_sum"), sum);
            k.unused(sum.bit(0));
            sum.slice(1, width)
        }
        None => left.add(right, width),
    };
    let carry = kept.map(|carry| k.held(&format!("{name}_carry"), carry).expr());
    Sum { value: k.held(name, value).expr(), carry, range }
}

/// Brings a signed value to `width` bits.
fn widen(k: &mut Kernel, value: Expr, width: usize) -> Expr {
    let value = cut(k, value, width);
    fit(value, true, width).unsigned()
}

/// Returns what the sum of `count` products may be.
fn product_range(dot: &Dot, count: usize) -> Range {
    Dot { simd: count, ..*dot }.products()
}
