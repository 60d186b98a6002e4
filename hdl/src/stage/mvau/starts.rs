//! Says where the words lie with which the accumulators of each fold start, and what they cost.

use crate::device::{Family, Resources};
use crate::memory::{cost, parts};
use crate::plan::data::Memory;

/// Most folds whose starts lie in LUTs: one of six inputs holds a bit of all of them, or four of four inputs.
const FOLDS_IN_LUTS: usize = 64;

/// Returns where the starts of `folds` lie, with weights in `memory`.
pub fn place(folds: usize, memory: Memory) -> Memory {
    if folds <= FOLDS_IN_LUTS { Memory::Distributed } else { memory.of_constants() }
}

/// Returns whether they are read as a part with copies of its address, which takes as long as a read and the
/// register behind it.
pub fn in_parts(folds: usize, family: Family) -> bool {
    family.has_late_block_ram() && folds <= FOLDS_IN_LUTS && parts::latency(folds, family) == 2
}

/// Returns the memory of starts of `width` bits, and the register that takes what is read.
pub fn cost(width: usize, folds: usize, memory: Memory, family: Family) -> Resources {
    let held = if in_parts(folds, family) { 0 } else { width };
    cost::rom(width, folds, place(folds, memory), family).plus(Resources::logic(0, held))
}
