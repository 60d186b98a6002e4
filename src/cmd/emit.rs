//! `dq emit`: Verilog, ROM images, testbench, plan and estimates.

use crate::shared::args::{Bits, DataArg};
use crate::shared::files::shown;
use crate::shared::folder;
use crate::shared::table::{table, thousands};
use crate::shared::ui::Ui;
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use dq_hdl::board::Board;
use dq_hdl::design::Design;
use dq_hdl::device::{Budget, DEVICES, Device};
use dq_hdl::emit::{Emission, Report};
use dq_hdl::plan::{self, Control, Mac, Output, Plan, Target};
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
///   dq emit model.json --board ulx3s --fps 500 -o rtl
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
    /// Board whose device bounds the plan: `ulx3s`, `icebreaker`, or a folder with a board.toml.
    #[arg(long, value_name = "BOARD", conflicts_with_all = ["device", "plan"])]
    board: Option<String>,
    #[command(flatten)]
    plan: PlanArgs,
    /// Scripts for Vivado as well: package_ip.tcl (AXI4-Stream IP), ooc.tcl, constraints.xdc. Not run here.
    #[arg(long, value_name = "PART", num_args = 0..=1, default_missing_value = "xc7z020clg400-1")]
    vivado: Option<String>,
    /// The folder.
    #[arg(short, long = "output", value_name = "DIR")]
    output: PathBuf,
}

impl Args {
    /// Whether libtorch exports a run first.
    #[cfg(feature = "train")]
    pub fn exports_a_run(&self) -> bool {
        self.model.is_dir()
    }
}

/// How a network is folded onto hardware.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct PlanArgs {
    /// Plan by hand: PE, SIMD, memory and FIFO of every node.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fps", "mhz", "output_kind", "control", "device", "luts", "brams", "dsps", "mac"])]
    plan: Option<PathBuf>,
    /// Frames a second to plan for (default: 100, or as many as the network can; with a budget: as many as fit).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    fps: Option<u64>,
    /// Clock that --fps assumes (default: 100).
    #[arg(long, value_name = "MHZ", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    mhz: Option<u32>,
    /// Device that bounds the plan, such as ecp5-85f, ice40-up5k, xc7z020.
    #[arg(long, value_name = "DEVICE", value_parser = parse_device)]
    device: Option<&'static Device>,
    /// LUTs that the plan may use.
    #[arg(long, value_name = "N")]
    luts: Option<u64>,
    /// Block RAMs that the plan may use.
    #[arg(long, value_name = "N")]
    brams: Option<u64>,
    /// DSP blocks that the plan may use.
    #[arg(long, value_name = "N")]
    dsps: Option<u64>,
    /// How products are built, wherever a node can have them so (default: the smallest for bits and device).
    #[arg(long, value_enum, value_name = "FORM")]
    mac: Option<MacArg>,
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

/// How products are built.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum MacArg {
    /// Bit planes of the weights choose among sums of pairs of levels; an adder tree a plane.
    Pairs,
    /// The same choice inside carry chains (weights of 2 bits or more, SIMD a multiple of 4).
    Chains,
    /// Equal bits are counted (weights of 1 bit, not with --control load).
    Xnor,
    /// DSP blocks, two products a block where they fit (weights of 2 bits or more).
    Dsp,
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
    let device = device_of(args.board.as_deref())?;
    let plan = args.plan.plan(&network, device, plan::DEFAULT_CLOCK_MHZ)?;
    let design = Design::new(&network, &plan)?;
    ui.check_stop("nothing was written")?;
    let emission = emit(&design, &args.output, args.vivado.as_deref())?;
    let report = &emission.report;
    let total = &report.estimate.total;
    let text = format!(
        "{}\n{}: {} cycles a frame (slowest stage {} in `{}`), latency {}; {} frames/s at {} MHz\n\
         estimated {} LUT4, {} FF, {} block RAMs, {} DSPs\nwritten: {} ({} files, top module `{}`)",
        stage_table(&design, report),
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
        || json!({"output": shown(&args.output), "name": network.name, "hash": report.network, "top": emission.top,
                "files": emission.files.len(), "cycles_per_frame": report.timing.interval,
                "latency": report.timing.latency, "ideal_interval": report.timing.ideal_interval,
                "frames_per_second": report.frames_per_second, "clock_mhz": report.clock_mhz,
                "timing": report.timing, "estimate": report.estimate}),
        text,
    )
}

/// The stages as a table: folding, cycles, FIFO depths, resources.
pub fn stage_table(design: &Design, report: &Report) -> String {
    let rows: Vec<Vec<String>> = design
        .stages
        .iter()
        .zip(report.timing.stages.iter().zip(&report.estimate.stages))
        .map(|(stage, (timing, cost))| {
            let lanes = stage.site.output;
            let folding = match stage.kind.unit() {
                Some(unit) => format!("PE {} x SIMD {}, {}", unit.pe, unit.simd, unit.mac.name()),
                None => format!("{} x {} bits", lanes.count, lanes.bits),
            };
            let depths: Vec<String> = timing.depths.iter().map(ToString::to_string).collect();
            vec![
                timing.stage.clone(),
                folding,
                thousands(timing.cycles),
                timing.latency.to_string(),
                depths.join("/"),
                thousands(cost.resources.lut),
                thousands(cost.resources.ff),
                cost.resources.bram.to_string(),
                cost.resources.dsp.to_string(),
            ]
        })
        .collect();
    table(&["stage", "folding", "cycles", "latency", "FIFO", "LUT", "FF", "BRAM", "DSP"], &rows)
}

/// Emits `design` into folder `output`, whole or not at all.
pub fn emit(design: &Design, output: &Path, vivado: Option<&str>) -> Result<Emission> {
    let mut emission = dq_hdl::emit::emit(design);
    if let Some(part) = vivado {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if part.is_empty() || !part.chars().all(plain) {
            bail!("--vivado: expected a part such as xc7z020clg400-1, found `{part}`");
        }
        emission.files.extend(dq_hdl::vivado::files(design, &emission, part));
    }
    let files: Vec<(String, Vec<u8>)> =
        emission.files.iter().map(|file| (file.name.clone(), file.text.clone().into_bytes())).collect();
    folder::publish(output, &files)?;
    Ok(emission)
}

/// The plan that `args` ask for, on no board: read and checked, or folded for a frame rate.
pub fn plan(network: &Network, args: &PlanArgs) -> Result<Plan> {
    args.plan(network, None, plan::DEFAULT_CLOCK_MHZ)
}

impl PlanArgs {
    /// The plan that is given by hand.
    pub fn file(&self) -> Option<&Path> {
        self.plan.as_deref()
    }

    /// The plan that these ask for: read and checked, or folded for a frame rate and a budget; for `device`, unless they
    /// name one themselves, at `clock_mhz`, unless they name a clock.
    pub fn plan(&self, network: &Network, device: Option<&'static Device>, clock_mhz: u32) -> Result<Plan> {
        if let Some(path) = &self.plan {
            return Ok(Plan::read(path, network)?);
        }
        let planning = || format!("planning {}", network.name);
        let mut plan = match self.target(device, clock_mhz) {
            Some(target) => plan::choose(network, &target).with_context(planning)?,
            None => plan::default(network, self.output())?,
        };
        plan.control = match self.control {
            None => Control::None,
            Some(ControlArg::Counters) => Control::Counters,
            Some(ControlArg::Load) => Control::Load,
        };
        Ok(plan)
    }

    /// What the plan may use.
    pub fn budget(&self, device: Option<&'static Device>) -> Budget {
        let all = self.device.or(device).map_or(Budget::NONE, Device::budget);
        Budget {
            lut: self.luts.unwrap_or(all.lut),
            ff: all.ff,
            bram: self.brams.unwrap_or(all.bram),
            dsp: self.dsps.unwrap_or(all.dsp),
            spram: all.spram,
        }
    }

    /// The target; none where nothing is asked for.
    fn target(&self, device: Option<&'static Device>, clock_mhz: u32) -> Option<Target> {
        let (device, budget) = (self.device.or(device), self.budget(device));
        let bounded = budget != Budget::NONE;
        if !bounded && self.fps.is_none() && self.mhz.is_none() && self.mac.is_none() {
            return None;
        }
        let frames_per_second =
            if bounded { self.fps } else { Some(self.fps.unwrap_or(plan::DEFAULT_FRAMES_PER_SECOND)) };
        let clock_mhz = self.mhz.unwrap_or(clock_mhz);
        let mac = match self.mac {
            None => Mac::Auto,
            Some(MacArg::Pairs) => Mac::Pairs,
            Some(MacArg::Chains) => Mac::Chains,
            Some(MacArg::Xnor) => Mac::Xnor,
            Some(MacArg::Dsp) => Mac::Dsp,
        };
        Some(Target { output: self.output(), clock_mhz, frames_per_second, device, budget, mac })
    }

    fn output(&self) -> Output {
        match self.output_kind {
            Some(OutputArg::Label) => Output::Label,
            Some(OutputArg::Scores) | None => Output::Scores,
        }
    }
}

/// The device of the board called `name`.
pub fn device_of(name: Option<&str>) -> Result<Option<&'static Device>> {
    Ok(name.map(Board::find).transpose()?.map(|board| board.device))
}

fn parse_device(text: &str) -> Result<&'static Device, String> {
    let known = || DEVICES.iter().map(|device| device.name).collect::<Vec<_>>().join(", ");
    Device::find(text).ok_or_else(|| format!("expected one of {}", known()))
}

fn open(ui: &Ui, args: &Args) -> Result<Network> {
    if !args.model.is_dir() {
        if let Some(data) = args.data.first() {
            bail!(
                "{}: --data {} recalibrates a run, and this is no folder of a run",
                args.model.display(),
                data.set
            );
        }
        if let Some(bits) = args.bits {
            bail!(
                "{}: --bits {},{} re-quantizes a run, and this is no folder of a run",
                args.model.display(),
                bits.weights,
                bits.activations
            );
        }
        return crate::shared::model::open(&args.model, ui.seed());
    }
    #[cfg(feature = "train")]
    return crate::cmd::export::export_integer(ui, &args.model, args.bits, &args.data);
    #[cfg(not(feature = "train"))]
    {
        let _ = (ui, &args.data);
        bail!("{}: a run needs dq with the `train` feature; give a model.json", args.model.display())
    }
}
