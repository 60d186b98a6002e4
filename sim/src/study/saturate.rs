//! Searches for inputs that drive accumulators to their declared bounds: none may lie beyond, and how near
//! one comes says what width a circuit really needs. Bounds are those of the wires, from the weights alone.

use super::{Stopped, Watch};
use crate::ball::{Norm, clip};
use crate::engine::Engine;
use crate::gradient::WhiteBox;
use crate::lattice::{shifted, sign};
use ndarray::{ArrayView4, Zip};
use serde::Serialize;

/// Number of steps of the search in each direction.
const STEPS: usize = 20;

/// Says what a layer's accumulators reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reached {
    /// Name of the layer.
    pub node: String,
    /// Declared bounds, least and largest.
    pub declared: [i64; 2],
    /// Least and largest value on the images themselves.
    pub clean: [i64; 2],
    /// Least and largest value on the images that the search found in their balls, and on the images
    /// themselves.
    pub searched: [i64; 2],
}

impl Reached {
    /// Returns the bits of two's complement that the searched values need, and those that are declared.
    pub fn bits(&self) -> [u32; 2] {
        [self.searched, self.declared].map(|[lo, hi]| dq_net::Range::new(lo, hi).bits())
    }

    /// Returns whether a value lies beyond its bound, which no network that passed its checks can have.
    pub fn overflows(&self) -> bool {
        self.searched[0] < self.declared[0] || self.searched[1] > self.declared[1]
    }
}

/// Searches, for each layer with weights, what its accumulators reach on `images` (batch × height × width ×
/// channels) and within `eps` of them: from each image, steps along the signs of the gradient of its most
/// extreme accumulator, up and down. Ticks [`steps`] times.
///
/// # Panics
/// If the images are not of the network's shape, or there are none.
pub fn search(
    white_box: &WhiteBox,
    images: ArrayView4<u8>,
    eps: u8,
    watch: Watch,
) -> Result<Vec<Reached>, Stopped> {
    let network = white_box.network();
    let mut all = vec![];
    let top = network.input().top();
    for i in with_weights(white_box.engine()) {
        let range = network.wire(i).range;
        let mut reached = Reached {
            node: network.nodes()[i].name.clone(),
            declared: [range.lo, range.hi],
            clean: [i64::MAX, i64::MIN],
            searched: [i64::MAX, i64::MIN],
        };
        for up in [false, true] {
            let mut at = images.to_owned();
            for step in 0..=STEPS {
                let climb = white_box.climb(at.view(), i, up);
                for &(least, most) in &climb.extremes {
                    let grow = |to: &mut [i64; 2]| *to = [to[0].min(least.into()), to[1].max(most.into())];
                    grow(&mut reached.searched);
                    if step == 0 {
                        grow(&mut reached.clean);
                    }
                }
                // The first step reaches the ball's edge; the others correct what the first could not know.
                let length = if step == 0 { i32::from(eps) } else { i32::from(eps / 4).max(1) };
                Zip::from(&mut at)
                    .and(&climb.gradient)
                    .for_each(|pixel, &slope| *pixel = shifted(*pixel, length * sign(slope), top));
                clip(Norm::Linf, &mut at, images, eps, top);
                watch.step(1)?;
            }
        }
        all.push(reached);
    }
    Ok(all)
}

/// Returns how often [`search`] ticks.
pub fn steps(engine: &Engine) -> usize {
    2 * (STEPS + 1) * with_weights(engine).count()
}

/// Returns the positions of the layers with weights.
fn with_weights(engine: &Engine) -> impl Iterator<Item = usize> {
    let nodes = engine.network().nodes().iter().enumerate();
    nodes.filter(|(_, node)| node.layer.weight_bits().is_some()).map(|(i, _)| i)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::layer::Layer;
    use dq_net::random::{self, Options};
    use ndarray::Axis;
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

    #[test]
    fn what_is_reached_lies_within_the_bounds_and_the_search_reaches_more() {
        let mut farther = 0;
        for seed in 0..60 {
            let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            let white_box = WhiteBox::new(&network);
            let image = random::image(seed, network.input()).insert_axis(Axis(0));
            let (ticks, stop) = (AtomicU64::new(0), AtomicBool::new(false));
            let tick = |n| _ = ticks.fetch_add(n, Ordering::Relaxed);
            let watch = Watch { tick: &tick, stop: &stop };
            let found = search(&white_box, image.view(), 255, watch).unwrap();
            assert_eq!(ticks.load(Ordering::Relaxed), steps(white_box.engine()) as u64);
            stop.store(true, Ordering::Relaxed);
            assert_eq!(search(&white_box, image.view(), 255, watch).is_err(), !found.is_empty());
            for (n, layer) in found.iter().enumerate() {
                assert!(!layer.overflows(), "seed {seed}: {layer:?}");
                assert!(layer.searched[0] <= layer.clean[0] && layer.clean[1] <= layer.searched[1]);
                farther += usize::from(layer.searched != layer.clean);
                // A first layer without padding meets its bound: every input of the range is an image.
                let whole = |node: &dq_net::Node| match &node.layer {
                    Layer::Conv(conv) => conv.pad == [0; 4] && conv.weights.dim().0 == 1,
                    Layer::Dense(dense) => dense.weights.dim().0 == 1,
                    _ => false,
                };
                let place = network.position(&layer.node).unwrap();
                if n == 0 && place == 1 && whole(&network.nodes()[place]) {
                    assert_eq!(layer.searched, layer.declared, "seed {seed}");
                }
            }
        }
        assert!(farther > 30, "{farther}");
    }
}
