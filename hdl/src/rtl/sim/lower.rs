//! Compiles expressions into instructions. Never knows which net or process they are for.

use super::compiler::Compiler;
use super::image::{Array, Place};
use super::ops::Op;
use crate::rtl::ir::expr::{Bin, Expr, Node, Reduce, Sig};
use crate::rtl::ir::words::{mask, words_for};

/// Says where a value of up to 64 bits is: its place, or the instruction (whose target is still open) that
/// makes it.
enum Narrow {
    At(u32),
    By(Op),
}

impl Compiler<'_> {
    /// Returns where the value of `expr` can be read: a net's or constant's own place, or one where it was
    /// computed before, or a temporary.
    pub fn value(&mut self, expr: &Expr, nets: &[usize]) -> u32 {
        match &*expr.node {
            Node::Net(sig) => self.net(*sig, nets),
            Node::Lit { value, .. } => self.constant(value) as u32,
            _ if expr.width <= 64 => match self.narrow(expr, nets) {
                Narrow::At(at) => at,
                Narrow::By(op) => self.computed(op),
            },
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

    /// Evaluates `expr` into the words from `to` on, which it must not read.
    pub fn value_into(&mut self, expr: &Expr, nets: &[usize], to: usize) {
        if expr.width <= 64 {
            match self.narrow(expr, nets) {
                Narrow::At(from) => self.copy(to, from as usize, expr.width),
                Narrow::By(op) => self.computed_into(op, to as u32),
            }
            return;
        }
        let (width, target) = (expr.width as u32, to as u32);
        match &*expr.node {
            Node::Net(_) | Node::Lit { .. } => {
                let from = self.value(expr, nets) as usize;
                self.copy(to, from, expr.width);
            }
            Node::Slice(sig, offset) => {
                let a = self.net(*sig, nets);
                let (words, offset) = (words_for(sig.width) as u32, *offset as u32);
                self.ops.push(Op::SliceWide { to: target, a, words, offset, width });
            }
            Node::Not(a) => {
                let a = self.value(a, nets);
                self.ops.push(Op::NotWide { to: target, a, width });
            }
            Node::Reduce(..) => unreachable!("a reduction has one bit"),
            Node::Bin(op, a, b) => {
                let (a, b) = (self.value(a, nets), self.value(b, nets));
                self.ops.push(Op::BinWide { to: target, a, b, width, op: *op });
            }
            Node::Mux(cond, a, b) => {
                let cond = self.value(cond, nets);
                let (a, b) = (self.value(a, nets), self.value(b, nets));
                self.ops.push(Op::MuxWide { to: target, cond, a, b, words: words_for(expr.width) as u32 });
            }
            Node::Ext(a) => {
                let from = self.value(a, nets);
                let (width_from, signed) = (a.width as u32, a.signed);
                self.ops.push(Op::ExtWide { to: target, a: from, from: width_from, width, signed });
            }
            Node::Cat(parts) => self.cat_wide(parts, expr.width, nets, target),
        }
    }

    /// Returns the value of `expr`, of up to 64 bits; its operands are evaluated on the way.
    fn narrow(&mut self, expr: &Expr, nets: &[usize]) -> Narrow {
        let to = 0;
        Narrow::By(match &*expr.node {
            Node::Net(_) | Node::Lit { .. } => return Narrow::At(self.value(expr, nets)),
            Node::Slice(sig, offset) => {
                let (word, shift) = ((offset / 64) as u32, (offset % 64) as u32);
                let (a, mask) = (self.net(*sig, nets) + word, mask(expr.width));
                if shift as usize + expr.width > 64 {
                    Op::FieldSplit { to, a, shift, mask }
                } else {
                    Op::Field { to, a, shift, mask }
                }
            }
            Node::Not(a) => Op::Not { to, a: self.value(a, nets), mask: mask(expr.width) },
            Node::Reduce(op, a) => {
                let from = self.value(a, nets);
                match (op, a.width > 64) {
                    (Reduce::And, false) => Op::All { to, a: from, mask: mask(a.width) },
                    (Reduce::Or, false) => Op::Any { to, a: from },
                    (Reduce::Xor, false) => Op::Parity { to, a: from },
                    (op, true) => Op::ReduceWide { to, a: from, width: a.width as u32, op: *op },
                }
            }
            Node::Bin(op, a, b) => {
                let (x, y) = (self.value(a, nets), self.value(b, nets));
                binary(*op, x, y, a)
            }
            Node::Mux(cond, a, b) => {
                let cond = self.value(cond, nets);
                let (a, b) = (self.value(a, nets), self.value(b, nets));
                Op::Mux { to, cond, a, b }
            }
            // Canonical narrow values are zero-extended already.
            Node::Ext(a) if !a.signed => return Narrow::At(self.value(a, nets)),
            Node::Ext(a) => {
                let (down, mask) = (64 - a.width as u8, mask(expr.width));
                if let Node::Slice(sig, offset) = &*a.node {
                    let (word, shift) = ((offset / 64) as u32, offset % 64);
                    if shift + a.width <= 64 {
                        let a = self.net(*sig, nets) + word;
                        return Narrow::By(Op::Sext { to, a, up: down - shift as u8, down, mask });
                    }
                }
                Op::Sext { to, a: self.value(a, nets), up: down, down, mask }
            }
            Node::Cat(parts) => return self.cat(parts, nets),
        })
    }

    /// Joins parts from the lowest on, each to those below it.
    fn cat(&mut self, parts: &[Expr], nets: &[usize]) -> Narrow {
        let (mut below, mut shift) = (None, 0);
        for part in parts.iter().rev() {
            if part.literal().is_none_or(|value| value != [0]) {
                let a = self.value(part, nets);
                let b = below.map(|below| match below {
                    Narrow::At(at) => at,
                    Narrow::By(op) => self.computed(op),
                });
                below = Some(match b {
                    Some(b) => Narrow::By(Op::Join { to: 0, a, b, shift }),
                    None if shift == 0 => Narrow::At(a),
                    None => Narrow::By(Op::Up { to: 0, a, shift }),
                });
            }
            shift += part.width as u32;
        }
        below.unwrap_or_else(|| Narrow::At(self.constant(&[0]) as u32))
    }

    /// Evaluates the parts first: the target is assembled word by word and must not be read on the way.
    fn cat_wide(&mut self, parts: &[Expr], width: usize, nets: &[usize], to: u32) {
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

    /// Compiles a choice among items: jumps over all but the chosen one.
    pub fn case(&mut self, index: &Expr, items: &[Expr], nets: &[usize], place: Place) {
        let constants: Option<Vec<Vec<u64>>> =
            items.iter().map(|item| item.literal().map(<[u64]>::to_vec)).collect();
        let index_at = self.value(index, nets);
        if let Some(table) = constants {
            let (stride, words) = (words_for(place.width), table.len());
            let data = table.concat();
            let array = self.arrays.len() as u32;
            self.arrays.push(Array { data, stride, words, width: place.width, filled: true });
            self.ops.push(Op::Load { to: place.at as u32, array, addr: index_at });
            return;
        }
        self.ops.push(Op::Zero { to: place.at as u32, words: words_for(place.width) as u32 });
        for (at, item) in items.iter().enumerate() {
            let jump = self.ops.len();
            self.ops.push(Op::JumpUnlessEqual { index: index_at, value: at as u32, to: 0 });
            self.conditionally(|compiler| compiler.value_into(item, nets, place.at));
            let end = self.ops.len() as u32;
            self.ops[jump] = Op::JumpUnlessEqual { index: index_at, value: at as u32, to: end };
        }
    }
}

/// Returns the instruction for `op` of the values at `a` and `b`, which both have the width and sign of
/// `operand`.
fn binary(op: Bin, a: u32, b: u32, operand: &Expr) -> Op {
    let (bits, signed, to) = (operand.width, operand.signed, 0);
    let width = bits as u32;
    if bits > 64 {
        return Op::CompareWide { to, a, b, width, op, signed };
    }
    let (mask, shift) = (mask(bits), 64 - width);
    match op {
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
    }
}
