//! A leaf as a plain record: its nets and what drives each, its memories, its clocked processes.
//!
//! A net without state follows its expression within a clock. At a rising edge of `clk` every process, read
//! port and write port computes from the values before the edge; then all registers and memories take their
//! new values at once. In a process later statements win, and a register with a reset value takes that value
//! where `rst` is high, whatever the statements say. [`super::kernel::Kernel`] builds the record; once it is
//! sealed nobody changes it.

use super::expr::{Expr, Sig};
use super::memory::{Memory, Read};
use super::part::Part;
use super::port::Direction;
use super::stmt::Stmt;

/// A module of logic: no other module is inside it.
#[derive(Clone, Debug)]
pub(crate) struct Leaf {
    pub name: String,
    /// The header comment.
    pub note: String,
    /// Nets by their number; `clk` is net 0 and `rst` is net 1.
    pub nets: Vec<Net>,
    /// Clocked processes. A register is assigned in one of them alone.
    pub blocks: Vec<Vec<Stmt>>,
    pub memories: Vec<Memory>,
    /// What nothing reads, on purpose.
    pub unused: Vec<Expr>,
    pub contract: Vec<Contract>,
    /// What is printed as instances of the library.
    pub parts: Vec<Part>,
    /// Tells nets of this leaf from those of all others.
    pub tag: u32,
}

/// A net, by its Verilog name.
#[derive(Clone, Debug)]
pub(crate) struct Net {
    pub name: String,
    pub sig: Sig,
    pub kind: NetKind,
    /// Comment above its declaration.
    pub note: String,
    /// Whether synthesis must leave it as it is.
    pub kept: bool,
}

/// What gives a net its value.
#[derive(Clone, Debug)]
pub(crate) enum NetKind {
    /// Whoever instantiates the leaf.
    Input,
    /// This expression; none until it is set.
    Output(Option<Expr>),
    /// This expression; none until it is set.
    Wire(Option<Expr>),
    /// Item `index`, or 0 where the index is beyond the last item.
    Case { index: Expr, items: Vec<Expr> },
    /// The clocked process that assigns it. With a value here, that is what it takes under reset; without one
    /// it powers up undefined and knows no reset.
    Reg(Option<Vec<u64>>),
    /// The read port of this memory.
    MemRead(usize),
}

/// What a leaf promises, for proofs: printed under `FORMAL` alone, simulated nowhere.
#[derive(Clone, Debug)]
pub(crate) enum Contract {
    Wire(String, Expr),
    Text(String),
}

/// The wire that takes what nothing reads.
pub(crate) const UNUSED: &str = "unused_ok";

impl Leaf {
    /// Returns ports in order of declaration: name, width, direction.
    pub(crate) fn ports(&self) -> impl Iterator<Item = (&str, usize, Direction)> {
        self.nets.iter().filter_map(|net| match net.kind {
            NetKind::Input => Some((net.name.as_str(), net.sig.width, Direction::In)),
            NetKind::Output(_) => Some((net.name.as_str(), net.sig.width, Direction::Out)),
            _ => None,
        })
    }

    /// Returns the net of `sig`.
    ///
    /// # Panics
    /// Panics if it is one of another leaf.
    pub(crate) fn net(&self, sig: Sig) -> &Net {
        assert!(sig.kernel == self.tag, "{}: a net of another kernel", self.name);
        &self.nets[sig.id as usize]
    }

    /// Returns the `rst` input.
    pub(crate) fn rst(&self) -> Sig {
        self.nets[1].sig
    }

    /// Says whether anything uses the clock, and whether anything uses the reset.
    pub(crate) fn uses_clk_rst(&self) -> (bool, bool) {
        let clocked = |memory: &Memory| memory.write.is_some() || matches!(memory.read, Read::Sync { .. });
        let clk = !self.blocks.is_empty() || self.memories.iter().any(clocked);
        let resets = self.nets.iter().any(|net| matches!(net.kind, NetKind::Reg(Some(_))));
        let mut reads = false;
        self.reads(&mut |sig, _, _| reads |= sig.id == self.rst().id);
        (clk, resets || reads)
    }

    /// Visits everything that logic reads, `unused` aside: net, first bit, number of bits.
    pub(crate) fn reads(&self, visit: &mut dyn FnMut(Sig, usize, usize)) {
        self.nets.iter().for_each(|net| net.reads(visit));
        self.memories.iter().for_each(|memory| memory.reads(visit));
        self.blocks.iter().for_each(|body| block_reads(body, visit));
    }

    /// Returns the part that net `id` is inside of, or is driven by.
    pub(crate) fn part_of(&self, id: usize) -> Option<&Part> {
        self.parts.iter().find(|part| part.makes(id))
    }
}

impl Net {
    /// Visits what drives it within a clock, memories aside.
    pub(crate) fn reads(&self, visit: &mut dyn FnMut(Sig, usize, usize)) {
        match &self.kind {
            NetKind::Output(Some(value)) | NetKind::Wire(Some(value)) => value.nets(visit),
            NetKind::Case { index, items } => {
                index.nets(visit);
                items.iter().for_each(|item| item.nets(visit));
            }
            _ => {}
        }
    }
}

/// Visits everything that a clocked process reads.
pub(crate) fn block_reads(body: &[Stmt], visit: &mut dyn FnMut(Sig, usize, usize)) {
    for stmt in body {
        match stmt {
            Stmt::Set(_, value) => value.nets(visit),
            Stmt::If(cond, then, otherwise) => {
                cond.nets(visit);
                block_reads(then, visit);
                block_reads(otherwise, visit);
            }
            Stmt::Note(_) => {}
        }
    }
}

/// Visits the registers that `body` assigns, once for each assignment.
pub(crate) fn assigned(body: &[Stmt], visit: &mut dyn FnMut(Sig)) {
    for stmt in body {
        match stmt {
            Stmt::Set(reg, _) => visit(*reg),
            Stmt::If(_, then, otherwise) => {
                assigned(then, visit);
                assigned(otherwise, visit);
            }
            Stmt::Note(_) => {}
        }
    }
}
