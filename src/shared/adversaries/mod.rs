//! Reads and writes files of adversaries: uint8 images that any tool can read (npz), with what they are
//! adversaries of. Those of other tools are judged like our own: in the ball, and by the integer network's
//! label.

mod npz;
mod read;

pub use read::Read;

use anyhow::{Result, bail};
use dq_data::Images;
use dq_sim::attack::Norm;
use dq_sim::attack::suite::Adversary;
use dq_sim::report::{Outcome, Report};
use ndarray::{Array1, Array4, Ix1};
use npz::Npz;
use std::path::Path;

/// Balls in the file are written as the exponent of their norm; 0 stands for the largest difference.
const LINF: u8 = 0;
const L2: u8 = 2;

/// Holds adversaries, in the order in which they were found.
#[derive(Debug, Default)]
pub struct Adversaries {
    pixels: Vec<u8>,
    indices: Vec<u64>,
    labels: Vec<u8>,
    norms: Vec<u8>,
    eps: Vec<u8>,
    runs: Vec<u32>,
}

impl Adversaries {
    /// Adds one, whose original has the true label `label`.
    pub fn push(&mut self, found: Adversary, label: u8) {
        self.pixels.extend(found.image.iter());
        self.indices.push(found.index as u64);
        self.labels.push(label);
        self.norms.push(if found.norm == Norm::L2 { L2 } else { LINF });
        self.eps.push(found.eps);
        self.runs.push(found.run as u32);
    }

    /// Writes all to `path`: `images` (N × H × W × C), `indices` into the test set, true `labels`, `eps`,
    /// `runs`, the places in the report's list, and where they are Euclidean `norms` (0: largest difference,
    /// 2: Euclidean distance).
    pub fn write(self, path: &Path, shape: [usize; 3]) -> Result<()> {
        let images = Array4::from_shape_vec((self.indices.len(), shape[0], shape[1], shape[2]), self.pixels);
        let images = images.expect("a whole image each");
        super::npz::write(path, |npz| {
            npz.add_array("images", &images)?;
            npz.add_array("indices", &Array1::from(self.indices))?;
            npz.add_array("labels", &Array1::from(self.labels))?;
            if self.norms.contains(&L2) {
                npz.add_array("norms", &Array1::from(self.norms))?;
            }
            npz.add_array("eps", &Array1::from(self.eps))?;
            npz.add_array("runs", &Array1::from(self.runs))
        })
    }

    /// Reads those that a stopped attack on `images` kept in `path` beside `report`, to add to them.
    ///
    /// # Errors
    /// Where they are not the very images that the report calls broken.
    pub fn resume(path: &Path, images: &Images, report: &Report) -> Result<Adversaries> {
        let mut npz = Npz::open(path)?;
        let read = Read::parse(&mut npz, images, 0)?;
        let runs = npz.integers::<u32, Ix1>("runs", "whole numbers from 0, N")?.to_vec();
        let positions: Vec<usize> = match report.shard {
            Some(shard) => shard.positions(images.len()).collect(),
            None => (0..images.len()).collect(),
        };
        for (n, run) in report.runs.iter().enumerate() {
            let outcomes = positions.iter().zip(run.outcomes.iter());
            let broken =
                outcomes.filter(|(_, found)| **found == Outcome::Broken).map(|(position, _)| position);
            let kept = runs.iter().zip(&read.indices).filter(|(run, _)| **run as usize == n);
            if !broken.eq(kept.map(|(_, index)| index)) {
                bail!(
                    "{}: expected the images that run {n} of the unfinished report broke ({} at eps {}), \
                     found others",
                    path.display(),
                    run.title(),
                    run.eps
                );
            }
        }
        let norm = |norm: &Norm| if *norm == Norm::L2 { L2 } else { LINF };
        Ok(Adversaries {
            labels: read.indices.iter().map(|&index| images.labels[index]).collect(),
            pixels: read.images.into_iter().collect(),
            indices: read.indices.iter().map(|&index| index as u64).collect(),
            norms: read.norms.iter().map(norm).collect(),
            eps: read.eps,
            runs,
        })
    }
}
