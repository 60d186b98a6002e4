//! Amounts of hardware, as estimates count them and devices hold them.

use serde::{Deserialize, Serialize};
use std::iter::Sum;

/// Amounts of hardware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// 4-input LUTs, those used as LUT RAM and LUT ROM included.
    pub lut: u64,
    /// Flip-flops.
    pub ff: u64,
    /// Block RAMs of 16 kbit (18 with parity).
    pub bram: u64,
    /// DSP blocks.
    pub dsp: u64,
    /// Single-port RAMs of 256 kbit.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub spram: u64,
}

fn is_zero(amount: &u64) -> bool {
    *amount == 0
}

impl Resources {
    /// Counts LUTs and flip-flops, and nothing else.
    pub(crate) fn logic(lut: usize, ff: usize) -> Self {
        Resources { lut: lut as u64, ff: ff as u64, ..Self::default() }
    }

    /// Returns the sum of both.
    pub fn plus(self, other: Self) -> Self {
        Resources {
            lut: self.lut + other.lut,
            ff: self.ff + other.ff,
            bram: self.bram + other.bram,
            dsp: self.dsp + other.dsp,
            spram: self.spram + other.spram,
        }
    }
}

impl Sum for Resources {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Resources::default(), Resources::plus)
    }
}
