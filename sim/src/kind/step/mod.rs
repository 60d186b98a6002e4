//! Computes a Step: the quantizer, one monotone step function per channel. It runs as an integer affine
//! function where there is one; otherwise thresholds are counted or searched.

mod affine;
mod open;
mod staircase;

use super::pass::{Backward, Bounds, Feed, Forward, Gate, Kind, Locality, Site, Twin};
use super::relax::Relax;
use crate::buffers;
use crate::kernel::{Kernel, multiversion};
use crate::linear::Precision;
use crate::tensor::Tensor;
use affine::{Affine, run_affine};
use dq_net::float::layer as float;
use dq_net::layer::Step;
use dq_net::{FloatLayer, Range};
use open::{Interval, Open, mark};

/// Number of channels that the counting loop handles at a time.
const LANES: usize = 16;
/// Most thresholds per channel that are counted; more are searched.
const COUNTED: usize = 15;

/// Holds a Step ready to run.
struct FastStep {
    channels: usize,
    form: Form,
    open: Interval,
}

enum Form {
    Affine(Affine),
    Count(Counted),
    /// Each channel's thresholds, ascending.
    Search {
        dir: Vec<i32>,
        thresholds: Vec<Vec<i32>>,
    },
}

/// Holds thresholds that are counted.
struct Counted {
    /// Each channel's direction.
    dir: Vec<i32>,
    /// Thresholds: block of channels × threshold × 16 lanes.
    thresholds: Vec<i32>,
    /// Number of thresholds per channel.
    count: usize,
}

impl Kind for Step {
    fn forward(&self, site: &Site) -> Box<dyn Forward> {
        Box::new(FastStep::new(self, site.input().range))
    }

    /// The output rises or falls by the channel's direction.
    fn bounds(&self, _: &Site) -> Bounds {
        Bounds::Monotone
    }

    fn relaxation(&self, _: &Site) -> Option<Box<dyn Relax>> {
        Some(Box::new(staircase::Staircase::of(self)))
    }

    fn locality(&self, _: &Site) -> Locality {
        Locality::Pixels
    }

    fn backward(&self, _: &Site, _: Precision) -> Box<dyn Backward> {
        Box::new(Open::new(&self.surrogate))
    }

    /// The twin is the line through the thresholds, by the surrogate's slope, between the lowest and the
    /// highest level.
    fn twin(&self, _: &Site) -> Twin {
        let (channels, count) = self.thresholds.dim();
        let (scale, bias) = (0..channels).map(|c| line(self, c)).unzip();
        Twin::one(FloatLayer::Activation(float::Activation {
            scale,
            bias,
            ceiling: count as f32,
            bits: None,
        }))
    }
}

/// Returns slope and offset of the line through the thresholds of channel `c`.
fn line(step: &Step, c: usize) -> (f32, f32) {
    let (gain, row) = (step.surrogate.gain[c], step.thresholds.row(c));
    let count = row.len();
    // Where several thresholds are equal, the outermost stand for those that are never or always crossed.
    let inner: Vec<(usize, f64)> = (0..count)
        .filter(|&t| (t == 0 || row[t] > row[t - 1]) && (t + 1 == count || row[t] < row[t + 1]))
        .map(|t| (t, f64::from(row[t])))
        .collect();
    if gain == 0.0 || inner.is_empty() {
        return (0.0, step.level(c, 0) as f32);
    }
    // Level t + ½ lies half a unit below threshold t.
    let bias = inner.iter().map(|(t, at)| *t as f64 + 0.5 - gain.abs() * (at - 0.5)).sum::<f64>();
    (gain as f32, (bias / inner.len() as f64) as f32)
}

impl FastStep {
    /// Prepares `step` for accumulators within `input`.
    fn new(step: &Step, input: Range) -> Self {
        let channels = step.dir.len();
        let open = Interval::of(&step.surrogate);
        if let Some(affine) = Affine::solve(step, input) {
            return Self { channels, form: Form::Affine(affine), open };
        }
        let count = step.thresholds.dim().1;
        let dir: Vec<i32> = step.dir.iter().map(|&d| d.into()).collect();
        let form = if count <= COUNTED {
            let blocks = channels.div_ceil(LANES);
            let mut thresholds = vec![i32::MAX; blocks * count * LANES];
            for ((c, t), &value) in step.thresholds.indexed_iter() {
                thresholds[(c / LANES * count + t) * LANES + c % LANES] = value;
            }
            Form::Count(Counted { dir, thresholds, count })
        } else {
            Form::Search { dir, thresholds: step.thresholds.rows().into_iter().map(|r| r.to_vec()).collect() }
        };
        Self { channels, form, open }
    }

    /// Writes the levels of whole pixels: `acc` and `levels` are pixels × channels.
    fn quantize(&self, kernel: Kernel, acc: &[i32], levels: &mut [u8]) {
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
            Form::Count(counted) => run_count(kernel, counted, acc, levels),
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

/// Counts how many of the ascending `thresholds` the directed accumulator has reached.
fn search(thresholds: &[i32], directed: i32) -> u8 {
    thresholds.partition_point(|&t| t <= directed) as u8
}

impl Forward for FastStep {
    fn run(&self, site: &Site, inputs: &[Feed], count: usize) -> Tensor {
        let mut levels = buffers::stale(count * site.output.shape.len());
        inputs[0].tiles(site.kernel, count, |first, sums| {
            self.quantize(site.kernel, sums, &mut levels[first..][..sums.len()]);
        });
        Tensor::Bytes(levels)
    }

    fn reads_tiles(&self) -> bool {
        true
    }

    fn gate(&self) -> Option<&dyn Gate> {
        Some(self)
    }
}

impl Gate for FastStep {
    fn run(&self, site: &Site, input: &Feed, count: usize) -> (Tensor, Vec<u8>) {
        let length = count * site.output.shape.len();
        let (mut levels, mut open) = (buffers::stale(length), buffers::stale(length));
        input.tiles(site.kernel, count, |first, sums| {
            self.quantize(site.kernel, sums, &mut levels[first..][..sums.len()]);
            mark(site.kernel, &self.open, sums, &mut open[first..][..sums.len()]);
        });
        (Tensor::Bytes(levels), open)
    }
}

multiversion! {
    /// Counts how many of its channel's thresholds each accumulator has reached.
    fn run_count = count_thresholds(counted: &Counted, acc: &[i32], levels: &mut [u8])
}

#[inline(always)]
fn count_thresholds(counted: &Counted, acc: &[i32], levels: &mut [u8]) {
    let (dir, thresholds, count) = (&counted.dir[..], &counted.thresholds[..], counted.count);
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

    /// Makes a trained-like Step: thresholds of `round(clamp(gain·acc + bias) · top / 6)`, found by scanning.
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
            fast.quantize(kernel, &acc, &mut levels);
            for (i, (&acc, &level)) in acc.iter().zip(&levels).enumerate() {
                assert_eq!(i32::from(level), step.level(i % channels, acc), "{kernel:?}, {acc}");
            }
        }
    }

    #[test]
    fn trained_steps_are_affine_and_agree_everywhere() {
        for bits in 1..=8 {
            let range = Range::new(-900, 1100);
            // The gains are steep, flat, falling and zero, and some thresholds are always or never crossed;
            // no exact half occurs, which would round to even.
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
