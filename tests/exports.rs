//! The long suite's exports: networks that Brevitas and ONNX Runtime export on the spot are imported, judged from
//! outside, and simulated in Verilator.

#[path = "../onnx/tests/judge.rs"]
mod judge;

use crate::run::{json, root};
use dq_net::random;
use dq_sim::Engine;
use judge::{Case, Judge};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

/// Images of each network that go through it and a float runtime.
const IMAGES: usize = 200;

/// How a network is tested.
struct Export<'a> {
    /// Name of its file.
    name: &'a str,
    /// Images that exact arithmetic in Python judges: all where that takes no more than minutes.
    exact: usize,
    /// Frames per second that its circuit is planned for: more make a larger circuit, which simulates a frame
    /// in fewer cycles.
    fps: u32,
}

/// Has a script in Python export networks into `folder`. Returns whether there is a Python for it.
fn export(variable: &str, script: &str, folder: &Path, names: &[&str]) -> bool {
    let Some(python) = std::env::var_os(variable) else {
        eprintln!("SKIPPED: {variable} names no Python for {script}, as `cargo xtask test --long` sets it");
        return false;
    };
    let mut export = Command::new(python);
    export.arg(root().join("onnx/tests").join(script)).arg(folder).args(names);
    assert!(export.status().expect("Python starts").success(), "{script} failed");
    true
}

/// Imports networks, has Python judge their scores, and simulates their circuits.
fn judge(folder: &Path, exports: &[Export]) {
    let Some(mut judge) = Judge::find() else { return };
    for Export { name, exact, .. } in exports {
        let file = folder.join(name).with_extension("onnx");
        let start = Instant::now();
        let import = dq_onnx::import(&file, &Default::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        println!("{name}: imported and proved in {:.1} s", start.elapsed().as_secs_f64());
        dq_net::write_network(&import.network, &file.with_extension("json")).unwrap();
        let images = random::images(31, IMAGES, import.network.input());
        let scores = Engine::new(&import.network).scores(images.view());
        let (report, images) = (Some(&import.report), images.view());
        judge.add(&Case { name, file: &file, report, images, scores, exact: *exact, float: true });
    }
    let start = Instant::now();
    println!("{}in {:.1} s", judge.run().unwrap(), start.elapsed().as_secs_f64());
    for Export { name, fps, .. } in exports {
        let (model, fps) = (format!("{name}.json"), fps.to_string());
        let start = Instant::now();
        let verify = ["verify", &model, "--count", "2", "--rtl", "1", "--fps", &fps];
        let verified = json(folder, &verify);
        assert_eq!(verified["ok"], true, "{verified}");
        println!("{name}: Verilog equal to the cycle in {:.1} s", start.elapsed().as_secs_f64());
    }
}

#[test]
#[ignore = "takes minutes"]
fn dense_networks_of_brevitas_are_exact_down_to_verilog() {
    let scratch = tempfile::tempdir().unwrap();
    let names = ["TFC_1W1A", "TFC_1W2A", "TFC_2W2A", "LFC_1W1A", "LFC_1W2A"];
    if export("DQ_PYTHON_TORCH", "export_brevitas.py", scratch.path(), &names) {
        let exports = names.map(|name| Export { name, exact: IMAGES, fps: 1000 });
        judge(scratch.path(), &exports);
    }
}

#[test]
#[ignore = "takes minutes"]
fn convolutional_networks_of_brevitas_are_exact_down_to_verilog() {
    let scratch = tempfile::tempdir().unwrap();
    let names = ["small", "CNV_1W1A", "CNV_1W2A", "CNV_2W2A"];
    if export("DQ_PYTHON_TORCH", "export_brevitas.py", scratch.path(), &names) {
        let exports = names.map(|name| Export { name, exact: IMAGES, fps: 1000 });
        judge(scratch.path(), &exports);
    }
}

#[test]
#[ignore = "takes minutes"]
fn a_residual_network_of_brevitas_is_exact_down_to_verilog() {
    let scratch = tempfile::tempdir().unwrap();
    if export("DQ_PYTHON_TORCH", "export_brevitas.py", scratch.path(), &["RESNET18_4W4A"]) {
        judge(scratch.path(), &[Export { name: "RESNET18_4W4A", exact: IMAGES, fps: 100 }]);
    }
}

#[test]
#[ignore = "takes minutes"]
fn networks_that_onnx_runtime_quantized_are_exact_down_to_verilog() {
    let scratch = tempfile::tempdir().unwrap();
    if export("DQ_PYTHON", "export_ort.py", scratch.path(), &[]) {
        let files = std::fs::read_dir(scratch.path()).unwrap().map(|entry| entry.unwrap().path());
        let mut names: Vec<String> =
            files.map(|file| file.file_stem().unwrap().to_string_lossy().into_owned()).collect();
        names.sort();
        assert!(names.len() >= 8, "{names:?}");
        let goes = |name| Export { name, exact: IMAGES, fps: 2000 };
        let exports: Vec<Export> = names.iter().map(|name| goes(name.as_str())).collect();
        judge(scratch.path(), &exports);
    }
}
