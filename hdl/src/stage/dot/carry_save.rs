//! Compresses a heap of bits of different weights to one number by full adders: each takes three bits of a weight
//! and gives their sum and their carry, two LUTs of three inputs that remove a bit. The last two rows are added
//! in a carry chain. Where LUTs have six inputs, [`super::heap`] is smaller.
//!
//! The steps depend on the heights of the columns alone, so the same code builds the circuit and counts its
//! registers.

use super::heap::Builder;

/// Number of full adders between two registers.
const ADDERS: usize = 2;

/// Holds the bits of each weight, the lowest first.
pub type Columns<T> = Vec<Vec<T>>;

/// A number that joins a heap where it is ready.
pub struct Late<T> {
    /// Its bits, the lowest first.
    pub bits: Vec<Option<T>>,
    /// Number of registers that lie behind it.
    pub registers: u64,
}

/// Returns the number that `columns` and `late` add up to, modulo 2^`bits`, and its registers.
pub fn compress<B: Builder>(
    b: &mut B,
    columns: Columns<B::Bit>,
    late: Option<Late<B::Bit>>,
    bits: usize,
) -> (Vec<Option<B::Bit>>, u64) {
    let (mut columns, mut late) = (columns, late);
    let mut registers = 0;
    loop {
        columns = b.register(columns);
        registers += 1;
        if let Some(ready) = late.take_if(|late| late.registers <= registers) {
            join(&mut columns, ready.bits);
        }
        match tallest(&columns) {
            0 | 1 if late.is_none() => break,
            2 if late.is_none() => columns = rows(b, columns, bits),
            _ => {
                for _ in 0..ADDERS {
                    columns = adders(b, columns, bits);
                }
            }
        }
    }
    (columns.into_iter().map(|mut column| column.pop()).collect(), registers)
}

fn tallest<T>(columns: &Columns<T>) -> usize {
    columns.iter().map(Vec::len).max().unwrap_or(0)
}

/// Puts a number's bits into the heap.
fn join<T>(columns: &mut Columns<T>, number: Vec<Option<T>>) {
    if columns.len() < number.len() {
        columns.resize_with(number.len(), Vec::new);
    }
    for (column, bit) in columns.iter_mut().zip(number) {
        column.extend(bit);
    }
}

/// Lets a full adder take every three bits of each column. The carry of the highest column does not matter.
fn adders<B: Builder>(b: &mut B, columns: Columns<B::Bit>, bits: usize) -> Columns<B::Bit> {
    let mut next: Columns<B::Bit> = vec![vec![]; columns.len()];
    for (at, column) in columns.into_iter().enumerate() {
        for few in column.chunks(3) {
            if few.len() < 3 {
                next[at].extend_from_slice(few);
                continue;
            }
            let mut count = b.count(few).into_iter();
            next[at].extend(count.next().map(|sum| b.name(sum)));
            if at + 1 < bits {
                next.resize_with(next.len().max(at + 2), Vec::new);
                next[at + 1].extend(count.next().map(|carry| b.name(carry)));
            }
        }
    }
    next
}

/// Adds the last two rows.
fn rows<B: Builder>(b: &mut B, columns: Columns<B::Bit>, bits: usize) -> Columns<B::Bit> {
    let first = columns.iter().position(|column| column.len() == 2).unwrap_or(columns.len());
    let row = |r: usize| columns[first..].iter().map(|column| column.get(r).cloned()).collect::<Vec<_>>();
    let width = (columns.len() + 1).min(bits) - first;
    let sum = b.add(&row(0), &row(1), width);
    let low = columns[..first].iter().cloned();
    low.chain(sum.into_iter().map(|bit| vec![bit])).collect()
}
