//! Tests circuits that say whether a label is proved: words with their `tuser` and cycles are the reference's and
//! the plan's under random plans and stalls, tools warn of nothing, and what cannot have the bit is refused.

use super::{common, emitted};
use dq_hdl::design::Design;
use dq_hdl::emit::emit;
use dq_hdl::plan::{self, Control, Output, Plan};
use dq_hdl::stalls::Stalls;
use dq_hdl::{netlist, tool};
use dq_net::Network;
use dq_net::proved::ProvedRadius;
use dq_net::random::{self, Options};
use ndarray::Axis;

/// Random networks so shallow that some labels can be proved, and a radius for which.
fn networks(count: u64) -> impl Iterator<Item = (u64, Network, u8)> {
    (0..count).filter_map(|seed| {
        let options = Options { max_side: 3, max_layers: 1 + seed as usize % 2, ..Options::default() };
        let network = random::network(seed, &options);
        let possible = |radius: &u8| ProvedRadius::new(&network, *radius).is_possible(&network);
        let radius = [9, 3, 1].into_iter().find(possible)?;
        Some((seed, network, radius))
    })
}

/// Returns a random plan whose labels say whether they are proved.
fn proving(network: &Network, seed: u64, radius: u8) -> Plan {
    Plan { output: Output::Label, proved_radius: Some(radius), ..common::plan(network, seed) }
}

#[test]
fn bits_and_cycles_agree_on_random_networks() {
    let mut seen = [0; 2];
    for (seed, network, radius) in networks(120) {
        let design = Design::new(&network, &proving(&network, seed, radius)).unwrap();
        let rule = ProvedRadius::new(&network, radius);
        let frames = common::frames(&network, 6, seed);
        for stalls in [Stalls::NONE, Stalls::random(seed)] {
            let outcome =
                netlist::run(&design, frames.view(), &stalls).unwrap_or_else(|e| panic!("seed {seed}: {e}"));
            assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "seed {seed}, {stalls:?}");
            assert!(!outcome.error, "seed {seed}: error flag");
            for (beat, frame) in outcome.beats.iter().zip(frames.axis_iter(Axis(0))) {
                let (answer, verdict) = (design.answer(beat.value), rule.verdict(&network.eval(frame)));
                assert_eq!((answer.label, answer.proved), (verdict.label, verdict.proved), "seed {seed}");
                assert!(!answer.flagged);
                seen[usize::from(answer.proved)] += 1;
            }
        }
    }
    assert!(seen.iter().all(|&n| n > 30), "{seen:?}");
}

#[test]
fn tools_warn_of_nothing_and_the_testbench_passes() {
    for (seed, network, radius) in networks(60).step_by(8) {
        let design = Design::new(&network, &proving(&network, seed, radius)).unwrap();
        let emission = emit(&design);
        emitted::judge(&emission, &network.name);
        if tool::require("verilator").is_some() {
            let (frames, stalls) = (common::frames(&network, 9, seed), Stalls::random(seed));
            let outcome = common::simulator(&emission).run(&design, frames.view(), &stalls).unwrap();
            assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "seed {seed}");
        }
    }
}

#[test]
fn what_the_bit_cannot_be_proved_for_is_refused() {
    let (seed, network, radius) = networks(60).next().unwrap();
    let plan = Plan { control: Control::None, ..proving(&network, seed, radius) };
    let refused = |plan: Plan, found: &str| {
        let error = Design::new(&network, &plan).unwrap_err();
        assert_eq!((error.node.as_str(), error.field.as_str()), ("(plan)", "proved_radius"));
        assert!(error.found.contains(found), "{error}");
    };
    refused(Plan { output: Output::Scores, ..plan.clone() }, "scores");
    refused(Plan { control: Control::Load, ..plan.clone() }, "load");
    refused(Plan { detector: Some("median".parse().unwrap()), ..plan.clone() }, "one");
    let wild = (0..).map(|seed| random::network(seed, &Options::default()));
    let wild = wild.into_iter().find(|n| !ProvedRadius::new(n, 255).is_possible(n)).unwrap();
    let hopeless = Plan { proved_radius: Some(255), ..plan::default(&wild, Output::Label).unwrap() };
    let error = Design::new(&wild, &hopeless).unwrap_err();
    assert!(error.found.contains("the bit would never be set"), "{error}");
}
