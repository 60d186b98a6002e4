//! Counts amounts of hardware, as estimates count them, devices hold them and budgets bound them.

use serde::{Deserialize, Serialize};
use std::iter::Sum;

/// Holds amounts of hardware.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Number of 4-input LUTs, those used as LUT RAM and LUT ROM included.
    pub lut: u64,
    /// Number of flip-flops.
    pub ff: u64,
    /// Number of block RAMs of 16 kbit (18 with parity).
    pub bram: u64,
    /// Number of DSP blocks.
    pub dsp: u64,
    /// Number of single-port RAMs of 256 kbit.
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

/// Bounds what a circuit may use; what is not bounded is `u64::MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Budget {
    /// Most LUTs.
    pub lut: u64,
    /// Most flip-flops.
    pub ff: u64,
    /// Most block RAMs.
    pub bram: u64,
    /// Most DSP blocks.
    pub dsp: u64,
    /// Most single-port RAMs of 256 kbit.
    #[serde(default)]
    pub spram: u64,
}

impl Budget {
    /// Bounds nothing.
    pub const NONE: Budget =
        Budget { lut: u64::MAX, ff: u64::MAX, bram: u64::MAX, dsp: u64::MAX, spram: u64::MAX };

    /// Returns the name of each resource, how much of it is used and how much there is.
    pub fn against(&self, used: Resources) -> [(&'static str, u64, u64); 5] {
        [
            ("LUTs", used.lut, self.lut),
            ("flip-flops", used.ff, self.ff),
            ("block RAMs", used.bram, self.bram),
            ("DSPs", used.dsp, self.dsp),
            ("SPRAMs", used.spram, self.spram),
        ]
    }

    /// Returns the first resource of which more is used than there is: its name, both amounts.
    pub fn overflow(&self, used: Resources) -> Option<(&'static str, u64, u64)> {
        self.against(used).into_iter().find(|(_, used, there)| used > there)
    }
}
