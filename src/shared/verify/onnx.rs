//! The ONNX file that a network was imported from: it imports as the same network again, with the proof.

use super::super::onnx;
use super::super::ui::Ui;
use anyhow::{Result, bail};
use dq_net::Network;
use serde::Serialize;
use std::path::Path;

/// What was proved.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub boundaries: u64,
    pub probes: u64,
}

/// Imports the file again and compares.
pub fn check(ui: &Ui, path: &Path, options: &dq_onnx::Options, network: &Network) -> Result<Checked> {
    ui.note("onnx: importing and proving every boundary anew");
    let imported = onnx::import(ui, path, options)?.network;
    let (wanted, found) = (dq_net::content_hash(network), dq_net::content_hash(&imported));
    if wanted != found {
        bail!(
            "{}: expected a file that imports as network {} (hash {wanted}), found hash {found} (another file, or \
             other --input, --mean or --std?)",
            path.display(),
            network.name
        );
    }
    let proof = imported.proof.unwrap_or_default();
    Ok(Checked { boundaries: proof.boundaries, probes: proof.probes })
}
