//! Judges from outside: qonnx executes what goes out, and exact arithmetic in Python and float runtimes run what
//! comes in.

use crate::judge::{Case, Judge};
use crate::{build, forms, layers, qdq, qonnx, residual};
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
    let images = random::images(11, images, network.input());
    let mut scores = reference(network, images.view());
    scores[[0, 0]] += more;
    judge.add(&Case {
        name: &network.name,
        file: &file,
        report: None,
        images: images.view(),
        scores,
        exact: 0,
        float: true,
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
        "concat",
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

/// Which judges run a file on how many images.
#[derive(Clone, Copy)]
struct By {
    images: usize,
    exact: usize,
    float: bool,
}

/// What runs 200 images in a second or two.
const BOTH: By = By { images: 200, exact: 200, float: true };
/// What the float runtimes do not execute, or where many values lie on a half, which float32 misses.
const EXACT: By = By { float: false, ..BOTH };

/// Imports a file and adds its network.
fn imported(judge: &mut Judge, name: &str, file: &Path, By { images, exact, float }: By) {
    let import = dq_onnx::import(file, &Default::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
    let images = random::images(23, images, import.network.input());
    let scores = reference(&import.network, images.view());
    let (report, images) = (Some(&import.report), images.view());
    judge.add(&Case { name, file, report, images, scores, exact, float });
}

#[test]
fn exact_arithmetic_and_float_runtimes_give_the_scores_of_files_of_others() {
    let Some(mut judge) = Judge::find() else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    for (name, exact) in [
        ("brevitas_per_channel", 200),
        ("ort_mobilenet_qdq", 50),
        ("ort_mobilenet_qoperator", 50),
        ("ort_resnet_qdq", 20),
    ] {
        imported(&mut judge, name, &folder.join(name).with_extension("onnx"), By { exact, ..BOTH });
    }
    println!("{}", judge.run().unwrap());
}

/// A test that imports files, and what judges these.
type Test = (&'static str, fn(), By);

/// The graphs of other tests, which assert that they are imported: what their scores are is said here.
#[rustfmt::skip]
const GRAPHS: &[Test] = &[
    ("dense", qonnx::a_dense_network_is_imported_and_proved, BOTH),
    ("convolutions", qonnx::a_convolutional_network_is_imported_and_proved, BOTH),
    ("thresholds", qonnx::thresholds_are_imported_as_they_are, BOTH),
    ("levels", qdq::an_activation_of_levels_takes_levels, BOTH),
    ("residuals", residual::residuals_of_any_scales_and_zero_points_are_imported_and_proved, BOTH),
    ("biases", residual::float_biases_of_the_scores_leave_every_label, BOTH),
    ("ratio", residual::scales_of_a_small_ratio_become_whole_factors, BOTH),
    ("channels last", forms::operators_with_the_channels_last_are_those_with_the_channels_first, EXACT),
    ("columns", forms::products_of_columns_and_of_pixels_are_convolutions, EXACT),
    ("bits", forms::counted_bits_and_shifted_means_are_what_qonnx_says, EXACT),
    ("clip", forms::a_clip_behind_a_quantizer_narrows_it, EXACT),
    ("rounded", forms::what_follows_the_scores_may_round_probabilities, BOTH),
    ("line", forms::a_line_of_samples_is_convolved_along_it, BOTH),
    ("wide weights", layers::weights_of_more_than_8_bits_are_sums_of_layers, EXACT),
    ("scales of channels", layers::scales_of_channels_in_small_ratios_go_into_the_weights, EXACT),
    ("padding", layers::padding_of_its_own_goes_into_the_convolution_behind_it, BOTH),
    ("pools", layers::pools_pad_and_round_their_sizes_up, BOTH),
    ("parts", layers::parts_of_tensors_and_shuffled_channels_are_copied, EXACT),
    ("scores", layers::scores_of_several_scales_keep_their_order_or_are_refused, BOTH),
];

#[test]
fn exact_arithmetic_and_float_runtimes_give_the_scores_of_graphs_of_other_tests() {
    let Some(mut judge) = Judge::find() else { return };
    for &(name, test, by) in GRAPHS {
        let files = build::recorded(test);
        assert!(!files.is_empty(), "{name}");
        for (n, bytes) in files.iter().enumerate() {
            let file = judge.next_file();
            std::fs::write(&file, bytes).unwrap();
            imported(&mut judge, &format!("{name} {n}"), &file, by);
        }
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
