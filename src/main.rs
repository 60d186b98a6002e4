//! `dq`: the command line. One file a command, each of which resolves its arguments, calls a library and prints; no
//! arithmetic of networks lives here.

mod cmd;
mod shared;

use clap::{Parser, Subcommand};
use cmd::*;
use shared::ui::{Global, Interrupted, Ui};
use std::io::Write;
use std::process::ExitCode;
use std::sync::atomic::Ordering;

/// Low-bit networks that resist adversarial noise: train them, turn them into exact integer circuits, and attack the
/// very circuit that ships.
///
/// The path: `train` a recipe, `export` the run to an integer network (model.json), `emit` its Verilog, `verify` that
/// float model, simulator and Verilog agree, `attack` the integer network. `demo` does all of it in minutes.
#[derive(Parser)]
#[command(name = "dq", version, propagate_version = true, max_term_width = 110)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[cfg(feature = "train")]
    Train(train::Args),
    #[cfg(feature = "train")]
    Export(export::Args),
    Info(info::Args),
    Plan(plan::Args),
    Emit(emit::Args),
    Build(build::Args),
    Host(host::Args),
    Load(load::Args),
    Sim(sim::Args),
    Attack(attack::Args),
    Transfer(transfer::Args),
    Certify(certify::Args),
    Amplify(amplify::Args),
    Faults(faults::Args),
    Corrupt(corrupt::Args),
    Scene(scene::Args),
    Landscape(landscape::Args),
    Saturate(saturate::Args),
    Merge(merge::Args),
    Bench(bench::Args),
    Verify(verify::Args),
    Prove(prove::Args),
    #[cfg(feature = "train")]
    Demo(demo::Args),
}

#[cfg(feature = "train")]
impl Command {
    /// Whether libtorch computes in this command.
    fn uses_libtorch(&self) -> bool {
        match self {
            Command::Train(_) | Command::Export(_) | Command::Demo(_) => true,
            Command::Emit(args) => args.exports_a_run(),
            Command::Verify(args) => args.proves_a_run(),
            _ => false,
        }
    }
}

/// Keeps freed memory for the next block of images. By default glibc gives the ends of its heaps back, and the kernel clears
/// the same pages again thousands of times a second: a third of what a gradient takes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn keep_freed_memory() {
    const KEPT: i32 = 256 << 20;
    // The most that glibc takes.
    const ON_THE_HEAP: i32 = 32 << 20;
    for (parameter, value) in [(libc::M_TRIM_THRESHOLD, KEPT), (libc::M_MMAP_THRESHOLD, ON_THE_HEAP)] {
        // SAFETY: it sets a number of the allocator, before there is another thread; a refusal changes nothing.
        unsafe { libc::mallopt(parameter, value) };
    }
}

fn main() -> ExitCode {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    keep_freed_memory();
    let cli = Cli::parse();
    #[cfg(feature = "train")]
    if cli.command.uses_libtorch() {
        dq_train::sleep_while_waiting();
    }
    let ui = match Ui::new(cli.global) {
        Ok(ui) => ui,
        Err(error) => return fail(&error),
    };
    let result = match &cli.command {
        #[cfg(feature = "train")]
        Command::Train(args) => train::run(&ui, args),
        #[cfg(feature = "train")]
        Command::Export(args) => export::run(&ui, args),
        Command::Info(args) => info::run(&ui, args),
        Command::Plan(args) => plan::run(&ui, args),
        Command::Emit(args) => emit::run(&ui, args),
        Command::Build(args) => build::run(&ui, args),
        Command::Host(args) => host::run(&ui, args),
        Command::Load(args) => load::run(&ui, args),
        Command::Sim(args) => sim::run(&ui, args),
        Command::Attack(args) => attack::run(&ui, args),
        Command::Transfer(args) => transfer::run(&ui, args),
        Command::Corrupt(args) => corrupt::run(&ui, args),
        Command::Scene(args) => scene::run(&ui, args),
        Command::Landscape(args) => landscape::run(&ui, args),
        Command::Saturate(args) => saturate::run(&ui, args),
        Command::Faults(args) => faults::run(&ui, args),
        Command::Amplify(args) => amplify::run(&ui, args),
        Command::Certify(args) => certify::run(&ui, args),
        Command::Merge(args) => merge::run(&ui, args),
        Command::Bench(args) => bench::run(&ui, args),
        Command::Prove(args) => prove::run(&ui, args),
        Command::Verify(args) => verify::run(&ui, args),
        #[cfg(feature = "train")]
        Command::Demo(args) => demo::run(&ui, args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let code = fail(&error);
            // A tool that Ctrl-C ended too, such as Verilator, fails in words of its own.
            if ui.stop.load(Ordering::SeqCst) { ExitCode::from(130) } else { code }
        }
    }
}

/// Prints `error` with its causes. 130 after Ctrl-C, as shells have it; 1 for everything else (clap gives 2 for usage).
fn fail(error: &anyhow::Error) -> ExitCode {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        // Library errors say their cause themselves: it is not said again.
        if !text.ends_with(&cause) {
            text = if text.is_empty() { cause } else { format!("{text}: {cause}") };
        }
    }
    let _ = writeln!(std::io::stderr(), "dq: {text}");
    if error.is::<Interrupted>() { ExitCode::from(130) } else { ExitCode::FAILURE }
}
