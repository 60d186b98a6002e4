//! Tests detectors as users have them. Under attack, its rates are those of two networks, and what counts
//! against it is wrong in both. As a circuit, it gives the labels and flags of the detector that is attacked.

use crate::run::{fails, json, ok, root};
use dq_hdl::design::{Beat, Design};
use dq_hdl::plan::{self, Output, Target};
use dq_hdl::stalls::Stalls;
use dq_hdl::verilator::Simulator;
use dq_hdl::{emit, netlist};
use dq_net::layer::Logits;
use dq_net::random::{self, Options};
use dq_net::{Network, Squeezing};
use dq_sim::attack::suite::{self, Judge, Single};
use dq_sim::{Detector, WhiteBox};
use ndarray::{Array1, Array3, Array4, ArrayView4, Axis, concatenate};
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

/// Returns the label of each image and whether the detector that attacks see flags it.
fn judged(network: &Network, squeezing: Squeezing, images: ArrayView4<u8>) -> Vec<(usize, bool)> {
    let plain = WhiteBox::new(network);
    let verdicts = Detector::known(&plain, squeezing).judge(images);
    verdicts.into_iter().map(|verdict| (verdict.label, verdict.squeezed != Some(verdict.label))).collect()
}

/// Returns what the circuit says of each image.
fn told(design: &Design, beats: &[Beat]) -> Vec<(usize, bool)> {
    beats.iter().map(|beat| design.answer(beat.value)).map(|answer| (answer.label, answer.flagged)).collect()
}

#[test]
fn the_netlist_flags_what_the_attacked_detector_flags() {
    let mut seen = [0; 2];
    for seed in 0..56 {
        let options = Options { max_side: 9, residuals: seed % 2 == 1, ..Options::default() };
        let network = random::network(seed, &options);
        if !network.input().has_pixels() {
            continue;
        }
        let (bits, median) = (1 + seed % 7, ["", ",median"][seed as usize % 2]);
        let squeezing: Squeezing = format!("bits={bits}{median}").parse().unwrap();
        let squeezing = if seed % 5 == 4 { "median".parse().unwrap() } else { squeezing };
        let design = Design::new(&network, &plan::with_detector(&network, squeezing).unwrap()).unwrap();
        let images = random::images(seed, 8, network.input());
        let outcome = netlist::run(&design, images.view(), &Stalls::random(seed)).unwrap();
        let wanted = judged(&network, squeezing, images.view());
        assert_eq!(told(&design, &outcome.beats), wanted, "seed {seed}, {squeezing}");
        wanted.iter().for_each(|(_, flagged)| seen[usize::from(*flagged)] += 1);
    }
    assert!(seen.iter().all(|&n| n > 20), "{seen:?}");
}

/// Test images and adversaries of them, a part of which is flagged.
#[test]
fn the_verilog_flags_what_the_attacked_detector_flags() {
    if dq_hdl::tool::require("verilator").is_none() {
        return;
    }
    let network = dq_net::read_network(Path::new(&model())).unwrap();
    let images = dq_data::load("signs", None, dq_data::Split::Test).unwrap().take(16);
    let (own, all) = (WhiteBox::new(&network), (0..images.pixels.dim().0).collect::<Vec<_>>());
    let adversaries = suite::adversaries(&own, &images, &all, &Single::new("apgd-ce", 8, 1));
    let pixels = concatenate(Axis(0), &[images.pixels.view(), adversaries.view()]).unwrap();
    let squeezing: Squeezing = DETECTOR[1].parse().unwrap();
    let target = Target { detector: Some(squeezing), ..Target::unbounded(Output::Label, 100, 2_000) };
    let design = Design::new(&network, &plan::choose(&network, &target).unwrap()).unwrap();
    let simulator = Simulator::quick(&emit::emit(&design), Path::new(env!("CARGO_TARGET_TMPDIR"))).unwrap();
    let outcome = simulator.run(&design, pixels.view(), &Stalls::NONE).unwrap();
    let wanted = judged(&network, squeezing, pixels.view());
    assert_eq!(told(&design, &outcome.beats), wanted);
    let flagged = wanted.iter().filter(|(_, flagged)| *flagged).count();
    assert!((4..28).contains(&flagged), "{flagged} flagged");
    let mut spacing = outcome.beats.windows(2).map(|pair| pair[1].cycle - pair[0].cycle);
    assert_eq!(
        spacing.next_back(),
        Some(design.timing().interval),
        "without stalls, frames follow by the interval"
    );
}

#[test]
fn a_circuit_with_a_detector_is_emitted_simulated_and_planned() {
    let scratch = tempfile::tempdir().unwrap();
    let (folder, model) = (scratch.path(), model());
    let with = |args: &[&'static str]| -> Vec<String> {
        [&args[..1], &[&model, "--detector", "bits=5,median"], &args[1..]]
            .concat()
            .iter()
            .map(|a| a.to_string())
            .collect()
    };
    let run = |args: &[&'static str]| {
        let args = with(args);
        json(folder, &args.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let emitted = run(&["emit", "--fps", "400", "-o", "rtl"]);
    assert_eq!(emitted["detector"], "bits=5,median");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert!(read("rtl/plan.json").contains("\"detector\": \"bits=5,median\""));
    assert!(read("rtl/top.v").contains("bit 7: that of the second one"));
    let planned = run(&["plan", "--fps", "400", "-o", "plan.json"]);
    assert_eq!(planned["report"]["timing"], emitted["timing"]);
    assert_eq!(read("plan.json"), read("rtl/plan.json"));

    // The flags by the engine are those of the two networks; the cycles are computed for both passes.
    let found = run(&[
        "sim",
        "--data",
        "signs",
        "--count",
        "200",
        "--fps",
        "400",
        "--cycles",
        "--beats",
        "beats.csv",
    ]);
    let network = dq_net::read_network(Path::new(&model)).unwrap();
    let images = dq_data::load("signs", None, dq_data::Split::Test).unwrap().take(200);
    let wanted = judged(&network, DETECTOR[1].parse().unwrap(), images.pixels.view());
    assert_eq!(found["flagged"], wanted.iter().filter(|(_, flagged)| *flagged).count());
    let values = wanted.iter().map(|&(label, flagged)| (label | usize::from(flagged) << 7).to_string());
    let beats = read("beats.csv");
    assert!(beats.lines().skip(1).map(|line| line.rsplit(',').next().unwrap()).eq(values));
    assert_eq!(
        found["cycles"].as_u64().unwrap() / 200 / 1_000,
        emitted["cycles_per_frame"].as_u64().unwrap() / 1_000
    );

    // What has no such circuit says so.
    let error = |code: i32, args: &[&str]| fails(folder, code, args);
    for (args, expected) in [
        (&["emit", &model, "--detector", "blur", "-o", "x"][..], "expected `bits=N`"),
        (
            &["emit", &model, "--detector", "median", "--out", "scores", "-o", "x"],
            "cannot be used with --out scores",
        ),
        (&["emit", &model, "--detector", "median", "--plan", "plan.json", "-o", "x"], "cannot be used with"),
        (&["sim", &model, "--detector", "median", "--data", "signs"], "it needs --cycles"),
        (
            &["build", &model, "--detector", "median", "--board", "ulx3s"],
            "boards answer with labels or scores",
        ),
    ] {
        let error = error(2, args);
        assert!(error.contains(expected), "{error}");
    }
    let built = error(1, &["build", &model, "--plan", "plan.json", "--board", "ulx3s"]);
    assert!(built.contains("detector `bits=5,median` in the plan: expected none"), "{built}");
    let levels = (0..).map(|seed| random::network(seed, &Options { residuals: true, ..Options::default() }));
    let levels = levels.into_iter().find(|network| !network.input().has_pixels()).unwrap();
    dq_net::write_network(&levels, &folder.join("levels.json")).unwrap();
    let narrow = error(1, &["emit", "levels.json", "--detector", "bits=5", "-o", "x"]);
    assert!(narrow.contains("detector: expected 256 levels, as pixels have, found"), "{narrow}");
    assert!(!folder.join("x").exists());
}
