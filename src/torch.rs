//! Says what commands ask of libtorch, and starts the program that is linked with it.

pub use crate::cmd::train::{Args as TrainArgs, Axis};

use crate::shared::args::{Bits, DataArg, Device};
use crate::shared::ui::Ui;
use anyhow::{Error, Result, anyhow};
use dq_data::Images;
use dq_net::{AnyNetwork, Network, Proof};
use dq_sim::attack::suite::Circuit;
use ndarray::Array2;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Does what libtorch computes in. `dq-train` implements it; `dq` has none.
pub trait Torch: Sync {
    /// Runs `dq train`.
    fn train(&self, ui: &Ui, args: &TrainArgs) -> Result<()>;

    /// Returns the names of the files in a run's folder that an export may read.
    fn files_of_run(&self) -> &'static [&'static str];

    /// Exports a run; training images are loaded only where it has not been calibrated at these bits.
    fn export(&self, ui: &Ui, export: &Export) -> Result<AnyNetwork>;

    /// Trains a network of `dq demo`, or goes on where it was stopped, and exports it.
    fn demo(&self, ui: &Ui, lesson: &Lesson) -> Result<Trained>;

    /// Proves anew that the float model of `run` equals `network`. Returns the proof, and what computes the
    /// float model's scores, images × classes.
    fn prove(&self, ui: &Ui, run: &Path, network: &Network) -> Result<(Proof, Scores)>;

    /// Puts an integer network on `device`, held against the engine on a few images; none where any GPU will do
    /// and there is none.
    fn circuit(&self, ui: &Ui, network: &Network, device: Device) -> Result<Option<Box<dyn Circuit>>>;
}

/// Computes a float model's scores of images, images × classes.
pub type Scores = Box<dyn Fn(&Images) -> Array2<f64>>;

/// Says which run is exported, and how.
pub struct Export<'a> {
    /// Folder of the run.
    pub run: &'a Path,
    /// Bits of weights and activations; none: the recipe's.
    pub bits: Option<Bits>,
    /// Data sets that may be the training set.
    pub data: &'a [DataArg],
    /// Where the float model is evaluated.
    pub device: Device,
    /// Whether a new calibration is kept in the run's folder.
    pub keep: bool,
}

/// Says what a network of `dq demo` learns.
pub struct Lesson<'a> {
    /// Name of the recipe's file, for messages.
    pub origin: &'a str,
    /// The recipe (TOML).
    pub recipe: &'a str,
    /// Keys of the recipe that are overridden, `KEY=VALUE`.
    pub overrides: &'a [String],
    /// Training images.
    pub images: &'a Images,
    /// Folder in which the run's folder is.
    pub folder: &'a Path,
}

/// Holds a trained network of `dq demo`.
pub struct Trained {
    /// The recipe's name.
    pub name: String,
    /// Strength of the recipe's defensive quantization.
    pub beta: f64,
    /// Folder of the run.
    pub run: PathBuf,
    /// The integer network, proved.
    pub network: Network,
}

/// The program that is linked with libtorch.
const PROGRAM: &str = "dq-train";

/// Variables by which a user chooses how threads wait: those of any OpenMP library, of GCC's, and of LLVM's
/// and Intel's.
const CHOICES: [&str; 3] = ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"];

/// How often a thread of libtorch looks for work before it sleeps. A step of training waits about 300 times:
/// without any looking, falling asleep and waking up cost a third of the speed on an idle machine; with GCC's
/// default of some milliseconds, threads keep each other from the cores where the machine does other work,
/// and training is many times slower. This many cost nothing on the one and little on the other.
const LOOKS: &str = "3000";

/// Goes on as `dq-train`, in the same process and with the same arguments. Returns only where that cannot be
/// started, with the reason. Call it before there is another thread.
///
/// OpenMP's library reads its settings as it is loaded, before `main`: so this is where libtorch's threads
/// are told to sleep while they wait, unless the user chose how they wait.
pub(crate) fn hand_over() -> Error {
    let beside = std::env::current_exe().ok().map(|dq| dq.with_file_name(PROGRAM));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path).map(|folder| folder.join(PROGRAM));
    let Some(program) = beside.iter().cloned().chain(on_path).find(|place| place.is_file()) else {
        return missing(beside.as_deref());
    };
    let mut arguments = std::env::args_os();
    let mut command = Command::new(&program);
    command.arg0(arguments.next().unwrap_or_else(|| "dq".into())).args(arguments);
    if CHOICES.iter().all(|name| std::env::var_os(name).is_none()) {
        command.env("GOMP_SPINCOUNT", LOOKS);
    }
    Error::new(command.exec()).context(format!("{}: cannot be started", program.display()))
}

/// Says where `dq-train` was looked for, and how it is made.
fn missing(beside: Option<&Path>) -> Error {
    let beside = beside.map(|place| format!("at {} or ", place.display())).unwrap_or_default();
    let how = if cfg!(feature = "train") {
        "`cargo build --release` makes both programs"
    } else {
        "this dq was built without the `train` feature; `cargo build --release` makes both programs"
    };
    anyhow!(
        "this needs libtorch: expected the program {PROGRAM} {beside}in a folder of PATH, found none; {how}"
    )
}
