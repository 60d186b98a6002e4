//! Says where the words lie with which the accumulators of each fold start, and what they cost.

use crate::device::{Family, Resources};
use crate::memory::cost;
use crate::plan::data::Memory;

/// Most folds whose starts lie in LUTs: one of six inputs holds a bit of all of them, or four of four inputs.
const FOLDS_IN_LUTS: usize = 64;

/// Returns where the starts of `folds` lie, with weights in `memory`.
pub fn place(folds: usize, memory: Memory) -> Memory {
    if folds <= FOLDS_IN_LUTS { Memory::Distributed } else { memory.of_constants() }
}

/// Returns the memory of starts of `width` bits, and the register that takes what is read.
pub fn cost(width: usize, folds: usize, memory: Memory, family: Family) -> Resources {
    cost::rom(width, folds, place(folds, memory), family).plus(Resources::logic(0, width))
}
