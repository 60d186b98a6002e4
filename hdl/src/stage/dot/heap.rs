//! Compresses a heap of bits of different weights to one number: six bits of a weight are counted in three
//! LUTs of six inputs, eleven in those and a carry chain whose LUTs count five; the remaining rows are added.
//! There is a register per step.
//!
//! The steps depend on the heights of the columns alone, so the same code builds the circuit and counts its
//! registers.

use crate::rtl::{Expr, Kernel, Sig, Value, lanes, lit};

/// Number of bits that three LUTs count.
const SIX: usize = 6;
/// Most bits that a chain counts; below it, the fewest that are worth a chain.
const ELEVEN: usize = 11;
const NINE: usize = 9;

/// Does with bits what a compression needs.
pub trait Builder {
    /// The type of a bit.
    type Bit: Clone;
    /// Returns each group of bits, a cycle later.
    fn register(&mut self, groups: Vec<Vec<Self::Bit>>) -> Vec<Vec<Self::Bit>>;
    /// Counts how many of up to six bits are set: as many bits as it takes, lowest first.
    fn count(&mut self, bits: &[Self::Bit]) -> Vec<Self::Bit>;
    /// Gives a bit a name, so that what uses it several times repeats the name alone.
    fn name(&mut self, bit: Self::Bit) -> Self::Bit;
    /// Returns the sum of two numbers in `width` bits.
    fn add(&mut self, a: &[Option<Self::Bit>], b: &[Option<Self::Bit>], width: usize) -> Vec<Self::Bit>;
}

/// Holds a count of six bits of a column, and up to five more bits to add to it.
struct Chain<B> {
    column: usize,
    six: Vec<B>,
    more: Vec<B>,
}

/// Returns the number that `columns` add up to (bits of one weight each, the lowest first), as bits, and its
/// registers.
pub fn compress<B: Builder>(b: &mut B, columns: Vec<Vec<B::Bit>>) -> (Vec<Option<B::Bit>>, u64) {
    let (mut columns, mut chains) = (columns, vec![]);
    let mut registers = 0;
    loop {
        (columns, chains) = register(b, columns, chains);
        registers += 1;
        let tallest = columns.iter().map(Vec::len).max().unwrap_or(0);
        let mut next = vec![vec![]; columns.len()];
        if tallest >= SIX || !chains.is_empty() {
            chains = count(b, columns, std::mem::take(&mut chains), &mut next);
        } else if tallest > 1 {
            rows(b, &columns, tallest, &mut next);
        } else {
            return (columns.into_iter().map(|mut column| column.pop()).collect(), registers);
        }
        columns = next;
    }
}

type Columns<B> = Vec<Vec<<B as Builder>::Bit>>;
type Chains<B> = Vec<Chain<<B as Builder>::Bit>>;

/// Registers columns and chains: all of it comes a cycle later.
fn register<B: Builder>(b: &mut B, columns: Columns<B>, chains: Chains<B>) -> (Columns<B>, Chains<B>) {
    let count = columns.len();
    let places: Vec<usize> = chains.iter().map(|chain| chain.column).collect();
    let groups = columns.into_iter().chain(chains.into_iter().flat_map(|chain| [chain.six, chain.more]));
    let mut groups = b.register(groups.collect()).into_iter();
    let columns = groups.by_ref().take(count).collect();
    let mut part = || groups.next().expect("two groups a chain");
    let chains = places.into_iter().map(|column| Chain { column, six: part(), more: part() }).collect();
    (columns, chains)
}

/// Finishes `chains`, counts what is tall in `columns`, and gives the chains that this begins.
fn count<B: Builder>(b: &mut B, columns: Columns<B>, chains: Chains<B>, next: &mut Columns<B>) -> Chains<B> {
    for Chain { column, six, more } in chains {
        let width = bits_of(SIX + more.len());
        let (six, five) = (some(six), some(b.count(&more)));
        put(next, column, b.add(&six, &five, width));
    }
    let mut begun = vec![];
    for (column, bits) in columns.into_iter().enumerate() {
        let mut rest = &bits[..];
        while rest.len() >= SIX {
            let six = b.count(&rest[..SIX]);
            rest = &rest[SIX..];
            if rest.len() >= NINE - SIX {
                let (more, left) = rest.split_at(rest.len().min(ELEVEN - SIX));
                begun.push(Chain { column, six, more: more.to_vec() });
                rest = left;
            } else {
                put(next, column, six);
            }
        }
        next[column].extend_from_slice(rest);
    }
    begun
}

/// Adds rows of bits, two and two.
fn rows<B: Builder>(b: &mut B, columns: &Columns<B>, height: usize, next: &mut Columns<B>) {
    let row = |r: usize| columns.iter().map(|column| column.get(r).cloned()).collect::<Vec<_>>();
    for r in (0..height).step_by(2) {
        let (low, high) = (row(r), row(r + 1));
        // The bits below the second row's first bit stay as they are.
        let first = high.iter().position(Option::is_some).unwrap_or(low.len());
        for (column, bit) in low.iter().enumerate().take(first) {
            next[column].extend(bit.clone());
        }
        if let Some(last) = low.iter().rposition(Option::is_some).filter(|&last| last >= first) {
            let sum = b.add(&low[first..=last], &high[first..=last], last - first + 2);
            put(next, first, sum);
        }
    }
}

/// Puts a number's bits into the columns from `column` on.
fn put<T: Clone>(columns: &mut Vec<Vec<T>>, column: usize, bits: Vec<T>) {
    for (i, bit) in bits.into_iter().enumerate() {
        if columns.len() <= column + i {
            columns.push(vec![]);
        }
        columns[column + i].push(bit);
    }
}

fn some<T>(bits: Vec<T>) -> Vec<Option<T>> {
    bits.into_iter().map(Some).collect()
}

/// Returns the bits of a count of up to `most`.
pub fn bits_of(most: usize) -> usize {
    (usize::BITS - most.leading_zeros()) as usize
}

/// Counts what a circuit takes, without building it.
#[derive(Default)]
pub struct Dry {
    /// Number of LUTs of four inputs, where full adders and chains are all there is.
    pub luts: usize,
    /// Number of flip-flops.
    pub flip_flops: usize,
}

impl Builder for Dry {
    type Bit = ();

    fn register(&mut self, groups: Vec<Vec<()>>) -> Vec<Vec<()>> {
        self.flip_flops += groups.iter().map(Vec::len).sum::<usize>();
        groups
    }

    fn count(&mut self, bits: &[()]) -> Vec<()> {
        self.luts += bits_of(bits.len());
        vec![(); bits_of(bits.len())]
    }

    fn name(&mut self, (): ()) {}

    fn add(&mut self, _: &[Option<()>], _: &[Option<()>], width: usize) -> Vec<()> {
        self.luts += width;
        vec![(); width]
    }
}

/// Builds the heap as a circuit.
pub struct Circuit<'a> {
    pub k: &'a mut Kernel,
    /// Prefix of its wires' names.
    name: String,
    step: usize,
    sums: usize,
}

impl<'a> Circuit<'a> {
    /// Begins one whose wires' names begin with `name`.
    pub fn new(k: &'a mut Kernel, name: &str) -> Self {
        Circuit { k, name: name.into(), step: 0, sums: 0 }
    }

    fn wire(&mut self, value: Expr) -> Sig {
        self.sums += 1;
        self.k.wire(&format!("{}sum{}", self.name, self.sums), value)
    }
}

impl Builder for Circuit<'_> {
    type Bit = Expr;

    fn register(&mut self, groups: Vec<Vec<Expr>>) -> Vec<Vec<Expr>> {
        self.step += 1;
        let register = |(g, group): (usize, Vec<Expr>)| {
            if group.is_empty() {
                return vec![];
            }
            // The registers have a reset; otherwise tools would spend a LUT on each bit that waits.
            let reg = self.k.reg(&format!("{}heap{}_{g}", self.name, self.step), group.len(), Some(0));
            self.k.next(reg, None, lanes(group));
            (0..reg.width()).map(|i| reg.bit(i)).collect()
        };
        groups.into_iter().enumerate().map(register).collect()
    }

    fn count(&mut self, bits: &[Expr]) -> Vec<Expr> {
        let full = |a: &Expr, b: &Expr, c: &Expr| {
            let sum = a.clone().xor(b.clone()).xor(c.clone());
            let carry = a.clone().and(b.clone()).or(c.clone().and(a.clone().xor(b.clone())));
            (sum, carry)
        };
        match bits {
            [a] => vec![a.clone()],
            [a, b] => vec![a.clone().xor(b.clone()), a.clone().and(b.clone())],
            [a, b, c] => {
                let (sum, carry) = full(a, b, c);
                vec![sum, carry]
            }
            [a, b, c, rest @ ..] => {
                let (sum, carry) = full(a, b, c);
                let (sum, carry) = (self.wire(sum), self.wire(carry));
                let other: Vec<Sig> = self.count(rest).into_iter().map(|bit| self.wire(bit)).collect();
                let low = sum ^ other[0];
                let both = self.wire(sum & other[0]).expr();
                let (middle, high) = match other.get(1) {
                    Some(&two) => full(&carry.into(), &two.into(), &both),
                    None => (carry ^ both.clone(), carry & both),
                };
                vec![low, middle, high]
            }
            [] => vec![],
        }
        .into_iter()
        .take(bits_of(bits.len()))
        .collect()
    }

    fn name(&mut self, bit: Expr) -> Expr {
        self.wire(bit).into()
    }

    fn add(&mut self, a: &[Option<Expr>], b: &[Option<Expr>], width: usize) -> Vec<Expr> {
        let number = |bits: &[Option<Expr>]| {
            let bits = bits.iter().map(|bit| bit.clone().unwrap_or(lit(0, 1)));
            lanes(bits.collect::<Vec<_>>())
        };
        let [a, b] = [a, b].map(number);
        let [a, b] = [a, b].map(|bits| self.wire(bits));
        let sum = self.wire(a.add(b, width));
        (0..width).map(|i| sum.bit(i)).collect()
    }
}
