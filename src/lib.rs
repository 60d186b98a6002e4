//! Implements the command line of `dq`, which two programs share: `dq` itself, and `dq-train`, which is
//! linked with libtorch. `dq` becomes `dq-train` where a command needs libtorch, so that no other command
//! waits until the loader has that in memory. No arithmetic of networks lives here.

mod cmd;
pub mod shared;
pub mod torch;

use clap::Parser;
use cmd::Command;
use shared::ui::{Global, Interrupted, Ui};
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::Ordering;
use torch::Torch;

/// Low-bit networks that resist adversarial noise: train them, turn them into exact integer circuits, and
/// attack the very circuit that ships.
///
/// The path: `train` a recipe, `export` the run to an integer network (model.json), `emit` its Verilog,
/// `verify` that float model, simulator and Verilog agree, `attack` the integer network. `demo` does all of
/// it in minutes.
#[derive(Parser)]
#[command(name = "dq", bin_name = "dq", version, propagate_version = true, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Keeps freed memory for the next block of images. By default glibc gives the ends of its heaps back, and
/// the kernel clears the same pages again thousands of times per second: a third of what a gradient takes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed_memory() {
    const KEPT: i32 = 256 << 20;
    // Largest threshold that glibc accepts.
    const ON_THE_HEAP: i32 = 32 << 20;
    for (parameter, value) in [(libc::M_TRIM_THRESHOLD, KEPT), (libc::M_MMAP_THRESHOLD, ON_THE_HEAP)] {
        // SAFETY: it sets a number of the allocator, before there is another thread; a refusal changes
        // nothing.
        unsafe { libc::mallopt(parameter, value) };
    }
}

/// Runs the command that the program's arguments name. `torch` is what the program has of libtorch; without
/// it, a command that needs libtorch goes on as `dq-train`, in the same process.
pub fn main(torch: Option<&'static dyn Torch>) -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    keep_freed_memory();
    let cli = Cli::parse();
    if torch.is_none() && cli.command.uses_libtorch() {
        return fail(&torch::hand_over());
    }
    let ui = match Ui::new(cli.global, torch) {
        Ok(ui) => ui,
        Err(error) => return fail(&error),
    };
    match cli.command.run(&ui) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = fail(&error);
            // A tool that Ctrl-C ended too, such as Verilator, fails with a message of its own.
            if ui.stop.load(Ordering::SeqCst) { ExitCode::from(130) } else { code }
        }
    }
}

/// Prints `error` with its causes. 130 after Ctrl-C, as shells have it; 1 for everything else (clap gives 2
/// for usage).
fn fail(error: &anyhow::Error) -> ExitCode {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Library errors already say their cause: it is not said again.
        if !text.ends_with(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    let _ = writeln!(std::io::stderr(), "dq: {text}");
    if error.is::<Interrupted>() { ExitCode::from(130) } else { ExitCode::FAILURE }
}
