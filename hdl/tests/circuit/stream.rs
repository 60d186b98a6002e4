//! Tests the edges of the stream: frames whose `tlast` comes early or late, and a plan that does not fit.

use super::common;
use dq_hdl::design::{Beat, Design, Offer};
use dq_hdl::netlist;
use dq_hdl::plan::{Output, Plan};
use dq_hdl::{plan, stalls::Stalls};
use dq_net::random::{self, Options};
use ndarray::{Array4, s};
use std::path::Path;

/// Makes a network of several pixels per frame.
fn design() -> Design {
    let network = (0..).map(|seed| random::network(seed, &Options::default()));
    let mut network = network.filter(|n| n.input_shape().height > 3 && n.input_shape().width > 3);
    let network = network.next().expect("some are that large");
    let plan = plan::default(&network, Output::Scores).unwrap();
    Design::new(&network, &plan).unwrap()
}

fn values(beats: &[Beat]) -> Vec<i64> {
    beats.iter().map(|beat| beat.value).collect()
}

/// Offers three frames of which the middle one is changed, and compares with `expected`, in which it is as
/// it should be understood.
fn check(middle: impl Fn(Vec<Offer>) -> Vec<Offer>, understood: impl Fn(&mut Array4<u8>)) {
    let design = design();
    let mut frames = common::frames(&design.network, 3, 1);
    let offers = design.offers(frames.view());
    let beats = offers.len() / 3;
    let changed: Vec<Offer> =
        [offers[..beats].to_vec(), middle(offers[beats..2 * beats].to_vec()), offers[2 * beats..].to_vec()]
            .concat();
    understood(&mut frames);
    let expected = design.expected(frames.view(), &Stalls::NONE);
    for stalls in [Stalls::NONE, Stalls::random(3), Stalls::random(4)] {
        let outcome = netlist::drive(&design, &changed, expected.len(), &stalls).unwrap();
        assert_eq!(values(&outcome.beats), values(&expected));
        assert!(outcome.error);
    }
}

#[test]
fn an_early_tlast_completes_the_frame_with_zeros() {
    for kept in [1, 5, 11] {
        check(
            |mut beats| {
                beats.truncate(kept);
                beats[kept - 1].last = true;
                beats
            },
            |frames| {
                let width = frames.dim().2;
                for pixel in kept..frames.dim().1 * width {
                    frames.slice_mut(s![1, pixel / width, pixel % width, ..]).fill(0);
                }
            },
        );
    }
}

#[test]
fn a_late_tlast_drops_the_beats_after_the_frame() {
    for extra in [1, 7] {
        check(
            |mut beats| {
                beats.last_mut().unwrap().last = false;
                let more = vec![Offer { data: beats[0].data.clone(), last: false }; extra];
                beats.extend(more);
                beats.last_mut().unwrap().last = true;
                beats
            },
            |_| {},
        );
    }
}

#[test]
fn a_lost_beat_does_not_shift_the_frames_after_it() {
    check(
        |mut beats| {
            beats.remove(2);
            beats
        },
        |frames| {
            let (height, width) = (frames.dim().1, frames.dim().2);
            for pixel in 2..height * width - 1 {
                let next = pixel + 1;
                let moved = frames.slice(s![1, next / width, next % width, ..]).to_owned();
                frames.slice_mut(s![1, pixel / width, pixel % width, ..]).assign(&moved);
            }
            frames.slice_mut(s![1, height - 1, width - 1, ..]).fill(0);
        },
    );
}

#[test]
fn a_plan_that_does_not_fit_is_refused_by_name() {
    let design = design();
    let good = serde_json::to_value(&design.plan).unwrap();
    let path = Path::new("plan.json");
    let read = |plan: &serde_json::Value| Plan::from_json(path, &plan.to_string(), &design.network);
    assert_eq!(read(&good).unwrap(), design.plan);
    let folding = design.plan.nodes[0].node.clone();
    type Change<'a> = &'a dyn Fn(&mut serde_json::Value);
    let cases: &[(Change, &[&str])] = &[
        (&|p| p["nodes"][0]["pe"] = 0.into(), &[&folding, "pe", "found 0"]),
        (&|p| p["nodes"][0]["simd"] = 1009.into(), &[&folding, "simd", "a divisor of", "found 1009"]),
        (&|p| p["nodes"][0]["fifo"] = 1.into(), &[&folding, "fifo", "found 1"]),
        (&|p| p["nodes"][0]["node"] = "ghost".into(), &["ghost", "a node of the network"]),
        (&|p| p["nodes"] = serde_json::json!([]), &["an entry in the plan"]),
        (&|p| p["version"] = 99.into(), &["version", "found 99"]),
        (&|p| p["clock_mhz"] = 0.into(), &["clock_mhz", "found 0"]),
        (&|p| p["speed"] = 1.into(), &["unknown field `speed`"]),
        (&|p| p["nodes"][0]["memory"] = "tape".into(), &["unknown variant `tape`"]),
        (&|p| p["output"] = 3.into(), &["not a plan"]),
    ];
    for (change, words) in cases {
        let mut plan = good.clone();
        change(&mut plan);
        let message = read(&plan).unwrap_err().to_string();
        assert!(message.starts_with("plan.json: "), "{message}");
        for word in *words {
            assert!(message.contains(word), "`{word}` missing in: {message}");
        }
    }
}
