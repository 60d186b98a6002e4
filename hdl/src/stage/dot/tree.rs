//! Builds a pipelined adder tree.

use crate::rtl::{Expr, Kernel, Value, lanes};
use crate::stage::word::fit;
use dq_net::Range;

/// Most bits of sums that share an addition, two by two. Yosys gives additions of fewer than five bits no
/// carry chain on ECP5, and they then take twice as many LUTs.
const NARROW: usize = 4;

/// Holds a value of the tree, with its range.
#[derive(Clone, Debug)]
pub struct Term {
    pub value: Expr,
    pub range: Range,
}

/// Describes what is added to a term: another term, times 2^`shift`, or subtracted.
struct Addend<'a> {
    term: &'a Term,
    shift: usize,
    negative: bool,
}

impl<'a> Addend<'a> {
    fn plain(term: &'a Term) -> Self {
        Addend { term, shift: 0, negative: false }
    }
}

/// Adds terms, level by level, with registers between.
pub struct Tree<'a> {
    pub k: &'a mut Kernel,
    /// Number of bits of the result that matter.
    pub bits: usize,
    /// Number of adder levels so far.
    pub level: usize,
    /// Number of adder levels between two registers.
    pub step: usize,
}

impl Tree<'_> {
    /// Adds each plane up to one term, all in step.
    pub fn add_planes(&mut self, mut planes: Vec<Vec<Term>>) -> Vec<Term> {
        while planes[0].len() > 1 {
            self.level += 1;
            if planes.len() == 1 && planes[0].len() == 2 {
                // This is the last sum, to which nothing is joined, so it is registered.
                self.level = self.level.next_multiple_of(self.step);
            }
            for (p, plane) in planes.iter_mut().enumerate() {
                let terms = std::mem::take(plane);
                let level = self.level;
                let name = |i: usize| format!("plane{p}_level{level}_{i}");
                for (i, four) in terms.chunks(4).enumerate() {
                    let names = [name(2 * i), name(2 * i + 1)];
                    match four {
                        [a, b, c, d] => match self.narrow(a, b).zip(self.narrow(c, d)) {
                            Some((e, f)) => plane.extend(self.add_both(&names, [(a, b, e), (c, d, f)])),
                            None => {
                                plane.push(self.add(&names[0], a, &Addend::plain(b)));
                                plane.push(self.add(&names[1], c, &Addend::plain(d)));
                            }
                        },
                        [a, b, c] => {
                            plane.push(self.add(&names[0], a, &Addend::plain(b)));
                            plane.push(self.keep(&names[1], c));
                        }
                        [a, b] => plane.push(self.add(&names[0], a, &Addend::plain(b))),
                        [a] => plane.push(self.keep(&names[0], a)),
                        _ => unreachable!("at most four"),
                    }
                }
            }
        }
        planes.into_iter().map(|mut plane| plane.remove(0)).collect()
    }

    /// Adds the weighted planes up to one term, which is registered at the end.
    pub fn join(&mut self, planes: Vec<Term>) -> Term {
        // For weights −1/+1 both planes have weight 1. Otherwise plane b has weight 2^b, and the last one is
        // negative.
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
                self.level = self.level.next_multiple_of(self.step);
            }
            let joined = terms.chunks(2).enumerate().map(|(i, pair)| {
                let name = format!("joined_level{}_{i}", self.level);
                match pair {
                    // A sum that contains the negative plane is signed already.
                    [a, b] => {
                        (self.add(&name, &a.0, &Addend { term: &b.0, shift: weight, negative: b.1 }), false)
                    }
                    [a] => (self.keep(&name, &a.0), a.1),
                    _ => unreachable!("pairs"),
                }
            });
            terms = joined.collect();
            weight *= 2;
        }
        terms.remove(0).0
    }

    /// Returns the range of `a + b` where it is unsigned and of at most [`NARROW`] bits, none of them cut
    /// off.
    fn narrow(&self, a: &Term, b: &Term) -> Option<Range> {
        let range = Range::new(a.range.lo + b.range.lo, a.range.hi + b.range.hi);
        let bits = range.bits() as usize;
        let unsigned = !a.range.signed() && !b.range.signed();
        (unsigned && bits <= NARROW && bits <= self.bits).then_some(range)
    }

    /// Computes two sums of unsigned terms with one addition: neither overflows its half.
    fn add_both(&mut self, names: &[String; 2], sums: [(&Term, &Term, Range); 2]) -> [Term; 2] {
        let width = sums.iter().map(|sum| sum.2.bits() as usize).max().expect("two");
        let [left, right] =
            [0, 1].map(|side| lanes(sums.each_ref().map(|(a, b, _)| fit(&[a, b][side].value, false, width))));
        let both = self.k.wire(&format!("{}_both", names[0]), left.add(right, 2 * width));
        [0, 1].map(|i| {
            let bits = sums[i].2.bits() as usize;
            if bits < width {
                self.k.unused(both.slice(i * width + bits, width - bits));
            }
            self.name(&names[i], both.slice(i * width, bits), sums[i].2)
        })
    }

    /// Adds to `a`.
    fn add(&mut self, name: &str, a: &Term, b: &Addend) -> Term {
        let Addend { term: b, shift, negative } = *b;
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

    /// Returns `width` bits of a term; those above do not matter modulo 2^bits.
    fn low(&mut self, term: &Term, width: usize) -> Expr {
        fit(cut(self.k, term.value.clone(), width), term.range.signed(), width)
    }

    fn keep(&mut self, name: &str, a: &Term) -> Term {
        if self.level.is_multiple_of(self.step) {
            self.name(name, a.value.clone(), a.range)
        } else {
            a.clone()
        }
    }

    /// Returns a wire, or a register at every `step`th level.
    fn name(&mut self, name: &str, value: Expr, range: Range) -> Term {
        let value = if self.level.is_multiple_of(self.step) {
            let register = self.k.reg(name, value.width(), None);
            self.k.next(register, None, value.unsigned());
            register.expr()
        } else {
            self.k.wire(name, value.unsigned()).expr()
        };
        Term { value, range }
    }
}

/// Returns the low `width` bits of a value that has more, all of another.
pub fn cut(k: &mut Kernel, value: Expr, width: usize) -> Expr {
    let have = value.width();
    if have <= width {
        return value;
    }
    k.unused((&value).slice(width, have - width));
    value.slice(0, width)
}
