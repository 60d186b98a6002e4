//! Compares the float engine with the float network's reference, and its gradient with finite differences.

use dq_net::float::layer as float;
use dq_net::{FloatLayer, FloatNetwork, FloatNode, Shape};
use dq_sim::attack::suite::Judge;
use dq_sim::{FloatEngine, GradientSource, Kernel, Loss};
use ndarray::{Array2, Array4, Axis};

/// Returns smooth pseudo-random numbers in −1..1.
fn wave(i: usize) -> f32 {
    ((i * 7919 % 1009) as f32 * 0.1).sin()
}

fn network(bits: Option<u8>, groups: usize, stride: usize) -> FloatNetwork {
    let shape = Shape::new(9, 7, 4);
    let conv = |outputs: usize, inputs: usize, stride: usize, groups: usize| {
        let dim = (outputs, 3, 3, inputs / groups);
        let mut i = outputs;
        let weights = Array4::from_shape_simple_fn(dim, || {
            i += 1;
            wave(i) * 0.4
        });
        FloatLayer::Conv(float::Conv { weights, stride: [stride, 1], pad: [1, 1, 1, 0], groups })
    };
    let activation = |channels: usize| {
        FloatLayer::Activation(float::Activation {
            scale: (0..channels).map(|c| if c % 3 == 0 { -0.9 } else { 1.1 + wave(c) * 0.3 }).collect(),
            bias: (0..channels).map(|c| 1.0 + wave(c + 5)).collect(),
            ceiling: 6.0,
            bits,
        })
    };
    let dense = Array2::from_shape_fn((5, 18), |(o, i)| wave(o * 31 + i));
    let layers = vec![
        ("input", FloatLayer::Input(float::Input { shape })),
        ("conv1", conv(18, 4, stride, groups)),
        ("act1", activation(18)),
        ("pool", FloatLayer::MaxPool(float::MaxPool { window: [2, 2], stride: [1, 2] })),
        ("conv2", conv(18, 18, 1, groups)),
        ("act2", activation(18)),
        ("mean", FloatLayer::GlobalMean(float::GlobalMean)),
        ("dense", FloatLayer::Dense(float::Dense { weights: dense })),
        ("logits", FloatLayer::Logits(float::Logits { bias: vec![0.1, -0.2, 0.3, 0.0, 0.05] })),
    ];
    let mut nodes: Vec<FloatNode> = vec![];
    for (name, layer) in layers {
        let inputs = nodes.last().map(|node| node.name.clone()).into_iter().collect();
        nodes.push(FloatNode { name: name.into(), layer, inputs });
    }
    FloatNetwork::new("wave", nodes).unwrap()
}

/// Makes a residual: the median of the image goes two ways and meets again; `rough` squeezes it before, and
/// quantizes.
fn residual(rough: bool) -> FloatNetwork {
    let shape = Shape::new(9, 7, 4);
    let mut i = 0;
    let mut conv = |outputs: usize, inputs: usize| {
        let weights = Array4::from_shape_simple_fn((outputs, 3, 3, inputs), || {
            i += 1;
            wave(i) * 0.4
        });
        FloatLayer::Conv(float::Conv { weights, stride: [1, 1], pad: [1; 4], groups: 1 })
    };
    let affine = |channels: usize| {
        let numbers = |from: usize, size: f32| (0..channels).map(|c| wave(c + from) * size).collect();
        (numbers(3, 4.0), numbers(9, 1.0))
    };
    let (scale, bias) = affine(6);
    let activation = match rough {
        true => {
            FloatLayer::Levels(float::Levels { scale, bias, points: vec![-0.6, 0.0, 0.6], unit: 2.0 / 3.0 })
        }
        false => FloatLayer::Activation(float::Activation { scale, bias, ceiling: 6.0, bits: None }),
    };
    let into = |channels: usize| {
        let (scale, bias) = affine(channels);
        FloatLayer::Affine(float::Affine { scale, bias })
    };
    let mut nodes = vec![("input", FloatLayer::Input(float::Input { shape }), vec![])];
    nodes.extend(rough.then(|| ("depth", FloatLayer::BitDepth(float::BitDepth { bits: 5 }), vec!["input"])));
    nodes.extend([
        ("median", FloatLayer::Median(float::Median), vec![if rough { "depth" } else { "input" }]),
        ("conv1", conv(6, 4), vec!["median"]),
        ("stream", into(6), vec!["conv1"]),
        ("act", activation, vec!["stream"]),
        ("conv2", conv(6, 6), vec!["act"]),
        ("scale", into(6), vec!["conv2"]),
        ("mix", FloatLayer::Mix(float::Mix { a: 0.7, b: 0.3 }), vec!["stream", "scale"]),
        ("mean", FloatLayer::GlobalMean(float::GlobalMean), vec!["mix"]),
        (
            "dense",
            FloatLayer::Dense(float::Dense {
                weights: Array2::from_shape_fn((5, 6), |(o, i)| wave(o * 31 + i)),
            }),
            vec!["mean"],
        ),
        ("logits", FloatLayer::Logits(float::Logits { bias: vec![0.0; 5] }), vec!["dense"]),
    ]);
    let nodes = nodes.into_iter().map(|(name, layer, inputs)| FloatNode {
        name: name.into(),
        layer,
        inputs: inputs.into_iter().map(str::to_owned).collect(),
    });
    FloatNetwork::new("residual", nodes.collect()).unwrap()
}

fn images(count: usize) -> Array4<u8> {
    Array4::from_shape_fn((count, 9, 7, 4), |(b, y, x, c)| {
        (b * 53 + y * 31 + x * 17 + c * 71 + x * y * b) as u8
    })
}

#[test]
fn logits_are_the_references_to_rounding_in_every_kernel() {
    let images = images(13);
    let chains = [(1, 1), (2, 2), (1, 3)].map(|(groups, stride)| network(None, groups, stride));
    for network in chains.into_iter().chain([false, true].map(residual)) {
        let engine = FloatEngine::new(&network);
        let logits = engine.logits(images.view());
        for kernel in Kernel::available() {
            assert_eq!(
                FloatEngine::with_kernel(&network, kernel).logits(images.view()),
                logits,
                "{kernel:?}"
            );
        }
        let verdicts = engine.judge(images.view());
        for (b, image) in images.outer_iter().enumerate() {
            let wanted = network.eval(image);
            for (found, wanted) in logits.row(b).iter().zip(&wanted) {
                assert!((f64::from(*found) - wanted).abs() < 2e-5 * (1.0 + wanted.abs()), "{found} {wanted}");
            }
            assert!(wanted.iter().all(|z| *z <= wanted[verdicts[b].label] + 1e-4));
        }
    }
}

#[test]
fn quantized_activations_land_on_the_references_levels() {
    let (images, network) = (images(20), network(Some(3), 1, 1));
    let logits = FloatEngine::new(&network).logits(images.view());
    // A value within rounding of a boundary may take the other level: this is rare, and one logit then moves
    // visibly.
    let close = images.outer_iter().enumerate().filter(|(b, image)| {
        let wanted = network.eval(*image);
        logits.row(*b).iter().zip(wanted).all(|(found, wanted)| (f64::from(*found) - wanted).abs() < 1e-4)
    });
    assert!(close.count() >= 18);
}

#[test]
fn gradients_are_the_slopes_of_the_reference() {
    let chains = [(1, 1), (2, 2), (1, 3)].map(|(groups, stride)| network(None, groups, stride));
    for network in chains.into_iter().chain([residual(false)]) {
        let images = images(3);
        let engine = FloatEngine::new(&network);
        let labels = [0u8, 3, 4];
        let found = engine.loss_gradient(images.view(), &labels, Loss::CrossEntropy);
        let loss = |image: ndarray::ArrayView3<u8>, label: u8| {
            Loss::CrossEntropy.of(0, &network.eval(image), label.into()).0
        };
        let (mut close, mut smooth, mut all) = (0, 0, 0);
        for (b, image) in images.outer_iter().enumerate() {
            assert!((found.losses[b] - loss(image, labels[b])).abs() < 1e-4);
            let gradient = found.gradient.index_axis(Axis(0), b);
            let largest = gradient.iter().fold(0f32, |m, v| m.max(v.abs()));
            assert!(largest > 1e-4);
            for (at, &slope) in gradient.indexed_iter().filter(|(at, _)| (1..255).contains(&image[*at])) {
                let moved = |by: i16| {
                    let mut image = image.to_owned();
                    image[at] = (i16::from(image[at]) + by) as u8;
                    loss(image.view(), labels[b])
                };
                let (right, left) = (moved(1) - found.losses[b], found.losses[b] - moved(-1));
                all += 1;
                // A kink (the clip's ends, a pool's tie) lies between the two sides: the difference is no
                // slope.
                if (right - left).abs() > 0.01 * f64::from(largest) {
                    continue;
                }
                smooth += 1;
                close +=
                    usize::from((f64::from(slope) - (right + left) / 2.0).abs() < 0.02 * f64::from(largest));
            }
        }
        assert!(smooth * 2 > all && close * 100 > smooth * 98, "{close} of {smooth} of {all}");
    }
}
