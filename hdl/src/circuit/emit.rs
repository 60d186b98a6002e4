//! Emits the circuit of a design as named texts. It is pure: no I/O, no dates, no paths; equal designs give
//! equal bytes.

use super::testbench;
use crate::control;
use crate::design::Design;
use crate::estimate::{self, Estimate};
use crate::plan::Control;
use crate::rtl;
use crate::stalls::Stalls;
use crate::timing::{self, Timing};
use serde::{Deserialize, Serialize};

pub use crate::rtl::File;

/// Holds everything that is written into the output folder, and its key figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// Name of the circuit's top module.
    pub top: &'static str,
    /// The files: `*.v` (`top.v` first), `*.mem`, `tb.v` with its vectors, `boot.mem`, `files.f` (the
    /// circuit's sources), `plan.json`, `report.json`.
    pub files: Vec<File>,
    /// The content of `report.json`.
    pub report: Report,
    /// Whether the circuit has a control port.
    pub control: bool,
    /// Words that the flash must hold, as `boot.mem` does, where parameters come from one; empty otherwise.
    pub boot: Vec<u32>,
}

/// Holds the key figures of a circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Content hash of the network.
    pub network: String,
    /// Clock in MHz that the plan assumes.
    pub clock_mhz: u32,
    /// Frames per second at that clock, rounded down.
    pub frames_per_second: u64,
    /// Latency and interval, in cycles.
    pub timing: Timing,
    /// Identity that a control port which can load parameters reports ([`control::identity`]).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub control_identity: Option<u32>,
    /// Resources, estimated by the model of [`crate::estimate`].
    pub estimate: Estimate,
}

/// Returns the circuit of `design`, its testbench, plan and figures.
pub fn emit(design: &Design) -> Emission {
    let network = dq_net::content_hash(&design.network);
    let banner = format!("dq {}, network {network}", env!("CARGO_PKG_VERSION"));
    let mut files = rtl::emit(&design.top, &banner)
        .unwrap_or_else(|error| unreachable!("names are allotted once: {error}"));
    let sources: String =
        files.iter().filter(|f| f.name.ends_with(".v")).map(|f| f.name.clone() + "\n").collect();
    let cycles = timing::cycles(&design.stages, testbench::FRAMES, &Stalls::NONE);
    let images: Vec<String> =
        files.iter().filter(|f| f.name.ends_with(".mem")).map(|f| f.name.clone()).collect();
    files.extend(testbench::files(design, &banner, &images, &cycles));
    for file in files.iter_mut().filter(|file| file.name.ends_with(".mem")) {
        file.text.insert_str(0, &format!("// {banner}\n"));
    }
    files.push(File { name: "files.f".into(), text: sources });
    let boot = design.boot_words();
    if !boot.is_empty() {
        let text = boot.iter().map(|word| format!("{word:08x}\n")).collect();
        files.push(File { name: "boot.mem".into(), text });
    }
    files.push(File { name: "plan.json".into(), text: design.plan.to_json() });
    let report = report(design);
    let text = serde_json::to_string_pretty(&report).expect("plain data") + "\n";
    files.push(File { name: "report.json".into(), text });
    Emission { top: "top", files, report, control: design.plan.control != Control::None, boot }
}

/// Returns the key figures of `design` alone.
pub fn report(design: &Design) -> Report {
    let timing = design.timing().clone();
    Report {
        network: dq_net::content_hash(&design.network),
        clock_mhz: design.plan.clock_mhz,
        frames_per_second: u64::from(design.plan.clock_mhz) * 1_000_000 / timing.interval,
        timing,
        control_identity: (design.plan.control == Control::Load).then(|| control::identity(&design.stages)),
        estimate: estimate::estimate(&design.stages),
    }
}
