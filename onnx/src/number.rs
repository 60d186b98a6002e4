//! Defines exact real numbers: rationals, and rationals with one square root, as a batch normalization has
//! it. Every comparison and every rounding of them is exact.

use num_bigint::BigInt;
use num_integer::Integer;
use num_rational::BigRational;
use num_traits::{One, Signed, ToPrimitive, Zero};
use std::cmp::Ordering;
use std::hash::{Hash, Hasher};

/// A rational number.
pub type Q = BigRational;

/// What is said where one formula holds the roots of two different numbers.
const TWO_ROOTS: &str = "two batch normalizations meet without a quantizer between them: merge them, or put \
                         a quantizer between them";

/// Reads a decimal number such as 0.485, exactly.
pub fn decimal(text: &str) -> Result<Q, String> {
    let refused = || format!("expected a decimal number such as 0.485, found `{text}`");
    let (sign, digits) = text.strip_prefix('-').map_or((1i64, text), |rest| (-1, rest));
    let (integer, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let all = format!("{integer}{fraction}");
    if all.is_empty() || all.len() > 15 || !all.bytes().all(|b| b.is_ascii_digit()) {
        return Err(refused());
    }
    let number: i64 = all.parse().map_err(|_| refused())?;
    let places = u32::try_from(fraction.len()).map_err(|_| refused())?;
    Ok(Q::new((sign * number).into(), 10i64.pow(places).into()))
}

/// Returns the rational that a float is; `None` for infinities and NaN.
pub fn of_f32(x: f32) -> Option<Q> {
    BigRational::from_float(x)
}

/// Returns a whole number as a rational.
pub fn whole(x: impl Into<BigInt>) -> Q {
    Q::from_integer(x.into())
}

/// Returns the closest float64, for people and for estimates.
pub fn to_f64(x: &Q) -> f64 {
    x.to_f64().unwrap_or(f64::NAN)
}

/// Returns the largest rational that all of `values` are whole multiples of; `None` where all are 0.
pub fn common_unit<'a>(values: impl IntoIterator<Item = &'a Q>) -> Option<Q> {
    let mut unit = Q::zero();
    for value in values {
        if value.is_zero() || (!unit.is_zero() && (value / &unit).is_integer()) {
            continue;
        }
        let denominator = unit.denom().lcm(value.denom());
        let of = |x: &Q| x.numer() * (&denominator / x.denom());
        unit = Q::new(of(&unit).gcd(&of(value)), denominator);
    }
    (!unit.is_zero()).then_some(unit)
}

/// `p + q·√r`: rational where `q` is 0; else `r` is no square of a rational.
#[derive(Clone, Debug, Eq)]
pub struct Real {
    p: Q,
    q: Q,
    r: Q,
}

impl Real {
    /// Returns the whole numbers that say which number it is: fractions are always reduced. `BigRational`
    /// itself compares and hashes by long division.
    fn parts(&self) -> [&BigInt; 6] {
        let Real { p, q, r } = self;
        [p.numer(), p.denom(), q.numer(), q.denom(), r.numer(), r.denom()]
    }
}

impl PartialEq for Real {
    fn eq(&self, other: &Self) -> bool {
        self.parts() == other.parts()
    }
}

impl Hash for Real {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.parts().hash(state);
    }
}

impl From<Q> for Real {
    fn from(p: Q) -> Self {
        Real { p, q: Q::zero(), r: Q::zero() }
    }
}

impl Real {
    /// Returns a whole number.
    pub fn whole(x: impl Into<BigInt>) -> Self {
        whole(x).into()
    }

    /// Returns the root of `square`, which is at least 0.
    pub fn root(square: &Q) -> Self {
        let (n, d) = (square.numer().sqrt(), square.denom().sqrt());
        if &(&n * &n) == square.numer() && &(&d * &d) == square.denom() {
            return Q::new(n, d).into();
        }
        Real { p: Q::zero(), q: Q::one(), r: square.clone() }
    }

    /// Returns the number, where it is rational.
    pub fn rational(&self) -> Option<&Q> {
        self.q.is_zero().then_some(&self.p)
    }

    /// Returns the sum; refused where both have a root and the roots differ.
    pub fn add(&self, other: &Real) -> Result<Real, String> {
        let r = self.root_with(other)?;
        Ok(Real::of(&self.p + &other.p, &self.q + &other.q, r))
    }

    /// Returns the product; refused where both have a root and the roots differ.
    pub fn mul(&self, other: &Real) -> Result<Real, String> {
        match (self.rational(), other.rational()) {
            (Some(a), Some(b)) => return Ok((a * b).into()),
            (Some(a), None) => return Ok(other.times(a)),
            (None, Some(b)) => return Ok(self.times(b)),
            (None, None) => {}
        }
        let r = self.root_with(other)?;
        let p = &self.p * &other.p + &self.q * &other.q * &r;
        Ok(Real::of(p, &self.p * &other.q + &self.q * &other.p, r))
    }

    /// Returns the product with a rational.
    pub fn times(&self, factor: &Q) -> Real {
        let product = |part: &Q| if part.is_zero() { Q::zero() } else { part * factor };
        Real::of(product(&self.p), product(&self.q), self.r.clone())
    }

    /// Returns the sum with a rational.
    pub fn plus(&self, term: &Q) -> Real {
        Real { p: &self.p + term, q: self.q.clone(), r: self.r.clone() }
    }

    /// Returns the negative.
    pub fn negative(&self) -> Real {
        Real { p: -&self.p, q: -&self.q, r: self.r.clone() }
    }

    /// Returns 1/x.
    ///
    /// # Panics
    /// If the number is 0.
    pub fn reciprocal(&self) -> Real {
        let norm = &self.p * &self.p - &self.q * &self.q * &self.r;
        Real::of(&self.p / &norm, -&self.q / &norm, self.r.clone())
    }

    fn of(p: Q, q: Q, r: Q) -> Real {
        if q.is_zero() { p.into() } else { Real { p, q, r } }
    }

    fn root_with(&self, other: &Real) -> Result<Q, String> {
        match (self.q.is_zero(), other.q.is_zero()) {
            (true, _) => Ok(other.r.clone()),
            (_, true) => Ok(self.r.clone()),
            _ if self.r == other.r => Ok(self.r.clone()),
            _ => Err(TWO_ROOTS.into()),
        }
    }

    /// Returns how the number compares with 0.
    pub fn sign(&self) -> Ordering {
        let sign = |x: &Q| x.cmp(&Q::zero());
        match (sign(&self.p), sign(&self.q)) {
            (p, Ordering::Equal) => p,
            (Ordering::Equal, q) => q,
            (p, q) if p == q => p,
            // p and q·√r pull apart: the larger square wins.
            (p, q) => match (&self.p * &self.p).cmp(&(&self.q * &self.q * &self.r)) {
                Ordering::Greater => p,
                Ordering::Less => q,
                Ordering::Equal => Ordering::Equal,
            },
        }
    }

    /// Returns how the number compares with a rational.
    pub fn compare(&self, other: &Q) -> Ordering {
        if let Some(p) = self.rational() { p.cmp(other) } else { self.plus(&-other).sign() }
    }

    /// Returns the largest whole number that is not above.
    pub fn floor(&self) -> BigInt {
        if self.q.is_zero() {
            return self.p.numer().div_floor(self.p.denom());
        }
        // (a ± √m) / e with whole numbers: the root may be rounded down (or up, where it is taken away)
        // before the division, which rounds down too.
        let square = &self.q * &self.q * &self.r;
        let (n, d) = (square.numer(), square.denom());
        let e = self.p.denom() * d;
        let a = self.p.numer() * d;
        let m = n * d * self.p.denom() * self.p.denom();
        let root = m.sqrt();
        let sum = if self.q.is_positive() {
            a + root
        } else {
            let exact = &root * &root == m;
            a - root - if exact { BigInt::zero() } else { BigInt::one() }
        };
        sum.div_floor(&e)
    }

    /// Returns the closest float64, or nearly.
    pub fn to_f64(&self) -> f64 {
        if self.q.is_zero() {
            to_f64(&self.p)
        } else {
            to_f64(&self.p) + to_f64(&self.q) * to_f64(&self.r).sqrt()
        }
    }
}

/// A rule of rounding to whole numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// To the nearest, halves to the even one.
    HalfEven,
    /// To the nearest, halves away from zero.
    HalfUp,
    /// To the nearest, halves towards zero.
    HalfDown,
    /// Away from zero.
    Up,
    /// Towards zero.
    Down,
    /// Up the number line.
    Ceil,
    /// Down the number line.
    Floor,
}

impl Rounding {
    /// Reads a name of qonnx's `rounding_mode`.
    pub fn parse(name: &str) -> Option<Self> {
        Some(match name.to_ascii_uppercase().as_str() {
            "ROUND" | "HALF_EVEN" => Rounding::HalfEven,
            "HALF_UP" => Rounding::HalfUp,
            "HALF_DOWN" => Rounding::HalfDown,
            "UP" => Rounding::Up,
            "DOWN" => Rounding::Down,
            "CEIL" => Rounding::Ceil,
            "FLOOR" => Rounding::Floor,
            _ => return None,
        })
    }

    /// Rounds exactly.
    pub fn exact(self, x: &Real) -> BigInt {
        let half = Q::new(1.into(), 2.into());
        let ceil = |x: &Real| -x.negative().floor();
        let negative = x.sign() == Ordering::Less;
        let away = |f: &dyn Fn(&Real) -> BigInt| if negative { -f(&x.negative()) } else { f(x) };
        match self {
            Rounding::Floor => x.floor(),
            Rounding::Ceil => ceil(x),
            Rounding::Down => away(&|x| x.floor()),
            Rounding::Up => away(&ceil),
            Rounding::HalfUp => away(&|x| x.plus(&half).floor()),
            Rounding::HalfDown => away(&|x| ceil(&x.plus(&-&half))),
            Rounding::HalfEven => {
                let above = x.plus(&half);
                let nearest = above.floor();
                let tie = above.rational().is_some_and(|q| q.is_integer());
                if tie && nearest.is_odd() { nearest - 1 } else { nearest }
            }
        }
    }

    /// Rounds as NumPy does in float32.
    pub fn float(self, x: f32) -> f32 {
        match self {
            Rounding::Floor => x.floor(),
            Rounding::Ceil => x.ceil(),
            Rounding::Down => x.trunc(),
            Rounding::Up => x.signum() * x.abs().ceil(),
            Rounding::HalfUp => x.signum() * (x.abs() + 0.5).floor(),
            Rounding::HalfDown => x.signum() * (x.abs() - 0.5).ceil(),
            Rounding::HalfEven => x.round_ties_even(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(n: i64, d: i64) -> Q {
        Q::new(n.into(), d.into())
    }

    #[test]
    fn floors_and_signs_with_roots_are_those_of_floats() {
        for p in -7..8 {
            for s in -5..6 {
                for r in [2i64, 3, 4, 5, 7] {
                    let x = Real::root(&q(r, 3)).times(&q(s, 2)).plus(&q(p, 3));
                    let float = p as f64 / 3.0 + s as f64 / 2.0 * (r as f64 / 3.0).sqrt();
                    assert_eq!(x.floor(), BigInt::from(float.floor() as i64), "{p}/3 + {s}/2·√({r}/3)");
                    assert_eq!(x.sign(), float.partial_cmp(&0.0).unwrap());
                    if x.sign() != Ordering::Equal {
                        assert!((x.reciprocal().to_f64() - 1.0 / float).abs() < 1e-9);
                    }
                }
            }
        }
        assert_eq!(Real::root(&q(9, 4)).rational(), Some(&q(3, 2)));
        assert!(Real::root(&q(2, 1)).add(&Real::root(&q(3, 1))).is_err());
    }

    #[test]
    fn exact_rounding_is_that_of_floats_where_floats_are_exact() {
        for name in ["ROUND", "HALF_UP", "half_down", "UP", "DOWN", "CEIL", "FLOOR"] {
            let rounding = Rounding::parse(name).unwrap();
            for n in -21i64..22 {
                let exact = rounding.exact(&q(n, 4).into());
                assert_eq!(exact, BigInt::from(rounding.float(n as f32 / 4.0) as i64), "{name} {n}/4");
            }
        }
        assert_eq!(Rounding::parse("NEAREST"), None);
        assert_eq!(Rounding::HalfEven.exact(&q(5, 2).into()), BigInt::from(2));
        assert_eq!(Rounding::HalfEven.exact(&q(-3, 2).into()), BigInt::from(-2));
    }

    #[test]
    fn a_common_unit_divides_all() {
        assert_eq!(common_unit(&[q(3, 4), q(-9, 2), q(0, 1)]), Some(q(3, 4)));
        assert_eq!(common_unit(&[q(1, 6), q(1, 4)]), Some(q(1, 12)));
        assert_eq!(common_unit(&[q(0, 1)]), None);
    }

    #[test]
    fn decimals_are_exact() {
        let q = |n: i64, d: i64| Q::new(n.into(), d.into());
        for (text, value) in [("0.485", q(97, 200)), ("-1", q(-1, 1)), ("127.5", q(255, 2)), (".5", q(1, 2))]
        {
            assert_eq!(decimal(text), Ok(value), "{text}");
        }
        for text in ["", ".", "1e3", "1.2.3", "nan", "--1", "12345678901234567"] {
            assert!(decimal(text).is_err(), "{text}");
        }
    }
}
