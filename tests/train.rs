//! Tests training as a user sees it: sweeps, weights from elsewhere, devices, and what is refused.
#![cfg(feature = "train")]

use crate::run::{dq, fails, root};
use serde_json::Value;
use std::fs;
use std::path::Path;

/// Runs on one thread: the tests run beside each other.
fn ok(folder: &Path, args: &[&str]) -> String {
    crate::run::ok(folder, &[args, &["--threads", "1"]].concat())
}

fn json(folder: &Path, args: &[&str]) -> Value {
    crate::run::json(folder, &[args, &["--threads", "1"]].concat())
}

const SMALL: &str =
    "name = \"small\"\ndata = {holdout = 7000}\nmodel = {blocks = [[4], [4]]}\ntrain = {epochs = 1}\n";

/// Makes a training set of 440 colour images of ten classes, 32×32, in folder `set`: `--data idx=set`. It is
/// there at once, where the built-in set's 8,000 images are drawn anew by each process.
fn make_set(folder: &Path) {
    const IMAGES: u32 = 440;
    let file = |header: &[u32], content: Vec<u8>| {
        let header = header.iter().flat_map(|word| word.to_be_bytes());
        header.chain(content).collect::<Vec<u8>>()
    };
    let pixel = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
    let pixels = (0..IMAGES * 32 * 32 * 3).map(pixel).collect();
    let labels = (0..IMAGES).map(|i| (i % 10) as u8).collect();
    fs::create_dir(folder.join("set")).unwrap();
    let images = file(&[0x0804, IMAGES, 32, 32, 3], pixels);
    fs::write(folder.join("set/train-images-idx4-ubyte"), images).unwrap();
    fs::write(folder.join("set/train-labels-idx1-ubyte"), file(&[0x0801, IMAGES], labels)).unwrap();
}

/// Returns the recipe [`SMALL`] on the images of [`make_set`].
fn smaller() -> String {
    SMALL.replace("holdout = 7000", "holdout = 40, set = \"idx\"")
}

/// Every cell of the grid is a run of its own, the table has a row each; called again, nothing is trained
/// anew.
#[test]
fn a_sweep_gives_one_table() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    fs::write(folder.join("small.toml"), SMALL).unwrap();
    let grid = ["--sweep", "bits.activations=1,4", "--sweep", "dq.beta=0,2e-3", "--seeds", "2"];
    let args = [&["train", "small.toml", "--out", "runs"], &grid[..]].concat();
    let found = json(folder, &args);
    assert_eq!(found["keys"], serde_json::json!(["bits.activations", "dq.beta"]));
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4);
    for row in rows {
        assert_eq!(row["accuracy"].as_array().unwrap().len(), 2);
        for run in row["runs"].as_array().unwrap() {
            assert!(folder.join(run.as_str().unwrap()).join("best.safetensors").exists());
        }
    }
    let run = folder.join("runs/small-activations.1-beta.2e-3-seed.2");
    let recipe = fs::read_to_string(run.join("recipe.toml")).unwrap();
    assert!(recipe.contains("activations = 1") && recipe.contains("seed = 2"), "{recipe}");
    let before = fs::metadata(run.join("last.safetensors")).unwrap().modified().unwrap();
    let table = ok(folder, &args);
    assert_eq!(fs::metadata(run.join("last.safetensors")).unwrap().modified().unwrap(), before);
    assert!(table.contains("held out %") && table.contains('±'), "{table}");
    let wrong = |grid: &str| fails(folder, 1, &["train", "small.toml", "--out", "new", "--sweep", grid]);
    assert!(wrong("dq.betta=1,2").contains("did you mean `dq.beta`"));
    assert!(wrong("dq.beta=1,1").contains("given twice"));
    assert!(wrong("data.set=signs,cifar10").contains("data.set"));
    let empty = fails(folder, 2, &["train", "small.toml", "--sweep", "dq.beta="]);
    assert!(empty.contains("no cell"), "{empty}");
    assert!(!folder.join("new").exists());
}

/// Seeds beyond the largest are refused before anything is trained: no run of theirs could be read again.
#[test]
fn a_sweep_does_not_go_past_the_largest_seed() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    fs::write(folder.join("small.toml"), SMALL).unwrap();
    let train = ["train", "small.toml", "--out", "runs"];
    let largest = "9223372036854775807";
    for more in [
        &["--seed", largest, "--seeds", "2"][..],
        &["--set", "train.seed=9223372036854775807", "--seeds", "2"],
        &["--sweep", "train.seed=1,9223372036854775807", "--seeds", "2"],
        &["--seed", "9223372036854775808"],
        &["--seed", "18446744073709551615", "--seeds", "100"],
    ] {
        let error = fails(folder, 2, &[&train[..], more].concat());
        assert!(error.contains("--seed") && error.contains(largest), "{more:?}: {error}");
    }
    assert!(!folder.join("runs").exists());
}

/// The weights of a run start another one; a GPU that is not there is an error of its own.
#[test]
fn weights_and_devices() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    make_set(folder);
    fs::write(folder.join("small.toml"), smaller()).unwrap();
    let train = ["train", "small.toml", "--data", "idx=set"];
    json(folder, &[&train[..], &["--out", "first"]].concat());
    let tuned = [&train[..], &["--init", "first/best.safetensors", "--set", "bits.weights=2"]].concat();
    json(folder, &[&tuned[..], &["--out", "second", "--set", "optimizer.lr=0.01"]].concat());
    json(folder, &["export", "second", "-o", "second.json", "--device", "cpu", "--data", "idx=set"]);
    let error = fails(folder, 1, &[&tuned[..], &["--set", "model.kernel=5", "--out", "third"]].concat());
    assert!(error.contains("`conv1_1.weight`") && error.contains("first/best.safetensors"), "{error}");
    let cuda = dq(folder, &[&train[..], &["--out", "fourth", "--device", "cuda"]].concat());
    let error = String::from_utf8_lossy(&cuda.stderr).into_owned();
    assert!(cuda.status.success() || error.contains("no GPU can be used"), "{error}");
}

/// Threads that wait for each other sleep after a short look for work, in every command that libtorch
/// computes in, unless the user chose otherwise.
#[test]
fn waiting_threads_sleep() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    fs::create_dir(folder.join("run")).unwrap();
    let policy = |args: &[&str], own: Option<&str>| {
        let mut command = crate::run::command(folder, args);
        ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT", "KMP_BLOCKTIME"]
            .iter()
            .for_each(|name| _ = command.env_remove(name));
        own.iter().for_each(|policy| _ = command.env("OMP_WAIT_POLICY", policy));
        // OpenMP's library then says what it goes by, each time that it is loaded.
        let output = command.env("OMP_DISPLAY_ENV", "verbose").output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let said = String::from_utf8(output.stderr).unwrap();
        ["OMP_WAIT_POLICY", "GOMP_SPINCOUNT"].map(|name| {
            let last = said.lines().rfind(|line| line.contains(name));
            last.unwrap_or_else(|| panic!("{args:?}: {said}")).to_owned()
        })
    };
    for args in [
        &["train", "no.toml"][..],
        &["export", "run", "-o", "model.json"],
        &["emit", "run", "-o", "rtl"],
        &["verify", "no.json", "--run", "run"],
    ] {
        let [_, looks] = policy(args, None);
        assert!(looks.contains("'3000'"), "{args:?}: {looks}");
        let [own, looks] = policy(args, Some("active"));
        assert!(own.contains("ACTIVE") && !looks.contains("'3000'"), "{args:?}: {own} {looks}");
    }
}

/// Recipes whose parts do not go together, and images that do not fit, are refused by name.
#[test]
fn unfit_recipes_are_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    make_set(folder);
    fs::write(folder.join("small.toml"), smaller()).unwrap();
    for (setting, expected) in [
        ("model.architecture=\"wrn\"", "`model.depth`"),
        ("bits.layers.conv7=2", "`bits.layers.conv7`"),
        ("model.blocks=[[4],[4],[4],[4],[4],[4]]", "`pool6`"),
        ("model.activation=\"sign\"", "`model.activation`"),
    ] {
        let depth = ["--set", "model.depth=17", "--set", setting];
        let error = fails(
            folder,
            1,
            &[&["train", "small.toml", "--data", "idx=set", "--out", "run"], &depth[..]].concat(),
        );
        assert!(error.contains(expected), "{setting}: {error}");
    }
}

/// Every recipe that the repository ships trains a step on a few images, whatever it is made for.
#[test]
fn shipped_recipes_train_and_export() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    make_set(folder);
    for entry in fs::read_dir(root().join("recipes")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let recipe = path.display().to_string();
        // A few steps of a network of a few channels.
        let small = [
            "data.set=idx",
            "data.holdout=40",
            "train.batch=200",
            "train.epochs=1",
            "model.width=0.05",
            "model.blocks=[[2],[2]]",
            "model.dense=[]",
        ];
        let mut args = vec!["train", &recipe, "--data", "idx=set", "--out", &name];
        small.iter().for_each(|setting| args.extend(["--set", setting]));
        json(folder, &args);
        let model = format!("{name}.json");
        json(folder, &["export", &name, "--data", "idx=set", "-o", &model]);
    }
}

/// Makes a MATLAB file of `images` digits, in the format of SVHN's `train_32x32.mat`.
fn svhn(images: u32) -> Vec<u8> {
    let element = |kind: u32, body: &[u8]| {
        let mut bytes = [kind.to_le_bytes(), (body.len() as u32).to_le_bytes()].concat();
        bytes.extend(body);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    };
    // An array of class uint8 (9) has flags, sizes, a name and its numbers (type 2).
    let array = |name: &str, sizes: &[u32], numbers: &[u8]| {
        let sizes: Vec<u8> = sizes.iter().flat_map(|size| size.to_le_bytes()).collect();
        let parts = [element(6, &[9, 0, 0, 0, 0, 0, 0, 0]), element(5, &sizes)];
        element(14, &[parts.concat(), element(1, name.as_bytes()), element(2, numbers)].concat())
    };
    let pixel = |i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8;
    let pixels: Vec<u8> = (0..images * 32 * 32 * 3).map(pixel).collect();
    let labels: Vec<u8> = (0..images).map(|i| (i % 10) as u8 + 1).collect();
    let mut file = b"MATLAB 5.0 MAT-file".to_vec();
    file.resize(124, b' ');
    file.extend([0, 1, b'I', b'M']);
    file.extend(array("X", &[32, 32, 3, images], &pixels));
    file.extend(array("y", &[images, 1], &labels));
    file
}

/// The paper's table 2 runs wherever SVHN's files are: here are others of the same format.
#[test]
fn svhn_is_trained_and_attacked() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    fs::create_dir(folder.join("svhn")).unwrap();
    fs::write(folder.join("svhn/train_32x32.mat"), svhn(80)).unwrap();
    fs::write(folder.join("svhn/test_32x32.mat"), svhn(20)).unwrap();
    let recipe = root().join("experiments/scales/full-svhn.toml").display().to_string();
    let mut train = vec!["train", &recipe, "--data", "svhn=svhn", "--out", "run"];
    for setting in [
        "model.depth=10",
        "model.width=0.25",
        "train.epochs=1",
        "train.batch=40",
        "data.holdout=16",
        "bits.weights=4",
    ] {
        train.extend(["--set", setting]);
    }
    json(folder, &train);
    json(folder, &["export", "run", "--data", "svhn=svhn", "-o", "model.json"]);
    let attack =
        ["attack", "model.json", "--data", "svhn=svhn", "--attack", "fgsm", "--eps", "8", "-o", "r.json"];
    let report = json(folder, &attack);
    assert_eq!(report["clean"]["total"], 20);
}
