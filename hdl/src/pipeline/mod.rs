//! Describes the pipeline: a network and its plan as a graph of stages. Timing, netlist, Verilog and
//! estimates all read this one list, so they cannot disagree about lanes, latencies or depths.
//!
//! **The graph.** The list is in topological order: the ingress first, the egress last. Each stage names
//! where its inputs come from ([`Site::sources`]); every output is read once, and a node that several nodes
//! read ends in a fork.
//!
//! **A detector** ([`detector`]) adds stages before and behind those of the network.
//!
//! **How a stage moves.** Every stage does one operation per cycle at most. An operation issues when its
//! inputs are there and, if it produces a beat, a place is free in the FIFO of each output; the beat can
//! leave `latency` cycles after its operation issued, one more where the FIFO is block RAM. Between the two
//! nothing stalls, and every condition depends on registers alone, so there is no combinational path through
//! a stage in either direction.
//! So a stage needs no enable chain, and timing is a recurrence in max and plus.

pub(crate) mod build;
pub(crate) mod detector;
pub(crate) mod lower;

pub use crate::stage::kind::{Kind, Schedule, Stage, Unrolled};
pub use crate::stage::mvau::shape::Mvau;
pub use crate::stage::site::{Lanes, Site, Source};
pub use crate::stage::window::shape::Window;
pub use lower::stages;
