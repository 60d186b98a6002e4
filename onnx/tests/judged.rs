//! Judges from outside: qonnx executes what goes out, and exact arithmetic in Python and float runtimes run what
//! comes in.

use crate::judge::{Case, Judge};
use crate::{qonnx, residual};
use dq_net::{Network, random};
use ndarray::{Array2, ArrayView4};
use std::collections::BTreeSet;
use std::path::Path;

/// Returns the reference's scores.
fn reference(network: &Network, images: ArrayView4<u8>) -> Array2<i32> {
    let scores = images.outer_iter().flat_map(|image| network.eval(image)).collect();
    Array2::from_shape_vec((images.dim().0, network.classes()), scores).unwrap()
}

/// Writes a network as QONNX and adds it, `more` added to one of its scores.
fn exported(judge: &mut Judge, network: &Network, images: usize, more: i32) {
    let export = dq_onnx::export(network);
    assert!(export.inexact.is_empty(), "{}: {:?}", network.name, export.inexact);
    let file = judge.next_file();
    std::fs::write(&file, export.bytes).unwrap();
    let images = random::images(11, images, network.input_shape());
    let mut scores = reference(network, images.view());
    scores[[0, 0]] += more;
    judge.add(&Case {
        name: &network.name,
        file: &file,
        report: None,
        images: images.view(),
        scores,
        exact: 0,
    });
}

#[test]
fn qonnx_gives_the_scores_of_what_goes_out() {
    let Some(mut judge) = Judge::find() else { return };
    let mut kinds = BTreeSet::new();
    for seed in 0..40 {
        let network = random::network(seed, &crate::export::options(seed));
        kinds.extend(network.nodes().iter().map(|node| node.layer.kind().name()));
        exported(&mut judge, &network, 20, 0);
    }
    let all = [
        "bit_depth",
        "conv",
        "dense",
        "global_sum",
        "input",
        "logits",
        "max_pool",
        "median",
        "mix",
        "rescale",
        "step",
        "sum",
        "sum_pool",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), all);
    for (path, network) in crate::export::shipped() {
        let bytes = std::fs::metadata(&path).unwrap().len();
        exported(&mut judge, &network, if bytes < 100_000 { 20 } else { 1 }, 0);
    }
    println!("{}", judge.run().unwrap());
}

/// Imports a file and adds its network.
fn imported(judge: &mut Judge, name: &str, file: &Path, (images, exact): (usize, usize)) {
    let import = dq_onnx::import(file, &Default::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let images = random::images(23, images, import.network.input_shape());
    let scores = reference(&import.network, images.view());
    let (report, images) = (Some(&import.report), images.view());
    judge.add(&Case { name, file, report, images, scores, exact });
}

#[test]
fn exact_arithmetic_and_float_runtimes_give_the_scores_of_files_of_others() {
    let Some(mut judge) = Judge::find() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    for (name, exact) in [
        ("brevitas_per_channel", 200),
        ("ort_mobilenet_qdq", 100),
        ("ort_mobilenet_qoperator", 100),
        ("ort_resnet_qdq", 20),
    ] {
        imported(&mut judge, name, &folder.join(name).with_extension("onnx"), (200, exact));
    }
    let mut graphs = vec![];
    for bits in [1, 2, 4, 8] {
        graphs.push((format!("dense of {bits} bits"), qonnx::dense(bits)));
    }
    for (seed, rounding) in qonnx::ROUNDINGS.into_iter().enumerate() {
        graphs.push((format!("convolutions, {rounding}"), qonnx::convolutional(seed as u64, rounding)));
    }
    for residual in residual::RESIDUALS {
        graphs.push((format!("residual {residual:?}"), residual::residual(residual)));
    }
    for (name, (graph, scores)) in graphs {
        let file = judge.next_file();
        std::fs::write(&file, graph.bytes(&scores)).unwrap();
        imported(&mut judge, &name, &file, (200, 200));
    }
    println!("{}", judge.run().unwrap());
}

#[test]
fn one_score_that_differs_is_found() {
    let Some(mut judge) = Judge::find() else { return };
    let network = |seed| random::network(seed, &random::Options::default());
    exported(&mut judge, &network(1), 3, 0);
    exported(&mut judge, &network(2), 3, 1);
    let said = judge.run().unwrap_err();
    assert!(said.starts_with("random_1: 0 of") && said.contains("\nWRONG random_2: 1 of"), "{said}");
}
