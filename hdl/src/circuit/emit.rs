//! Emits the circuit of a design as named texts. It is pure: no I/O, no dates, no paths; equal designs give
//! equal bytes.

use super::testbench;
use super::weight_ports::{WeightPort, weight_ports};
use crate::control;
use crate::design::Design;
use crate::device::Device;
use crate::estimate::{self, Estimate, Resources};
use crate::plan::Control;
use crate::rtl;
use crate::stage::kind::Stage;
use crate::stalls::Stalls;
use crate::timing::{self, Timing};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

pub use crate::rtl::File;

/// Holds everything that is written into the output folder, and its key figures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Emission {
    /// Name of the circuit's top module.
    pub top: &'static str,
    /// The files: `*.v` (`top.v` first), `images/STAGE/*.mem`, `tb.v` with its vectors, `boot.mem`, `files.f`
    /// (the circuit's sources), `plan.json`, `report.json`.
    pub files: Vec<File>,
    /// The content of `report.json`.
    pub report: Report,
    /// Whether the circuit has a control port.
    pub control: bool,
    /// Place of `tuser` in the value of a beat, where the circuit has one: above the bits of `tdata`.
    pub user_bit: Option<usize>,
    /// What the ports of weights take, each as the file that a DMA engine plays in a loop.
    pub weights: Vec<WeightFile>,
    /// Words that the flash must hold, as `boot.mem` does, where parameters come from one; empty otherwise.
    pub boot: Vec<u32>,
}

/// Holds the weights that come through one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightFile {
    /// Name of the port: that of its signals up to `_tdata`.
    pub port: String,
    /// Name of the file.
    pub name: String,
    /// A round of beats, each in whole bytes, the low byte first.
    pub bytes: Vec<u8>,
}

/// Value of the field `format` in a circuit's `report.json`.
pub const FORMAT: &str = "dq-circuit";
/// Version of its layout.
pub const VERSION: u32 = 1;

/// Holds the key figures of a circuit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Always [`FORMAT`]; empty in files of earlier programs.
    #[serde(default)]
    pub format: String,
    /// Always [`VERSION`].
    #[serde(default)]
    pub version: u32,
    /// Name of the network.
    #[serde(default)]
    pub name: String,
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
    /// The device that the plan is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<String>,
    /// What the device has; empty without a device.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub available: BTreeMap<String, u64>,
    /// The ports through which weights come from outside, in stream order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub weight_ports: Vec<WeightFeed>,
    /// The graph of stages, in stream order.
    #[serde(default)]
    pub graph: Vec<GraphStage>,
}

/// Describes a port of weights, and what it must be fed with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WeightFeed {
    /// Name of the network's node whose weights come through it.
    pub node: String,
    /// Name of the port: that of its signals up to `_tdata`, `_tvalid`, `_tready`, `_tlast`.
    pub port: String,
    /// Name of the file that is played in a loop: the beats of a round, each in whole bytes, the low byte
    /// first.
    pub file: String,
    /// Bits of a beat.
    pub beat_bits: usize,
    /// Bits of a word of weights, which is one beat or several, the low bits first.
    pub word_bits: usize,
    /// Number of beats in the file, the last of which has `tlast`.
    pub beats: usize,
    /// How often the file is played for a frame.
    pub rounds_per_frame: usize,
    /// Number of bytes that a frame needs.
    pub bytes_per_frame: u64,
    /// Number of bytes that a second needs, at the frames per second of the circuit.
    pub bytes_per_second: u64,
}

/// Describes one stage of the graph: what it reads, and how wide it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphStage {
    /// Instance name.
    pub stage: String,
    /// Name of the network's node that it belongs to.
    pub node: String,
    /// The outputs that it reads, one per input: position of the stage, number of its output. The ingress
    /// reads none.
    pub sources: Vec<[usize; 2]>,
    /// Number of lanes of a beat that it gives.
    pub lanes: usize,
    /// Bits of a lane.
    pub bits: usize,
    /// Folding of a matrix-vector unit; `None` for every other stage.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<GraphUnit>,
}

/// Describes the folding of a matrix-vector unit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GraphUnit {
    /// Outputs that are computed at once.
    pub pe: usize,
    /// Inputs that each of them takes at once.
    pub simd: usize,
    /// Name of the form of its products.
    pub mac: String,
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
    Emission {
        top: "top",
        files,
        report,
        control: design.plan.control != Control::None,
        user_bit: design.has_user().then(|| design.user_bit()),
        weights: weight_ports(&design.stages).map(weight_file).collect(),
        boot,
    }
}

/// Returns what `port` takes, as a file.
fn weight_file(port: WeightPort) -> WeightFile {
    let (round, words) = (port.kind.round(), port.kind.words());
    let bytes = |beat: &[u64]| -> Vec<u8> {
        let bytes = beat.iter().flat_map(|word| word.to_le_bytes());
        bytes.take(round.beat_bytes()).collect()
    };
    let bytes = words.chunks(words.len() / round.beats).flat_map(bytes).collect();
    WeightFile { port: port.name(), name: port.file(), bytes }
}

/// Returns the key figures of `design` alone.
pub fn report(design: &Design) -> Report {
    let timing = design.timing().clone();
    let budget = design.plan.device.as_deref().and_then(Device::find).map(Device::budget);
    let available = budget.into_iter().flat_map(|budget| budget.against(Resources::default()));
    Report {
        format: FORMAT.into(),
        version: VERSION,
        name: design.network.name.clone(),
        network: dq_net::content_hash(&design.network),
        clock_mhz: design.plan.clock_mhz,
        frames_per_second: u64::from(design.plan.clock_mhz) * 1_000_000 / timing.interval,
        timing,
        control_identity: (design.plan.control == Control::Load).then(|| control::identity(&design.stages)),
        estimate: estimate::estimate(&design.stages),
        device: design.plan.device.clone(),
        available: available.map(|(what, _, there)| (what.to_owned(), there)).collect(),
        weight_ports: weight_ports(&design.stages).map(|port| fed(design, port)).collect(),
        graph: design.stages.iter().map(|stage| drawn(design, stage)).collect(),
    }
}

/// Returns what `port` must be fed with.
fn fed(design: &Design, port: WeightPort) -> WeightFeed {
    let round = port.kind.round();
    let clock = u128::from(design.plan.clock_mhz) * 1_000_000;
    let per_second = u128::from(round.frame_bytes()) * clock / u128::from(design.timing().interval);
    WeightFeed {
        node: design.network.nodes()[port.stage.site.node].name.clone(),
        port: port.name(),
        file: port.file(),
        beat_bits: round.bits,
        word_bits: round.word_bits,
        beats: round.beats,
        rounds_per_frame: round.rounds,
        bytes_per_frame: round.frame_bytes(),
        bytes_per_second: per_second as u64,
    }
}

fn drawn(design: &Design, stage: &Stage) -> GraphStage {
    let site = &stage.site;
    let unit = stage.kind.unit();
    GraphStage {
        stage: site.name.clone(),
        node: design.network.nodes()[site.node].name.clone(),
        sources: site.sources.iter().map(|source| [source.stage, source.port]).collect(),
        lanes: site.output.count,
        bits: site.output.bits,
        unit: unit.map(|u| GraphUnit { pe: u.pe, simd: u.simd, mac: u.mac.name().to_owned() }),
    }
}
