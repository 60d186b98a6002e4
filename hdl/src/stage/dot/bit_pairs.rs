//! Adds one bit for every two products of bits. Of bits p and q of two levels, and u and v of two weights,
//!
//! p·u + q·v = m + p·q − ¬u·¬v, where m is the majority of p ⊙ u, q ⊙ v and p ⊕ q (⊙: equal),
//!
//! which is one LUT of four inputs, where the sum itself has two bits. The products p·q are the same for all
//! PEs and are added up once; ¬u·¬v is known beforehand and left to the accumulators ([`Form::excess_of`]).
//!
//! A chain takes a few pairs of levels, from the lowest bit plane of the weights to the highest. It begins
//! with the levels' own products and adds the bits m of a pair and a plane at a time, each in the LUT of the
//! carry chain where that has five inputs. Nothing falls below zero: what is subtracted is added inverted. The
//! chains' results are added in a tree.

use super::form::{Dot, Excess, Form, Names};
use super::planes::{Planes, majority, next_plane, total};
use super::tree::Term;
use crate::device::Family;
use crate::rtl::{Expr, Kernel, Sig, Value, addr_bits, lanes, lit};
use dq_net::Range;

/// Number of additions of a chain between two registers.
const ADDITIONS: usize = 2;

/// Builds sums of pairs' bits.
pub struct BitPairs;

impl Form for BitPairs {
    fn names(&self) -> Names {
        Names { module: "bitpairs", what: "a bit for two products of bits, in carry chains", weights: None }
    }

    fn fits(&self, simd: usize, weight_bits: usize) -> bool {
        weight_bits >= 2 && simd.is_multiple_of(4)
    }

    fn demands(&self) -> &'static str {
        "bitpairs are for a simd that is a multiple of 4"
    }

    fn latency(&self, dot: &Dot) -> u64 {
        // There are registers for what comes in, for every two additions, and in the tree.
        let tree = if chains(dot) > 1 { addr_bits(chains(dot)) } else { 0 };
        (1 + stage(steps(dot) - 1) + 1 + tree) as u64
    }

    fn range(&self, dot: &Dot) -> Range {
        Range::new(0, (dot.simd / 2) as i64 * (dot.most_level() << dot.weight_bits))
    }

    fn excess(&self, dot: &Dot) -> i64 {
        let (planes, most) = (dot.weight_bits, dot.most_level());
        // The products of levels, and the negative plane, are inverted.
        (dot.simd / 2) as i64 * most * (1 + (1 << (planes - 1)))
    }

    /// The planes of ¬u·¬v are those of the weight ¬(u ∨ v), in two's complement.
    fn excess_of(&self, dot: &Dot) -> Option<Excess> {
        Some(Excess {
            of: |dot, weights| {
                let pairs = weights.chunks(2).map(|pair| !(pair[0] | pair[pair.len() - 1]));
                dot.most_level() * pairs.sum::<i64>()
            },
            what: format!("{} ~(w[0] | w[1]) + ...", dot.most_level()),
            terms: |dot, w, wide| {
                let Dot { weight_bits, .. } = *dot;
                let weight = |i: usize| {
                    let (top, low) = ((i + 1) * weight_bits - 1, i * weight_bits);
                    format!("{{{{{}{{{w}[{top}]}}}}, {w}[{top}:{low}]}}", wide - weight_bits)
                };
                let term = |first: usize| {
                    let (a, b) = (weight(first), weight(first + 1));
                    format!("({wide}'sd{} * $signed(~({a} | {b})))", dot.most_level())
                };
                (0..dot.simd).step_by(2).map(term).collect()
            },
        })
    }

    fn build(&self, dot: &Dot, k: &mut Kernel, x: Sig, w: Sig) -> (Term, u64) {
        let pieces = Pieces::new(dot, k, x, w);
        let sums = (0..chains(dot)).map(|chain| pieces.sum(k, chain)).collect();
        let (total, tree) = total(k, dot, self.range(dot), sums);
        let registers = 1 + stage(pieces.planes.steps() - 1) + 1 + tree;
        (total, registers as u64)
    }

    /// Counts a LUT for each bit that is added, which a carry takes in where LUTs have six inputs and else
    /// stands beside it.
    fn cost(&self, dot: &Dot, family: Family) -> (usize, usize) {
        let Dot { simd, level_bits, weight_bits, .. } = *dot;
        let (chains, steps) = (chains(dot), steps(dot));
        let bits = simd / 2 * level_bits * weight_bits;
        let result = Range::new(0, most_of_chain(dot)).bits() as usize;
        let tree = (chains - 1) * (result + 1);
        // The levels' own products, and the levels in each stage, are shared by the PEs.
        let shared = simd * level_bits / 24;
        // Estimates count LUTs of four inputs and scale them to six where a stage's LUTs are summed up, so
        // this is scaled back.
        let sum = level_bits + pairs(dot).ilog2() as usize + 1;
        let lut = if family.has_wide_luts() {
            (bits + tree + shared) * 4 / 3
        } else {
            // A tenth more, as the shipped networks have it, whose units have few PEs that share.
            (bits + chains * steps * (sum + 1) + tree + shared) * 11 / 10
        };
        let picks: usize = (0..steps).map(|q| 2 * (stage(q) + 1)).sum();
        let chain = picks + stage(steps - 1) * sum + result;
        (lut, chains * chain + tree + simd * level_bits * (stage(steps - 1) + 1) / 10)
    }
}

/// Returns the pairs of a chain: four where there are few planes, so that there are fewer results to add.
fn pairs(dot: &Dot) -> usize {
    if dot.weight_bits == 2 && dot.simd.is_multiple_of(8) { 4 } else { 2 }
}

fn chains(dot: &Dot) -> usize {
    dot.simd / (2 * pairs(dot))
}

/// Returns the additions of a chain.
fn steps(dot: &Dot) -> usize {
    pairs(dot) * dot.weight_bits
}

/// Returns the stage in which addition `q` happens.
fn stage(q: usize) -> usize {
    q / ADDITIONS
}

fn most_of_chain(dot: &Dot) -> i64 {
    pairs(dot) as i64 * (dot.most_level() << dot.weight_bits)
}

/// Holds what the chains add up, each value in the stages in which it is used.
struct Pieces<'a> {
    dot: &'a Dot,
    planes: Planes,
    /// What the chains begin with: the inverted products of each pair's levels, bit by bit.
    starts: Sig,
    /// For each pair of a chain, in all chains: both levels.
    levels: Vec<Vec<Sig>>,
    /// For each addition, in all chains: the weight bits of the pair.
    picks: Vec<Sig>,
}

impl<'a> Pieces<'a> {
    fn new(dot: &'a Dot, k: &mut Kernel, x: Sig, w: Sig) -> Self {
        let Dot { level_bits, weight_bits, .. } = *dot;
        let (chains, pairs) = (chains(dot), pairs(dot));
        let planes = Planes { chains, pairs, weight_bits, stage };
        let both = |first: usize| [0, 1].map(|i| x.lane(first + i, level_bits));
        let start = |chain: usize| {
            let product = |pair: usize| {
                let [a, b] = both(planes.first(chain, pair));
                a.and(b).not()
            };
            let mut sums: Vec<Expr> = (0..pairs).map(product).collect();
            while sums.len() > 1 {
                let width = sums[0].width() + 1;
                let both = |two: &[Expr]| two[0].clone().add(two[1].clone(), width);
                sums = sums.chunks(2).map(both).collect();
            }
            sums.remove(0)
        };
        let starts: Vec<Expr> = (0..chains).map(start).collect();
        let starts = k.held("starts", lanes(starts));
        let levels = planes.levels(k, both);
        let picks = planes.picks(k, w);
        Pieces { dot, planes, starts, levels, picks }
    }

    /// Returns the bits that addition `q` of a chain adds, one a bit of the levels.
    fn majorities(&self, k: &mut Kernel, chain: usize, q: usize) -> Sig {
        let Dot { level_bits, weight_bits, .. } = *self.dot;
        let (plane, pair) = self.planes.of(q);
        let held = self.levels[pair][stage(q)];
        let both = [0, 1].map(|i| held.lane(2 * chain + i, level_bits));
        let flips = [0, 1].map(|i| self.picks[q].bit(2 * chain + i).not().repeat(level_bits));
        let value = majority(both, flips);
        let value = if plane + 1 == weight_bits { value.not() } else { value };
        k.wire(&format!("bits{chain}_{q}"), value)
    }

    /// Returns the sum of one chain.
    fn sum(&self, k: &mut Kernel, chain: usize) -> Term {
        let most_level = self.dot.most_level();
        let Planes { pairs, chains, .. } = self.planes;
        let mut most = pairs as i64 * most_level;
        let bits = self.starts.width() / chains;
        let mut value = k.wire(&format!("chain{chain}_start"), self.starts.lane(chain, bits));
        // These are the bits of lower planes, which are final.
        let mut low: Option<Sig> = None;
        for q in 0..self.planes.steps() {
            if q > 0 && stage(q) > stage(q - 1) {
                value = k.held(&format!("chain{chain}_at{}", stage(q)), value);
                low = low.map(|low| {
                    // The register has a reset; otherwise tools would spend a LUT on each bit that waits.
                    let name = format!("low{chain}_at{}", stage(q));
                    let held = k.reg(&name, low.width(), Some(0));
                    k.next(held, None, low);
                    held
                });
            }
            let mut upper = value.expr();
            if q > 0 && q % pairs == 0 {
                let (rest, done) = next_plane(k, &format!("low{chain}_{q}"), value, low);
                (upper, low) = (rest, Some(done));
                most >>= 1;
            }
            most += most_level;
            let width = Range::new(0, most).bits() as usize;
            // The sum, written as the subtraction of a complement: that tells tools which operand goes to the
            // carry's own input. Below it stands a zero, which takes the one that this adds, and keeps Yosys
            // from making one addition of three numbers of two additions in a row.
            let doubled = |value: Expr| lanes([lit(0, 1), value.zext(width)]);
            let complement = doubled(self.majorities(k, chain, q).expr()).not();
            let sum = k.wire(&format!("sum{chain}_{q}"), doubled(upper).sub(complement, width + 1));
            k.unused(sum.bit(0));
            value = k.wire(&format!("chain{chain}_{q}"), sum.slice(1, width));
        }
        let whole = low.map_or(value.expr(), |low| lanes([low, value]));
        let value = k.held(&format!("chain{chain}"), whole);
        Term { value: value.into(), range: Range::new(0, most_of_chain(self.dot)) }
    }
}
