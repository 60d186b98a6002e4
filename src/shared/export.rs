//! Turns runs into networks: exports, with training images where batch normalization has to be calibrated
//! anew.

use super::args::{Bits, DataArg, Device};
use super::data;
use super::ui::Ui;
use anyhow::Result;
use dq_data::Split;
use dq_net::{AnyNetwork, Network};
use dq_train::{BitWidths, Keep};
use std::path::Path;

/// Exports the run, loading training images only where it has not been calibrated at this bit width.
pub fn export(
    ui: &Ui,
    run: &Path,
    bits: Option<Bits>,
    given: &[DataArg],
    (keep, device): (Keep, Device),
) -> Result<AnyNetwork> {
    let compute = device.compute(ui.threads())?;
    let int = |bits: u8| dq_train::Bits::Int(bits.into());
    let bits = bits.map(|b| BitWidths::uniform(int(b.weights), int(b.activations)));
    let bits = bits.as_ref();
    let recipe = dq_train::run_recipe(run)?;
    let images = if dq_train::is_calibrated(run, bits)? {
        None
    } else {
        ui.note("recalibrating batch normalization on training images, in exact arithmetic");
        if keep == Keep::Nowhere {
            ui.note(
                "the calibration is not kept; `dq export` keeps it in the run's folder where it may write",
            );
        }
        Some(data::find(&recipe.data.set, given, Split::Train)?)
    };
    dq_train::export(run, bits, images.as_ref(), keep, compute)
}

/// Exports the run as [`export`] does and leaves its folder as it is; refuses float networks.
pub fn export_integer(ui: &Ui, run: &Path, bits: Option<Bits>, given: &[DataArg]) -> Result<Network> {
    match export(ui, run, bits, given, (Keep::Nowhere, Device::Auto))? {
        AnyNetwork::Integer(network) => Ok(network),
        AnyNetwork::Float(_) => anyhow::bail!(
            "{}: the recipe has float weights or activations, which no hardware computes; give --bits W,A",
            run.display()
        ),
    }
}
