//! Adds one bit for every two products of bits, for weights −1/+1. Of bits p and q of two levels, and u and v
//! of two weights (bit 1 for +1),
//!
//! (p ⊙ u) + (q ⊙ v) = 2·m + (p ⊙ q) − (u ⊙ v), where m is the majority of p ⊙ u, q ⊙ v and p ⊕ q (⊙: equal),
//!
//! which is one LUT of four inputs, where the sum itself has two bits. The counts of p ⊙ q are the same for
//! all PEs and are added up once; u ⊙ v, and the number of weights −1, are known beforehand and left to the
//! accumulators ([`Form::excess_of`]).
//!
//! A chain takes up to 18 pairs. It begins with the count of p ⊙ q, whose lowest bit is final, and each of its
//! additions takes six bits m: five are counted in the LUTs of the carry chain, the sixth is the carry that
//! goes in. There is a register behind each. A chain stands for each bit plane of the levels, and a tree adds
//! their results.

use super::form::{Dot, Excess, Form, Names};
use super::heap::{Builder, Circuit, bits_of};
use super::planes::{delayed, majority, total};
use super::tree::Term;
use crate::device::Family;
use crate::rtl::{Expr, Kernel, Sig, Value, addr_bits, lanes, lit};
use dq_net::Range;

/// Most pairs of a chain.
const PAIRS: usize = 18;
/// Number of bits that an addition counts; it takes one more as its carry.
const COUNTED: usize = 5;

/// Builds sums of pairs' bits, for weights −1/+1.
pub struct OneBitPairs;

impl Form for OneBitPairs {
    fn names(&self) -> Names {
        Names { module: "bitpairs", what: "a bit for two products of bits, in carry chains", weights: None }
    }

    fn fits(&self, simd: usize, weight_bits: usize) -> bool {
        weight_bits == 1 && simd.is_multiple_of(4)
    }

    fn demands(&self) -> &'static str {
        "bitpairs are for a simd that is a multiple of 4"
    }

    fn latency(&self, dot: &Dot) -> u64 {
        // There are registers for what is counted, for what a chain begins with, for each addition, and in
        // the tree.
        let terms = dot.level_bits * chains(dot);
        let tree = if terms > 1 { addr_bits(terms) } else { 0 };
        (2 + steps(dot) + tree) as u64
    }

    /// A pair counts for up to three: 2·m and p ⊙ q.
    fn range(&self, dot: &Dot) -> Range {
        Range::new(0, dot.most_level() * 3 * pairs(dot) as i64)
    }

    /// Of a pair, the weights −1 and u ⊙ v are one together, and three where both weights are −1.
    fn excess(&self, dot: &Dot) -> i64 {
        dot.most_level() * pairs(dot) as i64
    }

    fn excess_of(&self, dot: &Dot) -> Option<Excess> {
        Some(Excess {
            of: |dot, weights| {
                let minus = weights.chunks(2).filter(|pair| pair.iter().all(|&weight| weight < 0)).count();
                2 * minus as i64 * dot.most_level()
            },
            what: format!("{} for each pair of weights of -1", 2 * dot.most_level()),
            terms: |dot, w, wide| {
                let most = 2 * dot.most_level();
                let term =
                    |first| format!("({w}[{first}] | {w}[{}] ? {wide}'sd0 : {wide}'sd{most})", first + 1);
                (0..dot.simd).step_by(2).map(term).collect()
            },
        })
    }

    fn build(&self, dot: &Dot, k: &mut Kernel, x: Sig, w: Sig) -> (Term, u64) {
        let mut sums = vec![];
        for chain in 0..chains(dot) {
            for plane in 0..dot.level_bits {
                sums.push(Chain { dot, x, w, chain, plane }.sum(k));
            }
        }
        let (total, tree) = total(k, dot, self.range(dot), sums);
        (total, (2 + steps(dot) + tree) as u64)
    }

    fn cost(&self, dot: &Dot, family: Family) -> (usize, usize) {
        let planes = dot.simd * dot.level_bits;
        let lut = if family.has_wide_luts() { planes * 6 / 5 } else { planes * 21 / 10 };
        let terms = dot.level_bits * chains(dot);
        (lut + (terms - 1) * 8, planes * (steps(dot) + 4) / 4 + terms * 8)
    }
}

fn pairs(dot: &Dot) -> usize {
    dot.simd / 2
}

fn chains(dot: &Dot) -> usize {
    pairs(dot).div_ceil(PAIRS)
}

/// Returns the additions of a chain.
fn steps(dot: &Dot) -> usize {
    pairs(dot).div_ceil(chains(dot)).div_ceil(COUNTED + 1)
}

/// Describes a chain: of some pairs, and of one bit plane of their levels.
struct Chain<'a> {
    dot: &'a Dot,
    x: Sig,
    w: Sig,
    chain: usize,
    plane: usize,
}

impl Chain<'_> {
    fn name(&self, what: &str) -> String {
        format!("{what}{}_{}", self.plane, self.chain)
    }

    /// Returns the pairs of the chain: the chains differ by one at most.
    fn pairs(&self) -> std::ops::Range<usize> {
        let (pairs, chains) = (pairs(self.dot), chains(self.dot));
        self.chain * pairs / chains..(self.chain + 1) * pairs / chains
    }

    /// Returns the bits of both levels of a pair.
    fn levels(&self, pair: usize) -> [Expr; 2] {
        [0, 1].map(|i| self.x.bit((2 * pair + i) * self.dot.level_bits + self.plane))
    }

    /// Returns how many pairs have levels of equal bits, after two registers.
    fn start(&self, k: &mut Kernel) -> Sig {
        let equal = self.pairs().map(|pair| {
            let [p, q] = self.levels(pair);
            p.xor(q).not()
        });
        let equal: Vec<Expr> = equal.collect();
        let mut sums: Vec<(Expr, usize)> = vec![];
        for (i, few) in equal.chunks(COUNTED).enumerate() {
            let count = Circuit::new(k, &self.name(&format!("equal{i}_"))).count(few);
            let count = k.held(&self.name(&format!("count{i}_")), lanes(count));
            sums.push((count.expr(), few.len()));
        }
        let add = |two: &[(Expr, usize)]| match two {
            [(a, most), (b, more)] => {
                let width = bits_of(most + more);
                (a.clone().zext(width).add(b.clone().zext(width), width), most + more)
            }
            rest => rest[0].clone(),
        };
        while sums.len() > 1 {
            sums = sums.chunks(2).map(add).collect();
        }
        k.held(&self.name("start"), sums.remove(0).0)
    }

    /// Returns the bit m of a pair.
    fn majority(&self, pair: usize) -> Expr {
        majority(self.levels(pair), [0, 1].map(|i| self.w.bit(2 * pair + i).not()))
    }

    /// Returns the chain's sum, times the weight of its bit plane.
    fn sum(&self, k: &mut Kernel) -> Term {
        let pairs: Vec<usize> = self.pairs().collect();
        let start = self.start(k);
        let last = steps(self.dot) - 1;
        let low = delayed(k, &self.name("low"), start.bit(0), last)[last];
        let mut most = pairs.len() / 2;
        let mut value = k.wire(&self.name("upper"), start.slice(1, start.width() - 1));
        let mut bits = pairs.chunks(COUNTED + 1);
        for q in 0..steps(self.dot) {
            let name = |what: &str| self.name(&format!("{what}{q}_"));
            let Some(few) = bits.next() else {
                value = k.held(&name("sum"), value);
                continue;
            };
            let majorities = lanes(few.iter().map(|&pair| self.majority(pair)));
            let majorities = delayed(k, &name("majorities"), majorities, q + 1)[q + 1];
            most += few.len();
            let width = bits_of(most);
            let last = few.len() - 1;
            let counted: Vec<Expr> = (0..last).map(|i| majorities.bit(i)).collect();
            let count = match counted[..] {
                [] => lit(0, width),
                _ => lanes(Circuit::new(k, &name("counted")).count(&counted)).zext(width),
            };
            // The sum, written as the subtraction of a complement: that tells tools which operand goes to the
            // carry's own input. Below it stands the carry, which the one that this adds lets pass.
            let carry = majorities.bit(last);
            let complement = lanes([carry.clone(), count]).not();
            let upper = lanes([carry, value.zext(width)]);
            let sum = k.wire(&name("added"), upper.sub(complement, width + 1));
            k.unused(sum.bit(0));
            value = k.held(&name("sum"), sum.slice(1, width));
        }
        let whole = lanes([low, value]);
        let whole = if self.plane > 0 { lanes([lit(0, self.plane), whole]) } else { whole };
        Term { value: whole, range: Range::new(0, (3 * pairs.len() as i64) << self.plane) }
    }
}
