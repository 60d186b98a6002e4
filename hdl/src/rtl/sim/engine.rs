//! Runs a compiled netlist on a flat machine: a list of instructions over one array of words settles the
//! combinational nets, another computes a clock edge; a leaf around which nothing changed is left out. Narrow
//! values (up to 64 bits) are one word, always canonical. Never knows of modules or names.

use super::image::{Activity, Place, Program};
use super::machine::Machine;
use crate::rtl::ir::words;
use dq_net::SplitMix64;
use std::ops::Range;

/// Holds a compiled netlist and its present state.
#[derive(Clone, Debug)]
pub(crate) struct Engine {
    program: Program,
    machine: Machine,
    readers: Readers,
    /// Inputs as driven from outside; they take effect at the next [`Engine::update`].
    pending: Vec<u64>,
    clk: usize,
    /// Whether each leaf ran before the last edge.
    ran: Vec<bool>,
}

/// Says which leaves must run again.
#[derive(Clone, Debug)]
struct Readers {
    dirty: Vec<bool>,
    /// Whether any leaf must run.
    stale: bool,
    /// The values that the readers of each watched place saw last.
    saved: Vec<u64>,
}

impl Engine {
    pub fn new(mut program: Program) -> Engine {
        let words = program.inputs.iter().map(|(_, place)| words::words_for(place.width)).sum();
        let clk = program.inputs.iter().find(|(name, _)| name == "clk").expect("every module has clk").1.at;
        let machine = Machine {
            state: std::mem::take(&mut program.state),
            arrays: std::mem::take(&mut program.arrays),
            ..Machine::default()
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

    /// Returns the words of a net, as of the last update.
    #[inline]
    pub fn value(&self, place: Place) -> &[u64] {
        &self.machine.state[place.at..place.at + words::words_for(place.width)]
    }

    /// Returns where the input of this name is driven.
    pub fn input(&self, name: &str) -> Option<Place> {
        self.program.inputs.iter().find(|(input, _)| input == name).map(|(_, place)| *place)
    }

    /// Drives an input; this takes effect at the next update.
    #[inline]
    pub fn drive(&mut self, input: Place, value: &[u64]) {
        self.pending[input.at..input.at + value.len()].copy_from_slice(value);
    }

    /// Takes over the inputs; on a rising `clk` first runs the edge, on the values before it. Returns whether
    /// any input changed.
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
        // The readers of noise have seen it: what follows it is compared with it, not with zero.
        let activity = &self.program.activity;
        self.readers.tell(activity, 0..activity.watches.len(), state);
        self.readers.dirty.fill(true);
        self.readers.stale = true;
    }

    /// Computes the next values of all registers from values before the edge, then sets all at once. A leaf
    /// that has not run since the last edge would keep what it has.
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
