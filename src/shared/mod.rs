//! Holds what several commands share: their arguments, and how they read, write and print. Knows no command.

pub mod adversaries;
pub mod args;
pub mod attack;
pub mod circuit;
pub mod corrupted;
pub mod data;
#[cfg(feature = "train")]
pub mod export;
pub mod files;
pub mod folder;
pub mod model;
pub mod npy;
pub mod npz;
pub mod onnx;
pub mod plan;
pub mod report;
pub mod table;
pub mod target;
#[cfg(feature = "train")]
pub mod training;
pub mod ui;
pub mod verify;
