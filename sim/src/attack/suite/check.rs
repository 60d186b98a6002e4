//! The suite's door: everything is checked here before the first image is attacked. Never runs anything.

use super::spec::{Subject, Suite};
use crate::attack::{ALL, find};
use crate::ball::Norm;
use crate::gradient::GradientSource;
use crate::report::{self, Data, Outcome, Report, Run};
use dq_net::Fault;

/// Says why a suite cannot run.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SuiteError {
    /// No attack has this name.
    #[error("unknown attack `{name}`: expected one of {known}")]
    UnknownAttack {
        /// The name that was asked for.
        name: String,
        /// The names that `attack::ALL` has.
        known: String,
    },
    /// Images, network or substitute do not fit each other.
    #[error("{what}: expected {expected}, found {found}")]
    Mismatch {
        /// What does not fit.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
}

pub(super) fn mismatch(what: &str, expected: impl ToString, found: impl ToString) -> SuiteError {
    SuiteError::Mismatch { what: what.into(), expected: expected.to_string(), found: found.to_string() }
}

/// Checks that images, network, substitute and suite fit each other. Returns the ball that all attacks of the
/// suite look in.
pub(super) fn check(subject: &Subject, suite: &Suite) -> Result<Norm, SuiteError> {
    let Subject { target, substitute, images } = *subject;
    let mut norm = None;
    for name in &suite.attacks {
        let Some(attack) = find(name) else {
            let known: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
            return Err(SuiteError::UnknownAttack { name: name.clone(), known: known.join(", ") });
        };
        let first = *norm.get_or_insert(attack.norm);
        if attack.norm != first {
            let what = format!("the ball of `{name}` (radii of two norms do not compare)");
            return Err(mismatch(&what, first.name(), attack.norm.name()));
        }
    }
    if target.guard().is_some() && !target.input().has_pixels() {
        let what = "levels of the input of a network with a detector";
        return Err(mismatch(what, "256, as pixels have", target.input().levels));
    }
    let (classes, label) = (images.classes.len(), images.labels.iter().max().copied().unwrap_or(0));
    if usize::from(label) >= classes && !images.is_empty() {
        return Err(mismatch("labels of the images", format!("below {classes}"), label));
    }
    // The user's own images may lack some of the network's classes.
    let classes = if images.fits_classes(target.classes()) { target.classes() } else { classes };
    let [height, width, channels] = images.shape();
    let shape = dq_net::Shape::new(height, width, channels);
    let substitute = substitute.map(|substitute| (substitute.name, substitute.source));
    let networks = [Some(("the network", target as &dyn GradientSource)), substitute];
    for (name, network) in networks.into_iter().flatten() {
        let input = network.input();
        if input.shape != shape {
            return Err(mismatch(&format!("image shape of {name}"), shape, input.shape));
        }
        if input.levels != target.input().levels {
            let levels = target.input().levels;
            return Err(mismatch(&format!("levels of the input of {name}"), levels, input.levels));
        }
        if network.classes() != classes {
            return Err(mismatch(&format!("classes of {name}"), classes, network.classes()));
        }
    }
    let fault = |Fault { field, expected, found }| mismatch(&field, expected, found);
    target.input().check_images(images.pixels.view()).map_err(fault)?;
    Ok(norm.unwrap_or(Norm::Linf))
}

/// Checks that an earlier report is about this very network, these images and this suite.
pub(super) fn check_earlier(
    report: &Report,
    subject: &Subject,
    suite: &Suite,
    norm: Norm,
) -> Result<(), SuiteError> {
    let (model, data) = (subject.target.model(), Data::from(subject.images));
    let guard = subject.target.guard();
    let squeezing = |of: Option<&String>| of.map_or("none", String::as_str).to_owned();
    let own = squeezing(guard.as_ref().map(|guard| &guard.squeezing));
    let detector = squeezing(report.detector.as_ref().map(|detector| &detector.squeezing));
    let same = [
        ("format of the earlier report", report::FORMAT.to_owned(), report.format.clone()),
        ("version of the earlier report", report::VERSION.to_string(), report.version.to_string()),
        (
            "suite version of the earlier report",
            report::SUITE_VERSION.to_string(),
            report.suite_version.to_string(),
        ),
        (
            "threat model of the earlier report",
            report::threat_model(norm, subject.target.input(), guard.is_some()),
            report.threat_model.clone(),
        ),
        ("detector of the earlier report", own, detector),
        ("network of the earlier report", format!("{model:?}"), format!("{:?}", report.model)),
        ("data of the earlier report", format!("{data:?}"), format!("{:?}", report.data)),
        ("seed of the earlier report", suite.seed.to_string(), report.seed.to_string()),
        ("start of the earlier report", format!("{:?}", suite.start), format!("{:?}", report.start)),
        ("shard of the earlier report", format!("{:?}", suite.shard), format!("{:?}", report.shard)),
        ("`sequential` of the earlier report", suite.sequential.to_string(), report.sequential.to_string()),
    ];
    for (what, expected, found) in same {
        if expected != found {
            return Err(mismatch(what, expected, found));
        }
    }
    let (classes, images) = (subject.target.classes(), subject.images.len());
    let attacked = suite.shard.map_or(images, |shard| shard.positions(images).count());
    let is_sound = |run: &Run| {
        let (survived, broken) = (run.outcomes.count(Outcome::Survived), run.outcomes.count(Outcome::Broken));
        broken == run.broken_labels.len()
            && survived + broken + run.outcomes.count(Outcome::Detected) == run.queries.len()
            && run.outcomes.len() <= report.clean_labels.len()
    };
    let sound = report.clean_labels.len() <= attacked
        && report.clean_labels.iter().all(|&label| (label as usize) < classes)
        && report.detector.iter().all(|detector| detector.squeezed_labels.len() == report.clean_labels.len())
        && report.runs.iter().all(is_sound);
    if sound { Ok(()) } else { Err(mismatch("outcomes of the earlier report", "one per image", "others")) }
}

/// Checks that a run of an earlier report was made as `run` is to be.
pub(super) fn check_settings(earlier: &Run, run: &Run) -> Result<(), SuiteError> {
    if earlier.settings == run.settings {
        return Ok(());
    }
    let text = |run: &Run| serde_json::to_string(&run.settings).expect("numbers and words");
    Err(mismatch(&format!("settings of {} of the earlier report", run.title()), text(run), text(earlier)))
}
