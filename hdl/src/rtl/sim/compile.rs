//! Compiles a flattened netlist into the instructions of [`Engine`]: renamings share a place, assigns run in
//! order, so one pass settles the circuit. Never runs anything.

use super::activity::{self, Readers};
use super::compiler::Compiler;
use super::engine::Engine;
use super::image::{Activity, Clocked, Place, Program, Segment};
use super::ops::Op;
use crate::rtl::ir::expr::{Expr, Node};
use crate::rtl::ir::flatten::{Instance, Source, flatten};
use crate::rtl::ir::leaf::{Leaf, NetKind, assigned};
use crate::rtl::ir::memory::Read;
use crate::rtl::ir::module::Module;
use crate::rtl::ir::stmt::Stmt;
use crate::rtl::ir::words::words_for;
use std::collections::BTreeMap;

/// Returns the engine of a module, and where each net of its hierarchy lives in it.
///
/// # Panics
/// Panics, with the path, if a combinational cycle runs through the hierarchy.
pub(crate) fn compile(module: &Module) -> (Engine, Instance, Vec<Place>) {
    let flat = flatten(module);
    let order = activity::by_leaf(&flat, &flat.order(module.name()));
    let mut compiler = Compiler::new(&flat);
    compiler.place_state();
    compiler.place_arrays();
    compiler.place_wires(&order);
    let clk = compiler.inputs.iter().find(|(name, _)| name == "clk").expect("every module has clk").1.at;
    let readers = Readers::new(&flat, &compiler.places, clk);
    let mut activity = Activity::default();
    compiler.inputs.iter().for_each(|(_, place)| activity.watch_input(&readers, *place));
    for nets in order.chunk_by(|&a, &b| flat.leaf_of(a) == flat.leaf_of(b)) {
        let start = compiler.ops.len();
        let mut driven = vec![];
        for &net in nets {
            if compiler.comb(net) {
                driven.push(compiler.places[net]);
            }
        }
        let watches = activity.watch(&readers, driven);
        let leaf = flat.leaf_of(nets[0]).expect("a combinational net is some leaf's");
        activity.segments.push(Segment { leaf, ops: start..compiler.ops.len(), watches });
    }
    let comb = std::mem::take(&mut compiler.ops);
    for leaf in 0..flat.leaves.len() {
        let start = compiler.ops.len();
        compiler.clocked(leaf);
        let registers = compiler.registers_of[leaf].clone();
        let within = |place: &Place| registers.contains(&place.at);
        let places = flat.leaves[leaf].nets.iter().map(|&net| compiler.places[net]);
        let places: BTreeMap<usize, Place> = places.filter(within).map(|place| (place.at, place)).collect();
        let watches = activity.watch(&readers, places.into_values());
        activity.leaves.push(Clocked { ops: start..compiler.ops.len(), registers, watches });
    }
    let edge = std::mem::take(&mut compiler.ops);
    let places = compiler.places.clone();
    (compiler.finish(comb, edge, activity), flat.root, places)
}

impl Compiler<'_> {
    /// Compiles a net without state, and says whether it has a place of its own.
    fn comb(&mut self, net: usize) -> bool {
        let Source::Leaf { leaf: at, id } = self.flat.nets[net].source else { return false };
        self.leaf = at;
        let leaf = &self.flat.leaves[at];
        let record = leaf.record();
        let place = self.places[net];
        match &record.nets[id].kind {
            NetKind::Output(Some(value)) | NetKind::Wire(Some(value)) => {
                if matches!(&*value.node, Node::Net(_)) {
                    return false;
                }
                self.value_into(value, &leaf.nets, place.at);
            }
            NetKind::Case { index, items } => self.case(index, items, &leaf.nets, place),
            NetKind::MemRead(memory) => {
                if let Read::Async { addr } = &record.memories[*memory].read {
                    let addr = self.value(addr, &leaf.nets);
                    let array = self.array_base[at] + memory;
                    self.ops.push(Op::Load { to: place.at as u32, array: array as u32, addr });
                }
            }
            NetKind::Input | NetKind::Reg(_) | NetKind::Output(None) | NetKind::Wire(None) => {}
        }
        self.release();
        true
    }

    /// Compiles the clock edge of one leaf: next values into the shadows, then memory writes, from values
    /// before the edge.
    fn clocked(&mut self, at: usize) {
        let leaf = &self.flat.leaves[at];
        let record = leaf.record();
        (self.leaf, self.clocking) = (at, true);
        for body in &record.blocks {
            self.block(body, &leaf.nets);
        }
        self.resets(record, &leaf.nets);
        for (index, memory) in record.memories.iter().enumerate() {
            let array = (self.array_base[at] + index) as u32;
            if let Read::Sync { enable, addr } = &memory.read {
                let to = self.shadow_of(leaf.nets[memory.out.id as usize]) as u32;
                self.guarded(enable, &leaf.nets, |compiler| {
                    let addr = compiler.value(addr, &leaf.nets);
                    compiler.ops.push(Op::Load { to, array, addr });
                });
            }
            if let Some(write) = &memory.write {
                self.guarded(&write.enable, &leaf.nets, |compiler| {
                    let addr = compiler.value(&write.addr, &leaf.nets);
                    let data = compiler.value(&write.data, &leaf.nets);
                    compiler.ops.push(Op::Store { array, addr, data });
                });
            }
        }
    }

    fn block(&mut self, body: &[Stmt], nets: &[usize]) {
        for stmt in body {
            match stmt {
                Stmt::Set(reg, value) => {
                    let to = self.shadow_of(nets[reg.id as usize]);
                    self.value_into(value, nets, to);
                    self.release();
                }
                // Choosing between the old and the new value of a register is cheaper than a jump.
                Stmt::If(cond, then, otherwise)
                    if otherwise.is_empty()
                        && let [Stmt::Set(reg, value)] = &then[..]
                        && value.width <= 64
                        && matches!(&*value.node, Node::Net(_) | Node::Lit { .. }) =>
                {
                    let to = self.shadow_of(nets[reg.id as usize]);
                    let (cond, a) = (self.value(cond, nets), self.value(value, nets));
                    self.ops.push(Op::Mux { to: to as u32, cond, a, b: to as u32 });
                    self.release();
                }
                Stmt::If(cond, then, otherwise) => {
                    let cond = self.value(cond, nets);
                    let skip = self.ops.len();
                    self.ops.push(Op::JumpUnless { cond, to: 0 });
                    self.release();
                    self.conditionally(|compiler| compiler.block(then, nets));
                    let mut end = self.ops.len();
                    if !otherwise.is_empty() {
                        let leave = end;
                        self.ops.push(Op::Jump { to: 0 });
                        end += 1;
                        self.conditionally(|compiler| compiler.block(otherwise, nets));
                        self.ops[leave] = Op::Jump { to: self.ops.len() as u32 };
                    }
                    self.ops[skip] = Op::JumpUnless { cond, to: end as u32 };
                }
                Stmt::Note(_) => {}
            }
        }
    }

    fn resets(&mut self, record: &Leaf, nets: &[usize]) {
        let mut regs = BTreeMap::new();
        for body in &record.blocks {
            assigned(body, &mut |reg| {
                if let NetKind::Reg(Some(value)) = &record.nets[reg.id as usize].kind {
                    regs.insert(nets[reg.id as usize], value);
                }
            });
        }
        if regs.is_empty() {
            return;
        }
        let skip = self.ops.len();
        self.ops.push(Op::JumpUnless { cond: 0, to: 0 });
        for (net, value) in regs {
            let (from, to) = (self.constant(value), self.shadow_of(net));
            self.copy(to, from, self.places[net].width);
        }
        let rst = self.places[nets[record.rst().id as usize]].at as u32;
        self.ops[skip] = Op::JumpUnless { cond: rst, to: self.ops.len() as u32 };
    }

    fn guarded(&mut self, enable: &Expr, nets: &[usize], body: impl FnOnce(&mut Self)) {
        if enable.literal().is_some_and(|value| value != [0]) {
            body(self);
        } else {
            let cond = self.value(enable, nets);
            let skip = self.ops.len();
            self.ops.push(Op::JumpUnless { cond, to: 0 });
            self.conditionally(body);
            self.ops[skip] = Op::JumpUnless { cond, to: self.ops.len() as u32 };
        }
        self.release();
    }

    fn shadow_of(&self, net: usize) -> usize {
        self.places[net].at - self.registers.start + self.shadow
    }

    pub fn copy(&mut self, to: usize, from: usize, width: usize) {
        if width <= 64 {
            self.ops.push(Op::Copy { to: to as u32, a: from as u32 });
        } else {
            self.ops.push(Op::CopyWide { to: to as u32, a: from as u32, words: words_for(width) as u32 });
        }
    }

    fn finish(self, comb: Vec<Op>, edge: Vec<Op>, activity: Activity) -> Engine {
        debug_assert!(self.state.len() < u32::MAX as usize, "places are 32-bit");
        let mut leaf_of_array = vec![];
        for (leaf, &base) in self.array_base.iter().enumerate() {
            leaf_of_array.resize(base, leaf.saturating_sub(1));
        }
        leaf_of_array.resize(self.arrays.len(), self.array_base.len().saturating_sub(1));
        Engine::new(Program {
            state: self.state,
            inputs: self.inputs,
            registers: self.registers,
            shadow: self.shadow,
            undefined: self.undefined,
            arrays: self.arrays,
            leaf_of_array,
            comb,
            edge,
            activity,
        })
    }
}
