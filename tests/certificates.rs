//! Tests certificates by others: z3 decides the same question from an SMT-LIB file, and a checker in Python that
//! shares no code with the search accepts what it proved and refuses every edit.

use crate::run::{fails, ok, own_images, root};
use dq_hdl::tool;
use dq_net::random::{self, Options};
use dq_net::topology;
use dq_sim::WhiteBox;
use dq_sim::study::certify::{Certifier, Outcome, question};
use ndarray::{Array3, Axis};
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::AtomicBool;

/// How long z3 tries, in its own steps, so that a slower machine gets the same answers: a second or two.
const LIMIT: &str = "rlimit=4000000";

/// Asks z3, which prints the pixels of an image where there is one; none where it is not there.
fn z3(question: &str) -> Option<String> {
    let z3 = tool::require("z3")?;
    let mut command: Command = z3.command();
    let mut child =
        command.args(["-in", LIMIT]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let text = format!("{question}(get-model)\n");
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    Some(String::from_utf8(output.stdout).unwrap())
}

/// Returns the image of a model. A pixel that no score depends on has no value there and stays as it is.
fn image_of(model: &str, image: &Array3<u8>) -> Array3<u8> {
    Array3::from_shape_fn(image.dim(), |at| {
        let name = format!("define-fun pixel_{}_{}_{} () Int", at.0, at.1, at.2);
        let value = model.split_once(&name).map(|(_, rest)| rest.trim_start().split(')').next().unwrap());
        value.map_or(image[at], |value| value.parse().unwrap())
    })
}

#[test]
fn z3_decides_as_the_search_does() {
    if tool::require("z3").is_none() {
        return;
    }
    let [mut kept, mut broken, mut open] = [0; 3];
    // As few bits and elements as a solver likes.
    let small = Options { max_side: 3, max_channels: 3, max_layers: 2, ..Options::default() };
    let bits = Some(2);
    for seed in 0..50 {
        let options = Options { residuals: seed % 2 == 0, weight_bits: bits, level_bits: bits, ..small };
        let network = random::network(seed, &options);
        let image = random::image(seed, network.input());
        let white_box = WhiteBox::new(&network);
        let label = white_box.engine().labels(image.view().insert_axis(Axis(0)))[0] as u8;
        let stop = AtomicBool::new(false);
        let certifier = Certifier::new(&white_box, &stop);
        for eps in [2, 60, 200] {
            let answer = z3(&question(&network, image.view(), label, eps)).unwrap();
            let (found, _) = certifier.certify(image.view(), label, eps, 2_000);
            let decided = usize::from(!matches!(found, Outcome::Open));
            match (answer.lines().next().unwrap_or(""), found) {
                ("unsat", Outcome::Certified | Outcome::Open) => {
                    kept += decided;
                    open += 1 - decided;
                }
                ("sat", Outcome::Broken(_) | Outcome::Open) => {
                    broken += decided;
                    open += 1 - decided;
                    let other = image_of(&answer, &image);
                    let far = |(a, b): (&u8, &u8)| a.abs_diff(*b) > eps;
                    assert!(
                        !other.iter().zip(&image).any(far),
                        "seed {seed}, eps {eps}: outside of the ball"
                    );
                    let labels = white_box.engine().labels(other.view().insert_axis(Axis(0)));
                    assert_ne!(labels[0], usize::from(label), "seed {seed}, eps {eps}: z3's image");
                }
                // What it does not decide within its time says nothing.
                ("timeout" | "unknown", _) => {}
                (answer, found) => panic!("seed {seed}, eps {eps}: z3 says {answer}, the search {found:?}"),
            }
        }
    }
    // Where the search leaves a question open it agrees with nothing.
    assert!(kept > 20 && broken > 8, "{kept} kept, {broken} broken, {open} open");
}

#[test]
fn questions_are_written_for_small_networks() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let signs = root().join("models/signs-tiny-dq/model.json").display().to_string();
    let error = fails(
        folder,
        1,
        &["certify", &signs, "--data", "signs", "--count", "2", "--smt", "smt", "-o", "c.json"],
    );
    assert!(error.contains("at most 1,000,000") && error.contains("2,580,800"), "{error}");
    assert!(!folder.join("smt").exists() && !folder.join("c.json").exists());
    let small = "mlp@1/16:w2a2";
    own_images(folder, &topology::build(small, 1).unwrap(), 2);
    ok(folder, &["certify", small, "--data", "idx=own", "--eps", "1,2", "--smt", "smt", "-o", "c.json"]);
    for name in ["00000-eps-1", "00001-eps-2"] {
        let text = fs::read_to_string(folder.join(format!("smt/{name}.smt2"))).unwrap();
        assert!(text.contains("(set-logic QF_LIA)") && text.ends_with("(check-sat)\n"), "{name}");
    }
}

/// Edits one number at a time, of a certificate or of what all are of, and counts those edits that the checker accepts.
const EDITS: &str = r#"
import copy, json, random, sys
import numpy as np
import check_certificates as checker
model, trails = (json.load(open(path)) for path in sys.argv[1:3])
text, arrays = open(sys.argv[1]).read(), np.load(sys.argv[3])
images, labels = arrays["images"], arrays["labels"]
draw, tried, accepted = random.Random(1), 0, 0
checker.check_head(text, images, labels, trails)
for part, name in [("data", "images"), ("data", "digest"), ("model", "content_hash")] * 2:
    edited = copy.deepcopy(trails)
    value = edited[part][name]
    if name == "images":
        value += draw.choice([-1, 1])
    else:
        place = draw.randrange(len(value))
        value = value[:place] + "0123456789abcdef"[int(value[place], 16) ^ 1] + value[place + 1 :]
    edited[part][name] = value
    tried += 1
    try:
        checker.check_head(text, images, labels, edited)
        accepted += 1
        print("ACCEPTED", part, name, value)
    except checker.Refused:
        pass
for certificate in trails["certificates"]:
    for _ in range(5):
        edited = copy.deepcopy(certificate)
        where = draw.choice(["image", "label", "eps", "cuts", "slack"])
        if where in edited:
            edited[where] += draw.choice([-1, 1])
        else:
            numbers = edited["trail"][where]
            numbers[draw.randrange(len(numbers))] += draw.choice([-1, 1])
        tried += 1
        try:
            checker.check(model["nodes"], images, edited)
            accepted += 1
            print("ACCEPTED", where, edited)
        except checker.Refused:
            pass
print(tried, "tried", accepted, "accepted")
"#;

#[test]
fn a_checker_that_shares_no_code_accepts_what_is_proved_and_refuses_edits() {
    let Some(python) = std::env::var_os("DQ_PYTHON") else {
        eprintln!("SKIPPED: DQ_PYTHON names no Python with NumPy, as `cargo xtask test` sets it");
        return;
    };
    let python = |folder: &Path, args: &[&str]| {
        let mut command = Command::new(&python);
        command.args(args).current_dir(folder).env("PYTHONPATH", root().join("python"));
        let output = command.output().unwrap();
        let text = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
        (output.status.code(), text)
    };
    let checker = root().join("python/check_certificates.py").display().to_string();
    let mut tried = 0;
    // Chains and residual networks, which together have every kind of layer; and a whole MLP.
    for seed in 0..14 {
        let options =
            Options { max_side: 5, max_channels: 4, residuals: seed % 2 == 0, ..Options::default() };
        let network = match seed {
            0 => topology::build("mlp@1/16:w2a2", 1).unwrap(),
            _ => random::network(seed, &options),
        };
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path();
        dq_net::write_network(&network, &folder.join("model.json")).unwrap();
        own_images(folder, &network, 6);
        let certify = ["certify", "model.json", "--data", "idx=own", "--eps", "0,1,3", "--boxes", "40"];
        ok(folder, &[&certify[..], &["--proof", "trails.json", "-o", "certificates.json"]].concat());
        ok(folder, &["data", "idx=own", "-o", "images.npz"]);
        let report: Value =
            serde_json::from_slice(&fs::read(folder.join("certificates.json")).unwrap()).unwrap();
        let certified: u64 =
            (0..3).map(|n| report["radii"][n]["certified"]["correct"].as_u64().unwrap()).sum();
        let (code, said) = python(folder, &[&checker, "model.json", "images.npz", "trails.json"]);
        assert_eq!(code, Some(0), "seed {seed}: {said}");
        assert!(
            said.contains(&format!("{certified} of {certified} certificates hold")),
            "seed {seed}: {said}"
        );
        fs::write(folder.join("edits.py"), EDITS).unwrap();
        let (code, said) = python(folder, &["edits.py", "model.json", "trails.json", "images.npz"]);
        assert!(code == Some(0) && said.contains(" 0 accepted"), "seed {seed}: {said}");
        tried += said.split(' ').next().unwrap().parse::<u32>().unwrap();
    }
    assert!(tried >= 100, "{tried} edits");
}
