//! Runs a suite: attacks block by block, clips what they propose to the ball, asks the network under attack,
//! and writes down what became of every image. Results depend on the seed alone: not on threads, blocks or
//! stops.

use super::check::{SuiteError, check, check_earlier, check_settings};
use super::plan::{blank_run, pairs, substitute_of};
use super::spec::{Adversary, Progress, Single, Subject, Suite, Watch};
use crate::attack::doubts::doubts;
use crate::attack::{Candidates, Task, find};
use crate::ball::{Norm, clip};
use crate::gradient::GradientSource;
use crate::report::{self, Outcome, Report, Run, Tally, Watched};
use dq_data::Images;
use ndarray::{Array4, Axis};
use std::sync::atomic::Ordering;

/// Number of images that the driver attacks between two looks at the stop flag; attacks look more often.
const BLOCK: usize = 64;

/// Runs `suite` on `subject`.
///
/// `earlier` is a report of the same suite that was stopped: what it holds is kept. Set the watch's `stop`
/// and the report comes back with `complete: false`; it can be given again as `earlier`.
pub fn run<'a>(
    subject: &'a Subject<'a>,
    suite: &'a Suite,
    earlier: Option<Report>,
    watch: Watch<'a>,
) -> Result<Report, SuiteError> {
    let norm = check(subject, suite)?;
    let report = match earlier {
        Some(report) => {
            check_earlier(&report, subject, suite, norm)?;
            report
        }
        None => blank(subject, suite, norm),
    };
    let positions = match suite.shard {
        Some(shard) => shard.positions(subject.images.len()).collect(),
        None => (0..subject.images.len()).collect(),
    };
    let mut driver = Driver { subject, suite, norm, plan: pairs(suite), positions, watch, report };
    let mut is_stopped = driver.classify();
    for n in 0..driver.plan.len() {
        if is_stopped {
            break;
        }
        is_stopped = driver.attack(n)?;
    }
    Ok(driver.finish())
}

/// Proposes the clipped adversaries of `images` (at positions `indices` of their data set) by the gradients
/// of `source`: the very images that [`run`] judges.
///
/// # Panics
/// If no attack has the name.
pub fn adversaries(
    source: &dyn GradientSource,
    images: &Images,
    indices: &[usize],
    attack: &Single,
) -> Array4<u8> {
    propose((source, None), images, indices, attack).images
}

/// Holds a suite that is running.
struct Driver<'a> {
    subject: &'a Subject<'a>,
    suite: &'a Suite,
    norm: Norm,
    /// Attacks and radii, in the order in which they run.
    plan: Vec<(&'a str, u8)>,
    /// The attacked images' places in the data set.
    positions: Vec<usize>,
    watch: Watch<'a>,
    report: Report,
}

impl Driver<'_> {
    /// Classifies the images as they are. Says whether it was stopped.
    fn classify(&mut self) -> bool {
        let mut is_stopped = false;
        while self.report.clean_labels.len() < self.positions.len() && !is_stopped {
            let first = self.report.clean_labels.len();
            let block = first..self.positions.len().min(first + 4 * BLOCK);
            let pixels = self.subject.images.pixels.select(Axis(0), &self.positions[block]);
            for verdict in self.subject.target.judge(pixels.view()) {
                self.report.clean_labels.push(verdict.label as u32);
                self.report.clean_ties += usize::from(verdict.tie);
                if let (Some(detector), Some(label)) = (&mut self.report.detector, verdict.squeezed) {
                    detector.squeezed_labels.push(label as u32);
                }
            }
            is_stopped = self.tell("", 0, self.report.clean_labels.len(), 0);
        }
        let labels = self.report.clean_labels.iter().enumerate();
        let correct = labels.filter(|(i, label)| self.is_right(*i, **label)).count();
        self.report.clean = Tally::new(correct, self.report.clean_labels.len());
        if let Some(detector) = &mut self.report.detector {
            detector.count(&self.report.clean_labels);
        }
        is_stopped
    }

    /// Runs attack `n` of the plan to its end. Says whether it was stopped.
    fn attack(&mut self, n: usize) -> Result<bool, SuiteError> {
        let (name, eps) = self.plan[n];
        let substitute = substitute_of(self.subject, name).map(|substitute| substitute.source);
        let place = self.place(blank_run(self.subject, self.suite, name, eps))?;
        let broken_before = self.broken_before(place);
        let single = Single {
            attack: name,
            eps,
            seed: self.suite.seed,
            start: self.suite.start,
            stop: self.watch.stop,
        };
        let mut is_stopped = false;
        while self.report.runs[place].outcomes.len() < self.positions.len() && !is_stopped {
            let first = self.report.runs[place].outcomes.len();
            let before: Vec<Option<Outcome>> = (first..self.positions.len().min(first + BLOCK))
                .map(|i| match self.is_right(i, self.report.clean_labels[i]) {
                    false => Some(Outcome::Misclassified),
                    true => broken_before[i].then_some(Outcome::LeftOut),
                })
                .collect();
            let tried: Vec<usize> =
                (first..).zip(&before).filter(|(_, b)| b.is_none()).map(|(i, _)| i).collect();
            let indices: Vec<usize> = tried.iter().map(|&i| self.positions[i]).collect();
            let sources = (self.subject.target as &dyn GradientSource, substitute);
            let found = propose(sources, self.subject.images, &indices, &single);
            if self.watch.stop.load(Ordering::Relaxed) {
                // The run was stopped inside this block: the block is attacked again when the run goes on.
                is_stopped = true;
                break;
            }
            self.judge(place, &before, &indices, &found);
            is_stopped = self.tell(name, eps, self.report.runs[place].outcomes.len(), n);
        }
        self.report.runs[place].count();
        Ok(is_stopped)
    }

    /// Asks the network about the proposals of one block, for the images at `indices`, and writes down what
    /// became of each image: what it was `before`, where it was not attacked.
    fn judge(&mut self, place: usize, before: &[Option<Outcome>], indices: &[usize], found: &Candidates) {
        let run = &mut self.report.runs[place];
        run.zero_gradients += found.zero_gradient.iter().filter(|zero| **zero).count();
        run.queries.extend(&found.queries);
        let target = self.subject.target;
        let verdicts = if indices.is_empty() { vec![] } else { target.judge(found.images.view()) };
        let mut verdicts = verdicts.into_iter().zip(found.images.outer_iter()).zip(indices);
        for before in before {
            if let Some(outcome) = before {
                run.outcomes.push(*outcome);
                continue;
            }
            let ((verdict, image), &index) = verdicts.next().expect("one per attacked image");
            run.ties += usize::from(verdict.tie);
            if verdict.label == usize::from(self.subject.images.labels[index]) {
                run.outcomes.push(Outcome::Survived);
                continue;
            }
            if verdict.is_flagged() {
                run.outcomes.push(Outcome::Detected);
                continue;
            }
            run.outcomes.push(Outcome::Broken);
            run.broken_labels.push(verdict.label as u32);
            let (attack, eps) = (run.attack.as_str(), run.eps);
            (self.watch.keep)(Adversary { attack, norm: self.norm, eps, run: place, index, image });
        }
    }

    /// Returns the place of `run` in the report, to which it is added if it is new.
    fn place(&mut self, run: Run) -> Result<usize, SuiteError> {
        if let Some(place) = self.report.runs.iter().position(|other| other.is_same(&run)) {
            check_settings(&self.report.runs[place], &run)?;
            return Ok(place);
        }
        self.report.runs.push(run);
        Ok(self.report.runs.len() - 1)
    }

    /// Says for each image whether a sequential suite broke it at the same radius before the run at `place`. An
    /// attack that does not know the detector takes a changed label for a success.
    fn broken_before(&self, place: usize) -> Vec<bool> {
        let mut broken = vec![false; self.positions.len()];
        let (runs, eps) = (&self.report.runs[..place], self.report.runs[place].eps);
        for run in runs.iter().filter(|run| self.suite.sequential && run.eps == eps) {
            let outcomes = broken.iter_mut().zip(run.outcomes.iter());
            let is_blind = run.unaware && self.report.runs[place].unaware;
            outcomes.for_each(|(broken, outcome)| {
                *broken |= *outcome == Outcome::Broken || (is_blind && *outcome == Outcome::Detected);
            });
        }
        broken
    }

    /// Returns whether `label` is the true one of attacked image `i`.
    fn is_right(&self, i: usize, label: u32) -> bool {
        label == u32::from(self.subject.images.labels[self.positions[i]])
    }

    /// Tells the watch how far the suite is. Says whether to stop.
    fn tell(&self, attack: &str, eps: u8, done: usize, runs_done: usize) -> bool {
        let (images, runs) = (self.positions.len(), self.plan.len());
        (self.watch.progress)(Progress { attack, eps, done, images, runs_done, runs });
        self.watch.stop.load(Ordering::Relaxed)
    }

    /// Sums up the runs.
    fn finish(self) -> Report {
        let (mut report, images) = (self.report, self.positions.len());
        report.complete = report.clean_labels.len() == images
            && report.runs.len() >= self.plan.len()
            && report.runs.iter().all(|run| run.outcomes.len() == images);
        report.worst = report::worst(&report.runs, images);
        report.doubts = doubts(&report.runs, images);
        report
    }
}

/// Proposes clipped adversaries of the target, the first of `sources`, by the gradients of the second or its
/// own.
fn propose(
    (target, substitute): (&dyn GradientSource, Option<&dyn GradientSource>),
    images: &Images,
    indices: &[usize],
    single: &Single,
) -> Candidates {
    let name = single.attack;
    let attack = find(name).unwrap_or_else(|| panic!("no attack is called `{name}`"));
    let originals = images.pixels.select(Axis(0), indices);
    let labels: Vec<u8> = indices.iter().map(|&i| images.labels[i]).collect();
    let task = Task {
        images: originals.view(),
        labels: &labels,
        indices,
        norm: attack.norm,
        eps: single.eps,
        top: target.input().top(),
        target,
        source: substitute.unwrap_or(target),
        is_white_box: substitute.is_none(),
        start: single.start,
        seed: single.seed,
        name,
        stop: single.stop,
    };
    if indices.is_empty() {
        return task.start();
    }
    let mut found = (attack.run)(&task);
    clip(attack.norm, &mut found.images, originals.view(), single.eps, task.top);
    found
}

/// Starts a report without runs.
fn blank(subject: &Subject, suite: &Suite, norm: Norm) -> Report {
    let guard = subject.target.guard();
    Report {
        format: report::FORMAT.into(),
        version: report::VERSION,
        suite_version: report::SUITE_VERSION,
        threat_model: report::threat_model(norm, subject.target.input(), guard.is_some()),
        model: subject.target.model(),
        data: subject.images.into(),
        seed: suite.seed,
        start: suite.start,
        sequential: suite.sequential,
        shard: suite.shard,
        clean_labels: Vec::new(),
        clean_ties: 0,
        clean: Tally::default(),
        detector: guard.map(|guard| Watched { squeezing: guard.squeezing, ..Watched::default() }),
        runs: Vec::new(),
        worst: Vec::new(),
        doubts: Vec::new(),
        complete: false,
    }
}
