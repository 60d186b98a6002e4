//! Holds what several commands share: their arguments, and how they read, write and print. Knows no command.

pub(crate) mod adversaries;
pub mod args;
pub(crate) mod attack;
pub(crate) mod attacked;
pub(crate) mod circuit;
pub(crate) mod corrupted;
pub mod data;
pub mod files;
pub(crate) mod folder;
pub(crate) mod libtorch;
pub(crate) mod model;
pub(crate) mod npy;
pub(crate) mod npz;
pub(crate) mod onnx;
pub(crate) mod plan;
pub(crate) mod proved;
pub(crate) mod report;
pub mod table;
pub(crate) mod target;
pub mod ui;
pub(crate) mod verify;
