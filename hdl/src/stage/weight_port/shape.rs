//! Describes the port through which weights come from outside, and what comes through it.

use crate::rtl::words;
use crate::stage::dot::Dot;
use crate::stage::mvau::shape::Mvau;
use crate::stage::mvau::weights::Weights;

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

impl WeightPort {
    /// Returns the number of beats of a round.
    pub fn beats(&self) -> usize {
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
