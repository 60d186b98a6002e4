//! Checks the circuit against the simulator: netlist and Verilator, words and cycles.

use super::super::circuit::verilated;
use super::super::ui::{Interrupted, Ui};
use super::Frames;
use anyhow::{Context, Result, bail};
use dq_data::Images;
use dq_hdl::design::{Beat, Design, Outcome};
use dq_hdl::flow::RunError;
use dq_hdl::stalls::Stalls;
use dq_hdl::{emit, gates, netlist, timing};
use dq_net::random;
use dq_sim::attack::suite::{Single, adversaries};
use dq_sim::{Engine, WhiteBox};
use ndarray::{Array4, ArrayView4, Axis, s};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

/// Says what was compared.
#[derive(Debug, Serialize)]
pub struct Checked {
    pub frames: usize,
    pub adversarial: usize,
    pub netlist_frames: usize,
    pub words: usize,
    pub cycles: u64,
    /// Planned number of cycles from one frame to the next.
    pub interval: u64,
    /// Number of cycles between the last two frames that Verilator gave without stalls.
    pub measured_interval: Option<u64>,
    /// Operations of the slowest stage per frame.
    pub ideal_interval: u64,
    pub latency: u64,
    /// Number of cells of each kind that Yosys made, where the frames ran at gate level too.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cells: Option<BTreeMap<String, u64>>,
}

/// Runs frames through netlist and Verilator; words and cycles are the engine's and the plan's.
pub fn check(
    ui: &Ui,
    design: &Design,
    engine: &Engine,
    images: Option<&Images>,
    frames: &Frames,
) -> Result<Checked> {
    let (pixels, adversarial) = rtl_frames(ui, engine, images, frames);
    let values = values(engine, design, pixels.view());
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
    // The circuit also runs without stalls, to measure the interval that the plan promises.
    let found = simulator.run(design, pixels.view(), &Stalls::NONE)?;
    compare("Verilator", design, &expected(frames.rtl, &Stalls::NONE), &found)?;
    let interval = measured_interval(design, &found.beats);
    let cells = frames.gates.then(|| through_gates(ui, design, pixels.view(), &values)).transpose()?;
    let timing = design.timing();
    Ok(Checked {
        frames: frames.rtl,
        adversarial,
        netlist_frames: short,
        words: found.beats.len(),
        cycles: found.beats.last().map_or(0, |beat| beat.cycle + 1),
        interval: timing.interval,
        measured_interval: interval,
        ideal_interval: timing.ideal_interval,
        latency: timing.latency,
        cells,
    })
}

/// Returns what must leave the circuit for `pixels`, by the engine's scores.
fn values(engine: &Engine, design: &Design, pixels: ArrayView4<u8>) -> Vec<i64> {
    let scores = engine.scores(design.passes(pixels).view());
    let frames = scores.axis_chunks_iter(Axis(0), design.passes_per_frame());
    frames.flat_map(|scores| design.values_of_scores(&scores.iter().copied().collect::<Vec<_>>())).collect()
}

/// Runs `pixels` through the synthesized circuit under random stalls; gives its cells.
fn through_gates(
    ui: &Ui,
    design: &Design,
    pixels: ArrayView4<u8>,
    values: &[i64],
) -> Result<BTreeMap<String, u64>> {
    ui.check_stop("nothing was written")?;
    let folder = tempfile::tempdir().context("making a temporary folder")?;
    let bar = ui.spinner("gates");
    let synthesized = gates::synthesize(design, folder.path(), &|what| {
        bar.set_message(what.to_owned());
        bar.tick();
        ui.stop.load(Ordering::SeqCst)
    });
    bar.finish_and_clear();
    let gates = match synthesized {
        // The log that the error names is kept.
        Err(error @ gates::GatesError::Run(RunError::Failed { .. })) => {
            let _ = folder.keep();
            return Err(error.into());
        }
        Err(gates::GatesError::Run(RunError::Stopped(tool))) => {
            return Err(Interrupted(format!("while {tool} ran; nothing was written")).into());
        }
        synthesized => synthesized?,
    };
    ui.note(format!("gates: building {} cells with Verilator", gates.cells.values().sum::<u64>()));
    let stalls = Stalls::random(ui.seed() + 1);
    let cycles = timing::cycles(&design.stages, pixels.dim().0, &stalls);
    let found = verilated(&gates.emission)?.run(design, pixels, &stalls)?;
    compare("the synthesized circuit", design, &design.beats(values.iter().copied(), &cycles), &found)?;
    Ok(gates.cells)
}

/// Chooses frames for the circuit and says how many are adversarial: stored adversaries, or test images and
/// adversaries of them in turn, or random images.
fn rtl_frames(ui: &Ui, engine: &Engine, images: Option<&Images>, frames: &Frames) -> (Array4<u8>, usize) {
    let count = frames.rtl;
    if let Some(stored) = &frames.stored {
        let chosen: Vec<usize> = (0..count).map(|i| i * stored.dim().0 / count).collect();
        return (stored.select(Axis(0), &chosen), count);
    }
    let Some(images) = images else { return (random::images(0, count, engine.network().input()), 0) };
    let clean: Vec<usize> = (0..count).map(|i| (i / 2) % images.len()).collect();
    let mut pixels = images.pixels.select(Axis(0), &clean);
    let attacked: Vec<usize> = clean.iter().copied().skip(1).step_by(2).collect();
    if !attacked.is_empty() {
        let found = adversaries(
            &WhiteBox::new(engine.network()),
            images,
            &attacked,
            &Single::new("pgd", 8, ui.seed()),
        );
        pixels.slice_mut(s![1..;2, .., .., ..]).assign(&found);
    }
    (pixels, attacked.len())
}

/// Returns the cycles between the last beats of the last two frames.
fn measured_interval(design: &Design, beats: &[Beat]) -> Option<u64> {
    let before = beats.len().checked_sub(1 + design.output_beats())?;
    Some(beats.last()?.cycle - beats[before].cycle)
}

fn compare(what: &str, design: &Design, expected: &[Beat], found: &Outcome) -> Result<()> {
    let per_frame = design.output_beats();
    for (i, (e, f)) in expected.iter().zip(&found.beats).enumerate() {
        if e != f {
            bail!(
                "node `{}`, frame {}, output beat {}: the simulator has {} in cycle {} (last: {}), \
                 {what} {} in cycle \
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
