//! Defines cycle 0 and the seeded stalls of source and sink, once for timing, netlist and Verilator.
//!
//! **Cycle 0** is the first clock cycle in which `rst` is low. In a cycle the inputs are set, the outputs
//! settle, and the rising edge ends it; a beat moves in the cycle in which valid and ready are both high.
//!
//! **Source**: while it holds no beat, it offers the next one in the first open cycle of its pattern, and
//! then holds it until it moves; a port of weights is a source too. **Sink**: it is ready in the open cycles
//! of its pattern, whatever is offered.
//!
//! A pattern is a function of the cycle alone, so any engine can ask for any cycle.

use dq_net::SplitMix64;
use serde::{Deserialize, Serialize};

/// Says when one side of a stream is open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pattern {
    /// Seed of the pattern.
    pub seed: u64,
    /// Average number of closed blocks of cycles among 256: 0 never stalls, 255 almost always does.
    pub closed: u8,
    /// log2 of the number of cycles in a block; at most 32.
    pub block: u8,
}

/// Holds stalls on both sides of a network, and of the weights that come from outside.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stalls {
    /// Pattern of the source.
    pub source: Pattern,
    /// Pattern of the sink.
    pub sink: Pattern,
    /// Pattern from which each port of weights has one of its own ([`Stalls::of_port`]).
    #[serde(default)]
    pub weights: Pattern,
}

impl Stalls {
    /// Stalls nowhere.
    pub const NONE: Stalls = {
        let never = Pattern { seed: 0, closed: 0, block: 0 };
        Stalls { source: never, sink: never, weights: never }
    };

    /// Returns random stalls of both sides and of the weights, of a frequency and length that `seed` draws
    /// too.
    pub fn random(seed: u64) -> Stalls {
        let draw = |salt: u64| {
            let word = SplitMix64::mix(seed.wrapping_add(salt.wrapping_mul(SplitMix64::GAMMA)));
            Pattern {
                seed: word,
                closed: [0, 32, 128, 208][(word >> 8) as usize % 4],
                block: (word >> 16) as u8 % 6,
            }
        };
        Stalls { source: draw(1), sink: draw(2), weights: draw(3) }
    }

    /// Returns the pattern of port number `port` of the weights, in the order of the stages. Each is a
    /// source: it offers the first beat of the round behind the last one.
    pub fn of_port(&self, port: usize) -> Pattern {
        let seed = SplitMix64::mix(self.weights.seed.wrapping_add(port as u64));
        Pattern { seed, ..self.weights }
    }
}

impl Pattern {
    /// Returns whether `cycle` is open.
    pub fn open(&self, cycle: u64) -> bool {
        self.closed == 0 || {
            // The Verilator harness has the same lines in C++.
            let block = cycle >> self.block;
            (SplitMix64::mix(self.seed.wrapping_add(block.wrapping_mul(SplitMix64::GAMMA))) >> 56) as u8
                >= self.closed
        }
    }

    /// Returns the first open cycle at or after `cycle`.
    pub fn first_open(&self, mut cycle: u64) -> u64 {
        while !self.open(cycle) {
            cycle += 1;
        }
        cycle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_open_as_often_as_they_say() {
        for (closed, block) in [(64, 0), (128, 3), (200, 5)] {
            let pattern = Pattern { seed: 7, closed, block };
            let open = (0..200_000).filter(|&cycle| pattern.open(cycle)).count() as i64;
            let wanted = 200_000 * (256 - i64::from(closed)) / 256;
            assert!((open - wanted).abs() < 4_000, "{open} of 200000 open, {wanted} wanted");
        }
        assert_eq!(Pattern::default().first_open(17), 17);
    }
}
