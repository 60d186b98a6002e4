//! Flips or sticks bits of the datapath, in the registers of a node's output: accumulators, levels or a
//! stream. Every register is as wide as its wire.

use super::{below, random};
use crate::engine::Engine;
use ndarray::{Array2, ArrayView4, Axis};

/// Says what happens to a bit of one register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// One bit of one element of each image flips once (a single-event upset); which one is drawn per image.
    Upset,
    /// One bit of one channel has this value, at every pixel of every image; which one is drawn per trial.
    Stuck(bool),
}

/// Describes a fault at the output of a node, and what its place is drawn from.
#[derive(Clone, Copy, Debug)]
pub struct Injection {
    /// Position of the node.
    pub node: usize,
    /// What happens to the bit.
    pub fault: Fault,
    /// Seed of every random number.
    pub seed: u64,
    /// Number of the draw.
    pub trial: u64,
}

/// Computes the scores of `images` (batch × height × width × channels) under a fault: batch × classes. An
/// upset's place is a function of the seed and the image's place in `indices`, a stuck bit's of the seed and
/// the trial.
///
/// # Panics
/// If the images are not of the network's shape, or there is no such node.
pub fn scores(
    engine: &Engine,
    images: ArrayView4<u8>,
    indices: &[usize],
    injection: &Injection,
) -> Array2<i32> {
    let Injection { node, fault, seed, trial } = *injection;
    let wire = engine.network().wire(node);
    let (bits, channels) = (wire.range.bits(), wire.shape.channels);
    let name = format!("{fault:?} {node}");
    let mut stuck = random(seed, &name, trial);
    let (channel, stuck_bit) = (below(&mut stuck, channels), below(&mut stuck, bits as usize));
    let change = |image: usize, values: &mut [i32]| match fault {
        Fault::Upset => {
            let mut random = random(seed.wrapping_add(trial), &name, indices[image] as u64);
            let at = below(&mut random, values.len());
            values[at] ^= 1 << below(&mut random, bits as usize);
        }
        Fault::Stuck(value) => {
            for v in values.iter_mut().skip(channel).step_by(channels) {
                *v = if value { *v | 1 << stuck_bit } else { *v & !(1 << stuck_bit) };
            }
        }
    };
    let mut all = Array2::zeros((images.dim().0, engine.network().classes()));
    for (first, mut rows) in (0..).step_by(BLOCK).zip(all.axis_chunks_iter_mut(Axis(0), BLOCK)) {
        let images = images.slice(ndarray::s![first..first + rows.dim().0, .., .., ..]);
        let found = engine.changed_scores(images, node, |image, values| change(first + image, values));
        rows.iter_mut().zip(found).for_each(|(to, score)| *to = score);
    }
    all
}

/// Number of images whose values are in memory at a time.
const BLOCK: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::random::{self as networks, Options};
    use ndarray::{Array3, Array4};

    /// Returns `words` as registers of node `i`'s width hold them.
    fn wrapped(network: &dq_net::Network, i: usize, words: Array3<i32>) -> Array3<i32> {
        let range = network.wire(i).range;
        let whole = 1i64 << range.bits();
        words.mapv(|word| {
            let low = i64::from(word).rem_euclid(whole);
            (if range.signed() && low >= whole / 2 { low - whole } else { low }) as i32
        })
    }

    #[test]
    fn faults_do_to_the_scores_what_they_do_by_the_reference() {
        let mut changed = 0;
        for seed in 0..120 {
            let network =
                networks::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            let engine = Engine::new(&network);
            let (height, width, channels) = network.input_shape().dim();
            let mut images = Array4::zeros((3, height, width, channels));
            for (n, mut image) in images.outer_iter_mut().enumerate() {
                image.assign(&networks::image(seed + n as u64, network.input()));
            }
            for node in 0..network.nodes().len() {
                let name = |fault| format!("{fault:?} {node}");
                let bits = network.wire(node).range.bits() as usize;
                for fault in [Fault::Upset, Fault::Stuck(false), Fault::Stuck(true)] {
                    let found = scores(
                        &engine,
                        images.view(),
                        &[5, 6, 7],
                        &Injection { node, fault, seed, trial: 2 },
                    );
                    for (n, image) in images.outer_iter().enumerate() {
                        let mut values = network.eval_nodes(image);
                        let mut words = values[node].clone();
                        let channels = words.dim().2;
                        match fault {
                            Fault::Upset => {
                                let mut random = random(seed + 2, &name(fault), 5 + n as u64);
                                let at = below(&mut random, words.len());
                                words.as_slice_mut().unwrap()[at] ^= 1 << below(&mut random, bits);
                            }
                            Fault::Stuck(value) => {
                                let mut random = random(seed, &name(fault), 2);
                                let channel = below(&mut random, channels);
                                let mask = 1 << below(&mut random, bits);
                                let here = words.index_axis_mut(Axis(2), channel);
                                here.into_iter()
                                    .for_each(|v| *v = if value { *v | mask } else { *v & !mask });
                            }
                        }
                        values[node] = wrapped(&network, node, words);
                        for i in node + 1..values.len() {
                            let inputs: Vec<_> =
                                network.sources(i).iter().map(|&s| values[s].view()).collect();
                            let words = network.nodes()[i].layer.kind().eval(&inputs);
                            values[i] = wrapped(&network, i, words);
                        }
                        let wanted: Vec<i32> = values.pop().unwrap().into_iter().collect();
                        changed += usize::from(wanted != network.eval(image));
                        assert_eq!(found.row(n).to_vec(), wanted, "seed {seed}, node {node}, {fault:?}");
                    }
                }
            }
        }
        assert!(changed > 500, "{changed}");
    }
}
