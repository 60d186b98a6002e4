//! Implements `dq build`: makes a board's bitstream, and the record of how it was made.

use crate::shared::files::{Files, shown};
use crate::shared::model::{ModelArg, topologies_such_as};
use crate::shared::plan::{PlanArgs, misused, refuse_marks};
use crate::shared::table::{table, thousands};
use crate::shared::ui::{Interrupted, Ui};
use anyhow::{Context, Result, bail};
use dq_hdl::board::{Board, megahertz};
use dq_hdl::design::Design;
use dq_hdl::flow::{self, Built, FlowError, Options, Record, RunError};
use dq_net::atomic;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Build a bitstream for a board
///
/// Emits the network behind a UART (docs/uart.md), synthesizes, places and routes, packs,
/// and writes NETWORK.bit (or .bin) and NETWORK.record.json: tool versions, utilization,
/// clock, cycles, frames per second. Weights that the plan keeps in SPRAM come as a second
/// file, NETWORK.flash.bin, for the board's flash. The core runs at the plan's clock
/// (--mhz), made by the device's PLL; without --mhz and --plan at the board's own. A clock
/// that place and route does not promise is an error that names the slowest path.
///
/// Examples:
///   dq build model.json --board ulx3s --mhz 75 --fps 500
///   dq build lenet --board icebreaker --mhz 24 -o bitstreams/icebreaker
///   dq build model.json --board my-board-folder --plan plan.json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("model", topologies_such_as("`lenet`, `cnv@1/2:w2a2`")))]
#[command(mut_arg("detector", |arg| arg.hide(true)), mut_arg("proved_radius", |arg| arg.hide(true)))]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    /// Board: `ulx3s`, `icebreaker`, another of docs/hardware.md, or a folder with a board.toml.
    #[arg(long, value_name = "BOARD")]
    board: String,
    #[command(flatten)]
    plan: PlanArgs,
    /// Seeds of place and route to try until one meets the clock, as many at a time as there are threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    seeds: u64,
    /// Try all seeds, also after one that meets the clock: it shows how much the clock depends on them.
    #[arg(long, requires = "seeds")]
    every_seed: bool,
    /// Keep a bitstream whose clock is not met; its record says so.
    #[arg(long)]
    allow_missed_timing: bool,
    /// Folder of the results (default: bitstreams/BOARD).
    #[arg(short, long = "output", value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    if args.plan.detects() {
        misused("--detector: boards answer with labels or scores alone; `dq emit` makes the circuit\n");
    }
    if args.plan.proved_radius().is_some() {
        misused("--proved-radius: boards answer with labels or scores alone; `dq emit` makes the circuit\n");
    }
    let board = Board::find(&args.board)?;
    let network = args.model.open(ui)?;
    let plan = args.plan.plan_at(&network, Some(board.device), u32::try_from(board.clock_hz / 1_000_000)?)?;
    refuse_marks(&plan)?;
    let core_hz = u64::from(plan.clock_mhz) * 1_000_000;
    let Args { seeds, every_seed, .. } = *args;
    let options = Options { core_hz, seeds, every_seed, jobs: ui.threads() };
    let design = Design::new(&network, &plan)?;
    let output = args.output.clone().unwrap_or_else(|| Path::new("bitstreams").join(&board.name));
    std::fs::create_dir_all(&output).with_context(|| format!("{}: making the folder", output.display()))?;
    let results = Results::new(&output, &network.name, board.suffix());
    results.check(args)?;
    // The working folder lies in the results' own folder and is kept after a failure: its logs tell why.
    let work = tempfile::Builder::new().prefix(".build-").tempdir_in(&output);
    let work = work.with_context(|| format!("{}: making a temporary folder", output.display()))?.keep();
    let remove = || std::fs::remove_dir_all(&work).with_context(|| format!("{}: removing", work.display()));
    let built = match build(ui, &board, &design, &options, &work) {
        Ok(built) => built,
        Err(FlowError::Run(RunError::Stopped(tool))) => {
            remove()?;
            return Err(Interrupted(format!("while {tool} ran; nothing was written")).into());
        }
        Err(error @ FlowError::Run(RunError::Failed { .. })) => return Err(error.into()),
        Err(error) => {
            remove()?;
            return Err(error.into());
        }
    };
    let missed = missed(&built.record);
    if let (Some(missed), false) = (&missed, args.allow_missed_timing) {
        remove()?;
        bail!(
            "{missed}; nothing was written (--allow-missed-timing keeps it, --seeds tries more, \
             --mhz asks for less)"
        );
    }
    // Where writing fails, the working folder stays: place and route took long for what it holds.
    results.write(&built).with_context(|| format!("all that was built is in {}", work.display()))?;
    remove()?;
    if let Some(missed) = &missed {
        ui.note(format!("WARNING: {missed}"));
    }
    let flash = built.record.flash_offset.map(|_| shown(&results.flash));
    ui.result(
        || {
            json!({"bitstream": shown(&results.bitstream), "flash": flash,
                   "record_file": shown(&results.record), "record": built.record})
        },
        results.text(&network.name, &board.name, &built),
    )
}

/// Synthesizes, places, routes and packs in folder `work`, with a line that says which tool runs.
fn build(
    ui: &Ui,
    board: &Board,
    design: &Design,
    options: &Options,
    work: &Path,
) -> Result<Built, FlowError> {
    let clock = options.core_hz / 1_000_000;
    ui.note(format!("building {} for {} at {clock} MHz", design.network.name, board.name));
    let bar = ui.spinner("build");
    let watch = |what: &str| {
        bar.set_message(what.to_owned());
        bar.tick();
        ui.stop.load(Ordering::SeqCst)
    };
    let built = flow::build(board, design, options, work, &watch);
    bar.finish_and_clear();
    built
}

/// Says which clock was missed, if it was, and by which path.
fn missed(record: &Record) -> Option<String> {
    if record.timing_met {
        return None;
    }
    let path = record.critical_path.as_ref();
    let path =
        path.map_or(String::new(), |p| format!("; the slowest path leads from `{}` to `{}`", p.from, p.to));
    let (fmax, clock) = (megahertz(record.fmax_khz * 1_000), megahertz(record.clock_khz * 1_000));
    Some(format!("timing missed: {fmax} MHz of {clock} MHz{path}"))
}

/// Says what each seed gives, where there were several.
fn each_seed(record: &Record) -> Option<String> {
    let row = |(seed, khz): (&u64, &u64)| {
        let mark = if *seed == record.seed { "kept" } else { "" };
        vec![seed.to_string(), megahertz(khz * 1_000), mark.into()]
    };
    let rows: Vec<Vec<String>> = record.tried_khz.iter().map(row).collect();
    (!rows.is_empty()).then(|| table(&["seed", "MHz", ""], &rows))
}

/// Names the files that a build leaves.
struct Results {
    bitstream: PathBuf,
    record: PathBuf,
    /// The file for the board's flash, written where weights come from there.
    flash: PathBuf,
}

impl Results {
    fn new(folder: &Path, network: &str, suffix: &str) -> Self {
        Self {
            bitstream: folder.join(format!("{network}.{suffix}")),
            record: folder.join(format!("{network}.record.json")),
            flash: folder.join(format!("{network}.flash.bin")),
        }
    }

    /// Refuses to overwrite what `args` read.
    fn check(&self, args: &Args) -> Result<()> {
        Files::default()
            .read("MODEL", args.model.path())
            .read("--plan", args.plan.file())
            .written("-o", self.bitstream.as_path())
            .written("-o", self.record.as_path())
            .written("-o", self.flash.as_path())
            .check()
    }

    fn write(&self, built: &Built) -> Result<()> {
        let record = serde_json::to_string_pretty(&built.record)? + "\n";
        let mut files =
            vec![(&self.bitstream, built.bitstream.as_slice()), (&self.record, record.as_bytes())];
        files.extend(built.record.flash_offset.map(|_| (&self.flash, built.flash.as_slice())));
        for (path, bytes) in files {
            atomic::write(path, bytes).with_context(|| format!("{}: writing", path.display()))?;
        }
        Ok(())
    }

    /// Tells people what was built.
    fn text(&self, network: &str, board: &str, built: &Built) -> String {
        let record = &built.record;
        let rows: Vec<Vec<String>> = record
            .utilization
            .iter()
            .map(|(kind, used)| {
                let share = used.used * 100 / used.available.max(1);
                vec![kind.clone(), thousands(used.used), thousands(used.available), format!("{share} %")]
            })
            .collect();
        let text = format!(
            "{}\n{network} on {board}: {} MHz of at most {} MHz, {} cycles per frame: {} frames/s \
             ({} over the UART)\nwritten: {}, {}",
            table(&["cells", "used", "there", "share"], &rows),
            megahertz(record.clock_khz * 1_000),
            megahertz(record.fmax_khz * 1_000),
            thousands(record.cycles_per_frame),
            thousands(record.frames_per_second),
            thousands(record.uart_frames_per_second),
            self.bitstream.display(),
            self.record.display()
        );
        let text = match each_seed(record) {
            Some(seeds) => format!("{seeds}\n{text}"),
            None => text,
        };
        let Some(offset) = record.flash_offset else { return text };
        let bytes = thousands(built.flash.len() as u64);
        format!(
            "{text}\nwritten: {} ({bytes} bytes, to stand in the flash from byte {offset:#x} on)",
            self.flash.display()
        )
    }
}
