//! The driver: runs attacks block by block, clips what they propose to the ball, asks the network under attack, and
//! writes down what became of every image. Results depend on the seed alone: not on threads, blocks or stops.

pub use super::checks::SuiteError;
use super::checks::{check, check_earlier, check_settings};
use super::{Attack, Candidates, NEVER, Norm, Start, Task, clip, find};
use crate::engine::Engine;
use crate::gradient::{GradientSource, Precision};
use crate::report::{self, Data, Model, Report, Run, Shard, Tally};
use dq_data::Images;
use ndarray::{Array4, ArrayView3, ArrayView4, Axis};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};

/// Images attacked between two looks at the stop flag.
const BLOCK: usize = 64;

/// A network under attack. It alone judges.
pub trait Judge: GradientSource {
    /// The label of each image (batch × height × width × channels), and whether its two largest scores tie.
    fn judge(&self, images: ArrayView4<u8>) -> Vec<Verdict>;

    /// What a report says of it.
    fn model(&self) -> Model;
}

/// What a network says of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// Arg max of the scores, the lowest index on ties.
    pub label: usize,
    /// Whether another class has the same score.
    pub tie: bool,
}

/// What to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suite {
    /// Names of [`super::ALL`].
    pub attacks: Vec<String>,
    /// Radii, in units of a uint8 pixel.
    pub eps: Vec<u8>,
    /// Seed of every random number.
    pub seed: u64,
    /// Where PGD starts.
    pub start: Start,
    /// Whether an attack leaves out what an earlier one of the suite broke at the same radius.
    pub sequential: bool,
    /// The part of the images that is attacked here; none: all.
    pub shard: Option<Shard>,
}

impl Suite {
    /// One attack at one radius, on all images.
    pub fn single(attack: &str, eps: u8, seed: u64) -> Self {
        Self {
            attacks: vec![attack.to_owned()],
            eps: vec![eps],
            seed,
            start: Start::default(),
            sequential: false,
            shard: None,
        }
    }
}

/// How far a suite is.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// The attack that runs; empty while the clean images are classified.
    pub attack: &'a str,
    /// Its radius.
    pub eps: u8,
    /// Images done in this run.
    pub done: usize,
    /// Images of a run.
    pub images: usize,
    /// Runs finished.
    pub runs_done: usize,
    /// Runs of the suite.
    pub runs: usize,
}

/// A substitute: its name, and where its gradients come from.
pub type Substitute<'a> = (&'a str, &'a dyn GradientSource);

/// An image that broke the network.
#[derive(Clone, Copy, Debug)]
pub struct Adversary<'a> {
    /// The attack that found it.
    pub attack: &'a str,
    /// Its ball.
    pub norm: Norm,
    /// Its radius.
    pub eps: u8,
    /// Place of the run that found it in the report's list.
    pub run: usize,
    /// Position of the original in the data set.
    pub index: usize,
    /// Height × width × channels.
    pub image: ArrayView3<'a, u8>,
}

/// Who looks on.
pub struct Watch<'a> {
    /// Told how far it is.
    pub progress: &'a dyn Fn(Progress),
    /// Shown each adversary as it is judged.
    pub keep: &'a mut dyn FnMut(Adversary),
    /// Set to stop.
    pub stop: &'a AtomicBool,
}

/// Runs `suite` on `images` against `target`, with gradients of `substitute` or, where there is none, of the target.
///
/// `earlier` is a report of the same suite that was stopped: what it holds is kept. Set `stop` and the report comes back
/// with `complete: false`; it can be given again as `earlier`.
pub fn run(
    target: &dyn Judge,
    substitute: Option<Substitute>,
    images: &Images,
    suite: &Suite,
    earlier: Option<Report>,
    watch: Watch,
) -> Result<Report, SuiteError> {
    let Watch { progress, keep, stop } = watch;
    let norm = check(target, substitute, images, suite)?;
    let mut report = match earlier {
        Some(report) => {
            check_earlier(&report, target, images, suite, norm)?;
            report
        }
        None => blank(target, images, suite, norm),
    };
    let mut plan: Vec<(&str, u8)> = Vec::new();
    for pair in suite.attacks.iter().flat_map(|name| suite.eps.iter().map(move |&eps| (name.as_str(), eps))) {
        // One named twice is run once.
        if !plan.contains(&pair) {
            plan.push(pair);
        }
    }
    let positions: Vec<usize> = match suite.shard {
        Some(shard) => shard.positions(images.len()).collect(),
        None => (0..images.len()).collect(),
    };
    let tell = |attack, eps, done, runs_done| {
        progress(Progress { attack, eps, done, images: positions.len(), runs_done, runs: plan.len() });
        stop.load(Ordering::Relaxed)
    };
    let mut stopped = false;
    while report.clean_labels.len() < positions.len() && !stopped {
        let first = report.clean_labels.len();
        let block = first..positions.len().min(first + 4 * BLOCK);
        let pixels = images.pixels.select(Axis(0), &positions[block]);
        for verdict in target.judge(pixels.view()) {
            report.clean_labels.push(verdict.label as u32);
            report.clean_ties += usize::from(verdict.tie);
        }
        stopped = tell("", 0, report.clean_labels.len(), 0);
    }
    let right = |i: usize, label: u32| label == u32::from(images.labels[positions[i]]);
    let correct = report.clean_labels.iter().enumerate().filter(|(i, label)| right(*i, **label)).count();
    report.clean = Tally::new(correct, report.clean_labels.len());
    for (n, &(name, eps)) in plan.iter().enumerate() {
        if stopped {
            break;
        }
        let attack = find(name).expect("checked");
        let source = substitute.filter(|_| attack.gradient);
        let gives = source.map_or(target as &dyn GradientSource, |(_, source)| source);
        let run = fresh(name, eps, source, settings(attack, eps, suite, gives));
        let same = |other: &Run| other.attack == name && other.eps == eps && other.source == run.source;
        let position = match report.runs.iter().position(same) {
            Some(position) => {
                check_settings(&report.runs[position], &run)?;
                position
            }
            None => {
                report.runs.push(run);
                report.runs.len() - 1
            }
        };
        let before = report.runs[..position].iter().filter(|run| suite.sequential && run.eps == eps);
        let mut broken_before = vec![false; positions.len()];
        for run in before {
            broken_before.iter_mut().zip(run.outcomes.bytes()).for_each(|(broken, b)| *broken |= b == b'x');
        }
        let run = &mut report.runs[position];
        while run.outcomes.len() < positions.len() && !stopped {
            let first = run.outcomes.len();
            let block: Vec<usize> = (first..positions.len().min(first + BLOCK)).collect();
            let attacked: Vec<usize> = block
                .iter()
                .copied()
                .filter(|&i| right(i, report.clean_labels[i]) && !broken_before[i])
                .map(|i| positions[i])
                .collect();
            let sources = (target as &dyn GradientSource, source.map(|(_, source)| source));
            let found = propose(sources, images, &attacked, name, eps, suite, stop);
            if stop.load(Ordering::Relaxed) {
                // Stopped on the way: the block is attacked again when the run goes on.
                stopped = true;
                break;
            }
            run.zero_gradients += found.zero_gradient.iter().filter(|zero| **zero).count();
            run.queries.extend(&found.queries);
            let verdicts = if attacked.is_empty() { vec![] } else { target.judge(found.images.view()) };
            let mut verdicts = verdicts.into_iter().zip(found.images.outer_iter());
            for i in block {
                if !right(i, report.clean_labels[i]) {
                    run.outcomes.push('-');
                    continue;
                }
                if broken_before[i] {
                    run.outcomes.push('=');
                    continue;
                }
                let (verdict, image) = verdicts.next().expect("one an attacked image");
                run.ties += usize::from(verdict.tie);
                if right(i, verdict.label as u32) {
                    run.outcomes.push('.');
                } else {
                    run.outcomes.push('x');
                    run.broken_labels.push(verdict.label as u32);
                    keep(Adversary { attack: name, norm, eps, run: position, index: positions[i], image });
                }
            }
            stopped = tell(name, eps, run.outcomes.len(), n);
        }
        let standing = run.outcomes.bytes().filter(|b| *b == b'.').count();
        run.tally = Tally::new(standing, run.outcomes.len());
    }
    let whole = |outcomes: &Run| outcomes.outcomes.len() == positions.len();
    report.complete = report.clean_labels.len() == positions.len()
        && report.runs.len() >= plan.len()
        && report.runs.iter().all(whole);
    report.worst = report::worst(&report.runs, positions.len());
    report.doubts = report::doubts(&report.runs, positions.len());
    Ok(report)
}

/// The clipped adversaries of `images` (at positions `indices` of their data set): the very images that [`run`] judges.
///
/// # Panics
/// If there is no attack called `name`.
pub fn adversaries(
    source: &dyn GradientSource,
    images: &Images,
    indices: &[usize],
    name: &str,
    eps: u8,
    suite: &Suite,
) -> Array4<u8> {
    propose((source, None), images, indices, name, eps, suite, &NEVER).images
}

/// Clipped adversaries of the target, the first of `sources`, by the gradients of the second or its own.
fn propose(
    (target, substitute): (&dyn GradientSource, Option<&dyn GradientSource>),
    images: &Images,
    indices: &[usize],
    name: &str,
    eps: u8,
    suite: &Suite,
    stop: &AtomicBool,
) -> Candidates {
    let attack = find(name).unwrap_or_else(|| panic!("no attack is called `{name}`"));
    let originals = images.pixels.select(Axis(0), indices);
    let labels: Vec<u8> = indices.iter().map(|&i| images.labels[i]).collect();
    let task = Task {
        images: originals.view(),
        labels: &labels,
        indices,
        norm: attack.norm,
        eps,
        target,
        source: substitute.unwrap_or(target),
        white: substitute.is_none(),
        start: suite.start,
        seed: suite.seed,
        name,
        stop,
    };
    if indices.is_empty() {
        return task.start();
    }
    let mut found = (attack.run)(&task);
    clip(attack.norm, &mut found.images, originals.view(), eps);
    found
}

pub(super) fn data(images: &Images) -> Data {
    Data { name: images.name.clone(), digest: images.digest(), images: images.len() }
}

fn blank(target: &dyn Judge, images: &Images, suite: &Suite, norm: Norm) -> Report {
    Report {
        format: report::FORMAT.into(),
        version: report::VERSION,
        suite_version: report::SUITE_VERSION,
        threat_model: report::threat_model(norm),
        model: target.model(),
        data: data(images),
        seed: suite.seed,
        start: suite.start,
        sequential: suite.sequential,
        shard: suite.shard,
        clean_labels: Vec::new(),
        clean_ties: 0,
        clean: Tally::default(),
        runs: Vec::new(),
        worst: Vec::new(),
        doubts: Vec::new(),
        complete: false,
    }
}

/// Every hyper-parameter of a run whose gradients are those of `source`.
fn settings(attack: Attack, eps: u8, suite: &Suite, source: &dyn GradientSource) -> BTreeMap<String, Value> {
    let mut settings: BTreeMap<String, Value> = (attack.settings)(eps, suite.start).into_iter().collect();
    // Of what is not the default alone: reports of older versions stay what they are.
    if attack.gradient && source.precision() != Precision::default() {
        settings.insert("gradients".into(), source.precision().name().into());
    }
    settings
}

fn fresh(name: &str, eps: u8, source: Option<Substitute>, settings: BTreeMap<String, Value>) -> Run {
    Run {
        attack: name.into(),
        eps,
        source: source.map(|(name, _)| name.to_owned()),
        settings,
        outcomes: String::new(),
        broken_labels: Vec::new(),
        queries: Vec::new(),
        ties: 0,
        zero_gradients: 0,
        tally: Tally::default(),
    }
}

impl Judge for Engine {
    fn judge(&self, images: ArrayView4<u8>) -> Vec<Verdict> {
        let scores = self.scores(images);
        let verdict = |row: ndarray::ArrayView1<i32>| {
            let label = dq_net::layer::Logits::label(row.iter().copied());
            Verdict { label, tie: row.iter().filter(|score| **score == row[label]).count() > 1 }
        };
        scores.rows().into_iter().map(verdict).collect()
    }

    fn model(&self) -> Model {
        Model {
            name: self.network().name.clone(),
            kind: "integer".into(),
            content_hash: dq_net::content_hash(self.network()),
        }
    }
}
