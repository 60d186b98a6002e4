//! Defines what a kind of stage says of itself, and a stage: a kind at its site. One file per kind implements
//! [`Kind`]; nothing outside those files tells kinds apart.

use super::mvau::shape::Mvau;
use super::site::Site;
use super::weight_port::shape::WeightPort;
use super::window::shape::Window;
use crate::device::Resources;
use crate::memory::cost;
use crate::rtl::{File, Module};
use std::fmt::Debug;
use std::sync::Arc;

/// Describes a kind of stage with its fields: everything about it except where it stands.
pub trait Kind: Debug + Send + Sync {
    /// Returns how its operations map beats.
    fn schedule(&self) -> Schedule;

    /// Returns the cycles from the issue of an operation until its beat can leave a FIFO of LUT RAM. The
    /// only place where it is computed: `site.latency` is this.
    fn latency(&self, site: &Site) -> u64;

    /// Returns the name of its module. It is the stage's own, or that of all stages of the same shape; never
    /// that of a net.
    fn module_name(&self, site: &Site) -> String;

    /// Returns its module. It has the streams `s` and `m`; ingress and egress have AXI4-Stream on their
    /// outer side.
    fn module(&self, site: &Site) -> Module;

    /// Returns what its logic and memories cost, output FIFOs aside, in LUTs of four inputs.
    fn cost(&self, site: &Site) -> Resources;

    /// Returns the text of its fields by which circuits are told apart ([`super::encoding`]).
    fn encode(&self) -> String;

    /// Returns the operations between two beats that it gives, at least: FIFOs are as deep as the beats that
    /// are then in flight.
    fn spacing(&self) -> usize {
        match self.schedule() {
            Schedule::Map { period, tail: 1 } => period,
            Schedule::Source { .. }
            | Schedule::Map { .. }
            | Schedule::Turns { .. }
            | Schedule::Split { .. }
            | Schedule::Window(_) => 1,
        }
    }

    /// Returns whether it has a table of constants that may lie in block RAM or in LUTs, whichever is
    /// cheaper.
    fn has_table(&self) -> bool {
        false
    }

    /// Returns the shape of a matrix-vector unit.
    fn unit(&self) -> Option<Mvau> {
        None
    }

    /// Returns it as a port of weights, if it is one.
    fn weight_port(&self) -> Option<&WeightPort> {
        None
    }

    /// Returns what its contract states, in words.
    fn property(&self) -> &'static str {
        "stream"
    }

    /// Returns its whole definition beside it, for a unit so small that a solver can unroll it.
    fn unrolled(&self, _site: &Site) -> Option<Unrolled> {
        None
    }
}

/// Holds a module made for a proof: a stage beside its definition.
pub struct Unrolled {
    /// The module's file.
    pub harness: File,
    /// Number of cycles from reset after which everything has been compared.
    pub cycles: usize,
    /// What is compared, and what is taken for granted, in words.
    pub property: &'static str,
}

/// Says how a stage's operations map input beats to output beats. Timing needs to know nothing else of the
/// stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// The stage does an operation per beat that enters the circuit; each produces a beat.
    Source {
        /// Number of beats per frame.
        beats: usize,
    },
    /// The stage does an operation per beat of every input; of every `period` operations the last `tail`
    /// produce a beat, at every output.
    Map {
        /// Number of operations in a round.
        period: usize,
        /// Number of operations at its end that produce a beat.
        tail: usize,
    },
    /// The stage does an operation per beat of either of its two inputs, and each produces a beat: a round
    /// takes the beats of the first input, then those of the second one.
    Turns {
        /// Number of beats of a round, of each input.
        beats: [usize; 2],
    },
    /// Each input beat leaves as `ratio` beats. The stage's FIFO holds input beats.
    Split {
        /// Number of output beats per input beat.
        ratio: usize,
    },
    /// The operations read a line buffer.
    Window(Window),
}

/// Holds one stage of the graph.
#[derive(Clone, Debug)]
pub struct Stage {
    /// Where it stands.
    pub site: Site,
    /// What it computes.
    pub kind: Arc<dyn Kind>,
}

impl Stage {
    /// Returns how its operations map beats.
    pub fn schedule(&self) -> Schedule {
        self.kind.schedule()
    }

    /// Returns whether the FIFO of output `port` is block RAM, which gives a beat one cycle later.
    pub fn deep(&self, port: usize) -> bool {
        !self.splits() && self.site.has_deep_fifo(port)
    }

    /// Returns the cycles from the issue of an operation to the first in which its beat can leave output
    /// `port`.
    pub fn latency_to(&self, port: usize) -> u64 {
        self.site.latency + u64::from(self.deep(port))
    }

    /// Returns its module.
    pub fn module(&self) -> Module {
        self.kind.module(&self.site)
    }

    /// Returns its resources, by the model of [`crate::estimate`]: those of its kind and its FIFOs.
    pub fn resources(&self) -> Resources {
        let Site { input, output, depths, family, .. } = &self.site;
        let width = if self.splits() { input.width() } else { output.width() };
        let fifos = (0..depths.len()).map(|port| cost::fifo(width, depths[port], self.deep(port), *family));
        family.logic(self.kind.cost(&self.site)).plus(fifos.sum())
    }

    fn splits(&self) -> bool {
        matches!(self.schedule(), Schedule::Split { .. })
    }
}
