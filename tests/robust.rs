//! Tests what users measure beside the attack suite: certificates, faults, corruptions, transfer, cycles.

use crate::run::{fails, idx, json, ok, root};
use std::fs;
use std::path::Path;

fn model() -> String {
    root().join("models/signs-tiny-dq/model.json").display().to_string()
}

#[test]
fn certificates_bracket_the_truth_stop_and_go_on() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model();
    let certify =
        ["certify", &model, "--data", "signs", "--count", "12", "--boxes", "20", "--bounds", "intervals"];
    let with = |more: &[&'static str]| [&certify[..], more].concat();
    let found = json(folder, &with(&["--eps", "0,4", "-o", "certificates.json"]));
    // A ball of one image is certified by its own scores.
    let right = found["clean"]["correct"].as_u64().unwrap();
    let radius = |n: usize, of: &str| found["radii"][n][of]["correct"].as_u64().unwrap();
    assert!(right > 8);
    assert_eq!((radius(0, "certified"), radius(0, "attacked")), (right, right));
    assert!(radius(1, "certified") <= radius(1, "attacked") && radius(1, "attacked") < right, "{found}");
    let written = fs::read(folder.join("certificates.json")).unwrap();
    // The results of a stopped run are kept; those of another run are refused.
    let mut half: serde_json::Value = serde_json::from_slice(&written).unwrap();
    half["radii"][1]["outcomes"] = half["radii"][1]["outcomes"].as_str().unwrap()[..8].into();
    half["radii"][1]["boxes"] = half["radii"][1]["boxes"].as_array().unwrap()[..8].into();
    fs::write(folder.join("more.json.partial"), serde_json::to_string(&half).unwrap()).unwrap();
    let error = fails(folder, 1, &with(&["--eps", "0,4", "-o", "more.json"]));
    assert!(error.contains("unfinished certificates"), "{error}");
    let error = fails(folder, 1, &with(&["--eps", "0,5", "--resume", "-o", "more.json"]));
    assert!(error.contains("of another run"), "{error}");
    ok(folder, &with(&["--eps", "0,4", "--resume", "-o", "more.json"]));
    assert_eq!(fs::read(folder.join("more.json")).unwrap(), written);
    assert!(!folder.join("more.json.partial").exists());
    let error = fails(folder, 2, &with(&["--attack", "auto", "-o", "x.json"]));
    assert!(error.contains("expected one of random"), "{error}");
    // Trails hold interval bounds alone, which certify no more than lines do.
    let whole = |more: &[&'static str]| [&certify[..6], &["--boxes", "1", "--eps", "1"], more].concat();
    let proof = ["--proof", "t.json", "-o", "intervals.json"];
    let error = fails(folder, 1, &whole(&[&proof[..], &["--bounds", "linear"]].concat()));
    assert!(error.contains("--proof: expected --bounds intervals"), "{error}");
    let intervals = json(folder, &whole(&proof));
    let lines = json(folder, &whole(&["-o", "lines.json"]));
    let of = |found: &serde_json::Value| {
        let radius = &found["radii"][0];
        let outcomes = radius["outcomes"].as_str().unwrap().to_string();
        (
            found["bounds"].as_str().unwrap().to_string(),
            radius["certified"]["correct"].as_u64().unwrap(),
            outcomes,
        )
    };
    let ((how, few, by_intervals), (lines, more, by_lines)) = (of(&intervals), of(&lines));
    assert_eq!((how.as_str(), lines.as_str()), ("intervals", "linear"));
    assert!(few <= more && !by_intervals.contains('l'), "{by_intervals} {by_lines}");
    assert_eq!(by_lines.matches('l').count() as u64, more - few, "{by_intervals} {by_lines}");
}

#[test]
fn flipped_bits_are_found_and_counted_the_same_each_time() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model();
    let faults = ["faults", &model, "--data", "signs", "--count", "40", "--trials", "3", "--flips", "12"];
    let found = json(folder, &[&faults[..], &["--rates", "0,1e-2", "-o", "faults.json"]].concat());
    let network = &found["networks"][0];
    let clean = network["clean"]["accuracy"].as_f64().unwrap();
    let accuracies = |n: usize| -> Vec<f64> {
        network["flips"][n]["accuracy"].as_array().unwrap().iter().map(|a| a.as_f64().unwrap()).collect()
    };
    assert_eq!(accuracies(0), [clean; 3]);
    assert!(accuracies(1).iter().any(|&a| a < clean - 0.05), "{:?}", accuracies(1));
    // A searched flip is worth many random ones.
    let flips = network["search"].as_array().unwrap();
    assert!(flips.len() <= 12 && network["flips_to_chance"].as_u64().is_some(), "{flips:?}");
    let losses: Vec<f64> = flips.iter().map(|flip| flip["loss"].as_f64().unwrap()).collect();
    assert!(losses.windows(2).all(|pair| pair[0] < pair[1]), "{losses:?}");
    let upsets = network["upsets"].as_array().unwrap();
    assert_eq!(upsets.len(), network["stuck"].as_array().unwrap().len());
    let written: serde_json::Value =
        serde_json::from_slice(&fs::read(folder.join("faults.json")).unwrap()).unwrap();
    assert_eq!(written, found);
    let again = [&faults[..], &["--rates", "0,1e-2", "--fault", "flips", "--threads", "1"]].concat();
    assert_eq!(json(folder, &again)["networks"][0]["flips"], network["flips"]);
    let error = fails(folder, 2, &["faults", &model, "--data", "signs", "--rates", "2"]);
    assert!(error.contains("expected a probability"), "{error}");
}

/// Writes the bytes of an npy file of `shape`.
fn npy(path: &Path, kind: &str, shape: &[usize], content: &[u8]) {
    let shape: String = shape.iter().map(|n| format!("{n}, ")).collect();
    let text = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': ({shape}), }}\n");
    let length = (text.len() as u16).to_le_bytes();
    fs::write(path, [b"\x93NUMPY\x01\x00", &length[..], text.as_bytes(), content].concat()).unwrap();
}

/// Arrays in the published format that hold what `dq corrupt` computes give what it gives; those of another
/// shape, type or test set are refused by name.
#[test]
fn published_arrays_of_corrupted_images_are_read_or_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let (folder, model) = (scratch.path(), model());
    let images = dq_data::load("signs", None, dq_data::Split::Test).unwrap().take(24);
    let all: Vec<usize> = (0..images.len()).collect();
    fs::create_dir(folder.join("own")).unwrap();
    let (pixels, labels) = (images.pixels.iter().copied().collect(), images.labels.clone());
    fs::write(folder.join("own/t10k-images-idx4-ubyte"), idx(&[24, 32, 32, 3], pixels)).unwrap();
    fs::write(folder.join("own/t10k-labels-idx1-ubyte"), idx(&[24], labels)).unwrap();
    let arrays = folder.join("signs-c");
    fs::create_dir(&arrays).unwrap();
    let shape = [5 * images.len(), 32, 32, 3];
    let pixels = |kind: &str| -> Vec<u8> {
        let one = |severity| dq_sim::study::corrupt::corrupt(images.pixels.view(), &all, kind, severity, 1);
        (1..=5).flat_map(|severity| one(severity).into_iter()).collect()
    };
    let contrast = pixels("contrast");
    npy(&arrays.join("contrast.npy"), "|u1", &shape, &contrast);
    npy(&arrays.join("brightness.npy"), "|u1", &shape, &pixels("brightness"));
    let labels: Vec<u8> = images.labels.repeat(5);
    let wide: Vec<u8> = labels.iter().flat_map(|&label| i64::from(label).to_le_bytes()).collect();
    npy(&arrays.join("labels.npy"), "<i8", &shape[..1], &wide);
    let corrupt = ["corrupt", &model, "--data", "idx=own", "--count", "20", "--severity", "2,5"];
    let with = |more: &[&'static str]| [&corrupt[..], more].concat();
    let read = json(folder, &with(&["--arrays", "signs-c", "-o", "read.json"]));
    let mut computed = json(folder, &with(&["--kind", "brightness,contrast"]));
    computed["arrays"] = "signs-c".into();
    assert_eq!(read, computed);
    let text = ok(folder, &with(&["--arrays", "signs-c", "--kind", "contrast"]));
    assert!(text.contains("\nmean ") && !text.contains("brightness"), "{text}");
    ok(folder, &["report", "read.json", "-o", "page.html"]);
    assert!(
        fs::read_to_string(folder.join("page.html")).unwrap().contains("read from the arrays in signs-c")
    );

    let refused = |expected: &str| {
        let error = fails(folder, 1, &with(&["--arrays", "signs-c"]));
        assert!(error.contains(expected), "{error}");
    };
    npy(&arrays.join("labels.npy"), "|u1", &shape[..1], &labels);
    npy(&arrays.join("contrast.npy"), "|u1", &[5, 32, 32, 3], &contrast);
    refused("contrast.npy: expected an array of shape [");
    npy(&arrays.join("contrast.npy"), "<f4", &shape, &contrast);
    refused("contrast.npy: expected numbers of type uint8, found `<f4`");
    npy(&arrays.join("contrast.npy"), "|u1", &shape, &contrast[1..]);
    refused("contrast.npy: expected ");
    fs::write(arrays.join("contrast.npy"), "no array").unwrap();
    refused("contrast.npy: expected an npy file");
    npy(&arrays.join("contrast.npy"), "|u1", &shape, &contrast);
    let mut others = labels.clone();
    others[images.len() + 3] ^= 1;
    npy(&arrays.join("labels.npy"), "|u1", &shape[..1], &others);
    refused("labels.npy: row ");
    npy(&arrays.join("labels.npy"), "|u1", &[7], &labels[..7]);
    refused("labels.npy: expected ");
    fs::remove_file(arrays.join("labels.npy")).unwrap();
    refused("labels.npy: opening");
    let error = fails(folder, 1, &with(&["--arrays", "nowhere"]));
    assert!(error.contains("nowhere"), "{error}");
}

#[test]
fn corruptions_and_transfer_are_measured() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model();
    let corrupted = json(
        folder,
        &[
            "corrupt",
            &model,
            "--data",
            "signs",
            "--count",
            "60",
            "--kind",
            "gaussian-noise,contrast",
            "--severity",
            "1,5",
        ],
    );
    let network = &corrupted["networks"][0];
    let error = network["mean_error"].as_f64().unwrap();
    assert!(error > 1.0 - network["clean"]["accuracy"].as_f64().unwrap(), "{corrupted}");
    let error = fails(folder, 2, &["corrupt", &model, "--data", "signs", "--kind", "frost"]);
    assert!(error.contains("expected one of gaussian-noise"), "{error}");

    let scene = json(folder, &["scene", &model, "--data", "signs", "--count", "8", "--patch", "6"]);
    let correct = |of: &str| scene["networks"][0][of]["correct"].as_u64().unwrap();
    assert!(correct("turn") < correct("clean") && correct("patch") <= correct("clean"), "{scene}");
    let error = fails(folder, 1, &["scene", &model, "--data", "signs", "--patch", "33"]);
    assert!(error.contains("--patch: expected at most 32"), "{error}");

    // The same network is given twice: rows and columns are the white box.
    let matrix = json(folder, &["transfer", &model, &model, "--data", "signs", "--count", "40"]);
    let cell = |row: usize, column: usize| matrix["matrix"][row][column]["correct"].as_u64().unwrap();
    assert!(cell(0, 0) < matrix["clean"][0]["correct"].as_u64().unwrap());
    assert!((0..4).all(|n| cell(n / 2, n % 2) == cell(0, 0)), "{matrix}");
    let other = root().join("models/cifar10-vgg-small-w4a4-dq.json").display().to_string();
    let matrix = json(folder, &["transfer", &model, &other, "--data", "signs", "--count", "40"]);
    assert!(matrix["matrix"][0][0] != matrix["matrix"][1][0]);
}

#[test]
fn every_engine_tells_the_same_cycles_and_values() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let sim = ["sim", "lenet:w2a2", "--data", "signs"];
    let error = fails(folder, 2, &[&sim[..], &["--stalls"]].concat());
    assert!(error.contains("--stalls needs --cycles"), "{error}");
    let model = root().join("models/signs-tiny-dq/model.json").display().to_string();
    let plan = ["plan", &model, "--device", "ecp5-85f", "--fps", "1000", "-o", "plan.json"];
    ok(folder, &plan);
    for engine in ["fast", "reference", "netlist"] {
        let beats = format!("{engine}.csv");
        let sim = ["sim", &model, "--data", "signs", "--count", "2", "--plan", "plan.json", "--seed", "3"];
        ok(folder, &[&sim[..], &["--engine", engine, "--cycles", "--stalls", "--beats", &beats]].concat());
    }
    let read = |engine: &str| fs::read_to_string(folder.join(format!("{engine}.csv"))).unwrap();
    assert!(read("fast").starts_with("frame,beat,cycle,value\n0,0,"));
    assert_eq!(read("fast").lines().count(), 21);
    assert!(read("fast") == read("reference") && read("fast") == read("netlist"));
}

/// Networks that only look robust: quantized tanh and single-step adversaries mask gradients, and the report
/// must say so.
#[test]
fn masked_networks_are_doubted() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    for control in ["tanh", "fgsm"] {
        let model = root().join(format!("models/controls/signs-tiny-{control}.json")).display().to_string();
        let attack = ["attack", &model, "--data", "signs", "--count", "60", "--eps", "8"];
        let attack =
            [&attack[..], &["--attack", "fgsm,pgd,square", "--ladder", "-o", "report.json"]].concat();
        let error = fails(folder, 1, &[&attack[..], &["--strict"]].concat());
        assert!(error.contains("--strict"), "{error}");
        let found: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join("report.json")).unwrap()).unwrap();
        let doubts = found["doubts"].as_array().unwrap();
        let rules: Vec<&str> = doubts.iter().map(|doubt| doubt["rule"].as_str().unwrap()).collect();
        assert!(rules.contains(&"black-box-beats-white-box"), "{control}: {rules:?}");
        let sources: Vec<&str> =
            found["runs"].as_array().unwrap().iter().filter_map(|run| run["source"].as_str()).collect();
        let rungs = ["float twin", "float twin", "softened twin", "softened twin"];
        assert_eq!(sources, rungs, "gradients alone are asked for again");
        fs::remove_file(folder.join("report.json")).unwrap();
    }
}

#[test]
fn landscapes_and_saturation_are_looked_for() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model();
    let found =
        json(folder, &["landscape", &model, "--data", "signs", "--count", "3", "-o", "landscape.json"]);
    for image in found["images"].as_array().unwrap() {
        let lengths = ["curve", "surface"].map(|what| image[what].as_array().unwrap().len());
        assert_eq!(lengths, [101, 21]);
        let curve = image["curve"].as_array().unwrap();
        assert!(curve[100].as_f64() > curve[0].as_f64(), "the attack raises the loss");
    }
    let saturate = |eps: &'static str| {
        json(folder, &["saturate", &model, "--data", "signs", "--count", "4", "--eps", eps])
    };
    let (near, far) = (saturate("2"), saturate("255"));
    for (near, far) in near["layers"].as_array().unwrap().iter().zip(far["layers"].as_array().unwrap()) {
        let most = |layer: &serde_json::Value, what: &str| layer[what][1].as_i64().unwrap();
        assert!(most(near, "clean") <= most(near, "searched"));
        assert!(most(near, "searched") <= most(far, "searched"), "{near} {far}");
        assert!(most(far, "searched") <= most(far, "declared"));
    }
}
