//! What an expression is: a node of a fixed width and sign over the nets of one leaf, and what each node
//! computes.
//!
//! Every width and sign is decided when an expression is built, and never by a rule of Verilog: operands of
//! one operator have the same width and sign here, whatever the caller wrote. The constructors that see to
//! that, and simplify on the way, are in [`super::const_fold`]; the operators that callers use are in
//! [`super::value`]. Nothing here evaluates.

use super::words;
use std::sync::Arc;

/// A handle to a net of one kernel. It is cheap to copy, and usable wherever an expression is.
#[derive(Clone, Copy, Debug)]
pub struct Sig {
    pub(crate) kernel: u32,
    pub(crate) id: u32,
    pub(crate) width: usize,
    pub(crate) signed: bool,
}

/// An expression of a fixed width and sign. It is cheap to clone.
///
/// Its value is `width` bits. `signed` says how an extension, a comparison or a product reads them: as a
/// number from 0 to 2^width − 1, or as two's complement.
#[derive(Clone, Debug)]
pub struct Expr {
    pub(crate) node: Arc<Node>,
    pub(crate) width: usize,
    pub(crate) signed: bool,
}

/// What an expression is made of.
///
/// Below, `w` is the width of the expression itself, and `a`, `b` are its operands, each of a width and sign
/// of its own. All arithmetic is modulo 2^w. Where nothing is said of the sign of the result, the constructor
/// chooses it; the bits do not depend on it.
#[derive(Debug)]
pub(crate) enum Node {
    /// The present value of a net. `w` is the net's width.
    Net(Sig),
    /// A constant: `w` bits as canonical words ([`words`]).
    Lit {
        value: Vec<u64>,
        /// Whether it was written as a negative number. Printers show it so; nothing else depends on it.
        negative: bool,
    },
    /// Bits `offset` to `offset + w − 1` of a net. Unsigned.
    Slice(Sig, usize),
    /// Each bit inverted. `w` is the width of `a`. Unsigned.
    Not(Expr),
    /// All bits of `a` joined to one by and, or, exclusive or. `w` is 1. Unsigned.
    Reduce(Reduce, Expr),
    /// An operation on `a` and `b`, which have one width and sign: for arithmetic and bitwise operations `w`,
    /// for comparisons any, and then `w` is 1. See [`Bin`].
    Bin(Bin, Expr, Expr),
    /// `a` where the condition, of 1 bit, is 1; else `b`. Both have width `w` and the sign of the result.
    Mux(Expr, Expr, Expr),
    /// `a`, extended to `w` bits, which are more than it has: with its highest bit if it is signed, else with
    /// zeros.
    Ext(Expr),
    /// The parts side by side, the first in the highest bits. `w` is the sum of their widths. Unsigned.
    Cat(Vec<Expr>),
}

/// How [`Node::Reduce`] joins the bits of its operand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reduce {
    /// 1 if all bits are 1.
    And,
    /// 1 if any bit is 1.
    Or,
    /// 1 if an odd number of bits is 1.
    Xor,
}

/// An operation of [`Node::Bin`] on two operands of one width and sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bin {
    /// `a + b` modulo 2^w.
    Add,
    /// `a − b` modulo 2^w.
    Sub,
    /// `a · b` modulo 2^w.
    Mul,
    /// Bit by bit.
    And,
    /// Bit by bit.
    Or,
    /// Bit by bit.
    Xor,
    /// 1 if all bits are equal.
    Eq,
    /// 1 if any bit differs.
    Ne,
    /// 1 if `a < b` in their common sign.
    Lt,
    /// 1 if `a ≤ b` in their common sign.
    Le,
}

impl Sig {
    /// Returns the width in bits.
    pub fn width(self) -> usize {
        self.width
    }
}

impl From<Sig> for Expr {
    fn from(sig: Sig) -> Expr {
        expr(Node::Net(sig), sig.width, sig.signed)
    }
}

impl From<&Expr> for Expr {
    fn from(value: &Expr) -> Expr {
        value.clone()
    }
}

impl Expr {
    /// Returns the width in bits.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Says whether it reads as two's complement.
    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// Returns the words of a literal, and nothing for any other expression.
    pub(crate) fn literal(&self) -> Option<&[u64]> {
        match &*self.node {
            Node::Lit { value, .. } => Some(value),
            _ => None,
        }
    }

    /// Returns the same bits, read with or without a sign.
    pub(crate) fn read_as(self, signed: bool) -> Expr {
        Expr { signed, ..self }
    }

    /// Calls `visit` with every net it reads: net, first bit, number of bits.
    pub(crate) fn nets(&self, visit: &mut dyn FnMut(Sig, usize, usize)) {
        match &*self.node {
            Node::Net(sig) => visit(*sig, 0, sig.width),
            Node::Slice(sig, offset) => visit(*sig, *offset, self.width),
            Node::Lit { .. } => {}
            Node::Not(a) | Node::Reduce(_, a) | Node::Ext(a) => a.nets(visit),
            Node::Bin(_, a, b) => {
                a.nets(visit);
                b.nets(visit);
            }
            Node::Mux(cond, a, b) => [cond, a, b].into_iter().for_each(|part| part.nets(visit)),
            Node::Cat(parts) => parts.iter().for_each(|part| part.nets(visit)),
        }
    }
}

/// Returns a constant of canonical words.
pub(crate) fn constant(value: Vec<u64>, width: usize, signed: bool) -> Expr {
    expr(Node::Lit { value, negative: false }, width, signed)
}

pub(crate) fn expr(node: Node, width: usize, signed: bool) -> Expr {
    Expr { node: Arc::new(node), width, signed }
}

/// Returns an unsigned literal.
///
/// # Panics
/// Panics if `value` needs more than `width` bits.
#[track_caller]
pub fn lit(value: u64, width: usize) -> Expr {
    assert!(width > 0 && value <= words::mask(width), "literal {value} does not fit {width} bits");
    let mut out = vec![0; words::words_for(width)];
    out[0] = value;
    constant(out, width, false)
}

/// Returns a signed literal, as two's complement.
///
/// # Panics
/// Panics if `value` does not fit `width` bits.
#[track_caller]
pub fn slit(value: i64, width: usize) -> Expr {
    let fits = width >= 64 || width > 0 && words::sign_extend(value as u64, width) == value;
    assert!(fits, "signed literal {value} does not fit {width} bits");
    expr(Node::Lit { value: words::from_i64(value, width), negative: value < 0 }, width, true)
}

/// Returns an unsigned literal of any width, from little-endian words.
///
/// # Panics
/// Panics if the words do not fit `width` bits exactly.
#[track_caller]
pub fn lit_words(value: &[u64], width: usize) -> Expr {
    let mut canonical = value.to_vec();
    assert!(width > 0 && value.len() == words::words_for(width), "{} words for {width} bits", value.len());
    words::canonical(&mut canonical, width);
    assert!(canonical == value, "literal does not fit {width} bits");
    constant(canonical, width, false)
}
