//! The flat machine that runs a compiled netlist: a list of instructions over one array of words settles the
//! combinational nets, another computes a clock edge; a leaf around which nothing changed is left out. Narrow values (up to 64 bits) are one word, always canonical.
//! Never knows of modules or names.

use super::activity::Activity;
use super::ops::Op;
use crate::rtl::ir::expr::{Bin, Reduce};
use crate::rtl::ir::words;
use std::cmp::Ordering;
use dq_net::SplitMix64;
use std::ops::Range;

/// Where a net lives: its first word, and its width in bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Place {
    pub at: usize,
    pub width: usize,
}

/// A memory or a constant table.
#[derive(Clone, Debug)]
pub(crate) struct Array {
    pub data: Vec<u64>,
    /// `u64`s a word.
    pub stride: usize,
    pub words: usize,
    pub width: usize,
    /// Whether it powers up with contents.
    pub filled: bool,
}

/// What the compiler makes of a netlist.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Initial state: inputs, registers, their next values, other nets, constants, temporaries.
    pub state: Vec<u64>,
    pub inputs: Vec<(String, Place)>,
    pub registers: Range<usize>,
    pub shadow: usize,
    pub undefined: Vec<Place>,
    pub arrays: Vec<Array>,
    pub leaf_of_array: Vec<usize>,
    pub comb: Vec<Op>,
    pub edge: Vec<Op>,
    pub activity: Activity,
}

/// A compiled netlist and its present state.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    program: Program,
    machine: Machine,
    readers: Readers,
    /// Inputs as driven from outside; they take effect at the next [`Engine::update`].
    pending: Vec<u64>,
    clk: usize,
    /// Leaves that ran before the last edge.
    ran: Vec<bool>,
}

/// Which leaves must run again.
#[derive(Clone, Debug)]
struct Readers {
    dirty: Vec<bool>,
    /// Whether any must.
    stale: bool,
    /// What the readers of each watched value saw last.
    saved: Vec<u64>,
}

/// What instructions work on.
#[derive(Clone, Debug)]
struct Machine {
    state: Vec<u64>,
    arrays: Vec<Array>,
    /// Array, word address and data (in `store_data`) of the stores of one edge.
    stores: Vec<(u32, usize)>,
    store_data: Vec<u64>,
    scratch: Vec<u64>,
}

impl Engine {
    pub fn new(mut program: Program) -> Engine {
        let words = program.inputs.iter().map(|(_, place)| words::words_for(place.width)).sum();
        let clk = program.inputs.iter().find(|(name, _)| name == "clk").expect("every module has clk").1.at;
        let machine = Machine {
            state: std::mem::take(&mut program.state),
            arrays: std::mem::take(&mut program.arrays),
            stores: vec![],
            store_data: vec![],
            scratch: vec![],
        };
        Engine {
            machine,
            pending: vec![0; words],
            clk,
            ran: vec![false; program.activity.leaves.len()],
            readers: Readers {
                dirty: vec![true; program.activity.leaves.len()],
                stale: true,
                saved: vec![0; program.activity.saved],
            },
            program,
        }
    }

    /// The words of a net, as of the last update.
    #[inline]
    pub fn value(&self, place: Place) -> &[u64] {
        &self.machine.state[place.at..place.at + words::words_for(place.width)]
    }

    /// Where the input of this name is driven.
    pub fn input(&self, name: &str) -> Option<Place> {
        self.program.inputs.iter().find(|(input, _)| input == name).map(|(_, place)| *place)
    }

    /// Drives an input; takes effect at the next update.
    #[inline]
    pub fn drive(&mut self, input: Place, value: &[u64]) {
        self.pending[input.at..input.at + value.len()].copy_from_slice(value);
    }

    /// Takes over the inputs; on a rising `clk` first runs the edge, on the values before it. Returns whether any
    /// input changed.
    pub fn update(&mut self) -> bool {
        let inputs = self.pending.len();
        if self.pending[self.clk] & !self.machine.state[self.clk] & 1 == 1 {
            assert!(!self.readers.stale, "a clock edge on a circuit that has not settled");
            self.clock_edge();
        }
        let changed = self.machine.state[..inputs] != self.pending[..];
        let Engine { program, machine, readers, .. } = self;
        if changed {
            machine.state[..inputs].copy_from_slice(&self.pending);
            readers.tell(&program.activity, 0..program.inputs.len(), &machine.state);
        }
        if readers.stale {
            for segment in &program.activity.segments {
                if readers.dirty[segment.leaf] {
                    machine.run(&program.comb, segment.ops.clone());
                    readers.tell(&program.activity, segment.watches.clone(), &machine.state);
                }
            }
            readers.stale = false;
        }
        changed
    }

    /// Fills what powers up undefined (registers without reset, RAMs) with noise.
    pub fn scramble(&mut self, seed: u64) {
        let mut noise = SplitMix64::new(seed);
        let Machine { state, arrays, .. } = &mut self.machine;
        for place in &self.program.undefined {
            let words = &mut state[place.at..place.at + words::words_for(place.width)];
            words.fill_with(|| noise.word());
            words::canonical(words, place.width);
        }
        for array in arrays.iter_mut().filter(|array| !array.filled) {
            for word in array.data.chunks_mut(array.stride) {
                word.fill_with(|| noise.word());
                words::canonical(word, array.width);
            }
        }
        state.copy_within(self.program.registers.clone(), self.program.shadow);
        self.readers.dirty.fill(true);
        self.readers.stale = true;
    }

    /// The next values of all registers from values before the edge, then all at once. A leaf that has not run since the
    /// last edge would keep what it has.
    fn clock_edge(&mut self) {
        let Engine { program, machine, readers, ran, .. } = self;
        let activity = &program.activity;
        std::mem::swap(&mut readers.dirty, ran);
        readers.dirty.fill(false);
        for (leaf, _) in activity.leaves.iter().zip(&*ran).filter(|(_, ran)| **ran) {
            machine.run(&program.edge, leaf.ops.clone());
        }
        let lead = program.shadow - program.registers.start;
        for (at, leaf) in activity.leaves.iter().enumerate().filter(|(at, _)| ran[*at]) {
            let Range { start, end } = leaf.registers;
            let state = &mut machine.state;
            if state[start..end] != state[start + lead..end + lead] {
                state.copy_within(start + lead..end + lead, start);
                readers.dirty[at] = true;
                readers.stale = true;
                readers.tell(activity, leaf.watches.clone(), state);
            }
        }
        let mut data = 0;
        for &(array, at) in &machine.stores {
            let words = &mut machine.arrays[array as usize];
            let (old, new) =
                (&mut words.data[at..at + words.stride], &machine.store_data[data..data + words.stride]);
            if old != new {
                old.copy_from_slice(new);
                readers.dirty[program.leaf_of_array[array as usize]] = true;
                readers.stale = true;
            }
            data += words.stride;
        }
        machine.stores.clear();
        machine.store_data.clear();
    }
}

impl Readers {
    /// Compares watched values with those seen last; where they differ, their readers must run again.
    fn tell(&mut self, activity: &Activity, watches: Range<usize>, state: &[u64]) {
        for watch in &activity.watches[watches] {
            let now = &state[watch.at..watch.at + watch.words];
            let seen = &mut self.saved[watch.saved..watch.saved + watch.words];
            if now != seen {
                seen.copy_from_slice(now);
                for &reader in &activity.readers[watch.readers.clone()] {
                    self.dirty[reader] = true;
                    self.stale = true;
                }
            }
        }
    }
}

impl Machine {
    /// Runs a part of `ops`, which jumps to places of its own alone.
    fn run(&mut self, ops: &[Op], part: Range<usize>) {
        let (ops, mut pc) = (&ops[..part.end], part.start);
        while let Some(op) = ops.get(pc) {
            pc += 1;
            let s = &mut self.state[..];
            macro_rules! at {
                ($i:expr) => {
                    s[$i as usize]
                };
            }
            match *op {
                Op::Copy { to, a } => at!(to) = at!(a),
                Op::Not { to, a, mask } => at!(to) = !at!(a) & mask,
                Op::And { to, a, b } => at!(to) = at!(a) & at!(b),
                Op::Or { to, a, b } => at!(to) = at!(a) | at!(b),
                Op::Xor { to, a, b } => at!(to) = at!(a) ^ at!(b),
                Op::Add { to, a, b, mask } => at!(to) = at!(a).wrapping_add(at!(b)) & mask,
                Op::Sub { to, a, b, mask } => at!(to) = at!(a).wrapping_sub(at!(b)) & mask,
                Op::Mul { to, a, b, mask } => at!(to) = at!(a).wrapping_mul(at!(b)) & mask,
                Op::Eq { to, a, b } => at!(to) = (at!(a) == at!(b)) as u64,
                Op::Ne { to, a, b } => at!(to) = (at!(a) != at!(b)) as u64,
                Op::Lt { to, a, b } => at!(to) = (at!(a) < at!(b)) as u64,
                Op::Le { to, a, b } => at!(to) = (at!(a) <= at!(b)) as u64,
                Op::LtSigned { to, a, b, shift } => {
                    at!(to) = (((at!(a) << shift) as i64) < ((at!(b) << shift) as i64)) as u64;
                }
                Op::LeSigned { to, a, b, shift } => {
                    at!(to) = (((at!(a) << shift) as i64) <= ((at!(b) << shift) as i64)) as u64;
                }
                Op::Mux { to, cond, a, b } => at!(to) = if at!(cond) != 0 { at!(a) } else { at!(b) },
                Op::All { to, a, mask } => at!(to) = (at!(a) == mask) as u64,
                Op::Any { to, a } => at!(to) = (at!(a) != 0) as u64,
                Op::Parity { to, a } => at!(to) = at!(a).count_ones() as u64 & 1,
                Op::Field { to, a, shift, mask } => at!(to) = at!(a) >> shift & mask,
                Op::FieldSplit { to, a, shift, mask } => {
                    at!(to) = (at!(a) >> shift | at!(a + 1) << (64 - shift)) & mask;
                }
                Op::Sext { to, a, up, down, mask } => {
                    at!(to) = ((at!(a) << up) as i64 >> down) as u64 & mask;
                }
                Op::Up { to, a, shift } => at!(to) = at!(a) << shift,
                Op::Join { to, a, b, shift } => at!(to) = at!(a) << shift | at!(b),
                Op::Zero { to, words } => s[to as usize..(to + words) as usize].fill(0),
                Op::OrShifted { to, a, shift } => at!(to) |= at!(a) << shift,
                Op::OrSplit { to, a, shift } => {
                    at!(to) |= at!(a) << shift;
                    at!(to + 1) |= at!(a) >> (64 - shift);
                }
                Op::Load { to, array, addr } => {
                    let array = &self.arrays[array as usize];
                    let (to, word) = (to as usize, at!(addr) as usize);
                    let out = &mut s[to..to + array.stride];
                    if word < array.words {
                        out.copy_from_slice(&array.data[word * array.stride..(word + 1) * array.stride]);
                    } else {
                        out.fill(0);
                    }
                }
                Op::Store { array, addr, data } => {
                    let stride = self.arrays[array as usize].stride;
                    let word = at!(addr) as usize;
                    if word < self.arrays[array as usize].words {
                        self.stores.push((array, word * stride));
                        self.store_data.extend_from_slice(&s[data as usize..data as usize + stride]);
                    }
                }
                Op::Jump { to } => pc = to as usize,
                Op::JumpUnless { cond, to } => {
                    if at!(cond) == 0 {
                        pc = to as usize;
                    }
                }
                Op::JumpUnlessEqual { index, value, to } => {
                    if at!(index) != value as u64 {
                        pc = to as usize;
                    }
                }
                _ => self.run_wide(op),
            }
        }
    }

    fn run_wide(&mut self, op: &Op) {
        let words_at = |at: u32, width: u32| at as usize..at as usize + words::words_for(width as usize);
        let s = &mut self.state;
        let scratch = &mut self.scratch;
        let (to, count) = match *op {
            Op::CopyWide { to, a, words } => {
                s.copy_within(a as usize..(a + words) as usize, to as usize);
                return;
            }
            Op::MuxWide { to, cond, a, b, words } => {
                let from = if s[cond as usize] != 0 { a } else { b };
                s.copy_within(from as usize..(from + words) as usize, to as usize);
                return;
            }
            Op::CompareWide { to, a, b, width, op, signed } => {
                let order =
                    words::compare(&s[words_at(a, width)], &s[words_at(b, width)], width as usize, signed);
                let result = match op {
                    Bin::Eq => order == Ordering::Equal,
                    Bin::Ne => order != Ordering::Equal,
                    Bin::Lt => order == Ordering::Less,
                    _ => order != Ordering::Greater,
                };
                s[to as usize] = result as u64;
                return;
            }
            Op::ReduceWide { to, a, width, op } => {
                let ones: u32 = s[words_at(a, width)].iter().map(|word| word.count_ones()).sum();
                let result = match op {
                    Reduce::And => ones == width,
                    Reduce::Or => ones > 0,
                    Reduce::Xor => ones % 2 == 1,
                };
                s[to as usize] = result as u64;
                return;
            }
            Op::OrWide { to, a, offset, width } => {
                scratch.clear();
                scratch.extend_from_slice(&s[words_at(a, width)]);
                words::or_at(&mut s[to as usize..], offset as usize, scratch, width as usize);
                return;
            }
            Op::NotWide { to, a, width } => {
                scratch.clear();
                scratch.extend(s[words_at(a, width)].iter().map(|word| !word));
                words::canonical(scratch, width as usize);
                (to, width)
            }
            Op::BinWide { to, a, b, width, op } => {
                scratch.clear();
                scratch.resize(words::words_for(width as usize), 0);
                let (a, b) = (&s[words_at(a, width)], &s[words_at(b, width)]);
                let each = |scratch: &mut [u64], join: fn(u64, u64) -> u64| {
                    scratch.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (&a, &b))| *out = join(a, b));
                };
                match op {
                    Bin::Add => words::add_into(scratch, a, b, width as usize),
                    Bin::Sub => words::sub_into(scratch, a, b, width as usize),
                    Bin::Mul => words::mul_into(scratch, a, b, width as usize),
                    Bin::And => each(scratch, |a, b| a & b),
                    Bin::Or => each(scratch, |a, b| a | b),
                    _ => each(scratch, |a, b| a ^ b),
                }
                (to, width)
            }
            Op::SliceWide { to, a, words, offset, width } => {
                scratch.clear();
                scratch.resize(words::words_for(width as usize), 0);
                let from = &s[a as usize..(a + words) as usize];
                words::slice_into(scratch, from, offset as usize, width as usize);
                (to, width)
            }
            Op::ExtWide { to, a, from, width, signed } => {
                scratch.clear();
                scratch.resize(words::words_for(width as usize), 0);
                words::extend_into(scratch, &s[words_at(a, from)], from as usize, width as usize, signed);
                (to, width)
            }
            _ => unreachable!("narrow operations are handled in run()"),
        };
        s[words_at(to, count)].copy_from_slice(scratch);
    }
}
