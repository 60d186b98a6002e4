//! Computes a Median: the median of each element and its neighbours above, to the left, and above to the
//! left.

use super::pass::{Backward, Bounds, Feed, Flow, Forward, Kind, Site, Twin};
use super::relax::Relax;
use super::relax::pools::EndsAlone;
use crate::linear::Precision;
use crate::tensor::Tensor;
use dq_net::float::layer as float;
use dq_net::layer::Median;
use dq_net::{FloatLayer, Shape};

struct Neighbours;

impl Kind for Median {
    fn forward(&self, _: &Site) -> Box<dyn Forward> {
        Box::new(Neighbours)
    }

    fn bounds(&self, _: &Site) -> Bounds {
        Bounds::Rising
    }

    fn relaxation(&self, _: &Site) -> Option<Box<dyn Relax>> {
        Some(Box::new(EndsAlone))
    }

    fn backward(&self, _: &Site, _: Precision) -> Box<dyn Backward> {
        Box::new(Neighbours)
    }

    fn twin(&self, _: &Site) -> Twin {
        Twin::one(FloatLayer::Median(float::Median))
    }
}

impl Forward for Neighbours {
    fn run(&self, site: &Site, inputs: &[Feed], _: usize) -> Tensor {
        match inputs[0].values() {
            Tensor::Bytes(values) => Tensor::Bytes(medians(values, site.output.shape)),
            Tensor::Words(values) => Tensor::Words(medians(values, site.output.shape)),
        }
    }
}

/// The slope goes to the neighbour that is the median.
impl Backward for Neighbours {
    fn run(&self, site: &Site, flow: &Flow, into: &mut [f32]) {
        for (i, &slope) in flow.slopes.iter().enumerate() {
            let taps = taps(i, site.output.shape);
            into[taps[Median::choose(taps.map(|tap| flow.values().get(tap)))]] += slope;
        }
    }
}

/// Returns the median of each element's neighbours, in images of `shape`.
pub(crate) fn medians<T: Copy + Ord>(x: &[T], shape: Shape) -> Vec<T> {
    let (row, channels) = (shape.width * shape.channels, shape.channels);
    let mut out = Vec::with_capacity(x.len());
    for image in x.chunks_exact(shape.len()) {
        for y in 0..shape.height {
            let [above, here] = [y.saturating_sub(1), y].map(|y| &image[y * row..][..row]);
            // In the first column the nearest pixel stands for the one outside.
            let first = (0..channels).map(|c| (above[c], above[c], here[c], here[c]));
            let rest =
                (channels..row).map(|at| (above[at - channels], above[at], here[at - channels], here[at]));
            out.extend(
                first.chain(rest).map(|(a, b, c, d)| a.min(b).max(c.min(d)).min(a.max(b).min(c.max(d)))),
            );
        }
    }
    out
}

/// Returns where the values lie that element `at` of a block of maps is the median of.
pub(crate) fn taps(at: usize, shape: Shape) -> [usize; 4] {
    let (image, c) = (at / shape.len(), at % shape.channels);
    let pixel = at % shape.len() / shape.channels;
    let taps = Median::taps(pixel / shape.width, pixel % shape.width);
    taps.map(|(y, x)| image * shape.len() + (y * shape.width + x) * shape.channels + c)
}
