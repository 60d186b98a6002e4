//! Flattens a module and everything below it into one netlist, and compiles that into the instructions of
//! [`Engine`]: wires are renamed away, assigns are sorted over the whole hierarchy, so one pass settles the
//! circuit. Never runs anything.

use super::check;
use super::engine::{Array, Engine, Op, Place};
use super::expr::{Bin, Expr, Node, Reduce, Sig};
use super::group::{Driver, End, Group};
use super::kernel::{Kernel, NetKind, Read, Stmt};
use super::module::{Body, Direction, Module};
use super::words::{mask, words_for};
use std::collections::HashMap;

/// An instance of the flattened hierarchy: for each net of its module (own ports of a group, all nets of a leaf), in
/// order of declaration, the flat net that carries it.
pub(super) struct Instance {
    pub name: String,
    pub module: Module,
    pub nets: Vec<usize>,
    pub children: Vec<Instance>,
}

/// A net of the flattened hierarchy.
struct FlatNet {
    path: String,
    width: usize,
    source: Source,
}

enum Source {
    /// An input of the root.
    Input,
    Constant(Vec<u64>),
    /// Net `id` of leaf `leaf`.
    Leaf {
        leaf: usize,
        id: usize,
    },
}

/// The flattened hierarchy.
struct Flat {
    nets: Vec<FlatNet>,
    leaves: Vec<Leaf>,
    root: Instance,
}

/// A leaf instance: its kernel, by way of its module, and the flat net of each of its nets.
struct Leaf {
    module: Module,
    nets: Vec<usize>,
}

const UNBOUND: usize = usize::MAX;

/// Panics, with the path, if a combinational cycle runs through the hierarchy.
pub(super) fn check_cycles(module: &Module) {
    let flat = flatten(module);
    flat.order(module.name());
}

/// The engine of a module, and where each net of its hierarchy lives in it.
pub(super) fn compile(module: &Module) -> (Engine, Instance, Vec<Place>) {
    let flat = flatten(module);
    let order = flat.order(module.name());
    let mut compiler = Compiler::new(&flat, &order);
    for &net in &order {
        compiler.comb(net);
    }
    let comb = std::mem::take(&mut compiler.ops);
    for leaf in 0..flat.leaves.len() {
        compiler.clocked(leaf);
    }
    let edge = std::mem::take(&mut compiler.ops);
    let places = compiler.places.clone();
    (compiler.finish(comb, edge), flat.root, places)
}

fn flatten(module: &Module) -> Flat {
    let mut nets = vec![];
    let mut leaves = vec![];
    let mut root = allocate(module, "", &mut nets, &mut leaves);
    root.name = module.name().into();
    let inputs: HashMap<String, usize> = module
        .ports()
        .into_iter()
        .filter(|port| port.direction == Direction::In)
        .map(|port| {
            nets.push(FlatNet { path: port.name.clone(), width: port.width, source: Source::Input });
            (port.name, nets.len() - 1)
        })
        .collect();
    bind(&mut root, &inputs, &mut nets, &mut leaves);
    Flat { nets, leaves, root }
}

/// First pass: a flat net for every net that something inside drives; own outputs take that of their driver.
fn allocate(module: &Module, path: &str, nets: &mut Vec<FlatNet>, leaves: &mut Vec<Leaf>) -> Instance {
    let below = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    let mut children = vec![];
    let own = match &*module.0 {
        Body::Leaf(kernel) => {
            let leaf = leaves.len();
            leaves.push(Leaf { module: module.clone(), nets: vec![] });
            let own = kernel.nets.iter().enumerate().map(|(id, net)| {
                if matches!(net.kind, NetKind::Input) {
                    return UNBOUND;
                }
                let source = Source::Leaf { leaf, id };
                nets.push(FlatNet { path: below(&net.name), width: net.sig.width, source });
                nets.len() - 1
            });
            own.collect()
        }
        Body::Group(group) => {
            for (name, child) in &group.children {
                let mut instance = allocate(child, &below(name), nets, leaves);
                instance.name.clone_from(name);
                children.push(instance);
            }
            let driver = |(name, direction): (&str, Direction)| match direction {
                Direction::In => UNBOUND,
                Direction::Out => match &group.drivers[&End { child: None, port: name.into() }] {
                    Driver::Net(end) => child_net(&children, end),
                    Driver::Constant(_) => unreachable!("only children's inputs are tied"),
                },
            };
            group.ports().map(|(name, _, direction)| driver((name, direction))).collect()
        }
    };
    Instance { name: String::new(), module: module.clone(), nets: own, children }
}

/// Second pass: inputs get the flat nets of what drives them.
fn bind(
    instance: &mut Instance,
    inputs: &HashMap<String, usize>,
    nets: &mut Vec<FlatNet>,
    leaves: &mut Vec<Leaf>,
) {
    let module = instance.module.clone();
    match &*module.0 {
        Body::Leaf(kernel) => {
            for (slot, net) in instance.nets.iter_mut().zip(&kernel.nets) {
                if matches!(net.kind, NetKind::Input) {
                    *slot = inputs[&net.name];
                }
            }
            // Leaves were listed in the order in which this pass meets them.
            let leaf = leaves.iter_mut().find(|leaf| leaf.nets.is_empty()).expect("a leaf an instance");
            leaf.nets.clone_from(&instance.nets);
        }
        Body::Group(group) => {
            for (slot, (name, _, direction)) in instance.nets.iter_mut().zip(group.ports()) {
                if direction == Direction::In {
                    *slot = inputs[name];
                }
            }
            let bound: Vec<HashMap<String, usize>> = (0..group.children.len())
                .map(|child| child_inputs(group, child, &instance.children, inputs, nets))
                .collect();
            for (child, inputs) in instance.children.iter_mut().zip(&bound) {
                bind(child, inputs, nets, leaves);
            }
        }
    }
}

fn child_inputs(
    group: &Group,
    child: usize,
    children: &[Instance],
    inputs: &HashMap<String, usize>,
    nets: &mut Vec<FlatNet>,
) -> HashMap<String, usize> {
    let ports = group.children[child].1.ports().into_iter().filter(|port| port.direction == Direction::In);
    ports
        .map(|port| {
            let end = End { child: Some(child), port: port.name.clone() };
            let net = match &group.drivers[&end] {
                Driver::Net(end) if end.child.is_none() => inputs[&end.port],
                Driver::Net(end) => child_net(children, end),
                Driver::Constant(value) => {
                    let bits = value.literal().expect("tie() takes literals").to_vec();
                    let path = group.end_name(&end);
                    nets.push(FlatNet { path, width: value.width, source: Source::Constant(bits) });
                    nets.len() - 1
                }
            };
            (port.name, net)
        })
        .collect()
}

fn child_net(children: &[Instance], end: &End) -> usize {
    let child = &children[end.child.expect("a child's port")];
    let at = match &*child.module.0 {
        Body::Leaf(kernel) => kernel.nets.iter().position(|net| net.name == end.port),
        Body::Group(group) => group.ports().position(|(name, ..)| name == end.port),
    };
    child.nets[at.expect("linked ports exist")]
}

impl Leaf {
    fn kernel(&self) -> &Kernel {
        match &*self.module.0 {
            Body::Leaf(kernel) => kernel,
            Body::Group(_) => unreachable!("leaves hold kernels"),
        }
    }
}

impl Flat {
    /// Combinational nets in order of evaluation. Panics with the path of a cycle.
    fn order(&self, name: &str) -> Vec<usize> {
        let depends = |net: usize, visit: &mut dyn FnMut(usize)| {
            if let Source::Leaf { leaf, id } = self.nets[net].source {
                let leaf = &self.leaves[leaf];
                check::comb_inputs(leaf.kernel(), id, &mut |sig| visit(leaf.nets[sig.id as usize]));
            }
        };
        let sorted = check::topological(self.nets.len(), depends).unwrap_or_else(|cycle| {
            let path: Vec<&str> = cycle.iter().map(|&net| self.nets[net].path.as_str()).collect();
            panic!("{name}: combinational cycle {}", path.join(" -> "))
        });
        let comb = |net: &usize| match self.nets[*net].source {
            Source::Leaf { leaf, id } => check::is_comb(self.leaves[leaf].kernel(), id),
            Source::Input | Source::Constant(_) => false,
        };
        sorted.into_iter().filter(comb).collect()
    }
}

struct Compiler<'a> {
    flat: &'a Flat,
    places: Vec<Place>,
    /// Initial state: inputs, registers, their next values, other nets, constants, temporaries.
    state: Vec<u64>,
    inputs: Vec<(String, Place)>,
    registers: std::ops::Range<usize>,
    shadow: usize,
    /// Nets and memories without a defined power-up value.
    undefined: Vec<Place>,
    arrays: Vec<Array>,
    /// First array of each leaf.
    array_base: Vec<usize>,
    constants: HashMap<Vec<u64>, usize>,
    ops: Vec<Op>,
    temporaries: Vec<(usize, usize)>,
}

impl<'a> Compiler<'a> {
    fn new(flat: &'a Flat, order: &[usize]) -> Self {
        let mut compiler = Compiler {
            flat,
            places: vec![Place { at: 0, width: 0 }; flat.nets.len()],
            state: vec![],
            inputs: vec![],
            registers: 0..0,
            shadow: 0,
            undefined: vec![],
            arrays: vec![],
            array_base: vec![],
            constants: HashMap::new(),
            ops: vec![],
            temporaries: vec![],
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
            match &kernel.nets[id].kind {
                NetKind::Reg(reset) => {
                    let place = self.place(net);
                    if reset.is_none() {
                        self.undefined.push(place);
                    }
                }
                NetKind::MemRead(memory) if matches!(kernel.memories[*memory].read, Read::Sync { .. }) => {
                    let place = self.place(net);
                    self.undefined.push(place);
                }
                _ => {}
            }
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
                let rom = memory.image.is_some();
                self.arrays.push(Array { data, stride, words: memory.words, width: memory.word_bits, rom });
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

    fn constant(&mut self, value: &[u64]) -> usize {
        if let Some(&at) = self.constants.get(value) {
            return at;
        }
        let at = self.state.len();
        self.state.extend_from_slice(value);
        self.constants.insert(value.to_vec(), at);
        at
    }

    /// Temporaries live until the end of their assign; [`Compiler::release`] frees them all.
    fn temporary(&mut self, width: usize) -> usize {
        let words = words_for(width);
        if let Some(slot) = self.temporaries.iter_mut().find(|(at, size)| *size == words && at & FREE != 0) {
            slot.0 &= !FREE;
            return slot.0;
        }
        let at = self.state.len();
        self.state.resize(at + words, 0);
        self.temporaries.push((at, words));
        at
    }

    fn release(&mut self) {
        self.temporaries.iter_mut().for_each(|slot| slot.0 |= FREE);
    }

    fn comb(&mut self, net: usize) {
        let Source::Leaf { leaf: at, id } = self.flat.nets[net].source else { return };
        let leaf = &self.flat.leaves[at];
        let kernel = leaf.kernel();
        let place = self.places[net];
        match &kernel.nets[id].kind {
            NetKind::Output(Some(value)) | NetKind::Wire(Some(value)) => {
                if !matches!(&*value.node, Node::Net(_)) {
                    self.value_into(value, &leaf.nets, place.at);
                }
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
    }

    /// Jumps over all but the chosen item.
    fn case(&mut self, index: &Expr, items: &[Expr], nets: &[usize], place: Place) {
        let constants: Option<Vec<Vec<u64>>> =
            items.iter().map(|item| item.literal().map(<[u64]>::to_vec)).collect();
        let index_at = self.value(index, nets);
        if let Some(table) = constants {
            let (stride, words) = (words_for(place.width), table.len());
            let data = table.concat();
            let array = self.arrays.len() as u32;
            self.arrays.push(Array { data, stride, words, width: place.width, rom: true });
            self.ops.push(Op::Load { to: place.at as u32, array, addr: index_at });
            return;
        }
        self.ops.push(Op::Zero { to: place.at as u32, words: words_for(place.width) as u32 });
        for (at, item) in items.iter().enumerate() {
            let jump = self.ops.len();
            self.ops.push(Op::JumpUnlessEqual { index: index_at, value: at as u32, to: 0 });
            self.value_into(item, nets, place.at);
            let end = self.ops.len() as u32;
            self.ops[jump] = Op::JumpUnlessEqual { index: index_at, value: at as u32, to: end };
        }
    }

    /// The clock edge of one leaf: next values into the shadows, then memory writes, from values before the edge.
    fn clocked(&mut self, at: usize) {
        let leaf = &self.flat.leaves[at];
        let kernel = leaf.kernel();
        for body in &kernel.blocks {
            self.block(body, &leaf.nets);
            self.resets(kernel, body, &leaf.nets);
        }
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
                    self.block(then, nets);
                    let mut end = self.ops.len();
                    if !otherwise.is_empty() {
                        let leave = end;
                        self.ops.push(Op::Jump { to: 0 });
                        end += 1;
                        self.block(otherwise, nets);
                        self.ops[leave] = Op::Jump { to: self.ops.len() as u32 };
                    }
                    self.ops[skip] = Op::JumpUnless { cond, to: end as u32 };
                }
                Stmt::Note(_) => {}
            }
        }
    }

    fn resets(&mut self, kernel: &Kernel, body: &[Stmt], nets: &[usize]) {
        let mut regs = vec![];
        check::assigned(body, &mut |reg| {
            let NetKind::Reg(Some(value)) = &kernel.nets[reg.id as usize].kind else { return };
            regs.push((nets[reg.id as usize], value.clone()));
        });
        regs.sort();
        regs.dedup();
        let skip = self.ops.len();
        self.ops.push(Op::JumpUnless { cond: 0, to: 0 });
        for (net, value) in regs {
            let (from, to) = (self.constant(&value), self.shadow_of(net));
            self.copy(to, from, self.places[net].width);
        }
        let rst = self.places[nets[kernel.rst().id as usize]].at as u32;
        self.ops[skip] = Op::JumpUnless { cond: rst, to: self.ops.len() as u32 };
    }

    fn guarded(&mut self, enable: &Expr, nets: &[usize], body: impl FnOnce(&mut Self)) {
        let cond = self.value(enable, nets);
        let skip = self.ops.len();
        self.ops.push(Op::JumpUnless { cond, to: 0 });
        body(self);
        self.ops[skip] = Op::JumpUnless { cond, to: self.ops.len() as u32 };
        self.release();
    }

    fn shadow_of(&self, net: usize) -> usize {
        self.places[net].at - self.registers.start + self.shadow
    }

    fn copy(&mut self, to: usize, from: usize, width: usize) {
        if width <= 64 {
            self.ops.push(Op::Copy { to: to as u32, a: from as u32 });
        } else {
            self.ops.push(Op::CopyWide { to: to as u32, a: from as u32, words: words_for(width) as u32 });
        }
    }

    /// Where the value of `expr` can be read: a net's or constant's own place, else a temporary.
    fn value(&mut self, expr: &Expr, nets: &[usize]) -> u32 {
        match &*expr.node {
            Node::Net(sig) => self.net(*sig, nets),
            Node::Lit(value) => self.constant(value) as u32,
            // Canonical narrow values are zero-extended already.
            Node::Ext(a) if expr.width <= 64 && !a.signed => self.value(a, nets),
            _ => {
                let to = self.temporary(expr.width);
                self.value_into(expr, nets, to);
                to as u32
            }
        }
    }

    fn net(&self, sig: Sig, nets: &[usize]) -> u32 {
        self.places[nets[sig.id as usize]].at as u32
    }

    fn value_into(&mut self, expr: &Expr, nets: &[usize], to: usize) {
        let wide = expr.width > 64;
        let width = expr.width as u32;
        let target = to as u32;
        match &*expr.node {
            Node::Net(_) | Node::Lit(_) => {
                let from = self.value(expr, nets) as usize;
                self.copy(to, from, expr.width);
            }
            Node::Slice(sig, offset) => {
                let a = self.net(*sig, nets);
                self.slice(target, a, sig.width, *offset, expr.width);
            }
            Node::Not(a) => {
                let a = self.value(a, nets);
                self.ops.push(if wide {
                    Op::NotWide { to: target, a, width }
                } else {
                    Op::Not { to: target, a, mask: mask(expr.width) }
                });
            }
            Node::Reduce(op, a) => {
                let from = self.value(a, nets);
                self.ops.push(match (op, a.width > 64) {
                    (Reduce::And, false) => Op::All { to: target, a: from, mask: mask(a.width) },
                    (Reduce::Or, false) => Op::Any { to: target, a: from },
                    (Reduce::Xor, false) => Op::Parity { to: target, a: from },
                    (op, true) => Op::ReduceWide { to: target, a: from, width: a.width as u32, op: *op },
                });
            }
            Node::Bin(op, a, b) => {
                let (x, y) = (self.value(a, nets), self.value(b, nets));
                self.binary(*op, target, x, y, a);
            }
            Node::Mux(cond, a, b) => {
                let cond = self.value(cond, nets);
                let (a, b) = (self.value(a, nets), self.value(b, nets));
                self.ops.push(if wide {
                    Op::MuxWide { to: target, cond, a, b, words: words_for(expr.width) as u32 }
                } else {
                    Op::Mux { to: target, cond, a, b }
                });
            }
            Node::Ext(a) => {
                let down = 64 - a.width.min(64) as u8;
                let mask = mask(expr.width);
                if let (Node::Slice(sig, offset), true, false) = (&*a.node, a.signed, wide) {
                    let (word, shift) = ((offset / 64) as u32, offset % 64);
                    if shift + a.width <= 64 {
                        let a = self.net(*sig, nets) + word;
                        self.ops.push(Op::Sext { to: target, a, up: down - shift as u8, down, mask });
                        return;
                    }
                }
                let from = self.value(a, nets);
                self.ops.push(match (wide, a.signed) {
                    (true, signed) => {
                        Op::ExtWide { to: target, a: from, from: a.width as u32, width, signed }
                    }
                    (false, true) => Op::Sext { to: target, a: from, up: down, down, mask },
                    (false, false) => Op::Copy { to: target, a: from },
                });
            }
            Node::Cat(parts) => self.cat(parts, expr.width, nets, target),
        }
    }

    fn slice(&mut self, to: u32, a: u32, from_width: usize, offset: usize, width: usize) {
        if width > 64 {
            let offset = offset as u32;
            self.ops.push(Op::SliceWide {
                to,
                a,
                words: words_for(from_width) as u32,
                offset,
                width: width as u32,
            });
            return;
        }
        let (word, shift) = (a + (offset / 64) as u32, (offset % 64) as u32);
        self.ops.push(if shift as usize + width > 64 {
            Op::FieldSplit { to, a: word, shift, mask: mask(width) }
        } else {
            Op::Field { to, a: word, shift, mask: mask(width) }
        });
    }

    fn binary(&mut self, op: Bin, to: u32, a: u32, b: u32, operand: &Expr) {
        let (bits, signed) = (operand.width, operand.signed);
        let width = bits as u32;
        if bits > 64 {
            self.ops.push(match op {
                Bin::And | Bin::Or | Bin::Xor | Bin::Add | Bin::Sub | Bin::Mul => {
                    Op::BinWide { to, a, b, width, op }
                }
                Bin::Eq | Bin::Ne | Bin::Lt | Bin::Le => Op::CompareWide { to, a, b, width, op, signed },
            });
            return;
        }
        let (mask, shift) = (mask(bits), 64 - width);
        self.ops.push(match op {
            Bin::Add => Op::Add { to, a, b, mask },
            Bin::Sub => Op::Sub { to, a, b, mask },
            Bin::Mul => Op::Mul { to, a, b, mask },
            Bin::And => Op::And { to, a, b },
            Bin::Or => Op::Or { to, a, b },
            Bin::Xor => Op::Xor { to, a, b },
            Bin::Eq => Op::Eq { to, a, b },
            Bin::Ne => Op::Ne { to, a, b },
            Bin::Lt if signed => Op::LtSigned { to, a, b, shift },
            Bin::Le if signed => Op::LeSigned { to, a, b, shift },
            Bin::Lt => Op::Lt { to, a, b },
            Bin::Le => Op::Le { to, a, b },
        });
    }

    /// Evaluates the parts first: the target is assembled word by word and must not be read on the way.
    fn cat(&mut self, parts: &[Expr], width: usize, nets: &[usize], to: u32) {
        let values: Vec<u32> = parts.iter().map(|part| self.value(part, nets)).collect();
        self.ops.push(Op::Zero { to, words: words_for(width) as u32 });
        let mut offset = width;
        for (part, &a) in parts.iter().zip(&values) {
            offset -= part.width;
            if part.literal().is_some_and(|value| value.iter().all(|&word| word == 0)) {
                continue;
            }
            let (word, shift) = (to + (offset / 64) as u32, (offset % 64) as u32);
            if part.width > 64 {
                self.ops.push(Op::OrWide { to, a, offset: offset as u32, width: part.width as u32 });
            } else if shift as usize + part.width > 64 {
                self.ops.push(Op::OrSplit { to: word, a, shift });
            } else {
                self.ops.push(Op::OrShifted { to: word, a, shift });
            }
        }
    }

    fn finish(self, comb: Vec<Op>, edge: Vec<Op>) -> Engine {
        debug_assert!(self.state.len() < u32::MAX as usize, "places are 32-bit");
        Engine::new(
            self.state,
            self.inputs,
            self.registers,
            self.shadow,
            self.undefined,
            self.arrays,
            comb,
            edge,
        )
    }
}

/// Marks a temporary as free.
const FREE: usize = 1 << 63;
