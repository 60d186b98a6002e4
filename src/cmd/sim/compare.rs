//! Compares the scores of a network on libtorch with the engine's, and keeps how far it came.

use crate::shared::report;
use crate::shared::ui::Ui;
use anyhow::{Result, bail, ensure};
use dq_data::Images;
use dq_net::Network;
use dq_sim::Engine;
use dq_sim::attack::suite::Circuit;
use ndarray::s;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::path::Path;

/// Number of images between two writes of the file.
const BLOCK: usize = 512;

/// Holds a comparison, as its file has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Comparison {
    /// The network's name.
    model: String,
    /// SHA-256 of what it computes.
    hash: String,
    /// Name of the data set.
    data: String,
    /// SHA-256 of the images.
    digest: String,
    /// Number of images.
    images: usize,
    /// What is compared with the engine.
    engine: String,
    /// Number of images, from the first on, whose scores are the engine's.
    equal: usize,
}

/// Compares what is not compared yet; `path` says how far an earlier call came.
///
/// # Errors
/// If a score differs, or the file is about something else.
pub fn run(ui: &Ui, network: &Network, circuit: &dyn Circuit, images: &Images, path: &Path) -> Result<()> {
    let blank = Comparison {
        model: network.name.clone(),
        hash: dq_net::content_hash(network),
        data: images.name.clone(),
        digest: images.digest(),
        images: images.len(),
        engine: circuit.engine().unwrap_or_default(),
        equal: 0,
    };
    let mut state = begun(path, &blank)?;
    let (engine, bar) = (Engine::new(network), ui.bar("comparing", images.len() as u64, "images"));
    while state.equal < images.len() {
        bar.set_position(state.equal as u64);
        ui.check_stop(&format!("{} images are compared, as {} says", state.equal, path.display()))?;
        let end = images.len().min(state.equal + BLOCK);
        let block = images.pixels.slice(s![state.equal..end, .., .., ..]);
        let (found, expected) = (circuit.scores(block), engine.scores(block));
        for (((n, class), found), expected) in found.indexed_iter().zip(&expected) {
            let image = state.equal + n;
            if found != expected {
                bail!(
                    "{}: image {image}, class {class}: expected a score of {expected}, as the engine has, found \
                     {found}",
                    state.engine
                );
            }
        }
        state.equal = end;
        report::write(&state, path)?;
    }
    bar.finish_and_clear();
    let text = format!(
        "{}: {} has the engine's scores of {} test images of {}",
        state.model, state.engine, state.equal, state.data
    );
    ui.result(|| json!(state), text)
}

/// Reads how far an earlier call came; `blank` says what is compared now.
fn begun(path: &Path, blank: &Comparison) -> Result<Comparison> {
    if !path.exists() {
        return Ok(blank.clone());
    }
    let found: Comparison = report::read_as(path, "a comparison of --compare")?;
    let same = Comparison { equal: 0, ..found.clone() } == *blank && found.equal <= found.images;
    ensure!(
        same,
        "{}: expected a comparison of {} ({:.12}) on {} images of {} with {}, found one of {} ({:.12}) on {} \
         images of {} with {}",
        path.display(),
        blank.model,
        blank.hash,
        blank.images,
        blank.data,
        blank.engine,
        found.model,
        found.hash,
        found.images,
        found.data,
        found.engine
    );
    Ok(found)
}
