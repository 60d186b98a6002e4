//! Implements `dq plan`: shows how a network is folded onto a device, as a table and as plan.json.

use crate::shared::files::Files;
use crate::shared::model::ModelArg;
use crate::shared::plan::{PlanArgs, device_of, stage_table, weight_lines};
use crate::shared::table::{table, thousands};
use crate::shared::ui::Ui;
use anyhow::Result;
use dq_hdl::design::Design;
use dq_hdl::emit;
use serde_json::json;
use std::path::PathBuf;

/// Plan a network's hardware: folding, memories, FIFO depths
///
/// Finds PE, SIMD and where memories live for the least area that meets --fps within the
/// budget (--board, --device, or --luts --brams --dsps); with a budget and no --fps the
/// fastest plan that fits. Says which stage is in the way where there is none. FIFO depths
/// follow from the exact timing: nothing is simulated. With --stream, weights that find no
/// place on the device come from outside, and the bandwidth that they need is said. The plan can be edited and given
/// back to emit, sim, verify and build with --plan.
///
/// Examples:
///   dq plan model.json --board ulx3s --fps 500 -o plan.json
///   dq plan cnv --device ecp5-85f --fps 868
///   dq plan wrn-16-4:w4a4 --device ecp5-85f --stream 64 --bandwidth 800
///   dq plan model.json --luts 20000 --brams 40 --mhz 80
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    /// Board whose device bounds the plan, as `dq build` takes it: `ulx3s`, `icebreaker`, …
    #[arg(long, value_name = "BOARD", conflicts_with_all = ["device", "plan"])]
    board: Option<String>,
    #[command(flatten)]
    plan: PlanArgs,
    /// Write the plan.
    #[arg(short, long = "output", value_name = "FILE")]
    output: Option<PathBuf>,
    /// Write the figures (JSON), for `dq report`.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    // A plan may be given back to the file that it came from.
    let files = Files::default().read("MODEL", args.model.path());
    let files = files.written("-o", args.output.as_deref());
    files.written("--report", args.report.as_deref()).check()?;
    let network = args.model.open(ui)?;
    let device = device_of(args.board.as_deref())?;
    let plan = args.plan.plan(&network, device)?;
    let design = Design::new(&network, &plan)?;
    let report = emit::report(&design);
    if let Some(path) = &args.output {
        plan.write(path)?;
    }
    if let Some(path) = &args.report {
        crate::shared::report::write(&report, path)?;
    }
    let planned = plan.device.as_deref().and_then(dq_hdl::device::Device::find);
    let budget = args.plan.budget(planned);
    let rows: Vec<Vec<String>> = budget
        .against(report.estimate.total)
        .into_iter()
        // SPRAMs are shown only where the device has some or the plan uses some: few devices have them.
        .filter(|&(what, used, there)| what != "SPRAMs" || used > 0 || (1..u64::MAX).contains(&there))
        .map(|(what, used, there)| {
            let bounded = there != u64::MAX;
            let share = if bounded { format!("{} %", used * 100 / there.max(1)) } else { String::new() };
            let there = if bounded { thousands(there) } else { "no bound".into() };
            vec![what.to_owned(), thousands(used), there, share]
        })
        .collect();
    let utilization = table(&["estimated", "used", "there", "share"], &rows);
    let written = args.output.as_ref().map_or(String::new(), |path| format!("\nwritten: {}", path.display()));
    let text = format!(
        "{}\n{utilization}\n{}{}: {} cycles per frame (slowest stage {} in `{}`), latency {}; \
         {} frames/s at {} MHz{written}",
        stage_table(&design, &report),
        weight_lines(&report),
        network.name,
        thousands(report.timing.interval),
        thousands(report.timing.ideal_interval),
        report.timing.bottleneck,
        thousands(report.timing.latency),
        thousands(report.frames_per_second),
        report.clock_mhz,
    );
    ui.result(|| json!({"name": network.name, "plan": plan, "report": report, "budget": budget}), text)
}
