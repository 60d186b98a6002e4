//! `dq-hdl`: plans, times, simulates and emits synthesizable Verilog for integer networks. Never decides what a layer
//! means, holds no float, needs no EDA tool but for [`verilator`].
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
//! let frame = random::image(5, network.input_shape()).insert_axis(ndarray::Axis(0));
//! let stalls = Stalls::random(7);
//! let outcome = netlist::run(&design, frame.view(), &stalls).unwrap();
//! assert_eq!(outcome.beats, design.expected(frame.view(), &stalls));
//! assert!(!outcome.error);
//! // The same from Verilator: `verilator::Simulator::build(&emission, cache_folder)?.run(&design, frames, &stalls)?`.
//! ```

pub mod board;
pub mod control;
pub mod design;
pub mod device;
pub mod emit;
pub mod estimate;
pub mod flow;
pub mod formal;
pub mod gates;
mod memory;
mod names;
pub mod netlist;
pub mod pipeline;
pub mod plan;
pub mod rtl;
mod stage;
pub mod stalls;
mod testbench;
pub mod timing;
pub mod tools;
mod top;
pub mod verilator;
pub mod vivado;
