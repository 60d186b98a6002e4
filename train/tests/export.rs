//! Tests export from outside: the float evaluation graph and the exported network agree, and a proof notices
//! when they do not.

use crate::common::{CPU, fit, images, recipe};
use dq_net::{AnyNetwork, Layer, Network};
use dq_train::{BEST, BitWidths, Bits, Keep, ProofFailure, evaluation, export, is_calibrated, reprove};
use ndarray::Axis;
use proptest::prelude::*;
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

fn integer(network: AnyNetwork) -> Network {
    match network {
        AnyNetwork::Integer(network) => network,
        AnyNetwork::Float(_) => panic!("expected an integer network"),
    }
}

/// Returns the number of random recipes: `DQ_CASES`, or a few.
fn cases() -> u32 {
    std::env::var("DQ_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(24)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// Random recipes, a few steps, export: the same scores for every image, the proof passes, also without
    /// data.
    #[test]
    fn float_scores_are_integer_scores(
        model in architectures(), quantizers in quantizers(),
        squeeze in (prop::sample::select(vec![8, 8, 5, 1]), any::<bool>()),
        channels in 1usize..=3, aol in any::<bool>(), seed in 0u64..1000,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (size, mut settings) = model;
        settings.extend(quantizers);
        settings.push(format!("squeeze.bits={}", squeeze.0));
        settings.push(format!("squeeze.median={}", squeeze.1));
        settings.push(format!("train.seed={seed}"));
        if aol {
            settings.push("model.normalization=\"aol\"".to_owned());
        }
        settings.push("train.epochs=1".to_owned());
        let recipe = recipe(&settings.iter().map(String::as_str).collect::<Vec<_>>());
        let data = images(80, [size, size + 1, channels], 3);
        if let Err(error) = fit(&recipe, &data, folder.path(), false) {
            // A single weight has no size but its scale: its gradient grows without end as it nears 0.
            prop_assert!(error.to_string().contains("diverged"), "{error}");
            return Err(TestCaseError::reject("training diverged"));
        }
        let network = integer(export(folder.path(), None, Some(&data), Keep::InRun, CPU).unwrap());
        let float = evaluation(folder.path(), None, None, CPU).unwrap().scores(&data);
        for (image, expected) in data.pixels.axis_iter(Axis(0)).zip(float.axis_iter(Axis(0))) {
            let scores: Vec<f64> = network.eval(image).into_iter().map(f64::from).collect();
            prop_assert_eq!(scores, expected.to_vec());
        }
        prop_assert_eq!(&Some(reprove(folder.path(), &network, CPU).unwrap()), &network.proof);
    }
}

/// Draws the smallest image side and `model` settings of a small network of any family.
fn architectures() -> impl Strategy<Value = (usize, Vec<String>)> {
    let dense = || prop::collection::vec(1usize..=5, 0..=2);
    let set = |family: &str, rest: Vec<String>| {
        let mut settings = vec![format!("model.architecture=\"{family}\"")];
        settings.extend(rest.into_iter().map(|setting| format!("model.{setting}")));
        settings
    };
    let residual = || (prop::sample::select(vec!["convex", "add"]), 8u32..=14, 0.1f64..0.5);
    let residual_set = move |family: &'static str, depth: usize, (kind, bits, width): (&str, u32, f64)| {
        let rest = vec![
            format!("depth={depth}"),
            format!("residual=\"{kind}\""),
            format!("stream_bits={bits}"),
            format!("width={width}"),
        ];
        (5, set(family, rest))
    };
    prop_oneof![
        3 => (1usize..=2, 1usize..=5, 0usize..=1, dense(), 4usize..=7).prop_map(
            move |(blocks, widths, kernel, dense, size)| {
                let blocks = format!("blocks={:?}", vec![vec![widths, widths + 1]; blocks]);
                let kernel = format!("kernel={}", 2 * kernel + 1);
                (size, set("vgg", vec![blocks, format!("dense={dense:?}"), kernel]))
            }
        ),
        2 => (1usize..=2, 1usize..=5, dense(), 4usize..=7).prop_map(move |(blocks, widths, dense, size)| {
            let blocks = format!("blocks={:?}", vec![vec![widths, widths + 1]; blocks]);
            (size, set("strided", vec![blocks, format!("dense={dense:?}")]))
        }),
        1 => dense().prop_map(move |dense| (4, set("mlp", vec![format!("dense={dense:?}")]))),
        1 => dense().prop_map(move |dense| {
            (32, set("cnv", vec![format!("dense={dense:?}"), "width=0.04".into()]))
        }),
        2 => residual().prop_map(move |rest| residual_set("wrn", 10, rest)),
        2 => residual().prop_map(move |rest| residual_set("resnet", 8, rest)),
        1 => residual().prop_map(move |(kind, bits, _)| residual_set("resnet", 18, (kind, bits, 0.04))),
    ]
}

/// Draws `bits` settings and the activation that goes with them.
fn quantizers() -> impl Strategy<Value = Vec<String>> {
    let activation = prop_oneof![
        (
            prop::sample::select(vec!["relu6", "relu1"]),
            1u32..=8,
            prop::sample::select(vec!["fixed", "learned"])
        ),
        (Just("tanh"), 1u32..=6, Just("fixed")),
        (Just("sign"), Just(1u32), Just("fixed")),
    ];
    let own = prop::option::of((prop::sample::select(vec!["first", "last"]), 1u32..=8));
    (1u32..=8, activation, prop::sample::select(vec!["fixed", "learned"]), own).prop_map(
        |(weights, (activation, levels, levels_by), weights_by, own)| {
            let mut settings = vec![
                format!("bits.weights={weights}"),
                format!("bits.activations={levels}"),
                format!("bits.weight_step=\"{weights_by}\""),
                format!("bits.activation_step=\"{levels_by}\""),
                format!("model.activation=\"{activation}\""),
            ];
            settings.extend(own.map(|(layer, bits)| format!("bits.layers.{layer}={bits}")));
            settings
        },
    )
}

/// Paper, section 5.1: ReLU1 is ReLU6 after the batch norm's gain and bias are divided by 6. On the integer
/// networks: the same thresholds in every step, the same scores for every image.
#[test]
fn relu1_is_relu6_rescaled() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(200, [8, 8, 3], 4);
    let (six, one) = (folder.path().join("six"), folder.path().join("one"));
    fit(&recipe(&["train.epochs=3"]), &data, &six, false).unwrap();
    fit(&recipe(&["train.epochs=3", "model.activation=\"relu1\""]), &data, &one, false).unwrap();
    // The second run gets the first one's weights, and gains and biases a sixth of its.
    let bytes = std::fs::read(six.join(BEST)).unwrap();
    let (_, metadata) = SafeTensors::read_metadata(&bytes).unwrap();
    let metadata = metadata.metadata().clone();
    let tensors = SafeTensors::deserialize(&bytes).unwrap();
    let scaled: Vec<(String, Vec<u8>, Vec<usize>)> = tensors
        .iter()
        .map(|(name, view)| {
            let norm = name.starts_with("step") && (name.ends_with("gain") || name.ends_with("bias"));
            let floats = view.data().chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
            let changed = floats.flat_map(|v| (if norm { v / 6.0 } else { v }).to_le_bytes()).collect();
            (name.to_owned(), changed, view.shape().to_vec())
        })
        .collect();
    let views = scaled.iter().map(|(name, bytes, shape)| {
        (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap())
    });
    std::fs::write(one.join(BEST), safetensors::serialize(views, metadata).unwrap()).unwrap();
    let [six, one] =
        [six, one].map(|run| integer(export(&run, None, Some(&data), Keep::InRun, CPU).unwrap()));
    // The logits read levels: their unit is 6/15 or 1/15, their scale a sixth, their biases in accumulators
    // six times.
    let (mut steps, mut moved) = (0, 0);
    for (a, b) in six.nodes().iter().zip(one.nodes()) {
        let (Layer::Step(a), Layer::Step(b)) = (&a.layer, &b.layer) else { continue };
        steps += 1;
        assert_eq!(a.dir, b.dir);
        // A sixth is rounded, in fp32: a threshold within 2⁻²³ of a whole accumulator may move by one.
        moved += a.thresholds.iter().zip(&b.thresholds).filter(|(a, b)| a != b).count();
    }
    assert!(steps == 2 && moved == 0, "{moved} thresholds moved");
    let classifier = |network: &Network| -> Vec<Vec<i32>> {
        let at = network.position("classifier").unwrap();
        data.pixels.axis_iter(Axis(0)).map(|x| network.eval_nodes(x)[at].iter().copied().collect()).collect()
    };
    assert_eq!(classifier(&six), classifier(&one));
}

#[test]
fn other_bit_widths_come_from_the_same_run() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(200, [8, 8, 3], 4);
    fit(&recipe(&["train.epochs=4"]), &data, folder.path(), false).unwrap();
    for (w, a) in [(2, 2), (3, 5), (1, 1), (8, 8)] {
        let bits = BitWidths::uniform(Bits::Int(w), Bits::Int(a));
        assert!(!is_calibrated(folder.path(), Some(&bits)).unwrap());
        let network = integer(export(folder.path(), Some(&bits), Some(&data), Keep::InRun, CPU).unwrap());
        assert!(is_calibrated(folder.path(), Some(&bits)).unwrap());
        assert!(network.name.ends_with(&format!("-as-w{w}a{a}")));
        assert!(reprove(folder.path(), &network, CPU).unwrap().boundaries > 0);
    }
}

#[test]
fn a_run_without_calibration_asks_for_images() {
    let folder = tempfile::tempdir().unwrap();
    fit(&recipe(&[]), &images(120, [8, 8, 3], 4), folder.path(), false).unwrap();
    let error = export(folder.path(), None, None, Keep::InRun, CPU).unwrap_err().to_string();
    assert!(error.contains("calibrated-w4a4.safetensors") && error.contains("images are needed"), "{error}");
    let error = export(folder.path(), None, Some(&images(120, [8, 8, 1], 4)), Keep::InRun, CPU)
        .unwrap_err()
        .to_string();
    assert!(error.contains("trained on images of [8, 8, 3]"), "{error}");
    let error =
        format!("{:#}", export(&folder.path().join("nothing"), None, None, Keep::InRun, CPU).unwrap_err());
    assert!(error.contains("is no run"), "{error}");
}

#[test]
fn a_calibration_serves_its_own_bit_width_alone() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(120, [8, 8, 3], 4);
    fit(&recipe(&[]), &data, folder.path(), false).unwrap();
    export(folder.path(), None, Some(&data), Keep::InRun, CPU).unwrap();
    let two = BitWidths::uniform(Bits::Int(2), Bits::Int(2));
    let path = |bits: &str| folder.path().join(format!("calibrated-{bits}.safetensors"));
    std::fs::copy(path("w4a4"), path("w2a2")).unwrap();
    assert!(!is_calibrated(folder.path(), Some(&two)).unwrap());
    let error = export(folder.path(), Some(&two), None, Keep::InRun, CPU).unwrap_err().to_string();
    assert!(error.contains("bit width"), "{error}");
    export(folder.path(), Some(&two), Some(&data), Keep::InRun, CPU).unwrap();
    assert!(is_calibrated(folder.path(), Some(&two)).unwrap());
}

/// What is exported is normalized as what was trained: by images that are augmented alike.
#[test]
fn statistics_are_those_that_the_weights_learned_with() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(600, [12, 12, 3], 4);
    // Holes cover half the image: without them every mean is far off.
    let settings = ["data.augment=[\"crop\", \"cutout\"]", "data.cutout=8", "train.epochs=6"];
    fit(&recipe(&settings), &data, folder.path(), false).unwrap();
    export(folder.path(), None, Some(&data), Keep::InRun, CPU).unwrap();
    let read = |file: &str| -> std::collections::BTreeMap<String, tch::Tensor> {
        let path = folder.path().join(file);
        tch::Tensor::read_safetensors(path).unwrap().into_iter().collect()
    };
    let (trained, exported) = (read("best.safetensors"), read("calibrated-w4a4.safetensors"));
    let statistic = |tensors: &std::collections::BTreeMap<String, tch::Tensor>, name: &str| -> Vec<f64> {
        let found = tensors.iter().find(|(key, _)| key.ends_with(name)).expect("a statistic");
        Vec::try_from(found.1.to_kind(tch::Kind::Double)).unwrap()
    };
    let (means, variances) = (statistic(&trained, "step1_1.mean"), statistic(&trained, "step1_1.var"));
    for ((trained, exported), var) in means.iter().zip(statistic(&exported, "step1_1.mean")).zip(variances) {
        assert!(
            (trained - exported).abs() < 0.15 * var.sqrt(),
            "{trained} {exported}, deviation {}",
            var.sqrt()
        );
    }
}

/// Float weights, float activations or both: real logits, to the precision of the file's fp32.
#[test]
fn float_and_mixed_recipes_export_as_float_networks() {
    let data = images(200, [8, 8, 3], 4);
    let families: [&[&str]; 6] = [
        &["model.dense=[5]"],
        &["model.architecture=\"wrn\"", "model.depth=10", "model.width=0.25", "squeeze.bits=5"],
        &["model.architecture=\"wrn\"", "model.depth=16", "model.width=0.25", "model.residual=\"add\""],
        &["model.architecture=\"resnet\"", "model.depth=8", "model.width=0.25", "model.activation=\"relu1\""],
        &["model.activation=\"tanh\"", "squeeze.median=true"],
        &["model.normalization=\"aol\"", "model.lipschitz=1000", "model.dense=[5]"],
    ];
    let bits = [("\"float\"", "\"float\""), ("\"float\"", "3"), ("4", "\"float\"")];
    for (family, (w, a)) in families.iter().flat_map(|&family| bits.map(|bits| (family, bits))) {
        let folder = tempfile::tempdir().unwrap();
        if family.iter().any(|setting| setting.contains("tanh")) && a != "3" {
            continue;
        }
        let (w, a) = (format!("bits.weights={w}"), format!("bits.activations={a}"));
        let settings = [family, &["train.epochs=3", w.as_str(), a.as_str()]].concat();
        fit(&recipe(&settings), &data, folder.path(), false).unwrap();
        let AnyNetwork::Float(network) = export(folder.path(), None, Some(&data), Keep::InRun, CPU).unwrap()
        else {
            panic!("{settings:?}: expected a float network")
        };
        let file = folder.path().join("model.json");
        dq_net::write_float(&network, &file).unwrap();
        assert!(dq_net::read_float(&file).unwrap() == network, "{settings:?}");
        let graph = evaluation(folder.path(), None, None, CPU).unwrap();
        let float = graph.scores(&data) * graph.scale();
        let mut far = 0;
        for (image, expected) in data.pixels.axis_iter(Axis(0)).zip(float.axis_iter(Axis(0))) {
            let logits = network.eval(image);
            // A level next to a boundary may round the other way in fp32: this is rare, and happens only
            // where activations are levels.
            far += usize::from(logits.iter().zip(expected).any(|(a, b)| (a - b).abs() > 1e-3));
        }
        assert!(far <= if a.contains("float") { 0 } else { 20 }, "{settings:?}: {far} of 200 images differ");
    }
}

#[test]
fn the_proof_notices_every_kind_of_difference() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(200, [8, 8, 3], 4);
    fit(&recipe(&[]), &data, folder.path(), false).unwrap();
    let network = integer(export(folder.path(), None, Some(&data), Keep::InRun, CPU).unwrap());
    let changed = |change: fn(&mut Layer), node: &str| {
        let mut nodes = network.nodes().to_vec();
        change(&mut nodes.iter_mut().find(|n| n.name == node).unwrap().layer);
        let network = Network::new("changed", nodes).unwrap();
        let error = reprove(folder.path(), &network, CPU).unwrap_err();
        error.downcast::<ProofFailure>().unwrap()
    };
    let weight = changed(
        |layer| {
            let Layer::Conv(conv) = layer else { unreachable!() };
            let w = &mut conv.weights[[1, 2, 0, 1]];
            *w = if *w == 0 { 1 } else { -*w };
        },
        "conv2_1",
    );
    assert_eq!(weight.node, "conv2_1");
    let moved = |by: i32| {
        let mut nodes = network.nodes().to_vec();
        let node = nodes.iter_mut().find(|n| n.name == "step1_1").unwrap();
        let Layer::Step(step) = &mut node.layer else { unreachable!() };
        step.thresholds[[2, 7]] += by;
        let network = Network::new("changed", nodes).unwrap();
        reprove(folder.path(), &network, CPU).unwrap_err().downcast::<ProofFailure>().unwrap()
    };
    for by in [1, -1] {
        let failure = moved(by);
        assert_eq!(failure.node, "step1_1");
        assert!(failure.element.starts_with("channel 2, threshold 7, accumulator"), "{failure}");
        assert_ne!(failure.float, failure.integer);
    }
    let bias = changed(
        |layer| {
            let Layer::Logits(logits) = layer else { unreachable!() };
            logits.bias[0] += 1;
        },
        "logits",
    );
    assert_eq!(bias.node, "logits");
    let surrogate = changed(
        |layer| {
            let Layer::Step(step) = layer else { unreachable!() };
            step.surrogate.open_lo[0] += 1;
        },
        "step2_1",
    );
    assert_eq!(surrogate.element, "surrogate.open_lo");
}

/// Autograd's gradient of the evaluation graph, against one written out by hand on the integer network: the
/// Step passes gain × gradient in its open interval, the pool to the first maximum.
#[test]
fn the_gradient_is_that_of_the_exported_surrogate() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(200, [8, 8, 3], 4);
    fit(&recipe(&["model.blocks=[[4]]", "train.epochs=1"]), &data, folder.path(), false).unwrap();
    let network = integer(export(folder.path(), None, Some(&data), Keep::InRun, CPU).unwrap());
    let few = data.take(20);
    let (losses, gradients) = evaluation(folder.path(), None, None, CPU).unwrap().loss_gradient(&few);
    let layer = |name: &str| &network.nodes()[network.position(name).unwrap()].layer;
    let (Layer::Conv(conv), Layer::Step(step)) = (layer("conv1_1"), layer("step1_1")) else { unreachable!() };
    let (Layer::Dense(dense), Layer::Logits(logits)) = (layer("classifier"), layer("logits")) else {
        unreachable!()
    };
    let mut largest: f64 = 0.0;
    for (n, image) in few.pixels.axis_iter(Axis(0)).enumerate() {
        let outputs = network.eval_nodes(image);
        let real: Vec<f64> = outputs[6].iter().map(|&s| f64::from(s) * logits.scale).collect();
        let total: f64 = real.iter().map(|z| z.exp()).sum();
        let label = usize::from(few.labels[n]);
        assert!((total.ln() - real[label] - losses[n]).abs() < 1e-9);
        let slopes: Vec<f64> =
            real.iter().enumerate().map(|(k, z)| z.exp() / total - f64::from(u8::from(k == label))).collect();
        let mut expected = ndarray::Array3::<f64>::zeros((8, 8, 3));
        for c in 0..4 {
            let back: f64 = slopes
                .iter()
                .zip(dense.weights.column(c))
                .map(|(s, &w)| s * logits.scale * f64::from(w))
                .sum();
            for (y, x) in (0..16).map(|i| (i / 4, i % 4)) {
                let taps = [(0, 0), (0, 1), (1, 0), (1, 1)].map(|(dy, dx)| (2 * y + dy, 2 * x + dx));
                let top = taps.iter().map(|&(a, b)| outputs[2][[a, b, c]]).max().unwrap();
                let (a, b) = *taps.iter().find(|&&(a, b)| outputs[2][[a, b, c]] == top).unwrap();
                let open = step.surrogate.open_lo[c]..=step.surrogate.open_hi[c];
                if !open.contains(&outputs[1][[a, b, c]]) {
                    continue;
                }
                for ((o, ky, kx, i), &w) in conv.weights.indexed_iter() {
                    let (py, px) = (a + ky, b + kx);
                    if o == c && (1..9).contains(&py) && (1..9).contains(&px) {
                        expected[[py - 1, px - 1, i]] += back * step.surrogate.gain[c] * f64::from(w);
                    }
                }
            }
        }
        for (found, wanted) in gradients.index_axis(Axis(0), n).iter().zip(&expected) {
            assert!(
                (found - wanted).abs() < 1e-9 + 1e-4 * wanted.abs(),
                "image {n}: {found}, by hand {wanted}"
            );
            largest = largest.max(wanted.abs());
        }
    }
    assert!(largest > 1e-4, "all gradients vanish ({largest})");
}
