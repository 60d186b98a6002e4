//! Holds what Conv and Dense share: a linear layer's passes in either direction.

use super::pass::{Backward, Feed, Flow, Forward, Site};
use crate::buffers;
use crate::linear::{FixedLinear, Linear, RealLinear};
use crate::tensor::Tensor;
use dq_net::{Range, Wire};

/// Splits a weight into its positive part and its negative part.
pub(super) const SIGNS: [fn(i8) -> i8; 2] = [|weight| weight.max(0), |weight| weight.min(0)];

/// Returns the wires of twice the middle between two ends of a layer's input and of their distance, where the
/// input is bytes, `weights` have sizes that are weights, and no sum leaves its register.
pub(super) fn centred<'w>(site: &Site, mut weights: impl Iterator<Item = &'w i8>) -> Option<[Wire; 2]> {
    let (input, output) = (site.input(), site.output.range);
    let fits = input.range.lo >= 0
        && input.range.hi <= 255
        && output.hi - output.lo < 1 << 29
        && weights.all(|&weight| weight > i8::MIN);
    fits.then(|| [2, 1].map(|times| Wire { range: Range::new(0, times * input.range.hi), ..input }))
}

impl Forward for Linear {
    fn run(&self, site: &Site, inputs: &[Feed], count: usize) -> Tensor {
        Tensor::narrow(self.sums(site.kernel, inputs[0].values(), count), site.output.range)
    }

    fn linear(&self) -> Option<&Linear> {
        Some(self)
    }
}

impl Backward for RealLinear<f32> {
    fn run(&self, site: &Site, flow: &Flow, into: &mut [f32]) {
        add(self.run(site.kernel, flow.slopes, flow.count), into);
    }

    fn alone(&self, site: &Site, flow: &Flow, _: usize) -> Vec<f32> {
        self.run(site.kernel, flow.slopes, flow.count)
    }
}

/// Adds slopes to others.
fn add(found: Vec<f32>, into: &mut [f32]) {
    into.iter_mut().zip(&found).for_each(|(to, slope)| *to += slope);
    buffers::give(found);
}

impl Backward for FixedLinear {
    fn run(&self, site: &Site, flow: &Flow, into: &mut [f32]) {
        add(self.run(site.kernel, flow.slopes, flow.count), into);
    }

    fn alone(&self, site: &Site, flow: &Flow, _: usize) -> Vec<f32> {
        self.run(site.kernel, flow.slopes, flow.count)
    }
}
