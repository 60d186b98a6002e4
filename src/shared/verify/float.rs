//! Checks the float evaluation model against the integer network: the proof is repeated, then every logit of
//! the test images is compared.

use super::super::ui::Ui;
use anyhow::{Result, bail};
use dq_data::Images;
use dq_net::Network;
use dq_sim::Engine;
use serde::Serialize;
use std::path::Path;

/// Says what was compared.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub boundaries: u64,
    pub probes: u64,
    pub images: usize,
    pub logits: usize,
    pub differences: usize,
}

/// Proves anew that the run's float model and `network` agree, and compares every logit of `images`.
pub fn check(
    ui: &Ui,
    run: &Path,
    network: &Network,
    engine: &Engine,
    images: Option<&Images>,
) -> Result<Checked> {
    ui.note("float: proving every boundary anew from the checkpoint");
    let (proof, scores) = ui.torch()?.prove(ui, run, network)?;
    let mut found =
        Checked { boundaries: proof.boundaries, probes: proof.probes, images: 0, logits: 0, differences: 0 };
    let Some(images) = images else { return Ok(found) };
    let bar = ui.bar("float = integer", images.len() as u64, "images");
    for first in (0..images.len()).step_by(100) {
        ui.check_stop("nothing was written")?;
        let indices: Vec<usize> = (first..images.len().min(first + 100)).collect();
        let block = images.select(&indices);
        let (float, integer) = (scores(&block), engine.scores(block.pixels.view()));
        for ((i, class), score) in float.indexed_iter() {
            if *score != f64::from(integer[[i, class]]) {
                let place = format!("test image {}, class {class}", indices[i]);
                bail!(
                    "logits, {place}: the float model has {score}, the integer network {}",
                    integer[[i, class]]
                );
            }
        }
        found.images += indices.len();
        found.logits += float.len();
        bar.inc(indices.len() as u64);
    }
    bar.finish_and_clear();
    Ok(found)
}
