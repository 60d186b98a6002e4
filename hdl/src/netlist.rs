//! Simulation of the very netlist that is emitted, clock by clock, with no EDA tool.

use crate::design::{Beat, Design, Outcome};
use crate::rtl::Sim;
use crate::stalls::Stalls;
use ndarray::ArrayView4;
use thiserror::Error;

/// The circuit stopped moving.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("netlist: {given} of {wanted} output beats after {cycles} cycles, and none in the last {QUIET}")]
pub struct Stuck {
    /// Beats that came.
    pub given: usize,
    /// Beats that should have come.
    pub wanted: usize,
    /// Cycles run.
    pub cycles: u64,
}

/// Cycles after the last expected beat until a run is given up.
const QUIET: u64 = 100_000;

/// Runs `frames` (frame × height × width × channels) back to back and gives every output beat.
pub fn run(design: &Design, frames: ArrayView4<u8>, stalls: &Stalls) -> Result<Outcome, Stuck> {
    drive(design, &design.offers(frames), frames.dim().0 * design.output_beats(), stalls)
}

/// A beat offered at the input.
#[derive(Clone, Debug)]
pub struct Offer {
    /// `tdata`, as little-endian words.
    pub data: Vec<u64>,
    /// `tlast`.
    pub last: bool,
}

/// Offers `input` and takes `wanted` beats; the flag is the circuit's `error` at the end.
pub fn drive(design: &Design, input: &[Offer], wanted: usize, stalls: &Stalls) -> Result<Outcome, Stuck> {
    let mut sim = Sim::new(&design.top);
    sim.scramble(0x5eed);
    sim.reset();
    let [data, valid, ready, last] =
        ["tdata", "tvalid", "tready", "tlast"].map(|port| sim.port(&format!("s_axis_{port}")));
    let [m_data, m_valid, m_ready, m_last] =
        ["tdata", "tvalid", "tready", "tlast"].map(|port| sim.port(&format!("m_axis_{port}")));
    let error = sim.port("error");
    let mut out: Vec<Beat> = Vec::with_capacity(wanted);
    let (mut next, mut held, mut cycle, mut moved) = (0, false, 0, 0);
    while out.len() < wanted {
        held = next < input.len() && (held || stalls.source.open(cycle));
        sim.set(valid, held.into());
        if held {
            sim.set_words(data, &input[next].data);
            sim.set(last, input[next].last.into());
        }
        let open = stalls.sink.open(cycle);
        sim.set(m_ready, open.into());
        if open && sim.get(m_valid) == 1 {
            let value = design.output_value(sim.get(m_data));
            out.push(Beat { cycle, value, last: sim.get(m_last) == 1 });
            moved = cycle;
        }
        if held && sim.get(ready) == 1 {
            (next, held, moved) = (next + 1, false, cycle);
        }
        sim.clock();
        cycle += 1;
        if cycle - moved > QUIET {
            return Err(Stuck { given: out.len(), wanted, cycles: cycle });
        }
    }
    let error = sim.get(error) == 1;
    Ok(Outcome { beats: out, error })
}
