//! Implements `dq sim`: runs images through the integer network, by any engine.

mod compare;
mod files;
mod proved;

use crate::shared::circuit::verilated;
use crate::shared::data::{TestImages, images_that};
use crate::shared::files::Files;
use crate::shared::libtorch::LibtorchArg;
use crate::shared::model::ModelArg;
use crate::shared::plan::PlanArgs;
use crate::shared::proved::rule;
use crate::shared::table::{percent, thousands};
use crate::shared::ui::Ui;
use anyhow::{Context, Result, ensure};
use clap::ValueEnum;
use dq_data::Images;
use dq_hdl::design::{Beat, Design};
use dq_hdl::plan::Output;
use dq_hdl::stalls::Stalls;
use dq_hdl::timing::Timing;
use dq_hdl::verilator::Waves;
use dq_hdl::{emit, netlist, timing};
use dq_net::Network;
use dq_net::layer::Logits;
use dq_net::proved::ProvedRadius;
use dq_sim::Engine;
use dq_sim::attack::suite::Circuit;
use dq_sim::report::Tally;
use files::{trace, waves, write_beats, write_scores};
use ndarray::{Array2, ArrayView2, ArrayView4, Axis, s};
use proved::Proved;
use rayon::prelude::*;
use serde_json::json;
use std::path::PathBuf;
use std::time::Instant;

/// Help text of `--count`.
const COUNT: &str = "First N test images (default: all; for netlist and verilator: 4)";

/// Classify test images with the integer network
///
/// All engines give the same scores: `fast` for whole test sets, `reference` (plain
/// loops, the meaning), `netlist` (the emitted circuit clock by clock, no tools needed)
/// and `verilator` (the emitted Verilog). The last two also tell cycles; so do the first
/// two with --cycles, which computes the cycle of every output beat from the handshakes
/// alone. --beats writes cycle and value of each, the same file whatever computes it.
///
/// Examples:
///   dq sim model.json --data signs
///   dq sim model.json --data cifar10=data/cifar-10 --engine verilator --count 10
///   dq sim model.json --data signs --scores scores.npz
///   dq sim model.json --data signs --cycles --stalls --beats beats.csv
///   dq sim model.json --data signs --engine netlist --count 1 --vcd waves.vcd
///   dq sim model.json --data signs --engine verilator --count 1 --fst waves.fst
///   dq sim model.json --data mnist=data/mnist --proved-radius 16
///   dq sim model.json --data signs --libtorch cuda --compare comparison.json
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("data", images_that("are classified")))]
#[command(mut_arg("count", |arg| arg.help(COUNT)))]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    #[command(flatten)]
    test: TestImages,
    /// What computes.
    #[arg(long, value_enum, default_value_t = Which::Fast, conflicts_with = "libtorch")]
    engine: Which,
    #[command(flatten)]
    pub libtorch: LibtorchArg,
    /// Compare each score of libtorch with the engine's instead, and keep in FILE how far that came: a
    /// comparison that was stopped goes on from there. Exit code 1 where a score differs.
    #[arg(long, value_name = "FILE", requires = "libtorch", conflicts_with_all = ["cycles", "scores"])]
    compare: Option<PathBuf>,
    /// Compute the circuit's cycles too (fast and reference; the others always do).
    #[arg(long)]
    cycles: bool,
    /// Stall source and sink at random, by --seed (where cycles are told).
    #[arg(long)]
    stalls: bool,
    /// Write every image's scores: arrays `scores` (N × classes), `labels` (the network's), `truth`, `indices`
    /// (npz).
    #[arg(long, value_name = "NPZ")]
    scores: Option<PathBuf>,
    /// Write every output beat: frame, beat, cycle, value (CSV).
    #[arg(long, value_name = "FILE")]
    beats: Option<PathBuf>,
    /// Write every net of the circuit as waves, with the netlist engine or verilator (about 1.6 kB per cycle
    /// for a small network).
    #[arg(long, value_name = "FILE", conflicts_with = "fst")]
    vcd: Option<PathBuf>,
    /// Write every net as waves in GTKWave's compressed format, with verilator (needs zlib's and lz4's
    /// headers).
    #[arg(long, value_name = "FILE")]
    fst: Option<PathBuf>,
    #[command(flatten)]
    plan: PlanArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Fast,
    Reference,
    Netlist,
    Verilator,
}

impl Which {
    /// Returns the engine's name, as `--engine` has it.
    fn name(self) -> &'static str {
        match self {
            Which::Fast => "fast",
            Which::Reference => "reference",
            Which::Netlist => "netlist",
            Which::Verilator => "verilator",
        }
    }
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    args.check()?;
    let network = args.model.open(ui)?;
    let count = args.test.count.or(args.is_circuit().then_some(4));
    let images = args.test.first(count, network.input(), network.classes())?;
    let libtorch = args.libtorch.circuit(ui, &network)?;
    if let Some(path) = &args.compare {
        let libtorch = libtorch.as_deref().context("--compare: expected a GPU, found none")?;
        return compare::run(ui, &network, libtorch, &images, path);
    }
    let design = match args.is_timed() {
        true => Some(Design::new(&network, &args.plan.plan(&network, None)?).context("the circuit")?),
        false => None,
    };
    let start = Instant::now();
    let by_libtorch = libtorch.as_ref().and_then(|circuit| circuit.engine());
    let engine = by_libtorch.unwrap_or_else(|| args.engine.name().to_owned());
    let pixels = images.pixels.view();
    let passes = design.as_ref().map_or(pixels.into(), |design| design.passes(pixels));
    let scores = match args.engine {
        Which::Fast => Some(fast(ui, &network, libtorch.as_deref(), passes.view())?),
        Which::Reference => Some(reference(ui, &network, passes.view())?),
        Which::Netlist | Which::Verilator => None,
    };
    let stalls = if args.stalls { Stalls::random(ui.seed()) } else { Stalls::NONE };
    let beats = match (&design, &scores) {
        (None, _) => None,
        (Some(design), Some(scores)) => {
            let frames = scores.axis_chunks_iter(Axis(0), design.passes_per_frame());
            let of_frame = |scores: ArrayView2<i32>| scores.iter().copied().collect::<Vec<_>>();
            let values = frames.flat_map(|scores| design.values_of_scores(&of_frame(scores)));
            Some(design.beats(values, &timing::cycles(&design.stages, images.len(), &stalls)))
        }
        (Some(design), None) => Some(args.simulate(design, &images, &stalls)?),
    };
    // Of a detector's two passes, the first is the image's own.
    let per_frame = design.as_ref().map_or(1, Design::passes_per_frame);
    let scores = scores.map(|scores| scores.slice(s![..;per_frame, ..]).to_owned());
    let labels = match (&scores, &design, &beats) {
        (Some(scores), ..) => labels(scores),
        (None, Some(design), Some(beats)) => labels_of(design, beats),
        _ => unreachable!("an engine gives scores or beats"),
    };
    let seconds = start.elapsed().as_secs_f64();
    let kept = match (&args.scores, &scores, &design, &beats) {
        (Some(path), Some(scores), ..) => write_scores(path, scores, &labels, &images),
        (Some(path), None, Some(design), Some(beats)) => {
            let scores = scores_of(design, beats, network.classes())?;
            write_scores(path, &scores, &labels, &images)
        }
        _ => Ok(()),
    };
    let written = match (&args.beats, &design, &beats) {
        (Some(path), Some(design), Some(beats)) => write_beats(path, beats, design.output_beats()),
        _ => Ok(()),
    };
    let flagged = match (&design, &beats) {
        (Some(design), Some(beats)) if design.plan.detector.is_some() => {
            Some(beats.iter().filter(|beat| design.answer(beat.value).flagged).count())
        }
        _ => None,
    };
    let answers = design.as_ref().zip(beats.as_ref());
    let rule = design.as_ref().and_then(Design::proved).or(args.rule(&network)?);
    let proved = rule.map(|rule| Proved::count(rule, &network, scores.as_ref(), answers, (&labels, &images)));
    let cycles = design.zip(beats).map(|(design, beats)| {
        let total = beats.last().map_or(0, |beat| beat.cycle + 1);
        (total, design.timing().clone())
    });
    let found = Found { images: &images, seconds, tally: right(&labels, &images), flagged, proved, cycles };
    // The result is shown even where scores or beats could not be written: the work is done.
    ui.result(|| found.json(&network, &engine), found.text(&network, &engine))?;
    kept.and(written)
}

impl Args {
    /// Refuses options that do not go together, and files that would overwrite each other.
    fn check(&self) -> Result<()> {
        let message = match (self.engine, &self.vcd, &self.fst) {
            (Which::Fast | Which::Reference, Some(_), _) => "--vcd needs --engine netlist or verilator\n",
            (Which::Fast | Which::Reference | Which::Netlist, _, Some(_)) => {
                "--fst needs --engine verilator\n"
            }
            _ if self.scores.is_some() && self.is_circuit() && self.plan.gives_labels() => {
                "--scores: a circuit with --out label, --detector or --proved-radius gives labels alone\n"
            }
            _ if !self.is_timed() && self.plan.detects() => {
                "--detector is the circuit's: it needs --cycles, or --engine netlist or verilator\n"
            }
            _ if !self.is_timed() && self.stalls => {
                "--stalls needs --cycles, or --engine netlist or verilator\n"
            }
            _ if !self.is_timed() && self.beats.is_some() => {
                "--beats needs --cycles, or --engine netlist or verilator\n"
            }
            _ => "",
        };
        if !message.is_empty() {
            clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, message).exit();
        }
        Files::default()
            .read("MODEL", self.model.path())
            .read("--plan", self.plan.file())
            .written("--compare", self.compare.as_deref())
            .written("--scores", self.scores.as_deref())
            .written("--beats", self.beats.as_deref())
            .written("--vcd", self.vcd.as_deref())
            .written("--fst", self.fst.as_deref())
            .check()
    }

    /// Returns what proves labels, where a radius is given.
    fn rule(&self, network: &Network) -> Result<Option<ProvedRadius>> {
        self.plan.proved_radius().map(|radius| rule(network, radius)).transpose()
    }

    /// Says whether the circuit itself computes.
    fn is_circuit(&self) -> bool {
        matches!(self.engine, Which::Netlist | Which::Verilator)
    }

    /// Says whether cycles are told.
    fn is_timed(&self) -> bool {
        self.is_circuit() || self.cycles
    }

    /// Sends `images` through the circuit, with waves where they are asked for.
    fn simulate(&self, design: &Design, images: &Images, stalls: &Stalls) -> Result<Vec<Beat>> {
        let pixels = images.pixels.view();
        let found = match (self.engine, &self.vcd, &self.fst) {
            (Which::Netlist, None, _) => netlist::run(design, pixels, stalls)?,
            (Which::Netlist, Some(path), _) => trace(design, images, stalls, path)?,
            (_, Some(path), _) => waves(design, images, stalls, Waves::Vcd, path)?,
            (_, None, Some(path)) => waves(design, images, stalls, Waves::Fst, path)?,
            (_, None, None) => verilated(&emit::emit(design))?.run(design, pixels, stalls)?,
        };
        ensure!(!found.error, "the circuit set its error flag on well-formed frames");
        Ok(found.beats)
    }
}

/// Holds what the simulation gave.
struct Found<'a> {
    images: &'a Images,
    seconds: f64,
    tally: Tally,
    /// Number of images that the circuit's detector flagged, where it has one.
    flagged: Option<usize>,
    /// Labels that are proved, where a radius is given.
    proved: Option<Proved>,
    /// Cycles of all frames, and the plan's timing, where the circuit's cycles were computed.
    cycles: Option<(u64, Timing)>,
}

impl Found<'_> {
    fn images_per_second(&self) -> f64 {
        self.images.len() as f64 / self.seconds
    }

    fn json(&self, network: &Network, engine: &str) -> serde_json::Value {
        let mut found = json!({
            "model": network.name, "hash": dq_net::content_hash(network), "data": self.images.name,
            "images": self.images.len(), "correct": self.tally.correct, "accuracy": self.tally.accuracy,
            "interval": self.tally.interval, "engine": engine,
            "images_per_second": self.images_per_second(), "seconds": self.seconds,
            "cycles": self.cycles.as_ref().map(|c| c.0), "timing": self.cycles.as_ref().map(|c| &c.1)});
        if let Some(flagged) = self.flagged {
            found["flagged"] = json!(flagged);
        }
        if let Some(proved) = &self.proved {
            found["proved"] = json!(proved);
        }
        found
    }

    fn text(&self, network: &Network, engine: &str) -> String {
        let text = format!(
            "{}: {} of {} test images of {} correct, {} %\nengine {}: {:.0} images/s, {:.2} s",
            network.name,
            self.tally.correct,
            self.images.len(),
            self.images.name,
            percent(&self.tally),
            engine,
            self.images_per_second(),
            self.seconds
        );
        let text = match &self.proved {
            Some(proved) => format!("{text}\n{}", proved.text()),
            None => text,
        };
        let Some((total, timing)) = &self.cycles else { return text };
        let text = match self.flagged {
            Some(flagged) => format!("{text}\n{flagged} of {} flagged by the detector", self.images.len()),
            None => text,
        };
        format!(
            "{text}\n{} cycles; planned latency {}, interval {}",
            thousands(*total),
            thousands(timing.latency),
            thousands(timing.interval)
        )
    }
}

/// Computes scores by `libtorch`, or by the fast engine: image × class.
fn fast(
    ui: &Ui,
    network: &Network,
    libtorch: Option<&dyn Circuit>,
    images: ArrayView4<u8>,
) -> Result<Array2<i32>> {
    let engine = Engine::new(network);
    let bar = ui.bar("simulating", images.dim().0 as u64, "images");
    let mut scores = Array2::zeros((0, network.classes()));
    for block in images.axis_chunks_iter(Axis(0), 512) {
        ui.check_stop("nothing was written")?;
        let found = libtorch.map_or_else(|| engine.scores(block), |libtorch| libtorch.scores(block));
        scores.append(Axis(0), found.view()).expect("a column a class");
        bar.inc(block.dim().0 as u64);
    }
    bar.finish_and_clear();
    Ok(scores)
}

fn reference(ui: &Ui, network: &Network, images: ArrayView4<u8>) -> Result<Array2<i32>> {
    let count = images.dim().0;
    let bar = ui.bar("simulating", count as u64, "images");
    let mut scores = Vec::with_capacity(count * network.classes());
    for first in (0..count).step_by(16) {
        ui.check_stop("nothing was written")?;
        let block = first..count.min(first + 16);
        let of_image = |i: usize| network.eval(images.slice(s![i, .., .., ..]));
        let found: Vec<Vec<i32>> = block.clone().into_par_iter().map(of_image).collect();
        scores.extend(found.into_iter().flatten());
        bar.inc(block.len() as u64);
    }
    bar.finish_and_clear();
    Ok(Array2::from_shape_vec((count, network.classes()), scores).expect("a score a class"))
}

/// Returns the label of each row of scores.
fn labels(scores: &Array2<i32>) -> Vec<usize> {
    scores.rows().into_iter().map(|row| Logits::label(row.iter().copied())).collect()
}

/// Counts the labels that are the images' own.
fn right(labels: &[usize], images: &Images) -> Tally {
    let right = labels.iter().zip(&images.labels).filter(|(a, b)| **a == usize::from(**b)).count();
    Tally::new(right, images.len())
}

/// Returns the scores in the circuit's beats: image × class.
fn scores_of(design: &Design, beats: &[Beat], classes: usize) -> Result<Array2<i32>> {
    ensure!(design.plan.output == Output::Scores, "--scores: the circuit gives labels alone (--out label)");
    let values: Vec<i32> = beats.iter().map(|beat| beat.value as i32).collect();
    Ok(Array2::from_shape_vec((values.len() / classes, classes), values).expect("one score per class"))
}

fn labels_of(design: &Design, beats: &[Beat]) -> Vec<usize> {
    beats
        .chunks(design.output_beats())
        .map(|frame| match design.plan.output {
            Output::Label => design.answer(frame[0].value).label,
            Output::Scores => Logits::label(frame.iter().map(|beat| beat.value as i32)),
        })
        .collect()
}
