//! Puts integer networks on a device of libtorch.

use crate::compute;
use anyhow::Result;
use dq::shared::args::Device;
use dq::shared::ui::Ui;
use dq_net::Network;
use dq_sim::attack::suite::Circuit;
use dq_torch::TorchEngine;

/// Puts `network` on `device`; none where any GPU will do and there is none, since the engine is faster than
/// libtorch on a CPU.
pub fn circuit(ui: &Ui, network: &Network, device: Device) -> Result<Option<Box<dyn Circuit>>> {
    let compute = compute(ui, device)?;
    if device == Device::Auto && !compute.is_gpu() {
        return Ok(None);
    }
    Ok(Some(Box::new(TorchEngine::new(network, compute.begin())?)))
}
