//! Sums of pairs of levels, chosen by two weight bits, added up in carry chains: two pairs a chain, bit plane by bit
//! plane, each addition one LUT a bit where a LUT beside the carry has six inputs (what is chosen of a pair takes five).
//! The chains' results are added in a tree.
//!
//! Every value is kept from falling below zero: the negative plane is added inverted, and an addition is written as the
//! subtraction of a complement, which is one more than the sum and tells tools which operand goes to the carry's own
//! input. All that is [`excess`].

use super::Dot;
use super::tree::{Term, Tree, cut};
use crate::rtl::{Expr, Kernel, Sig, Value, addr_bits, lanes, lit};
use dq_net::Range;

/// Elements of a chain: two pairs.
pub const ELEMENTS: usize = 4;
/// Pairs of a chain.
const PAIRS: usize = 2;

/// Cycles from the vectors to the result.
pub fn latency(dot: &Dot) -> u64 {
    // The pairs' sums, a register every two additions, the chain's result, the tree.
    let tree = if dot.simd > ELEMENTS { addr_bits(dot.simd / ELEMENTS) } else { 0 };
    (1 + dot.weight_bits + 1 + tree) as u64
}

/// What the result is beyond the dot product.
pub fn excess(dot: &Dot) -> i64 {
    (dot.simd / ELEMENTS) as i64 * excess_of_chain(dot)
}

fn excess_of_chain(dot: &Dot) -> i64 {
    let planes = dot.weight_bits;
    let inverted = (2i64 << dot.level_bits) - 1;
    let additions = |plane: usize| if plane == 0 { PAIRS as i64 - 1 } else { PAIRS as i64 };
    let added: i64 = (0..planes).map(|plane| additions(plane) << plane).sum();
    added + ((PAIRS as i64 * inverted) << (planes - 1))
}

/// The stage in which addition `q` happens: a register after the first value and after every second addition.
fn stage(q: usize) -> usize {
    q.div_ceil(2)
}

/// The result and how many registers deep it is.
pub fn build(dot: &Dot, k: &mut Kernel, x: Sig, w: Sig) -> (Term, u64) {
    let Dot { simd, level_bits, weight_bits, .. } = *dot;
    let chains = simd / ELEMENTS;
    let steps = PAIRS * weight_bits;
    // For each pair of a chain, in all chains: both levels and their sum, from the stage of its first use to the last.
    let levels: Vec<Vec<Sig>> = (0..PAIRS)
        .map(|pair| {
            let of = |chain: usize| {
                let first = ELEMENTS * chain + 2 * pair;
                let (a, b) = (x.lane(first, level_bits), x.lane(first + 1, level_bits));
                [a.clone(), b.clone(), a.add(b, level_bits + 1)]
            };
            let parts: Vec<Expr> = (0..chains).flat_map(of).collect();
            delayed(k, &format!("levels{pair}"), lanes(parts), stage(steps - PAIRS + pair))
        })
        .collect();
    // For each addition, in all chains: the weight bits of the pair.
    let picks: Vec<Sig> = (0..steps)
        .map(|q| {
            let (plane, pair) = (q / PAIRS, q % PAIRS);
            let bit = |i: usize| w.bit((ELEMENTS * (i / 2) + 2 * pair + i % 2) * weight_bits + plane);
            let all = delayed(k, &format!("pick{q}"), lanes((0..2 * chains).map(bit)), stage(q));
            all[stage(q)]
        })
        .collect();
    let lane = 3 * level_bits + 1;
    let chosen = |k: &mut Kernel, chain: usize, q: usize| {
        let (plane, pair) = (q / PAIRS, q % PAIRS);
        let held = levels[pair][stage(q)];
        let a = held.slice(chain * lane, level_bits).zext(level_bits + 1);
        let b = held.slice(chain * lane + level_bits, level_bits).zext(level_bits + 1);
        let sum = held.slice(chain * lane + 2 * level_bits, level_bits + 1);
        let (left, right) = (picks[q].bit(2 * chain), picks[q].bit(2 * chain + 1));
        let value = right.mux(left.clone().mux(sum, b), left.mux(a, lit(0, level_bits + 1)));
        let value = if plane + 1 == weight_bits { value.not() } else { value };
        k.wire(&format!("chosen{chain}_{q}"), value)
    };
    let sums = (0..chains).map(|chain| {
        let mut value = chosen(k, chain, 0);
        let mut most = (2i64 << level_bits) - 2;
        // The bits of lower planes, which are done.
        let mut low: Option<Sig> = None;
        for q in 1..steps {
            if stage(q) > stage(q - 1) {
                value = k.held(&format!("chain{chain}_at{}", stage(q)), value);
                low = low.map(|low| k.held(&format!("low{chain}_at{}", stage(q)), low));
            }
            let mut upper = value.expr();
            if q % PAIRS == 0 {
                // To the next plane: the lowest bit is done.
                let done = value.bit(0);
                upper = upper.slice(1, value.width() - 1);
                let all = low.map_or(done.clone(), |low| lanes([low.expr(), done]));
                low = Some(k.wire(&format!("low{chain}_{q}"), all));
                most >>= 1;
            }
            let plane_most = if q / PAIRS + 1 == weight_bits { 1 } else { 2 };
            most += (2i64 << level_bits) - plane_most + 1;
            let width = Range::new(0, most).bits() as usize;
            let complement = chosen(k, chain, q).zext(width).not();
            let sum = upper.zext(width).sub(complement, width);
            value = k.wire(&format!("chain{chain}_{q}"), sum);
        }
        let whole = low.map_or(value.expr(), |low| lanes([low, value]));
        let value = k.held(&format!("chain{chain}"), whole);
        let most = ((1i64 << level_bits) - 1) * ELEMENTS as i64 * ((1 << (weight_bits - 1)) - 1);
        Term { value: value.into(), range: Range::new(0, most + excess_of_chain(dot)) }
    });
    let sums: Vec<Term> = sums.collect();
    let sums = sums.into_iter().map(|term| trim(k, term)).collect();
    let mut tree = Tree { k, bits: dot.result_bits(), level: 0, step: 1 };
    let total = tree.add_planes(vec![sums]).remove(0);
    let registers = 1 + stage(steps - 1) + 1 + tree.level;
    (total, registers as u64)
}

/// The bits of a term that its range needs.
fn trim(k: &mut Kernel, term: Term) -> Term {
    Term { value: cut(k, term.value, term.range.bits() as usize), range: term.range }
}

/// `value` in stages 0 to `last`. Long delays have a reset, or tools would spend a LUT a bit on them where flip-flops are
/// plenty.
fn delayed(k: &mut Kernel, name: &str, value: Expr, last: usize) -> Vec<Sig> {
    let mut all: Vec<Sig> = vec![];
    for at in 0..=last {
        let from = all.last().map_or(value.clone(), |&sig| sig.into());
        let reg = k.reg(&format!("{name}_at{at}"), value.width(), (last >= 2).then_some(0));
        k.next(reg, None, from);
        all.push(reg);
    }
    all
}
