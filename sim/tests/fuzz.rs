//! Tests files that went wrong in any way: random edits of models and reports, their checksums made right
//! again. Reading them ends in an error or in a network that holds what networks promise, never in a panic.
//! `DQ_CASES` sets their number (default 1,500 of each).

use dq_net::random::{self, Options};
use dq_net::{AnyNetwork, SplitMix64, read_any, to_json, write_float};
use dq_sim::report::Report;
use dq_sim::{Engine, FloatEngine, GradientSource, twin};
use ndarray::Axis;
use serde_json::Value;
use std::path::Path;

fn cases() -> u64 {
    std::env::var("DQ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(1_500)
}

/// Values below `value`, itself among them.
fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(fields) => fields.values().map(size).sum(),
        _ => 0,
    }
}

/// Edits the `at`th value of `value`, in order.
fn edit(value: &mut Value, at: usize, draw: &mut SplitMix64) {
    if at == 0 {
        change(value, draw);
        return;
    }
    let mut left = at - 1;
    let parts: Vec<&mut Value> = match value {
        Value::Array(items) => items.iter_mut().collect(),
        Value::Object(fields) => fields.values_mut().collect(),
        _ => vec![],
    };
    for part in parts {
        let below = size(part);
        if left < below {
            edit(part, left, draw);
            return;
        }
        left -= below;
    }
}

fn change(value: &mut Value, draw: &mut SplitMix64) {
    const NUMBERS: [f64; 14] =
        [0.0, 1.0, -1.0, 2.0, 3.0, 7.0, 9.0, 255.0, 65_536.0, 2e9, -3e9, 9e18, 0.5, 1e300];
    match value {
        _ if draw.below(12) == 0 => *value = Value::Null,
        Value::Number(number) => {
            let by = NUMBERS[draw.below(NUMBERS.len())];
            let moved = if draw.below(2) == 0 { by } else { number.as_f64().unwrap_or(0.0) + by };
            // Whole numbers stay whole, or they are no more than a wrong type.
            *value =
                if moved.fract() == 0.0 && moved.abs() < 9e18 { (moved as i64).into() } else { moved.into() };
        }
        Value::String(text) => {
            let letters: Vec<char> = text.chars().collect();
            let at = draw.below(letters.len() + 1);
            *text = match draw.below(4) {
                0 => letters[..at].iter().collect(),
                1 => letters[..at].iter().chain(&letters[at.min(1)..]).collect(),
                2 => letters.iter().rev().collect(),
                _ => {
                    let with = ['A', '/', '.', 'x', '=', '\u{0}', 'é'][draw.below(7)];
                    letters[..at].iter().chain(&[with]).chain(letters.get(at + 1..).unwrap_or(&[])).collect()
                }
            };
        }
        Value::Array(items) => match (draw.below(3), items.len()) {
            (_, 0) => items.push(1.into()),
            (0, length) => drop(items.remove(draw.below(length))),
            (1, length) => items.push(items[draw.below(length)].clone()),
            (_, length) => items.swap(0, length - 1),
        },
        Value::Object(fields) => {
            let names: Vec<String> = fields.keys().cloned().collect();
            if names.is_empty() {
                return;
            }
            let field = fields.remove(&names[draw.below(names.len())]).expect("a field");
            if draw.below(2) == 0 {
                fields.insert(names[draw.below(names.len())].clone(), field);
            }
        }
        Value::Bool(_) | Value::Null => *value = 4.into(),
    }
}

/// Reads `value`, with its checksum made right where it is wrong.
fn read(path: &Path, value: &mut Value) -> Option<AnyNetwork> {
    std::fs::write(path, value.to_string()).unwrap();
    match read_any(path) {
        Ok(network) => Some(network),
        Err(error) => {
            // The error for a wrong checksum names the right one.
            let message = error.to_string();
            assert!(message.contains("model.json"), "{message}");
            let right = message.split("checksum: expected ").nth(1)?.split(' ').next()?;
            value["checksum"] = right.into();
            std::fs::write(path, value.to_string()).unwrap();
            read_any(path).ok()
        }
    }
}

#[test]
fn edited_models_are_refused_or_hold_what_networks_promise() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.json");
    let (mut integers, mut floats) = (0, 0);
    for case in 0..cases() {
        let network = random::network(case % 97, &Options { residuals: case % 2 == 1, ..Options::default() });
        let text = if case % 3 == 0 {
            write_float(&twin::twin(&network).unwrap(), &path).unwrap();
            std::fs::read_to_string(&path).unwrap()
        } else {
            to_json(&network)
        };
        let mut value: Value = serde_json::from_str(&text).unwrap();
        let mut draw = SplitMix64::new(case);
        for _ in 0..=draw.below(3) {
            let at = draw.below(size(&value));
            edit(&mut value, at, &mut draw);
        }
        match read(&path, &mut value) {
            // A small file may ask for a bounded amount, but for too much to try here.
            Some(AnyNetwork::Integer(found)) if found.input_shape().len() < 4_000 => {
                integers += 1;
                let image = random::image(case, found.input());
                let values = found.eval_nodes(image.view());
                for (i, value) in values.iter().enumerate() {
                    let range = found.wire(i).range;
                    assert!(value.iter().all(|&v| range.contains(v.into())), "case {case}, node {i}");
                }
                let scores = Engine::new(&found).scores(image.view().insert_axis(Axis(0)));
                assert!(scores.iter().eq(values.last().unwrap()), "case {case}");
            }
            Some(AnyNetwork::Float(found)) if found.input_shape().len() < 4_000 => {
                floats += 1;
                let image = random::image(case, found.input());
                FloatEngine::new(&found).real_logits(image.view().insert_axis(Axis(0)));
            }
            _ => (),
        }
    }
    assert!(integers > cases() / 20 && floats > cases() / 40, "{integers} and {floats} were taken");
}

#[test]
fn edited_reports_are_refused_or_merged_without_a_panic() {
    let text = include_str!("report.json");
    let report: Report = serde_json::from_str(text).unwrap();
    assert!(report.complete);
    let mut taken = 0;
    for case in 0..cases() {
        let mut draw = SplitMix64::new(case);
        let mut value: Value = serde_json::from_str(text).unwrap();
        let at = draw.below(size(&value));
        edit(&mut value, at, &mut draw);
        let Ok(found) = serde_json::from_value::<Report>(value) else { continue };
        taken += 1;
        let mut second = report.clone();
        second.shard = Some(dq_sim::report::Shard { index: 2, count: 2 });
        _ = dq_sim::attack::merge::merge(vec![found.clone(), second.clone()]);
        _ = dq_sim::attack::merge::merge(vec![second, found]);
    }
    assert!(taken > cases() / 20, "{taken} were taken");
}
