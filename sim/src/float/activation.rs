//! Computes activations: clipped lines per channel, their quantized and softened forms, and steps at fixed
//! points.

use super::op::{Flow, Op, Site};

/// Softness of a quantizer: 0 is the line through its thresholds, larger values come nearer to its steps. The
/// slope is 1 − this on a level, and 1 + twice this at a threshold. Much nearer to the steps, its gradients
/// help an attack less.
const SOFTNESS: f32 = 0.25;

/// Computes `clamp(scale·x + bias, 0, ceiling)` per channel, then rounds to one of 2^bits levels or softens.
pub(super) struct Activation {
    pub scale: Vec<f32>,
    pub bias: Vec<f32>,
    pub ceiling: f32,
    pub bits: Option<u8>,
    /// Whether a smooth staircase stands in place of the line, where values count in levels.
    pub is_soft: bool,
}

impl Op for Activation {
    fn forward(&self, _: &Site, inputs: &[&[f32]], _: usize) -> Vec<f32> {
        let Self { scale, bias, ceiling, bits, is_soft } = self;
        let channels = scale.len();
        let steps = bits.map(|bits| ((1u32 << bits) - 1) as f32);
        let quantize = |z: f32, steps: f32| (z * steps / ceiling).round_ties_even() * ceiling / steps;
        let activate = |(at, &x): (usize, &f32)| {
            let z = (x * scale[at % channels] + bias[at % channels]).clamp(0.0, *ceiling);
            if *is_soft { softened(z).0 } else { steps.map_or(z, |steps| quantize(z, steps)) }
        };
        inputs[0].iter().enumerate().map(activate).collect()
    }

    fn backward(&self, _: &Site, flow: &Flow, into: &mut [f32]) {
        let Self { scale, bias, ceiling, is_soft, .. } = self;
        for (at, (to, slope)) in into.iter_mut().zip(flow.slopes).enumerate() {
            let c = at % scale.len();
            let z = flow.input[at] * scale[c] + bias[c];
            if 0.0 < z && z < *ceiling {
                let steepness = if *is_soft { softened(z).1 } else { 1.0 };
                *to += slope * scale[c] * steepness;
            }
        }
    }
}

/// Counts how many of `points` each `scale·x + bias` has reached, in units of `unit`.
pub(super) struct Levels {
    pub scale: Vec<f32>,
    pub bias: Vec<f32>,
    pub points: Vec<f32>,
    pub unit: f32,
}

impl Op for Levels {
    fn forward(&self, _: &Site, inputs: &[&[f32]], _: usize) -> Vec<f32> {
        let Self { scale, bias, points, unit } = self;
        let channels = scale.len();
        let level = |(at, &x): (usize, &f32)| {
            let z = x * scale[at % channels] + bias[at % channels];
            unit * points.iter().filter(|&&p| p <= z).count() as f32
        };
        inputs[0].iter().enumerate().map(level).collect()
    }

    fn backward(&self, _: &Site, flow: &Flow, into: &mut [f32]) {
        for (at, (to, slope)) in into.iter_mut().zip(flow.slopes).enumerate() {
            let c = at % self.scale.len();
            if (flow.input[at] * self.scale[c] + self.bias[c]).abs() < 1.0 {
                *to += slope * self.scale[c];
            }
        }
    }
}

/// Returns the smooth staircase at `z` levels, and its slope: a cubic between two thresholds, through both.
fn softened(z: f32) -> (f32, f32) {
    let level = z.round_ties_even();
    let off = z - level;
    let value = level + (1.0 - SOFTNESS) * off + 4.0 * SOFTNESS * off * off * off;
    (value, 1.0 - SOFTNESS + 12.0 * SOFTNESS * off * off)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_smooth_staircase_meets_the_steps_and_its_slope_is_its_own() {
        for level in 0..4 {
            let level = level as f32;
            assert_eq!(softened(level).0, level, "a level is itself");
            // On both sides of a threshold the value is the same, half way between the levels.
            let [below, above] = [0.4999, 0.5001].map(|off| softened(level + off).0);
            assert!((below - above).abs() < 1e-3 && (below - level - 0.5).abs() < 1e-3, "{below} {above}");
        }
        let h = 1e-2;
        for i in 0..300 {
            let z = i as f32 / 100.0 + 0.005;
            if (z.fract() - 0.5).abs() < 2.0 * h {
                continue;
            }
            let (value, slope) = softened(z);
            let wanted = (softened(z + h).0 - softened(z - h).0) / (2.0 * h);
            assert!((slope - wanted).abs() < 2e-2 && slope > 0.05, "{z}: {slope}, {wanted}");
            // The softened value is nearer to the step than the line is.
            let step = z.round_ties_even();
            assert!((value - step).abs() <= (z - step).abs() + 1e-6, "{z}: {value}");
        }
    }
}
