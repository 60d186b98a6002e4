//! Tests circuits with a detector: words and cycles are the reference's and the plan's under random plans and
//! stalls, tools warn of nothing, and what cannot have a detector is refused.

use super::{common, emitted};
use dq_hdl::design::Design;
use dq_hdl::emit::emit;
use dq_hdl::plan::{self, Control, Mac, Memory, Output, Plan, Target};
use dq_hdl::stalls::Stalls;
use dq_hdl::{estimate, netlist, timing, tool};
use dq_net::layer::{Dense, Input, Layer, Logits};
use dq_net::random::{self, Options};
use dq_net::{Network, Node, Shape, Squeezing};
use ndarray::Array2;

/// Squeezings of every number of bits, with and without a median.
fn squeezing(seed: u64) -> Squeezing {
    let bits = 1 + seed % 7;
    [format!("bits={bits},median"), format!("bits={bits}"), "median".into()][seed as usize % 3]
        .parse()
        .unwrap()
}

/// Random networks of pixels.
fn networks(count: u64, max_side: usize) -> impl Iterator<Item = (u64, Network)> {
    let network = move |seed| {
        let options = Options { max_side, residuals: seed % 2 == 1, ..Options::default() };
        (seed, random::network(seed, &options))
    };
    (0..count).map(network).filter(|(_, network)| network.input().has_pixels())
}

/// Returns a random plan with a detector.
fn guarded(network: &Network, seed: u64) -> Plan {
    Plan { output: Output::Label, detector: Some(squeezing(seed)), ..common::plan(network, seed) }
}

#[test]
fn words_and_cycles_agree_on_random_networks() {
    let (mut seen, mut blocks) = ([0; 2], 0);
    for (seed, network) in networks(60, 12) {
        let mut plan = guarded(&network, seed);
        plan.device = Some(["ecp5-85f", "ice40-up5k", "xc7z020"][seed as usize % 3].into());
        plan.nodes.iter_mut().filter(|node| node.mac == Mac::Dsp).for_each(|node| node.mac = Mac::Auto);
        let design = Design::new(&network, &plan).unwrap();
        let frames = common::frames(&network, 4, seed);
        for stalls in [Stalls::NONE, Stalls::random(seed)] {
            let outcome =
                netlist::run(&design, frames.view(), &stalls).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "seed {seed}, {stalls:?}");
            assert!(!outcome.error, "seed {seed}: error flag");
            let verdicts = outcome.beats.iter().map(|beat| design.answer(beat.value));
            verdicts.for_each(|answer| seen[usize::from(answer.flagged)] += 1);
        }
        let buffers = design.stages.iter().filter(|stage| stage.site.name.starts_with("detector_"));
        blocks += buffers.map(|stage| stage.resources().bram).sum::<u64>();
    }
    assert!(seen.iter().all(|&n| n > 30) && blocks > 0, "{seen:?}, {blocks} block RAMs");
}

/// The network takes the squeezed form without a pause: an image takes as long as two do without a detector.
#[test]
fn the_interval_is_that_of_two_frames() {
    let mut equal = 0;
    for (seed, network) in networks(40, 12) {
        let plan = guarded(&network, seed);
        let alone = Design::new(&network, &Plan { detector: None, ..plan.clone() }).unwrap();
        let design = Design::new(&network, &plan).unwrap();
        let (one, both) = (alone.timing().interval, design.timing().interval);
        // A frame of few pixels has passed before its first squeezed pixel is there.
        assert!(both <= 2 * one + 20, "seed {seed}: {one}, {both}");
        equal += usize::from(both == 2 * one);
        assert_eq!(design.timing().ideal_interval, 2 * alone.timing().ideal_interval, "seed {seed}");
        // What stands before and behind the network is all that is added.
        let added = design.stages.len() - alone.stages.len();
        let squeezing = plan.detector.unwrap();
        let wanted = 3 + 2 * usize::from(squeezing.bits().is_some()) + usize::from(squeezing.has_median());
        assert_eq!(added, wanted, "seed {seed}");
    }
    assert!(equal > 20, "{equal}");
}

#[test]
fn a_detector_and_a_control_port_go_together() {
    for (seed, network) in networks(12, 6) {
        for control in [Control::Counters, Control::Load] {
            let mut plan = Plan { control, ..guarded(&network, seed) };
            plan.nodes.iter_mut().filter(|node| !node.mac.loads()).for_each(|node| node.mac = Mac::Auto);
            // Where a drawn bias could not be loaded the plan is refused; that has its own test.
            let Ok(design) = Design::new(&network, &plan) else { continue };
            let (frames, stalls) = (common::frames(&network, 3, seed), Stalls::random(seed));
            let accesses = if control == Control::Load { design.image().accesses() } else { vec![] };
            let outcome = netlist::run_after(&design, &accesses, frames.view(), &stalls).unwrap();
            let values = |beats: &[dq_hdl::design::Beat]| beats.iter().map(|b| b.value).collect::<Vec<_>>();
            assert_eq!(
                values(&outcome.beats),
                values(&design.expected(frames.view(), &stalls)),
                "seed {seed}"
            );
        }
    }
}

#[test]
fn tools_warn_of_nothing_and_the_testbench_passes() {
    for (seed, network) in networks(3, 9) {
        let design = Design::new(&network, &guarded(&network, seed)).unwrap();
        let emission = emit(&design);
        emitted::judge(&emission, &network.name);
        if tool::require("verilator").is_some() {
            let (frames, stalls) = (common::frames(&network, 5, seed), Stalls::random(seed));
            if seed < 2 {
                let outcome = common::simulator(&emission).run(&design, frames.view(), &stalls).unwrap();
                assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "seed {seed}");
            }
        }
    }
}

/// A network whose nodes are called as the detector's stages, and whose input has two readers.
#[test]
fn names_and_forks_of_the_network_stay_apart_from_those_of_the_detector() {
    let seed = (0..).find(|&seed| {
        let network = random::network(seed, &Options { residuals: true, ..Options::default() });
        network.input().has_pixels() && network.readers(0).len() > 1
    });
    let network = random::network(seed.unwrap(), &Options { residuals: true, ..Options::default() });
    let names = ["detector", "detector_fork", "detector_passes", "detector_compare"];
    let renamed = |name: &String| {
        let at = network.position(name).unwrap();
        names.get(at).map_or_else(|| name.clone(), |name| name.to_string())
    };
    let nodes = network.nodes().iter().map(|node| Node {
        name: renamed(&node.name),
        inputs: node.inputs.iter().map(renamed).collect(),
        ..node.clone()
    });
    let network = Network::new("names", nodes.collect()).unwrap();
    let plain = Design::new(&network, &plan::default(&network, Output::Label).unwrap()).unwrap();
    assert_eq!(plain.stages[0].site.name, "detector", "without a detector the names are the network's");
    let chosen = plan::with_detector(&network, "bits=3,median".parse().unwrap()).unwrap();
    let design = Design::new(&network, &chosen).unwrap();
    let depths = |name: &str| {
        design.stages.iter().find(|stage| stage.site.name == name).map(|stage| stage.site.depths.clone())
    };
    assert_eq!(depths("detector_fork").unwrap(), [2, 2]);
    assert_eq!(depths("node_detector_fork").unwrap(), chosen.node("detector").unwrap().forks);
    let (frames, stalls) = (common::frames(&network, 3, 1), Stalls::random(1));
    let outcome = netlist::run(&design, frames.view(), &stalls).unwrap();
    assert_eq!(outcome.beats, design.expected(frames.view(), &stalls));
    // The plan is given back as it was.
    let read = Plan::from_json("plan.json".as_ref(), &chosen.to_json(), &network).unwrap();
    assert_eq!(read, chosen);
    assert_eq!(emit(&Design::new(&network, &read).unwrap()), emit(&design));
}

/// The planner counts both passes, and the buffer's memory.
#[test]
fn plans_with_a_detector_keep_their_speed_and_budget() {
    let network = dq_net::topology::build("lenet:w2a2", 1).unwrap();
    let squeezing: Squeezing = "bits=5,median".parse().unwrap();
    let target = Target { detector: Some(squeezing), ..Target::unbounded(Output::Label, 100, 2_000) };
    let plan = plan::choose(&network, &target).unwrap();
    let design = Design::new(&network, &plan).unwrap();
    assert!(design.timing().interval <= 50_000, "{}", design.timing().interval);
    let plain = plan::choose(&network, &Target { detector: None, ..target }).unwrap();
    let plain = Design::new(&network, &plain).unwrap();
    assert!(2 * plain.timing().interval > 50_000, "a plan without a detector would be too slow");
    let of_detector = |design: &Design| {
        let stages = design.stages.iter().filter(|stage| stage.site.name.starts_with("detector_"));
        stages.map(dq_hdl::pipeline::Stage::resources).sum::<estimate::Resources>()
    };
    let (used, none) = (of_detector(&design), of_detector(&plain));
    assert!(used.bram == 1 && used.lut > 50 && none.lut == 0, "{used:?}");
    assert_eq!(timing::timing(&design.stages), *design.timing());
}

#[test]
fn what_has_no_detector_is_refused() {
    let dense = |inputs| {
        Layer::Dense(Dense {
            weights: Array2::from_shape_fn((2, inputs), |(o, _)| 2 * o as i8 - 1),
            weight_bits: 2,
        })
    };
    let network = |input: Input, inputs| {
        let logits = Layer::Logits(Logits { bias: vec![0; 2], scale: 1.0 });
        common::chain("small", [("image", Layer::Input(input)), ("dense", dense(inputs)), ("logits", logits)])
    };
    let squeezing: Squeezing = "bits=5".parse().unwrap();
    let pixels = network(Input::pixels(Shape::new(1, 2, 1)), 2);
    let plan = plan::with_detector(&pixels, squeezing).unwrap();
    let scores = Plan { output: Output::Scores, ..plan.clone() };
    let error = Design::new(&pixels, &scores).unwrap_err().to_string();
    assert_eq!(error, "node `image`, detector: expected labels as output, which are compared, found scores");
    let levels = network(Input { levels: 16, ..Input::pixels(Shape::new(1, 2, 1)) }, 2);
    let error = plan::with_detector(&levels, squeezing).unwrap_err().to_string();
    assert_eq!(error, "node `image`, detector: expected 256 levels, as pixels have, found 16");
    let text = plan.to_json().replace("bits=5", "bits=9");
    let error = Plan::from_json("plan.json".as_ref(), &text, &pixels).unwrap_err().to_string();
    assert!(error.contains("plan.json: not a plan: bits: expected 1 to 7, found `9`"), "{error}");
    assert_eq!(plan.node("dense").unwrap().memory, Memory::Distributed);
}
