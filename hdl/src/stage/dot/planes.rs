//! Holds what forms share that add pairs of levels up in chains, from the lowest bit plane of the weights to the
//! highest.

use super::form::Dot;
use super::tree::{Term, Tree, cut};
use crate::rtl::{Expr, Kernel, Sig, Value, lanes};
use dq_net::Range;

/// Describes the chains of a dot product.
pub struct Planes {
    /// Number of chains.
    pub chains: usize,
    /// Number of pairs of levels of each chain.
    pub pairs: usize,
    /// Number of bit planes.
    pub weight_bits: usize,
    /// Returns the stage in which an addition of a chain happens.
    pub stage: fn(usize) -> usize,
}

impl Planes {
    /// Returns the additions of a chain, its first value included: one for each pair and plane.
    pub fn steps(&self) -> usize {
        self.pairs * self.weight_bits
    }

    /// Returns the plane and the pair of addition `q`.
    pub fn of(&self, q: usize) -> (usize, usize) {
        (q / self.pairs, q % self.pairs)
    }

    /// Returns the first element of a pair.
    pub fn first(&self, chain: usize, pair: usize) -> usize {
        2 * (self.pairs * chain + pair)
    }

    /// Returns for each pair of a chain, in all chains, what `parts` makes of its first element: from the first
    /// stage to that of its last use.
    pub fn levels<const N: usize>(
        &self,
        k: &mut Kernel,
        parts: impl Fn(usize) -> [Expr; N],
    ) -> Vec<Vec<Sig>> {
        let of_pair = |pair: usize| {
            let all = (0..self.chains).flat_map(|chain| parts(self.first(chain, pair)));
            let last = (self.stage)(self.steps() - self.pairs + pair);
            delayed(k, &format!("levels{pair}"), lanes(all.collect::<Vec<_>>()), last)
        };
        (0..self.pairs).map(of_pair).collect()
    }

    /// Returns for each addition, in all chains, the bits of the pair in weights `w`.
    pub fn picks(&self, k: &mut Kernel, w: Sig) -> Vec<Sig> {
        let of_step = |q: usize| {
            let (plane, pair) = self.of(q);
            let bit = |i: usize| w.bit((self.first(i / 2, pair) + i % 2) * self.weight_bits + plane);
            let last = (self.stage)(q);
            delayed(k, &format!("pick{q}"), lanes((0..2 * self.chains).map(bit)), last)[last]
        };
        (0..self.steps()).map(of_step).collect()
    }
}

/// Returns the majority of p ⊙ u, q ⊙ v and p ⊕ q, bit by bit, of levels p and q and of the complements of u and v.
pub fn majority([p, q]: [Expr; 2], [not_u, not_v]: [Expr; 2]) -> Expr {
    let unequal = p.clone().xor(q.clone());
    let (a, b) = (p.xor(not_u), q.xor(not_v));
    a.clone().and(b.clone()).or(unequal.and(a.or(b)))
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

/// Goes on from a chain's sum `value` to the next plane: the lowest bit is final, and joins those of lower planes,
/// `low`. Returns the other bits, and the final ones as a wire called `name`.
pub fn next_plane(k: &mut Kernel, name: &str, value: Sig, low: Option<Sig>) -> (Expr, Sig) {
    let done = value.bit(0);
    let all = low.map_or(done.clone(), |low| lanes([low.expr(), done]));
    (value.slice(1, value.width() - 1), k.wire(name, all))
}

/// Adds up the results of chains, which lie within `range` together. Returns the sum, and the registers that it
/// took.
pub fn total(k: &mut Kernel, dot: &Dot, range: Range, sums: Vec<Term>) -> (Term, usize) {
    let trim = |term: Term| Term { value: cut(k, term.value, term.range.bits() as usize), range: term.range };
    let sums = sums.into_iter().map(trim).collect();
    let mut tree = Tree { k, bits: dot.bits_of(range), level: 0, step: 1 };
    let total = tree.add_planes(vec![sums]).remove(0);
    (total, tree.level)
}
