//! Builds the AXI4-Stream input through which weights come from outside, for a layer whose weights lie in no
//! memory of the circuit: words in the order in which the matrix-vector unit uses them, round after round. It
//! is an input of frames like any other, whose frame is one round: a wrong `tlast` sets the error, and the
//! rounds that follow are not shifted.

pub mod shape;

use super::encoding::record;
use super::ingress;
use super::kind::{Kind, Schedule};
use super::mvau::shape::Mvau;
use super::site::{Lanes, Site};
use crate::device::Resources;
use crate::pipeline::build::{Build, Draft, Stream};
use crate::plan::data::Memory;
use crate::rtl::{Module, addr_bits};
use shape::WeightPort;

/// Suffix of its stage's name, behind the node's.
pub const SUFFIX: &str = "_weights";

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
