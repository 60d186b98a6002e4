//! Shows the reasons to distrust the page's figures, before any figure.

use super::{Alert, Section};
use crate::Reports;
use crate::crossed::crossed;

/// What each rule means, and what to do.
const ADVICE: &[(&str, &str)] = &[
    (
        "zero-gradient",
        "Gradients vanish, so that attacks by gradients see nothing: the network may only look robust. Attack \
         it by `--attack auto`, whose random search needs no gradient, and from a substitute.",
    ),
    (
        "random-beats-gradient",
        "Noise without any gradient is the better attack: the gradients point nowhere. Trust only the worst \
         case over all attacks, and look at the loss with `dq landscape`.",
    ),
    (
        "black-box-beats-white-box",
        "A search by scores alone breaks more than gradients do, which is the mark of masked gradients. Trust \
         only the worst case, and give the search more queries.",
    ),
    (
        "transfer-beats-white-box",
        "Another network's gradients break more than its own: its own are masked. Trust only the worst case, \
         and attack from more substitutes.",
    ),
    (
        "single-step-beats-iterated",
        "One step breaks more than many, which a sound iterated attack never lets happen by far: the steps or \
         their size do not fit, or the loss is rugged. Look at it with `dq landscape`.",
    ),
    ("more-steps-help", "The short attack had not converged, so its figure is too good. Use the longer one."),
    (
        "restarts-help",
        "Each further start still breaks images, so the attack has not converged and its figure is too good: \
         use `--attack auto-plus`, and read its figure as an upper bound.",
    ),
    (
        "not-monotone",
        "A larger ball holds every adversary of a smaller one, so an attack that breaks fewer images there is \
         not searching well. `--ladder` starts each radius from the adversaries of the smaller ones.",
    ),
    (
        "whole-range-survived",
        "No image survives a ball that holds all images: this attack does not find what is there. Do not use \
         it on this network.",
    ),
];

/// What to do where an attack broke what is proved.
const CONTRADICTED: &str = "A proof or an attack's verdict is wrong, which must never be: trust neither file, let \
     `python/check_certificates.py` check the proofs, `dq attack --replay` the adversaries, and report the fault.";

pub(super) fn section(reports: &Reports) -> Option<Section> {
    let mut alerts = vec![];
    for found in reports.certificates() {
        let name = reports.named(&found.model).name;
        let all = found.radii.iter().flat_map(|radius| crossed(reports, found, radius).contradictions);
        alerts.extend(all.map(|text| alert(&name, "certificate-contradicted", text, CONTRADICTED)));
    }
    for report in reports.attacks() {
        let name = reports.attacked(report).name;
        for doubt in &report.doubts {
            let advice = ADVICE.iter().find(|(rule, _)| *rule == doubt.rule).map_or("", |(_, advice)| advice);
            alerts.push(alert(&name, &doubt.rule, doubt.text.clone(), advice));
        }
        if !report.complete {
            let text = format!("not every attack went through all {} images", report.data.images);
            alerts.push(alert(
                &name,
                "not complete",
                text,
                "Finish it with --resume, or merge all its shards.",
            ));
        }
    }
    for found in reports.landscapes() {
        let name = reports.named(&found.model).name;
        let all = found.images.len();
        let mut look = |count: usize, what: &str, advice: &str| {
            if count > 0 {
                alerts.push(alert(&name, "landscape", format!("{count} of {all} images {what}"), advice));
            }
        };
        look(
            found.still_rising,
            "stand while the loss still rises after 100 steps",
            "More steps would break some of them: attacks of fewer steps look too good.",
        );
        look(
            found.zero_gradients,
            "had a gradient of zero at some step",
            "Attacks by gradients stop there: use attacks that need none.",
        );
    }
    for record in reports.records().filter(|record| !record.timing_met) {
        let text = format!(
            "place and route promises {} kHz, the clock is {} kHz",
            record.fmax_khz, record.clock_khz
        );
        alerts.push(alert(
            &record.network,
            "timing",
            text,
            "Lower the clock or try other seeds: `dq build --mhz`.",
        ));
    }
    if alerts.is_empty() && reports.attacks().next().is_none() {
        return None;
    }
    let about = match alerts.len() {
        0 => "No rule found a contradiction in the attacks' figures. That is no proof of robustness: an attack \
              says only what it did not find."
            .into(),
        1 => "One reason to distrust the figures below:".into(),
        many => format!("{many} reasons to distrust the figures below:"),
    };
    Some(Section { id: "doubts", title: "Doubts", about, alerts, ..Section::default() })
}

fn alert(name: &str, rule: &str, text: String, advice: &str) -> Alert {
    Alert { title: format!("{name}: {rule}"), text, advice: advice.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_rule_has_its_advice() {
        for rule in dq_sim::report::RULES {
            assert!(ADVICE.iter().any(|(known, _)| *known == rule), "{rule}");
        }
        assert_eq!(ADVICE.len(), dq_sim::report::RULES.len());
    }
}
