//! A search for inputs that drive accumulators to their declared bounds: none may lie beyond, and how near one comes says
//! what width a circuit really needs. Bounds are those of the wires, from the weights alone.

use crate::attack::{Norm, clip, shifted, sign};
use crate::engine::Engine;
use dq_net::layer::Layer;
use ndarray::{ArrayView4, Axis, Zip};
use serde::Serialize;

/// Steps of the search in each direction.
const STEPS: usize = 20;

/// What a layer's accumulators reached.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reached {
    /// The layer.
    pub node: String,
    /// Declared bounds.
    pub declared: [i64; 2],
    /// Least and largest value on the images themselves.
    pub clean: [i64; 2],
    /// The same with what the search found in their balls.
    pub searched: [i64; 2],
}

impl Reached {
    /// Bits of two's complement that the searched values need, beside those that are declared.
    pub fn bits(&self) -> [u32; 2] {
        [self.searched, self.declared].map(|[lo, hi]| dq_net::Range::new(lo, hi).bits())
    }

    /// Whether a value lies beyond its bound, which no network that passed its checks can have.
    pub fn overflows(&self) -> bool {
        self.searched[0] < self.declared[0] || self.searched[1] > self.declared[1]
    }
}

/// For each layer with weights, what its accumulators reach on `images` (batch × height × width × channels) and within
/// `eps` of them: from each image, steps along the signs of the gradient of its most extreme accumulator, up and down.
///
/// # Panics
/// If the images are not of the network's shape, or there are none.
pub fn search(engine: &Engine, images: ArrayView4<u8>, eps: u8, tick: &mut dyn FnMut()) -> Vec<Reached> {
    let network = engine.network();
    let mut all = vec![];
    for (i, node) in network.nodes().iter().enumerate() {
        if !matches!(node.layer, Layer::Conv(_) | Layer::Dense(_)) {
            continue;
        }
        let range = network.wire(i).range;
        let mut reached = Reached {
            node: node.name.clone(),
            declared: [range.lo, range.hi],
            clean: [i64::MAX, i64::MIN],
            searched: [i64::MAX, i64::MIN],
        };
        for up in [false, true] {
            let mut at = images.to_owned();
            for step in 0..=STEPS {
                let climb = engine.climb(at.view(), i, up);
                for &(least, most) in &climb.extremes {
                    let grow = |to: &mut [i64; 2]| *to = [to[0].min(least.into()), to[1].max(most.into())];
                    grow(&mut reached.searched);
                    if step == 0 {
                        grow(&mut reached.clean);
                    }
                }
                // The first step reaches the ball's edge, the others mend what the first did not know.
                let length = if step == 0 { i32::from(eps) } else { i32::from(eps / 4).max(1) };
                Zip::from(&mut at)
                    .and(&climb.gradient)
                    .for_each(|pixel, &slope| *pixel = shifted(*pixel, length * sign(slope)));
                clip(Norm::Linf, &mut at, images, eps);
                debug_assert_eq!(at.len_of(Axis(0)), climb.extremes.len());
                tick();
            }
        }
        all.push(reached);
    }
    all
}

/// Calls of `tick` that [`search`] makes.
pub fn steps(engine: &Engine) -> usize {
    let layers = engine.network().nodes().iter();
    2 * (STEPS + 1) * layers.filter(|node| matches!(node.layer, Layer::Conv(_) | Layer::Dense(_))).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::random::{self, Options};

    #[test]
    fn what_is_reached_lies_within_the_bounds_and_the_search_reaches_more() {
        let mut farther = 0;
        for seed in 0..60 {
            let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            let engine = Engine::new(&network);
            let image = random::image(seed, network.input_shape()).insert_axis(Axis(0));
            let mut ticks = 0;
            let found = search(&engine, image.view(), 255, &mut || ticks += 1);
            assert_eq!(ticks, steps(&engine));
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
