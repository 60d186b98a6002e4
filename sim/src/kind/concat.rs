//! Runs Concat, which puts the channels of two streams beside each other.

use super::pass::{Backward, Bounds, Feed, Flow, Forward, Kind, Locality, Site, Twin};
use super::relax::Relax;
use super::relax::shares;
use crate::linear::Precision;
use crate::tensor::Tensor;
use dq_net::float::layer as float;
use dq_net::layer::Concat;
use dq_net::{FloatLayer, Range};
use ndarray::Array4;

/// Runs a Concat forward.
struct Beside;

/// Runs a Concat backward: each input gets the slopes of its own channels.
struct Apart;

impl Kind for Concat {
    fn forward(&self, _: &Site) -> Box<dyn Forward> {
        Box::new(Beside)
    }

    fn bounds(&self, _: &Site) -> Bounds {
        Bounds::Rising
    }

    fn relaxation(&self, _: &Site) -> Option<Box<dyn Relax>> {
        Some(Box::new(shares::Beside))
    }

    fn locality(&self, _: &Site) -> Locality {
        Locality::Pixels
    }

    fn backward(&self, _: &Site, _: Precision) -> Box<dyn Backward> {
        Box::new(Apart)
    }

    /// Float layers join streams of one shape alone: so each input gets the channels of the other one as
    /// zeros, and both are added.
    fn twin(&self, site: &Site) -> Twin {
        let [x, y] = channels(site);
        let spread = [(x, 0), (y, x)].map(|(channels, first)| {
            let weight = |(o, _, _, i)| f32::from(u8::from(o == first + i));
            let weights = Array4::from_shape_fn((x + y, 1, 1, channels), weight);
            FloatLayer::Conv(float::Conv { weights, stride: [1; 2], pad: [0; 4], groups: 1 })
        });
        let mut twin = Twin::one(FloatLayer::Mix(float::Mix { a: 1.0, b: 1.0 }));
        twin.before = spread.into();
        twin
    }
}

/// Returns the channels of both inputs.
fn channels(site: &Site) -> [usize; 2] {
    [0, 1].map(|port| site.inputs[port].shape.channels)
}

/// Puts the channels of each pixel of `y` behind those of `x`.
fn join<T: Copy>([of_x, of_y]: [usize; 2], x: &[T], y: &[T]) -> Vec<T> {
    let mut joined = Vec::with_capacity(x.len() + y.len());
    for (x, y) in x.chunks_exact(of_x).zip(y.chunks_exact(of_y)) {
        joined.extend_from_slice(x);
        joined.extend_from_slice(y);
    }
    joined
}

/// Joins the values of two inputs whose hull is `range`.
fn join_values(channels: [usize; 2], x: &Tensor, y: &Tensor, range: Range) -> Tensor {
    match (x, y) {
        (Tensor::Bytes(x), Tensor::Bytes(y)) => Tensor::Bytes(join(channels, x, y)),
        _ => Tensor::narrow(join(channels, &x.words(), &y.words()), range),
    }
}

impl Forward for Beside {
    fn run(&self, site: &Site, inputs: &[Feed], _: usize) -> Tensor {
        join_values(channels(site), inputs[0].values(), inputs[1].values(), site.output.range)
    }
}

impl Backward for Apart {
    fn run(&self, site: &Site, flow: &Flow, into: &mut [f32]) {
        let [of_x, of_y] = channels(site);
        let (first, own) = [(0, of_x), (of_x, of_y)][flow.port];
        for (to, slopes) in into.chunks_exact_mut(own).zip(flow.slopes.chunks_exact(of_x + of_y)) {
            to.iter_mut().zip(&slopes[first..]).for_each(|(to, slope)| *to += slope);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_stay_bytes_and_words_are_kept_beside_bytes() {
        let (x, y) = (Tensor::Bytes(vec![1, 2, 3, 4]), Tensor::Bytes(vec![50, 60]));
        let joined = join_values([2, 1], &x, &y, Range::levels(8));
        assert!(matches!(&joined, Tensor::Bytes(bytes) if bytes == &[1, 2, 50, 3, 4, 60]));
        let y = Tensor::Words(vec![-500, 60]);
        let joined = join_values([2, 1], &x, &y, Range::new(-500, 255));
        assert_eq!(joined.into_words(), [1, 2, -500, 3, 4, 60]);
    }
}
