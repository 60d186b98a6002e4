//! `dq sim`: images through the integer network, by any engine.

use crate::shared::args::DataArg;
use crate::shared::circuit::{simulators, verilated};
use crate::shared::files::Files;
use crate::shared::plan::PlanArgs;
use crate::shared::table::{percent, thousands};
use crate::shared::ui::Ui;
use crate::shared::{data, model};
use anyhow::{Context, Result};
use clap::ValueEnum;
use dq_data::Images;
use dq_hdl::design::{Beat, Design, Outcome};
use dq_hdl::plan::Output;
use dq_hdl::stalls::Stalls;
use dq_hdl::verilator::{Simulator, Waves};
use dq_hdl::{emit, netlist, timing};
use dq_net::Network;
use dq_net::layer::Logits;
use dq_sim::Engine;
use dq_sim::report::Tally;
use ndarray::{Array2, Axis, s};
use rayon::prelude::*;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::time::Instant;

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
///   dq sim model.json --data signs --cycles --stalls --beats beats.csv
///   dq sim model.json --data signs --engine netlist --count 1 --vcd waves.vcd
///   dq sim model.json --data signs --engine verilator --count 1 --fst waves.fst
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
pub struct Args {
    /// Integer network's file, or a built-in topology with random weights (`cnv`, `wrn-16-4:w4a4`, …).
    model: PathBuf,
    /// Data set whose test images are classified, e.g. `signs` or `cifar10=DIR`.
    #[arg(long, value_name = "SET[=DIR]")]
    data: DataArg,
    /// First N test images (default: all; for netlist and verilator: 4).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// What computes.
    #[arg(long, value_enum, default_value_t = Which::Fast)]
    engine: Which,
    /// Compute the circuit's cycles too (fast and reference; the others always do).
    #[arg(long)]
    cycles: bool,
    /// Stall source and sink at random, by --seed (where cycles are told).
    #[arg(long)]
    stalls: bool,
    /// Write every output beat: frame, beat, cycle, value (CSV).
    #[arg(long, value_name = "FILE")]
    beats: Option<PathBuf>,
    /// Write every net of the circuit as waves, with the netlist engine or verilator (about 1.6 kB a cycle for a small network).
    #[arg(long, value_name = "FILE", conflicts_with = "fst")]
    vcd: Option<PathBuf>,
    /// Write every net as waves in GTKWave's compressed format, with verilator (needs zlib's and lz4's headers).
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

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let circuit = matches!(args.engine, Which::Netlist | Which::Verilator);
    let timed = circuit || args.cycles;
    let message = match (args.engine, &args.vcd, &args.fst) {
        (Which::Fast | Which::Reference, Some(_), _) => "--vcd needs --engine netlist or verilator\n",
        (Which::Fast | Which::Reference | Which::Netlist, _, Some(_)) => "--fst needs --engine verilator\n",
        _ if !timed && args.stalls => "--stalls needs --cycles, or --engine netlist or verilator\n",
        _ if !timed && args.beats.is_some() => "--beats needs --cycles, or --engine netlist or verilator\n",
        _ => "",
    };
    if !message.is_empty() {
        clap::Error::raw(clap::error::ErrorKind::ArgumentConflict, message).exit();
    }
    Files::default()
        .read("MODEL", args.model.as_path())
        .read("--plan", args.plan.file())
        .written("--beats", args.beats.as_deref())
        .written("--vcd", args.vcd.as_deref())
        .written("--fst", args.fst.as_deref())
        .check()?;
    let network = model::open(&args.model, ui.seed())?;
    let count = args.count.or(circuit.then_some(4));
    let images = data::test_images(&args.data, count, network.input_shape(), network.classes())?;
    let design =
        timed.then(|| Design::new(&network, &args.plan.plan(&network, None)?).context("the circuit"));
    let design = design.transpose()?;
    let stalls = if args.stalls { Stalls::random(ui.seed()) } else { Stalls::NONE };
    let start = Instant::now();
    let scores = match args.engine {
        Which::Fast => Some(fast(ui, &network, &images)?),
        Which::Reference => Some(reference(ui, &network, &images)?),
        Which::Netlist | Which::Verilator => None,
    };
    let beats = match (&design, &scores) {
        (None, _) => None,
        (Some(design), Some(scores)) => {
            let values = scores.rows().into_iter().flat_map(|row| design.values_of_scores(&row.to_vec()));
            Some(design.beats(values, &timing::cycles(&design.stages, images.len(), &stalls)))
        }
        (Some(design), None) => {
            let found = match (args.engine, &args.vcd) {
                (Which::Netlist, None) => netlist::run(design, images.pixels.view(), &stalls)?,
                (Which::Netlist, Some(path)) => trace(design, &images, &stalls, path)?,
                (_, Some(path)) => waves(design, &images, &stalls, Waves::Vcd, path)?,
                _ => match &args.fst {
                    Some(path) => waves(design, &images, &stalls, Waves::Fst, path)?,
                    None => verilated(&emit::emit(design))?.run(design, images.pixels.view(), &stalls)?,
                },
            };
            anyhow::ensure!(!found.error, "the circuit set its error flag on well-formed frames");
            Some(found.beats)
        }
    };
    let labels = match (&scores, &design, &beats) {
        (Some(scores), ..) => labels(scores),
        (None, Some(design), Some(beats)) => labels_of(design, beats),
        _ => unreachable!("an engine gives scores or beats"),
    };
    let seconds = start.elapsed().as_secs_f64();
    let tally = right(&labels, &images);
    let correct = tally.correct;
    let engine = format!("{:?}", args.engine).to_lowercase();
    let rate = images.len() as f64 / seconds;
    let mut text = format!(
        "{}: {correct} of {} test images of {} correct, {} %\nengine {engine}: {rate:.0} images/s, {seconds:.2} s",
        network.name,
        images.len(),
        images.name,
        percent(&tally)
    );
    if let (Some(path), Some(design), Some(beats)) = (&args.beats, &design, &beats) {
        write_beats(path, beats, design.output_beats())?;
    }
    let cycles = design.zip(beats).map(|(design, beats)| {
        let total = beats.last().map_or(0, |beat| beat.cycle + 1);
        (total, design.timing().clone())
    });
    if let Some((total, timing)) = &cycles {
        text.push_str(&format!(
            "\n{} cycles; planned latency {}, interval {}",
            thousands(*total),
            thousands(timing.latency),
            thousands(timing.interval)
        ));
    }
    ui.result(
        || json!({"model": network.name, "hash": dq_net::content_hash(&network), "data": images.name,
                "images": images.len(), "correct": correct, "accuracy": tally.accuracy, "interval": tally.interval,
                "engine": engine, "images_per_second": rate, "seconds": seconds,
                "cycles": cycles.as_ref().map(|c| c.0), "timing": cycles.as_ref().map(|c| &c.1)}),
        text,
    )
}

/// Scores by the fast engine: image × class.
pub fn fast(ui: &Ui, network: &Network, images: &Images) -> Result<Array2<i32>> {
    let engine = Engine::new(network);
    let bar = ui.bar("simulating", images.len() as u64, "images");
    let mut scores = Array2::zeros((0, network.classes()));
    for block in images.pixels.axis_chunks_iter(Axis(0), 512) {
        ui.check_stop("nothing was written")?;
        scores.append(Axis(0), engine.scores(block).view()).expect("a column a class");
        bar.inc(block.dim().0 as u64);
    }
    bar.finish_and_clear();
    Ok(scores)
}

fn reference(ui: &Ui, network: &Network, images: &Images) -> Result<Array2<i32>> {
    let bar = ui.bar("simulating", images.len() as u64, "images");
    let mut scores = Vec::with_capacity(images.len() * network.classes());
    for first in (0..images.len()).step_by(16) {
        ui.check_stop("nothing was written")?;
        let block = first..images.len().min(first + 16);
        let of_image = |i: usize| network.eval(images.pixels.slice(s![i, .., .., ..]));
        let found: Vec<Vec<i32>> = block.clone().into_par_iter().map(of_image).collect();
        scores.extend(found.into_iter().flatten());
        bar.inc(block.len() as u64);
    }
    bar.finish_and_clear();
    Ok(Array2::from_shape_vec((images.len(), network.classes()), scores).expect("a score a class"))
}

/// The label of each row of scores.
fn labels(scores: &Array2<i32>) -> Vec<usize> {
    scores.rows().into_iter().map(|row| Logits::label(row.iter().copied())).collect()
}

/// How many of `labels` are the images' own.
fn right(labels: &[usize], images: &Images) -> Tally {
    let right = labels.iter().zip(&images.labels).filter(|(a, b)| **a == usize::from(**b)).count();
    Tally::new(right, images.len())
}

/// Every beat in `path`, which is there whole or not at all.
fn write_beats(path: &Path, beats: &[Beat], per_frame: usize) -> Result<()> {
    let line = |(i, beat): (usize, &Beat)| {
        format!("{},{},{},{}\n", i / per_frame, i % per_frame, beat.cycle, beat.value)
    };
    let text: String = beats.iter().enumerate().map(line).collect();
    dq_net::atomic::write(path, format!("frame,beat,cycle,value\n{text}").as_bytes())
        .with_context(|| format!("{}: writing the beats", path.display()))
}

/// The netlist with its waves in `path`, which is there whole or not at all.
fn trace(design: &Design, images: &Images, stalls: &Stalls, path: &Path) -> Result<Outcome> {
    let mut outcome = None;
    dq_net::atomic::write_with(path, |file| {
        outcome =
            Some(netlist::trace(design, images.pixels.view(), stalls, file).map_err(std::io::Error::other)?);
        Ok(())
    })
    .with_context(|| format!("{}: writing the waves", path.display()))?;
    outcome.context("the simulation gave nothing")
}

/// Verilator with its waves in `path`, which is there whole or not at all.
fn waves(design: &Design, images: &Images, stalls: &Stalls, format: Waves, path: &Path) -> Result<Outcome> {
    let context = || format!("{}: writing the waves", path.display());
    let file = dq_net::atomic::Pending::new(path).with_context(context)?;
    let simulator = Simulator::traced(&emit::emit(design), &simulators()?, format, file.path())?;
    let outcome = simulator.run(design, images.pixels.view(), stalls)?;
    file.publish().with_context(context)?;
    Ok(outcome)
}

fn labels_of(design: &Design, beats: &[Beat]) -> Vec<usize> {
    beats
        .chunks(design.output_beats())
        .map(|frame| match design.plan.output {
            Output::Label => frame[0].value as usize,
            Output::Scores => Logits::label(frame.iter().map(|beat| beat.value as i32)),
        })
        .collect()
}
