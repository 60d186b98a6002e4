//! Builds the AXI4-Stream input through which weights come from outside, for a layer whose weights lie in no
//! memory of the circuit: words in the order in which the matrix-vector unit uses them, round after round. It
//! is an input of frames like any other, whose frame is one round: a wrong `tlast` sets the error, and the
//! rounds that follow are not shifted.

use super::dot::Dot;
use super::encoding::record;
use super::ingress;
use super::kind::{Kind, Schedule};
use super::mvau::shape::Mvau;
use super::mvau::weights::Weights;
use super::site::{Lanes, Site};
use crate::device::Resources;
use crate::pipeline::build::{Build, Draft, Stream};
use crate::plan::data::Memory;
use crate::rtl::{Module, addr_bits, words};

impl Round {
    /// Returns the bytes of a beat.
    pub fn beat_bytes(&self) -> usize {
        self.bits.div_ceil(8)
    }

    /// Returns the bytes that a frame needs.
    pub fn frame_bytes(&self) -> u64 {
        (self.beat_bytes() * self.beats * self.rounds) as u64
    }
}

/// Suffix of its stage's name, behind the node's.
pub const SUFFIX: &str = "_weights";

/// Takes the weights of a matrix-vector unit into the circuit.
#[derive(Debug)]
pub struct WeightPort {
    pub mvau: Mvau,
    pub dot: Dot,
    pub weights: Weights,
    /// Bits of a beat.
    pub bits: usize,
    /// Number of beats that a word of weights comes in.
    pub ratio: usize,
    /// Number of rounds per frame: one per output pixel, times the passes of a detector.
    pub rounds: usize,
}

/// Describes what comes through a port for a frame: the same round of words again and again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Round {
    /// Bits of a beat.
    pub bits: usize,
    /// Bits of a word of weights, which is one beat or several, the low bits first.
    pub word_bits: usize,
    /// Number of beats of a round.
    pub beats: usize,
    /// Number of rounds per frame.
    pub rounds: usize,
}

/// Adds the port of `port.weights` and what joins its beats to words, and gives the stream of words. The
/// fields `bits` and `ratio` of `port` are set here, as the plan says.
pub fn lower(port: WeightPort, build: &mut Build) -> Stream {
    let word = port.mvau.word();
    let bits = build.entry.port.map_or(word, |bits| bits.min(word));
    let ratio = word.div_ceil(bits);
    let lanes = |count| Lanes { count, bits, signed: false };
    let draft = Draft { memory: Memory::Auto, ..build.draft(SUFFIX, &[], lanes(1)) };
    let stream = build.push(draft, WeightPort { bits, ratio, ..port });
    build.convert(SUFFIX, stream, ratio)
}

impl WeightPort {
    /// Returns the number of beats of a round.
    fn beats(&self) -> usize {
        self.mvau.words() * self.ratio
    }

    /// Returns what comes for a frame.
    pub fn round(&self) -> Round {
        let (bits, word_bits) = (self.bits, self.mvau.word());
        Round { bits, word_bits, beats: self.beats(), rounds: self.rounds }
    }

    /// Returns the beats of a round: [`words::words_for`]`(bits)` little-endian words each.
    pub fn words(&self) -> Vec<u64> {
        let (bits, ratio, held) = (self.bits, self.ratio, words::words_for(self.mvau.word()));
        let words = self.weights.words(&self.mvau, self.dot);
        let mut beats = vec![0; self.beats() * words::words_for(bits)];
        for (at, beat) in beats.chunks_mut(words::words_for(bits)).enumerate() {
            let mut padded = words[at / ratio * held..][..held].to_vec();
            padded.resize(words::words_for(ratio * bits), 0);
            words::slice_into(beat, &padded, at % ratio * bits, bits);
        }
        beats
    }
}

impl Kind for WeightPort {
    fn schedule(&self) -> Schedule {
        Schedule::Source { beats: self.beats() * self.rounds }
    }

    fn latency(&self, _site: &Site) -> u64 {
        1
    }

    fn module_name(&self, site: &Site) -> String {
        site.name.clone()
    }

    fn cost(&self, site: &Site) -> Resources {
        let position = addr_bits(self.beats());
        Resources::logic(site.output.width() + 2 * position + 12, position + 3)
    }

    fn encode(&self) -> String {
        record("WeightPort", &[("bits", &self.bits), ("ratio", &self.ratio), ("rounds", &self.rounds)])
    }

    fn weight_port(&self) -> Option<&WeightPort> {
        Some(self)
    }

    fn module(&self, site: &Site) -> Module {
        let Mvau { pe, simd, weight_bits, .. } = self.mvau;
        let (words, beats, ratio) = (self.mvau.words(), self.beats(), self.ratio);
        let note = format!(
            "AXI4-Stream input of weights: rounds of {words} words, {each} of {bits} bits, tlast on the\n\
             last beat of a round; {rounds} rounds a frame. A word: {pe} PEs x {simd} inputs x \
             {weight_bits} bits,\n\
             PE 0 and input 0 in the low bits. Word order: fold, chunk of channels, kernel row, kernel column.\n\
             Early tlast: the round is completed with zero beats. Late tlast: beats are dropped up to and \
             with it.\n\
             Either sets error until reset; the rounds that follow are not shifted.\n\
             Latency {latency}, one beat a cycle.",
            bits = self.bits,
            each = if ratio == 1 { "a beat".into() } else { format!("each {ratio} beats, low bits first,") },
            rounds = self.rounds,
            latency = site.latency
        );
        ingress::module(&self.module_name(site), &note, beats, site)
    }
}
