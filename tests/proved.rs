//! Tests circuits that say whether a label is proved, as users have them: emitted, simulated by every engine, and
//! held against attacks.

use crate::run::{fails, json, root};
use dq_data::Images;
use dq_net::layer::{Dense, Input, Layer, Logits, Step, Surrogate};
use dq_net::proved::ProvedRadius;
use dq_net::random::{self, Options};
use dq_net::{Network, Node, Shape};
use dq_sim::Engine;
use dq_sim::attack::Norm;
use dq_sim::attack::suite::Adversary;
use dq_sim::study::proved::{Found, Watched};
use ndarray::{Array2, Axis};
use std::fs;
use std::path::Path;

/// Writes a network of the built-in images that is bounded: ten sums of ten pixels each, and a score for each.
fn bounded(folder: &Path) -> String {
    let input = dq_data::load("signs", None, dq_data::Split::Test).unwrap().take(1);
    let (_, height, width, channels) = input.pixels.dim();
    let (shape, classes) = (Shape::new(height, width, channels), input.classes.len());
    let count = height * width * channels / classes;
    let pixels =
        Array2::from_shape_fn((classes, shape.len()), |(o, i)| i8::from(i / count == o && i % 7 == 0));
    let thresholds = Array2::from_shape_fn((classes, 15), |(_, t)| 500 + 400 * t as i32);
    let surrogate = Surrogate {
        gain: vec![0.0025; classes],
        open_lo: vec![500; classes],
        open_hi: vec![6_100; classes],
        unit: 1.0 / 15.0,
    };
    let step = Step { bits: 4, dir: vec![1; classes], thresholds, surrogate };
    let scores = Array2::from_shape_fn((classes, classes), |(o, i)| if o == i { 1 } else { 0 });
    let layers = [
        ("image", Layer::Input(Input::pixels(shape))),
        ("sums", Layer::Dense(Dense { weights: pixels, weight_bits: 2 })),
        ("levels", Layer::Step(step)),
        ("classifier", Layer::Dense(Dense { weights: scores, weight_bits: 2 })),
        ("scores", Layer::Logits(Logits { bias: vec![0; classes], scale: 1.0 })),
    ];
    let mut before = vec![];
    let nodes = layers.map(|(name, layer)| {
        let inputs = std::mem::replace(&mut before, vec![name.to_owned()]);
        Node { name: name.into(), layer, inputs }
    });
    let network = Network::new("bounded", nodes.to_vec()).unwrap();
    dq_net::write_network(&network, &folder.join("bounded.json")).unwrap();
    "bounded.json".into()
}

#[test]
fn every_engine_sets_the_same_bits_and_no_attack_contradicts_them() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = bounded(folder);
    let emitted = json(folder, &["emit", &model, "--proved-radius", "4", "-o", "rtl"]);
    let lead = emitted["proved"]["lead"].as_i64().unwrap();
    // Two scores of one level each for every step that 4 grey levels take along ten pixels.
    assert!((2..=15).contains(&lead), "{lead}");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap();
    assert!(read("rtl/plan.json").contains("\"proved_radius\": 4"));
    assert!(read("rtl/top.v").contains("m_axis_tuser"));
    assert!(read("rtl/plan.json").contains("\"output\": \"label\""));

    let sim = |more: &[&str]| {
        let args = ["sim", &model, "--data", "signs", "--proved-radius", "4", "--count", "40"];
        json(folder, &[&args[..], more].concat())["proved"].clone()
    };
    let by_engine = sim(&[]);
    assert_eq!(by_engine["lead"], lead);
    let count = by_engine["share"]["count"].as_u64().unwrap();
    assert!((1..40).contains(&count), "{by_engine}");
    assert!(by_engine["without_quantizers"]["count"].as_u64().unwrap() >= count);
    for engine in [&["--engine", "reference"][..], &["--engine", "netlist"], &["--cycles"]] {
        assert_eq!(sim(engine)["share"], by_engine["share"], "{engine:?}");
    }

    let attack = ["attack", &model, "--data", "signs", "--attack", "apgd-ce-l2", "--eps", "4"];
    let attack = [&attack[..], &["--count", "40", "--proved-radius", "4", "-o", "report.json"]].concat();
    let found = json(folder, &attack)["proved"].clone();
    assert_eq!(found["clean"]["count"], count);
    assert_eq!(found["against"], 0);
}

#[test]
fn what_cannot_be_proved_is_refused() {
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let model = bounded(folder);
    let signs = root().join("models/signs-tiny-dq/model.json").display().to_string();
    for (code, args, expected) in [
        (2, &["emit", &model, "--proved-radius", "0", "-o", "x"][..], "--proved-radius"),
        (2, &["emit", &model, "--proved-radius", "4", "--out", "scores", "-o", "x"], "--out scores"),
        (2, &["emit", &model, "--proved-radius", "4", "--control", "load", "-o", "x"], "--control load"),
        (
            2,
            &["emit", &model, "--proved-radius", "4", "--detector", "median", "-o", "x"],
            "cannot be used with",
        ),
        (2, &["build", &model, "--proved-radius", "4", "--board", "ulx3s"], "boards answer with labels"),
        (1, &["emit", &signs, "--proved-radius", "16", "-o", "x"], "the bit would never be set"),
        (1, &["sim", &signs, "--proved-radius", "16", "--data", "signs"], "would be proved"),
    ] {
        let error = fails(folder, code, args);
        assert!(error.contains(expected), "{args:?}: {error}");
    }
    assert!(!folder.join("x").exists());
}

/// Shows the second of two images as an adversary of the first, whose labels `rule` judges.
fn seen(network: &Network, images: &Images, rule: ProvedRadius) -> Found {
    let mut watched = Watched::new(network, images, rule);
    let image = images.pixels.index_axis(Axis(0), 1);
    watched.see(&Adversary { attack: "given", norm: Norm::L2, eps: 1, run: 0, index: 0, image });
    watched.found().clone()
}

/// A rule that calls everything proved is contradicted by two images with two labels; a farther one, one of the
/// same label and a rule that proves nothing are not.
#[test]
fn a_label_that_is_wrongly_called_proved_is_noticed() {
    let (mut broken, mut beyond) = (0, 0);
    for seed in 0..200 {
        let options = Options { max_side: 3, max_layers: 1, ..Options::default() };
        let network = random::network(seed, &options);
        let pixels = random::images(seed, 2, network.input());
        let labels = vec![0, 0];
        let classes = (0..network.classes()).map(|class| class.to_string()).collect();
        let images = Images { name: "random".into(), pixels, labels, classes };
        let scores = Engine::new(&network).scores(images.pixels.view());
        let label = |n: usize| Logits::label(scores.row(n).iter().copied());
        let differ = usize::from(label(0) != label(1));
        let (a, b) = (images.pixels.index_axis(Axis(0), 0), images.pixels.index_axis(Axis(0), 1));
        let near = usize::from(Norm::L2.holds(b, a, 255));
        let always = seen(&network, &images, ProvedRadius { radius: 255, lead: i64::MIN });
        assert_eq!((always.clean.count, always.against), (2, differ * near), "seed {seed}");
        assert_eq!((always.within, always.beyond), (differ * near, differ * (1 - near)), "seed {seed}");
        assert_eq!(always.first_against, (always.against > 0).then_some(0));
        let never = seen(&network, &images, ProvedRadius { radius: 255, lead: i64::MAX });
        assert_eq!((never.clean.count, never.against, never.within), (0, 0, differ * near), "seed {seed}");
        broken += always.against;
        beyond += always.beyond;
    }
    assert!(broken > 5 && beyond > 5, "{broken} within, {beyond} beyond");
}
