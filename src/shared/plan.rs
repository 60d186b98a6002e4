//! Plans networks onto hardware: the options of every command that makes a circuit, and the plan as a table.

use super::args::at_least_one;
use super::table::{table, thousands};
use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use dq_hdl::board::Board;
use dq_hdl::design::Design;
use dq_hdl::device::{Budget, DEVICES, Device};
use dq_hdl::emit::{Report, WeightFeed};
use dq_hdl::plan::{self, Control, MAX_PORT, Mac, Output, Plan, Streaming, Target};
use dq_net::{Network, Squeezing};
use std::path::{Path, PathBuf};

/// Options that conflict with a plan by hand, which leaves them nothing to choose.
const CHOICES: [&str; 13] = [
    "fps",
    "mhz",
    "output_kind",
    "detector",
    "proved_radius",
    "control",
    "device",
    "luts",
    "brams",
    "dsps",
    "mac",
    "stream",
    "bandwidth",
];

/// How a network is planned onto hardware.
#[derive(clap::Args, Clone, Debug, Default)]
pub struct PlanArgs {
    /// Plan by hand: PE, SIMD, memory and FIFO of every node.
    #[arg(long, value_name = "FILE", conflicts_with_all = CHOICES)]
    plan: Option<PathBuf>,
    /// Frames per second to plan for (default: 100, or as many as the network can; with a budget: as many as
    /// fit).
    #[arg(long, value_name = "N", value_parser = at_least_one())]
    fps: Option<u64>,
    /// Clock that --fps assumes (default: 100).
    #[arg(long, value_name = "MHZ", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    mhz: Option<u32>,
    /// Device that bounds the plan, such as ecp5-85f, ice40-up5k, gw1nr-9c, xc7z020.
    #[arg(long, value_name = "DEVICE", value_parser = parse_device)]
    device: Option<&'static Device>,
    /// LUTs that the plan may use.
    #[arg(long, value_name = "N")]
    luts: Option<u64>,
    /// Block RAMs that the plan may use.
    #[arg(long, value_name = "N")]
    brams: Option<u64>,
    /// DSP blocks that the plan may use.
    #[arg(long, value_name = "N")]
    dsps: Option<u64>,
    /// How products are built, wherever a node can have them so (default: the smallest for bits and device).
    #[arg(long, value_name = "FORM", value_parser = parse_form())]
    mac: Option<Mac>,
    /// Let weights that find no place on the device come from outside, each layer's through an AXI4-Stream port
    /// of at most this many bits; as few bytes of them as can be.
    #[arg(long, value_name = "BITS", value_parser = parse_port())]
    stream: Option<usize>,
    /// MB/s that all ports of --stream together may need (default: whatever the ports can take).
    #[arg(long, value_name = "MB/S", requires = "stream", value_parser = at_least_one())]
    bandwidth: Option<u64>,
    /// What leaves the circuit (default: scores).
    #[arg(long = "out", value_enum, value_name = "WHAT")]
    output_kind: Option<OutputArg>,
    /// Flag images whose label differs from that of their squeezed form, as `dq attack --detector` does:
    /// `bits=5`, `median`, `bits=5,median`. Each frame passes the network twice; the label leaves with the
    /// flag in the top bit.
    #[arg(long, value_name = "SQUEEZING")]
    detector: Option<Squeezing>,
    /// Say with each label, in `tuser`, whether it is proved: no image within this Euclidean distance, in levels
    /// of the input (grey levels), has another label.
    #[arg(long, value_name = "RADIUS", conflicts_with = "detector", value_parser = radius())]
    proved_radius: Option<u8>,
    /// AXI4-Lite control port: counters, or loading of parameters too (default: none).
    #[arg(long, value_enum, value_name = "WHAT")]
    control: Option<ControlArg>,
}

/// What the control port offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ControlArg {
    /// Counters of frames and of each stage's stalls.
    Counters,
    /// Counters, and weights, thresholds and biases that can be loaded.
    Load,
}

/// Reads the name of a form of products; their list and help are the library's.
pub fn parse_form() -> impl TypedValueParser<Value = Mac> {
    let values = Mac::FORMS.map(|form| PossibleValue::new(form.name()).help(form.about()));
    let named = |name: String| Mac::FORMS.into_iter().find(|form| form.name() == name);
    PossibleValuesParser::new(values).map(move |name| named(name).expect("one of the possible values"))
}

/// Reads the bits of a port of weights.
fn parse_port() -> impl TypedValueParser<Value = usize> {
    clap::value_parser!(u32).range(8..=MAX_PORT as i64).try_map(|bits| {
        let whole = bits.is_multiple_of(8).then_some(bits as usize);
        whole.ok_or_else(|| format!("expected a multiple of 8 bits, found {bits}"))
    })
}

/// What leaves the circuit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OutputArg {
    /// The score of each class, one per beat.
    Scores,
    /// The label, one beat.
    Label,
}

impl OutputArg {
    /// Returns what leaves the circuit where `given` was asked for.
    pub fn output(given: Option<OutputArg>) -> Output {
        match given {
            Some(OutputArg::Label) => Output::Label,
            Some(OutputArg::Scores) | None => Output::Scores,
        }
    }
}

impl PlanArgs {
    /// Returns the file of the plan that is given by hand.
    pub fn file(&self) -> Option<&Path> {
        self.plan.as_deref()
    }

    /// Returns whether labels alone are asked for.
    pub fn gives_labels(&self) -> bool {
        self.output() == Output::Label
    }

    /// Returns whether a detector is asked for; a plan's file may have one too.
    pub fn detects(&self) -> bool {
        self.detector.is_some()
    }

    /// Returns the radius within which labels are to be proved; a plan's file may have one too.
    pub fn proved_radius(&self) -> Option<u8> {
        self.proved_radius
    }

    /// Makes the plan that these ask for as [`PlanArgs::plan_at`] does, at the usual clock.
    pub fn plan(&self, network: &Network, device: Option<&'static Device>) -> Result<Plan> {
        self.plan_at(network, device, plan::DEFAULT_CLOCK_MHZ)
    }

    /// Makes the plan that these ask for: read and checked, or folded for a frame rate and a budget; for
    /// `device`, unless they name one themselves, at `clock_mhz`, unless they name a clock.
    pub fn plan_at(
        &self,
        network: &Network,
        device: Option<&'static Device>,
        clock_mhz: u32,
    ) -> Result<Plan> {
        if let Some(path) = &self.plan {
            return Ok(Plan::read(path, network)?);
        }
        if self.detects() && self.output_kind == Some(OutputArg::Scores) {
            misused("--detector compares labels: it cannot be used with --out scores\n");
        }
        if self.proved_radius.is_some() && self.output_kind == Some(OutputArg::Scores) {
            misused("--proved-radius speaks of labels: it cannot be used with --out scores\n");
        }
        if self.proved_radius.is_some() && self.control == Some(ControlArg::Load) {
            misused("--proved-radius is proved of one network: it cannot be used with --control load\n");
        }
        let planning = || format!("planning {}", network.name);
        let mut plan = match self.target(device, clock_mhz) {
            Some(target) => plan::choose(network, &target).with_context(planning)?,
            None => match self.detector {
                Some(squeezing) => plan::with_detector(network, squeezing).with_context(planning)?,
                None => plan::default(network, self.output())?,
            },
        };
        plan.control = match self.control {
            None => Control::None,
            Some(ControlArg::Counters) => Control::Counters,
            Some(ControlArg::Load) => Control::Load,
        };
        if self.proved_radius.is_some() {
            plan.proved_radius = self.proved_radius;
            plan.check(network)?;
        }
        Ok(plan)
    }

    /// Returns what the plan may use.
    pub fn budget(&self, device: Option<&'static Device>) -> Budget {
        let all = self.device.or(device).map_or(Budget::NONE, Device::budget);
        Budget {
            lut: self.luts.unwrap_or(all.lut),
            ff: all.ff,
            bram: self.brams.unwrap_or(all.bram),
            dsp: self.dsps.unwrap_or(all.dsp),
            spram: all.spram,
        }
    }

    /// Returns what to plan for; `None` where nothing is asked for.
    fn target(&self, device: Option<&'static Device>, clock_mhz: u32) -> Option<Target> {
        let (device, budget) = (self.device.or(device), self.budget(device));
        let bounded = budget != Budget::NONE;
        let stream = self.stream.map(|port_bits| Streaming {
            port_bits,
            bytes_per_second: self
                .bandwidth
                .map_or(u64::MAX, |megabytes| megabytes.saturating_mul(1_000_000)),
        });
        if !bounded && self.fps.is_none() && self.mhz.is_none() && self.mac.is_none() && stream.is_none() {
            return None;
        }
        let frames_per_second =
            if bounded { self.fps } else { Some(self.fps.unwrap_or(plan::DEFAULT_FRAMES_PER_SECOND)) };
        let clock_mhz = self.mhz.unwrap_or(clock_mhz);
        let mac = self.mac.unwrap_or_default();
        let (output, detector) = (self.output(), self.detector);
        Some(Target { output, detector, clock_mhz, frames_per_second, device, budget, mac, stream })
    }

    fn output(&self) -> Output {
        match self.output_kind {
            None if self.detects() || self.proved_radius.is_some() => Output::Label,
            given => OutputArg::output(given),
        }
    }
}

/// Ends the program as clap does where options do not go together.
pub fn misused(message: &str) -> ! {
    clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, message).exit()
}

/// Refuses what a board could not say of a label: a detector in its plan, or a radius to prove labels for.
pub fn refuse_marks(plan: &Plan) -> Result<()> {
    if let Some(squeezing) = plan.detector {
        bail!("detector `{squeezing}` in the plan: expected none, boards cannot answer with a flag");
    }
    if let Some(radius) = plan.proved_radius {
        bail!("proved_radius {radius} in the plan: expected none, boards cannot answer with tuser");
    }
    Ok(())
}

/// Reads a radius of at least 1 level.
pub fn radius() -> impl TypedValueParser<Value = u8> {
    clap::value_parser!(u8).range(1..)
}

/// Returns the device of the board called `name`.
pub fn device_of(name: Option<&str>) -> Result<Option<&'static Device>> {
    Ok(name.map(Board::find).transpose()?.map(|board| board.device))
}

/// Reads the name of a device.
pub fn parse_device(text: &str) -> Result<&'static Device, String> {
    let known = || DEVICES.iter().map(|device| device.name).collect::<Vec<_>>().join(", ");
    Device::find(text).ok_or_else(|| format!("expected one of {}", known()))
}

/// Says for each layer whose weights come from outside what its port must be fed with, and what all need
/// together; a line each, or nothing.
pub fn weight_lines(report: &Report) -> String {
    let ports = &report.weight_ports;
    if ports.is_empty() {
        return String::new();
    }
    let megabytes = |bytes: u64| format!("{:.1}", bytes as f64 / 1e6);
    let row = |feed: &WeightFeed| {
        vec![
            feed.port.clone(),
            feed.beat_bits.to_string(),
            feed.word_bits.to_string(),
            thousands(feed.beats as u64),
            thousands(feed.rounds_per_frame as u64),
            megabytes(feed.bytes_per_frame),
            megabytes(feed.bytes_per_second),
            feed.file.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = ports.iter().map(row).collect();
    let heads =
        ["weights from outside", "bits", "word", "beats", "rounds a frame", "MB/frame", "MB/s", "file"];
    let total = |of: fn(&WeightFeed) -> u64| megabytes(ports.iter().map(of).sum());
    format!(
        "{}\nweights from outside: {} MB per frame, {} MB/s at {} frames/s\n",
        table(&heads, &rows),
        total(|feed| feed.bytes_per_frame),
        total(|feed| feed.bytes_per_second),
        thousands(report.frames_per_second)
    )
}

/// Lays the stages out as a table: folding, cycles, FIFO depths, resources.
pub fn stage_table(design: &Design, report: &Report) -> String {
    let rows: Vec<Vec<String>> = design
        .stages
        .iter()
        .zip(report.timing.stages.iter().zip(&report.estimate.stages))
        .map(|(stage, (timing, cost))| {
            let lanes = stage.site.output;
            let folding = match stage.kind.unit() {
                Some(unit) => format!("PE {} x SIMD {}, {}", unit.pe, unit.simd, unit.mac.name()),
                None => format!("{} x {} bits", lanes.count, lanes.bits),
            };
            let depths: Vec<String> = timing.depths.iter().map(ToString::to_string).collect();
            vec![
                timing.stage.clone(),
                folding,
                thousands(timing.cycles),
                timing.latency.to_string(),
                depths.join("/"),
                thousands(cost.resources.lut),
                thousands(cost.resources.ff),
                cost.resources.bram.to_string(),
                cost.resources.dsp.to_string(),
            ]
        })
        .collect();
    table(&["stage", "folding", "cycles", "latency", "FIFO", "LUT", "FF", "BRAM", "DSP"], &rows)
}
