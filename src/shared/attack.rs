//! Runs attacks with a progress bar, and prints their reports as commands do.

use super::files::shown;
use super::table::{percent, percent_of, table};
use super::ui::Ui;
use anyhow::Result;
use dq_sim::attack::ALL;
use dq_sim::attack::suite::{self, Adversary, Progress, Subject, Suite, Watch};
use dq_sim::report::{Rate, Report};
use dq_sim::study::proved;
use serde_json::json;
use std::path::Path;

/// Runs `suite` with a progress bar; a stopped run comes back with `complete: false`.
pub fn run_suite(
    ui: &Ui,
    subject: &Subject,
    suite: &Suite,
    earlier: Option<Report>,
    keep: Option<&mut dyn FnMut(Adversary)>,
) -> Result<Report> {
    let bar = ui.bar("attacking", 0, "images");
    let progress = |p: Progress| {
        bar.set_length(((p.runs + 1) * p.images) as u64);
        let before = if p.attack.is_empty() { 0 } else { (p.runs_done + 1) * p.images };
        bar.set_position((before + p.done) as u64);
        bar.set_message(if p.attack.is_empty() {
            "clean".into()
        } else {
            format!("{} eps {}", p.attack, p.eps)
        });
    };
    let mut drop = |_: Adversary| ();
    let keep = keep.unwrap_or(&mut drop);
    let watch = Watch { progress: &progress, keep, stop: &ui.stop };
    let report = suite::run(subject, suite, earlier, watch)?;
    bar.finish_and_clear();
    Ok(report)
}

/// Reads the name of an attack.
pub fn one_attack(text: &str) -> Result<String, String> {
    match dq_sim::attack::find(text) {
        Some(_) => Ok(text.to_owned()),
        None => {
            let known: Vec<&str> = ALL.iter().map(|(name, _)| *name).collect();
            Err(format!("expected one of {}", known.join(", ")))
        }
    }
}

/// Returns what `--json` prints of a report.
pub fn summary(report: &Report, output: &Path) -> serde_json::Value {
    let run = |run: &dq_sim::report::Run| {
        json!({"attack": run.attack, "eps": run.eps, "source": run.source, "accuracy": run.tally.accuracy,
               "interval": run.tally.interval, "zero_gradients": run.zero_gradients})
    };
    let mut summary = json!({
        "report": shown(output), "model": report.model, "data": report.data, "clean": report.clean,
        "runs": report.runs.iter().map(run).collect::<Vec<_>>(), "worst": report.worst,
        "doubts": report.doubts,
    });
    if let Some(detector) = &report.detector {
        let runs = summary["runs"].as_array_mut().expect("an array");
        for (json, run) in runs.iter_mut().zip(&report.runs) {
            json["unaware"] = run.unaware.into();
            json["detected"] = json!(run.detected);
        }
        let (squeezing, false_alarms) = (&detector.squeezing, &detector.false_alarms);
        summary["detector"] = json!({"squeezing": squeezing, "false_alarms": false_alarms});
    }
    summary
}

/// Writes what the report's detector flags, for people; nothing where there is none.
fn flagged(report: &Report) -> Option<String> {
    let detector = report.detector.as_ref()?;
    let head = ["flagged by the detector", "eps", "label changed", "flagged, %", "undetected"];
    let row = |(title, eps, rate): (String, String, &Rate)| {
        let undetected = rate.total - rate.count;
        vec![title, eps, rate.total.to_string(), percent_of(rate), undetected.to_string()]
    };
    let runs = report.runs.iter().filter(|run| run.unaware);
    let runs = runs.filter_map(|run| Some((run.title(), run.eps.to_string(), run.detected.as_ref()?)));
    let rows: Vec<Vec<String>> = runs.map(row).collect();
    Some(format!(
        "\nDetector {}: flags {} % of the clean images. Above, an image stands where its label is right or the \
         detector flags the adversary; attacks know the detector unless they are called unaware.\n\n{}",
        detector.squeezing,
        percent_of(&detector.false_alarms),
        table(&head, &rows)
    ))
}

/// Writes how adversaries stand against proofs, for people.
pub fn proofs(found: &proved::Found) -> String {
    format!(
        "\n\nproved within distance {}: {} % of the clean labels; adversaries with another label than their image: {} \
         within that distance, {} beyond it, {} against a proof",
        found.radius,
        percent_of(&found.clean),
        found.within,
        found.beyond,
        found.against
    )
}

/// Writes a report for people.
pub fn text(report: &Report, output: &Path) -> String {
    let mut eps: Vec<u8> = report.runs.iter().map(|run| run.eps).collect();
    eps.sort_unstable();
    eps.dedup();
    let mut head = vec!["accuracy in %".to_owned()];
    head.extend(eps.iter().map(|e| format!("eps {e}")));
    let mut rows = Vec::new();
    for run in &report.runs {
        let name = run.title();
        if rows.iter().all(|row: &Vec<String>| row[0] != name) {
            rows.push([vec![name.clone()], vec![String::new(); eps.len()]].concat());
        }
        let row = rows.iter_mut().find(|row| row[0] == name).expect("just added");
        let column = eps.iter().position(|e| *e == run.eps).expect("collected");
        row[1 + column] = percent(&run.tally);
    }
    if report.runs.len() > eps.len() {
        let of =
            |e: &u8| report.worst.iter().find(|worst| worst.eps == *e).map(|worst| percent(&worst.tally));
        let worst = eps.iter().map(|e| of(e).unwrap_or_default());
        rows.push(["worst for each image".to_owned()].into_iter().chain(worst).collect());
    }
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    let mut text = format!(
        "{} ({}), {} test images of {}: clean {}\n\n{}",
        report.model.name,
        report.model.kind,
        report.data.images,
        report.data.name,
        percent(&report.clean),
        table(&head, &rows)
    );
    text.push_str(&flagged(report).unwrap_or_default());
    text.push_str("\nIn brackets: Wilson 95 % intervals. No accuracy here is a proof of robustness.\n");
    if report.sequential {
        text.push_str(
            "In sequence: each attack got only what those above it left standing at the same eps.\n",
        );
    }
    for run in &report.runs {
        if let Some(other) = run.same_as() {
            let (attack, eps) = (run.title(), run.eps);
            text.push_str(&format!("At eps {eps} {attack} is {other}: one step from the image itself.\n"));
        }
    }
    for doubt in &report.doubts {
        text.push_str(&format!("DOUBT {}: {}\n", doubt.rule, doubt.text));
    }
    text + &format!("report: {}", output.display())
}
