//! Runs instructions over one array of words. Narrow values (up to 64 bits) are one word, always canonical.
//! Never knows which net or leaf an instruction is for.

use super::image::Array;
use super::ops::Op;
use crate::rtl::ir::expr::{Bin, Reduce};
use crate::rtl::ir::words;
use std::cmp::Ordering;
use std::ops::Range;

/// Holds what instructions work on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Machine {
    pub state: Vec<u64>,
    pub arrays: Vec<Array>,
    /// The stores of one edge: array and word address, whose data is in `store_data`.
    pub stores: Vec<(u32, usize)>,
    pub store_data: Vec<u64>,
    pub scratch: Vec<u64>,
}

impl Machine {
    /// Runs a part of `ops`, which jumps to places of its own alone.
    pub fn run(&mut self, ops: &[Op], part: Range<usize>) {
        let (ops, mut pc) = (&ops[..part.end], part.start);
        while let Some(op) = ops.get(pc) {
            pc += 1;
            let s = &mut self.state[..];
            macro_rules! at {
                ($i:expr) => {
                    s[$i as usize]
                };
            }
            match *op {
                Op::Copy { to, a } => at!(to) = at!(a),
                Op::Not { to, a, mask } => at!(to) = !at!(a) & mask,
                Op::And { to, a, b } => at!(to) = at!(a) & at!(b),
                Op::Or { to, a, b } => at!(to) = at!(a) | at!(b),
                Op::Xor { to, a, b } => at!(to) = at!(a) ^ at!(b),
                Op::Add { to, a, b, mask } => at!(to) = at!(a).wrapping_add(at!(b)) & mask,
                Op::Sub { to, a, b, mask } => at!(to) = at!(a).wrapping_sub(at!(b)) & mask,
                Op::Mul { to, a, b, mask } => at!(to) = at!(a).wrapping_mul(at!(b)) & mask,
                Op::Eq { to, a, b } => at!(to) = (at!(a) == at!(b)) as u64,
                Op::Ne { to, a, b } => at!(to) = (at!(a) != at!(b)) as u64,
                Op::Lt { to, a, b } => at!(to) = (at!(a) < at!(b)) as u64,
                Op::Le { to, a, b } => at!(to) = (at!(a) <= at!(b)) as u64,
                Op::LtSigned { to, a, b, shift } => {
                    at!(to) = (((at!(a) << shift) as i64) < ((at!(b) << shift) as i64)) as u64;
                }
                Op::LeSigned { to, a, b, shift } => {
                    at!(to) = (((at!(a) << shift) as i64) <= ((at!(b) << shift) as i64)) as u64;
                }
                Op::Mux { to, cond, a, b } => at!(to) = if at!(cond) != 0 { at!(a) } else { at!(b) },
                Op::All { to, a, mask } => at!(to) = (at!(a) == mask) as u64,
                Op::Any { to, a } => at!(to) = (at!(a) != 0) as u64,
                Op::Parity { to, a } => at!(to) = at!(a).count_ones() as u64 & 1,
                Op::Field { to, a, shift, mask } => at!(to) = at!(a) >> shift & mask,
                Op::FieldSplit { to, a, shift, mask } => {
                    at!(to) = (at!(a) >> shift | at!(a + 1) << (64 - shift)) & mask;
                }
                Op::Sext { to, a, up, down, mask } => {
                    at!(to) = ((at!(a) << up) as i64 >> down) as u64 & mask;
                }
                Op::Up { to, a, shift } => at!(to) = at!(a) << shift,
                Op::Join { to, a, b, shift } => at!(to) = at!(a) << shift | at!(b),
                Op::Zero { to, words } => s[to as usize..(to + words) as usize].fill(0),
                Op::OrShifted { to, a, shift } => at!(to) |= at!(a) << shift,
                Op::OrSplit { to, a, shift } => {
                    at!(to) |= at!(a) << shift;
                    at!(to + 1) |= at!(a) >> (64 - shift);
                }
                Op::Load { to, array, addr } => {
                    let array = &self.arrays[array as usize];
                    let (to, word) = (to as usize, at!(addr) as usize);
                    let out = &mut s[to..to + array.stride];
                    if word < array.words {
                        out.copy_from_slice(&array.data[word * array.stride..(word + 1) * array.stride]);
                    } else {
                        out.fill(0);
                    }
                }
                Op::Store { array, addr, data } => {
                    let stride = self.arrays[array as usize].stride;
                    let word = at!(addr) as usize;
                    if word < self.arrays[array as usize].words {
                        self.stores.push((array, word * stride));
                        self.store_data.extend_from_slice(&s[data as usize..data as usize + stride]);
                    }
                }
                Op::Jump { to } => pc = to as usize,
                Op::JumpUnless { cond, to } => {
                    if at!(cond) == 0 {
                        pc = to as usize;
                    }
                }
                Op::JumpUnlessEqual { index, value, to } => {
                    if at!(index) != value as u64 {
                        pc = to as usize;
                    }
                }
                _ => self.run_wide(op),
            }
        }
    }

    fn run_wide(&mut self, op: &Op) {
        let words_at = |at: u32, width: u32| at as usize..at as usize + words::words_for(width as usize);
        let s = &mut self.state;
        let scratch = &mut self.scratch;
        let (to, count) = match *op {
            Op::CopyWide { to, a, words } => {
                s.copy_within(a as usize..(a + words) as usize, to as usize);
                return;
            }
            Op::MuxWide { to, cond, a, b, words } => {
                let from = if s[cond as usize] != 0 { a } else { b };
                s.copy_within(from as usize..(from + words) as usize, to as usize);
                return;
            }
            Op::CompareWide { to, a, b, width, op, signed } => {
                let order =
                    words::compare(&s[words_at(a, width)], &s[words_at(b, width)], width as usize, signed);
                let result = match op {
                    Bin::Eq => order == Ordering::Equal,
                    Bin::Ne => order != Ordering::Equal,
                    Bin::Lt => order == Ordering::Less,
                    _ => order != Ordering::Greater,
                };
                s[to as usize] = result as u64;
                return;
            }
            Op::ReduceWide { to, a, width, op } => {
                let ones: u32 = s[words_at(a, width)].iter().map(|word| word.count_ones()).sum();
                let result = match op {
                    Reduce::And => ones == width,
                    Reduce::Or => ones > 0,
                    Reduce::Xor => ones % 2 == 1,
                };
                s[to as usize] = result as u64;
                return;
            }
            Op::OrWide { to, a, offset, width } => {
                scratch.clear();
                scratch.extend_from_slice(&s[words_at(a, width)]);
                words::or_at(&mut s[to as usize..], offset as usize, scratch, width as usize);
                return;
            }
            Op::NotWide { to, a, width } => {
                scratch.clear();
                scratch.extend(s[words_at(a, width)].iter().map(|word| !word));
                words::canonical(scratch, width as usize);
                (to, width)
            }
            Op::BinWide { to, a, b, width, op } => {
                scratch.clear();
                scratch.resize(words::words_for(width as usize), 0);
                let (a, b) = (&s[words_at(a, width)], &s[words_at(b, width)]);
                let each = |scratch: &mut [u64], join: fn(u64, u64) -> u64| {
                    scratch.iter_mut().zip(a.iter().zip(b)).for_each(|(out, (&a, &b))| *out = join(a, b));
                };
                match op {
                    Bin::Add => words::add_into(scratch, a, b, width as usize),
                    Bin::Sub => words::sub_into(scratch, a, b, width as usize),
                    Bin::Mul => words::mul_into(scratch, a, b, width as usize),
                    Bin::And => each(scratch, |a, b| a & b),
                    Bin::Or => each(scratch, |a, b| a | b),
                    _ => each(scratch, |a, b| a ^ b),
                }
                (to, width)
            }
            Op::SliceWide { to, a, words, offset, width } => {
                scratch.clear();
                scratch.resize(words::words_for(width as usize), 0);
                let from = &s[a as usize..(a + words) as usize];
                words::slice_into(scratch, from, offset as usize, width as usize);
                (to, width)
            }
            Op::ExtWide { to, a, from, width, signed } => {
                scratch.clear();
                scratch.resize(words::words_for(width as usize), 0);
                words::extend_into(scratch, &s[words_at(a, from)], from as usize, width as usize, signed);
                (to, width)
            }
            _ => unreachable!("narrow operations are handled in run()"),
        };
        s[words_at(to, count)].copy_from_slice(scratch);
    }
}
