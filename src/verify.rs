//! `dq verify`: float model, integer network, fast engine, netlist and Verilog agree; exit 1 at the first difference.

use crate::args::DataArg;
use crate::data;
use crate::emit::{PlanArgs, plan};
use crate::table::thousands;
use crate::ui::Ui;
use anyhow::{Context, Result, bail};
use dq_hdl::design::{Beat, Design, Outcome};
use dq_hdl::emit::Emission;
use dq_hdl::stalls::Stalls;
use dq_hdl::verilator::Simulator;
use dq_hdl::{emit, netlist, timing};
use dq_net::data::{Images, Split};
use dq_net::{Network, random};
use dq_sim::Engine;
use dq_sim::attack::Start;
use dq_sim::attack::suite::{Suite, adversaries};
use ndarray::{Array4, Axis, s};
use rayon::prelude::*;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Prove and check that float model, simulator and Verilog agree
///
/// Up to four checks, each of which stops at its first difference, naming the place and both values:
///   float   with --run: the float evaluation model equals the integer network on every input (proved at each step
///           boundary), and on the test images where --data is given
///   engine  the fast engine equals the reference, every node, on random images and on the first --count test images
///   rtl     netlist and Verilator give the engine's words for --rtl frames, half of them adversarial where --data is
///           given, back to back under random stalls on both sides
///   timing  every beat moves in the very cycle that the plan computes
///
/// Examples:
///   dq verify model.json
///   dq verify model.json --run runs/signs-tiny-w4a4-dq --data signs --rtl 8
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Integer network's file.
    model: PathBuf,
    /// The run it was exported from: proves float = integer anew from its checkpoint.
    #[arg(long, value_name = "RUN")]
    #[cfg(feature = "train")]
    run: Option<PathBuf>,
    /// Data set whose test images are used, e.g. `signs` or `cifar10=DIR` (default: random images).
    #[arg(long, value_name = "SET[=DIR]")]
    data: Option<DataArg>,
    /// Test images on which engine and reference are compared.
    #[arg(long, value_name = "N", default_value_t = 100)]
    count: u64,
    /// Frames through Verilator (0: none).
    #[arg(long, value_name = "N", default_value_t = 4)]
    rtl: u64,
    /// Frames of those that also go through the netlist simulation.
    #[arg(long, value_name = "N", default_value_t = 2)]
    netlist: u64,
    #[command(flatten)]
    plan: PlanArgs,
}

/// What was verified.
#[derive(Debug, Serialize)]
pub struct Verified {
    ok: bool,
    model: String,
    hash: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    float: Option<Float>,
    engine: EngineCheck,
    #[serde(skip_serializing_if = "Option::is_none")]
    rtl: Option<Rtl>,
}

#[derive(Debug, Serialize)]
struct Float {
    boundaries: u64,
    probes: u64,
    images: usize,
    logits: usize,
    differences: usize,
}

#[derive(Debug, Serialize)]
struct EngineCheck {
    kernel: String,
    random_images: usize,
    images: usize,
    values: u64,
}

#[derive(Debug, Serialize)]
struct Rtl {
    frames: usize,
    adversarial: usize,
    netlist_frames: usize,
    words: usize,
    cycles: u64,
    /// Planned cycles from frame to frame.
    interval: u64,
    /// Cycles between the last two frames that Verilator gave without stalls.
    measured_interval: Option<u64>,
    /// Operations of the slowest stage for a frame.
    ideal_interval: u64,
    latency: u64,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let network = dq_net::read_network(&args.model)?;
    let images = args.data.as_ref().map(|d| data::images(d, Split::Test)).transpose()?;
    #[cfg(feature = "train")]
    let run = args.run.as_deref();
    #[cfg(not(feature = "train"))]
    let run = None;
    let frames = Frames { count: args.count, rtl: args.rtl as usize, netlist: args.netlist as usize };
    let design = if args.rtl > 0 { Some(Design::new(&network, &plan(&network, &args.plan)?)?) } else { None };
    let verified = verify(ui, &network, run, images.as_ref(), &frames, design.as_ref())?;
    ui.result(&verified, verified.text())
}

/// How much is compared.
pub struct Frames {
    /// Test images through engine and reference.
    pub count: u64,
    /// Frames through Verilator.
    pub rtl: usize,
    /// Frames of those through the netlist too.
    pub netlist: usize,
}

/// All checks; the first difference is an error.
pub fn verify(
    ui: &Ui,
    network: &Network,
    run: Option<&Path>,
    images: Option<&Images>,
    frames: &Frames,
    design: Option<&Design>,
) -> Result<Verified> {
    if let Some(images) = images {
        data::check_fit(images, network.input_shape(), network.classes())?;
    }
    let engine = Engine::new(network);
    let float = run.map(|run| float(ui, run, network, &engine, images)).transpose()?;
    let checked = engine_check(ui, &engine, images, frames.count)?;
    let rtl = design.map(|design| rtl(ui, design, &engine, images, frames)).transpose()?;
    let hash = dq_net::content_hash(network);
    Ok(Verified { ok: true, model: network.name.clone(), hash, float, engine: checked, rtl })
}

#[cfg(feature = "train")]
fn float(ui: &Ui, run: &Path, network: &Network, engine: &Engine, images: Option<&Images>) -> Result<Float> {
    ui.note("float: proving every boundary anew from the checkpoint");
    dq_train::set_threads(ui.threads());
    let proof = dq_train::reprove(run, network)?;
    let mut found =
        Float { boundaries: proof.boundaries, probes: proof.probes, images: 0, logits: 0, differences: 0 };
    let Some(images) = images else { return Ok(found) };
    let evaluation = dq_train::evaluation(run, Some(dq_train::bits_of(network)?), None)?;
    let bar = ui.bar("float = integer", images.len() as u64, "images");
    for first in (0..images.len()).step_by(100) {
        ui.check_stop("nothing was written")?;
        let indices: Vec<usize> = (first..images.len().min(first + 100)).collect();
        let block = images.select(&indices);
        let (float, integer) = (evaluation.scores(&block), engine.scores(block.pixels.view()));
        for ((i, class), score) in float.indexed_iter() {
            if *score != f64::from(integer[[i, class]]) {
                let place = format!("test image {}, class {class}", indices[i]);
                bail!(
                    "logits, {place}: the float model has {score}, the integer network {}",
                    integer[[i, class]]
                );
            }
        }
        found.images += indices.len();
        found.logits += float.len();
        bar.inc(indices.len() as u64);
    }
    bar.finish_and_clear();
    Ok(found)
}

#[cfg(not(feature = "train"))]
fn float(_: &Ui, _: &Path, _: &Network, _: &Engine, _: Option<&Images>) -> Result<Float> {
    bail!("this dq was built without training: --run needs the `train` feature")
}

/// The emitted Verilog as a program, kept in the user's cache.
pub fn verilated(emission: &Emission) -> Result<Simulator> {
    let cache = dq_hdl::tools::cache_folder().context("where built simulators are kept")?.join("simulators");
    Ok(Simulator::build(emission, &cache)?)
}

/// Random images: their seeds are 0, 1, …
const RANDOM_IMAGES: usize = 32;

fn engine_check(ui: &Ui, engine: &Engine, images: Option<&Images>, count: u64) -> Result<EngineCheck> {
    let network = engine.network();
    let mut found = EngineCheck {
        kernel: format!("{:?}", engine.kernel()),
        random_images: RANDOM_IMAGES,
        images: 0,
        values: 0,
    };
    let mut batches: Vec<(&str, Array4<u8>)> = vec![("random image", random_frames(network, RANDOM_IMAGES))];
    if let Some(images) = images {
        found.images = images.len().min(count as usize);
        batches.push(("test image", images.pixels.slice(s![..found.images, .., .., ..]).to_owned()));
    }
    let total: usize = batches.iter().map(|(_, b)| b.dim().0).sum();
    let bar = ui.bar("engine = reference", total as u64, "images");
    for (what, batch) in &batches {
        for (b, block) in batch.axis_chunks_iter(Axis(0), 16).enumerate() {
            ui.check_stop("nothing was written")?;
            let fast = engine.nodes(block);
            let slow: Vec<_> = (0..block.dim().0)
                .into_par_iter()
                .map(|i| network.eval_nodes(block.index_axis(Axis(0), i)))
                .collect();
            for (i, nodes) in slow.iter().enumerate() {
                for (n, expected) in nodes.iter().enumerate() {
                    let got = fast[n].index_axis(Axis(0), i);
                    found.values += expected.len() as u64;
                    if let Some((at, value)) = expected.indexed_iter().find(|&(at, &value)| got[at] != value)
                    {
                        bail!(
                            "node `{}`, {what} {}, element {at:?}: the reference has {value}, the engine {}",
                            network.nodes()[n].name,
                            16 * b + i,
                            got[at]
                        );
                    }
                }
            }
            bar.inc(block.dim().0 as u64);
        }
    }
    bar.finish_and_clear();
    Ok(found)
}

fn rtl(ui: &Ui, design: &Design, engine: &Engine, images: Option<&Images>, frames: &Frames) -> Result<Rtl> {
    let (pixels, adversarial) = rtl_frames(ui, engine, images, frames.rtl);
    let scores = engine.scores(pixels.view());
    let values: Vec<i64> =
        scores.rows().into_iter().flat_map(|row| design.values_of_scores(&row.to_vec())).collect();
    let stalls = Stalls::random(ui.seed());
    let expected = |frames: usize, stalls: &Stalls| {
        let cycles = timing::cycles(&design.stages, frames, stalls);
        design.beats(values[..cycles.len()].iter().copied(), &cycles)
    };
    let short = frames.netlist.min(frames.rtl);
    if short > 0 {
        ui.note(format!("rtl: {short} frames through the netlist"));
        let found = netlist::run(design, pixels.slice(s![..short, .., .., ..]), &stalls)?;
        compare("netlist", design, &expected(short, &stalls), &found)?;
    }
    ui.check_stop("nothing was written")?;
    ui.note(format!("rtl: building the Verilog with Verilator, then {} frames", frames.rtl));
    let simulator = verilated(&emit::emit(design))?;
    let found = simulator.run(design, pixels.view(), &stalls)?;
    compare("Verilator", design, &expected(frames.rtl, &stalls), &found)?;
    // Without stalls too: the interval that the plan promises.
    let found = simulator.run(design, pixels.view(), &Stalls::NONE)?;
    compare("Verilator", design, &expected(frames.rtl, &Stalls::NONE), &found)?;
    let interval = measured_interval(design, &found.beats);
    let timing = design.timing();
    Ok(Rtl {
        frames: frames.rtl,
        adversarial,
        netlist_frames: short,
        words: found.beats.len(),
        cycles: found.beats.last().map_or(0, |beat| beat.cycle + 1),
        interval: timing.interval,
        measured_interval: interval,
        ideal_interval: timing.ideal_interval,
        latency: timing.latency,
    })
}

/// Frames for the circuit and how many are adversarial: test images and adversaries of them in turn, or random images.
fn rtl_frames(ui: &Ui, engine: &Engine, images: Option<&Images>, count: usize) -> (Array4<u8>, usize) {
    let Some(images) = images else { return (random_frames(engine.network(), count), 0) };
    let clean: Vec<usize> = (0..count).map(|i| (i / 2) % images.len()).collect();
    let mut pixels = images.pixels.select(Axis(0), &clean);
    let suite = Suite { attacks: vec![], eps: vec![], seed: ui.seed(), start: Start::Signs };
    let attacked: Vec<usize> = clean.iter().copied().skip(1).step_by(2).collect();
    if !attacked.is_empty() {
        let found = adversaries(engine, images, &attacked, "pgd", 8, &suite);
        pixels.slice_mut(s![1..;2, .., .., ..]).assign(&found);
    }
    (pixels, attacked.len())
}

fn random_frames(network: &Network, count: usize) -> Array4<u8> {
    let shape = network.input_shape();
    let mut frames = Array4::zeros((count, shape.height, shape.width, shape.channels));
    for (seed, mut frame) in frames.outer_iter_mut().enumerate() {
        frame.assign(&random::image(seed as u64, shape));
    }
    frames
}

/// Cycles between the last beats of the last two frames.
fn measured_interval(design: &Design, beats: &[Beat]) -> Option<u64> {
    let before = beats.len().checked_sub(1 + design.output_beats())?;
    Some(beats.last()?.cycle - beats[before].cycle)
}

fn compare(what: &str, design: &Design, expected: &[Beat], found: &Outcome) -> Result<()> {
    let per_frame = design.output_beats();
    for (i, (e, f)) in expected.iter().zip(&found.beats).enumerate() {
        if e != f {
            bail!(
                "node `{}`, frame {}, output beat {}: the simulator has {} in cycle {} (last: {}), {what} {} in cycle \
                 {} (last: {})",
                design.network.nodes().last().map_or("", |n| &n.name),
                i / per_frame,
                i % per_frame,
                e.value,
                e.cycle,
                e.last,
                f.value,
                f.cycle,
                f.last
            );
        }
    }
    if expected.len() != found.beats.len() {
        bail!("{what} gave {} output beats, expected {}", found.beats.len(), expected.len());
    }
    if found.error {
        bail!("{what} set its error flag on well-formed frames");
    }
    Ok(())
}

impl Verified {
    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        if let Some(float) = &self.float {
            text.push_str(&format!(
                "float    equal on every input: {} boundaries checked on both sides, every node on {} probes",
                thousands(float.boundaries),
                float.probes
            ));
            if float.images > 0 {
                text.push_str(&format!(
                    "; {} of {} logits of {} test images identical",
                    thousands((float.logits - float.differences) as u64),
                    thousands(float.logits as u64),
                    thousands(float.images as u64)
                ));
            }
            text.push('\n');
        }
        text.push_str(&format!(
            "engine   {} = reference: {} values of every node on {} random and {} test images\n",
            self.engine.kernel,
            thousands(self.engine.values),
            self.engine.random_images,
            self.engine.images
        ));
        if let Some(rtl) = &self.rtl {
            text.push_str(&format!(
                "rtl      Verilator = simulator: {} frames ({} adversarial), words and cycles, under random stalls of \
                 both sides and without; netlist = simulator: {} frames\n",
                rtl.frames, rtl.adversarial, rtl.netlist_frames
            ));
            text.push_str(&format!(
                "timing   every beat in the cycle that the plan computes; latency {}, interval {} cycles\n",
                thousands(rtl.latency),
                thousands(rtl.interval)
            ));
        }
        text + "verified"
    }
}
