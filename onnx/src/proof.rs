//! Proves that the integer network is the graph: both sides of every threshold through the chain in exact
//! arithmetic, and whole images through the interpreter.

use crate::graph::Graph;
use crate::interpret::interpret;
use crate::lower::{Head, Image, Staircase};
use crate::number::{Q, Real, whole};
use crate::row::Row;
use crate::watch::{Part, Watch};
use dq_net::{LayerProof, Network, Proof, random};
use ndarray::Array3;
use num_traits::{Signed, ToPrimitive};
use rayon::prelude::*;
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// Multiply-accumulates of all probes together.
const PROBE_MACS: u64 = 1 << 28;

/// Why a network is not proved.
pub enum Doubt {
    /// It is not the graph.
    Differs(String),
    /// The graph has values beyond what the exact arithmetic here holds.
    Beyond(String),
}

impl From<String> for Doubt {
    fn from(reason: String) -> Self {
        Doubt::Beyond(reason)
    }
}

/// One Step of the import.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StepReport {
    /// Name of the Step.
    pub node: String,
    /// Bits of a level.
    pub bits: u8,
    /// Channels.
    pub channels: usize,
    /// Thresholds that some accumulator crosses.
    pub thresholds: u64,
    /// Accumulators of the range, over all channels.
    pub accumulators: u64,
    /// Accumulators, over all channels, that the same functions in float32 put on the other side of a
    /// threshold.
    pub float32_differs: u64,
    /// Accumulators, over all channels, that lie on a threshold exactly: sums in float32, which round, may put
    /// them on either side.
    pub ties: u64,
}

/// Checks every threshold of a Step on both sides, and compares with float32.
pub fn check_step(staircase: &Staircase, watch: Watch) -> Result<(LayerProof, StepReport), Doubt> {
    let step = &staircase.step;
    let (channels, count) = step.thresholds.dim();
    let check = |c| {
        watch.check()?;
        let row = check_channel(staircase, c)?;
        watch.done();
        Ok::<_, Doubt>(row)
    };
    let rows: Vec<Counts> = (0..channels).into_par_iter().map(check).collect::<Result<_, _>>()?;
    let range = staircase.input;
    let proof = LayerProof {
        node: staircase.name.clone(),
        boundaries: (channels * count) as u64,
        acc_lo: range.lo,
        acc_hi: range.hi,
    };
    let report = StepReport {
        node: staircase.name.clone(),
        bits: step.bits,
        channels,
        thresholds: rows.iter().map(|r| r.crossed).sum(),
        accumulators: channels as u64 * (range.hi - range.lo + 1) as u64,
        float32_differs: rows.iter().map(|r| r.differs).sum(),
        ties: rows.iter().map(|r| r.ties).sum(),
    };
    Ok((proof, report))
}

/// What is counted of a channel.
#[derive(Default)]
struct Counts {
    /// Thresholds that some accumulator crosses.
    crossed: u64,
    /// Accumulators that float32 puts on the other side of a threshold.
    differs: u64,
    /// Accumulators that lie on a threshold exactly.
    ties: u64,
}

fn check_channel(staircase: &Staircase, c: usize) -> Result<Counts, String> {
    let (step, chain) = (&staircase.step, &staircase.chain);
    let dir = i64::from(step.dir[c]);
    let range = staircase.input.directed(step.dir[c]);
    let (row, float) = (Row::new(chain, c), chain.float(c));
    let mut known: BTreeMap<i64, (i64, bool)> = BTreeMap::new();
    let mut number = |v: i64| -> Result<i64, String> {
        if let Some(&(number, _)) = known.get(&v) {
            return Ok(number);
        }
        let found = match &row {
            Some(row) => row.number(dir * v)?,
            None => (chain.exact(c, dir * v)?.floor().to_i64().ok_or("levels of more than 63 bits")?, false),
        };
        known.insert(v, found);
        Ok(found.0)
    };
    let mut counts = Counts::default();
    for (k, &threshold) in step.thresholds.row(c).iter().enumerate() {
        let (t, wanted) = (i64::from(threshold), staircase.base + 1 + k as i64);
        let reached = t > range.hi || number(t)? >= wanted;
        let before = t > range.lo && number(t - 1)? >= wanted;
        if !reached || before {
            let place = format!("node `{}`, channel {c}, threshold {k} at {t}", staircase.name);
            return Err(format!("{place}: expected level {} from there on", k + 1));
        }
        counts.crossed += u64::from(t > range.lo && t <= range.hi);
        counts.differs += float_distance(&|v| float(dir * v) >= wanted as f32, t, (range.lo, range.hi));
    }
    counts.ties = known.values().filter(|found| found.1).count() as u64;
    Ok(counts)
}

/// Returns how many accumulators a monotone float32 test puts on the other side of threshold `t`.
fn float_distance(test: &dyn Fn(i64) -> bool, t: i64, (lo, hi): (i64, i64)) -> u64 {
    // Left and right bounds of the first accumulator that passes, widened until they hold it.
    let mut reach = 1;
    let (mut left, mut right) = (t - 1, t);
    while left >= lo && test(left) {
        (left, right) = ((t - 1 - reach).max(lo - 1), left);
        reach *= 2;
    }
    reach = 1;
    while right <= hi && !test(right) {
        (left, right) = (right, (t + reach).min(hi + 1));
        reach *= 2;
    }
    while right - left > 1 {
        let middle = left + (right - left) / 2;
        if test(middle) { right = middle } else { left = middle }
    }
    right.abs_diff(t)
}

/// Compares network and graph on whole images; returns how many.
pub fn probe(
    graph: &Graph,
    image: &Image,
    head: &Head,
    network: &Network,
    watch: Watch,
) -> Result<u64, Doubt> {
    let macs: u64 = (0..network.nodes().len()).map(|i| network.macs(i)).sum();
    let count = (PROBE_MACS / macs.max(1)).clamp(1, 30);
    let (shape, top) = (image.input.shape, image.input.top());
    let mut images = vec![Array3::zeros(shape.dim()), Array3::from_elem(shape.dim(), top)];
    images.extend((0..count).map(|seed| random::image(seed, image.input)));
    let check = |(n, pixels): (usize, &Array3<u8>)| -> Result<(), Doubt> {
        let pixels_in_order = pixels.as_slice().expect("in order");
        let mut wanted = interpret(graph, image, pixels_in_order, &head.tensor, watch)?;
        if head.beside_zero {
            wanted.insert(0, Real::whole(0));
        }
        let scores = network.eval(pixels.view());
        if wanted.len() != scores.len() {
            let reason = format!("image {n}: expected {} scores, found {}", wanted.len(), scores.len());
            return Err(Doubt::Differs(reason));
        }
        for (class, (wanted, &score)) in wanted.iter().zip(&scores).enumerate() {
            let found = head.scale.times(&whole(score)).add(&head.offset)?;
            let off = wanted.add(&found.negative())?.mul(&head.scale.reciprocal())?;
            let close = |q: &Q| q.abs() <= whole(head.tolerance);
            if *wanted != found && (head.tolerance == 0 || !off.rational().is_some_and(close)) {
                return Err(Doubt::Differs(format!(
                    "image {n}, class {class}: expected {:.9e}, found {:.9e} (score {score})",
                    wanted.to_f64(),
                    found.to_f64()
                )));
            }
        }
        if !head.in_order {
            return Ok(());
        }
        let label = dq_net::layer::Logits::label(scores.iter().copied());
        for (class, other) in wanted.iter().enumerate() {
            let sign = wanted[label].add(&other.negative())?.sign();
            if sign == Ordering::Less || sign == Ordering::Equal && class < label {
                return Err(Doubt::Differs(format!("image {n}: expected label {class}, found {label}")));
            }
        }
        watch.done();
        Ok(())
    };
    watch.begins(Part::Images, images.len());
    images.par_iter().enumerate().map(check).collect::<Result<(), Doubt>>()?;
    Ok(images.len() as u64)
}

/// Proves a network; returns the proof and what is said of each Step.
pub fn prove(
    graph: &Graph,
    image: &Image,
    (steps, head): (&[Staircase], &Head),
    network: &Network,
    watch: Watch,
) -> Result<(Proof, Vec<StepReport>), Doubt> {
    let used = |s: &&Staircase| network.position(&s.name).is_some();
    let used: Vec<&Staircase> = steps.iter().filter(used).collect();
    watch.begins(Part::Channels, used.iter().map(|s| s.step.thresholds.dim().0).sum());
    let checked: Vec<_> = used.iter().map(|s| check_step(s, watch)).collect::<Result<_, _>>()?;
    let probes = probe(graph, image, head, network, watch)?;
    let (layers, reports): (Vec<LayerProof>, _) = checked.into_iter().unzip();
    let boundaries = layers.iter().map(|l| l.boundaries).sum();
    Ok((Proof { boundaries, probes, layers }, reports))
}
