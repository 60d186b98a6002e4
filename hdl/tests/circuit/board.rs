//! Tests a board's circuit over its UART pins, in the netlist: answers are the simulator's; damage, pauses
//! and garbage are reported and survived.

use super::{common, emitted, spram};
use dq_hdl::board::{self, BoardCircuit, protocol};
use dq_hdl::design::Design;
use dq_hdl::plan::{Output, Plan};
use dq_hdl::rtl::{PortId, Sim};
use dq_hdl::{plan, rtl, tool};
use dq_net::random::{self, Options};
use ndarray::Axis;
use protocol::{Answer, Status};

/// Clocks per bit; they are few, so that tests are short.
const CLOCKS: usize = 4;

/// Holds the line in both directions.
struct Line {
    sim: Sim,
    rx: PortId,
    tx: PortId,
    format: protocol::Format,
    /// What was received: the levels of the line, then whole bytes.
    levels: Vec<bool>,
    bytes: Vec<u8>,
}

impl Line {
    fn new(circuit: &BoardCircuit) -> Self {
        let mut sim = Sim::new(&circuit.module);
        sim.scramble(3);
        let (rx, tx) = (sim.port("rx"), sim.port("tx"));
        sim.set(rx, 1);
        sim.reset();
        sim.set(rx, 1);
        Line { sim, rx, tx, format: circuit.format, levels: vec![], bytes: vec![] }
    }

    fn clock(&mut self, level: bool) {
        self.sim.set(self.rx, level.into());
        self.sim.clock();
        let tx = self.sim.get(self.tx) == 1;
        if !self.levels.is_empty() || !tx {
            self.levels.push(tx);
        }
        if self.levels.len() == 10 * CLOCKS {
            let bit = |i: usize| self.levels[i * CLOCKS + CLOCKS / 2];
            assert!(!bit(0) && bit(9), "start and stop bit");
            self.bytes.push((0..8).fold(0, |byte, i| byte | u8::from(bit(i + 1)) << i));
            self.levels.clear();
        }
    }

    fn send(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            let bits = (0..8).map(|i| byte >> i & 1 == 1);
            for level in [false].into_iter().chain(bits).chain([true]) {
                (0..CLOCKS).for_each(|_| self.clock(level));
            }
        }
    }

    /// Waits until an answer is there.
    fn answer(&mut self) -> Answer {
        for _ in 0..400_000 {
            if let Some(answer) = self.format.take(&mut self.bytes) {
                return answer.expect("a sound answer");
            }
            self.clock(true);
        }
        panic!("no answer");
    }
}

fn design(output: Output) -> Design {
    let network = (0..).map(|seed| random::network(seed, &Options::default()));
    let mut network = network.filter(|n| n.input_shape().channels == 3 && n.input_shape().height > 3);
    let network = network.next().expect("some are that large");
    let plan: Plan = plan::default(&network, output).unwrap();
    Design::new(&network, &plan).unwrap()
}

#[test]
fn answers_are_those_of_the_simulator() {
    for output in [Output::Scores, Output::Label] {
        let design = design(output);
        let mut line = Line::new(&board::circuit(&design, CLOCKS, 0));
        let frames = common::frames(&design.network, 4, 9);
        let pixels = |i: usize| frames.index_axis(Axis(0), i).iter().copied().collect::<Vec<u8>>();
        let wanted = |i: usize| design.values_of_scores(&design.network.eval(frames.index_axis(Axis(0), i)));
        // One packet is sent at a time, then two are in flight.
        line.send(&protocol::frame(7, &pixels(0)));
        let sound = |number, i| Answer { number, status: Status::default(), values: wanted(i) };
        assert_eq!(line.answer(), sound(7, 0));
        for i in 1..3 {
            line.send(&protocol::frame(i as u8, &pixels(i)));
        }
        assert_eq!(line.answer(), sound(1, 1));
        assert_eq!(line.answer(), sound(2, 2));
    }
}

/// A byte carries one level; the circuit takes as many bits of it as its input has.
#[test]
fn levels_of_few_bits_come_as_bytes() {
    let options = Options { residuals: true, ..Options::default() };
    let networks = (0..).map(|seed| random::network(seed, &options));
    let mut networks = networks.filter(|n| n.input_shape().channels == 3 && n.input().levels == 7);
    let network = networks.next().expect("some have");
    let design = Design::new(&network, &plan::default(&network, Output::Scores).unwrap()).unwrap();
    let port = |name: &str| design.top.ports().into_iter().find(|port| port.name == name).unwrap().width;
    assert_eq!((design.input_lanes().bits, port("s_axis_tdata")), (3, 16));
    let mut line = Line::new(&board::circuit(&design, CLOCKS, 0));
    let frames = common::frames(&network, 2, 5);
    for (i, frame) in frames.outer_iter().enumerate() {
        line.send(&protocol::frame(i as u8, &frame.iter().copied().collect::<Vec<u8>>()));
        let values = design.values_of_scores(&network.eval(frame));
        assert_eq!(line.answer(), Answer { number: i as u8, status: Status::default(), values });
    }
}

#[test]
fn damage_pauses_and_garbage_are_told_and_survived() {
    let design = design(Output::Scores);
    let mut line = Line::new(&board::circuit(&design, CLOCKS, 0));
    let frames = common::frames(&design.network, 1, 2);
    let pixels: Vec<u8> = frames.iter().copied().collect();
    let good = |number| {
        let values = design.values_of_scores(&design.network.eval(frames.index_axis(Axis(0), 0)));
        Answer { number, status: Status::default(), values }
    };
    // The line carries garbage with half a mark in it.
    line.send(&[0, 0xff, 0xa5, 0xa5, 1]);
    line.send(&protocol::frame(1, &pixels));
    assert_eq!(line.answer(), good(1));
    // A bit is flipped in a pixel: the frame is answered, and reported as damaged.
    let mut damaged = protocol::frame(2, &pixels);
    damaged[7] ^= 0x10;
    line.send(&damaged);
    let answer = line.answer();
    assert_eq!((answer.number, answer.status.wrong_crc, answer.status.short), (2, true, false));
    line.send(&protocol::frame(3, &pixels));
    assert_eq!(line.answer(), good(3));
    // Bytes are lost: the packet ends by a pause, the next frame is not shifted, and the error stays.
    let mut short = protocol::frame(4, &pixels);
    short.drain(10..21);
    line.send(&short);
    let answer = line.answer();
    assert_eq!((answer.number, answer.status.short), (4, true));
    line.send(&protocol::frame(5, &pixels));
    let answer = line.answer();
    assert_eq!(answer.values, good(5).values);
    assert_eq!(answer.status, Status { error: true, ..Status::default() });
}

#[test]
fn tools_find_nothing_to_warn_of() {
    let (Some(verilator), Some(yosys)) = (tool::require("verilator"), tool::require("yosys")) else {
        return;
    };
    for design in [design(Output::Scores), design(Output::Label), spram::tiny()] {
        let circuit = board::circuit(&design, CLOCKS, 1 << 20);
        let folder = tempfile::tempdir().unwrap();
        let files = rtl::emit(&circuit.module, "test").unwrap();
        let mut sources = vec![];
        for file in &files {
            tool::run::write_file(folder.path(), &file.name, &file.text).unwrap();
            sources.extend(file.name.ends_with(".v").then_some(file.name.as_str()));
        }
        let mut command = emitted::in_folder(&verilator, folder.path());
        emitted::quiet(
            command.args(["--lint-only", "-Wall", "--top-module", "dq_board"]).args(&sources),
            "board",
        );
        let script = format!(
            "read_verilog {}; hierarchy -check -top dq_board; proc; check -assert",
            sources.join(" ")
        );
        emitted::quiet(emitted::in_folder(&yosys, folder.path()).args(["-p", &script]), "board");
    }
}
