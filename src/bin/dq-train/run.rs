//! Turns runs into networks: exports, with training images where batch normalization has to be calibrated
//! anew.

use crate::compute;
use anyhow::Result;
use dq::shared::data;
use dq::shared::ui::Ui;
use dq::torch::Export;
use dq_data::Split;
use dq_net::AnyNetwork;
use dq_train::{BitWidths, Bits, Keep};

/// Exports the run, loading training images only where it has not been calibrated at this bit width.
pub fn export(ui: &Ui, export: &Export) -> Result<AnyNetwork> {
    let compute = compute(ui, export.device)?;
    let keep = if export.keep { Keep::InRun } else { Keep::Nowhere };
    let int = |bits: u8| Bits::Int(bits.into());
    let bits = export.bits.map(|b| BitWidths::uniform(int(b.weights), int(b.activations)));
    let bits = bits.as_ref();
    let recipe = dq_train::run_recipe(export.run)?;
    let images = if dq_train::is_calibrated(export.run, bits)? {
        None
    } else {
        ui.note("recalibrating batch normalization on training images, in exact arithmetic");
        if keep == Keep::Nowhere {
            ui.note(
                "the calibration is not kept; `dq export` keeps it in the run's folder where it may write",
            );
        }
        Some(data::find(&recipe.data.set, export.data, Split::Train)?)
    };
    dq_train::export(export.run, bits, images.as_ref(), keep, compute)
}
