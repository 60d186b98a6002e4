//! `dq build`: a board's bitstream, and the record of how it was made.

use crate::shared::files::{Files, shown};
use crate::shared::model;
use crate::shared::plan::PlanArgs;
use crate::shared::table::{table, thousands};
use crate::shared::ui::{Interrupted, Ui};
use anyhow::{Context, Result, bail};
use dq_hdl::board::{Board, megahertz};
use dq_hdl::design::Design;
use dq_hdl::flow::{self, FlowError, Options, RunError};
use dq_net::atomic;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

/// Build a bitstream for a board
///
/// Emits the network behind a UART (docs/uart.md), synthesizes, places and routes, packs,
/// and writes NETWORK.bit (or .bin) and NETWORK.record.json: tool versions, utilization,
/// clock, cycles, frames a second. Weights that the plan keeps in SPRAM come as a second
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
pub struct Args {
    /// Integer network's file, or a built-in topology with random weights (`lenet`, `cnv@1/2:w2a2`, …).
    model: PathBuf,
    /// Board: `ulx3s`, `icebreaker`, or a folder with a board.toml.
    #[arg(long, value_name = "BOARD")]
    board: String,
    #[command(flatten)]
    plan: PlanArgs,
    /// Seeds of place and route to try until one meets the clock.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=64))]
    seeds: u64,
    /// Keep a bitstream whose clock is not met; its record says so.
    #[arg(long)]
    allow_missed_timing: bool,
    /// Folder of the results (default: bitstreams/BOARD).
    #[arg(short, long = "output", value_name = "DIR")]
    output: Option<PathBuf>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let board = Board::find(&args.board)?;
    let network = model::open(&args.model, ui.seed())?;
    let plan = args.plan.plan_at(&network, Some(board.device), u32::try_from(board.clock_hz / 1_000_000)?)?;
    let options = Options { core_hz: u64::from(plan.clock_mhz) * 1_000_000, seeds: args.seeds };
    let design = Design::new(&network, &plan)?;
    let output = args.output.clone().unwrap_or_else(|| Path::new("bitstreams").join(&board.name));
    std::fs::create_dir_all(&output).with_context(|| format!("{}: making the folder", output.display()))?;
    let file = output.join(format!("{}.{}", network.name, board.suffix()));
    let record_file = output.join(format!("{}.record.json", network.name));
    let flash_file = output.join(format!("{}.flash.bin", network.name));
    [&file, &record_file, &flash_file]
        .iter()
        .fold(Files::default(), |files, path| files.written("-o", path.as_path()))
        .read("MODEL", args.model.as_path())
        .read("--plan", args.plan.file())
        .check()?;
    // In the results' own folder, and kept after a failure: its logs tell why.
    let work = tempfile::Builder::new().prefix(".build-").tempdir_in(&output);
    let work = work.with_context(|| format!("{}: making a temporary folder", output.display()))?.keep();
    let bar = ui.spinner("build");
    let watch = |what: &str| {
        bar.set_message(what.to_owned());
        bar.tick();
        ui.stop.load(Ordering::SeqCst)
    };
    ui.note(format!("building {} for {} at {} MHz", network.name, board.name, plan.clock_mhz));
    let built = flow::build(&board, &design, &options, &work, &watch);
    bar.finish_and_clear();
    let remove = || std::fs::remove_dir_all(&work).with_context(|| format!("{}: removing", work.display()));
    let built = match built {
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
    let record = &built.record;
    let missed = (!record.timing_met).then(|| {
        let path = record.critical_path.as_ref();
        let path = path
            .map_or(String::new(), |p| format!("; the slowest path leads from `{}` to `{}`", p.from, p.to));
        let (fmax, clock) = (megahertz(record.fmax_khz * 1_000), megahertz(record.clock_khz * 1_000));
        format!("timing missed: {fmax} MHz of {clock} MHz{path}")
    });
    if let (Some(missed), false) = (&missed, args.allow_missed_timing) {
        remove()?;
        bail!(
            "{missed}; nothing was written (--allow-missed-timing keeps it, --seeds tries more, --mhz asks for less)"
        );
    }
    let text = serde_json::to_string_pretty(record)? + "\n";
    let flash_file = record.flash_offset.map(|_| flash_file);
    let mut files = vec![(&file, built.bitstream.as_slice()), (&record_file, text.as_bytes())];
    files.extend(flash_file.iter().map(|path| (path, built.flash.as_slice())));
    for (path, bytes) in files {
        // The folder of the work stays: it holds what place and route took long for.
        atomic::write(path, bytes)
            .with_context(|| format!("{}: writing (all is in {})", path.display(), work.display()))?;
    }
    remove()?;
    let rows: Vec<Vec<String>> = record
        .utilization
        .iter()
        .map(|(kind, used)| {
            let share = used.used * 100 / used.available.max(1);
            vec![kind.clone(), thousands(used.used), thousands(used.available), format!("{share} %")]
        })
        .collect();
    if let Some(missed) = &missed {
        ui.note(format!("WARNING: {missed}"));
    }
    let text = format!(
        "{}\n{} on {}: {} MHz of at most {} MHz, {} cycles a frame: {} frames/s ({} over the UART)\nwritten: {}, {}",
        table(&["cells", "used", "there", "share"], &rows),
        network.name,
        board.name,
        megahertz(record.clock_khz * 1_000),
        megahertz(record.fmax_khz * 1_000),
        thousands(record.cycles_per_frame),
        thousands(record.frames_per_second),
        thousands(record.uart_frames_per_second),
        file.display(),
        record_file.display()
    );
    let flash = flash_file.iter().zip(record.flash_offset).map(|(path, offset)| {
        let bytes = thousands(built.flash.len() as u64);
        format!(
            "\nwritten: {} ({bytes} bytes, to stand in the flash from byte {offset:#x} on)",
            path.display()
        )
    });
    let text = text + &flash.collect::<String>();
    ui.result(
        || {
            json!({"bitstream": shown(&file), "flash": flash_file.as_deref().map(shown),
                  "record_file": shown(&record_file), "record": record})
        },
        text,
    )
}
