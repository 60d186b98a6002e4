//! `Kernel`: the builder of one leaf module: ports, wires, registers, memories and clocked statements.
//!
//! It only collects; [`Kernel::build`] checks the whole and gives the immutable [`Module`] that is printed and
//! simulated. Programming errors (a width that does not fit, a net driven twice) panic and name module and net.
//! Never prints, never runs.

use super::check;
use super::expr::{Expr, Sig, Value, lit_words};
use super::memory::{Memory, Read, RomImage, Style, Write, addr_bits};
use super::module::{Direction, Module};
use super::names;
use super::stmt::{Stmt, set, when};
use super::words;
use std::collections::HashSet;
use std::sync::atomic::{AtomicU32, Ordering};

/// One leaf module being built. Every kernel has the inputs `clk` and `rst` (synchronous, high).
#[derive(Clone, Debug)]
pub struct Kernel {
    pub(crate) name: String,
    pub(crate) note: String,
    pub(crate) nets: Vec<NetDecl>,
    pub(crate) blocks: Vec<Vec<Stmt>>,
    pub(crate) memories: Vec<Memory>,
    pub(crate) unused: Vec<Expr>,
    pub(crate) contract: Vec<Contract>,
    /// Names in use, of nets and memories.
    names: HashSet<String>,
    tag: u32,
}

/// A net of a kernel, by its Verilog name.
#[derive(Clone, Debug)]
pub(crate) struct NetDecl {
    pub name: String,
    pub sig: Sig,
    pub kind: NetKind,
    pub note: String,
    /// Synthesis leaves it as it is.
    pub kept: bool,
}

#[derive(Clone, Debug)]
pub(crate) enum NetKind {
    Input,
    /// Driven by this expression; none until it is set.
    Output(Option<Expr>),
    Wire(Option<Expr>),
    /// Driven by a `case` over `index`: item i, or 0 beyond the last.
    Case {
        index: Expr,
        items: Vec<Expr>,
    },
    /// Register with its reset value.
    Reg(Option<Vec<u64>>),
    /// The read port of this memory: clocked or not.
    MemRead(usize),
}

/// What a module promises, for proofs.
#[derive(Clone, Debug)]
pub(crate) enum Contract {
    Wire(String, Expr),
    Text(String),
}

/// The wire that takes what nothing reads.
pub(crate) const UNUSED: &str = "unused_ok";

static NEXT_TAG: AtomicU32 = AtomicU32::new(0);

impl Kernel {
    /// An empty leaf. `note` becomes the header comment: purpose, formula, order of elements, latency, interval.
    pub fn new(name: &str, note: &str) -> Kernel {
        names::check(name, "module");
        let tag = NEXT_TAG.fetch_add(1, Ordering::Relaxed);
        let mut kernel = Kernel {
            name: name.into(),
            note: note.into(),
            nets: vec![],
            blocks: vec![],
            memories: vec![],
            unused: vec![],
            contract: vec![],
            names: HashSet::new(),
            tag,
        };
        kernel.input("clk", 1);
        kernel.input("rst", 1);
        kernel
    }

    /// The `rst` input, for the rare logic that looks at it.
    pub fn rst(&self) -> Sig {
        self.nets[1].sig
    }

    /// Input port.
    pub fn input(&mut self, name: &str, width: usize) -> Sig {
        self.net(name, width, false, NetKind::Input)
    }

    /// Output port; drive it with [`Kernel::drive`].
    pub fn output(&mut self, name: &str, width: usize) -> Sig {
        self.net(name, width, false, NetKind::Output(None))
    }

    /// A named wire for `value`, of its width and sign.
    pub fn wire(&mut self, name: &str, value: impl Into<Expr>) -> Sig {
        let value = value.into();
        self.own(&value, name);
        self.net(name, value.width, value.signed, NetKind::Wire(Some(value)))
    }

    /// A wire that is driven later, by [`Kernel::drive`].
    pub fn later(&mut self, name: &str, width: usize, signed: bool) -> Sig {
        self.net(name, width, signed, NetKind::Wire(None))
    }

    /// Drives an output or a [`Kernel::later`] wire. In any order: assigns are sorted, and cycles found, at build.
    pub fn drive(&mut self, target: Sig, value: impl Into<Expr>) {
        let value = value.into();
        let name = self.decl(target).name.clone();
        self.own(&value, &name);
        assert!(
            value.width == target.width,
            "{}.{name}: {} bits driven by {}",
            self.name,
            target.width,
            value.width
        );
        let module = &self.name;
        match &mut self.nets[target.id as usize].kind {
            NetKind::Output(slot @ None) | NetKind::Wire(slot @ None) => *slot = Some(value),
            NetKind::Output(_) | NetKind::Wire(_) => panic!("{module}.{name}: driven twice"),
            _ => panic!("{module}.{name}: only outputs and later() wires are driven"),
        }
    }

    /// A wire that is `items[index]`, or 0 beyond the last item; printed as a `case`. All items have one width and
    /// sign. Sound for any `index`.
    pub fn select(&mut self, name: &str, index: impl Into<Expr>, items: Vec<Expr>) -> Sig {
        let index = index.into();
        let first = items.first().unwrap_or_else(|| panic!("{}.{name}: selection from nothing", self.name));
        let (width, signed) = (first.width, first.signed);
        assert!(
            items.iter().all(|item| item.width == width && item.signed == signed),
            "{}.{name}: items of different widths or signs",
            self.name
        );
        assert!(
            index.width >= addr_bits(items.len()) && index.width <= 32,
            "{}.{name}: index of {} bits for {} items",
            self.name,
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

    /// A small constant table, read combinationally: `table[index]`, 0 beyond its end; printed as a `case`.
    pub fn table(&mut self, name: &str, index: impl Into<Expr>, word_bits: usize, data: &[Vec<u64>]) -> Sig {
        let items = data.iter().map(|word| lit_words(word, word_bits)).collect();
        self.select(name, index, items)
    }

    /// An unsigned register, `<name>_q` in Verilog; with `reset`, that is its value after `rst`.
    /// Registers without reset power up undefined.
    pub fn reg(&mut self, name: &str, width: usize, reset: Option<u64>) -> Sig {
        let reset = reset.map(|value| super::expr::lit(value, width).literal().expect("a literal").to_vec());
        self.net(&format!("{name}_q"), width, false, NetKind::Reg(reset))
    }

    /// A signed register, `<name>_q` in Verilog.
    pub fn reg_signed(&mut self, name: &str, width: usize, reset: Option<i64>) -> Sig {
        let reset = reset.map(|value| super::expr::slit(value, width).literal().expect("a literal").to_vec());
        self.net(&format!("{name}_q"), width, true, NetKind::Reg(reset))
    }

    /// `value` a cycle later: an unsigned register without reset.
    pub fn held(&mut self, name: &str, value: impl Into<Expr>) -> Sig {
        let value = value.into();
        let reg = self.reg(name, value.width(), None);
        self.next(reg, None, value.unsigned());
        reg
    }

    /// As [`Kernel::held`], in a register that synthesis merges with no other of the same
    /// value: each copy stays close to what it reaches.
    pub fn copy(&mut self, name: &str, value: impl Into<Expr>) -> Sig {
        let reg = self.held(name, value);
        self.nets[reg.id as usize].kept = true;
        reg
    }

    /// One clocked process (`always @(posedge clk)`). Each register belongs to exactly one; the reset of those that
    /// have one is printed at its end and wins. Registers without reset follow their statements under `rst` as well.
    pub fn clocked(&mut self, body: impl Into<Vec<Stmt>>) {
        let body = body.into();
        self.own_block(&body);
        self.blocks.push(body);
    }

    /// `reg <= value` at every edge, or where `enable` is high: a process of its own.
    pub fn next(&mut self, reg: Sig, enable: Option<Expr>, value: impl Into<Expr>) {
        let body = set(reg, value);
        self.clocked(match enable {
            Some(enable) => vec![when(enable, [body])],
            None => vec![body],
        });
    }

    /// A RAM of `words` words; gives its read data (`<name>_q` if synchronous, else `<name>_d`), unsigned.
    /// Powers up undefined. Addresses at or beyond `words` must not be used.
    pub fn ram(
        &mut self,
        name: &str,
        word_bits: usize,
        words: usize,
        style: Style,
        write: Write,
        read: Read,
    ) -> Sig {
        self.check_write(name, word_bits, words, &write);
        self.memory(name, word_bits, words, style, Some(write), read, None)
    }

    /// A ROM; gives its read data (`<name>_q` if synchronous, else `<name>_d`), unsigned. `data` holds the words one
    /// after another, each `word_bits.div_ceil(64)` little-endian `u64`s; it is emitted as `file` and loaded by
    /// `$readmemh`. Two ROMs of one design share a file name only if they share its contents.
    pub fn rom(
        &mut self,
        name: &str,
        word_bits: usize,
        data: Vec<u64>,
        style: Style,
        read: Read,
        file: &str,
    ) -> Sig {
        assert!(style != Style::Spram, "{}.{name}: a ROM that nothing fills", self.name);
        let (count, image) = self.image(name, word_bits, data, file);
        self.memory(name, word_bits, count, style, None, read, Some(image))
    }

    /// A RAM with contents: a [`Kernel::rom`] that can be written as well. Where it lies in LUTs a family may not be
    /// able to fill it at configuration; in block RAM all can.
    #[expect(clippy::too_many_arguments, reason = "a ROM and its write port")]
    pub fn filled_ram(
        &mut self,
        name: &str,
        word_bits: usize,
        data: Vec<u64>,
        style: Style,
        write: Write,
        read: Read,
        file: &str,
    ) -> Sig {
        let (count, image) = self.image(name, word_bits, data, file);
        self.check_write(name, word_bits, count, &write);
        self.memory(name, word_bits, count, style, Some(write), read, Some(image))
    }

    /// Declares bits as unread on purpose (the low bits of a rounded product, say); without it, a bit that nothing
    /// reads is an error at build.
    pub fn unused(&mut self, value: impl Into<Expr>) {
        let value = value.into();
        self.own(&value, "unused");
        self.unused.push(value);
    }

    /// A wire of the contract: printed under `FORMAL` alone, simulated nowhere.
    pub fn contract_wire(&mut self, name: &str, value: impl Into<Expr>) {
        let value = value.into();
        self.own(&value, name);
        self.contract.push(Contract::Wire(name.into(), value));
    }

    /// Lines of the contract: Verilog for yosys-smtbmc, printed under `FORMAL` alone. Nets are named as in the module.
    pub fn contract(&mut self, text: &str) {
        self.contract.push(Contract::Text(text.into()));
    }

    /// A comment above the net's declaration.
    pub fn comment(&mut self, target: Sig, text: &str) {
        self.decl(target);
        self.nets[target.id as usize].note = text.into();
    }

    /// Checks the whole (every net driven once and every bit read, no combinational cycle) and seals it.
    ///
    /// # Panics
    /// Panics on a programming error, naming module and nets; a cycle is shown as a path.
    pub fn build(self) -> Module {
        check::kernel(&self);
        Module::leaf(self)
    }

    fn net(&mut self, name: &str, width: usize, signed: bool, kind: NetKind) -> Sig {
        self.claim(name);
        assert!(width > 0, "{}.{name}: width 0", self.name);
        let sig = Sig { kernel: self.tag, id: self.nets.len() as u32, width, signed };
        self.nets.push(NetDecl { name: name.into(), sig, kind, note: String::new(), kept: false });
        sig
    }

    /// Checks the contents of a memory; gives its number of words and its image.
    fn image(&self, name: &str, word_bits: usize, data: Vec<u64>, file: &str) -> (usize, RomImage) {
        let stride = words::words_for(word_bits);
        assert!(
            !data.is_empty() && data.len().is_multiple_of(stride),
            "{}.{name}: {} u64s are no words of {word_bits} bits",
            self.name,
            data.len()
        );
        assert!(
            data.chunks(stride).all(|word| word[stride - 1] & !words::top_mask(word_bits) == 0),
            "{}.{name}: a word does not fit {word_bits} bits",
            self.name
        );
        (data.len() / stride, RomImage { file: file.into(), data })
    }

    fn check_write(&self, name: &str, word_bits: usize, words: usize, write: &Write) {
        assert!(
            write.data.width == word_bits,
            "{}.{name}: {} bits written to words of {word_bits}",
            self.name,
            write.data.width
        );
        assert!(write.enable.width == 1, "{}.{name}: write enable of {} bits", self.name, write.enable.width);
        self.check_addr(name, &write.addr, words);
        [&write.enable, &write.addr, &write.data].into_iter().for_each(|value| self.own(value, name));
    }

    #[expect(clippy::too_many_arguments, reason = "the one place where both kinds of memory meet")]
    fn memory(
        &mut self,
        name: &str,
        word_bits: usize,
        words: usize,
        style: Style,
        write: Option<Write>,
        read: Read,
        image: Option<RomImage>,
    ) -> Sig {
        self.claim(name);
        let suffix = match &read {
            Read::Sync { enable, addr } => {
                assert!(enable.width == 1, "{}.{name}: read enable of {} bits", self.name, enable.width);
                self.own(enable, name);
                self.check_addr(name, addr, words);
                "q"
            }
            Read::Async { addr } => {
                assert!(style != Style::Block, "{}.{name}: block RAM has no asynchronous read", self.name);
                self.check_addr(name, addr, words);
                "d"
            }
        };
        let out =
            self.net(&format!("{name}_{suffix}"), word_bits, false, NetKind::MemRead(self.memories.len()));
        self.memories.push(Memory { name: name.into(), word_bits, words, style, write, read, out, image });
        out
    }

    fn claim(&mut self, name: &str) {
        names::check(name, &self.name);
        let fresh = self.names.insert(name.into()) && name != UNUSED && name != self.name;
        assert!(fresh, "{}.{name}: declared twice", self.name);
    }

    fn check_addr(&self, name: &str, addr: &Expr, words: usize) {
        self.own(addr, name);
        assert!(
            words > 0 && addr.width == addr_bits(words),
            "{}.{name}: address of {} bits for {words} words",
            self.name,
            addr.width
        );
    }

    fn own_block(&self, body: &[Stmt]) {
        for stmt in body {
            match stmt {
                Stmt::Set(reg, value) => {
                    let decl = self.decl(*reg);
                    let name = &decl.name;
                    assert!(matches!(decl.kind, NetKind::Reg(_)), "{}.{name}: no register", self.name);
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

    pub(crate) fn decl(&self, sig: Sig) -> &NetDecl {
        assert!(sig.kernel == self.tag, "{}: a net of another kernel", self.name);
        &self.nets[sig.id as usize]
    }

    /// Panics if `value` reads a net of another kernel.
    fn own(&self, value: &Expr, place: &str) {
        value.nets(&mut |sig, _, _| {
            assert!(sig.kernel == self.tag, "{}.{place}: reads a net of another kernel", self.name)
        });
    }

    /// Ports in order of declaration: name, width, direction.
    pub(crate) fn ports(&self) -> impl Iterator<Item = (&str, usize, Direction)> {
        self.nets.iter().filter_map(|net| match net.kind {
            NetKind::Input => Some((net.name.as_str(), net.sig.width, Direction::In)),
            NetKind::Output(_) => Some((net.name.as_str(), net.sig.width, Direction::Out)),
            _ => None,
        })
    }
}
