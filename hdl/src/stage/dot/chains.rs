//! Adds sums of pairs of levels, chosen by two weight bits, in carry chains: two pairs per chain, bit plane
//! by bit plane. Each addition takes one LUT per bit where a LUT beside the carry has six inputs (choosing
//! from a pair takes five). The chains' results are added in a tree.
//!
//! No value falls below zero: the negative plane is added inverted, and an addition is written as the
//! subtraction of a complement. That is one more than the sum, and it tells tools which operand goes to the
//! carry's own input. All these extra amounts are [`Form::excess`].

use super::form::{Dot, Form, Names};
use super::tree::{Term, Tree, cut};
use crate::device::Family;
use crate::rtl::{Expr, Kernel, Sig, Value, addr_bits, lanes, lit};
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
        let sums: Vec<Term> = (0..pieces.chains).map(|chain| pieces.sum(k, chain)).collect();
        let sums = sums.into_iter().map(|term| trim(k, term)).collect();
        let mut tree = Tree { k, bits: dot.bits_of(self.range(dot)), level: 0, step: 1 };
        let total = tree.add_planes(vec![sums]).remove(0);
        let registers = 1 + stage(pieces.steps() - 1) + 1 + tree.level;
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
    chains: usize,
    /// For each pair of a chain, in all chains: both levels and their sum, from the stage of their first use
    /// to the last.
    levels: Vec<Vec<Sig>>,
    /// For each addition, in all chains: the weight bits of the pair.
    picks: Vec<Sig>,
}

impl<'a> Pieces<'a> {
    fn new(dot: &'a Dot, k: &mut Kernel, x: Sig, w: Sig) -> Self {
        let Dot { simd, level_bits, weight_bits, .. } = *dot;
        let chains = simd / ELEMENTS;
        let steps = PAIRS * weight_bits;
        let levels = (0..PAIRS).map(|pair| {
            let parts = |chain: usize| {
                let first = ELEMENTS * chain + 2 * pair;
                let (a, b) = (x.lane(first, level_bits), x.lane(first + 1, level_bits));
                [a.clone(), b.clone(), a.add(b, level_bits + 1)]
            };
            let parts: Vec<Expr> = (0..chains).flat_map(parts).collect();
            delayed(k, &format!("levels{pair}"), lanes(parts), stage(steps - PAIRS + pair))
        });
        let levels = levels.collect();
        let picks = (0..steps).map(|q| {
            let (plane, pair) = (q / PAIRS, q % PAIRS);
            let bit = |i: usize| w.bit((ELEMENTS * (i / 2) + 2 * pair + i % 2) * weight_bits + plane);
            let all = delayed(k, &format!("pick{q}"), lanes((0..2 * chains).map(bit)), stage(q));
            all[stage(q)]
        });
        let picks = picks.collect();
        Pieces { dot, chains, levels, picks }
    }

    /// Returns the additions of a chain, its first value included.
    fn steps(&self) -> usize {
        self.picks.len()
    }

    /// Returns what addition `q` of a chain adds: of a pair of levels nothing, one, the other or both.
    fn chosen(&self, k: &mut Kernel, chain: usize, q: usize) -> Sig {
        let Dot { level_bits, weight_bits, .. } = *self.dot;
        let lane = 3 * level_bits + 1;
        let (plane, pair) = (q / PAIRS, q % PAIRS);
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
        for q in 1..self.steps() {
            if stage(q) > stage(q - 1) {
                value = k.held(&format!("chain{chain}_at{}", stage(q)), value);
                low = low.map(|low| k.held(&format!("low{chain}_at{}", stage(q)), low));
            }
            let mut upper = value.expr();
            if q % PAIRS == 0 {
                // The sum goes on to the next plane: its lowest bit is final.
                let done = value.bit(0);
                upper = upper.slice(1, value.width() - 1);
                let all = low.map_or(done.clone(), |low| lanes([low.expr(), done]));
                low = Some(k.wire(&format!("low{chain}_{q}"), all));
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
        let most = ((1i64 << level_bits) - 1) * ELEMENTS as i64 * ((1 << (weight_bits - 1)) - 1);
        Term { value: value.into(), range: Range::new(0, most + excess_of_chain(self.dot)) }
    }
}

/// Returns the bits of a term that its range needs.
pub fn trim(k: &mut Kernel, term: Term) -> Term {
    Term { value: cut(k, term.value, term.range.bits() as usize), range: term.range }
}

/// Returns `value` in stages 0 to `last`. Long delays have a reset, or tools would spend a LUT per bit on
/// them where flip-flops are plenty.
pub fn delayed(k: &mut Kernel, name: &str, value: Expr, last: usize) -> Vec<Sig> {
    let mut all: Vec<Sig> = vec![];
    for at in 0..=last {
        let from = all.last().map_or(value.clone(), |&sig| sig.into());
        let reg = k.reg(&format!("{name}_at{at}"), value.width(), (last >= 2).then_some(0));
        k.next(reg, None, from);
        all.push(reg);
    }
    all
}
