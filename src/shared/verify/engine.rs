//! Checks the fast engine against the reference, every node.

use super::super::ui::Ui;
use anyhow::{Result, anyhow};
use dq_data::Images;
use dq_net::random;
use dq_sim::Engine;
use ndarray::{Array4, Axis, s};
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
    let mut found = Checked {
        kernel: format!("{:?}", engine.kernel()),
        random_images: RANDOM_IMAGES,
        images: 0,
        values: 0,
    };
    let mut batches: Vec<(&str, Array4<u8>)> =
        vec![("random image", random::images(0, RANDOM_IMAGES, engine.network().input()))];
    if let Some(images) = images {
        found.images = images.len().min(count as usize);
        batches.push(("test image", images.pixels.slice(s![..found.images, .., .., ..]).to_owned()));
    }
    let total: usize = batches.iter().map(|(_, b)| b.dim().0).sum();
    let bar = ui.bar("engine = reference", total as u64, "images");
    for (what, batch) in &batches {
        for (b, block) in batch.axis_chunks_iter(Axis(0), 16).enumerate() {
            ui.check_stop("nothing was written")?;
            let compared = engine.compare(block);
            found.values += compared.map_err(|difference| anyhow!(difference.told(what, 16 * b)))?;
            bar.inc(block.dim().0 as u64);
        }
    }
    bar.finish_and_clear();
    Ok(found)
}
