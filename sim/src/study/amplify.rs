//! Measures error amplification (paper, figure 3b) on the integers of the circuit: how far an adversary is
//! from its image at the output of each node, relative to the size of that output. Says nothing about the
//! network's labels.

use super::{Stopped, Watch};
use crate::attack::suite::{Single, adversaries};
use crate::engine::Engine;
use crate::gradient::WhiteBox;
use dq_data::Images;
use ndarray::{ArrayView4, Axis};
use serde::Serialize;

/// Number of images whose values are in memory at a time.
const BLOCK: usize = 32;

/// Says what attacks the images.
#[derive(Clone, Debug)]
pub struct Noise {
    /// The attack's name.
    pub attack: String,
    /// Radii, in units of a uint8 pixel.
    pub eps: Vec<u8>,
    /// Seed of every random number.
    pub seed: u64,
}

/// Describes a node's output.
#[derive(Clone, Debug, Serialize)]
pub struct Row {
    /// The node's name.
    pub node: String,
    /// Its kind of layer.
    pub kind: &'static str,
    /// Layers with weights that read it.
    pub read_by: Vec<String>,
    /// Mean distance over the attacked images, at each radius.
    pub distance: Vec<f64>,
}

/// Returns the positions of the images that the network classifies right.
pub fn attacked(engine: &Engine, images: &Images) -> Vec<usize> {
    let labels = engine.labels(images.pixels.view());
    (0..images.len()).filter(|&i| labels[i] == usize::from(images.labels[i])).collect()
}

/// Attacks the images at `indices` and returns how far the adversaries are from them at every node. Ticks
/// once per image and radius.
pub fn measure(
    white_box: &WhiteBox,
    images: &Images,
    indices: &[usize],
    noise: &Noise,
    watch: Watch,
) -> Result<Vec<Row>, Stopped> {
    let mut rows = rows(white_box.engine());
    for &eps in &noise.eps {
        let mut sums = vec![0.0; rows.len()];
        for block in indices.chunks(64) {
            watch.check()?;
            let single = Single { stop: watch.stop, ..Single::new(&noise.attack, eps, noise.seed) };
            let adversaries = adversaries(white_box, images, block, &single);
            watch.check()?;
            let originals = images.pixels.select(Axis(0), block);
            let found = distances(white_box.engine(), originals.view(), adversaries.view());
            for (sum, node) in sums.iter_mut().zip(found) {
                *sum += node.iter().sum::<f64>();
            }
            (watch.tick)(block.len() as u64);
        }
        rows.iter_mut().zip(sums).for_each(|(row, sum)| row.distance.push(sum / indices.len() as f64));
    }
    Ok(rows)
}

/// Names every node and its readers with weights.
fn rows(engine: &Engine) -> Vec<Row> {
    let network = engine.network();
    let readers = |i: usize| {
        let mut readers = network.readers(i).to_vec();
        readers.dedup();
        let with_weights = readers.iter().map(|&j| &network.nodes()[j]);
        let with_weights = with_weights.filter(|node| node.layer.weight_bits().is_some());
        with_weights.map(|node| node.name.clone()).collect()
    };
    let row = |(i, node): (usize, &dq_net::Node)| Row {
        node: node.name.clone(),
        kind: node.layer.kind().name(),
        read_by: readers(i),
        distance: vec![],
    };
    network.nodes().iter().enumerate().map(row).collect()
}

/// Computes `‖v(x') − v(x)‖₂ / ‖v(x)‖₂` at every node's output: node × image. `clean` and `changed` are batch
/// × height × width × channels. Where a clean value is all zeros the distance is 0 if nothing changed, else
/// it is infinite.
///
/// Levels count from 0, also where level 0 stands for another real value.
///
/// # Panics
/// If the shapes differ or are not the network's.
pub fn distances(engine: &Engine, clean: ArrayView4<u8>, changed: ArrayView4<u8>) -> Vec<Vec<f64>> {
    assert_eq!(clean.dim(), changed.dim(), "one image for each");
    let mut all = vec![Vec::with_capacity(clean.dim().0); engine.network().nodes().len()];
    let blocks = clean.axis_chunks_iter(Axis(0), BLOCK).zip(changed.axis_chunks_iter(Axis(0), BLOCK));
    for (clean, changed) in blocks {
        let (clean, changed) = (engine.nodes(clean), engine.nodes(changed));
        for (node, (clean, changed)) in all.iter_mut().zip(clean.iter().zip(&changed)) {
            node.extend(clean.outer_iter().zip(changed.outer_iter()).map(|(clean, changed)| {
                // Squares of words are summed exactly in i128, so that the order of the sum does not matter.
                let square = |v: i64| i128::from(v) * i128::from(v);
                let size: i128 = clean.iter().map(|&v| square(v.into())).sum();
                let moved: i128 =
                    clean.iter().zip(changed).map(|(&a, &b)| square(i64::from(b) - i64::from(a))).sum();
                if moved == 0 { 0.0 } else { (moved as f64 / size as f64).sqrt() }
            }));
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use dq_net::random::{self, Options};

    #[test]
    fn the_distances_are_those_of_the_reference() {
        for seed in 0..40 {
            let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            let engine = Engine::new(&network);
            let images = [1, 2].map(|n| random::image(seed + 1000 * n, network.input()));
            let batch = images.each_ref().map(|image| image.view().insert_axis(Axis(0)));
            let found = distances(&engine, batch[0], batch[1]);
            let [clean, changed] = images.each_ref().map(|image| network.eval_nodes(image.view()));
            for (node, (clean, changed)) in clean.iter().zip(&changed).enumerate() {
                let norm = |values: &mut dyn Iterator<Item = i32>| {
                    values.map(|v| f64::from(v) * f64::from(v)).sum::<f64>().sqrt()
                };
                let moved = norm(&mut clean.iter().zip(changed).map(|(a, b)| b - a));
                let size = norm(&mut clean.iter().copied());
                let wanted = if moved == 0.0 { 0.0 } else { moved / size };
                let found = found[node][0];
                assert!(found == wanted || (found - wanted).abs() < 1e-9 * wanted, "{found} {wanted}");
            }
            assert!(distances(&engine, batch[0], batch[0]).iter().all(|node| node == &[0.0]));
        }
    }
}
