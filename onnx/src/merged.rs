//! Evaluates one channel of a chain many times: in float64 with a bound of the error, and exactly where that
//! leaves the result open.

use crate::chain::{Chain, Link};
use crate::number::{Q, Real, Rounding, to_f64};
use crate::row::Row;
use num_traits::ToPrimitive;

/// One channel of a chain, neighbouring affine functions merged.
pub struct Merged<'a> {
    chain: &'a Chain,
    channel: usize,
    parts: Vec<Part>,
    /// The exact way; `None` where the chain itself is it.
    row: Option<Row>,
}

enum Part {
    Affine(f64, f64),
    Other { link: Link, bounds: (f64, f64), thresholds: Vec<f64> },
}

/// Error of a float64 operation or conversion, relative, with a wide margin.
const ERROR: f64 = 1e-14;

impl<'a> Merged<'a> {
    /// Merges a channel of a chain.
    pub fn new(chain: &'a Chain, c: usize) -> Result<Self, String> {
        let mut parts = vec![];
        let mut affine: Option<(Real, Real)> = None;
        for link in &chain.0 {
            match link.affine(c) {
                Some((slope, offset)) => {
                    affine = Some(match affine {
                        None => (slope, offset),
                        Some((s, o)) => (s.mul(&slope)?, o.mul(&slope)?.add(&offset)?),
                    });
                }
                None => {
                    parts.extend(affine.take().map(Part::affine));
                    parts.push(Part::other(link, c));
                }
            }
        }
        parts.extend(affine.map(Part::affine));
        Ok(Merged { chain, channel: c, parts, row: Row::new(chain, c) })
    }

    /// Returns the whole number that the chain, which ends in a staircase, makes of `z`.
    pub fn level(&self, z: i64) -> Result<i64, String> {
        if let Some(level) = self.quickly(z) {
            return Ok(level);
        }
        if let Some(row) = &self.row {
            return row.number(z).map(|(number, _)| number);
        }
        let level = self.chain.exact(self.channel, z)?.floor().to_i64();
        level.ok_or_else(|| "levels: expected whole numbers of at most 63 bits".into())
    }

    /// Returns the level where float64 is sure of it.
    fn quickly(&self, z: i64) -> Option<i64> {
        let (mut x, mut error) = (z as f64, 0.0);
        for part in &self.parts {
            match part {
                Part::Affine(slope, offset) => {
                    let y = slope * x + offset;
                    error = slope.abs() * error
                        + ERROR * (2.0 * (slope * x).abs() + 2.0 * offset.abs() + y.abs());
                    x = y;
                }
                Part::Other { link, bounds, thresholds } => {
                    (x, error) = apart((link, self.channel), *bounds, thresholds, (x, error))?;
                }
            }
        }
        (error == 0.0 && x.abs() < 1e15).then_some(x as i64)
    }
}

impl Part {
    fn affine(exact: (Real, Real)) -> Part {
        Part::Affine(exact.0.to_f64(), exact.1.to_f64())
    }

    fn other(link: &Link, c: usize) -> Part {
        let limit = |p: &Option<crate::per_channel::PerChannel>, none: f64| {
            p.as_ref().map_or(none, |p| to_f64(p.of(c)))
        };
        let bounds = match link {
            Link::Clamp(lo, hi) => (limit(lo, f64::NEG_INFINITY), limit(hi, f64::INFINITY)),
            Link::Leaky(slope) => (to_f64(slope.of(c)), 0.0),
            _ => (0.0, 0.0),
        };
        let thresholds = match link {
            Link::Count(rows) => {
                rows[if rows.len() == 1 { 0 } else { c }].iter().map(|t: &Q| to_f64(t)).collect()
            }
            _ => vec![],
        };
        Part::Other { link: link.clone(), bounds, thresholds }
    }
}

/// Applies a function that is not affine to `x ± error`; `None` where the result is not sure.
fn apart(
    (link, c): (&Link, usize),
    bounds: (f64, f64),
    thresholds: &[f64],
    (x, error): (f64, f64),
) -> Option<(f64, f64)> {
    // A number that is exact may lie on a boundary; conversions of boundaries are off by a little.
    let near = |boundary: f64| (x - boundary).abs() <= error + ERROR * (boundary.abs() + 1e-300);
    let sure = |boundary: f64, value: f64| if near(boundary) { None } else { Some((value, 0.0)) };
    match link {
        Link::Clamp(..) => {
            let inexact =
                ERROR * [bounds.0, bounds.1].iter().filter(|b| b.is_finite()).map(|b| b.abs()).sum::<f64>();
            Some((x.max(bounds.0).min(bounds.1), error + inexact))
        }
        Link::Pairs(pairs) if error == 0.0 => {
            let (sum, size) = pairs.estimate(c, x as i64);
            Some((sum, 4.0 * ERROR * size))
        }
        Link::Leaky(_) if x - error > 0.0 => Some((x, error)),
        Link::Positive => sure(0.0, f64::from(u8::from(x >= 0.0))),
        Link::Sign => sure(0.0, x.signum()),
        Link::Count(_) => {
            if thresholds.iter().any(|&t| near(t)) {
                return None;
            }
            Some((thresholds.iter().filter(|&&t| x >= t).count() as f64, 0.0))
        }
        Link::Round(Rounding::HalfEven | Rounding::HalfUp | Rounding::HalfDown) => {
            let nearest = x.round();
            let safe = 0.5 - (x - nearest).abs() > error + ERROR * x.abs();
            (safe && x.abs() < 1e12).then_some((nearest, 0.0))
        }
        Link::Round(rounding) => {
            let whole = x.round();
            let away = (x - whole).abs() > error + ERROR * x.abs();
            let (below, above) = (x.floor(), x.ceil());
            let value = match rounding {
                Rounding::Floor => below,
                Rounding::Ceil => above,
                Rounding::Up => {
                    if x > 0.0 {
                        above
                    } else {
                        below
                    }
                }
                _ => x.trunc(),
            };
            (away && x.abs() < 1e12).then_some((value, 0.0))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::per_channel::PerChannel;

    /// The quick way decides most levels, and never another than the exact way.
    #[test]
    fn float_levels_are_the_exact_ones() {
        let q = |n: i64, d: i64| PerChannel::one(Q::new(n.into(), d.into()));
        for rounding in ["ROUND", "HALF_UP", "HALF_DOWN", "UP", "DOWN", "CEIL", "FLOOR"] {
            let rounding = Rounding::parse(rounding).unwrap();
            for (n, d) in [(1, 2), (-1, 3), (3, 8), (7, 1000), (5, 1)] {
                let chain = Chain(vec![
                    Link::Mul(q(n, d)),
                    Link::Add(q(1, 4)),
                    Link::Clamp(Some(q(-37, 5)), Some(q(19, 3))),
                    Link::Round(rounding),
                ]);
                let merged = Merged::new(&chain, 0).unwrap();
                let mut quick = 0;
                for z in -2000..2000 {
                    let exact = chain.exact(0, z).unwrap().floor().to_i64().unwrap();
                    assert_eq!(merged.level(z).unwrap(), exact, "{rounding:?} {n}/{d} {z}");
                    quick += u32::from(merged.quickly(z).is_some());
                }
                assert!(quick > 20, "{rounding:?} {n}/{d}: {quick}");
            }
        }
    }
}
