//! Holds the state of a compilation: what has a place so far, and the instructions so far.

use super::image::{Array, Place};
use super::ops::Op;
use crate::rtl::ir::flatten::Flat;
use std::collections::HashMap;
use std::ops::Range;

/// Holds what is compiled so far.
pub(crate) struct Compiler<'a> {
    pub flat: &'a Flat,
    pub places: Vec<Place>,
    /// Initial state: inputs, registers, their next values, other nets, constants, temporaries.
    pub state: Vec<u64>,
    pub inputs: Vec<(String, Place)>,
    pub registers: Range<usize>,
    /// The registers of each leaf.
    pub registers_of: Vec<Range<usize>>,
    pub shadow: usize,
    /// Nets and memories without a defined power-up value.
    pub undefined: Vec<Place>,
    pub arrays: Vec<Array>,
    /// First array of each leaf.
    pub array_base: Vec<usize>,
    pub constants: HashMap<Vec<u64>, usize>,
    pub ops: Vec<Op>,
    pub temporaries: Vec<Temporary>,
    /// For each leaf: the places of the values that its instructions compute unconditionally, by the
    /// instruction without its target. A value that its nets settle to is still there at the clock edge.
    pub computed: Vec<HashMap<Op, u32>>,
    /// The leaf that is being compiled, the number of conditions around the present statement, and whether it
    /// is for a clock edge.
    pub leaf: usize,
    pub conditions: usize,
    pub clocking: bool,
}

/// Describes words that hold intermediate values, of one assign after another.
pub(crate) struct Temporary {
    pub at: usize,
    pub words: usize,
    pub free: bool,
}

impl<'a> Compiler<'a> {
    /// Begins with nothing placed.
    pub fn new(flat: &'a Flat) -> Self {
        Compiler {
            flat,
            places: vec![Place { at: 0, width: 0 }; flat.nets.len()],
            state: vec![],
            inputs: vec![],
            registers: 0..0,
            registers_of: vec![0..0; flat.leaves.len()],
            shadow: 0,
            undefined: vec![],
            arrays: vec![],
            array_base: vec![],
            constants: HashMap::new(),
            ops: vec![],
            temporaries: vec![],
            computed: vec![HashMap::new(); flat.leaves.len()],
            leaf: 0,
            conditions: 0,
            clocking: false,
        }
    }
}
