//! Trains DQ-regularized low-bit networks and exports them exactly to integer networks: recipes, quantizers,
//! the DQ penalty, the training loop. It needs libtorch. It never writes Verilog, and
//! leaves the meaning of a layer to `dq-net`.
//!
//! | folder | what is in it |
//! |---|---|
//! | `recipe` | what to train and how, read from TOML and checked |
//! | `graph` | architectures: a recipe and the shape of the images become a list of nodes |
//! | `node` | one file per kind of node: how it trains, and its exact twin with export and proof |
//! | `run` | the folder of a run: checkpoints, metrics, weights from elsewhere |
//! | `fit` | the network in training, optimizer, penalty, adversaries, the loop |
//! | `exact` | calibration, the exact evaluation graph, export, the proof |
//!
//! Each folder uses those above it, never one below it.

mod compute;
mod exact;
mod fit;
mod graph;
mod node;
mod random;
pub mod recipe;
mod run;
mod tensor;

pub use compute::{Compute, DeviceChoice};
pub use exact::evaluation::Evaluation;
pub use exact::networks::{evaluation, export, is_calibrated, proved, reprove};
pub use exact::prove::PROBES;
pub use exact::saved::Keep;
pub use exact::saved::run_recipe;
pub use fit::trainer::{Outcome, train};
pub use node::proof::ProofFailure;
pub use recipe::{BitWidths, Bits, Choose, Recipe, RecipeError};
pub use run::files::{BEST, LAST, METRICS, RECIPE};
pub use run::metrics::{EpochMetrics, Event};
pub use run::options::Options;
