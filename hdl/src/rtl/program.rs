//! Compiles a flattened netlist into the instructions of [`Engine`]: renamings share a place, assigns run in order, so
//! one pass settles the circuit. Never runs anything.

use super::activity::{self, Activity, Clocked, Readers, Segment};
use super::check;
use super::engine::{Array, Engine, Place, Program};
use super::expr::{Expr, Node};
use super::flatten::{Flat, Instance, Source, flatten};
use super::kernel::{Kernel, NetKind};
use super::memory::Read;
use super::module::Module;
use super::ops::Op;
use super::stmt::Stmt;
use super::words::words_for;
use std::collections::{BTreeMap, HashMap};
use std::ops::Range;

/// Panics, with the path, if a combinational cycle runs through the hierarchy.
pub(super) fn check_cycles(module: &Module) {
    let flat = flatten(module);
    flat.order(module.name());
}

/// The engine of a module, and where each net of its hierarchy lives in it.
pub(super) fn compile(module: &Module) -> (Engine, Instance, Vec<Place>) {
    let flat = flatten(module);
    let order = activity::by_leaf(&flat, &flat.order(module.name()));
    let mut compiler = Compiler::new(&flat, &order);
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

/// What is compiled so far.
pub(super) struct Compiler<'a> {
    flat: &'a Flat,
    pub places: Vec<Place>,
    /// Initial state: inputs, registers, their next values, other nets, constants, temporaries.
    state: Vec<u64>,
    inputs: Vec<(String, Place)>,
    registers: Range<usize>,
    /// Those of each leaf.
    registers_of: Vec<Range<usize>>,
    shadow: usize,
    /// Nets and memories without a defined power-up value.
    undefined: Vec<Place>,
    pub arrays: Vec<Array>,
    /// First array of each leaf.
    array_base: Vec<usize>,
    constants: HashMap<Vec<u64>, usize>,
    pub ops: Vec<Op>,
    temporaries: Vec<Temporary>,
    /// For each leaf, where values are that its instructions compute in any case, by the instruction without its target.
    /// What its nets settle to is there at the edge, too.
    computed: Vec<HashMap<Op, u32>>,
    /// The leaf being compiled; how many conditions what is compiled stands under; whether it is for a clock edge.
    leaf: usize,
    conditions: usize,
    clocking: bool,
}

/// Words that hold intermediate values, of one assign after another.
struct Temporary {
    at: usize,
    words: usize,
    free: bool,
}

impl<'a> Compiler<'a> {
    fn new(flat: &'a Flat, order: &[usize]) -> Self {
        let mut compiler = Compiler {
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
        };
        compiler.place_state();
        compiler.place_arrays();
        compiler.place_wires(order);
        compiler
    }

    fn place(&mut self, net: usize) -> Place {
        let width = self.flat.nets[net].width;
        let place = Place { at: self.state.len(), width };
        self.state.resize(place.at + words_for(width), 0);
        self.places[net] = place;
        place
    }

    /// Inputs first, then registers side by side, then their next values in the same order.
    fn place_state(&mut self) {
        for (net, flat) in self.flat.nets.iter().enumerate() {
            if let Source::Input = flat.source {
                let place = self.place(net);
                self.inputs.push((flat.path.clone(), place));
            }
        }
        let start = self.state.len();
        for (net, flat) in self.flat.nets.iter().enumerate() {
            let Source::Leaf { leaf, id } = flat.source else { continue };
            let kernel = self.flat.leaves[leaf].kernel();
            let undefined = match &kernel.nets[id].kind {
                NetKind::Reg(reset) => reset.is_none(),
                NetKind::MemRead(memory) if matches!(kernel.memories[*memory].read, Read::Sync { .. }) => {
                    true
                }
                _ => continue,
            };
            let place = self.place(net);
            if undefined {
                self.undefined.push(place);
            }
            // The nets of a leaf stand side by side.
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

    fn place_arrays(&mut self) {
        for leaf in &self.flat.leaves {
            self.array_base.push(self.arrays.len());
            for memory in &leaf.kernel().memories {
                let stride = words_for(memory.word_bits);
                let data = match &memory.image {
                    Some(image) => image.data.clone(),
                    None => vec![0; stride * memory.words],
                };
                let (words, width, filled) = (memory.words, memory.word_bits, memory.image.is_some());
                self.arrays.push(Array { data, stride, words, width, filled });
            }
        }
    }

    /// A net that only renames another shares its place.
    fn place_wires(&mut self, order: &[usize]) {
        for &net in order {
            let Source::Leaf { leaf, id } = self.flat.nets[net].source else { continue };
            let leaf = &self.flat.leaves[leaf];
            let renamed = match &leaf.kernel().nets[id].kind {
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

    /// Temporaries live until the end of their assign; [`Compiler::release`] frees them all.
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

    /// Where the result of `op`, whose target is open, can be read.
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

    /// The result of `op`, whose target is open, at `to`: a net's place or its next value's.
    pub fn computed_into(&mut self, mut op: Op, to: u32) {
        if let Some(&at) = self.computed[self.leaf].get(&op) {
            self.ops.push(Op::Copy { to, a: at });
            return;
        }
        // A next value may be overwritten, by a later statement or by reset.
        if !self.clocking && self.lasts(op) {
            self.computed[self.leaf].insert(op, to);
        }
        *op.narrow().expect("one word").0 = to;
        self.ops.push(op);
    }

    /// Whether what `op` makes here is there for all that follows: under no condition, and from no temporary.
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

    fn release(&mut self) {
        self.temporaries.iter_mut().for_each(|slot| slot.free = true);
    }

    /// Gives whether the net has a place of its own.
    fn comb(&mut self, net: usize) -> bool {
        let Source::Leaf { leaf: at, id } = self.flat.nets[net].source else { return false };
        self.leaf = at;
        let leaf = &self.flat.leaves[at];
        let kernel = leaf.kernel();
        let place = self.places[net];
        match &kernel.nets[id].kind {
            NetKind::Output(Some(value)) | NetKind::Wire(Some(value)) => {
                if matches!(&*value.node, Node::Net(_)) {
                    return false;
                }
                self.value_into(value, &leaf.nets, place.at);
            }
            NetKind::Case { index, items } => self.case(index, items, &leaf.nets, place),
            NetKind::MemRead(memory) => {
                if let Read::Async { addr } = &kernel.memories[*memory].read {
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

    /// The clock edge of one leaf: next values into the shadows, then memory writes, from values before the edge.
    fn clocked(&mut self, at: usize) {
        let leaf = &self.flat.leaves[at];
        let kernel = leaf.kernel();
        (self.leaf, self.clocking) = (at, true);
        for body in &kernel.blocks {
            self.block(body, &leaf.nets);
        }
        self.resets(kernel, &leaf.nets);
        for (index, memory) in kernel.memories.iter().enumerate() {
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

    fn resets(&mut self, kernel: &Kernel, nets: &[usize]) {
        let mut regs = BTreeMap::new();
        for body in &kernel.blocks {
            check::assigned(body, &mut |reg| {
                if let NetKind::Reg(Some(value)) = &kernel.nets[reg.id as usize].kind {
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
        let rst = self.places[nets[kernel.rst().id as usize]].at as u32;
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
