//! Tests `--libtorch`: the same scores by another engine, reports that say which, and clear refusals.

use crate::run::{dq, fails, json, ok, root};
use ndarray::Array2;
use ndarray_npy::NpzReader;
use std::fs::{self, File};
use std::path::Path;

fn model(name: &str) -> String {
    root().join("models").join(name).display().to_string()
}

fn scores(path: &Path) -> Array2<i32> {
    NpzReader::new(File::open(path).unwrap()).unwrap().by_name("scores").unwrap()
}

#[test]
fn scores_are_the_engines_and_a_comparison_goes_on() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model("signs-tiny-dq/model.json");
    let sim = ["sim", &model, "--data", "signs", "--count", "600"];
    let with = |more: &[&'static str]| [&sim[..], more].concat();
    let own = json(folder, &with(&["--scores", "own.npz"]));
    let found = json(folder, &with(&["--scores", "found.npz", "--libtorch", "cpu"]));
    assert_eq!((own["engine"].as_str(), found["engine"].as_str()), (Some("fast"), Some("libtorch on CPU")));
    assert_eq!(own["correct"], found["correct"]);
    assert_eq!(scores(&folder.join("own.npz")), scores(&folder.join("found.npz")));
    // Cycles are those of the circuit, whatever computes the scores.
    let timed =
        json(folder, &["sim", &model, "--data", "signs", "--count", "2", "--cycles", "--libtorch", "cpu"]);
    assert!(timed["cycles"].as_u64() > Some(0), "{timed}");

    let compare = with(&["--libtorch", "cpu", "--compare", "comparison.json"]);
    assert_eq!(json(folder, &compare)["equal"], 600);
    let path = folder.join("comparison.json");
    let whole = fs::read_to_string(&path).unwrap();
    // What an earlier call compared is not compared again.
    fs::write(&path, whole.replace("\"equal\": 600", "\"equal\": 512")).unwrap();
    assert_eq!(json(folder, &compare)["equal"], 600);
    assert_eq!(fs::read_to_string(&path).unwrap(), whole);
    let error = fails(folder, 1, &[&compare[..4], &["--count", "9"], &compare[6..]].concat());
    assert!(
        error.contains("expected a comparison of signs-tiny-dq") && error.contains("on 9 images"),
        "{error}"
    );
    fs::write(&path, "{}").unwrap();
    assert!(fails(folder, 1, &compare).contains("not a comparison of --compare"));
}

#[test]
fn reports_say_what_made_the_gradients() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model("signs-tiny-dq/model.json");
    let attack =
        ["attack", &model, "--data", "signs", "--count", "6", "--eps", "8", "--attack", "pgd,random"];
    ok(folder, &[&attack[..], &["-o", "own.json"]].concat());
    ok(folder, &[&attack[..], &["--libtorch", "cpu", "-o", "libtorch.json"]].concat());
    let read = |name: &str| -> serde_json::Value {
        serde_json::from_str(&fs::read_to_string(folder.join(name)).unwrap()).unwrap()
    };
    let (own, mut found) = (read("own.json"), read("libtorch.json"));
    let settings = found["runs"][0]["settings"].as_object_mut().unwrap();
    assert_eq!(settings.remove("engine").unwrap(), "libtorch on CPU");
    assert_eq!(own["runs"][0]["settings"], found["runs"][0]["settings"]);
    assert_eq!(own["runs"][1], found["runs"][1], "random noise asks for no gradient");
    assert_eq!((&own["model"], &own["clean_labels"]), (&found["model"], &found["clean_labels"]));
    // Gradients of two engines do not make one report.
    fs::rename(folder.join("own.json"), folder.join("own.json.partial")).unwrap();
    let error =
        fails(folder, 1, &[&attack[..], &["--libtorch", "cpu", "--resume", "-o", "own.json"]].concat());
    assert!(error.contains("settings of pgd of the earlier report"), "{error}");

    let transfer = ["transfer", &model, &model, "--data", "signs", "--count", "6", "--attack", "fgsm"];
    let found = json(folder, &[&transfer[..], &["--libtorch", "cpu"]].concat());
    assert_eq!(found["clean"], json(folder, &transfer)["clean"]);
}

#[test]
fn its_speed_is_measured_in_the_same_way() {
    let scratch = tempfile::tempdir().unwrap();
    let found = json(scratch.path(), &["bench", "lenet@1/8", "--libtorch", "cpu"]);
    assert_eq!(found["kernel"], "libtorch on CPU");
    for name in ["forward", "fgsm", "pgd20", "square"] {
        assert!(found[name].as_f64() > Some(0.0), "{name}: {found}");
    }
    assert!(found.get("forward_core").is_none(), "one thread of dq's is not one of libtorch's: {found}");
    fails(scratch.path(), 2, &["bench", "lenet@1/8", "--libtorch", "cpu", "--kernel", "portable"]);
}

#[test]
fn a_device_that_is_not_there_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = model("signs-tiny-dq/model.json");
    let sim = ["sim", &model, "--data", "signs", "--count", "2"];
    let with = |more: &[&'static str]| [&sim[..], more].concat();
    let error = fails(folder, 2, &with(&["--libtorch", "tpu"]));
    assert!(error.contains("[possible values: auto, cpu, cuda]"), "{error}");
    fails(folder, 2, &with(&["--libtorch", "cpu", "--engine", "reference"]));
    fails(folder, 2, &with(&["--compare", "comparison.json"]));
    let attack = ["attack", &model, "--data", "signs", "--count", "2", "-o", "report.json"];
    fails(folder, 2, &[&attack[..], &["--grad", "int16", "--libtorch", "cpu"]].concat());
    for command in [&sim[..], &attack[..]] {
        let cuda = dq(folder, &[command, &["--libtorch", "cuda"]].concat());
        let error = String::from_utf8_lossy(&cuda.stderr).into_owned();
        let is_refused = cuda.status.code() == Some(1) && error.contains("no GPU can be used");
        assert!(cuda.status.success() || is_refused, "{error}");
    }
    // Without a GPU the engine computes, and says so.
    let found = dq(folder, &with(&["--libtorch", "auto"]));
    let (told, note) = (String::from_utf8_lossy(&found.stdout), String::from_utf8_lossy(&found.stderr));
    assert!(found.status.success(), "{note}");
    assert!(
        told.contains("engine libtorch on CUDA") || note.contains("so the engine computes"),
        "{told} {note}"
    );
}
