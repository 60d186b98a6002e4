//! Runs `dq` with libtorch: `dq` becomes this program where a command trains or reads a run. It has every
//! command and the same arguments.

mod circuit;
mod run;
mod sweep;
mod train;
mod training;

use anyhow::Result;
use dq::shared::args::Device;
use dq::shared::ui::Ui;
use dq::torch::{Export, Lesson, Scores, Torch, TrainArgs, Trained};
use dq_net::{AnyNetwork, Network, Proof};
use dq_sim::attack::suite::Circuit;
use dq_train::{BEST, Compute, DeviceChoice, LAST, METRICS, RECIPE};
use std::path::Path;
use std::process::ExitCode;

struct Libtorch;

impl Torch for Libtorch {
    fn train(&self, ui: &Ui, args: &TrainArgs) -> Result<()> {
        train::run(ui, args)
    }

    fn files_of_run(&self) -> &'static [&'static str] {
        &[BEST, LAST, METRICS, RECIPE]
    }

    fn export(&self, ui: &Ui, export: &Export) -> Result<AnyNetwork> {
        run::export(ui, export)
    }

    fn demo(&self, ui: &Ui, lesson: &Lesson) -> Result<Trained> {
        train::demo(ui, lesson)
    }

    fn prove(&self, ui: &Ui, run: &Path, network: &Network) -> Result<(Proof, Scores)> {
        let (proof, evaluation) = dq_train::proved(run, network, compute(ui, Device::Auto)?)?;
        Ok((proof, Box::new(move |images| evaluation.scores(images))))
    }

    fn circuit(&self, ui: &Ui, network: &Network, device: Device) -> Result<Option<Box<dyn Circuit>>> {
        circuit::circuit(ui, network, device)
    }
}

/// Finds the device; libtorch uses the user's number of CPU threads beside it.
fn compute(ui: &Ui, device: Device) -> Result<Compute> {
    let choice = match device {
        Device::Auto => DeviceChoice::Auto,
        Device::Cpu => DeviceChoice::Cpu,
        Device::Cuda => DeviceChoice::Cuda,
    };
    Compute::new(choice, ui.threads())
}

fn main() -> ExitCode {
    dq::main(Some(&Libtorch))
}
