//! Compiles expressions into instructions. Never knows which net or process they are for.

use super::engine::{Array, Place};
use super::expr::{Bin, Expr, Node, Reduce, Sig};
use super::ops::Op;
use super::program::Compiler;
use super::words::{mask, words_for};

impl Compiler<'_> {
    /// Where the value of `expr` can be read: a net's or constant's own place, else a temporary.
    pub fn value(&mut self, expr: &Expr, nets: &[usize]) -> u32 {
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

    /// Evaluates `expr` into the words from `to` on, which it must not read.
    pub fn value_into(&mut self, expr: &Expr, nets: &[usize], to: usize) {
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

    /// Jumps over all but the chosen item.
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
            self.value_into(item, nets, place.at);
            let end = self.ops.len() as u32;
            self.ops[jump] = Op::JumpUnlessEqual { index: index_at, value: at as u32, to: end };
        }
    }
}
