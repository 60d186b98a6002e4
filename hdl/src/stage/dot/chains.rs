//! Adds sums of pairs of levels, chosen by two weight bits, in carry chains: two pairs per chain, bit plane
//! by bit plane. Each addition takes one LUT per bit where a LUT beside the carry has six inputs (choosing
//! from a pair takes five). The chains' results are added in a tree.
//!
//! No value falls below zero: the negative plane is added inverted, and an addition is written as the
//! subtraction of a complement. That is one more than the sum, and it tells tools which operand goes to the
//! carry's own input. All these extra amounts are [`Form::excess`].

use super::form::{Dot, Form, Names};
use super::planes::{Planes, next_plane, total};
use super::tree::Term;
use crate::device::Family;
use crate::rtl::{Kernel, Sig, Value, addr_bits, lanes, lit};
use dq_net::Range;

/// Number of elements of a chain: two pairs.
const ELEMENTS: usize = 4;
/// Number of pairs of a chain.
const PAIRS: usize = 2;

/// Builds sums in carry chains.
pub struct Chains;

impl Form for Chains {
    fn names(&self) -> Names {
        Names { module: "chain", what: "sums of pairs in carry chains", weights: None }
    }

    fn fits(&self, simd: usize, weight_bits: usize) -> bool {
        weight_bits >= 2 && simd.is_multiple_of(ELEMENTS)
    }

    fn demands(&self) -> &'static str {
        "chains are for weights of 2 bits or more, simd a multiple of 4"
    }

    fn latency(&self, dot: &Dot) -> u64 {
        // There are registers for the pairs' sums, for every two additions, for the chain's result, and in
        // the tree.
        let tree = if dot.simd > ELEMENTS { addr_bits(dot.simd / ELEMENTS) } else { 0 };
        (1 + dot.weight_bits + 1 + tree) as u64
    }

    fn range(&self, dot: &Dot) -> Range {
        Range::new(0, dot.products().hi + self.excess(dot))
    }

    fn excess(&self, dot: &Dot) -> i64 {
        (dot.simd / ELEMENTS) as i64 * excess_of_chain(dot)
    }

    fn build(&self, dot: &Dot, k: &mut Kernel, x: Sig, w: Sig) -> (Term, u64) {
        let pieces = Pieces::new(dot, k, x, w);
        let sums = (0..pieces.planes.chains).map(|chain| pieces.sum(k, chain)).collect();
        let (total, tree) = total(k, dot, self.range(dot), sums);
        let registers = 1 + stage(pieces.planes.steps() - 1) + 1 + tree;
        (total, registers as u64)
    }

    /// Counts a LUT of six inputs for each bit of each addition, or three of four inputs.
    fn cost(&self, dot: &Dot, family: Family) -> (usize, usize) {
        let Dot { simd, level_bits, weight_bits, .. } = *dot;
        let chains = simd / ELEMENTS;
        let chain: usize = (0..2 * weight_bits).map(|q| level_bits + 1 + q.div_ceil(2).min(3)).sum();
        let result = level_bits + weight_bits + 3;
        let tree = (chains - 1) * (result + 1);
        let sums = 2 * chains * (level_bits + 1) / 8;
        // Estimates count LUTs of four inputs and scale them to six where a stage's LUTs are summed up, so
        // this is scaled back.
        let lut = if family.has_wide_luts() {
            (chains * chain + tree + sums) * 4 / 3
        } else {
            3 * chains * chain + tree + sums
        };
        (lut, chains * (chain + result + 2 * weight_bits) + tree)
    }
}

fn excess_of_chain(dot: &Dot) -> i64 {
    let planes = dot.weight_bits;
    let inverted = (2i64 << dot.level_bits) - 1;
    let additions = |plane: usize| if plane == 0 { PAIRS as i64 - 1 } else { PAIRS as i64 };
    let added: i64 = (0..planes).map(|plane| additions(plane) << plane).sum();
    added + ((PAIRS as i64 * inverted) << (planes - 1))
}

/// Returns the stage in which addition `q` happens: a register after the first value and after every second
/// addition.
fn stage(q: usize) -> usize {
    q.div_ceil(2)
}

/// Holds what the chains add up, each value in the stages in which it is used.
struct Pieces<'a> {
    dot: &'a Dot,
    planes: Planes,
    /// For each pair of a chain, in all chains: both levels and their sum.
    levels: Vec<Vec<Sig>>,
    /// For each addition, in all chains: the weight bits of the pair.
    picks: Vec<Sig>,
}

impl<'a> Pieces<'a> {
    fn new(dot: &'a Dot, k: &mut Kernel, x: Sig, w: Sig) -> Self {
        let Dot { simd, level_bits, weight_bits, .. } = *dot;
        let planes = Planes { chains: simd / ELEMENTS, pairs: PAIRS, weight_bits, stage };
        let levels = planes.levels(k, |first| {
            let (a, b) = (x.lane(first, level_bits), x.lane(first + 1, level_bits));
            [a.clone(), b.clone(), a.add(b, level_bits + 1)]
        });
        let picks = planes.picks(k, w);
        Pieces { dot, planes, levels, picks }
    }

    /// Returns what addition `q` of a chain adds: of a pair of levels nothing, one, the other or both.
    fn chosen(&self, k: &mut Kernel, chain: usize, q: usize) -> Sig {
        let Dot { level_bits, weight_bits, .. } = *self.dot;
        let lane = 3 * level_bits + 1;
        let (plane, pair) = self.planes.of(q);
        let held = self.levels[pair][stage(q)];
        let a = held.slice(chain * lane, level_bits).zext(level_bits + 1);
        let b = held.slice(chain * lane + level_bits, level_bits).zext(level_bits + 1);
        let sum = held.slice(chain * lane + 2 * level_bits, level_bits + 1);
        let (left, right) = (self.picks[q].bit(2 * chain), self.picks[q].bit(2 * chain + 1));
        let value = right.mux(left.clone().mux(sum, b), left.mux(a, lit(0, level_bits + 1)));
        let value = if plane + 1 == weight_bits { value.not() } else { value };
        k.wire(&format!("chosen{chain}_{q}"), value)
    }

    /// Returns the sum of one chain.
    fn sum(&self, k: &mut Kernel, chain: usize) -> Term {
        let Dot { level_bits, weight_bits, .. } = *self.dot;
        let mut value = self.chosen(k, chain, 0);
        let mut most = (2i64 << level_bits) - 2;
        // These are the bits of lower planes, which are final.
        let mut low: Option<Sig> = None;
        for q in 1..self.planes.steps() {
            if stage(q) > stage(q - 1) {
                value = k.held(&format!("chain{chain}_at{}", stage(q)), value);
                low = low.map(|low| k.held(&format!("low{chain}_at{}", stage(q)), low));
            }
            let mut upper = value.expr();
            if q % PAIRS == 0 {
                let (rest, done) = next_plane(k, &format!("low{chain}_{q}"), value, low);
                (upper, low) = (rest, Some(done));
                most >>= 1;
            }
            let plane_most = if q / PAIRS + 1 == weight_bits { 1 } else { 2 };
            most += (2i64 << level_bits) - plane_most + 1;
            let width = Range::new(0, most).bits() as usize;
            let complement = self.chosen(k, chain, q).zext(width).not();
            let sum = upper.zext(width).sub(complement, width);
            value = k.wire(&format!("chain{chain}_{q}"), sum);
        }
        let whole = low.map_or(value.expr(), |low| lanes([low, value]));
        let value = k.held(&format!("chain{chain}"), whole);
        let most = self.dot.most_level() * ELEMENTS as i64 * ((1 << (weight_bits - 1)) - 1);
        Term { value: value.into(), range: Range::new(0, most + excess_of_chain(self.dot)) }
    }
}
