//! Checks the fast engine against the reference, every node.

use super::super::ui::Ui;
use anyhow::{Result, bail};
use dq_data::Images;
use dq_net::{Network, random};
use dq_sim::Engine;
use ndarray::{Array4, Axis, s};
use rayon::prelude::*;
use serde::Serialize;

/// Says what was compared.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub kernel: String,
    pub random_images: usize,
    pub images: usize,
    pub values: u64,
}

/// Number of random images that are compared.
const RANDOM_IMAGES: usize = 32;

/// Compares every node of the fast engine with the reference, on random images and the first `count` of
/// `images`.
pub fn check(ui: &Ui, engine: &Engine, images: Option<&Images>, count: u64) -> Result<Checked> {
    let network = engine.network();
    let mut found = Checked {
        kernel: format!("{:?}", engine.kernel()),
        random_images: RANDOM_IMAGES,
        images: 0,
        values: 0,
    };
    let mut batches: Vec<(&str, Array4<u8>)> = vec![("random image", random_frames(network, RANDOM_IMAGES))];
    if let Some(images) = images {
        found.images = images.len().min(count as usize);
        batches.push(("test image", images.pixels.slice(s![..found.images, .., .., ..]).to_owned()));
    }
    let total: usize = batches.iter().map(|(_, b)| b.dim().0).sum();
    let bar = ui.bar("engine = reference", total as u64, "images");
    for (what, batch) in &batches {
        for (b, block) in batch.axis_chunks_iter(Axis(0), 16).enumerate() {
            ui.check_stop("nothing was written")?;
            let fast = engine.nodes(block);
            let slow: Vec<_> = (0..block.dim().0)
                .into_par_iter()
                .map(|i| network.eval_nodes(block.index_axis(Axis(0), i)))
                .collect();
            for (i, nodes) in slow.iter().enumerate() {
                for (n, expected) in nodes.iter().enumerate() {
                    let got = fast[n].index_axis(Axis(0), i);
                    found.values += expected.len() as u64;
                    if let Some((at, value)) = expected.indexed_iter().find(|&(at, &value)| got[at] != value)
                    {
                        bail!(
                            "node `{}`, {what} {}, element {at:?}: the reference has {value}, the engine {}",
                            network.nodes()[n].name,
                            16 * b + i,
                            got[at]
                        );
                    }
                }
            }
            bar.inc(block.dim().0 as u64);
        }
    }
    bar.finish_and_clear();
    Ok(found)
}

/// Draws random images of the network's shape: those of seeds 0, 1, …
pub fn random_frames(network: &Network, count: usize) -> Array4<u8> {
    let shape = network.input_shape();
    let mut frames = Array4::zeros((count, shape.height, shape.width, shape.channels));
    for (seed, mut frame) in frames.outer_iter_mut().enumerate() {
        frame.assign(&random::image(seed as u64, shape));
    }
    frames
}
