//! Lists the runs of a suite before any of them is made, so that a report that was begun can be held against
//! what is asked for now.

use super::check::{SuiteError, check, mismatch};
use super::spec::{Subject, Substitute, Suite};
use crate::attack::find;
use crate::gradient::{GradientSource, Precision};
use crate::report::{Outcomes, Rate, Report, Run, Tally};
use serde_json::Value;
use std::collections::BTreeMap;

/// Lists the runs that [`run`](super::run) adds to a report, in order and without outcomes.
///
/// # Errors
/// If the suite cannot run on the subject.
pub fn planned(subject: &Subject, suite: &Suite) -> Result<Vec<Run>, SuiteError> {
    check(subject, suite)?;
    Ok(pairs(suite).into_iter().map(|(name, eps)| blank_run(subject, suite, name, eps)).collect())
}

/// Checks that the runs of an earlier report are the first of those that are `planned`, in their order.
pub fn check_begun(earlier: &Report, planned: &[Run]) -> Result<(), SuiteError> {
    let runs = &earlier.runs;
    if runs.len() <= planned.len() && runs.iter().zip(planned).all(|(run, other)| run.is_same(other)) {
        return Ok(());
    }
    let list = |runs: &[Run]| runs.iter().map(Run::identity).collect::<Vec<_>>().join(", ");
    Err(mismatch("runs of the earlier report", format!("the first of {}", list(planned)), list(runs)))
}

/// Lists attacks and radii; one named twice is run once.
pub(super) fn pairs(suite: &Suite) -> Vec<(&str, u8)> {
    let mut pairs: Vec<(&str, u8)> = Vec::new();
    for pair in suite.attacks.iter().flat_map(|name| suite.eps.iter().map(move |&eps| (name.as_str(), eps))) {
        if !pairs.contains(&pair) {
            pairs.push(pair);
        }
    }
    pairs
}

/// Returns the substitute whose gradients the attack called `name` uses, if it uses any.
pub(super) fn substitute_of<'a>(subject: &Subject<'a>, name: &str) -> Option<Substitute<'a>> {
    subject.substitute.filter(|_| find(name).expect("checked").gradient)
}

/// Starts a run without outcomes.
pub(super) fn blank_run(subject: &Subject, suite: &Suite, name: &str, eps: u8) -> Run {
    let substitute = substitute_of(subject, name);
    let guard = subject.target.guard();
    Run {
        attack: name.into(),
        eps,
        source: substitute.map(|substitute| substitute.name.to_owned()),
        source_hash: substitute.and_then(|substitute| substitute.content_hash.map(str::to_owned)),
        settings: settings(subject, suite, name, eps),
        outcomes: Outcomes::default(),
        broken_labels: Vec::new(),
        queries: Vec::new(),
        ties: 0,
        zero_gradients: 0,
        tally: Tally::default(),
        unaware: guard.as_ref().is_some_and(|guard| !guard.is_known),
        detected: guard.map(|_| Rate::default()),
    }
}

/// Lists every hyper-parameter of a run.
fn settings(subject: &Subject, suite: &Suite, name: &str, eps: u8) -> BTreeMap<String, Value> {
    let attack = find(name).expect("checked");
    let mut settings: BTreeMap<String, Value> = (attack.settings)(eps, suite.start).into_iter().collect();
    let substitute = substitute_of(subject, name);
    let source = substitute.map_or(subject.target as &dyn GradientSource, |substitute| substitute.source);
    // The precision is written only where it is not the default, so that reports of older versions stay as
    // they are.
    if attack.gradient && source.precision() != Precision::default() {
        settings.insert("gradients".into(), source.precision().name().into());
    }
    if let Some(engine) = source.engine().filter(|_| attack.gradient) {
        settings.insert("engine".into(), engine.into());
    }
    settings
}
