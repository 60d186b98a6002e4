//! Tests attacks on a network with a detector as users run them: its rates are those of two networks, and what
//! counts against it is wrong in both.

use crate::run::{fails, json, ok, root};
use dq_net::layer::Logits;
use ndarray::{Array1, Array3, Array4};
use ndarray_npy::NpzReader;
use serde_json::Value;
use std::fs::{self, File};
use std::path::Path;

const DETECTOR: [&str; 2] = ["--detector", "bits=5,median"];

fn model() -> String {
    root().join("models/signs-tiny-dq/model.json").display().to_string()
}

/// Returns the adversaries in `path`, each with the place of its run, its original's index and true label.
fn adversaries(path: &Path) -> Vec<(u32, usize, usize, Array3<u8>)> {
    let mut npz = NpzReader::new(File::open(path).unwrap()).unwrap();
    let images: Array4<u8> = npz.by_name("images").unwrap();
    let indices: Array1<u64> = npz.by_name("indices").unwrap();
    let labels: Array1<u8> = npz.by_name("labels").unwrap();
    let runs: Array1<u32> = npz.by_name("runs").unwrap();
    let one =
        |n: usize| (runs[n], indices[n] as usize, labels[n].into(), images.index_axis(ndarray::Axis(0), n));
    (0..runs.len()).map(one).map(|(run, index, label, image)| (run, index, label, image.to_owned())).collect()
}

/// Squeezes an image to five bits a colour and their 2 × 2 median, the lower middle one.
fn squeezed(image: &Array3<u8>) -> Array3<u8> {
    let level = image.mapv(|pixel| (f64::from(pixel) * 31.0 / 255.0).round());
    Array3::from_shape_fn(image.dim(), |(y, x, c)| {
        let (above, left) = (y.saturating_sub(1), x.saturating_sub(1));
        let mut taps = [[above, left], [above, x], [y, left], [y, x]].map(|[y, x]| level[[y, x, c]]);
        taps.sort_unstable_by(f64::total_cmp);
        (taps[1] * 255.0 / 31.0).round() as u8
    })
}

fn letters(report: &Value, run: usize) -> Vec<u8> {
    report["runs"][run]["outcomes"].as_str().unwrap().bytes().collect()
}

#[test]
fn a_detector_flags_what_two_networks_label_differently_and_is_attacked_with_both() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model();
    let attack =
        ["attack", &model, "--data", "signs", "--count", "40", "--attack", "fgsm,apgd-ce", "--eps", "8"];
    let with = |more: &[&'static str]| [&attack[..], more].concat();
    ok(folder, &with(&["--save", "plain.npz", "-o", "plain.json"]));
    let detector = [&DETECTOR[..], &["--save", "both.npz", "-o", "both.json"]].concat();
    let said = json(folder, &with(&detector));
    let read =
        |name: &str| -> Value { serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap() };
    let (plain, both) = (read("plain.json"), read("both.json"));

    let dq_net::AnyNetwork::Integer(network) = dq_net::read_any(Path::new(&model)).unwrap() else { panic!() };
    let label = |image: &Array3<u8>| Logits::label(network.eval(image.view()));
    let mut seen = [0; 2];
    for (run, index, _, image) in adversaries(&folder.join("plain.npz")) {
        let flagged = label(&image) != label(&squeezed(&image));
        assert_eq!(letters(&both, run as usize)[index], if flagged { b'd' } else { b'x' }, "{run} {index}");
        seen[usize::from(flagged)] += 1;
    }
    assert!(seen.iter().all(|&n| n > 2), "{seen:?}");
    for run in 0..2 {
        let unaware = &both["runs"][run];
        assert_eq!((&unaware["unaware"], &unaware["attack"]), (&true.into(), &plain["runs"][run]["attack"]));
        let changed =
            letters(&both, run).into_iter().map(|letter| if letter == b'd' { b'x' } else { letter });
        assert_eq!(changed.collect::<Vec<_>>(), letters(&plain, run));
        let flagged = letters(&both, run).iter().filter(|&&letter| letter == b'd').count();
        assert_eq!(unaware["detected"]["count"], flagged);
        assert_eq!(said["runs"][run]["detected"], unaware["detected"]);
    }
    let images = dq_data::load("signs", None, dq_data::Split::Test).unwrap().take(40);
    let images = images.pixels.outer_iter().map(|image| image.to_owned());
    let alarms = images.filter(|image| label(image) != label(&squeezed(image))).count();
    assert_eq!(both["detector"]["false_alarms"]["count"], alarms);
    assert_eq!(said["detector"]["false_alarms"], both["detector"]["false_alarms"]);

    // Against attacks that know the detector, an adversary counts when both labels agree and are wrong.
    let kept = adversaries(&folder.join("both.npz"));
    let known: Vec<_> = kept.iter().filter(|(run, ..)| *run >= 2).collect();
    assert!(known.len() > 10, "{}", known.len());
    for (_, index, truth, image) in known {
        assert_eq!(label(image), label(&squeezed(image)), "{index}");
        assert_ne!(label(image), *truth, "{index}");
    }
    ok(folder, &["report", "plain.json", "both.json", "-o", "page.html"]);
    let page = fs::read_to_string(folder.join("page.html")).unwrap();
    for text in [
        "What the detector flags",
        "with detector bits=5,median",
        "apgd-ce, unaware",
        "false alarms",
        "--eps 8 --detector bits",
    ] {
        assert!(page.contains(text), "{text}");
    }
    ok(folder, &["report", "plain.json", "-o", "page.html"]);
    assert!(!fs::read_to_string(folder.join("page.html")).unwrap().contains("detector"));

    // Shards of such a report merge as others do, and a plain one is not one of them.
    for (index, name) in [("1/2", "one.json"), ("2/2", "two.json")] {
        ok(folder, &with(&[&DETECTOR[..], &["--shard", index, "-o", name]].concat()));
    }
    ok(folder, &["merge", "one.json", "two.json", "-o", "merged.json"]);
    assert_eq!(fs::read(folder.join("merged.json")).unwrap(), fs::read(folder.join("both.json")).unwrap());
    ok(folder, &with(&["--shard", "2/2", "-o", "other.json"]));
    let error = fails(folder, 1, &["merge", "one.json", "other.json", "-o", "merged.json"]);
    assert!(error.contains("other.json: detector: expected "), "{error}");
}

#[test]
fn detectors_that_are_none_and_flags_that_do_not_go_together_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let model = model();
    let attack = ["attack", &model, "--data", "signs", "-o", "x.json"];
    let error = |more: &[&str]| fails(scratch.path(), 2, &[&attack[..], more].concat());
    for (name, expected) in
        [("blur", "expected `bits=N`"), ("bits=8", "expected 1 to 7, found `8`"), ("median,median", "twice")]
    {
        let error = error(&["--detector", name]);
        assert!(error.contains(expected) && error.contains("--detector"), "{error}");
    }
    for more in [&["--from", &model][..], &["--ladder"], &["--replay", "x.npz"]] {
        let error = error(&[&DETECTOR[..], more].concat());
        assert!(error.contains("cannot be used with"), "{error}");
    }
}
