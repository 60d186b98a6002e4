//! Implements `dq verify`: checks that float model, integer network, fast engine, netlist and Verilog agree;
//! the exit code is 1 at the first difference.

use crate::shared::args::{DataArg, at_least_one};
use crate::shared::model::ModelArg;
use crate::shared::onnx::NormalizationArgs;
use crate::shared::plan::PlanArgs;
use crate::shared::ui::Ui;
use crate::shared::verify::{Frames, Subject, verify};
use crate::shared::{adversaries, data};
use anyhow::Result;
use clap::value_parser;
use dq_data::Split;
use dq_hdl::design::Design;
use std::path::PathBuf;

/// Prove and check that float model, simulator and Verilog agree
///
/// Up to six checks, each of which stops at its first difference, naming the place and
/// both values:
///   float   with --run: the float evaluation model equals the integer network on
///           every input (proved at each step boundary), and on the test images
///           where --data is given
///   onnx    with --onnx: the file imports as the integer network again, every threshold
///           proved on both sides
///   engine  the fast engine equals the reference, every node, on random images and
///           on the first --count test images
///   rtl     netlist and Verilator give the engine's words for --rtl frames, half of
///           them adversarial where --data is given, back to back under random
///           stalls on both sides
///   timing  every beat moves in the very cycle that the plan computes
///   gates   with --gates: what Yosys makes of the Verilog for the plan's device, each cell
///           its vendor's model, gives the same words in the same cycles
///
/// Examples:
///   dq verify model.json
///   dq verify lenet@1/4 --device ice40-up5k --gates
///   dq verify model.json --run runs/signs-tiny-dq --data signs --rtl 8
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    /// The run it was exported from: proves float = integer anew from its checkpoint.
    #[arg(long, value_name = "RUN")]
    run: Option<PathBuf>,
    /// The ONNX file it was imported from: imports it anew, with the proof.
    #[arg(long, value_name = "FILE")]
    onnx: Option<PathBuf>,
    #[command(flatten)]
    normalization: NormalizationArgs,
    /// Data set whose test images are used, e.g. `signs` or `cifar10=DIR` (default: random images).
    #[arg(long, value_name = "SET[=DIR]")]
    data: Option<DataArg>,
    /// Test images on which engine and reference are compared.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least_one())]
    count: u64,
    /// Frames through Verilator (0: none).
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = value_parser!(u64).range(..=10_000))]
    rtl: u64,
    /// Frames of those that also go through the netlist simulation.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = value_parser!(u64).range(..=10_000))]
    netlist: u64,
    /// Adversaries (npz, as `dq attack --save` writes) that the frames of --rtl are taken from, evenly.
    #[arg(long, value_name = "NPZ", requires = "data")]
    replay: Option<PathBuf>,
    /// The frames of --rtl also through the cells that Yosys makes of the Verilog, for ECP5, iCE40 or Gowin as
    /// --device says.
    #[arg(long)]
    gates: bool,
    #[command(flatten)]
    plan: PlanArgs,
}

impl Args {
    /// Says whether libtorch proves a run anew.
    pub fn proves_a_run(&self) -> bool {
        self.run.is_some()
    }
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    if args.rtl == 0 && (args.gates || args.replay.is_some()) {
        let option = if args.gates { "--gates" } else { "--replay" };
        let message = format!("{option} needs frames: --rtl of at least 1\n");
        clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, message).exit();
    }
    let network = args.model.open(ui)?;
    let images = args.data.as_ref().map(|d| data::images(d, Split::Test)).transpose()?;
    let run = args.run.as_deref();
    let design =
        if args.rtl > 0 { Some(Design::new(&network, &args.plan.plan(&network, None)?)?) } else { None };
    let stored = match (&args.replay, &images) {
        (Some(path), Some(images)) => {
            Some(adversaries::Read::open(path, images, 0)?.fitting(path, network.input())?.images)
        }
        _ => None,
    };
    let (rtl, netlist) = (args.rtl as usize, args.netlist as usize);
    let frames = Frames { count: args.count, rtl, netlist, stored, gates: args.gates };
    let options = args.normalization.options();
    let onnx = args.onnx.as_deref().map(|path| (path, &options));
    let subject = Subject { network: &network, run, onnx, images: images.as_ref(), design: design.as_ref() };
    let verified = verify(ui, &subject, &frames)?;
    ui.result(|| &verified, verified.text())
}
