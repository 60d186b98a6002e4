//! Says where a compiled netlist keeps its values: state, arrays, wires, constants, and intermediate values.
//! Never knows what the values are for.

use super::compiler::{Compiler, Temporary};
use super::image::{Array, Place};
use super::ops::Op;
use crate::rtl::ir::expr::Node;
use crate::rtl::ir::flatten::Source;
use crate::rtl::ir::leaf::NetKind;
use crate::rtl::ir::memory::Read;
use crate::rtl::ir::words::words_for;

impl Compiler<'_> {
    fn place(&mut self, net: usize) -> Place {
        let width = self.flat.nets[net].width;
        let place = Place { at: self.state.len(), width };
        self.state.resize(place.at + words_for(width), 0);
        self.places[net] = place;
        place
    }

    /// Places the inputs first, then registers side by side, then their next values in the same order.
    pub fn place_state(&mut self) {
        for (net, flat) in self.flat.nets.iter().enumerate() {
            if let Source::Input = flat.source {
                let place = self.place(net);
                self.inputs.push((flat.path.clone(), place));
            }
        }
        let start = self.state.len();
        for (net, flat) in self.flat.nets.iter().enumerate() {
            let Source::Leaf { leaf, id } = flat.source else { continue };
            let record = self.flat.leaves[leaf].record();
            let undefined = match &record.nets[id].kind {
                NetKind::Reg(reset) => reset.is_none(),
                NetKind::MemRead(memory) if matches!(record.memories[*memory].read, Read::Sync { .. }) => {
                    true
                }
                _ => continue,
            };
            let place = self.place(net);
            if undefined {
                self.undefined.push(place);
            }
            // The registers of a leaf are adjacent.
            let of_leaf = &mut self.registers_of[leaf];
            if of_leaf.start == of_leaf.end {
                of_leaf.start = place.at;
            }
            of_leaf.end = self.state.len();
        }
        self.registers = start..self.state.len();
        self.shadow = self.state.len();
        self.state.resize(self.shadow + self.registers.len(), 0);
        for (net, flat) in self.flat.nets.iter().enumerate() {
            if let Source::Constant(value) = &flat.source {
                self.places[net] = Place { at: self.constant(value), width: flat.width };
            }
        }
    }

    pub fn place_arrays(&mut self) {
        for leaf in &self.flat.leaves {
            self.array_base.push(self.arrays.len());
            for memory in &leaf.record().memories {
                let stride = words_for(memory.word_bits);
                let image = memory.preset();
                let data = image.map_or_else(|| vec![0; stride * memory.words], |image| image.data.clone());
                let (words, width, filled) = (memory.words, memory.word_bits, image.is_some());
                self.arrays.push(Array { data, stride, words, width, filled });
            }
        }
    }

    /// Places the other nets; one that only renames another shares its place.
    pub fn place_wires(&mut self, order: &[usize]) {
        for &net in order {
            let Source::Leaf { leaf, id } = self.flat.nets[net].source else { continue };
            let leaf = &self.flat.leaves[leaf];
            let renamed = match &leaf.record().nets[id].kind {
                NetKind::Output(Some(value)) | NetKind::Wire(Some(value)) => match &*value.node {
                    Node::Net(sig) => Some(leaf.nets[sig.id as usize]),
                    _ => None,
                },
                _ => None,
            };
            match renamed {
                Some(source) => self.places[net] = self.places[source],
                None => {
                    self.place(net);
                }
            }
        }
    }

    pub fn constant(&mut self, value: &[u64]) -> usize {
        if let Some(&at) = self.constants.get(value) {
            return at;
        }
        let at = self.state.len();
        self.state.extend_from_slice(value);
        self.constants.insert(value.to_vec(), at);
        at
    }

    /// Returns a place for a temporary value. It lives until the end of its assign: [`Compiler::release`]
    /// frees all.
    pub fn temporary(&mut self, width: usize) -> usize {
        let words = words_for(width);
        if let Some(slot) = self.temporaries.iter_mut().find(|slot| slot.free && slot.words == words) {
            slot.free = false;
            return slot.at;
        }
        let at = self.state.len();
        self.state.resize(at + words, 0);
        self.temporaries.push(Temporary { at, words, free: false });
        at
    }

    /// Returns where the result of `op`, whose target is open, can be read.
    pub fn computed(&mut self, mut op: Op) -> u32 {
        if let Some(&at) = self.computed[self.leaf].get(&op) {
            return at;
        }
        let key = op;
        let lasts = self.lasts(op);
        let at = if lasts {
            self.state.push(0);
            self.state.len() - 1
        } else {
            self.temporary(1)
        };
        if lasts {
            self.computed[self.leaf].insert(key, at as u32);
        }
        *op.narrow().expect("one word").0 = at as u32;
        self.ops.push(op);
        at as u32
    }

    /// Puts the result of `op`, whose target is open, at `to`: a net's place or its next value's.
    pub fn computed_into(&mut self, mut op: Op, to: u32) {
        if let Some(&at) = self.computed[self.leaf].get(&op) {
            self.ops.push(Op::Copy { to, a: at });
            return;
        }
        // Only combinational values are kept: a next value may be overwritten, by a later statement or by
        // reset.
        if !self.clocking && self.lasts(op) {
            self.computed[self.leaf].insert(op, to);
        }
        *op.narrow().expect("one word").0 = to;
        self.ops.push(op);
    }

    /// Says whether what `op` makes here is there for all that follows: under no condition, and from no
    /// temporary.
    fn lasts(&self, mut op: Op) -> bool {
        let (_, read) = op.narrow().expect("one word");
        let temporary = |at: u32| self.temporaries.iter().any(|slot| slot.at == at as usize);
        self.conditions == 0 && !read.into_iter().any(temporary)
    }

    /// Compiles what runs under a condition.
    pub fn conditionally(&mut self, body: impl FnOnce(&mut Self)) {
        self.conditions += 1;
        body(self);
        self.conditions -= 1;
    }

    pub fn release(&mut self) {
        self.temporaries.iter_mut().for_each(|slot| slot.free = true);
    }
}
