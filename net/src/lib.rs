//! Defines the integer network: kinds of layer, shape and range rules, reference meaning in plain loops, and
//! the file format. The crate knows nothing of hardware, attacks or libtorch, and has no float in its
//! meaning.

pub mod atomic;
mod draw;
mod error;
mod file;
pub mod float;
mod graph;
pub mod layer;
pub mod motion;
mod network;
mod pack;
pub mod proved;
mod provenance;
pub mod random;
mod range;
pub mod read;
mod shape;
mod splitmix;
mod squeezing;
pub mod topology;
mod wire;

pub use error::{Fault, FileError, NetworkError};
pub use file::{
    AnyNetwork, FORMAT_VERSION, content_hash, from_json, read_any, read_network, sha256, to_json,
    write_network,
};
pub use float::{FloatLayer, FloatNetwork, FloatNode, float_content_hash, read_float, write_float};
pub use layer::Layer;
pub use network::{Network, Node};
pub use provenance::{LayerProof, Proof, Provenance};
pub use range::Range;
pub use shape::Shape;
pub use splitmix::SplitMix64;
pub use squeezing::Squeezing;
pub use wire::Wire;
