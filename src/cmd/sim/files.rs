//! Writes what `dq sim` has beside its result: scores, beats and waves, each file whole or not at all.

use crate::shared::circuit::simulators;
use crate::shared::npz;
use anyhow::{Context, Result};
use dq_data::Images;
use dq_hdl::design::{Beat, Design, Outcome};
use dq_hdl::stalls::Stalls;
use dq_hdl::verilator::{Simulator, Waves};
use dq_hdl::{emit, netlist};
use ndarray::{Array1, Array2};
use std::path::Path;

/// Writes scores and labels to `path`, whole or not at all.
pub fn write_scores(path: &Path, scores: &Array2<i32>, labels: &[usize], images: &Images) -> Result<()> {
    let labels: Array1<u32> = labels.iter().map(|&label| label as u32).collect();
    let indices: Array1<u64> = (0..images.len() as u64).collect();
    let truth = Array1::from(images.labels.clone());
    npz::write(path, |file| {
        file.add_array("scores", scores)?;
        file.add_array("labels", &labels)?;
        file.add_array("truth", &truth)?;
        file.add_array("indices", &indices)
    })
}

/// Writes every beat to `path`, whole or not at all.
pub fn write_beats(path: &Path, beats: &[Beat], per_frame: usize) -> Result<()> {
    let line = |(i, beat): (usize, &Beat)| {
        format!("{},{},{},{}\n", i / per_frame, i % per_frame, beat.cycle, beat.value)
    };
    let text: String = beats.iter().enumerate().map(line).collect();
    dq_net::atomic::write(path, format!("frame,beat,cycle,value\n{text}").as_bytes())
        .with_context(|| format!("{}: writing the beats", path.display()))
}

/// Runs the netlist and writes its waves to `path`, whole or not at all.
pub fn trace(design: &Design, images: &Images, stalls: &Stalls, path: &Path) -> Result<Outcome> {
    let mut outcome = None;
    dq_net::atomic::write_with(path, |file| {
        outcome =
            Some(netlist::trace(design, images.pixels.view(), stalls, file).map_err(std::io::Error::other)?);
        Ok(())
    })
    .with_context(|| format!("{}: writing the waves", path.display()))?;
    outcome.context("the simulation gave nothing")
}

/// Runs the Verilog in Verilator and writes its waves to `path`, whole or not at all.
pub fn waves(
    design: &Design,
    images: &Images,
    stalls: &Stalls,
    format: Waves,
    path: &Path,
) -> Result<Outcome> {
    let context = || format!("{}: writing the waves", path.display());
    let file = dq_net::atomic::Pending::new(path).with_context(context)?;
    let simulator = Simulator::traced(&emit::emit(design), &simulators()?, format, file.path())?;
    let outcome = simulator.run(design, images.pixels.view(), stalls)?;
    file.publish().with_context(context)?;
    Ok(outcome)
}
