//! The commands: one file or folder per command, each of which resolves its arguments, calls a library and prints.

pub mod amplify;
pub mod attack;
pub mod bench;
pub mod build;
pub mod certify;
pub mod corrupt;
#[cfg(feature = "train")]
pub mod demo;
pub mod emit;
#[cfg(feature = "train")]
pub mod export;
pub mod faults;
pub mod host;
pub mod info;
pub mod landscape;
pub mod load;
pub mod merge;
pub mod plan;
pub mod prove;
pub mod saturate;
pub mod scene;
pub mod sim;
#[cfg(feature = "train")]
pub mod train;
pub mod transfer;
pub mod verify;
