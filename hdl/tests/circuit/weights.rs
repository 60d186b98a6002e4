//! Tests weights that come from outside: random subsets of the layers of random networks take their words
//! through ports of any width, and every engine gives the words and cycles of the timing model, whether the
//! ports stall or not.

use super::{common, emitted, spram};
use dq_hdl::board::Board;
use dq_hdl::design::Design;
use dq_hdl::emit::emit;
use dq_hdl::plan::{self, Control, Memory, Output, Plan};
use dq_hdl::rtl::Sim;
use dq_hdl::stalls::{Pattern, Stalls};
use dq_hdl::{gates, netlist, tool, wrapper};
use dq_net::random::{self, Options};
use dq_net::{Layer, Network, SplitMix64, topology};

/// Lets weights of some layers of `plan` come from outside, each with a port of a random width.
fn stream(network: &Network, plan: &mut Plan, seed: u64) {
    for (i, node) in plan.nodes.iter_mut().enumerate() {
        let drawn = SplitMix64::mix(seed.wrapping_mul(97).wrapping_add(i as u64));
        let layer = &network.nodes()[network.position(&node.node).unwrap()].layer;
        if layer.weight_bits().is_some() && !drawn.is_multiple_of(3) {
            node.memory = Memory::Stream;
            node.port = [None, None, Some(8), Some(16), Some(72)][(drawn >> 8) as usize % 5];
        }
    }
}

fn designs(seeds: impl Iterator<Item = u64>) -> Vec<(u64, Design)> {
    let design = |seed: u64| {
        let options = Options { residuals: seed % 2 == 1, ..Options::default() };
        let network = random::network(seed, &options);
        let mut plan = common::plan(&network, seed);
        stream(&network, &mut plan, seed);
        plan.streams().then(|| (seed, Design::new(&network, &plan).unwrap()))
    };
    seeds.filter_map(design).collect()
}

/// Returns no stalls, stalls of the ports of weights alone, and stalls everywhere.
fn stalls(seed: u64) -> [Stalls; 3] {
    let all = Stalls::random(seed);
    let weights = Pattern { seed, closed: 120, block: (seed % 4) as u8 };
    [Stalls::NONE, Stalls { weights, ..Stalls::NONE }, Stalls { weights, ..all }]
}

#[test]
fn words_and_cycles_agree_whatever_the_ports_do() {
    let (mut ports, mut waited) = (0, 0);
    for (seed, design) in designs(0..60) {
        let frames = common::frames(&design.network, 3, seed);
        let mut last = vec![];
        for stalls in stalls(seed) {
            let outcome = netlist::run(&design, frames.view(), &stalls).unwrap();
            assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "seed {seed}, {stalls:?}");
            assert!(!outcome.error, "seed {seed}");
            last.push(outcome.beats.last().unwrap().cycle);
        }
        ports += design.weight_streams().len();
        waited += usize::from(last[1] > last[0]);
    }
    assert!(ports > 60 && waited > 20, "{ports} ports, {waited} networks waited for weights");
}

#[test]
fn verilator_agrees() {
    let Some(_) = tool::require("verilator") else { return };
    for (seed, design) in designs(3..9) {
        let frames = common::frames(&design.network, 2, seed);
        let simulator = common::simulator(&emit(&design));
        for stalls in stalls(seed) {
            let outcome = simulator.run(&design, frames.view(), &stalls).unwrap();
            assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "seed {seed}, {stalls:?}");
        }
    }
}

#[test]
fn a_detector_plays_each_round_twice_a_frame() {
    let network = topology::build("lenet@1/4", 1).unwrap();
    let mut plan = plan::with_detector(&network, "bits=3,median".parse().unwrap()).unwrap();
    stream(&network, &mut plan, 1);
    let design = Design::new(&network, &plan).unwrap();
    let frames = common::frames(&network, 2, 5);
    for stalls in [Stalls::NONE, Stalls::random(11)] {
        let outcome = netlist::run(&design, frames.view(), &stalls).unwrap();
        assert_eq!(outcome.beats, design.expected(frames.view(), &stalls));
    }
}

/// Makes a dense layer of 12 outputs of 16 inputs, alone, with weights of 3 bits that come in beats of `port`
/// bits; a word has 48.
fn dense(port: Option<usize>) -> Design {
    let network = spram::tiny().network;
    let mut plan = plan::default(&network, Output::Scores).unwrap();
    let node = &mut plan.nodes[0];
    (node.pe, node.simd, node.memory, node.port) = (4, 4, Memory::Stream, port);
    Design::new(&network, &plan).unwrap()
}

#[test]
fn the_file_holds_the_weights_in_the_order_of_their_use() {
    for (port, beats, bytes) in [(None, 1, 6), (Some(16), 3, 2), (Some(32), 2, 4), (Some(64), 1, 6)] {
        let design = dense(port);
        let Layer::Dense(layer) = &design.network.nodes()[1].layer else { panic!("a dense layer") };
        let emission = emit(&design);
        let [file] = &emission.weights[..] else { panic!("one port") };
        assert_eq!((file.name.as_str(), file.port.as_str()), ("weights-dense.bin", "s_axis_dense"));
        let words: Vec<u64> = file
            .bytes
            .chunks(beats * bytes)
            .map(|word| word.iter().rev().fold(0, |sum, &byte| sum << 8 | u64::from(byte)))
            .collect();
        // 3 folds of 4 outputs; the map is one pixel after the other, 8 channels each, 4 at once.
        assert_eq!(words.len(), 3 * 4);
        for (at, word) in words.iter().enumerate() {
            let (fold, chunk, pixel) = (at / 4, at % 4 / 2, at % 2);
            for (p, i) in (0..4).flat_map(|p| (0..4).map(move |i| (p, i))) {
                let weight = layer.weights[[fold * 4 + p, pixel * 8 + chunk * 4 + i]];
                assert_eq!(
                    word >> ((p * 4 + i) * 3) & 7,
                    weight as u64 & 7,
                    "{port:?}: word {at}, PE {p}, {i}"
                );
            }
            assert_eq!(word >> 48, 0);
        }
        let [feed] = &emission.report.weight_ports[..] else { panic!("one port") };
        assert_eq!((feed.beats, feed.rounds_per_frame, feed.word_bits), (12 * beats, 1, 48));
        assert_eq!(feed.bytes_per_frame, file.bytes.len() as u64);
        let per_second = feed.bytes_per_frame * 100_000_000 / design.timing().interval;
        assert_eq!(feed.bytes_per_second, per_second);
    }
}

#[test]
fn a_narrow_port_slows_its_layer_down() {
    let interval = |port| dense(port).timing().interval;
    assert_eq!(interval(None), interval(Some(48)));
    assert!(interval(Some(16)) >= 36 && interval(Some(8)) >= 72, "a beat a cycle at most");
    assert!(interval(None) < 36);
    assert!(dense(Some(8)).timing().bottleneck.starts_with("dense_weights"));
}

#[test]
fn a_wrong_tlast_of_a_round_is_an_error_and_the_next_round_is_whole() {
    let design = dense(None);
    let (round, frame) = (&design.weight_streams()[0], common::frames(&design.network, 1, 3));
    let pixels = design.offers(frame.view());
    let wanted: Vec<i64> =
        design.expected(frame.view(), &Stalls::NONE).iter().map(|beat| beat.value).collect();
    // Rounds of the file as it is, one with a beat less, one with a beat more.
    for lengths in [[12, 12, 12], [11, 12, 12], [13, 12, 12]] {
        let mut sim = Sim::new(&design.top);
        sim.scramble(5);
        sim.reset();
        let port =
            |prefix: &str| ["tdata", "tvalid", "tready", "tlast"].map(|name| format!("{prefix}_{name}"));
        let [image, weights, out] =
            ["s_axis", "s_axis_dense", "m_axis"].map(|prefix| port(prefix).map(|name| sim.port(&name)));
        let error = sim.port("error");
        let rounds =
            lengths.iter().flat_map(|&length| (0..length).map(move |at| (at % 12, at + 1 == length)));
        let rounds: Vec<(usize, bool)> = rounds.collect();
        let (mut at, mut pixel, mut found) = (0, 0, vec![]);
        sim.set(out[2], 1);
        for _ in 0..200 {
            sim.set(weights[1], u64::from(at < rounds.len()));
            if let Some(&(beat, last)) = rounds.get(at) {
                sim.set_words(weights[0], round.beat(beat));
                sim.set(weights[3], last.into());
            }
            sim.set(image[1], 1);
            let offer = &pixels[pixel % pixels.len()];
            sim.set_words(image[0], &offer.data);
            sim.set(image[3], offer.last.into());
            if sim.get(out[1]) == 1 {
                found.push(sim.get(out[0]) as i8 as i64);
            }
            at += usize::from(at < rounds.len() && sim.get(weights[2]) == 1);
            pixel += usize::from(sim.get(image[2]) == 1);
            sim.clock();
        }
        assert_eq!(sim.get(error) == 1, lengths[0] != 12, "{lengths:?}");
        assert_eq!(found.len(), 3 * wanted.len(), "{lengths:?}: a frame per round");
        let low = |value: &i64| i64::from(*value as i8);
        assert!(
            found[wanted.len()..].iter().eq(wanted.iter().chain(&wanted).map(low).collect::<Vec<_>>().iter())
        );
    }
}

#[test]
fn the_testbench_plays_the_weights_and_a_wrong_one_is_found() {
    let Some(verilator) = tool::require("verilator") else { return };
    for port in [None, Some(16)] {
        let design = dense(port);
        let folder = tempfile::tempdir().unwrap();
        emitted::build_testbench(&verilator, &emit(&design), folder.path());
        assert!(emitted::run_testbench(folder.path()).contains("PASS"));
        let path = folder.path().join("tb_s_axis_dense.mem");
        let text = std::fs::read_to_string(&path).unwrap();
        let (banner, words) = text.split_once('\n').unwrap();
        let wrong = words.replacen(['0', '1', '2', '3', '4', '5', '6'], "7", 1);
        std::fs::write(&path, format!("{banner}\n{wrong}")).unwrap();
        let said = emitted::run_testbench(folder.path());
        assert!(said.contains("FAIL: wrong beats"), "{said}");
        std::fs::remove_file(&path).unwrap();
        let said = emitted::run_testbench(folder.path());
        assert!(said.contains("FAIL") && said.contains("missing"), "{said}");
    }
}

#[test]
fn gates_take_the_weights_too() {
    let (Some(_), Some(_)) = (tool::require("verilator"), tool::require("yosys")) else { return };
    let (design, folder) = (dense(Some(16)), tempfile::tempdir().unwrap());
    let gates = gates::synthesize(&design, folder.path(), &|_| false).unwrap();
    let frames = common::frames(&design.network, 2, 6);
    let stalls = Stalls::random(9);
    let outcome = common::simulator(&gates.emission).run(&design, frames.view(), &stalls).unwrap();
    assert_eq!(outcome.beats, design.expected(frames.view(), &stalls));
}

#[test]
fn block_designers_find_the_port() {
    let design = dense(None);
    let text = wrapper::file(&design, &emit(&design)).text;
    assert!(text.contains("ASSOCIATED_BUSIF s_axis:m_axis:s_axis_dense, "), "{text}");
    assert!(text.contains("input  wire [47:0] s_axis_dense_tdata"), "{text}");
}

#[test]
fn plans_that_cannot_be_fed_are_refused() {
    let network = topology::build("lenet:w2a2", 3).unwrap();
    let mut sound = plan::default(&network, Output::Scores).unwrap();
    let at = |plan: &Plan, name: &str| plan.nodes.iter().position(|node| node.node == name).unwrap();
    let (conv, step) = (at(&sound, "conv3"), at(&sound, "step1"));
    sound.nodes[conv].memory = Memory::Stream;
    sound.check(&network).unwrap();
    let refused = |change: &dyn Fn(&mut Plan)| {
        let mut plan = sound.clone();
        change(&mut plan);
        plan.check(&network).unwrap_err().to_string()
    };
    let error = refused(&|plan| plan.nodes[step].memory = Memory::Stream);
    assert!(error.contains("step1") && error.contains("stream is for weights"), "{error}");
    let error = refused(&|plan| plan.nodes[conv].lines = Memory::Stream);
    assert!(error.contains("conv3") && error.contains("lines"), "{error}");
    let error = refused(&|plan| plan.control = Control::Load);
    assert!(error.contains("conv3") && error.contains("control port loads weights"), "{error}");
    for bits in [0, 12, 1 << 17] {
        let error = refused(&|plan| plan.nodes[conv].port = Some(bits));
        assert!(
            error.contains("conv3") && error.contains("port") && error.contains("multiple of 8"),
            "{error}"
        );
    }
    let error = refused(&|plan| (plan.nodes[conv].memory, plan.nodes[conv].port) = (Memory::Block, Some(64)));
    assert!(error.contains("port") && error.contains("memory is stream"), "{error}");
    let error = refused(&|plan| plan.nodes[conv].node = "conv9".into());
    assert!(error.contains("conv9"), "{error}");
    let mut counted = sound.clone();
    counted.control = Control::Counters;
    counted.check(&network).unwrap();
    // Boards have nothing that brings weights.
    let board = Board::find("ulx3s").unwrap();
    let error = board.flash_bytes(&Design::new(&network, &sound).unwrap()).unwrap_err().to_string();
    assert!(error.contains("ulx3s") && error.contains("conv3"), "{error}");
}
