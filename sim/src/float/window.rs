//! Computes float layers over windows: convolutions and dense layers, pools and means.

use super::op::{Flow, Op, Site};
use crate::kind::window::Windows;
use crate::linear::RealLinear;

/// Holds a linear map and its transpose.
pub(super) struct Linear {
    pub forward: RealLinear<f32>,
    pub backward: RealLinear<f32>,
}

impl Op for Linear {
    fn forward(&self, site: &Site, inputs: &[&[f32]], count: usize) -> Vec<f32> {
        self.forward.run(site.kernel, inputs[0], count)
    }

    fn backward(&self, site: &Site, flow: &Flow, into: &mut [f32]) {
        let found = self.backward.run(site.kernel, flow.slopes, flow.count);
        into.iter_mut().zip(found).for_each(|(to, slope)| *to += slope);
    }
}

/// Takes the largest value of each window.
pub(super) struct MaxPool(pub Windows);

impl Op for MaxPool {
    fn forward(&self, _: &Site, inputs: &[&[f32]], _: usize) -> Vec<f32> {
        self.0.join(inputs[0], |v| v, |a: f32, b| if b > a { b } else { a })
    }

    fn backward(&self, site: &Site, flow: &Flow, into: &mut [f32]) {
        let (from, to) = (site.from.len(), site.to.len());
        let images = flow.slopes.chunks_exact(to).zip(into.chunks_exact_mut(from));
        for (image, (slopes, into)) in images.enumerate() {
            self.0.add_max_slopes(&flow.input[image * from..], slopes, into);
        }
    }
}

/// Takes the mean of each channel.
pub(super) struct GlobalMean;

impl GlobalMean {
    fn area(site: &Site) -> f32 {
        (site.from.height * site.from.width) as f32
    }
}

impl Op for GlobalMean {
    fn forward(&self, site: &Site, inputs: &[&[f32]], _: usize) -> Vec<f32> {
        let sums = Windows::whole(site.from).join(inputs[0], |v| v, |a, b| a + b);
        sums.into_iter().map(|sum: f32| sum / Self::area(site)).collect()
    }

    fn backward(&self, site: &Site, flow: &Flow, into: &mut [f32]) {
        let images = flow.slopes.chunks_exact(site.to.len()).zip(into.chunks_exact_mut(site.from.len()));
        for (slopes, into) in images {
            let all = into.iter_mut().enumerate();
            all.for_each(|(at, to)| *to += slopes[at % slopes.len()] / Self::area(site));
        }
    }
}
