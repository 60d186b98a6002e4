//! Defines steps: the quantizer, one monotone step function per channel, into which bias, batch
//! normalization, activation and uniform quantization fold exactly.

use super::kind::{FileForm, Kind};
use crate::draw::Draw;
use crate::motion::staircase::{self, Line};
use crate::motion::{Motion, Moves, Steps};
use crate::pack::PackedInts;
use crate::{error::Fault, range::Range, shape::Shape, wire::Wire};
use ndarray::{Array2, Array3, ArrayView3, Axis, s};
use serde::{Deserialize, Serialize};

/// Computes `level = #{t : dir·acc ≥ T[t]}`, with `2^bits − 1` thresholds per channel.
///
/// Where `lo..=hi` is the range of `dir·acc`, every threshold lies in `lo..=hi + 1`: `lo` is always crossed,
/// `hi + 1` never.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// Bits of a level, 1 to 8.
    pub bits: u8,
    /// Direction per channel: −1 where the function falls (a negative gain), else +1.
    pub dir: Vec<i8>,
    /// Thresholds, channel × `2^bits − 1`, not descending within a channel.
    pub thresholds: Array2<i32>,
    /// The slope that gradients and norms read; the meaning does not depend on it.
    pub surrogate: Surrogate,
}

/// Describes the real function behind a [`Step`], for the straight-through gradient and for norms.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Surrogate {
    /// Real slope per channel: levels per accumulator unit, of the same sign as the direction (0 for a
    /// constant).
    pub gain: Vec<f64>,
    /// First accumulator per channel at which the gradient passes.
    pub open_lo: Vec<i32>,
    /// Last accumulator per channel at which the gradient passes; below `open_lo` where it never does.
    pub open_hi: Vec<i32>,
    /// Real value of one level, e.g. 6/15 for 4-bit ReLU6.
    pub unit: f64,
}

impl Step {
    /// Clips thresholds of any size into what [`Step`] demands for accumulators within `input`.
    ///
    /// `thresholds`: channel × `2^bits − 1`, in units of `dir·acc`.
    pub fn clip_thresholds(thresholds: &Array2<i64>, dir: &[i8], input: Range) -> Array2<i32> {
        let mut clipped = Array2::zeros(thresholds.dim());
        for ((channel, t), out) in clipped.indexed_iter_mut() {
            let range = input.directed(dir[channel]);
            *out = thresholds[[channel, t]].clamp(range.lo, range.hi + 1) as i32;
        }
        clipped
    }

    /// Returns lines above what each channel's levels move by where its inputs, within `range`, move as `moves`
    /// says. Thresholds that are always or never crossed move nothing.
    pub(crate) fn lines(&self, moves: &Moves, range: Range, steps: Steps) -> Vec<Vec<Line>> {
        let of_channel = |(c, row): (usize, ndarray::ArrayView1<i32>)| {
            let Range { lo, hi } = range.directed(self.dir[c]);
            let crossed = row.iter().map(|&t| i64::from(t)).filter(|t| (lo + 1..=hi).contains(t));
            staircase::lines(&crossed.collect::<Vec<_>>(), moves.reach(c), steps)
        };
        self.thresholds.outer_iter().enumerate().map(of_channel).collect()
    }

    /// Returns the level of one accumulator of `channel`.
    pub fn level(&self, channel: usize, acc: i32) -> i32 {
        let directed = i32::from(self.dir[channel]) * acc;
        self.thresholds.row(channel).iter().filter(|&&t| directed >= t).count() as i32
    }
}

impl Kind for Step {
    fn name(&self) -> &'static str {
        "step"
    }

    fn check(&self) -> Result<(), Fault> {
        if !(1..=8).contains(&self.bits) {
            return Err(Fault::new("bits", "1 to 8", self.bits));
        }
        let (channels, count) = self.thresholds.dim();
        let wanted = (1 << self.bits) - 1;
        if count != wanted {
            return Err(Fault::new(
                "thresholds",
                format!("{wanted} per channel for {} bits", self.bits),
                count,
            ));
        }
        let surrogate = &self.surrogate;
        for (field, len) in [
            ("dir", self.dir.len()),
            ("surrogate.gain", surrogate.gain.len()),
            ("surrogate.open_lo", surrogate.open_lo.len()),
            ("surrogate.open_hi", surrogate.open_hi.len()),
        ] {
            if len != channels {
                return Err(Fault::new(field, format!("{channels} entries, one per channel"), len));
            }
        }
        if let Some(c) = self.dir.iter().position(|d| d.abs() != 1) {
            return Err(Fault::new(format!("dir[{c}]"), "−1 or +1", self.dir[c]));
        }
        let fits = |c: &usize| {
            let gain = surrogate.gain[*c];
            !gain.is_finite() || gain * f64::from(self.dir[*c]) < 0.0
        };
        if let Some(c) = (0..channels).find(fits) {
            let rule = format!("finite, of the direction's sign ({:+})", self.dir[c]);
            return Err(Fault::new(format!("surrogate.gain[{c}]"), rule, surrogate.gain[c]));
        }
        if !(surrogate.unit.is_finite() && surrogate.unit > 0.0) {
            return Err(Fault::new("surrogate.unit", "finite and above 0", surrogate.unit));
        }
        for (c, row) in self.thresholds.axis_iter(Axis(0)).enumerate() {
            if let Some(t) = (1..count).find(|&t| row[t - 1] > row[t]) {
                let found = format!("{} then {}", row[t - 1], row[t]);
                return Err(Fault::new(format!("thresholds[{c}][{t}]"), "not below the one before", found));
            }
        }
        Ok(())
    }

    fn shape(&self, inputs: &[Shape]) -> Result<Shape, Fault> {
        let channels = self.thresholds.dim().0;
        if inputs[0].channels != channels {
            return Err(Fault::new("thresholds", format!("{} channels", inputs[0].channels), channels));
        }
        Ok(inputs[0])
    }

    fn range(&self, inputs: &[Wire]) -> Result<Range, Fault> {
        let count = self.thresholds.dim().1;
        for (c, row) in self.thresholds.axis_iter(Axis(0)).enumerate() {
            let range = inputs[0].range.directed(self.dir[c]);
            for (t, value) in [(0, row[0]), (count - 1, row[count - 1])] {
                if !Range::new(range.lo, range.hi + 1).contains(value.into()) {
                    let rule =
                        format!("{} to {}, the range of its input and one more", range.lo, range.hi + 1);
                    return Err(Fault::new(format!("thresholds[{c}][{t}]"), rule, value));
                }
            }
        }
        Ok(Range::levels(self.bits))
    }

    fn eval(&self, inputs: &[ArrayView3<i32>]) -> Array3<i32> {
        let x = inputs[0];
        Array3::from_shape_fn(x.dim(), |(y, column, c)| self.level(c, x[[y, column, c]]))
    }

    fn moves(&self, motion: &Motion) -> Option<Moves> {
        let (wire, moves) = motion.from[0];
        motion.staircase(moves, &self.lines(moves, wire.range, motion.steps))
    }

    fn unit(&self, _: &[Option<f64>], _: Shape) -> Option<f64> {
        Some(self.surrogate.unit)
    }
}

/// Holds a step as it stands in `model.json`. Thresholds are packed at the width that their input's range
/// needs.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Form {
    bits: u8,
    dir: Vec<i8>,
    thresholds: PackedInts,
    surrogate: Surrogate,
}

impl FileForm for Step {
    type Form = Form;
    const SINCE: u32 = 1;

    fn to_form(&self, inputs: &[Wire]) -> Form {
        let range = inputs[0].range;
        let (lo, hi) = (range.lo.min(-range.hi), range.hi.max(-range.lo) + 1);
        let bits = (64 - (hi - lo).leading_zeros()).max(1) as u8;
        let values = self.thresholds.iter().map(|&t| t.into());
        Form {
            bits: self.bits,
            dir: self.dir.clone(),
            thresholds: PackedInts::pack(self.thresholds.shape(), bits, lo, values),
            surrogate: self.surrogate.clone(),
        }
    }

    fn from_form(form: Form) -> Result<Self, Fault> {
        let (shape, values) = form.thresholds.unpack("thresholds", 2)?;
        let narrow =
            |v: i64| i32::try_from(v).map_err(|_| Fault::new("thresholds", "values of at most 31 bits", v));
        let values = values.into_iter().map(narrow).collect::<Result<Vec<i32>, _>>()?;
        let thresholds = Array2::from_shape_vec((shape[0], shape[1]), values).expect("counted");
        Ok(Step { bits: form.bits, dir: form.dir, thresholds, surrogate: form.surrogate })
    }
}

impl Step {
    /// Draws a step whose thresholds lie among the values that occur; some are always or never crossed.
    pub(crate) fn draw(draw: &mut Draw) -> Self {
        let Draw { random, options, input, .. } = draw;
        let bits = options.level_bits.unwrap_or_else(|| random.within(1, 8) as u8);
        let (channels, count) = (input.values.dim().2, (1usize << bits) - 1);
        let mut thresholds = Array2::zeros((channels, count));
        let mut surrogate =
            Surrogate { gain: vec![], open_lo: vec![], open_hi: vec![], unit: 1.0 / count as f64 };
        let mut dir = vec![];
        for c in 0..channels {
            let sign: i8 = if random.within(0, 3) == 0 { -1 } else { 1 };
            let range = input.range.directed(sign);
            let seen = input.values.slice(s![.., .., c]).mapv(|v| i64::from(v) * i64::from(sign));
            let (least, most) = seen.iter().fold((i64::MAX, i64::MIN), |(a, b), &v| (a.min(v), b.max(v)));
            let margin = (most - least) / 4 + 2;
            let mut row: Vec<i64> = (0..count)
                .map(|_| match random.within(0, 19) {
                    0 => range.lo,
                    1 => range.hi + 1,
                    _ => random.between(least - margin, most + margin).clamp(range.lo, range.hi + 1),
                })
                .collect();
            row.sort_unstable();
            let (first, last) = (row[0], row[count - 1]);
            surrogate.gain.push(f64::from(sign) * count as f64 / (last - first + 1) as f64);
            let (open_lo, open_hi) = if sign > 0 { (first, last) } else { (-last, -first) };
            surrogate.open_lo.push(open_lo as i32);
            surrogate.open_hi.push(open_hi as i32);
            dir.push(sign);
            thresholds.row_mut(c).iter_mut().zip(row).for_each(|(out, t)| *out = t as i32);
        }
        Step { bits, dir, thresholds, surrogate }
    }
}
