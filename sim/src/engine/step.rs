//! The Step, fast: as an integer affine `clamp((acc·mul + add) >> shift)` where that is the same function, else by
//! counting or searching thresholds. The affine form is solved for, not fitted: it meets every threshold from both
//! sides, and both forms are monotone, so they agree on every accumulator. Floats play no part in it.

use crate::kernel::{Kernel, multiversion};
use dq_net::Range;
use dq_net::layer::Step;

/// Channels that the counting loop handles at a time.
const LANES: usize = 16;
/// Most thresholds that are counted; more are searched.
const COUNTED: usize = 15;

/// A Step ready to run.
pub(super) struct FastStep {
    channels: usize,
    form: Form,
}

enum Form {
    Affine(Affine),
    /// Thresholds lane-blocked: block of channels × threshold × 16 lanes; and each lane's direction.
    Count {
        dir: Vec<i32>,
        thresholds: Vec<i32>,
        count: usize,
    },
    /// Each channel's thresholds, ascending.
    Search {
        dir: Vec<i32>,
        thresholds: Vec<Vec<i32>>,
    },
}

/// `clamp((clamp(acc, lo, hi)·mul + add) >> shift, 0, top)`, a channel each; the product wraps, the sum fits.
struct Affine {
    lo: Vec<i32>,
    hi: Vec<i32>,
    mul: Vec<i32>,
    add: Vec<i32>,
    shift: u32,
    top: i32,
    /// Channels without an affine form: their directions and thresholds, searched afterwards.
    odd: Vec<(usize, i32, Vec<i32>)>,
}

impl FastStep {
    /// For accumulators within `input`.
    pub fn new(step: &Step, input: Range) -> Self {
        let channels = step.dir.len();
        if let Some(affine) = Affine::solve(step, input) {
            return Self { channels, form: Form::Affine(affine) };
        }
        let count = step.thresholds.dim().1;
        let dir: Vec<i32> = step.dir.iter().map(|&d| d.into()).collect();
        let form = if count <= COUNTED {
            let blocks = channels.div_ceil(LANES);
            let mut thresholds = vec![i32::MAX; blocks * count * LANES];
            for ((c, t), &value) in step.thresholds.indexed_iter() {
                thresholds[(c / LANES * count + t) * LANES + c % LANES] = value;
            }
            Form::Count { dir, thresholds, count }
        } else {
            Form::Search { dir, thresholds: step.thresholds.rows().into_iter().map(|r| r.to_vec()).collect() }
        };
        Self { channels, form }
    }

    /// Levels of whole pixels: `acc` and `levels` are pixels × channels.
    pub fn run(&self, kernel: Kernel, acc: &[i32], levels: &mut [u8]) {
        assert_eq!(acc.len(), levels.len());
        match &self.form {
            Form::Affine(affine) => {
                run_affine(kernel, affine, acc, levels);
                for (c, dir, thresholds) in &affine.odd {
                    let pixels = acc[*c..].iter().step_by(self.channels);
                    for (acc, level) in pixels.zip(levels[*c..].iter_mut().step_by(self.channels)) {
                        *level = search(thresholds, dir * acc);
                    }
                }
            }
            Form::Count { dir, thresholds, count } => {
                run_count(kernel, dir, thresholds, *count, acc, levels);
            }
            Form::Search { dir, thresholds } => {
                let pixels = acc.chunks_exact(self.channels).zip(levels.chunks_exact_mut(self.channels));
                for (acc, levels) in pixels {
                    for (c, (level, acc)) in levels.iter_mut().zip(acc).enumerate() {
                        *level = search(&thresholds[c], dir[c] * acc);
                    }
                }
            }
        }
    }
}

/// How many of the ascending `thresholds` the directed accumulator has reached.
fn search(thresholds: &[i32], directed: i32) -> u8 {
    thresholds.partition_point(|&t| t <= directed) as u8
}

impl Affine {
    /// The affine form of `step`, if there is one for most channels.
    fn solve(step: &Step, input: Range) -> Option<Self> {
        let channels = step.dir.len();
        // Room for a level, one more, and a sign.
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
            // Modulo 2^32 is enough: the sum itself fits.
            found.mul.push(if forward { mul } else { -mul } as i32);
            found.add.push(add as i32);
        }
        (found.odd.len() * 8 <= channels).then_some(found)
    }
}

/// Slopes for which some offset meets every threshold from both sides: the middle of the interval of all of them, and its
/// lower end. For each pair t, u of thresholds, `x·mul + add` is at least `t << shift` at T[t] and below `u << shift` at
/// T[u] − 1; eliminating `add` leaves bounds of `mul`.
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

/// An `add` with which `x·mul + add ≥ t << shift` exactly from threshold `t` on, for every `x` in `range`.
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
    fn run_affine = affine(form: &Affine, acc: &[i32], levels: &mut [u8])
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

multiversion! {
    fn run_count = count_thresholds(
        dir: &[i32], thresholds: &[i32], count: usize, acc: &[i32], levels: &mut [u8],
    )
}

#[inline(always)]
fn count_thresholds(dir: &[i32], thresholds: &[i32], count: usize, acc: &[i32], levels: &mut [u8]) {
    let channels = dir.len();
    for (acc, levels) in acc.chunks_exact(channels).zip(levels.chunks_exact_mut(channels)) {
        let blocks = acc.chunks(LANES).zip(levels.chunks_mut(LANES)).zip(dir.chunks(LANES));
        for (((acc, levels), dir), thresholds) in blocks.zip(thresholds.chunks_exact(count * LANES)) {
            let mut directed = [0; LANES];
            directed.iter_mut().zip(acc).zip(dir).for_each(|((x, acc), dir)| *x = acc * dir);
            let mut level = [0; LANES];
            for row in thresholds.chunks_exact(LANES) {
                for lane in 0..LANES {
                    level[lane] += i32::from(directed[lane] >= row[lane]);
                }
            }
            levels.iter_mut().zip(level).for_each(|(to, level)| *to = level as u8);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::layer::Surrogate;
    use ndarray::Array2;

    /// A trained-like Step: thresholds of `round(clamp(gain·acc + bias) · top / 6)`, found by scanning.
    fn trained(bits: u8, gains: &[f64], biases: &[f64], range: Range) -> Step {
        let top = (1i64 << bits) - 1;
        let mut thresholds = Array2::zeros((gains.len(), top as usize));
        let dir: Vec<i8> = gains.iter().map(|g| if *g < 0.0 { -1 } else { 1 }).collect();
        for c in 0..gains.len() {
            let level = |directed: i64| {
                let acc = directed * i64::from(dir[c]);
                let z = (gains[c] * acc as f64 + biases[c]).clamp(0.0, 6.0);
                (z * top as f64 / 6.0).round_ties_even() as i64
            };
            let directed = range.directed(dir[c]);
            for t in 0..top {
                let crossed = (directed.lo..=directed.hi).find(|&x| level(x) > t);
                thresholds[[c, t as usize]] = crossed.unwrap_or(directed.hi + 1);
            }
        }
        let thresholds = Step::clip_thresholds(&thresholds, &dir, range);
        let gain = gains.iter().map(|g| g * top as f64 / 6.0).collect();
        let (open_lo, open_hi) = (vec![0; gains.len()], vec![0; gains.len()]);
        let surrogate = Surrogate { gain, open_lo, open_hi, unit: 6.0 / top as f64 };
        Step { bits, dir, thresholds, surrogate }
    }

    #[test]
    fn a_few_channels_that_are_not_affine_are_searched() {
        for bits in 2..=8 {
            let range = Range::new(-300, 400);
            let mut step = trained(bits, &[0.0213; 19], &[1.017; 19], range);
            step.dir[7] = -1;
            for c in [3, 7] {
                let last = step.thresholds.dim().1 as i32 - 1;
                let bend = |t: i32| -290 + t * t * 600 / (last * last);
                (0..=last).for_each(|t| step.thresholds[[c, t as usize]] = bend(t));
            }
            match FastStep::new(&step, range).form {
                Form::Affine(form) => assert_eq!(form.odd.len(), 2, "{bits} bits"),
                _ => panic!("{bits} bits: two of nineteen"),
            }
            agrees(&step, range);
        }
    }

    fn agrees(step: &Step, range: Range) {
        let fast = FastStep::new(step, range);
        let channels = step.dir.len();
        let acc: Vec<i32> =
            (range.lo..=range.hi).flat_map(|v| std::iter::repeat_n(v as i32, channels)).collect();
        for kernel in Kernel::available() {
            let mut levels = vec![0; acc.len()];
            fast.run(kernel, &acc, &mut levels);
            for (i, (&acc, &level)) in acc.iter().zip(&levels).enumerate() {
                assert_eq!(i32::from(level), step.level(i % channels, acc), "{kernel:?}, {acc}");
            }
        }
    }

    #[test]
    fn trained_steps_are_affine_and_agree_everywhere() {
        for bits in 1..=8 {
            let range = Range::new(-900, 1100);
            // Steep, flat, falling, constant, always and never crossed; no exact halves, which round to even.
            let gains = [0.0131, 0.8017, 30.1, -0.0203, 0.0, 0.0011, -0.4013, 0.0071];
            let biases = [1.703, -3.011, 2.031, 4.407, 3.3, 5.903, -7.017, 40.0];
            let step = trained(bits, &gains, &biases, range);
            assert!(matches!(&FastStep::new(&step, range).form, Form::Affine(form) if form.odd.is_empty()));
            agrees(&step, range);
        }
    }

    #[test]
    fn steps_that_are_not_affine_fall_back_and_agree_everywhere() {
        for bits in 1..=8 {
            let range = Range::new(-300, 400);
            let mut step = trained(bits, &[0.02; 19], &[1.0; 19], range);
            for (c, mut row) in step.thresholds.rows_mut().into_iter().enumerate() {
                let last = row.len() - 1;
                row.iter_mut().enumerate().for_each(|(t, v)| {
                    *v = -290 + (t * t * 600 / (last * last).max(1)) as i32 + c as i32;
                });
            }
            if bits > 1 {
                assert!(!matches!(FastStep::new(&step, range).form, Form::Affine(_)), "{bits} bits");
            }
            agrees(&step, range);
        }
    }
}
