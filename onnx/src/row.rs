//! Evaluates one channel of a chain exactly, often: its constants are read once, and fractions are never
//! reduced.

use crate::chain::{Chain, Link};
use crate::number::{Q, Real, Rounding};
use crate::pairs::Pairs;
use crate::per_channel::PerChannel;
use num_bigint::{BigInt, Sign};
use num_integer::Integer;
use num_traits::{One, Signed, ToPrimitive, Zero};
use std::cmp::Ordering;
use std::sync::Arc;

/// One channel of a chain that ends in a whole number.
pub struct Row {
    links: Vec<Prepared>,
    channel: usize,
    /// The number whose root the channel has; 0 where it has none.
    root: BigInt,
}

/// Numerator and denominator, which is above 0.
type Fraction = (BigInt, BigInt);

enum Prepared {
    Mul(Fraction),
    Add(Fraction),
    /// Times the root of the channel, and times a fraction.
    MulRoot(Fraction),
    Clamp(Option<Fraction>, Option<Fraction>),
    Leaky(Fraction),
    Round(Rounding),
    Positive,
    Sign,
    Count(Vec<Fraction>),
    Pairs(Arc<Pairs>),
}

/// `(n + m·√root) / d`, with d above 0.
struct Value {
    n: BigInt,
    m: BigInt,
    d: BigInt,
}

fn fraction(q: &Q) -> Fraction {
    (q.numer().clone(), q.denom().clone())
}

impl Row {
    /// Reads channel `c` of a chain; `None` where it has the roots of two numbers.
    pub fn new(chain: &Chain, c: usize) -> Option<Self> {
        let mut row = Row { links: vec![], channel: c, root: BigInt::zero() };
        for link in &chain.0 {
            row.read(link, c)?;
        }
        Some(row)
    }

    fn read(&mut self, link: &Link, c: usize) -> Option<()> {
        let of = |p: &PerChannel| fraction(p.of(c));
        let prepared = match link {
            Link::Mul(m) => Prepared::Mul(of(m)),
            Link::Div(d) => Prepared::Mul(fraction(&d.of(c).recip())),
            Link::Add(a) => Prepared::Add(of(a)),
            Link::MulRoot(square) => self.times_root(square.of(c), &Q::one())?,
            Link::DivRoot(square) => self.times_root(square.of(c), &square.of(c).recip())?,
            Link::Norm(norm) => {
                let variance = norm.variance.of(c);
                let slope = self.times_root(variance, &(norm.gain.of(c) / variance))?;
                self.links.push(Prepared::Add(fraction(&-norm.mean.of(c))));
                self.links.push(slope);
                Prepared::Add(of(&norm.bias))
            }
            Link::Clamp(lo, hi) => Prepared::Clamp(lo.as_ref().map(of), hi.as_ref().map(of)),
            Link::Leaky(slope) => Prepared::Leaky(of(slope)),
            Link::Round(rounding) => Prepared::Round(*rounding),
            Link::Positive => Prepared::Positive,
            Link::Sign => Prepared::Sign,
            Link::Count(rows) => {
                Prepared::Count(rows[if rows.len() == 1 { 0 } else { c }].iter().map(fraction).collect())
            }
            Link::Pairs(pairs) => Prepared::Pairs(pairs.clone()),
        };
        self.links.push(prepared);
        Some(())
    }

    /// Prepares the product with `factor · √square`; `None` where the channel has another root already.
    fn times_root(&mut self, square: &Q, factor: &Q) -> Option<Prepared> {
        if let Some(root) = Real::root(square).rational() {
            return Some(Prepared::Mul(fraction(&(root * factor))));
        }
        // √(n/d) = √(n·d) / d.
        let whole = square.numer() * square.denom();
        if !self.root.is_zero() && self.root != whole {
            return None;
        }
        self.root = whole;
        Some(Prepared::MulRoot(fraction(&(factor / Q::from(square.denom().clone())))))
    }

    /// Returns the whole number that the chain makes of `z`, and whether what its last staircase read lay on a
    /// boundary exactly.
    pub fn number(&self, z: i64) -> Result<(i64, bool), String> {
        let mut x = Value { n: z.into(), m: BigInt::zero(), d: BigInt::one() };
        let mut met = false;
        for link in &self.links {
            match link {
                Prepared::Mul((n, d)) => x.times(n, d),
                Prepared::Add((n, d)) => x.plus(n, d),
                Prepared::MulRoot((n, d)) => {
                    let product = &x.m * &self.root;
                    x.m = std::mem::replace(&mut x.n, product);
                    x.times(n, d);
                }
                Prepared::Clamp(lo, hi) => {
                    for (bound, side) in [(lo, Ordering::Less), (hi, Ordering::Greater)] {
                        if let Some((n, d)) = bound.as_ref().filter(|b| self.compare(&x, b) == side) {
                            x = Value { n: n.clone(), m: BigInt::zero(), d: d.clone() };
                        }
                    }
                }
                Prepared::Leaky((n, d)) => {
                    if self.sign(&x.n, &x.m) == Ordering::Less {
                        x.times(n, d);
                    }
                }
                Prepared::Pairs(pairs) => {
                    let sum = self.floor(&x).to_i64().ok_or("sums of more than 63 bits")?;
                    let (n, d) = fraction(&pairs.exact(self.channel, sum));
                    x = Value { n, m: BigInt::zero(), d };
                }
                staircase => {
                    let (number, on) = self.staircase(staircase, &x);
                    met = on;
                    x = Value { n: number, m: BigInt::zero(), d: BigInt::one() };
                }
            }
        }
        let number = self.floor(&x).to_i64();
        number.map(|number| (number, met)).ok_or_else(|| "levels: expected at most 63 bits".into())
    }

    /// Returns the whole number that a staircase makes of `x`, and whether `x` lies on a boundary of it.
    fn staircase(&self, link: &Prepared, x: &Value) -> (BigInt, bool) {
        match link {
            Prepared::Round(rounding) => self.round(*rounding, x),
            Prepared::Count(thresholds) => {
                let sides: Vec<Ordering> = thresholds.iter().map(|t| self.compare(x, t)).collect();
                let reached = sides.iter().filter(|&&s| s != Ordering::Less).count();
                (reached.into(), sides.contains(&Ordering::Equal))
            }
            link => {
                let sign = self.sign(&x.n, &x.m);
                let number = match link {
                    Prepared::Positive => i8::from(sign != Ordering::Less),
                    _ => sign as i8,
                };
                (number.into(), sign == Ordering::Equal)
            }
        }
    }

    fn round(&self, rounding: Rounding, x: &Value) -> (BigInt, bool) {
        let floor = self.floor(x);
        let above = || &floor + 1;
        let positive = self.sign(&x.n, &x.m) == Ordering::Greater;
        if matches!(rounding, Rounding::HalfEven | Rounding::HalfUp | Rounding::HalfDown) {
            let middle = (&floor * 2 + 1, BigInt::from(2));
            return match (self.compare(x, &middle), rounding) {
                (Ordering::Less, _) => (floor, false),
                (Ordering::Greater, _) => (above(), false),
                (_, Rounding::HalfEven) if floor.is_even() => (floor, true),
                (_, Rounding::HalfUp) if !positive => (floor, true),
                (_, Rounding::HalfDown) if positive => (floor, true),
                _ => (above(), true),
            };
        }
        let whole = self.compare(x, &(floor.clone(), BigInt::one())) == Ordering::Equal;
        let up = match rounding {
            Rounding::Ceil => true,
            Rounding::Up => positive,
            Rounding::Down => !positive,
            _ => false,
        };
        (if up && !whole { above() } else { floor }, whole)
    }

    /// Returns how `n + m·√root` compares with 0.
    fn sign(&self, n: &BigInt, m: &BigInt) -> Ordering {
        let of = |x: &BigInt| match x.sign() {
            Sign::Minus => Ordering::Less,
            Sign::NoSign => Ordering::Equal,
            Sign::Plus => Ordering::Greater,
        };
        match (of(n), of(m)) {
            (sign, Ordering::Equal) | (Ordering::Equal, sign) => sign,
            (a, b) if a == b => a,
            // The two pull apart: the larger square wins.
            (a, b) => match (n * n).cmp(&(m * m * &self.root)) {
                Ordering::Greater => a,
                Ordering::Less => b,
                Ordering::Equal => Ordering::Equal,
            },
        }
    }

    fn compare(&self, x: &Value, (n, d): &Fraction) -> Ordering {
        self.sign(&(&x.n * d - n * &x.d), &(&x.m * d))
    }

    /// Returns the largest whole number that is not above `x`.
    fn floor(&self, x: &Value) -> BigInt {
        if x.m.is_zero() {
            return x.n.div_floor(&x.d);
        }
        // √(m²·root), rounded down, or up where it is taken away: it is no whole number.
        let root = (&x.m * &x.m * &self.root).sqrt();
        let sum = if x.m.is_positive() { &x.n + root } else { &x.n - root - 1 };
        sum.div_floor(&x.d)
    }
}

impl Value {
    fn times(&mut self, n: &BigInt, d: &BigInt) {
        self.n *= n;
        if !self.m.is_zero() {
            self.m *= n;
        }
        self.d *= d;
    }

    fn plus(&mut self, n: &BigInt, d: &BigInt) {
        self.n = &self.n * d + n * &self.d;
        if !self.m.is_zero() {
            self.m *= d;
        }
        self.d *= d;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chain::Norm;

    fn q(n: i64, d: i64) -> PerChannel {
        PerChannel::one(Q::new(n.into(), d.into()))
    }

    #[test]
    fn numbers_are_those_of_the_chain() {
        let norm = |square: i64| {
            let (mean, bias) = (q(-3, 7), q(1, 5));
            Link::Norm(Arc::new(Norm { mean, variance: q(square, 9), gain: q(-2, 3), bias }))
        };
        let fronts = [
            vec![Link::Mul(q(3, 8)), Link::Add(q(-1, 4))],
            vec![Link::Div(q(-5, 3)), Link::Leaky(q(1, 10))],
            vec![norm(4)],
            vec![norm(7), Link::Mul(q(5, 2))],
            vec![Link::DivRoot(q(3, 2)), Link::Clamp(Some(q(-9, 2)), Some(q(25, 2)))],
            vec![Link::MulRoot(q(1, 4)), Link::MulRoot(q(2, 1)), Link::MulRoot(q(2, 1))],
        ];
        let rounding = |name| Link::Round(Rounding::parse(name).unwrap());
        let modes = ["ROUND", "HALF_UP", "HALF_DOWN", "UP", "DOWN", "CEIL", "FLOOR"];
        let counts =
            Link::Count(Arc::new(vec![vec![Q::from_integer((-2).into()), Q::from_integer(3.into())]]));
        let ends = modes.into_iter().map(rounding).chain([Link::Positive, Link::Sign, counts]);
        let mut met = 0;
        for (i, end) in ends.enumerate() {
            for (j, front) in fronts.iter().enumerate() {
                let clamp = Link::Clamp(Some(q(-6, 1)), None);
                let chain = Chain([front.clone(), vec![end.clone(), Link::Add(q(1, 1)), clamp]].concat());
                let row = Row::new(&chain, 0).unwrap();
                for z in -60..60 {
                    let (number, on) = row.number(z).unwrap();
                    let exact = chain.exact(0, z).unwrap();
                    assert_eq!(BigInt::from(number), exact.floor(), "end {i}, front {j}, {z}");
                    met += u32::from(on);
                }
            }
        }
        assert!(met > 50, "{met} boundaries met");
        let two = Chain(vec![norm(7), rounding("ROUND"), norm(5), rounding("ROUND")]);
        assert!(Row::new(&two, 0).is_none());
    }
}
