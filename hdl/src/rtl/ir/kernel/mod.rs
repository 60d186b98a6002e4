//! `Kernel`: the builder of one leaf module: ports, wires, registers, memories and clocked statements.
//!
//! It only collects; [`Kernel::build`] checks the whole and gives the immutable [`Module`] that is printed
//! and simulated. Programming errors (a width that does not fit, a net driven twice) panic and name module
//! and net. Never prints, never runs.

mod memory;

use super::expr::{Expr, Sig, lit, lit_words, slit};
use super::leaf::{Contract, Leaf, Net, NetKind, UNUSED};
use super::memory::addr_bits;
use super::module::Module;
use super::part::{Connection, Instance, Part};
use super::stmt::{Stmt, set, when};
use super::value::Value;
use super::{check, names, words};
use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

/// One leaf module being built. Every kernel has the inputs `clk` and `rst` (synchronous, high).
#[derive(Clone, Debug)]
pub struct Kernel {
    leaf: Leaf,
    /// Names in use, of nets and memories.
    names: HashSet<String>,
}

static NEXT_TAG: AtomicU32 = AtomicU32::new(0);

impl Kernel {
    /// Begins an empty leaf. `note` becomes the header comment: purpose, formula, order of elements, latency,
    /// interval.
    pub fn new(name: &str, note: &str) -> Kernel {
        names::check(name, "module");
        let tag = NEXT_TAG.fetch_add(1, Ordering::Relaxed);
        let leaf = Leaf {
            name: name.into(),
            note: note.into(),
            nets: vec![],
            blocks: vec![],
            memories: vec![],
            unused: vec![],
            contract: vec![],
            parts: vec![],
            tag,
        };
        let mut kernel = Kernel { leaf, names: HashSet::new() };
        kernel.input("clk", 1);
        kernel.input("rst", 1);
        kernel
    }

    /// Returns the `rst` input, for the rare logic that looks at it.
    pub fn rst(&self) -> Sig {
        self.leaf.rst()
    }

    /// Adds an input port of `width` bits.
    pub fn input(&mut self, name: &str, width: usize) -> Sig {
        self.net(name, width, false, NetKind::Input)
    }

    /// Adds an output port of `width` bits; drive it with [`Kernel::drive`].
    pub fn output(&mut self, name: &str, width: usize) -> Sig {
        self.net(name, width, false, NetKind::Output(None))
    }

    /// Adds a named wire for `value`, of its width and sign.
    pub fn wire(&mut self, name: &str, value: impl Into<Expr>) -> Sig {
        let value = value.into();
        self.own(&value, name);
        self.net(name, value.width, value.signed, NetKind::Wire(Some(value)))
    }

    /// Adds a wire that is driven later, by [`Kernel::drive`].
    pub fn later(&mut self, name: &str, width: usize, signed: bool) -> Sig {
        self.net(name, width, signed, NetKind::Wire(None))
    }

    /// Drives an output or a [`Kernel::later`] wire. In any order: assigns are sorted, and cycles found, at
    /// build.
    pub fn drive(&mut self, target: Sig, value: impl Into<Expr>) {
        let value = value.into();
        let name = self.leaf.net(target).name.clone();
        self.own(&value, &name);
        assert!(
            value.width == target.width,
            "{}.{name}: {} bits driven by {}",
            self.leaf.name,
            target.width,
            value.width
        );
        let module = &self.leaf.name;
        match &mut self.leaf.nets[target.id as usize].kind {
            NetKind::Output(slot @ None) | NetKind::Wire(slot @ None) => *slot = Some(value),
            NetKind::Output(_) | NetKind::Wire(_) => panic!("{module}.{name}: driven twice"),
            _ => panic!("{module}.{name}: only outputs and later() wires are driven"),
        }
    }

    /// Adds a wire that is `items[index]`, or 0 beyond the last item; it is printed as a `case`. All items
    /// have one width and sign. Any `index` is allowed.
    pub fn select(&mut self, name: &str, index: impl Into<Expr>, items: Vec<Expr>) -> Sig {
        let index = index.into();
        let first =
            items.first().unwrap_or_else(|| panic!("{}.{name}: selection from nothing", self.leaf.name));
        let (width, signed) = (first.width, first.signed);
        assert!(
            items.iter().all(|item| item.width == width && item.signed == signed),
            "{}.{name}: items of different widths or signs",
            self.leaf.name
        );
        assert!(
            index.width >= addr_bits(items.len()) && index.width <= 32,
            "{}.{name}: index of {} bits for {} items",
            self.leaf.name,
            index.width,
            items.len()
        );
        self.own(&index, name);
        items.iter().for_each(|item| self.own(item, name));
        if index.literal().is_some() || items.len() == 1 {
            let at = index.literal().map_or(0, |value| value[0] as usize);
            let zero = || Expr { signed, ..lit_words(&vec![0; words::words_for(width)], width) };
            let hit = items.get(at).cloned().unwrap_or_else(zero);
            let value = if index.literal().is_some() { hit } else { index.eq_to(0).mux(hit, zero()) };
            return self.wire(name, value);
        }
        self.net(name, width, signed, NetKind::Case { index, items })
    }

    /// Adds a small constant table that is read within the clock: `table[index]`, 0 beyond its end. It is a
    /// `case`.
    pub fn table(&mut self, name: &str, index: impl Into<Expr>, word_bits: usize, data: &[Vec<u64>]) -> Sig {
        let items = data.iter().map(|word| lit_words(word, word_bits)).collect();
        self.select(name, index, items)
    }

    /// Adds an unsigned register, `<name>_q` in Verilog; with `reset`, that is its value after `rst`.
    /// Registers without reset power up undefined.
    pub fn reg(&mut self, name: &str, width: usize, reset: Option<u64>) -> Sig {
        let reset = reset.map(|value| lit(value, width).literal().expect("a literal").to_vec());
        self.net(&format!("{name}_q"), width, false, NetKind::Reg(reset))
    }

    /// Adds a signed register, `<name>_q` in Verilog.
    pub fn reg_signed(&mut self, name: &str, width: usize, reset: Option<i64>) -> Sig {
        let reset = reset.map(|value| slit(value, width).literal().expect("a literal").to_vec());
        self.net(&format!("{name}_q"), width, true, NetKind::Reg(reset))
    }

    /// Returns `value` a cycle later: an unsigned register without reset.
    pub fn held(&mut self, name: &str, value: impl Into<Expr>) -> Sig {
        let value = value.into();
        let reg = self.reg(name, value.width(), None);
        self.next(reg, None, value.unsigned());
        reg
    }

    /// Does as [`Kernel::held`], with a register that synthesis merges with no other of the same
    /// value: each copy stays close to what it reaches.
    pub fn copy(&mut self, name: &str, value: impl Into<Expr>) -> Sig {
        let reg = self.held(name, value);
        self.leaf.nets[reg.id as usize].kept = true;
        reg
    }

    /// Adds a clocked process (`always @(posedge clk)`). Each register belongs to exactly one; the reset of
    /// those that have one is printed at its end and wins. Registers without reset follow their statements
    /// under `rst` as well.
    pub fn clocked(&mut self, body: impl Into<Vec<Stmt>>) {
        let body = body.into();
        self.own_block(&body);
        self.leaf.blocks.push(body);
    }

    /// Adds a process of its own for `reg <= value`, at every edge or where `enable` is high.
    pub fn next(&mut self, reg: Sig, enable: Option<Expr>, value: impl Into<Expr>) {
        let body = set(reg, value);
        self.clocked(match enable {
            Some(enable) => vec![when(enable, [body])],
            None => vec![body],
        });
    }

    /// Declares bits as unread on purpose (the low bits of a rounded product, say); without it, a bit that
    /// nothing reads is an error at build.
    pub fn unused(&mut self, value: impl Into<Expr>) {
        let value = value.into();
        self.own(&value, "unused");
        self.leaf.unused.push(value);
    }

    /// Adds a wire of the contract: printed under `FORMAL` alone, simulated nowhere.
    pub fn contract_wire(&mut self, name: &str, value: impl Into<Expr>) {
        let value = value.into();
        self.own(&value, name);
        self.leaf.contract.push(Contract::Wire(name.into(), value));
    }

    /// Adds lines of the contract: Verilog for yosys-smtbmc, printed under `FORMAL` alone. Nets are named as
    /// in the module.
    pub fn contract(&mut self, text: &str) {
        self.leaf.contract.push(Contract::Text(text.into()));
    }

    /// Adds an instance of a module of the library. `build` describes the same circuit for all but the
    /// printer: it drives the nets that outputs of the instance are connected to, and reads nothing but what
    /// its inputs are connected to.
    pub fn part(&mut self, instance: Instance, build: impl FnOnce(&mut Kernel)) {
        for (port, connection) in &instance.ports {
            match connection {
                Connection::In(value) => self.own(value, port),
                Connection::Out(sig) => {
                    self.leaf.net(*sig);
                }
            }
        }
        let count = |leaf: &Leaf| (leaf.nets.len(), leaf.blocks.len(), leaf.memories.len());
        let (nets, blocks, memories) = count(&self.leaf);
        build(self);
        let (nets_end, blocks_end, memories_end) = count(&self.leaf);
        self.leaf.parts.push(Part {
            instance,
            nets: nets..nets_end,
            blocks: blocks..blocks_end,
            memories: memories..memories_end,
        });
    }

    /// Puts a comment above the net's declaration.
    pub fn comment(&mut self, target: Sig, text: &str) {
        self.leaf.net(target);
        self.leaf.nets[target.id as usize].note = text.into();
    }

    /// Checks the whole (every net driven once and every bit read, no combinational cycle) and seals it.
    ///
    /// # Panics
    /// Panics on a programming error, naming module and nets; a cycle is shown as a path.
    pub fn build(self) -> Module {
        check::leaf(&self.leaf);
        Module::leaf(self.leaf)
    }

    fn net(&mut self, name: &str, width: usize, signed: bool, kind: NetKind) -> Sig {
        self.claim(name);
        assert!(width > 0, "{}.{name}: width 0", self.leaf.name);
        let sig = Sig { kernel: self.leaf.tag, id: self.leaf.nets.len() as u32, width, signed };
        self.leaf.nets.push(Net { name: name.into(), sig, kind, note: String::new(), kept: false });
        sig
    }

    fn claim(&mut self, name: &str) {
        names::check(name, &self.leaf.name);
        let fresh = self.names.insert(name.into()) && name != UNUSED && name != self.leaf.name;
        assert!(fresh, "{}.{name}: declared twice", self.leaf.name);
    }

    fn own_block(&self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Set(reg, value) => {
                    let decl = self.leaf.net(*reg);
                    let name = &decl.name;
                    assert!(matches!(decl.kind, NetKind::Reg(_)), "{}.{name}: no register", self.leaf.name);
                    self.own(value, name);
                }
                Stmt::If(cond, then, otherwise) => {
                    self.own(cond, "condition");
                    self.own_block(then);
                    self.own_block(otherwise);
                }
                Stmt::Note(_) => {}
            }
        }
    }

    /// Panics if `value` reads a net of another kernel.
    fn own(&self, value: &Expr, place: &str) {
        value.nets(&mut |sig, _, _| {
            assert!(sig.kernel == self.leaf.tag, "{}.{place}: reads a net of another kernel", self.leaf.name)
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtl::ir::part::Library;
    use crate::rtl::ir::value::cat;

    #[test]
    #[should_panic(expected = "demo: combinational cycle a -> b -> a")]
    fn a_combinational_cycle_is_named() {
        let mut k = Kernel::new("demo", "");
        let (y, a) = (k.output("y", 1), k.later("a", 1, false));
        let b = k.wire("b", !a);
        k.drive(a, !b);
        k.drive(y, a);
        k.build();
    }

    #[test]
    #[should_panic(expected = "demo: nothing reads x (3 bits within [7:2])")]
    fn dead_bits_are_named() {
        let mut k = Kernel::new("demo", "");
        let (x, y) = (k.input("x", 8), k.output("y", 5));
        k.drive(y, cat([x.slice(3, 3), x.slice(0, 2)]));
        k.build();
    }

    #[test]
    #[should_panic(expected = "demo: `hidden_q` is read across the border of a part")]
    fn what_is_inside_a_part_stays_inside() {
        static LIBRARY: Library = Library { name: "demo_part", text: "" };
        let mut k = Kernel::new("demo", "");
        let (x, y) = (k.input("x", 1), k.output("y", 1));
        let ports = vec![("x", Connection::In(x.into()))];
        let instance = Instance { library: &LIBRARY, name: "part".into(), parameters: vec![], ports };
        let mut hidden = None;
        k.part(instance, |k| hidden = Some(k.held("hidden", x)));
        k.drive(y, hidden.unwrap());
        k.build();
    }

    #[test]
    #[should_panic(expected = "demo: `z` is read across the border of a part")]
    fn what_a_part_reads_is_connected() {
        static LIBRARY: Library = Library { name: "demo_part", text: "" };
        let mut k = Kernel::new("demo", "");
        let (x, z, y) = (k.input("x", 1), k.input("z", 1), k.output("y", 1));
        let ports = vec![("x", Connection::In(x.into())), ("y", Connection::Out(y))];
        let instance = Instance { library: &LIBRARY, name: "part".into(), parameters: vec![], ports };
        k.part(instance, |k| k.drive(y, x & z));
        k.build();
    }

    #[test]
    #[should_panic(expected = "demo.r_q: assigned in two clocked processes")]
    fn a_register_lives_in_one_process() {
        let mut k = Kernel::new("demo", "");
        let (y, r) = (k.output("y", 1), k.reg("r", 1, Some(0)));
        k.drive(y, r);
        k.clocked([set(r, lit(1, 1))]);
        k.clocked([set(r, r.not())]);
        k.build();
    }
}
