//! Makes a design: one network under one plan, lowered to stages and to a circuit. Every other use starts
//! from it.

use super::top;
use super::weight_ports::{WeightPort, weight_ports};
use crate::control::{Access, Image};
use crate::pipeline::{Lanes, Stage, detector::PASSES, lower::Model};
use crate::plan::{Control, Output, Plan, PlanError};
use crate::rtl::{Module, words};
pub use crate::stage::weight_port::shape::Round;
use crate::stalls::Stalls;
use crate::timing::{self, Timing};
use dq_net::layer::Logits;
use dq_net::proved::ProvedRadius;
use dq_net::{Network, Shape};
use ndarray::{Array4, ArrayView3, ArrayView4, Axis, CowArray, Ix4};
use serde::{Deserialize, Serialize};

/// Holds a network as a circuit.
#[derive(Clone, Debug)]
pub struct Design {
    /// The network.
    pub network: Network,
    /// The network's plan, checked.
    pub plan: Plan,
    /// The stages, in topological order: ingress first, egress last.
    pub stages: Vec<Stage>,
    /// The circuit.
    pub top: Module,
    timing: Timing,
    /// What proves labels, where `tuser` says so.
    proved: Option<ProvedRadius>,
}

/// Says what a circuit that gives labels says of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The label.
    pub label: usize,
    /// Whether the detector flags the image; never without one.
    pub flagged: bool,
    /// Whether the label is proved within the plan's radius; never without one.
    pub proved: bool,
}

/// Describes a beat at the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beat {
    /// The cycle in which it moved ([`crate::stalls`] says which one is 0).
    pub cycle: u64,
    /// The score or the label that it carries; above the bits of `tdata`, `tuser` where there is one.
    pub value: i64,
    /// Whether `tlast` was high.
    pub last: bool,
}

/// Says what a simulator does with a circuit in one run.
#[derive(Clone, Copy, Debug)]
pub struct Traffic<'a> {
    /// Accesses to the control port that are made before the first beat.
    pub accesses: &'a [Access],
    /// Beats that are offered at the input.
    pub input: &'a [Offer],
    /// Number of beats that are taken at the output.
    pub wanted: usize,
    /// The cycles in which neither side moves.
    pub stalls: &'a Stalls,
}

/// Describes what a port of weights takes, round after round, and which port it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WeightStream {
    /// Name of the network's node.
    pub node: String,
    /// Name of the port: that of its signals up to `_tdata`, `_tvalid`, `_tready`, `_tlast`.
    pub port: String,
    /// How the words come.
    pub round: Round,
    /// The beats of a round, as little-endian words.
    pub beats: Vec<u64>,
}

impl WeightStream {
    /// Returns beat number `at`.
    pub fn beat(&self, at: usize) -> &[u64] {
        let words = words::words_for(self.round.bits);
        &self.beats[at * words..][..words]
    }
}

/// Describes a beat that is offered at the input.
#[derive(Clone, Debug)]
pub struct Offer {
    /// Value of `tdata`, as little-endian words.
    pub data: Vec<u64>,
    /// Value of `tlast`.
    pub last: bool,
}

/// Holds what a simulation gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Output beats in order.
    pub beats: Vec<Beat>,
    /// The circuit's `error` output after the last of them.
    pub error: bool,
}

impl Design {
    /// Checks `plan` against `network` and builds the circuit.
    pub fn new(network: &Network, plan: &Plan) -> Result<Design, PlanError> {
        plan.check(network)?;
        let (stages, timing) = Model::new(network).timed(plan)?;
        let top = top::module(network, plan, &stages);
        let proved = plan.proved(network);
        Ok(Design { network: network.clone(), plan: plan.clone(), stages, top, timing, proved })
    }

    /// Returns whether the circuit has a control port.
    pub fn has_control(&self) -> bool {
        self.plan.control != Control::None
    }

    /// Returns the words that its flash must hold, where it has parameters there.
    pub fn boot_words(&self) -> Vec<u32> {
        if self.plan.boots() { self.image().boot_words() } else { vec![] }
    }

    /// Returns what the ports of weights take, in the order of the stages.
    pub fn weight_streams(&self) -> Vec<WeightStream> {
        let stream = |port: WeightPort| WeightStream {
            node: self.network.nodes()[port.stage.site.node].name.clone(),
            port: port.name(),
            round: port.kind.round(),
            beats: port.kind.words(),
        };
        weight_ports(&self.stages).map(stream).collect()
    }

    /// Returns the parameters, as the control port of a circuit of this plan takes them.
    pub fn image(&self) -> Image {
        let modules: Vec<Module> = self.stages.iter().map(Stage::module).collect();
        Image::new(&self.stages, modules.iter())
    }

    /// Returns latency and interval.
    pub fn timing(&self) -> &Timing {
        &self.timing
    }

    /// Returns the lanes of the output: whole bytes.
    pub fn output_lanes(&self) -> Lanes {
        self.stages.last().expect("a pipeline has stages").site.output
    }

    /// Beats of a frame at the output.
    pub fn output_beats(&self) -> usize {
        match self.plan.output {
            Output::Scores => self.network.classes(),
            Output::Label => 1,
        }
    }

    /// Returns what must leave the circuit for `frames` (frame × height × width × channels), back to back:
    /// values by the network's reference, cycles by the plan.
    pub fn expected(&self, frames: ArrayView4<u8>, stalls: &Stalls) -> Vec<Beat> {
        let values = frames.axis_iter(Axis(0)).flat_map(|frame| self.values(frame));
        self.beats(values, &timing::cycles(&self.stages, frames.dim().0, stalls))
    }

    /// Returns how often each frame goes through the network: twice where there is a detector.
    pub fn passes_per_frame(&self) -> usize {
        if self.plan.detector.is_some() { PASSES } else { 1 }
    }

    /// Returns the images that go through the network for `frames`, in order: the frames themselves, each
    /// followed by its squeezed form where there is a detector.
    pub fn passes<'a>(&self, frames: ArrayView4<'a, u8>) -> CowArray<'a, u8, Ix4> {
        let Some(squeezing) = self.plan.detector else { return frames.into() };
        let (count, height, width, channels) = frames.dim();
        let mut passes = Array4::zeros((PASSES * count, height, width, channels));
        for (frame, mut both) in frames.outer_iter().zip(passes.axis_chunks_iter_mut(Axis(0), PASSES)) {
            both.index_axis_mut(Axis(0), 0).assign(&frame);
            both.index_axis_mut(Axis(0), 1).assign(&squeezing.eval(frame));
        }
        passes.into()
    }

    /// Returns what leaves the circuit for a frame whose scores were computed elsewhere: those of its passes,
    /// `classes` each.
    pub fn values_of_scores(&self, scores: &[i32]) -> Vec<i64> {
        let label = |scores: &[i32]| Logits::label(scores.iter().copied()) as i64;
        match (self.plan.output, self.plan.detector) {
            (Output::Scores, _) => scores.iter().map(|&score| score.into()).collect(),
            (Output::Label, None) => {
                let is_proved = self.proved.is_some_and(|rule| rule.verdict(scores).proved);
                vec![label(scores) | i64::from(is_proved) << self.user_bit()]
            }
            (Output::Label, Some(_)) => {
                let (own, squeezed) = scores.split_at(scores.len() / PASSES);
                let differ = i64::from(label(own) != label(squeezed));
                vec![label(own) | differ << self.flag_bit()]
            }
        }
    }

    /// Returns what `value`, a beat of a circuit that gives labels, says.
    pub fn answer(&self, value: i64) -> Answer {
        let bit = |at: usize| value >> at & 1 == 1;
        let proved = self.has_user() && bit(self.user_bit());
        let flagged = self.plan.detector.is_some() && bit(self.flag_bit());
        let marks = i64::from(proved) << self.user_bit() | i64::from(flagged) << self.flag_bit();
        Answer { label: (value & !marks) as usize, flagged, proved }
    }

    /// Returns whether the output has a `tuser`, which says that the label is proved.
    pub fn has_user(&self) -> bool {
        self.proved.is_some()
    }

    /// Returns what proves the labels, where `tuser` says so.
    pub fn proved(&self) -> Option<ProvedRadius> {
        self.proved
    }

    /// Returns the place of `tuser` in the value of a beat: above `tdata`.
    pub(crate) fn user_bit(&self) -> usize {
        self.output_lanes().bits
    }

    /// Returns the bits of a beat's value: `tdata`, and `tuser` where there is one.
    pub(crate) fn value_bits(&self) -> usize {
        self.output_lanes().width() + usize::from(self.has_user())
    }

    /// Returns the place of the detector's flag in a beat of the output: its top bit.
    fn flag_bit(&self) -> usize {
        self.output_lanes().bits - 1
    }

    /// Joins values and cycles to beats.
    pub fn beats(&self, values: impl IntoIterator<Item = i64>, cycles: &[u64]) -> Vec<Beat> {
        let per_frame = self.output_beats();
        let values: Vec<i64> = values.into_iter().collect();
        assert_eq!(values.len(), cycles.len(), "a value a beat");
        let beat = |(i, (&cycle, value)): (usize, (&u64, i64))| Beat {
            cycle,
            value,
            last: (i + 1) % per_frame == 0,
        };
        cycles.iter().zip(values).enumerate().map(beat).collect()
    }

    pub(crate) fn values(&self, frame: ArrayView3<u8>) -> Vec<i64> {
        let passes = self.passes(frame.insert_axis(Axis(0)));
        let scores: Vec<i32> = passes.outer_iter().flat_map(|image| self.network.eval(image)).collect();
        self.values_of_scores(&scores)
    }

    /// Returns the lanes of the input: one per channel of a pixel.
    pub fn input_lanes(&self) -> Lanes {
        self.stages[0].site.output
    }

    /// Returns the number of 64-bit words that hold one input beat.
    pub(crate) fn input_words(&self) -> usize {
        self.input_lanes().width().div_ceil(64)
    }

    /// Returns the input beats of `frames` as little-endian words: a pixel per beat, channel 0 in the low
    /// bits.
    ///
    /// # Panics
    /// If the frames are not of the network's shape, or have levels that its input has not.
    pub(crate) fn input_beats(&self, frames: ArrayView4<u8>) -> Vec<u64> {
        let Shape { height, width, channels } = self.network.input_shape();
        assert_eq!(&frames.shape()[1..], [height, width, channels], "shape of the frames");
        self.network.input().check_images(frames).unwrap_or_else(|fault| panic!("{fault}"));
        let (words, bits) = (self.input_words(), self.input_lanes().bits);
        let mut beats = vec![];
        for pixel in frames.lanes(Axis(3)) {
            let start = beats.len();
            beats.resize(start + words, 0);
            for (c, &level) in pixel.iter().enumerate() {
                words::or_at(&mut beats[start..], c * bits, &[level.into()], bits);
            }
        }
        beats
    }

    /// Returns the input beats of `frames` with their `tlast`.
    pub fn offers(&self, frames: ArrayView4<u8>) -> Vec<Offer> {
        let shape = self.network.input_shape();
        let pixels = shape.height * shape.width;
        let beats = self.input_beats(frames);
        let offer = |(i, data): (usize, &[u64])| Offer { data: data.to_vec(), last: (i + 1) % pixels == 0 };
        beats.chunks(self.input_words()).enumerate().map(offer).collect()
    }

    /// Returns the number of cycles after which a run that has not given `wanted` beats is stuck: twice those
    /// of the plan, and some more.
    pub(crate) fn cycle_limit(&self, wanted: usize, stalls: &Stalls) -> u64 {
        let frames = wanted.div_ceil(self.output_beats());
        2 * timing::cycles(&self.stages, frames, stalls).last().copied().unwrap_or(0) + 100_000
    }

    /// Returns the value in `word`, an output beat.
    pub(crate) fn output_value(&self, word: u64) -> i64 {
        let Lanes { bits, signed, .. } = self.output_lanes();
        let bits = bits as u32;
        if signed { (word << (64 - bits)) as i64 >> (64 - bits) } else { word as i64 }
    }
}
