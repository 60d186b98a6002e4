//! Counts equal bits for weights −1/+1: w·x is the count of the bits of x that equal w, less the number of
//! weights −1, which is known beforehand and left to the accumulators ([`Form::excess_of`]). Three
//! elements are six inputs: one LUT gives the high bit of their count. The low bit is the parity of the
//! levels and of the weights: the first is shared by all PEs, the second is what the memory holds in place of
//! the first of the three weights ([`Form::recode`]), so that low bits are again bits to be compared and
//! counted, three in two LUTs.

use super::form::{Dot, Excess, Form, Names};
use super::heap::{self, Builder, Circuit, Dry};
use super::tree::Term;
use crate::device::Family;
use crate::rtl::{Expr, Kernel, Sig, Value, lanes, lit};
use dq_net::Range;

/// Number of elements of a group.
const GROUP: usize = 3;

/// Builds counts of equal bits.
pub struct Xnor;

impl Form for Xnor {
    fn names(&self) -> Names {
        let weights = "-1 / +1 (bit 0 / 1; the first of each three: the parity of all three)";
        Names { module: "xnor", what: "counted equal bits", weights: Some(weights) }
    }

    fn fits(&self, _simd: usize, weight_bits: usize) -> bool {
        weight_bits == 1
    }

    fn demands(&self) -> &'static str {
        "xnor is for weights of 1 bit"
    }

    fn latency(&self, dot: &Dot) -> u64 {
        let groups = dot.simd.div_ceil(GROUP);
        let low = |i: usize| groups.min(GROUP * (i + 1)) - GROUP * i;
        let mut columns = vec![vec![]; dot.level_bits + 1];
        for plane in 0..dot.level_bits {
            columns[plane + 1].extend((0..groups).filter(|&g| elements(dot, g) > 1).map(|_| ()));
            for i in 0..groups.div_ceil(GROUP) {
                for (at, bit) in Dry::default().count(&vec![(); low(i)]).into_iter().enumerate() {
                    columns[plane + at].push(bit);
                }
            }
        }
        1 + heap::compress(&mut Dry::default(), columns).1
    }

    fn range(&self, dot: &Dot) -> Range {
        Range::new(0, dot.most())
    }

    fn excess_of(&self, dot: &Dot) -> Option<Excess> {
        Some(Excess {
            of: |dot, weights| {
                let minus = weights.iter().filter(|&&weight| weight < 0).count();
                minus as i64 * dot.most_level()
            },
            what: format!("{} for each weight of -1", dot.most_level()),
            terms: |dot, w, wide| {
                let most = dot.most_level();
                let term = |i| format!("({} ? {wide}'sd0 : {wide}'sd{most})", Xnor.is_plus(dot, w, i));
                (0..dot.simd).map(term).collect()
            },
        })
    }

    /// Puts the parity of each group in place of its first bit.
    fn recode(&self, weights: &mut [i64]) {
        for group in weights.chunks_mut(GROUP) {
            group[0] = group.iter().fold(0, |parity, bit| parity ^ bit);
        }
    }

    fn is_plus(&self, dot: &Dot, w: &str, i: usize) -> String {
        if !i.is_multiple_of(GROUP) {
            return format!("{w}[{i}]");
        }
        let members: Vec<String> = (i..dot.simd.min(i + GROUP)).map(|i| format!("{w}[{i}]")).collect();
        format!("({})", members.join(" ^ "))
    }

    fn cost(&self, dot: &Dot, family: Family) -> (usize, usize) {
        let planes = dot.simd * dot.level_bits;
        let lut = if family.has_wide_luts() { planes * 5 / 3 } else { planes * 18 / 5 };
        (lut + 8, planes * 2)
    }

    fn build(&self, dot: &Dot, k: &mut Kernel, x: Sig, w: Sig) -> (Term, u64) {
        let groups = dot.simd.div_ceil(GROUP);
        let parities = lanes((0..groups).map(|g| w.bit(GROUP * g)));
        let parities = {
            let reg = k.reg("parity", groups, None);
            k.next(reg, None, parities);
            reg
        };
        let mut circuit = Circuit::new(k, "");
        let mut columns: Vec<Vec<Expr>> = vec![vec![]; dot.level_bits + 1];
        for plane in 0..dot.level_bits {
            let level = |i: usize| x.bit(i * dot.level_bits + plane);
            let k = &mut *circuit.k;
            let (mut levels, mut high) = (vec![], vec![]);
            for g in 0..groups {
                let first = GROUP * g;
                let members: Vec<usize> = (first..first + elements(dot, g)).collect();
                levels.push(members.iter().map(|&i| level(i)).reduce(Expr::xor).expect("an element"));
                let weights = members.iter().map(|&i| w.bit(i)).reduce(Expr::xor).expect("an element");
                let equal = |i: usize| {
                    let weight = if i == first { weights.clone() } else { w.bit(i) };
                    level(i).xor(weight).not()
                };
                match members[..] {
                    [_] => {}
                    [a, b] => high.push(equal(a).and(equal(b))),
                    [a, b, c] => {
                        let [a, b, c] = [a, b, c].map(equal);
                        high.push(a.clone().and(b.clone()).or(c.and(a.xor(b))));
                    }
                    _ => unreachable!("up to three elements"),
                }
            }
            let mut register = |name: String, value: Expr| {
                let reg = k.reg(&name, value.width(), None);
                k.next(reg, None, value);
                reg
            };
            let levels = register(format!("levels{plane}"), lanes(levels));
            if !high.is_empty() {
                let high = register(format!("high{plane}"), lanes(high));
                columns[plane + 1].extend((0..high.width()).map(|g| high.bit(g)));
            }
            // The low bit of a group's count is inverted where the group has an odd number of elements, each
            // of which is complemented.
            let low = |g: usize| {
                let parity = levels.bit(g).xor(parities.bit(g));
                if elements(dot, g) % 2 == 1 { parity.not() } else { parity }
            };
            for first in (0..groups).step_by(GROUP) {
                let low: Vec<Expr> = (first..groups.min(first + GROUP)).map(low).collect();
                for (at, bit) in circuit.count(&low).into_iter().enumerate() {
                    columns[plane + at].push(bit);
                }
            }
        }
        let (bits, registers) = heap::compress(&mut circuit, columns);
        let need = (self.range(dot).bits() as usize).min(bits.len());
        // The bits above the range are never set.
        bits[need..].iter().flatten().for_each(|bit| circuit.k.unused(bit.clone()));
        let bits = bits.into_iter().take(need).map(|bit| bit.unwrap_or(lit(0, 1)));
        let value = circuit.k.wire("total", lanes(bits));
        (Term { value: value.into(), range: self.range(dot) }, 1 + registers)
    }
}

/// Returns the elements of group `g`.
fn elements(dot: &Dot, g: usize) -> usize {
    (dot.simd - GROUP * g).min(GROUP)
}
