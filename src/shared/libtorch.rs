//! Puts integer networks on libtorch, where an option asks for it.

use super::args::Device;
use super::ui::Ui;
use anyhow::Result;
use dq_net::Network;
use dq_sim::attack::suite::Circuit;

/// Says whether libtorch computes integer networks, and where.
#[derive(clap::Args)]
pub struct LibtorchArg {
    /// Compute integer networks with libtorch there instead of by the engine: the same scores, and gradients
    /// that are rounded otherwise. `auto`: a GPU where there is one, else the engine.
    #[arg(long, value_name = "DEVICE", value_enum)]
    libtorch: Option<Device>,
}

impl LibtorchArg {
    /// Returns whether libtorch is asked for.
    pub fn is_given(&self) -> bool {
        self.libtorch.is_some()
    }

    /// Puts `network` on the device that was asked for; none where the engine is to compute.
    pub fn circuit(&self, ui: &Ui, network: &Network) -> Result<Option<Box<dyn Circuit>>> {
        let Some(device) = self.libtorch else { return Ok(None) };
        let found = ui.torch()?.circuit(ui, network, device)?;
        if found.is_none() {
            ui.note("--libtorch auto: no GPU can be used, so the engine computes");
        }
        Ok(found)
    }
}
