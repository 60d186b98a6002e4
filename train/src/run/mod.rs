//! Manages the folder of a run: checkpoints, metrics, weights from elsewhere.

pub mod checkpoint;
pub mod event_file;
pub mod files;
pub mod folder;
pub mod import;
pub mod metrics;
pub mod options;
pub mod tensorboard;
