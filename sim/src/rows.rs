//! Holds linear functions of a node's values in fixed point, as bounds from below carry them back through a
//! network: whole factors times a power of two, and a constant. Whatever is rounded here is rounded down
//! against bounds of the values, so a bound stays a bound in integers alone.

use crate::tensor::Tensor;
use dq_net::Range;

/// Number of a constant's bits behind the point.
const FRACTION: i32 = 40;

/// Holds the least and the largest value of each element of a node.
#[derive(Clone)]
pub(crate) struct Ends {
    pub lo: Vec<i64>,
    pub hi: Vec<i64>,
}

/// Holds the constant of a bound from below, in units of 2^-40; none once it left its register, where nothing
/// is known.
#[derive(Clone, Copy)]
pub(crate) struct Floor(Option<i128>);

/// Holds linear functions of the same values, a row each.
#[derive(Clone)]
pub(crate) struct Rows {
    /// Row × element.
    pub factors: Vec<i32>,
    /// Says for each row that its unit is two to this power.
    pub exponents: Vec<i32>,
}

impl Ends {
    /// Returns the least and the largest value of element `at`.
    pub fn get(&self, at: usize) -> (i64, i64) {
        (self.lo[at], self.hi[at])
    }

    /// Returns the least and the largest values, of a node whose values lie in `range`.
    pub fn tensors(&self, range: Range) -> [Tensor; 2] {
        [&self.lo, &self.hi].map(|end| Tensor::narrow(end.iter().map(|&value| value as i32).collect(), range))
    }
}

impl Floor {
    /// Begins with zero.
    pub const ZERO: Self = Self(Some(0));

    /// Adds `sum · 2^exponent`, rounded down.
    pub fn add(&mut self, sum: i128, exponent: i32) {
        let shift = exponent + FRACTION;
        let scaled = match (sum, shift) {
            (0, _) => Some(0),
            (_, ..0) => Some(sum >> (-shift).min(127)),
            // One bit is the sign's.
            _ => (sum.unsigned_abs().leading_zeros() as i32 > shift + 1).then(|| sum << shift),
        };
        self.0 = self.0.zip(scaled).and_then(|(a, b)| a.checked_add(b));
    }

    /// Returns a bound from below of whole numbers that are at least this.
    pub fn whole(self) -> i64 {
        let up = self.0.and_then(|value| value.checked_add((1 << FRACTION) - 1));
        up.and_then(|value| i64::try_from(value >> FRACTION).ok()).unwrap_or(i64::MIN)
    }
}

/// Rounds a row of `products`, whose unit is `2^exponent`, to whole numbers of a magnitude of at most `most`
/// and hands them to `put`. What that takes away from the function is taken off `floor`, where `ends` bounds
/// the values. Returns the new exponent. Products stay below 2^62.
pub(crate) fn round(
    (length, products): (usize, impl Fn(usize) -> i64),
    (exponent, most): (i32, i32),
    ends: impl Fn(usize) -> (i64, i64),
    floor: &mut Floor,
    mut put: impl FnMut(usize, i32),
) -> i32 {
    let largest = (0..length).map(|at| products(at).unsigned_abs()).max().unwrap_or(0);
    if largest <= most as u64 {
        (0..length).for_each(|at| put(at, products(at) as i32));
        return exponent;
    }
    let rounded = |shift: u32| (largest + (1 << (shift - 1))) >> shift;
    let shift = (1..=62).find(|&shift| rounded(shift) <= most as u64).expect("a shift by 62 leaves 0");
    let half = 1i64 << (shift - 1);
    let mut lost = 0i128;
    for at in 0..length {
        let product = products(at);
        let factor = (product + half) >> shift;
        let rest = product - (factor << shift);
        let (lo, hi) = ends(at);
        lost += i128::from(rest) * i128::from(if rest > 0 { lo } else { hi });
        put(at, factor as i32);
    }
    floor.add(lost, exponent);
    exponent + shift as i32
}

impl Rows {
    /// Returns rows of one element each: its place and its factor.
    pub fn units(width: usize, elements: &[(usize, i32)]) -> Self {
        let mut factors = vec![0; width * elements.len()];
        for (row, &(at, factor)) in factors.chunks_exact_mut(width).zip(elements) {
            row[at] = factor;
        }
        Self { factors, exponents: vec![0; elements.len()] }
    }

    /// Returns the number of elements of a row.
    pub fn width(&self) -> usize {
        self.factors.len() / self.exponents.len()
    }

    /// Returns the factors of row `row`.
    pub fn row(&self, row: usize) -> &[i32] {
        let width = self.width();
        &self.factors[row * width..][..width]
    }

    /// Builds rows for elements between `ends` from `row(n, floor)`, the products of row `n`, which have its
    /// exponent in `exponents`.
    pub fn of_products<P: Fn(usize) -> i64>(
        ends: &Ends,
        exponents: &[i32],
        floors: &mut [Floor],
        row: impl Fn(usize, &mut Floor) -> P,
    ) -> Self {
        let width = ends.lo.len();
        let mut factors = vec![0; width * exponents.len()];
        let rows = factors.chunks_exact_mut(width).zip(exponents).zip(floors).enumerate();
        let exponents = rows.map(|(n, ((to, &exponent), floor))| {
            let products = row(n, floor);
            round((width, products), (exponent, i32::MAX), |at| ends.get(at), floor, |at, v| to[at] = v)
        });
        let exponents = exponents.collect();
        Self { factors, exponents }
    }

    /// Returns the least value of row `row` between `ends`, in its unit.
    pub fn least(&self, row: usize, ends: &Ends) -> i128 {
        let terms = self.row(row).iter().zip(ends.lo.iter().zip(&ends.hi));
        terms.map(|(&f, (&lo, &hi))| i128::from(f) * i128::from(if f > 0 { lo } else { hi })).sum()
    }

    /// Keeps the rows `kept` alone, which are in order.
    pub fn keep(&mut self, kept: &[usize]) {
        let width = self.width();
        for (to, &from) in kept.iter().enumerate() {
            self.factors.copy_within(from * width..(from + 1) * width, to * width);
            self.exponents[to] = self.exponents[from];
        }
        self.factors.truncate(kept.len() * width);
        self.exponents.truncate(kept.len());
    }

    /// Returns the sums of these functions and `others`, row by row, of values between `ends`.
    pub fn plus(&self, others: &Rows, ends: &Ends, floors: &mut [Floor]) -> Self {
        /// Most bits by which a factor is brought to a finer unit.
        const MOST: i32 = 28;
        let pairs = self.exponents.iter().zip(&others.exponents);
        let exponents: Vec<i32> = pairs.map(|(&a, &b)| a.min(b).max(a.max(b) - MOST)).collect();
        Rows::of_products(ends, &exponents, floors, |n, floor| {
            let parts = [self, others].map(|rows| {
                let coarser = exponents[n] - rows.exponents[n];
                // What lies below the unit is taken off.
                let split = move |at: usize| {
                    let factor = i64::from(rows.row(n)[at]);
                    match coarser {
                        ..=0 => (factor << -coarser, 0),
                        1..=31 => (factor >> coarser, factor & ((1 << coarser) - 1)),
                        _ => (0, factor),
                    }
                };
                let lost = (0..ends.lo.len()).map(|at| {
                    let rest = split(at).1;
                    i128::from(rest) * i128::from(if rest > 0 { ends.lo[at] } else { ends.hi[at] })
                });
                floor.add(lost.sum(), rows.exponents[n]);
                split
            });
            move |at| parts[0](at).0 + parts[1](at).0
        })
    }
}
