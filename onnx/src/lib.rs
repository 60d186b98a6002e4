//! `dq-onnx`: reads an ONNX file and makes the exact integer network of it, with proof.
//!
//! The meaning of a file is its graph in exact arithmetic on the file's own constants: rationals, and the
//! root of a batch normalization by squaring. Every threshold is found by exact bisection over the range of
//! its accumulator. What has no exact integer meaning is refused by name; nothing is rounded silently.

mod beside;
pub mod chain;
pub mod channels_last;
pub mod error;
pub mod expand;
pub mod export;
pub mod fold;
pub mod graph;
mod import;
pub mod interpret;
mod joined;
pub mod load;
pub mod lower;
pub mod merged;
pub mod number;
pub mod pairs;
pub mod parameters;
pub mod per_channel;
pub mod pick;
pub mod proof;
pub mod proto;
pub mod quantizer;
pub mod row;
pub mod scan;
pub mod support;
pub mod tensor;
pub mod truncation;
mod watch;

pub use error::{ImportError, NodeError};
pub use export::{Export, export};
pub use import::{Import, Options, Report, import, import_watched};
pub use lower::{Normalization, Reading};
pub use watch::{Part, Progress, Watch};
