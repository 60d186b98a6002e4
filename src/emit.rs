//! `dq emit`: Verilog, ROM images, testbench, plan and estimates.

use crate::args::{Bits, DataArg};
use crate::folder;
use crate::table::{table, thousands};
use crate::ui::Ui;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use dq_hdl::design::Design;
use dq_hdl::emit::Emission;
use dq_hdl::fold;
use dq_hdl::plan::{Control, Output, Plan};
use dq_net::Network;
use serde_json::json;
use std::path::{Path, PathBuf};

/// Emit a network as synthesizable Verilog
///
/// Writes a folder: one Verilog file a module, ROM images, a self-checking testbench
/// with vectors, plan.json (which can be edited and given back) and report.json
/// (cycles, estimates). MODEL is a model.json, or a run, which is then exported in the
/// same step (--bits for another bit width). The folder is replaced if dq wrote it.
///
/// Examples:
///   dq emit model.json -o rtl
///   dq emit model.json --fps 1000 --mhz 100 -o rtl
///   dq emit model.json --plan rtl/plan.json -o rtl2
///   dq emit runs/signs-tiny-dq --bits 2,2 -o rtl-w2a2
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Integer network's file, folder of a run, or a built-in topology with random weights (`cnv`, `wrn-16-4:w4a4`, …).
    model: PathBuf,
    /// Bits of weights and activations, for a run.
    #[arg(long, value_name = "W,A")]
    bits: Option<Bits>,
    /// Training set's folder, where the run must be recalibrated; `signs` is built in.
    #[arg(long, value_name = "SET=DIR")]
    data: Vec<DataArg>,
    #[command(flatten)]
    plan: PlanArgs,
    /// The folder.
    #[arg(short, long = "output", value_name = "DIR")]
    output: PathBuf,
}

/// How a network is folded onto hardware.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct PlanArgs {
    /// Plan by hand: PE, SIMD, memory and FIFO of every node.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fps", "mhz", "output_kind", "control"])]
    plan: Option<PathBuf>,
    /// Frames a second to plan for (default: 100, or as many as the network can).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    fps: Option<u64>,
    /// Clock that --fps assumes (default: 100).
    #[arg(long, value_name = "MHZ", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    mhz: Option<u32>,
    /// What leaves the circuit (default: scores).
    #[arg(long = "out", value_enum, value_name = "WHAT")]
    output_kind: Option<OutputArg>,
    /// AXI4-Lite control port: counters, or loading of parameters too (default: none).
    #[arg(long, value_enum, value_name = "WHAT")]
    control: Option<ControlArg>,
}

/// What the control port offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ControlArg {
    /// Counters of frames and of each stage's stalls.
    Counters,
    /// Counters, and weights, thresholds and biases that can be loaded.
    Load,
}

/// What leaves the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputArg {
    /// The score of each class, one a beat.
    Scores,
    /// The label, one beat.
    Label,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let network = open(ui, args)?;
    let design = Design::new(&network, &plan(&network, &args.plan)?)?;
    ui.check_stop("nothing was written")?;
    let emission = emit(&design, &args.output)?;
    let report = &emission.report;
    let stages: Vec<Vec<String>> = report
        .timing
        .stages
        .iter()
        .zip(&report.estimate.stages)
        .map(|(timing, cost)| {
            vec![
                timing.stage.clone(),
                thousands(timing.cycles),
                timing.latency.to_string(),
                timing.depths.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "),
                thousands(cost.resources.lut),
                thousands(cost.resources.ff),
                cost.resources.bram.to_string(),
            ]
        })
        .collect();
    let total = &report.estimate.total;
    let text = format!(
        "{}\n{}: {} cycles a frame (slowest stage {} in `{}`), latency {}; {} frames/s at {} MHz\n\
         estimated {} LUT4, {} FF, {} block RAMs, {} DSPs\nwritten: {} ({} files, top module `{}`)",
        table(&["stage", "cycles", "latency", "FIFO", "LUT4", "FF", "BRAM"], &stages),
        network.name,
        thousands(report.timing.interval),
        thousands(report.timing.ideal_interval),
        report.timing.bottleneck,
        thousands(report.timing.latency),
        thousands(report.frames_per_second),
        report.clock_mhz,
        thousands(total.lut),
        thousands(total.ff),
        total.bram,
        total.dsp,
        args.output.display(),
        emission.files.len(),
        emission.top
    );
    ui.result(
        &json!({"output": args.output, "name": network.name, "hash": report.network, "top": emission.top,
                "files": emission.files.len(), "cycles_per_frame": report.timing.interval,
                "latency": report.timing.latency, "ideal_interval": report.timing.ideal_interval,
                "frames_per_second": report.frames_per_second, "clock_mhz": report.clock_mhz,
                "timing": report.timing, "estimate": report.estimate}),
        text,
    )
}

/// Emits `design` into folder `output`, whole or not at all.
pub fn emit(design: &Design, output: &Path) -> Result<Emission> {
    let emission = dq_hdl::emit::emit(design);
    let files: Vec<(String, Vec<u8>)> =
        emission.files.iter().map(|file| (file.name.clone(), file.text.clone().into_bytes())).collect();
    folder::publish(output, &files)?;
    Ok(emission)
}

/// The plan that `args` ask for: read and checked, or folded for a frame rate.
pub fn plan(network: &Network, args: &PlanArgs) -> Result<Plan> {
    plan_at(network, args, fold::DEFAULT_CLOCK_MHZ)
}

/// As [`plan`], at `clock_mhz` where none is given.
pub fn plan_at(network: &Network, args: &PlanArgs, clock_mhz: u32) -> Result<Plan> {
    if let Some(path) = &args.plan {
        return Ok(Plan::read(path, network)?);
    }
    let output = match args.output_kind {
        Some(OutputArg::Label) => Output::Label,
        Some(OutputArg::Scores) | None => Output::Scores,
    };
    let mut plan = match (args.fps, args.mhz) {
        (None, None) if clock_mhz == fold::DEFAULT_CLOCK_MHZ => fold::default(network, output)?,
        (fps, mhz) => fold::for_target(
            network,
            output,
            mhz.unwrap_or(clock_mhz),
            fps.unwrap_or(fold::DEFAULT_FRAMES_PER_SECOND),
        )
        .with_context(|| format!("planning {}", network.name))?,
    };
    plan.control = match args.control {
        None => Control::None,
        Some(ControlArg::Counters) => Control::Counters,
        Some(ControlArg::Load) => Control::Load,
    };
    Ok(plan)
}

fn open(ui: &Ui, args: &Args) -> Result<Network> {
    if !args.model.is_dir() {
        if let Some(bits) = args.bits {
            bail!(
                "{}: --bits {},{} re-quantizes a run, and this is no folder of a run",
                args.model.display(),
                bits.weights,
                bits.activations
            );
        }
        return crate::model::open(&args.model, ui.seed());
    }
    #[cfg(feature = "train")]
    return crate::export::export_integer(ui, &args.model, args.bits, &args.data);
    #[cfg(not(feature = "train"))]
    {
        let _ = (ui, &args.data);
        bail!("{}: a run needs dq with the `train` feature; give a model.json", args.model.display())
    }
}
