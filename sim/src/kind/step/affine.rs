//! Computes a Step as an integer affine function `clamp((acc·mul + add) >> shift)`, where that is the same
//! function. The form is solved for, not fitted: it meets every threshold from both sides, and both forms are
//! monotone, so they agree on every accumulator. Floats play no part in it.

use crate::kernel::multiversion;
use dq_net::Range;
use dq_net::layer::Step;

/// Computes `clamp((clamp(acc, lo, hi)·mul + add) >> shift, 0, top)` with numbers of its own per channel; the
/// product wraps, the sum fits.
pub(super) struct Affine {
    lo: Vec<i32>,
    hi: Vec<i32>,
    mul: Vec<i32>,
    add: Vec<i32>,
    shift: u32,
    top: i32,
    /// Channels without an affine form: index, direction and thresholds, which are searched afterwards.
    pub odd: Vec<(usize, i32, Vec<i32>)>,
}

impl Affine {
    /// Returns the affine form of `step` for accumulators within `input`, if there is one for most channels.
    pub fn solve(step: &Step, input: Range) -> Option<Self> {
        let channels = step.dir.len();
        // The word has room for a level, one more bit, and a sign.
        let shift = 29 - u32::from(step.bits);
        let top = step.thresholds.dim().1 as i32;
        let mut found = Self { lo: vec![], hi: vec![], mul: vec![], add: vec![], shift, top, odd: vec![] };
        for c in 0..channels {
            let range = input.directed(step.dir[c]);
            let row: Vec<i64> = step.thresholds.row(c).iter().map(|&t| t.into()).collect();
            let (first, last) = (row[0], row[row.len() - 1]);
            let lo = (first - 1).clamp(range.lo, range.hi);
            let hi = last.clamp(range.lo, range.hi);
            let fits = |mul: i64, add: i64| [lo, hi].iter().all(|x| i32::try_from(mul * x + add).is_ok());
            let solution = slopes(&row, range, shift)
                .into_iter()
                .flatten()
                .filter_map(|mul| Some((mul, offset(&row, range, mul, shift)?)))
                .find(|&(mul, add)| fits(mul, add));
            if solution.is_none() {
                found.odd.push((c, step.dir[c].into(), step.thresholds.row(c).to_vec()));
            }
            let (mul, add) = solution.unwrap_or((0, 0));
            let forward = step.dir[c] > 0;
            found.lo.push(if forward { lo } else { -hi } as i32);
            found.hi.push(if forward { hi } else { -lo } as i32);
            // The product modulo 2^32 is enough, since the sum itself fits.
            found.mul.push(if forward { mul } else { -mul } as i32);
            found.add.push(add as i32);
        }
        (found.odd.len() * 8 <= channels).then_some(found)
    }
}

/// Returns the slopes for which some offset meets every threshold from both sides: the middle of the interval
/// of all of them, and its lower end. For each pair t, u of thresholds, `x·mul + add` is at least `t <<
/// shift` at T[t] and below `u << shift` at T[u] − 1; eliminating `add` leaves bounds of `mul`.
fn slopes(row: &[i64], range: Range, shift: u32) -> Option<[i64; 2]> {
    let (mut least, mut most) = (0, i64::MAX);
    for (t, &upper) in row.iter().enumerate().filter(|(_, t)| **t <= range.hi) {
        for (u, &lower) in row.iter().enumerate().filter(|(_, u)| **u > range.lo) {
            // mul·(T[t] − T[u] + 1) ≥ ((t − u) << shift) + 1
            let (run, rise) = (upper - lower + 1, ((t as i64 - u as i64) << shift) + 1);
            match run {
                1.. => least = least.max(rise.div_euclid(run) + i64::from(rise.rem_euclid(run) > 0)),
                0 if rise > 0 => return None,
                0 => {}
                _ => most = most.min((-rise).div_euclid(-run)),
            }
        }
    }
    let middle = if most == i64::MAX { least } else { least + (most - least) / 2 };
    (least <= most).then_some([middle, least])
}

/// Returns an `add` with which `x·mul + add ≥ t << shift` exactly from threshold `t` on, for every `x` in
/// `range`.
fn offset(row: &[i64], range: Range, mul: i64, shift: u32) -> Option<i64> {
    let (mut least, mut most) = (i64::MIN, i64::MAX);
    for (t, &threshold) in row.iter().enumerate() {
        let boundary = (t as i64 + 1) << shift;
        if threshold <= range.hi {
            least = least.max(boundary - mul * threshold);
        }
        if threshold > range.lo {
            most = most.min(boundary - 1 - mul * (threshold - 1));
        }
    }
    match (least, most) {
        (i64::MIN, most) => Some(most),
        (least, i64::MAX) => Some(least),
        (least, most) if least <= most => Some(least + (most - least) / 2),
        _ => None,
    }
}

multiversion! {
    /// Writes the levels of all channels that have an affine form.
    pub(super) fn run_affine = affine(form: &Affine, acc: &[i32], levels: &mut [u8])
}

#[inline(always)]
fn affine(form: &Affine, acc: &[i32], levels: &mut [u8]) {
    let channels = form.mul.len();
    let (lo, hi) = (&form.lo[..channels], &form.hi[..channels]);
    let (mul, add) = (&form.mul[..channels], &form.add[..channels]);
    for (acc, levels) in acc.chunks_exact(channels).zip(levels.chunks_exact_mut(channels)) {
        for c in 0..channels {
            let clamped = acc[c].max(lo[c]).min(hi[c]);
            let level = clamped.wrapping_mul(mul[c]).wrapping_add(add[c]) >> form.shift;
            levels[c] = level.max(0).min(form.top) as u8;
        }
    }
}
