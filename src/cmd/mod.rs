//! Holds the commands: one file or folder per command, each of which resolves its arguments, calls a library
//! and prints. No command imports another; what several need lies in `shared`.
//!
//! To add a command, add its module, which has `Args` and `run`, and a row to the table below.

mod amplify;
mod attack;
mod bench;
mod build;
mod certify;
mod corrupt;
mod data;
mod demo;
mod emit;
mod explore;
mod export;
mod faults;
mod host;
mod import;
mod info;
mod landscape;
mod load;
mod merge;
mod plan;
mod prove;
mod report;
mod saturate;
mod scene;
mod sim;
pub mod train;
mod transfer;
mod verify;

use crate::shared::ui::Ui;
use anyhow::Result;

/// Makes the commands' enum, in the order in which `dq help` lists them, and what runs them.
macro_rules! commands {
    ($($name:ident($module:ident);)*) => {
        #[derive(clap::Subcommand)]
        pub enum Command {
            $($name($module::Args),)*
        }

        impl Command {
            /// Runs the command.
            pub fn run(&self, ui: &Ui) -> Result<()> {
                match self {
                    $(Command::$name(args) => $module::run(ui, args),)*
                }
            }
        }
    };
}

commands! {
    Train(train);
    Export(export);
    Import(import);
    Info(info);
    Plan(plan);
    Explore(explore);
    Emit(emit);
    Build(build);
    Host(host);
    Load(load);
    Sim(sim);
    Attack(attack);
    Transfer(transfer);
    Certify(certify);
    Amplify(amplify);
    Faults(faults);
    Corrupt(corrupt);
    Scene(scene);
    Landscape(landscape);
    Saturate(saturate);
    Data(data);
    Merge(merge);
    Report(report);
    Bench(bench);
    Verify(verify);
    Prove(prove);
    Demo(demo);
}

impl Command {
    /// Says whether libtorch computes in this command.
    pub fn uses_libtorch(&self) -> bool {
        match self {
            Command::Train(_) | Command::Demo(_) => true,
            Command::Export(args) => args.exports_a_run(),
            Command::Emit(args) => args.exports_a_run(),
            Command::Verify(args) => args.proves_a_run(),
            Command::Sim(args) => args.libtorch.is_given(),
            Command::Attack(args) => args.libtorch.is_given(),
            Command::Transfer(args) => args.libtorch.is_given(),
            Command::Bench(args) => args.libtorch.is_given(),
            _ => false,
        }
    }
}
