//! Tests `dq explore`: each plan on the front is that of `dq plan`, none beats another, and a page shows
//! them.

use crate::run::{command, fails, json, ok, root};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn model(name: &str) -> String {
    root().join("models").join(name).display().to_string()
}

/// Returns by what plans are compared; less is better.
fn costs(network: &Value, point: &Value) -> Vec<i64> {
    let number = |value: &Value| value.as_i64().unwrap();
    let used = &point["used"];
    let mut costs = vec![number(&point["interval"]), number(&point["latency"])];
    costs.extend(["lut", "bram", "dsp"].map(|resource| number(&used[resource])));
    if let Some(attacked) = network.get("attacked") {
        let worst = attacked["worst"].as_array().unwrap().iter().map(|worst| &worst["tally"]);
        costs.extend([&attacked["clean"]].into_iter().chain(worst).map(|tally| -number(&tally["correct"])));
    }
    costs
}

fn beats(a: &[i64], b: &[i64]) -> bool {
    a.iter().zip(b).all(|(a, b)| a <= b)
}

/// Checks that each point of `network` is what `dq plan` says for it with `more` options.
fn same_as_planned(folder: &Path, name: &str, network: &Value, more: &[&str]) {
    for point in network["points"].as_array().unwrap() {
        let asked = match (&point["asked"]["frames_per_second"], &point["asked"]["luts"]) {
            (Value::Number(frames), _) => ["--fps".to_owned(), frames.to_string()],
            (_, Value::Number(luts)) => ["--luts".to_owned(), luts.to_string()],
            _ => panic!("{point}"),
        };
        let args = [&["plan", name, &asked[0], &asked[1]], more].concat();
        let report = &json(folder, &args)["report"];
        assert_eq!(point["frames_per_second"], report["frames_per_second"], "{asked:?}");
        assert_eq!(point["interval"], report["timing"]["interval"], "{asked:?}");
        assert_eq!(point["latency"], report["timing"]["latency"], "{asked:?}");
        assert_eq!(point["used"], report["estimate"]["total"], "{asked:?}");
    }
}

#[test]
fn the_front_of_a_network_holds_what_plans_say_and_no_plan_that_another_beats() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let up5k = ["--device", "ice40-up5k", "--mhz", "24"];
    let explore = [&["explore", "lenet:w4a4", "--points", "6", "-o", "front.json"], &up5k[..]].concat();
    let front = json(folder, &explore);
    let network = &front["networks"][0];
    let points = network["points"].as_array().unwrap();
    assert!(points.len() > 2, "{front}");
    for (i, a) in points.iter().enumerate() {
        for b in &points[..i] {
            let (a, b) = (costs(network, a), costs(network, b));
            assert!(!beats(&a, &b) && !beats(&b, &a), "{a:?} {b:?}");
        }
    }
    same_as_planned(folder, "lenet:w4a4", network, &up5k);
    let text = fs::read_to_string(folder.join("front.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), front, "the file is what --json says");
    // One thread finds the same.
    ok(folder, &[&explore[..4], &up5k, &["--threads", "1", "-o", "one.json"]].concat());
    assert_eq!(fs::read_to_string(folder.join("one.json")).unwrap(), text);
    // What does not fit is said, in the table too, and `dq plan` refuses it.
    let refused = &network["refused"][0];
    let faster = refused["asked"]["frames_per_second"].to_string();
    let said = ok(folder, &explore);
    assert!(said.contains("no plan: lenet") && said.contains(refused["why"].as_str().unwrap()), "{said}");
    fails(folder, 1, &[&["plan", "lenet:w4a4", "--fps", &faster], &up5k[..]].concat());
}

#[test]
fn budgets_of_luts_and_speeds_by_hand_are_explored_too() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let found = json(folder, &["explore", "lenet", "--luts", "100,3000,6000"]);
    let network = &found["networks"][0];
    assert_eq!(network["points"].as_array().unwrap().len(), 2, "{found}");
    assert!(network["refused"][0]["why"].as_str().unwrap().contains("LUTs needed of 100 ("), "{found}");
    same_as_planned(folder, "lenet", network, &[]);
    let text = ok(folder, &["explore", "lenet", "--fps", "3000,10000,9000000"]);
    let golden = "\
network        asked for  frames/s  latency, µs   LUTs     FF  BRAM  DSP
───────  ───────────────  ────────  ───────────  ─────  ─────  ────  ───
lenet     3,000 frames/s     3,543        330.1  2,400  1,109     3    0
lenet    10,000 frames/s    10,850        124.2  2,404  1,280     4    0

100 MHz: 2 of 2 plans on the front
no plan: lenet, 9,000,000 frames/s: stage `conv1_window` needs 1764 cycles per frame even unfolded, but \
9000000 frames/s at 100 MHz leave 11: at most 56689 frames/s
";
    assert_eq!(text, golden);
}

#[test]
fn networks_with_reports_are_compared_by_accuracy_and_a_page_shows_them() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let [dq, fgsm] = [model("signs-tiny-dq/model.json"), model("controls/signs-tiny-fgsm.json")];
    let attack = |model: &str, count: &str, eps: &str, report: &str| {
        let signs = ["--data", "signs", "--count", count, "--attack", "fgsm", "--eps", eps];
        ok(folder, &[&["attack", model, "-o", report], &signs[..]].concat());
    };
    attack(&dq, "40", "2,8", "dq-attack.json");
    attack(&fgsm, "40", "2,4", "fgsm-attack.json");
    attack(&fgsm, "30", "2", "fewer.json");
    attack(&fgsm, "40", "4", "other.json");
    let both = ["explore", &dq, &fgsm, "--fps", "100,300", "--reports"];
    let found =
        json(folder, &[&both[..], &["dq-attack.json", "fgsm-attack.json", "-o", "front.json"]].concat());
    let networks = found["networks"].as_array().unwrap();
    let all: Vec<Vec<i64>> = networks
        .iter()
        .flat_map(|network| network["points"].as_array().unwrap().iter().map(|point| costs(network, point)))
        .collect();
    assert!(all.len() >= 2 && all.len() <= 4, "{found}");
    assert!(all.iter().all(|costs| costs.len() == 7), "clean, and the one radius that both reports have");
    for (i, a) in all.iter().enumerate() {
        assert!(all[..i].iter().all(|b| !beats(a, b) && !beats(b, a)), "{all:?}");
    }
    for (network, path) in networks.iter().zip([&dq, &fgsm]) {
        same_as_planned(folder, path, network, &[]);
    }
    ok(folder, &["report", "front.json", "dq-attack.json", "-o", "front.html"]);
    let page = fs::read_to_string(folder.join("front.html")).unwrap();
    let marks = page.split("id=\"front\"").nth(1).unwrap().matches("<circle").count();
    assert!(marks >= 3 * all.len(), "speed, clean accuracy and one radius: {marks} marks");
    assert!(page.contains("Plans on the front") && page.contains("signs-tiny-dq, "), "marks have titles");
    // Reports that cannot be compared, or are of other networks, are refused with file and field.
    for (reports, words) in [
        (&["dq-attack.json", "fewer.json"][..], &["fewer.json", "data.digest", "dq-attack.json"][..]),
        (&["dq-attack.json"], &["expected one of network", "found none"]),
        (&["dq-attack.json", "fgsm-attack.json", "other.json"], &["radius that all files have"]),
        (&["dq-attack.json", "fgsm-attack.json", "fgsm-attack.json"], &["a second file", "fgsm-attack.json"]),
        (&["missing.json", "dq-attack.json"], &["missing.json", "No such file"]),
        (&["front.json", "dq-attack.json"], &["front.json", "not an attack report"]),
    ] {
        let error = fails(folder, 1, &[&both[..], reports].concat());
        assert!(words.iter().all(|word| error.contains(word)), "{reports:?}: {error}");
    }
    let error = fails(folder, 1, &["explore", &dq, "--reports", "fgsm-attack.json"]);
    assert!(error.contains("fgsm-attack.json: of network") && error.contains("no MODEL"), "{error}");
}

/// The share of images that certificates prove stands beside what attacks leave, also of other images.
#[test]
fn certified_accuracy_is_explored_against_area() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let [dq, fgsm] = [model("signs-tiny-dq/model.json"), model("controls/signs-tiny-fgsm.json")];
    let certify = |model: &str, count: &str, eps: &str, file: &str| {
        let signs = ["--data", "signs", "--count", count, "--boxes", "1", "--eps", eps];
        ok(folder, &[&["certify", model, "-o", file], &signs[..]].concat());
    };
    certify(&dq, "6", "1,2", "dq.json");
    certify(&fgsm, "6", "1", "fgsm.json");
    certify(&fgsm, "5", "1", "fewer.json");
    ok(
        folder,
        &["attack", &dq, "--data", "signs", "--count", "9", "--attack", "fgsm", "--eps", "2", "-o", "a.json"],
    );
    let both = ["explore", &dq, &fgsm, "--fps", "100", "--certificates"];
    let found = json(folder, &[&both[..], &["dq.json", "fgsm.json", "-o", "front.json"]].concat());
    for (network, file) in found["networks"].as_array().unwrap().iter().zip(["dq.json", "fgsm.json"]) {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let certificates: Value = serde_json::from_str(&text).unwrap();
        let of_network = &network["certified"];
        assert_eq!(of_network["clean"], certificates["clean"]);
        assert_eq!(of_network["proved"].as_array().unwrap().len(), 1, "the one radius that both have");
        assert_eq!(of_network["proved"][0]["tally"], certificates["radii"][0]["certified"]);
        assert!(network.get("attacked").is_none(), "{network}");
    }
    // Files of version 1, which do not say how boxes were bounded, are read too.
    let mut old: Value = serde_json::from_str(&fs::read_to_string(folder.join("dq.json")).unwrap()).unwrap();
    old["version"] = 1.into();
    old.as_object_mut().unwrap().remove("bounds").unwrap();
    fs::write(folder.join("old.json"), old.to_string()).unwrap();
    let same = json(folder, &[&both[..], &["old.json", "fgsm.json"]].concat());
    assert_eq!(same["networks"], found["networks"]);
    ok(folder, &["report", "front.json", "-o", "front.html"]);
    let page = fs::read_to_string(folder.join("front.html")).unwrap();
    assert!(page.contains("accuracy at ε 1 certified, %, against LUTs"));
    // Attacked and certified, on different numbers of images.
    let args = ["explore", &dq, "--fps", "100", "--reports", "a.json", "--certificates", "dq.json"];
    let text = ok(folder, &args);
    assert!(text.contains("clean, %  eps 2, %  eps 1 certified, %  eps 2 certified, %"), "{text}");
    for (files, words) in [
        (&["dq.json", "fewer.json"][..], &["fewer.json", "data.digest", "dq.json"][..]),
        (&["dq.json"], &["--certificates: expected one of network", "found none"]),
        (&["dq.json", "a.json"], &["a.json", "expected certificates", "another report"]),
        (&["dq.json", "missing.json"], &["missing.json", "No such file"]),
    ] {
        let error = fails(folder, 1, &[&both[..], files].concat());
        assert!(words.iter().all(|word| error.contains(word)), "{files:?}: {error}");
    }
}

#[test]
fn what_cannot_be_explored_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    for (code, args, words) in [
        (2, &["explore"][..], &["MODEL"][..]),
        (2, &["explore", "lenet", "--device", "spartan"], &["ecp5-85f"]),
        (2, &["explore", "lenet", "--fps", "0"], &["--fps"]),
        (2, &["explore", "lenet", "--fps", "5", "--luts", "5"], &["cannot be used with"]),
        (2, &["explore", "lenet", "--luts", "5", "--points", "5"], &["cannot be used with"]),
        (2, &["explore", "a.json", "-o", "a.json"], &["would overwrite"]),
        (1, &["explore", "missing.json"], &["missing.json", "No such file"]),
        (1, &["explore", "lenet", "cnv", "--luts", "100"], &["lenet", "100 LUTs", "LUTs needed of 100"]),
    ] {
        let error = fails(folder, code, args);
        assert!(words.iter().all(|word| error.contains(word)), "{args:?}: {error}");
    }
}

/// Ctrl-C ends it after the plans at hand, and nothing is written.
#[test]
#[cfg(unix)]
fn exploring_stops_at_a_plan() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let args = ["explore", "wrn-16-4:w2a2", "--points", "200", "-o", "front.json"];
    let child = command(folder, &args).stderr(std::process::Stdio::piped()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(2));
    // SAFETY: a signal to a child of ours that has not been waited for, so its id is still its own.
    assert_eq!(unsafe { libc::kill(child.id() as i32, libc::SIGINT) }, 0, "the child has already ended");
    let output = child.wait_with_output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(130), "{error}");
    assert!(error.contains("nothing was written") && !folder.join("front.json").exists(), "{error}");
}
