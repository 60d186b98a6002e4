//! Runs steps: how many thresholds a value has reached is the place that a binary search finds.

use super::pass::{Kind, Pass, Site, where_open};
use crate::number::Number;
use dq_net::layer::{Step, Surrogate};
use tch::{Kind as Dtype, Tensor};

/// Holds a step's thresholds and the slopes that go through it.
struct Levels {
    /// Floats of values, thresholds and ends.
    number: Number,
    dir: Tensor,
    /// Thresholds, channel × threshold.
    thresholds: Tensor,
    /// First and last value per channel at which slopes pass.
    open: [Tensor; 2],
    gain: Tensor,
    out: Dtype,
}

impl Kind for Step {
    fn pass(&self, site: &Site) -> Box<dyn Pass> {
        // A threshold that is never reached lies one beyond the range.
        let beyond = site.most() + 1;
        let number = Number::holding(beyond);
        let Surrogate { gain, open_lo, open_hi, .. } = &self.surrogate;
        let end = |ends: &[i32]| {
            site.channels(ends.iter().map(|&end| i64::from(end).clamp(-beyond, beyond)), number)
        };
        let (channels, count) = self.thresholds.dim();
        let thresholds = site.channels(self.thresholds.iter().map(|&t| t.into()), number);
        Box::new(Levels {
            number,
            dir: site.channels(self.dir.iter().map(|&dir| dir.into()), number),
            thresholds: thresholds.reshape([channels as i64, count as i64]),
            open: [end(open_lo), end(open_hi)],
            gain: site.factors(gain.iter().copied()),
            out: site.out(),
        })
    }
}

impl Pass for Levels {
    fn forward(&self, inputs: &[&Tensor]) -> Tensor {
        let values = (inputs[0].to_kind(self.number.kind()) * &self.dir).transpose(0, 1).contiguous();
        let levels =
            values.flatten(1, -1).searchsorted(&self.thresholds, true, true, "right", None::<Tensor>);
        levels.reshape(values.size()).to_kind(self.out).transpose(0, 1).contiguous()
    }

    fn backward(&self, slopes: &Tensor, inputs: &[&Tensor], _: usize) -> Tensor {
        let values = inputs[0].to_kind(self.number.kind());
        let [lo, hi] = &self.open;
        where_open(slopes * &self.gain, &values.ge_tensor(lo).logical_and(&values.le_tensor(hi)))
    }
}
