//! Merges the reports of all shards of a suite into the one that a single process would have written. Never
//! attacks.

use super::doubts::doubts;
use crate::report::{self, Outcome, Outcomes, Report, Run, Shard, Tally, Watched};
use thiserror::Error;

/// Says why reports are not the shards of one suite. Reports are numbered from 0, in the order in which they
/// were given.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum MergeError {
    /// There is no report.
    #[error("no report to merge")]
    Empty,
    /// A report covers all images already.
    #[error("expected a shard, found a report of all images")]
    Whole(usize),
    /// A report was stopped.
    #[error("expected a complete shard, found one that was stopped: go on with it first (--resume)")]
    Stopped(usize),
    /// A report belongs to another suite.
    #[error("{field}: expected {expected}, as the first report has, found {found}")]
    Other {
        /// The report's number.
        report: usize,
        /// The field that differs.
        field: &'static str,
        /// The first report's value.
        expected: String,
        /// This report's value.
        found: String,
    },
    /// A report's lists do not have the length of its shard.
    #[error("expected {expected} images as its shard has, found {found}")]
    Length {
        /// The report's number.
        report: usize,
        /// Number of images in the shard.
        expected: usize,
        /// Number of images in the report.
        found: usize,
    },
    /// A shard is missing or given more than once.
    #[error("shard {index} of {count} is there {times} times, expected once")]
    Shards {
        /// The shard's number, from 1.
        index: usize,
        /// Number of shards.
        count: usize,
        /// How often the shard was given.
        times: usize,
    },
}

/// Returns the report that one process would have written.
pub fn merge(mut reports: Vec<Report>) -> Result<Report, MergeError> {
    let first = reports.first().cloned().ok_or(MergeError::Empty)?;
    let Some(Shard { count, .. }) = first.shard else { return Err(MergeError::Whole(0)) };
    for (n, report) in reports.iter().enumerate() {
        check(&first, n, report)?;
        check_sources(&reports[..n], n, report)?;
    }
    for index in 1..=count {
        let times = reports.iter().filter(|report| report.shard.is_some_and(|s| s.index == index)).count();
        if times != 1 {
            return Err(MergeError::Shards { index, count, times });
        }
    }
    reports.sort_by_key(|report| report.shard.map(|shard| shard.index));
    let images = first.data.images;
    let mut labels: Vec<_> = reports.iter().map(|report| report.clean_labels.iter()).collect();
    let clean_labels: Vec<u32> = (0..images).filter_map(|i| labels[i % count].next().copied()).collect();
    let runs: Vec<Run> = (0..first.runs.len())
        .map(|r| run(&reports.iter().map(|report| &report.runs[r]).collect::<Vec<_>>(), images))
        .collect();
    let correct = reports.iter().map(|report| report.clean.correct).sum();
    let detector = detector(&reports, &clean_labels);
    Ok(Report {
        shard: None,
        clean_ties: reports.iter().map(|report| report.clean_ties).sum(),
        clean: Tally::new(correct, clean_labels.len()),
        clean_labels,
        detector,
        worst: report::worst(&runs, images),
        doubts: doubts(&runs, images),
        runs,
        ..first
    })
}

/// Joins what the detector did without attack in the shards, in their order.
fn detector(reports: &[Report], clean_labels: &[u32]) -> Option<Watched> {
    let mut joined = reports.first()?.detector.clone()?;
    let mut labels: Vec<_> = reports
        .iter()
        .map(|report| report.detector.iter().flat_map(|detector| detector.squeezed_labels.iter().copied()))
        .collect();
    let shards = labels.len();
    joined.squeezed_labels = (0..clean_labels.len()).filter_map(|i| labels[i % shards].next()).collect();
    joined.count(clean_labels);
    Some(joined)
}

/// Checks that report number `n` is a whole shard of the suite that `first` is a shard of.
fn check(first: &Report, n: usize, report: &Report) -> Result<(), MergeError> {
    let shard = report.shard.ok_or(MergeError::Whole(n))?;
    let fields = |report: &Report| {
        let settings: Vec<_> =
            report.runs.iter().map(|run| (&run.attack, run.eps, run.settings.clone())).collect();
        [
            ("number of shards", report.shard.map_or(0, |shard| shard.count).to_string()),
            ("version", format!("{} {} {}", report.format, report.version, report.suite_version)),
            ("network", format!("{:?}", report.model)),
            ("data", format!("{:?}", report.data)),
            ("detector", format!("{:?}", report.detector.as_ref().map(|detector| &detector.squeezing))),
            ("seed", report.seed.to_string()),
            ("start", format!("{:?}", report.start)),
            ("sequential", report.sequential.to_string()),
            ("runs", format!("{settings:?}")),
        ]
    };
    for ((field, expected), (_, found)) in fields(first).into_iter().zip(fields(report)) {
        if expected != found {
            return Err(MergeError::Other { report: n, field, expected, found });
        }
    }
    if !report.complete {
        return Err(MergeError::Stopped(n));
    }
    if shard.index == 0 || shard.index > shard.count {
        let (index, count) = (shard.index, shard.count);
        return Err(MergeError::Shards { index, count, times: 1 });
    }
    let expected = shard.positions(report.data.images).count();
    let lengths = report.runs.iter().map(|run| run.outcomes.len()).chain([report.clean_labels.len()]);
    match lengths.into_iter().find(|&found| found != expected) {
        Some(found) => Err(MergeError::Length { report: n, expected, found }),
        None => Ok(()),
    }
}

/// Checks that the runs of report number `n` used the gradients of the same networks as those `before` it.
fn check_sources(before: &[Report], n: usize, report: &Report) -> Result<(), MergeError> {
    for (r, run) in report.runs.iter().enumerate() {
        let mut others = before.iter().filter_map(|other| other.runs.get(r));
        if let Some(other) = others.find(|other| !other.is_same(run)) {
            let (expected, found) = (other.identity(), run.identity());
            return Err(MergeError::Other { report: n, field: "runs", expected, found });
        }
    }
    Ok(())
}

/// Joins one run of all shards, in the images' order.
fn run(shards: &[&Run], images: usize) -> Run {
    let mut outcomes: Vec<_> = shards.iter().map(|run| run.outcomes.iter().copied()).collect();
    let mut labels: Vec<_> = shards.iter().map(|run| run.broken_labels.iter()).collect();
    let mut queries: Vec<_> = shards.iter().map(|run| run.queries.iter()).collect();
    let mut merged = Run {
        outcomes: Outcomes::default(),
        broken_labels: vec![],
        queries: vec![],
        ties: shards.iter().map(|run| run.ties).sum(),
        zero_gradients: shards.iter().map(|run| run.zero_gradients).sum(),
        ..shards[0].clone()
    };
    for shard in (0..images).map(|i| i % shards.len()) {
        let Some(outcome) = outcomes[shard].next() else { continue };
        merged.outcomes.push(outcome);
        if outcome == Outcome::Broken {
            merged.broken_labels.extend(labels[shard].next());
        }
        if matches!(outcome, Outcome::Survived | Outcome::Broken | Outcome::Detected) {
            merged.queries.extend(queries[shard].next());
        }
    }
    merged.count();
    merged
}
