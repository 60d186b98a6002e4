//! Resource estimates: a stated model of LUT4s, flip-flops, block RAMs and DSPs for each stage, from the pipeline alone.
//! A guide for choosing a plan; synthesis has the last word. The model counts adders, registers and memories from widths
//! and depths; its few factors were set by Yosys 0.70 (`synth_ecp5`) on the stages of a 4-bit network, where a carry cell
//! (CCU2C) counts as 2 LUTs and a LUT RAM (DPR16X4) as 6. `tests/circuit/synthesis.rs` holds it within a factor of two.

use crate::device::Family;
use crate::memory::{banks, parts};
use crate::pipeline::{Kind, Mvau, Stage, Window};
use crate::plan::{Mac, Memory};
use crate::rtl::addr_bits;
use crate::stage::mvau;
use crate::stage::step;
use serde::{Deserialize, Serialize};

/// Resources of a circuit.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Estimate {
    /// All stages together.
    pub total: Resources,
    /// Each stage, in stream order.
    pub stages: Vec<StageEstimate>,
}

/// Resources of one stage.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StageEstimate {
    /// Instance name.
    pub stage: String,
    /// Its resources.
    pub resources: Resources,
}

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

/// The model applied to `stages`.
pub fn estimate(stages: &[Stage]) -> Estimate {
    let stages: Vec<StageEstimate> = stages
        .iter()
        .map(|stage| StageEstimate { stage: stage.name.clone(), resources: of_stage(stage) })
        .chain(of_boot(stages))
        .collect();
    let total = stages.iter().map(|s| s.resources).fold(Resources::default(), Resources::plus);
    Estimate { total, stages }
}

impl Resources {
    /// Both together.
    pub fn plus(self, other: Self) -> Self {
        Resources {
            lut: self.lut + other.lut,
            ff: self.ff + other.ff,
            bram: self.bram + other.bram,
            dsp: self.dsp + other.dsp,
            spram: self.spram + other.spram,
        }
    }

    fn logic(lut: usize, ff: usize) -> Self {
        Resources { lut: lut as u64, ff: ff as u64, ..Self::default() }
    }
}

/// The loader from flash, where there is one: two sums of 32 bits, and registers for the widest word.
fn of_boot(stages: &[Stage]) -> Option<StageEstimate> {
    let word = |stage: &Stage| match stage.kind {
        Kind::Mvau(Mvau { pe, simd, weight_bits, .. }) if stage.memory == Memory::Spram => {
            Some(pe * simd * weight_bits)
        }
        _ => None,
    };
    let widest = stages.iter().filter_map(word).max()?.next_multiple_of(32);
    let resources = Resources::logic(160 + widest / 2, 90 + 2 * widest);
    Some(StageEstimate { stage: "boot".into(), resources })
}

/// Resources of `stages` together.
pub fn total(stages: &[Stage]) -> Resources {
    stages.iter().map(of_stage).fold(Resources::default(), Resources::plus)
}

/// Resources of one stage.
pub fn of_stage(stage: &Stage) -> Resources {
    let (from, to) = (stage.input, stage.output);
    let core = match &stage.kind {
        Kind::Ingress { beats } => {
            Resources::logic(from.width() + 2 * addr_bits(*beats) + 12, addr_bits(*beats) + 3)
        }
        Kind::Egress { beats } => Resources::logic(addr_bits(*beats) + 4, addr_bits(*beats)),
        Kind::Fork => Resources::logic(4, 0),
        Kind::Narrow { ratio } => Resources::logic(to.width() * ratio.div_ceil(2) + 6, addr_bits(*ratio)),
        Kind::Widen { ratio } => Resources::logic(8, to.width() - from.width() + addr_bits(*ratio)),
        Kind::Window(window) => of_window(stage, window),
        Kind::Mvau(mvau) => of_mvau(stage, mvau),
        Kind::Step { folds, .. } => of_step(stage, *folds),
        Kind::Reduce { .. } => Resources::logic(2 * to.width() + 8, to.width() + 6),
        Kind::Mix { terms, .. } => of_sums(stage, *terms),
        Kind::Rescale { folds, terms, .. } => {
            let sums = of_sums(stage, *terms).plus(Resources::logic(addr_bits(*folds), addr_bits(*folds)));
            // Factor and addend of a lane: about three times the accumulator's bits.
            let word = 3 * from.width();
            if *folds > 1 { sums.plus(rom(word, *folds, stage.memory, stage.family)) } else { sums }
        }
        Kind::BitDepth { bits: 8 } => Resources::default(),
        Kind::BitDepth { bits } => of_sums(stage, 3).plus(Resources::logic(0, from.count * bits)),
        Kind::Median { width, chunks, .. } => {
            let compared = Resources::logic(12 * from.width(), 8 * from.width() + 20);
            let pair = memory(2 * from.width(), *chunks, Memory::Distributed, stage.family);
            compared.plus(memory(from.width(), width * chunks, stage.memory, stage.family)).plus(pair)
        }
        Kind::GlobalSum { pixels, chunks } => {
            Resources::logic(2 * to.width() + 10, to.width() + addr_bits(*pixels) + addr_bits(*chunks) + 1)
                .plus(memory(to.width(), *chunks, Memory::Distributed, stage.family))
        }
        Kind::Bias { classes } => Resources::logic(2 * to.bits + 6, to.bits + addr_bits(*classes) + 1),
        Kind::ArgMax { classes } => {
            Resources::logic(2 * from.bits + 8, from.bits + 2 * addr_bits(*classes) + 1)
        }
    };
    let held = match stage.kind {
        Kind::Narrow { .. } => from.width(),
        Kind::Egress { .. } => from.width(),
        _ => to.width(),
    };
    // A LUT of six inputs holds more logic than one of four.
    let core = match stage.family {
        Family::Xc7 => Resources { lut: core.lut * 3 / 4, ..core },
        Family::Ecp5 | Family::Ice40 => core,
    };
    let fifos =
        (0..stage.depths.len()).map(|port| fifo(held, stage.depths[port], stage.deep(port), stage.family));
    fifos.fold(core, Resources::plus)
}

/// An output FIFO: memory, pointers, counts.
fn fifo(width: usize, depth: usize, deep: bool, family: Family) -> Resources {
    let counters = 4 * addr_bits(depth) + 2;
    memory(width, depth, if deep { Memory::Block } else { Memory::Distributed }, family)
        .plus(Resources::logic(2 * counters + 6, counters))
}

/// A RAM of `words` words.
fn memory(width: usize, words: usize, style: Memory, family: Family) -> Resources {
    if banks::in_blocks(words, width, style) {
        // Blocks stacked beyond the deepest shape share their data lines through multiplexers.
        let shapes = family.shapes();
        let blocks = |&(depth, bits): &(usize, usize)| (words.div_ceil(depth) * width.div_ceil(bits), depth);
        let (bram, depth) = shapes.iter().map(blocks).min().expect("there are shapes");
        let stacked = words.div_ceil(depth) - 1;
        return Resources { bram: bram as u64, lut: (width * stacked) as u64, ..Resources::default() };
    }
    match family {
        // 16 x 4 bits of LUT RAM in 4 LUTs and 2 of write logic, and a multiplexer of the banks.
        Family::Ecp5 => {
            let banks = words.div_ceil(16);
            Resources::logic(width.div_ceil(4) * 6 * banks + width * (banks - 1) / 2, 0)
        }
        // 64 x 3 bits in 4 LUTs.
        Family::Xc7 => {
            let banks = words.div_ceil(64);
            Resources::logic(width.div_ceil(3) * 4 * banks + width * (banks - 1) / 3, 0)
        }
        // Flip-flops, and a multiplexer of them.
        Family::Ice40 => Resources::logic(width * (words - words / 3) + words, width * words),
    }
}

/// Sums of `terms` shifted terms in each lane: an adder and a register for each, of the widths of both ends.
fn of_sums(stage: &Stage, terms: usize) -> Resources {
    let width = stage.input.bits.max(stage.output.bits) + terms.min(16);
    let lanes = stage.output.count;
    Resources::logic(lanes * (terms * width + stage.output.bits), lanes * terms * width)
}

fn of_window(stage: &Stage, w: &Window) -> Resources {
    let words = w.ring * w.map.width * w.pixel_beats();
    let position =
        addr_bits(w.map.height + w.ring) + addr_bits(w.map.width + w.columns.before + w.columns.after);
    let address = addr_bits(words);
    let loops: usize = [
        w.output[0],
        w.output[1],
        w.groups,
        w.folds,
        w.chunks,
        w.rows.kernel,
        w.columns.kernel,
        w.pixel_beats(),
    ]
    .iter()
    .filter(|&&n| n > 1)
    .map(|&n| addr_bits(n))
    .sum();
    let lut = 12 * position + 9 * address + 3 * loops + stage.output.width() + 40;
    let (width, place, family) = (stage.output.width(), stage.memory, stage.family);
    let ff = 3 * position + 4 * address + loops + 20 + parts::registers(words, width, place, family);
    Resources::logic(lut, ff).plus(memory(width, words, place, family))
}

fn of_mvau(stage: &Stage, mvau: &Mvau) -> Resources {
    let Mvau { pe, simd, taps, folds, weight_bits, mac, .. } = *mvau;
    let (lut, ff) = match mac {
        Mac::Auto | Mac::Pairs => of_pairs(mvau),
        Mac::Chains => of_chains(mvau, stage.family),
        Mac::Xnor => of_xnor(mvau, stage.family),
        Mac::Dsp => of_dsp(mvau),
    };
    let acc = stage.output.bits;
    let logic = Resources::logic(
        pe * (lut + 2 * acc) + 3 * addr_bits(folds * taps) + 12,
        pe * (ff + acc) + stage.input.width() + addr_bits(folds * taps) + addr_bits(taps) + 16,
    );
    let dsp = (pe * mvau::dot(mvau, acc).multipliers()) as u64;
    let logic = Resources { dsp, ..logic };
    // A single word of weights is a constant, which synthesis folds into the sums.
    if folds * taps == 1 && !stage.controlled && stage.memory != Memory::Spram {
        return Resources { lut: logic.lut * 3 / 10, ff: logic.ff * 2 / 5, ..logic };
    }
    let starts = match mac {
        Mac::Xnor if folds > 1 => rom(pe * acc, folds, stage.memory.of_constants(), stage.family),
        _ => Resources::default(),
    };
    logic.plus(weights(pe * simd * weight_bits, folds * taps, stage.memory, stage.family)).plus(starts)
}

/// LUTs and flip-flops of a dot product by pairs.
fn of_pairs(mvau: &Mvau) -> (usize, usize) {
    let Mvau { simd, level_bits, weight_bits, .. } = *mvau;
    let planes = weight_bits.max(2);
    // Each plane: a tree of simd − 1 adders of growing width; then the planes are joined at full width.
    let (mut lut, mut ff, mut count, mut width, mut level) = (0, 0, simd, level_bits, 0);
    while count > 1 {
        width += 1;
        lut += planes * (count / 2) * (width + 1);
        count = count.div_ceil(2);
        level += 1;
        if level % 2 == 0 {
            ff += planes * count * width;
        }
    }
    lut += (planes - 1) * (width + planes);
    ff += width + planes;
    // Yosys builds the low levels in LUTs that do not absorb the masks.
    (lut * 8 / 5, ff)
}

/// Of one in carry chains: a LUT of six inputs for each bit of each addition; three of four inputs.
fn of_chains(mvau: &Mvau, family: Family) -> (usize, usize) {
    let Mvau { simd, level_bits, weight_bits, .. } = *mvau;
    let chains = simd / 4;
    let chain: usize = (0..2 * weight_bits).map(|q| level_bits + 1 + q.div_ceil(2).min(3)).sum();
    let result = level_bits + weight_bits + 3;
    let tree = (chains - 1) * (result + 1);
    let sums = 2 * chains * (level_bits + 1) / 8;
    let lut = match family {
        // The core's LUTs are scaled from four inputs to six where they are summed up.
        Family::Xc7 => (chains * chain + tree + sums) * 4 / 3,
        Family::Ecp5 | Family::Ice40 => 3 * chains * chain + tree + sums,
    };
    (lut, chains * (chain + result + 2 * weight_bits) + tree)
}

/// Of one that counts equal bits.
fn of_xnor(mvau: &Mvau, family: Family) -> (usize, usize) {
    let planes = mvau.simd * mvau.level_bits;
    let lut = match family {
        Family::Xc7 => planes * 5 / 3,
        Family::Ecp5 | Family::Ice40 => planes * 18 / 5,
    };
    (lut + 8, planes * 2)
}

/// Of one in DSP blocks: packing of two weights, and an adder tree.
fn of_dsp(mvau: &Mvau) -> (usize, usize) {
    let Mvau { simd, level_bits, weight_bits, .. } = *mvau;
    let sums = mvau::dot(mvau, usize::MAX).multipliers();
    let (packed, width) = (simd - sums, level_bits + weight_bits);
    // On average a sum of the tree has two bits more than a product.
    let lut = packed * (weight_bits + 1) + (sums - 1) * (width + 3) + usize::from(packed > 0) * (width + 5);
    (lut, simd * width + packed + sums * (2 * width + 4))
}

fn of_step(stage: &Stage, folds: usize) -> Resources {
    let (lanes, acc, bits) = (stage.input.count, stage.input.bits, stage.output.bits);
    let rounds = bits.div_ceil(2);
    let comparators: usize = (0..rounds).map(|round| (1 << 2.min(bits - 2 * round)) - 1).sum();
    let logic = Resources::logic(
        lanes * (comparators * (acc + 2) + 2 * bits) + 10,
        lanes * rounds * (2 * acc + 2 * bits) + 2 * rounds * (1 + addr_bits(folds)),
    );
    (0..rounds).fold(logic, |sum, round| {
        let word = ((1 << 2.min(bits - 2 * round)) - 1) * (acc + 1);
        let words = folds << (2 * round);
        let roms = if round == 0 {
            rom(lanes * word, words, stage.memory, stage.family)
        } else {
            let one = rom(word, words, stage.memory, stage.family);
            Resources { lut: one.lut * lanes as u64, bram: one.bram * lanes as u64, ..one }
        };
        let width = if round == 0 { lanes * word } else { word };
        let parts = match step::in_parts(words, width, stage.memory, stage.family) && !stage.controlled {
            true => lanes * word * words.div_ceil(stage.family.lut_words()) + 2 * lanes * (acc + bits),
            false => 0,
        };
        sum.plus(roms).plus(Resources::logic(0, parts))
    })
}

/// LUTs among those of `stage` that hold its weights, where they are a ROM in LUTs.
pub fn rom_luts(stage: &Stage) -> u64 {
    let Kind::Mvau(Mvau { pe, simd, taps, folds, weight_bits, .. }) = stage.kind else { return 0 };
    let (word, words) = (pe * simd * weight_bits, folds * taps);
    if banks::in_blocks(words, word, stage.memory) || stage.memory == Memory::Spram {
        return 0;
    }
    (word * words.div_ceil(stage.family.lut_words())) as u64
}

/// The weights: banks, and a multiplexer of four ways a level with a register behind each.
fn weights(word: usize, words: usize, style: Memory, family: Family) -> Resources {
    let bank_words = banks::bank_words(words, word, style, family);
    let (full, rest) = (words / bank_words, words % bank_words);
    let (mut lut, mut ff) = (0, 0);
    let mut joined = words.div_ceil(bank_words);
    if joined > 1 && banks::is_late(words, word, style, family) {
        ff += word * joined;
    }
    ff += word * joined * banks::steps(words, word, style, family);
    while joined > 1 {
        // Two LUTs and their own multiplexer choose one of four.
        lut += 2 * word * (joined / banks::WAYS) + word * (joined % banks::WAYS).saturating_sub(1);
        joined = joined.div_ceil(banks::WAYS);
        ff += word * joined;
    }
    if bank_words >= words {
        ff += word * banks::levels(words, word, style, family) as usize;
    }
    let joins = Resources::logic(lut, ff);
    if style == Memory::Spram {
        // A multiplexer between the addresses of reading and loading.
        let blocks = words.div_ceil(banks::SPRAM_WORDS) * word.div_ceil(banks::SPRAM_BITS);
        let address = Resources::logic(addr_bits(words), 0);
        return Resources { spram: blocks as u64, ..joins.plus(address) };
    }
    if banks::in_blocks(words, word, style) {
        let blocks = Resources { bram: banks::blocks(words, word, style, family) as u64, ..joins };
        let held = match banks::rest_luts(words, word, style, family) {
            0 => Resources::default(),
            luts => Resources::logic(luts, word * rest.div_ceil(family.lut_words())),
        };
        return blocks.plus(held);
    }
    let bank = rom(word, bank_words, Memory::Distributed, family);
    let last = if rest > 0 { rom(word, rest, Memory::Distributed, family) } else { Resources::default() };
    (0..full).fold(joins.plus(last), |sum, _| sum.plus(bank))
}

/// A ROM: in LUTs as many words of a bit each as a LUT has, and their multiplexer.
fn rom(width: usize, words: usize, style: Memory, family: Family) -> Resources {
    if banks::in_blocks(words, width, style) {
        return memory(width, words, Memory::Block, family);
    }
    let held = words.div_ceil(family.lut_words());
    Resources::logic(width * (held + held / 3), width)
}
