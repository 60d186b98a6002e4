//! Holds what every command shares: flags, where text goes, progress bars, Ctrl-C, threads.

use crate::torch::{Torch, hand_over};
use anyhow::{Context, Result};
use clap::Args;
use dq_sim::study::{Stopped, Watch};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde::Serialize;
use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Holds the flags of every command.
#[derive(Args, Clone, Debug)]
pub struct Global {
    /// Print one JSON object on stdout; text for people and progress go to stderr.
    #[arg(long, global = true)]
    pub json: bool,
    /// No progress bars and no running text; results and errors only.
    #[arg(long, short, global = true)]
    pub quiet: bool,
    /// Seed of everything random in this command (default: the recipe's, or 1).
    #[arg(long, global = true, value_name = "N", allow_negative_numbers = true)]
    pub seed: Option<u64>,
    /// CPU threads (default: all cores).
    #[arg(long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// Says that the user pressed Ctrl-C (or the process got a TERM signal); everything complete so far is saved.
#[derive(Debug)]
pub struct Interrupted(pub String);

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "interrupted: {}", self.0)
    }
}

impl std::error::Error for Interrupted {}

/// Holds the command's surroundings.
pub struct Ui {
    /// Flags of every command.
    pub global: Global,
    /// Flag that Ctrl-C sets; long work polls it. A second Ctrl-C ends the process at once.
    pub stop: Arc<AtomicBool>,
    torch: Option<&'static dyn Torch>,
}

impl Ui {
    /// Installs the Ctrl-C handler and the thread pool. `torch` is what the program has of libtorch.
    pub fn new(global: Global, torch: Option<&'static dyn Torch>) -> Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        ctrlc::set_handler(move || {
            if flag.swap(true, Ordering::SeqCst) {
                std::process::exit(130);
            }
        })
        .context("installing the Ctrl-C handler")?;
        let ui = Self { global, stop, torch };
        rayon::ThreadPoolBuilder::new()
            .num_threads(ui.threads())
            .build_global()
            .context("starting the thread pool")?;
        Ok(ui)
    }

    /// Returns what the program has of libtorch. One without it goes on as the program that has it.
    pub fn torch(&self) -> Result<&'static dyn Torch> {
        self.torch.ok_or_else(hand_over)
    }

    /// Returns the number of CPU threads to use.
    pub fn threads(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, |n| n.get());
        self.global.threads.map_or_else(cores, usize::from)
    }

    /// Returns the seed, where the command has no other source for it.
    pub fn seed(&self) -> u64 {
        self.global.seed.unwrap_or(1)
    }

    /// Prints a line that says what is going on (stderr).
    pub fn note(&self, text: impl AsRef<str>) {
        if !self.global.quiet {
            // This is not `eprintln!`, which panics where nobody reads any more.
            let _ = writeln!(std::io::stderr(), "{}", text.as_ref());
        }
    }

    /// Prints the result on stdout: under `--json` what `json` makes as one object, else `text`.
    pub fn result<T: Serialize>(&self, json: impl FnOnce() -> T, text: impl AsRef<str>) -> Result<()> {
        let text = match self.global.json {
            true => serde_json::to_string(&json())?,
            false => text.as_ref().trim_end().to_owned(),
        };
        let written = writeln!(std::io::stdout(), "{text}");
        match written {
            // A reader that has seen enough (`dq info | head`) is no failure.
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
            other => other.context("writing the result to stdout"),
        }
    }

    /// Runs an experiment that ticks `bar` and ends when Ctrl-C is pressed; then nothing of it is kept.
    pub fn study<T>(
        &self,
        bar: &ProgressBar,
        study: impl FnOnce(Watch) -> Result<T, Stopped>,
    ) -> Result<T, Interrupted> {
        let tick = |steps| bar.inc(steps);
        let found = study(Watch { tick: &tick, stop: &self.stop });
        bar.finish_and_clear();
        found.map_err(|Stopped| Interrupted("nothing was written".to_owned()))
    }

    /// Fails when Ctrl-C was pressed. `done` says what is kept.
    pub fn check_stop(&self, done: &str) -> Result<()> {
        if self.stop.load(Ordering::SeqCst) { Err(Interrupted(done.to_owned()).into()) } else { Ok(()) }
    }

    /// Draws a line with what is going on and since when, where no end is known.
    pub fn spinner(&self, what: &str) -> ProgressBar {
        let target =
            if self.global.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(None, target);
        let style = ProgressStyle::with_template("{spinner} {msg} · {elapsed}").expect("a fixed template");
        bar.set_style(style);
        bar.set_message(what.to_owned());
        bar
    }

    /// Makes a progress bar over `total` of `unit`; drawn only where stderr is a terminal and not quiet.
    pub fn bar(&self, what: &str, total: u64, unit: &str) -> ProgressBar {
        let target =
            if self.global.quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        let template = format!(
            "{{msg:20}} [{{bar:30}}] {{pos}}/{{len}} {unit} · {{per_sec}} · {{elapsed}} · {{eta}} left"
        );
        bar.set_style(
            ProgressStyle::with_template(&template).expect("a fixed template").progress_chars("=> "),
        );
        bar.set_message(what.to_owned());
        bar
    }
}
