//! Plans, times, simulates and emits synthesizable Verilog for integer networks. Never decides what a layer
//! means, holds no float, and needs no EDA tool except for [`verilator`].
//!
//! ```
//! use dq_hdl::{design::Design, emit, netlist, plan, plan::Output, stalls::Stalls};
//! use dq_net::random;
//!
//! let network = random::network(3, &random::Options::default());
//! // A plan: chosen for a target, or `Plan::read(path, &network)`.
//! let plan = plan::for_target(&network, Output::Scores, 100, 1_000).unwrap(); // MHz, frames/s
//! let design = Design::new(&network, &plan).unwrap();
//!
//! // Latency and interval, exact, without simulation; resources by a stated model.
//! let timing = design.timing();
//! assert!(timing.interval >= timing.ideal_interval);
//!
//! // Verilog, ROM images, testbench, plan.json: names and texts, no I/O.
//! let emission = emit::emit(&design);
//! assert!(emission.files.iter().any(|file| file.name == "top.v"));
//!
//! // Frames through the netlist: words and cycles, equal to those of reference and plan.
//! let frame = random::image(5, network.input()).insert_axis(ndarray::Axis(0));
//! let stalls = Stalls::random(7);
//! let outcome = netlist::run(&design, frame.view(), &stalls).unwrap();
//! assert_eq!(outcome.beats, design.expected(frame.view(), &stalls));
//! assert!(!outcome.error);
//! // The same from Verilator:
//! // `verilator::Simulator::build(&emission, cache_folder)?.run(&design, frames, &stalls)?`.
//! ```

mod circuit;
pub mod device;
pub mod estimate;
mod memory;
mod names;
pub mod pipeline;
pub mod plan;
pub mod rtl;
mod stage;
pub mod stalls;
pub mod timing;
pub mod tool;

pub use circuit::{control, design, emit, netlist, wrapper};
pub use tool::{board, flow, formal, gates, verilator, vivado};
