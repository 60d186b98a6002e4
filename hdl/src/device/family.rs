//! Describes families of devices and the devices: what their LUTs, memories and multipliers are, and how many
//! there are. It is data only: one more device is one more row, one more family one more variant with its row
//! of facts. The names that its tools use stand with the tools.

use super::resources::{Budget, Resources};
use serde::{Deserialize, Serialize};

/// Names a family of devices: how its logic and memories are made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// Lattice ECP5: LUT4, LUT RAM, block RAM of 18 kbit.
    #[default]
    Ecp5,
    /// Lattice iCE40: LUT4, no LUT RAM, block RAM of 4 kbit.
    Ice40,
    /// Gowin GW1N and GW2A: LUT4, LUT RAM, block RAM of 18 kbit.
    Gowin,
    /// AMD 7 series: LUT6, LUT RAM, block RAM of 36 kbit.
    Xc7,
}

/// Holds the facts of a family.
struct Facts {
    /// Word for the family in the encoding that identities are hashes of; it never changes.
    code: &'static str,
    /// Shapes of a block RAM: each depth and the bits of a word at that depth, the shallowest first.
    shapes: &'static [(usize, usize)],
    /// Number of LUTs that a block RAM is worth: its share of three quarters of the LUTs, as fuller devices
    /// do not route.
    block_price: usize,
    /// Number of 1-bit words that a LUT holds.
    lut_words: usize,
    /// Whether a LUT has six inputs; otherwise it has four.
    has_wide_luts: bool,
    /// Whether the output of a block RAM comes so late in its cycle that it goes to a register first.
    has_late_block_ram: bool,
    /// Share of the LUTs counted for a stage, in LUTs of four inputs, that it takes of the family's own, as
    /// Yosys's results for small networks have it: parts and whole.
    own_luts: (u64, u64),
    /// Share of the stages' LUTs that is left where synthesis sees all stages together, as Yosys's results for
    /// the shipped networks have it: parts and whole.
    left_luts: (u64, u64),
    /// LUTs as small RAMs; `None` where they cannot be written.
    lut_ram: Option<LutRam>,
}

/// Describes a LUT RAM of as many words as a LUT holds.
struct LutRam {
    /// Bits of a word.
    bits: usize,
    /// Number of LUTs that hold these bits, those of the write logic included.
    luts: usize,
    /// Number of banks whose outputs one LUT per bit joins, less one.
    joined: usize,
}

const ECP5: Facts = Facts {
    code: "Ecp5",
    shapes: &[(512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)],
    block_price: 300,
    lut_words: 16,
    has_wide_luts: false,
    has_late_block_ram: true,
    own_luts: (1, 1),
    left_luts: (10, 11),
    lut_ram: Some(LutRam { bits: 4, luts: 6, joined: 2 }),
};

const ICE40: Facts = Facts {
    code: "Ice40",
    shapes: &[(256, 16), (512, 8), (1024, 4), (2048, 2)],
    block_price: 132,
    lut_words: 16,
    has_wide_luts: false,
    has_late_block_ram: false,
    own_luts: (1, 1),
    left_luts: (1, 1),
    lut_ram: None,
};

const GOWIN: Facts = Facts {
    code: "Gowin",
    shapes: &[(512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1)],
    block_price: 300,
    lut_words: 16,
    has_wide_luts: false,
    has_late_block_ram: true,
    own_luts: (6, 7),
    left_luts: (1, 1),
    lut_ram: Some(LutRam { bits: 4, luts: 6, joined: 2 }),
};

const XC7: Facts = Facts {
    code: "Xc7",
    shapes: &[(512, 72), (1024, 36), (2048, 18), (4096, 9), (8192, 4), (16384, 2), (32768, 1)],
    block_price: 350,
    lut_words: 64,
    has_wide_luts: true,
    has_late_block_ram: true,
    own_luts: (3, 4),
    left_luts: (1, 1),
    lut_ram: Some(LutRam { bits: 3, luts: 4, joined: 3 }),
};

/// Describes one device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Device {
    /// Name on the command line and in plans.
    pub name: &'static str,
    /// The device's family.
    pub family: Family,
    /// Number of LUTs, of the family's size.
    pub lut: u64,
    /// Number of flip-flops.
    pub ff: u64,
    /// Number of block RAMs.
    pub bram: u64,
    /// Number of DSP blocks.
    pub dsp: u64,
    /// Number of single-port RAMs of 256 kbit, which configuration cannot fill.
    pub spram: u64,
}

const fn device(name: &'static str, family: Family, [lut, ff, bram, dsp]: [u64; 4]) -> Device {
    Device { name, family, lut, ff, bram, dsp, spram: 0 }
}

/// Lists all devices, from their data sheets.
pub const DEVICES: &[Device] = &[
    device("ecp5-25f", Family::Ecp5, [24_288, 24_288, 56, 28]),
    device("ecp5-45f", Family::Ecp5, [43_848, 43_848, 108, 72]),
    device("ecp5-85f", Family::Ecp5, [83_640, 83_640, 208, 156]),
    Device { spram: 4, ..device("ice40-up5k", Family::Ice40, [5_280, 5_280, 30, 8]) },
    device("ice40-hx8k", Family::Ice40, [7_680, 7_680, 32, 0]),
    device("gw1nr-9c", Family::Gowin, [8_640, 6_480, 26, 20]),
    device("gw2ar-18c", Family::Gowin, [20_736, 15_552, 46, 48]),
    device("xc7a35t", Family::Xc7, [20_800, 41_600, 50, 90]),
    device("xc7a100t", Family::Xc7, [63_400, 126_800, 135, 240]),
    device("xc7z020", Family::Xc7, [53_200, 106_400, 140, 220]),
];

impl Family {
    fn facts(self) -> &'static Facts {
        match self {
            Family::Ecp5 => &ECP5,
            Family::Ice40 => &ICE40,
            Family::Gowin => &GOWIN,
            Family::Xc7 => &XC7,
        }
    }

    /// Returns the depths of a block RAM and its bits at each, the shallowest first.
    pub fn shapes(self) -> &'static [(usize, usize)] {
        self.facts().shapes
    }

    /// Returns the LUTs that a block RAM is worth: its share of three quarters of them, as more do not route.
    pub fn block_price(self) -> usize {
        self.facts().block_price
    }

    /// Returns the words of one bit that a LUT holds.
    pub fn lut_words(self) -> usize {
        self.facts().lut_words
    }

    /// Returns whether a LUT has six inputs, else four.
    pub fn has_wide_luts(self) -> bool {
        self.facts().has_wide_luts
    }

    /// Returns whether the output of a block RAM is so late in its cycle that it goes to a register first.
    pub fn has_late_block_ram(self) -> bool {
        self.facts().has_late_block_ram
    }

    /// Returns whether LUTs can be written as small RAMs.
    pub fn has_lut_ram(self) -> bool {
        self.facts().lut_ram.is_some()
    }

    /// Returns its word in the encoding that identities are hashes of.
    pub(crate) fn code(self) -> &'static str {
        self.facts().code
    }

    /// Converts logic that was counted in LUTs of four inputs to the family's own LUTs.
    pub(crate) fn logic(self, counted: Resources) -> Resources {
        let (parts, whole) = self.facts().own_luts;
        Resources { lut: counted.lut * parts / whole, ..counted }
    }

    /// Returns what is left of a stage's LUTs in a whole circuit.
    pub(crate) fn in_whole(self, stage: Resources) -> Resources {
        let (parts, whole) = self.facts().left_luts;
        Resources { lut: stage.lut * parts / whole, ..stage }
    }

    /// Returns the cost of a RAM of `words` words of `width` bits outside block RAM: in LUTs, or in
    /// flip-flops where no LUT can be written.
    pub(crate) fn small_ram(self, width: usize, words: usize) -> Resources {
        match &self.facts().lut_ram {
            Some(LutRam { bits, luts, joined }) => {
                let banks = words.div_ceil(self.lut_words());
                Resources::logic(width.div_ceil(*bits) * luts * banks + width * (banks - 1) / joined, 0)
            }
            // Without LUT RAM the words lie in flip-flops, with a multiplexer.
            None => Resources::logic(width * (words - words / 3) + words, width * words),
        }
    }
}

impl Device {
    /// Returns the device called `name`.
    pub fn find(name: &str) -> Option<&'static Device> {
        DEVICES.iter().find(|device| device.name == name)
    }

    /// Returns whether it has no DSP blocks.
    pub fn lacks_dsps(&self) -> bool {
        self.dsp == 0
    }

    /// Returns all of it as a budget.
    pub fn budget(&self) -> Budget {
        Budget { lut: self.lut, ff: self.ff, bram: self.bram, dsp: self.dsp, spram: self.spram }
    }
}
