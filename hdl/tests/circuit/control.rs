//! Tests the control port: its protocol and registers on its own, and networks loaded into circuits of
//! others.

use super::{common, emitted};
use dq_hdl::control::{self, Access, Answer, Master, address};
use dq_hdl::design::{Beat, Design};
use dq_hdl::emit::emit;
use dq_hdl::plan::{Control, Mac};
use dq_hdl::rtl::Sim;
use dq_hdl::stalls::Stalls;
use dq_hdl::{netlist, tool};
use dq_net::random::{self, Options};
use dq_net::{Layer, Network, Node, Wire};

fn read(value: u32) -> Answer {
    Answer { data: value, refused: false }
}

const REFUSED: Answer = Answer { data: 0, refused: true };

#[test]
fn registers_answer_as_the_map_says() {
    let mut sim = Sim::new(&control::module(0x1234_abcd, 3, 2));
    sim.scramble(7);
    sim.reset();
    let master = Master::new(&sim);
    assert_eq!(master.read(&mut sim, address::IDENTITY), read(0x1234_abcd));
    assert_eq!(master.read(&mut sim, address::SIZE), read(0x0002_0003));
    for late in [false, true] {
        assert_eq!(master.write(&mut sim, address::CONTROL, control::HOLD, 0xf, late), read(0));
        let hold = sim.port("hold");
        assert_eq!((sim.get(hold), master.read(&mut sim, address::STATUS)), (1, read(1)));
        assert_eq!(master.write(&mut sim, address::CONTROL, control::CLEAR_COUNTERS, 0xf, late), read(0));
        assert_eq!(sim.get(hold), 0);
    }
    // The port refuses parts of words, read-only registers, and addresses that are not there.
    assert_eq!(master.write(&mut sim, address::CONTROL, control::HOLD, 0x7, false), REFUSED);
    assert_eq!(master.write(&mut sim, address::IDENTITY, 5, 0xf, false), REFUSED);
    assert_eq!(master.write(&mut sim, 0x800, 5, 0xf, false), REFUSED);
    assert!(master.read(&mut sim, address::CONTROL).refused);
    assert!(master.read(&mut sim, address::STALLS + 12).refused);
    assert_eq!(master.read(&mut sim, address::STATUS), read(0));
    let error = sim.port("error");
    sim.set(error, 1);
    assert_eq!(master.read(&mut sim, address::STATUS), read(2));
}

#[test]
fn counters_count_frames_and_stalls() {
    let mut sim = Sim::new(&control::module(0, 3, 0));
    sim.reset();
    let master = Master::new(&sim);
    let set = |sim: &mut Sim, values: &[(&str, u64)]| {
        for &(name, value) in values {
            let port = sim.port(name);
            sim.set(port, value);
        }
    };
    // Stage 1 offers and is not taken for 5 cycles; stage 2 is taken; 5 frames leave and none comes.
    set(&mut sim, &[("valid1", 1), ("valid2", 1), ("ready2", 1)]);
    set(&mut sim, &[("in_valid", 1), ("in_last", 1), ("out_valid", 1), ("out_ready", 1), ("out_last", 1)]);
    (0..5).for_each(|_| sim.clock());
    set(&mut sim, &[("valid1", 0), ("out_valid", 0)]);
    let stalls = |i: u32| address::STALLS + 4 * i;
    for (place, wanted) in
        [(stalls(0), 0), (stalls(1), 5), (stalls(2), 0), (address::FRAMES_IN, 0), (address::FRAMES_OUT, 5)]
    {
        assert_eq!(master.read(&mut sim, place), read(wanted), "{place:#x}");
    }
    let before = master.read(&mut sim, address::CYCLES).data;
    (0..10).for_each(|_| sim.clock());
    let after = master.read(&mut sim, address::CYCLES).data;
    assert!(after - before >= 10 && before >= 5, "{before} {after}");
    master.write(&mut sim, address::CONTROL, control::CLEAR_COUNTERS, 0xf, false);
    assert_eq!(master.read(&mut sim, stalls(1)), read(0));
    // Nothing can be loaded here.
    assert_eq!(master.write(&mut sim, address::LOAD_DATA, 0, 0xf, false), REFUSED);
}

/// Returns `network` with other weights, thresholds, directions and biases.
fn other_parameters(network: &Network, seed: u64) -> Network {
    let mut state = seed;
    let mut draw = |lo: i64, hi: i64| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        lo + ((state >> 33) as i64).rem_euclid(hi - lo + 1)
    };
    let mut wires: Vec<Wire> = vec![];
    let mut nodes: Vec<Node> = vec![];
    for (i, node) in network.nodes().iter().enumerate() {
        let mut node = node.clone();
        let inputs: Vec<Wire> = network.sources(i).iter().map(|&s| wires[s]).collect();
        let mut weight = |bits: u8| match bits {
            1 => (2 * draw(0, 1) - 1) as i8,
            _ => draw(-(1 << (bits - 1)), (1 << (bits - 1)) - 1) as i8,
        };
        match &mut node.layer {
            Layer::Conv(conv) => conv.weights.mapv_inplace(|_| weight(conv.weight_bits)),
            Layer::Dense(dense) => dense.weights.mapv_inplace(|_| weight(dense.weight_bits)),
            Layer::Step(step) => {
                for (c, mut row) in step.thresholds.rows_mut().into_iter().enumerate() {
                    step.dir[c] = (2 * draw(0, 1) - 1) as i8;
                    step.surrogate.gain[c] = f64::from(step.dir[c]);
                    let range = inputs[0].range.directed(step.dir[c]);
                    let mut values: Vec<i32> =
                        row.iter().map(|_| draw(range.lo, range.hi + 1) as i32).collect();
                    values.sort_unstable();
                    row.iter_mut().zip(values).for_each(|(to, from)| *to = from);
                }
            }
            Layer::Logits(logits) => logits.bias.iter_mut().for_each(|bias| *bias = draw(-30, 30) as i32),
            _ => {}
        }
        let shape = network.wire(i).shape;
        let range = if i == 0 { network.wire(0).range } else { node.layer.kind().range(&inputs).unwrap() };
        wires.push(Wire { shape, range });
        nodes.push(node);
    }
    Network::new("other", nodes).unwrap()
}

/// Returns random networks with a control port, and others of the same shape.
fn pairs(count: u64) -> impl Iterator<Item = (u64, Design, Design)> {
    (0..count).filter_map(|seed| {
        let options = Options { max_side: 6, ..Options::default() };
        let network = random::network(seed, &options);
        let mut plan = common::plan(&network, seed);
        plan.control = Control::Load;
        // Weights that can be loaded are not recoded.
        plan.nodes.iter_mut().filter(|node| !node.mac.loads()).for_each(|node| node.mac = Mac::Auto);
        // Where a drawn bias could not be loaded the plan is refused; that has its own test.
        let design = Design::new(&network, &plan).ok()?;
        let other = Design::new(&other_parameters(&network, seed), &plan).ok()?;
        Some((seed, design, other))
    })
}

/// Values and `tlast`: while it was loaded, the circuit went ahead with what needs no input (padding).
fn words(beats: &[Beat]) -> Vec<(i64, bool)> {
    beats.iter().map(|beat| (beat.value, beat.last)).collect()
}

#[test]
fn a_network_is_loaded_into_the_circuit_of_another() {
    let mut loaded = 0;
    for (seed, design, other) in pairs(24) {
        let image = other.image();
        assert_eq!(image.identity, design.image().identity, "seed {seed}");
        let frames = common::frames(&design.network, 3, seed);
        let stalls = Stalls::random(seed);
        // The circuit runs as configured, and with the other network's parameters.
        let own = netlist::run(&design, frames.view(), &stalls).unwrap();
        assert_eq!(own.beats, design.expected(frames.view(), &stalls), "seed {seed}");
        let found = netlist::run_after(&design, &image.accesses(), frames.view(), &stalls).unwrap();
        assert_eq!(words(&found.beats), words(&other.expected(frames.view(), &stalls)), "seed {seed}");
        assert!(!found.error);
        loaded += usize::from(words(&found.beats) != words(&own.beats));
    }
    assert!(loaded > 12, "{loaded} circuits answered otherwise");
}

#[test]
fn verilator_loads_as_the_netlist_does() {
    if tool::require("verilator").is_none() {
        return;
    }
    for (seed, design, other) in pairs(9).filter(|(seed, ..)| seed % 4 == 1) {
        let simulator = common::simulator(&emit(&design));
        let frames = common::frames(&design.network, 3, seed);
        let stalls = Stalls::random(seed);
        let accesses = other.image().accesses();
        let found = simulator.run_after(&design, &accesses, frames.view(), &stalls).unwrap();
        assert_eq!(words(&found.beats), words(&other.expected(frames.view(), &stalls)), "seed {seed}");
    }
}

#[test]
fn what_was_not_loaded_as_meant_is_found() {
    let (_, design, other) = pairs(24).nth(3).unwrap();
    let frames = common::frames(&design.network, 1, 1);
    let play = |accesses: &[Access]| {
        netlist::run_after(&design, accesses, frames.view(), &Stalls::NONE).unwrap_err().to_string()
    };
    let good = other.image().accesses();
    // Three faults: a flipped bit on the bus, a lost word, parameters of another shape.
    let data = |access: &Access| matches!(access, Access::Write { address: address::LOAD_DATA, .. });
    let at = good.iter().position(data).unwrap();
    let mut flipped = good.clone();
    if let Access::Write { data, .. } = &mut flipped[at] {
        *data ^= 4;
    }
    assert!(play(&flipped).contains("address 0x028"), "{}", play(&flipped));
    let mut lost = good.clone();
    lost.remove(at);
    assert!(play(&lost).contains("address 0x024"), "{}", play(&lost));
    let mut foreign = other.image();
    foreign.identity ^= 1;
    assert!(play(&foreign.accesses()).contains("address 0x000"));
}

#[test]
fn a_bias_that_could_not_be_loaded_is_refused() {
    let network = random::network(1, &Options { ..Options::default() });
    let mut nodes = network.nodes().to_vec();
    let Layer::Logits(logits) = &mut nodes.last_mut().unwrap().layer else { unreachable!("the logits") };
    logits.bias[0] = 1 << 29;
    let network = Network::new("biased", nodes).unwrap();
    let mut plan = common::plan(&network, 1);
    Design::new(&network, &plan).unwrap();
    plan.control = Control::Load;
    let error = Design::new(&network, &plan).unwrap_err().to_string();
    assert!(error.contains("`logits`, bias: expected within"), "{error}");
}

#[test]
fn tools_find_nothing_to_warn_of() {
    let (Some(verilator), Some(yosys)) = (tool::require("verilator"), tool::require("yosys")) else {
        return;
    };
    for (seed, design, _) in pairs(12).filter(|(seed, ..)| seed % 5 == 1) {
        let emission = emit(&design);
        let folder = tempfile::tempdir().unwrap();
        emitted::write(&emission, folder.path());
        let mut command = emitted::in_folder(&verilator, folder.path());
        let bench = ["--lint-only", "-Wall", "--timing", "--top-module", "tb", "-f", "files.f", "tb.v"];
        emitted::quiet(command.args(bench), &seed.to_string());
        let sources = emitted::sources(&emission).join(" ");
        let script = format!("read_verilog {sources}; hierarchy -check -top top; proc; check -assert");
        emitted::quiet(emitted::in_folder(&yosys, folder.path()).args(["-p", &script]), &seed.to_string());
    }
}
