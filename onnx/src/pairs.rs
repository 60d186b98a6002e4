//! Sums of two levels of different scales: whole factors that keep the exact order of all pairs, and the real
//! sum behind each whole one.

use crate::number::{Q, to_f64, whole};
use crate::per_channel::PerChannel;
use num_traits::Signed;
use std::cmp::Ordering;

/// The real sums `scales.0·x + scales.1·y + offset` as a function of `factors · (x, y)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Pairs {
    /// One pair of levels for each whole sum that occurs, ascending: `(sum, x, y)`.
    sums: Vec<(i64, u32, u32)>,
    scales: (PerChannel, PerChannel),
    offset: PerChannel,
}

/// Most pairs of levels.
const MAX_PAIRS: u64 = 1 << 20;

/// Returns whole factors whose sums over levels up to `tops` are ordered, ties included, as those of `scales`
/// (not 0), and whether they are exact multiples of the scales.
///
/// A fraction decides the order of `a·dx` and `b·dy`; every fraction strictly between two neighbours of the
/// Stern-Brocot tree has at least the terms of their mediant. The walk ends at the first mediant that no pair
/// of differences can reach.
pub fn factors(scales: (&Q, &Q), tops: (i64, i64)) -> ([i32; 2], bool) {
    let ratio = (scales.0 / scales.1).abs();
    let sign = |q: &Q, n: i64| if q.is_negative() { -n as i32 } else { n as i32 };
    let (mut below, mut above) = ((0i64, 1i64), (1i64, 0i64));
    loop {
        let (n, d) = (below.0 + above.0, below.1 + above.1);
        let found = ([sign(scales.0, n), sign(scales.1, d)], Q::new(n.into(), d.into()));
        match ratio.cmp(&found.1) {
            Ordering::Equal => return (found.0, true),
            _ if n > tops.1 || d > tops.0 => return (found.0, false),
            Ordering::Less => above = (n, d),
            Ordering::Greater => below = (n, d),
        }
    }
}

impl Pairs {
    /// Makes the table for levels from 0 to `tops`; `None` where there are too many pairs.
    pub fn new(
        factors: [i32; 2],
        tops: (i64, i64),
        scales: (PerChannel, PerChannel),
        offset: PerChannel,
    ) -> Option<Self> {
        let count = (tops.0 as u64 + 1).checked_mul(tops.1 as u64 + 1).filter(|&n| n <= MAX_PAIRS)?;
        let mut sums = Vec::with_capacity(count as usize);
        for x in 0..=tops.0 {
            for y in 0..=tops.1 {
                sums.push((i64::from(factors[0]) * x + i64::from(factors[1]) * y, x as u32, y as u32));
            }
        }
        sums.sort_unstable();
        sums.dedup_by_key(|s| s.0);
        Some(Pairs { sums, scales, offset })
    }

    /// Returns the table of the channels given, in that order.
    pub fn picked(&self, channels: &[usize]) -> Self {
        let (x, y) = (self.scales.0.picked(channels), self.scales.1.picked(channels));
        Pairs { sums: self.sums.clone(), scales: (x, y), offset: self.offset.picked(channels) }
    }

    /// Returns the pair of the largest whole sum up to `z`; below all, that of the smallest.
    fn at(&self, z: i64) -> (u32, u32) {
        let (_, x, y) = self.sums[self.sums.partition_point(|s| s.0 <= z).saturating_sub(1)];
        (x, y)
    }

    /// Returns the exact real sum.
    pub fn exact(&self, c: usize, z: i64) -> Q {
        let (x, y) = self.at(z);
        self.scales.0.of(c) * whole(x) + self.scales.1.of(c) * whole(y) + self.offset.of(c)
    }

    /// Returns the sum in float32.
    pub fn float(&self, c: usize, z: i64) -> f32 {
        let (x, y) = self.at(z);
        let scale = |p: &PerChannel| to_f64(p.of(c)) as f32;
        scale(&self.scales.0) * x as f32 + scale(&self.scales.1) * y as f32 + scale(&self.offset)
    }

    /// Returns the sum in float64, and the sum of the sizes of its terms.
    pub fn estimate(&self, c: usize, z: i64) -> (f64, f64) {
        let (x, y) = self.at(z);
        let (a, b) = (to_f64(self.scales.0.of(c)) * f64::from(x), to_f64(self.scales.1.of(c)) * f64::from(y));
        let offset = to_f64(self.offset.of(c));
        (a + b + offset, a.abs() + b.abs() + offset.abs())
    }

    /// Checks that the real sums of a channel ascend strictly with the whole ones, pair by pair.
    pub fn check(&self, c: usize) -> bool {
        let mut last: Option<Q> = None;
        self.sums.iter().all(|&(z, ..)| {
            let value = self.exact(c, z);
            let ascends = last.as_ref().is_none_or(|l| *l < value);
            last = Some(value);
            ascends
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_factors_keep_the_order_of_all_pairs() {
        let q = |n: i64, d: i64| Q::new(n.into(), d.into());
        let float = |x: f32| Q::from_float(x).unwrap();
        let cases = [
            (float(0.0371), float(0.0225), (255, 255)),
            (float(0.1), float(-0.3), (15, 255)),
            (float(1.0), float(1e-4), (255, 7)),
            (float(1.0), float(1e4), (3, 3)),
            (q(6, 10), q(9, 10), (15, 15)),
        ];
        for (a, b, tops) in cases {
            let (factors, exact) = factors((&a, &b), tops);
            let mut sums = vec![];
            for x in 0..=tops.0 {
                for y in 0..=tops.1 {
                    let real = &a * whole(x) + &b * whole(y);
                    sums.push((i64::from(factors[0]) * x + i64::from(factors[1]) * y, real));
                }
            }
            sums.sort();
            for pair in sums.windows(2) {
                assert_eq!(
                    pair[0].0.cmp(&pair[1].0),
                    pair[0].1.cmp(&pair[1].1),
                    "{factors:?} for {a} and {b}"
                );
            }
            let one = |q: Q| PerChannel::one(q);
            let pairs = Pairs::new(factors, tops, (one(a.clone()), one(b.clone())), one(q(1, 2))).unwrap();
            assert!(pairs.check(0));
            assert_eq!(exact, factors == [2, 3], "{factors:?}");
        }
    }
}
