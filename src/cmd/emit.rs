//! Implements `dq emit`: writes Verilog, ROM images, testbench, plan and estimates.

use crate::shared::args::{Bits, DataArg, Device};
use crate::shared::circuit::{Extras, emit};
use crate::shared::files::shown;
use crate::shared::plan::{PlanArgs, device_of, stage_table, weight_lines};
use crate::shared::table::thousands;
use crate::shared::ui::Ui;
use crate::torch::Export;
use anyhow::{Result, bail};
use dq_hdl::design::Design;
use dq_net::{AnyNetwork, Network};
use serde_json::json;
use std::path::PathBuf;

/// Emit a network as synthesizable Verilog
///
/// Writes a folder: one Verilog file per module, ROM images (in images/, one folder a
/// layer), a self-checking testbench with vectors, plan.json (which can be edited and
/// given back) and report.json (cycles, estimates); weights that come from outside as the
/// files that a DMA engine plays in a loop. MODEL is a model.json, or a run, which is then
/// exported in the same step (--bits for another bit width). The folder is replaced if dq
/// wrote it and nothing in it was edited since; an edited plan.json goes on living if it is
/// given (--plan DIR/plan.json).
///
/// Examples:
///   dq emit model.json -o rtl
///   dq emit model.json --fps 1000 --mhz 100 -o rtl
///   dq emit model.json --plan rtl/plan.json -o rtl2
///   dq emit model.json --board ulx3s --fps 500 -o rtl
///   dq emit runs/signs-tiny-dq --bits 2,2 -o rtl-w2a2
///   dq emit model.json --detector bits=5,median -o rtl-detector
///   dq emit model.json --proved-radius 16 -o rtl-proved
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Integer network's file, folder of a run, or a built-in topology with random weights (`cnv`,
    /// `wrn-16-4:w4a4`, …).
    model: PathBuf,
    /// Bits of weights and activations, for a run.
    #[arg(long, value_name = "W,A")]
    bits: Option<Bits>,
    /// Training set's folder, where the run must be recalibrated; `signs` is built in.
    #[arg(long, value_name = "SET=DIR")]
    data: Vec<DataArg>,
    /// Board whose device bounds the plan, as `dq build` takes it: `ulx3s`, `icebreaker`, …
    #[arg(long, value_name = "BOARD", conflicts_with_all = ["device", "plan"])]
    board: Option<String>,
    #[command(flatten)]
    plan: PlanArgs,
    /// The circuit also as module `top_axi`, with the ports that block designers infer: aclk, aresetn (low),
    /// tkeep on both streams.
    #[arg(long)]
    axi_top: bool,
    /// Scripts for Vivado as well, and `top_axi`: package_ip.tcl (AXI4-Stream IP), ooc.tcl, constraints.xdc.
    /// Not run here.
    #[arg(long, value_name = "PART", num_args = 0..=1, default_missing_value = "xc7z020clg400-1")]
    vivado: Option<String>,
    /// The folder.
    #[arg(short, long = "output", value_name = "DIR")]
    output: PathBuf,
}

impl Args {
    /// Says whether libtorch exports a run first.
    pub fn exports_a_run(&self) -> bool {
        self.model.is_dir()
    }
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let network = open(ui, args)?;
    let device = device_of(args.board.as_deref())?;
    let plan = args.plan.plan(&network, device)?;
    let design = Design::new(&network, &plan)?;
    ui.check_stop("nothing was written")?;
    let extras = Extras { axi_top: args.axi_top, vivado: args.vivado.as_deref() };
    let emission = emit(&design, &args.output, extras, args.plan.file())?;
    let report = &emission.report;
    let total = &report.estimate.total;
    let detector = plan.detector.map_or(String::new(), |squeezing| {
        let flag = design.output_lanes().bits - 1;
        format!(
            "detector {squeezing}: two passes per frame; m_axis_tdata has the label in its low bits, the flag \
             in bit {flag}\n"
        )
    });
    let proved = design.proved().map_or(String::new(), |rule| {
        format!(
            "m_axis_tuser: the label is proved within Euclidean distance {} (its score leads by {} or more)\n",
            rule.radius,
            thousands(rule.lead as u64)
        )
    });
    let text = format!(
        "{}\n{}{}: {} cycles per frame (slowest stage {} in `{}`), latency {}; {} frames/s at {} MHz\n\
         {detector}{proved}estimated {} LUT4, {} FF, {} block RAMs, {} DSPs\nwritten: {} ({} files, top module `{}`)",
        stage_table(&design, report),
        weight_lines(report),
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
        emission.files.len() + emission.weights.len(),
        emission.top
    );
    ui.result(
        || {
            let mut found = json!({
                "output": shown(&args.output), "name": network.name, "hash": report.network,
                "top": emission.top,
                "files": emission.files.len() + emission.weights.len(), "cycles_per_frame": report.timing.interval,
                "latency": report.timing.latency, "ideal_interval": report.timing.ideal_interval,
                "frames_per_second": report.frames_per_second, "clock_mhz": report.clock_mhz,
                "timing": report.timing, "estimate": report.estimate});
            if let Some(squeezing) = plan.detector {
                found["detector"] = json!(squeezing);
            }
            if let Some(rule) = design.proved() {
                found["proved"] = json!({"radius": rule.radius, "lead": rule.lead});
            }
            if !report.weight_ports.is_empty() {
                found["weight_ports"] = json!(report.weight_ports);
            }
            found
        },
        text,
    )
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
    let export =
        Export { run: &args.model, bits: args.bits, data: &args.data, device: Device::Auto, keep: false };
    match ui.torch()?.export(ui, &export)? {
        AnyNetwork::Integer(network) => Ok(network),
        AnyNetwork::Float(_) => bail!(
            "{}: the recipe has float weights or activations, which no hardware computes; give --bits W,A",
            args.model.display()
        ),
    }
}
