//! The dot product of a vector of levels and a vector of weights: bit planes of the weights, added in a pipelined tree.
//! No `*`, which tools map to a DSP block even where it is 2 bits wide. Shared by every node of the same widths.
//!
//! Levels are taken in pairs: sum and difference of each pair are computed once and registered (synthesis merges those of
//! all PEs, which see the same levels), and two weight bits choose among them. That is one LUT of six inputs a bit, where
//! masking both levels and adding them is two.

use super::{contract, fit};
use crate::rtl::{Expr, Kernel, Module, Sig, Value, lit};
use dq_net::Range;

/// Levels of the adder tree between two registers.
const LEVELS: usize = 2;

/// Shape of a dot product.
#[derive(Clone, Copy, Debug)]
pub struct Dot {
    /// Elements.
    pub simd: usize,
    /// Bits of a level, unsigned.
    pub level_bits: usize,
    /// Bits of a weight: 1 is −1/+1 (0 stands for −1), more is two's complement.
    pub weight_bits: usize,
    /// Bits of the result, modulo 2^bits, at most.
    pub bits: usize,
}

/// Cycles from the vectors to the result.
pub fn latency(simd: usize, weight_bits: usize) -> u64 {
    let log2 = |n: usize| n.next_power_of_two().trailing_zeros() as usize;
    match (simd, weight_bits) {
        (1, bits) => log2(bits.max(2)).div_ceil(LEVELS) as u64,
        // Sums of pairs, then a tree of half as many values; −1/+1 has one plane.
        (_, bits) => 1 + (log2(simd.div_ceil(2)) + log2(bits)).div_ceil(LEVELS) as u64,
    }
}

/// A value of the tree, with what it may hold.
#[derive(Clone, Debug)]
struct Term {
    value: Expr,
    range: Range,
}

/// Adds terms, level by level, with registers between.
struct Tree<'a> {
    k: &'a mut Kernel,
    bits: usize,
    level: usize,
}

impl Dot {
    /// Bits of the result: those of its range, at most `bits`.
    pub fn result_bits(&self) -> usize {
        let high = ((1i64 << self.level_bits) - 1) * self.simd as i64;
        let range = match self.weight_bits {
            1 => Range::new(-high, high),
            w => Range::new(-(high << (w - 1)), high * ((1 << (w - 1)) - 1)),
        };
        (range.bits() as usize).min(self.bits)
    }

    /// The module: `x` (level 0 in the low bits), `w`, `dot`.
    pub fn module(&self) -> Module {
        let Dot { simd, level_bits, weight_bits, .. } = *self;
        let bits = self.result_bits();
        let latency = latency(simd, weight_bits);
        let weights = if weight_bits == 1 {
            "-1 / +1 (bit 0 / 1)".into()
        } else {
            format!("{weight_bits} bits, signed")
        };
        let note = format!(
            "Dot product of {simd} levels ({level_bits} bits) and {simd} weights ({weights}), element 0 in the low bits.\n\
             dot = x[0] w[0] + ... modulo 2^{bits}: one adder tree a bit of the weights. Latency {latency}, interval 1."
        );
        let name = format!("dq_dot_s{simd}_x{level_bits}_w{weight_bits}_r{bits}");
        let mut k = Kernel::new(&name, &note);
        let x = k.input("x", simd * level_bits);
        let w = k.input("w", simd * weight_bits);
        let dot = k.output("dot", bits);
        let planes = match (simd, weight_bits) {
            (1, 1) => signs(self, x, w),
            (1, _) => products(self, x, w),
            _ => pairs(self, &mut k, x, w),
        };
        let first = usize::from(simd > 1);
        let mut tree = Tree { k: &mut k, bits, level: 0 };
        let planes = tree.add_planes(planes);
        let total = tree.join(planes);
        let registers = first + tree.level / LEVELS;
        let have = total.value.width();
        if have > bits {
            k.unused((&total.value).slice(bits, have - bits));
        }
        let result = fit(total.value, total.range.signed(), bits);
        assert!(registers as u64 == latency, "{name}: {registers} registers deep, not {latency}");
        k.drive(dot, result);
        k.contract(&contract::dot(simd, level_bits, weight_bits, bits, latency as usize));
        k.build()
    }
}

/// Weights −1/+1: x or its complement, and one more for each complement.
fn signs(dot: &Dot, x: Sig, w: Sig) -> Vec<Vec<Term>> {
    let high = (1i64 << dot.level_bits) - 1;
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

/// Plane b: the levels whose weight has bit b.
fn products(dot: &Dot, x: Sig, w: Sig) -> Vec<Vec<Term>> {
    let range = Range::levels(dot.level_bits as u8);
    let value = |i: usize, plane: usize| {
        x.lane(i, dot.level_bits).and(w.bit(i * dot.weight_bits + plane).repeat(dot.level_bits))
    };
    let plane = |b| (0..dot.simd).map(|i| Term { value: value(i, b), range }).collect();
    (0..dot.weight_bits).map(plane).collect()
}

/// Each plane: for each pair of levels what two bits of weights choose of 0, both levels and their sum; where weights are
/// −1/+1, of sum and difference and their negatives. A cycle later.
fn pairs(dot: &Dot, k: &mut Kernel, x: Sig, w: Sig) -> Vec<Vec<Term>> {
    let (bits, most) = (dot.level_bits, (1i64 << dot.level_bits) - 1);
    let register = |k: &mut Kernel, name: String, value: Expr| {
        let reg = k.reg(&name, value.width(), None);
        k.next(reg, None, value);
        reg
    };
    let w = register(k, "w_held".into(), w.expr());
    let mut planes = vec![vec![]; dot.weight_bits];
    for first in (0..dot.simd).step_by(2) {
        let (a, second) = (x.lane(first, bits), (first + 1 < dot.simd).then(|| x.lane(first + 1, bits)));
        let weight = |i: usize, plane: usize| w.bit(i * dot.weight_bits + plane);
        if dot.weight_bits == 1 {
            let wide = bits + 2;
            let zero = lit(0, wide);
            let (a, b) = (a.zext(wide), second.clone().map_or(zero.clone(), |b| b.zext(wide)));
            let parts = [("sum", a.clone().add(b.clone(), wide)), ("difference", a.sub(b, wide))];
            let [(sum, minus_sum), (difference, minus_difference)] = parts.map(|(name, value)| {
                let value = k.wire(&format!("{name}{first}"), value);
                let negative = zero.clone().sub(value, wide);
                (
                    register(k, format!("{name}{first}"), value.expr()),
                    register(k, format!("minus_{name}{first}"), negative),
                )
            });
            let value = match second {
                Some(_) => {
                    let (one, other) = (weight(first, 0), weight(first + 1, 0));
                    one.mux(other.clone().mux(sum, difference), other.mux(minus_difference, minus_sum))
                }
                None => {
                    k.unused(difference);
                    k.unused(minus_difference);
                    weight(first, 0).mux(sum, minus_sum)
                }
            };
            let value = k.wire(&format!("pair{first}"), value);
            planes[0].push(Term { value: value.into(), range: Range::new(-2 * most, 2 * most) });
            continue;
        }
        let one = register(k, format!("x{first}"), a.clone());
        let other = second.map(|b| {
            let sum = a.add(b.clone(), bits + 1);
            let other = register(k, format!("x{}", first + 1), b);
            (other, register(k, format!("sum{first}"), sum))
        });
        for (b, plane) in planes.iter_mut().enumerate() {
            let wide = |value: Sig| value.zext(bits + 1);
            let value = match other {
                Some((other, sum)) => {
                    let (left, right) = (weight(first, b), weight(first + 1, b));
                    let with = left.clone().mux(sum, wide(other));
                    right.mux(with, left.mux(wide(one), lit(0, bits + 1)))
                }
                None => wide(one).and(weight(first, b).repeat(bits + 1)),
            };
            let value = k.wire(&format!("pair{first}_plane{b}"), value);
            plane.push(Term { value: value.into(), range: Range::new(0, 2 * most) });
        }
    }
    planes
}

impl Tree<'_> {
    /// Each plane to one term, all in step.
    fn add_planes(&mut self, mut planes: Vec<Vec<Term>>) -> Vec<Term> {
        while planes[0].len() > 1 {
            self.level += 1;
            if planes.len() == 1 && planes[0].len() == 2 {
                // The sum: nothing is joined to it.
                self.level = self.level.next_multiple_of(LEVELS);
            }
            for (p, plane) in planes.iter_mut().enumerate() {
                let pairs = std::mem::take(plane);
                *plane = pairs
                    .chunks(2)
                    .enumerate()
                    .map(|(i, pair)| {
                        let name = format!("plane{p}_level{}_{i}", self.level);
                        match pair {
                            [a, b] => self.add(&name, a, b, 0, false),
                            [a] => self.keep(&name, a),
                            _ => unreachable!("pairs"),
                        }
                    })
                    .collect();
            }
        }
        planes.into_iter().map(|mut plane| plane.remove(0)).collect()
    }

    /// The planes, weighted, to one term; registered at the end.
    fn join(&mut self, planes: Vec<Term>) -> Term {
        // −1/+1: both planes have weight 1. Else plane b has weight 2^b, and the last one is negative.
        let signs = planes[0].range.signed();
        let mut terms: Vec<(Term, bool)> = planes.into_iter().map(|term| (term, false)).collect();
        if !signs {
            terms.last_mut().expect("at least two planes").1 = true;
        }
        let mut weight = usize::from(!signs);
        while terms.len() > 1 {
            self.level += 1;
            let last = terms.len() == 2;
            if last {
                self.level = self.level.next_multiple_of(LEVELS);
            }
            let joined = terms.chunks(2).enumerate().map(|(i, pair)| {
                let name = format!("joined_level{}_{i}", self.level);
                match pair {
                    // A sum that contains the negative plane is signed already.
                    [a, b] => (self.add(&name, &a.0, &b.0, weight, b.1), false),
                    [a] => (self.keep(&name, &a.0), a.1),
                    _ => unreachable!("pairs"),
                }
            });
            terms = joined.collect();
            weight *= 2;
        }
        terms.remove(0).0
    }

    /// `a + b·2^shift`, or `a − b·2^shift`.
    fn add(&mut self, name: &str, a: &Term, b: &Term, shift: usize, negative: bool) -> Term {
        let (low, high) = (b.range.lo << shift, b.range.hi << shift);
        let (low, high) = if negative { (-high, -low) } else { (low, high) };
        let range = Range::new(a.range.lo + low, a.range.hi + high);
        let width = (range.bits() as usize).min(self.bits);
        let left = self.low(a, width);
        let value = match width.saturating_sub(shift) {
            0 => {
                self.k.unused(&b.value);
                left
            }
            kept => {
                let right = self.low(b, kept).shl(shift, width);
                if negative { left.sub(right, width) } else { left.add(right, width) }
            }
        };
        self.name(name, value, range)
    }

    /// `width` bits of a term; those above do not matter modulo 2^bits.
    fn low(&mut self, term: &Term, width: usize) -> Expr {
        let have = term.value.width();
        if have > width {
            self.k.unused((&term.value).slice(width, have - width));
        }
        fit(&term.value, term.range.signed(), width)
    }

    fn keep(&mut self, name: &str, a: &Term) -> Term {
        if self.level.is_multiple_of(LEVELS) { self.name(name, a.value.clone(), a.range) } else { a.clone() }
    }

    /// A wire, or a register at every [`LEVELS`]th level.
    fn name(&mut self, name: &str, value: Expr, range: Range) -> Term {
        let value = if self.level.is_multiple_of(LEVELS) {
            let register = self.k.reg(name, value.width(), None);
            self.k.next(register, None, value.unsigned());
            register.expr()
        } else {
            self.k.wire(name, value.unsigned()).expr()
        };
        Term { value, range }
    }
}
