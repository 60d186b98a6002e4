//! Computes float layers that change each value on its own, or join two: affine functions, biases, mixes, and
//! what stands before the network (bit depth, median).

use super::op::{Flow, Op, Site};
use crate::kind::median;
use dq_net::Shape;
use dq_net::layer::{BitDepth, Median};

/// Computes `scale·x + bias` per channel.
pub(super) struct Affine {
    pub scale: Vec<f32>,
    pub bias: Vec<f32>,
}

impl Op for Affine {
    fn forward(&self, _: &Site, inputs: &[&[f32]], _: usize) -> Vec<f32> {
        let (scale, bias, channels) = (&self.scale, &self.bias, self.scale.len());
        let value = |(at, x): (usize, &f32)| x * scale[at % channels] + bias[at % channels];
        inputs[0].iter().enumerate().map(value).collect()
    }

    fn backward(&self, _: &Site, flow: &Flow, into: &mut [f32]) {
        let slopes = into.iter_mut().zip(flow.slopes).enumerate();
        slopes.for_each(|(at, (to, slope))| *to += slope * self.scale[at % self.scale.len()]);
    }
}

/// Adds one bias per class, which gives the logits.
pub(super) struct Biases(pub Vec<f32>);

impl Op for Biases {
    fn forward(&self, _: &Site, inputs: &[&[f32]], _: usize) -> Vec<f32> {
        inputs[0].iter().enumerate().map(|(at, x)| x + self.0[at % self.0.len()]).collect()
    }

    fn backward(&self, _: &Site, flow: &Flow, into: &mut [f32]) {
        into.iter_mut().zip(flow.slopes).for_each(|(to, slope)| *to += slope);
    }
}

/// Adds two inputs, each times its share.
pub(super) struct Mix(pub [f32; 2]);

impl Op for Mix {
    fn forward(&self, _: &Site, inputs: &[&[f32]], _: usize) -> Vec<f32> {
        let [a, b] = self.0;
        inputs[0].iter().zip(inputs[1]).map(|(x, y)| a * x + b * y).collect()
    }

    fn backward(&self, _: &Site, flow: &Flow, into: &mut [f32]) {
        let share = self.0[flow.port];
        into.iter_mut().zip(flow.slopes).for_each(|(to, slope)| *to += slope * share);
    }
}

impl Op for BitDepth {
    fn forward(&self, _: &Site, inputs: &[&[f32]], _: usize) -> Vec<f32> {
        let top = ((1u32 << self.bits) - 1) as f32;
        inputs[0].iter().map(|&v| self.level((v * 255.0).round() as i32) as f32 / top).collect()
    }

    fn backward(&self, _: &Site, flow: &Flow, into: &mut [f32]) {
        into.iter_mut().zip(flow.slopes).for_each(|(to, slope)| *to += slope);
    }
}

impl Op for Median {
    fn forward(&self, site: &Site, inputs: &[&[f32]], _: usize) -> Vec<f32> {
        let x = inputs[0];
        (0..x.len()).map(|at| x[median_place(x, at, site.to)]).collect()
    }

    fn backward(&self, site: &Site, flow: &Flow, into: &mut [f32]) {
        for (at, slope) in flow.slopes.iter().enumerate() {
            into[median_place(flow.input, at, site.to)] += slope;
        }
    }
}

/// Returns where the median of element `at` of maps of `shape` lies.
fn median_place(x: &[f32], at: usize, shape: Shape) -> usize {
    let taps = median::taps(at, shape);
    taps[Median::choose(taps.map(|tap| x[tap]))]
}
