//! Builds sums of shifted terms in a tree with a register behind every adder, and what follows them: the
//! shift to the right and the clip. Multiplications by constants are such sums, with a term per non-zero
//! digit. There is no `*`, which tools would map to DSP blocks.

use super::site::Site;
use super::word::{fit, literal};
use crate::device::Resources;
use crate::rtl::{Expr, Kernel, Sig, Value, lit, slit};
use dq_net::Range;

/// Holds ±value · 2^shift, of a value within `range`.
#[derive(Clone, Debug)]
pub struct Term {
    pub value: Expr,
    pub range: Range,
    pub shift: usize,
    pub negative: bool,
}

/// Returns the digits ±2^shift of which no two are neighbours (canonical signed digits), the fewest that
/// sum to `value`: as (shift, negative), the lowest first. The last one has the sign of `value`.
pub fn digits(value: i64) -> Vec<(usize, bool)> {
    let (mut rest, mut shift, mut digits) = (i128::from(value), 0, vec![]);
    while rest != 0 {
        if rest & 1 == 1 {
            let digit = 2 - (rest & 3);
            digits.push((shift, digit < 0));
            rest -= digit;
        }
        rest >>= 1;
        shift += 1;
    }
    digits
}

/// Returns the cost of sums of `terms` shifted terms in each lane of a stage: an adder and a register for
/// each, of the widths of both ends.
pub fn cost(site: &Site, terms: usize) -> Resources {
    let width = site.input.bits.max(site.output.bits) + terms.min(16);
    let lanes = site.output.count;
    Resources::logic(lanes * (terms * width + site.output.bits), lanes * terms * width)
}

/// Returns the registers between `terms` terms and their sum.
pub fn levels(terms: usize) -> usize {
    terms.next_power_of_two().trailing_zeros() as usize
}

impl Term {
    /// Returns a constant as a term.
    pub fn constant(value: i64) -> Term {
        let range = Range::new(value.min(0), value.max(0));
        let bits = range.bits() as usize;
        let word = if value < 0 { slit(value, bits).unsigned() } else { lit(value as u64, bits) };
        Term { value: word, range, shift: 0, negative: false }
    }

    /// Returns the terms of `factor` · `value`.
    pub fn product(value: impl Into<Expr>, range: Range, factor: i64) -> Vec<Term> {
        let value = value.into();
        let term = |(shift, negative)| Term { value: value.clone(), range, shift, negative };
        digits(factor).into_iter().map(term).collect()
    }

    /// Returns what it adds.
    fn bounds(&self) -> Range {
        let Range { lo, hi } = self.range;
        Range::new(lo << self.shift, hi << self.shift).directed(if self.negative { -1 } else { 1 })
    }
}

/// Returns the sum of `terms`, which lies within `exact`, after `levels` registers (at least [`levels`] of
/// their number). Not all terms are negative. Nets are named after `name`.
pub fn sum(k: &mut Kernel, name: &str, mut terms: Vec<Term>, levels: usize, exact: Range) -> Sig {
    assert!(terms.len() <= 1 << levels && terms.iter().any(|term| !term.negative), "{name}");
    let bits = exact.bits() as usize;
    for level in 0..levels {
        // Terms of similar weight are joined first, so that sums stay narrow.
        terms.sort_by_key(|term| term.shift);
        let pairs = terms.chunks(2).enumerate().map(|(i, pair)| {
            let joined = match pair {
                [a, b] => add(k, a, b, bits),
                [a] => a.clone(),
                _ => unreachable!("pairs"),
            };
            let register = k.reg(&format!("{name}_sum{level}_{i}"), joined.value.width(), None);
            k.next(register, None, joined.value.unsigned());
            Term { value: register.expr(), ..joined }
        });
        terms = pairs.collect();
    }
    let total = shifted(k, &terms[0], 0, bits);
    k.wire(&format!("{name}_total"), total)
}

/// Returns `a + b` modulo 2^`bits`, of the smaller shift; negative only if both are.
fn add(k: &mut Kernel, a: &Term, b: &Term, bits: usize) -> Term {
    let (a, b) = if a.negative && !b.negative { (b, a) } else { (a, b) };
    let shift = a.shift.min(b.shift);
    let negative = a.negative && b.negative;
    let total = Range::new(a.bounds().lo + b.bounds().lo, a.bounds().hi + b.bounds().hi);
    let total = total.directed(if negative { -1 } else { 1 });
    let range = Range::new(total.lo >> shift, total.hi >> shift);
    let width = (range.bits() as usize).min(bits.saturating_sub(shift).max(1));
    let (left, right) = (shifted(k, a, shift, width), shifted(k, b, shift, width));
    let value = if b.negative && !negative { left.sub(right, width) } else { left.add(right, width) };
    Term { value, range, shift, negative }
}

/// Returns the value of a term in units of 2^`unit`, modulo 2^`width`.
fn shifted(k: &mut Kernel, term: &Term, unit: usize, width: usize) -> Expr {
    let by = term.shift - unit;
    let (kept, have) = (width.saturating_sub(by), term.value.width());
    if have > kept {
        k.unused((&term.value).slice(kept, have - kept));
    }
    match kept {
        0 => lit(0, width),
        _ => fit(&term.value, term.range.signed(), kept).shl(by, width),
    }
}

/// Says what becomes of a sum.
pub struct Clip {
    /// Number of bits that are shifted out.
    pub shift: u8,
    /// Number of bits of the signed word to which the rest is clipped.
    pub bits: u8,
    /// Number of bits of the result.
    pub width: usize,
}

/// Returns `value`, shifted to the right, rounded down and clipped. It has the bits of `range`, in which it
/// lies.
pub fn clip(k: &mut Kernel, value: Sig, range: Range, clip: &Clip) -> Expr {
    let Clip { shift, bits, width } = *clip;
    let (shift, bits) = (usize::from(shift), usize::from(bits));
    let signed = range.signed();
    if value.width() <= shift {
        // Only copies of the sign are left.
        let rest = value.width() - usize::from(signed);
        if rest > 0 {
            k.unused(value.slice(0, rest));
        }
        return if signed { value.bit(rest).repeat(width) } else { lit(0, width) };
    }
    if shift > 0 {
        k.unused(value.slice(0, shift));
    }
    let have = value.width() - shift;
    let part = |from: usize, count: usize| value.slice(shift + from, count);
    let (most, least) = ((1i64 << (bits - 1)) - 1, -1i64 << (bits - 1));
    let (over, under) = (range.hi >> shift > most, range.lo >> shift < least);
    if !over && !under {
        if have > width {
            k.unused(part(width, have - width));
        }
        return fit(part(0, have.min(width)), signed, width);
    }
    // The bits above those kept must equal the sign.
    let above = part(bits - 1, have - (bits - 1) - usize::from(signed));
    if width < bits - 1 {
        k.unused(part(width, bits - 1 - width));
    }
    let mut result = part(0, width);
    if over {
        let positive = if signed { value.bit(value.width() - 1).not() } else { lit(1, 1) };
        result = (positive & (&above).any()).mux(literal(most, width), result);
    }
    if under {
        let negative = value.bit(value.width() - 1);
        result = (negative & (&above).all().not()).mux(literal(least, width), result);
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digits_sum_to_their_value_and_none_are_neighbours() {
        for value in (-700..700).chain([i64::from(i32::MAX), -(1 << 40) + 3]) {
            let digits = digits(value);
            let sum: i64 =
                digits.iter().map(|&(s, negative)| if negative { -1 << s } else { 1i64 << s }).sum();
            assert_eq!(sum, value);
            assert!(digits.windows(2).all(|pair| pair[1].0 > pair[0].0 + 1), "{value}: {digits:?}");
            assert!(digits.last().is_none_or(|last| last.1 == (value < 0)), "{value}: {digits:?}");
        }
    }
}
