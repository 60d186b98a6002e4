//! Simulates the very netlist that is emitted, clock by clock, with no EDA tool.

use crate::control::{Access, Master};
use crate::design::{Beat, Design, Offer, Outcome, Traffic, WeightStream};
use crate::rtl::{PortId, Sim};
use crate::stalls::{Pattern, Stalls};
use ndarray::ArrayView4;
use std::io;
use thiserror::Error;

/// Says why a run gave no result.
#[derive(Debug, Error)]
pub enum NetlistError {
    /// The circuit stopped moving.
    #[error("netlist: {given} of {wanted} output beats after {cycles} cycles")]
    Stuck {
        /// Number of beats that came.
        given: usize,
        /// Number of beats that should have come.
        wanted: usize,
        /// Number of cycles that were run: twice those of the plan, and some more.
        cycles: u64,
    },
    /// The control port refused an access, or gave another word.
    #[error("netlist: control port, {0}")]
    Control(String),
    /// The circuit did not take its parameters.
    #[error("netlist: the circuit refused its parameters ({0})")]
    Boot(&'static str),
    /// The trace could not be written.
    #[error("writing the trace: {0}")]
    Trace(#[from] io::Error),
}

/// Runs `frames` (frame × height × width × channels) back to back and gives every output beat.
pub fn run(design: &Design, frames: ArrayView4<u8>, stalls: &Stalls) -> Result<Outcome, NetlistError> {
    drive(design, &design.offers(frames), frames.dim().0 * design.output_beats(), stalls)
}

/// Runs like [`run`], with every net of the circuit written to `vcd` (10 ns per cycle).
pub fn trace(
    design: &Design,
    frames: ArrayView4<u8>,
    stalls: &Stalls,
    vcd: &mut dyn io::Write,
) -> Result<Outcome, NetlistError> {
    let wanted = frames.dim().0 * design.output_beats();
    let traffic = Traffic { accesses: &[], input: &design.offers(frames), wanted, stalls };
    simulate(design, &traffic, Some(vcd))
}

/// Offers `input` and takes `wanted` beats, whatever the frames they make.
pub fn drive(
    design: &Design,
    input: &[Offer],
    wanted: usize,
    stalls: &Stalls,
) -> Result<Outcome, NetlistError> {
    simulate(design, &Traffic { accesses: &[], input, wanted, stalls }, None)
}

/// Runs like [`run`], after `accesses` through the control port.
pub fn run_after(
    design: &Design,
    accesses: &[Access],
    frames: ArrayView4<u8>,
    stalls: &Stalls,
) -> Result<Outcome, NetlistError> {
    let wanted = frames.dim().0 * design.output_beats();
    let traffic = Traffic { accesses, input: &design.offers(frames), wanted, stalls };
    simulate(design, &traffic, None)
}

/// Simulates what `traffic` asks for, with every net written to `vcd` where there is one.
fn simulate(
    design: &Design,
    traffic: &Traffic,
    mut vcd: Option<&mut dyn io::Write>,
) -> Result<Outcome, NetlistError> {
    let Traffic { accesses, input, wanted, stalls } = *traffic;
    let limit = design.cycle_limit(wanted, stalls);
    let mut sim = Sim::new(&design.top);
    sim.scramble(0x5eed);
    if vcd.is_some() {
        sim.trace();
    }
    sim.reset();
    let [data, valid, ready, last] =
        ["tdata", "tvalid", "tready", "tlast"].map(|port| sim.port(&format!("s_axis_{port}")));
    let [m_data, m_valid, m_ready, m_last] =
        ["tdata", "tvalid", "tready", "tlast"].map(|port| sim.port(&format!("m_axis_{port}")));
    let m_user = design.has_user().then(|| sim.port("m_axis_tuser"));
    let error = sim.port("error");
    if !accesses.is_empty() {
        Master::new(&sim).play(&mut sim, accesses).map_err(NetlistError::Control)?;
    }
    boot(&mut sim, &design.boot_words())?;
    let streams = design.weight_streams();
    let player = |(i, stream)| Player::new(&sim, stream, stalls.of_port(i));
    let mut players: Vec<Player> = streams.iter().enumerate().map(player).collect();
    let mut out: Vec<Beat> = Vec::with_capacity(wanted);
    let (mut next, mut held, mut cycle) = (0, false, 0);
    while out.len() < wanted {
        held = next < input.len() && (held || stalls.source.open(cycle));
        sim.set(valid, held.into());
        if held {
            sim.set_words(data, &input[next].data);
            sim.set(last, input[next].last.into());
        }
        players.iter_mut().for_each(|player| player.offer(&mut sim, cycle));
        let open = stalls.sink.open(cycle);
        sim.set(m_ready, open.into());
        if open && sim.get(m_valid) == 1 {
            let user = m_user.map_or(0, |port| sim.get(port) << design.user_bit());
            let value = design.output_value(sim.get(m_data)) | user as i64;
            out.push(Beat { cycle, value, last: sim.get(m_last) == 1 });
        }
        if held && sim.get(ready) == 1 {
            (next, held) = (next + 1, false);
        }
        players.iter_mut().for_each(|player| player.take(&mut sim));
        sim.clock();
        cycle += 1;
        if let Some(vcd) = &mut vcd {
            vcd.write_all(&sim.take_vcd())?;
        }
        if cycle > limit {
            return Err(NetlistError::Stuck { given: out.len(), wanted, cycles: cycle });
        }
    }
    let error = sim.get(error) == 1;
    Ok(Outcome { beats: out, error })
}

/// Plays the weights of one port, round after round.
struct Player<'a> {
    /// Handles of `tdata`, `tvalid`, `tready`, `tlast`.
    ports: [PortId; 4],
    stream: &'a WeightStream,
    pattern: Pattern,
    /// The beat that is offered, or the next one.
    at: usize,
    held: bool,
}

impl<'a> Player<'a> {
    fn new(sim: &Sim, stream: &'a WeightStream, pattern: Pattern) -> Self {
        let signals = ["tdata", "tvalid", "tready", "tlast"];
        let ports = signals.map(|signal| sim.port(&format!("{}_{signal}", stream.port)));
        Player { ports, stream, pattern, at: 0, held: false }
    }

    /// Offers the beat of `cycle`, if there is one.
    fn offer(&mut self, sim: &mut Sim, cycle: u64) {
        let [data, valid, _, last] = self.ports;
        self.held |= self.pattern.open(cycle);
        sim.set(valid, self.held.into());
        if self.held {
            sim.set_words(data, self.stream.beat(self.at));
            sim.set(last, u64::from(self.at + 1 == self.stream.round.beats));
        }
    }

    /// Notes whether the beat moves.
    fn take(&mut self, sim: &mut Sim) {
        if self.held && sim.get(self.ports[2]) == 1 {
            (self.at, self.held) = ((self.at + 1) % self.stream.round.beats, false);
        }
    }
}

/// Plays the flash of a circuit that has one, a word every other clock.
fn boot(sim: &mut Sim, words: &[u32]) -> Result<(), NetlistError> {
    if words.is_empty() {
        return Ok(());
    }
    let [data, valid, booted, failed] =
        ["boot_data", "boot_valid", "booted", "boot_failed"].map(|port| sim.port(port));
    for &word in words {
        sim.set(data, word.into());
        for now in [1, 0] {
            sim.set(valid, now);
            sim.clock();
        }
    }
    sim.clock();
    match (sim.get(booted), sim.get(failed)) {
        (1, 0) => Ok(()),
        (_, 1) => Err(NetlistError::Boot("identity or checksum")),
        _ => Err(NetlistError::Boot("it waits for more")),
    }
}
