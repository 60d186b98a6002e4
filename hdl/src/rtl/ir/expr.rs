//! Expressions over nets: every width and sign is decided here, at build time, and never by a Verilog rule.
//!
//! Operands of one operator always have the same width when they reach the printer or the simulator: the operators
//! below extend them, by their own sign, to the width the caller names. Mixed signs are refused. A slice or sign bit
//! that Verilog could not take (of a sum, say) panics and asks for a named wire. Never evaluates a net.

use super::const_fold::{arith, bitwise, compare, reduce};
use super::words;
use std::sync::Arc;

/// A handle to a net of one kernel. Cheap to copy; usable wherever an expression is.
#[derive(Clone, Copy, Debug)]
pub struct Sig {
    pub(crate) kernel: u32,
    pub(crate) id: u32,
    pub(crate) width: usize,
    pub(crate) signed: bool,
}

/// An expression of a fixed width and sign. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Expr {
    pub(crate) node: Arc<Node>,
    pub(crate) width: usize,
    pub(crate) signed: bool,
}

/// What an expression is made of. The sign of an operand is that of its `Expr`.
#[derive(Debug)]
pub(crate) enum Node {
    Net(Sig),
    /// Canonical words.
    Lit(Vec<u64>),
    /// `width` bits of a net from this bit on.
    Slice(Sig, usize),
    Not(Expr),
    Reduce(Reduce, Expr),
    /// Both operands have the same width: that of the result, or the compared width.
    Bin(Bin, Expr, Expr),
    /// Condition of 1 bit; both arms have the width and sign of the result.
    Mux(Expr, Expr, Expr),
    /// The operand, extended by its own sign.
    Ext(Expr),
    /// Most significant first.
    Cat(Vec<Expr>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Reduce {
    And,
    Or,
    Xor,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Bin {
    Add,
    Sub,
    Mul,
    And,
    Or,
    Xor,
    Eq,
    Ne,
    Lt,
    Le,
}

impl Sig {
    /// Width in bits.
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

pub(crate) fn expr(node: Node, width: usize, signed: bool) -> Expr {
    Expr { node: Arc::new(node), width, signed }
}

/// Unsigned literal. Panics if `value` needs more than `width` bits.
#[track_caller]
pub fn lit(value: u64, width: usize) -> Expr {
    assert!(width > 0 && value <= words::mask(width), "literal {value} does not fit {width} bits");
    let mut out = vec![0; words::words_for(width)];
    out[0] = value;
    expr(Node::Lit(out), width, false)
}

/// Signed literal, two's complement. Panics if `value` does not fit `width` bits.
#[track_caller]
pub fn slit(value: i64, width: usize) -> Expr {
    let fits = width >= 64 || width > 0 && words::sign_extend(value as u64, width) == value;
    assert!(fits, "signed literal {value} does not fit {width} bits");
    expr(Node::Lit(words::from_i64(value, width)), width, true)
}

/// Unsigned literal of any width, as little-endian words. Panics if the words do not fit `width` bits exactly.
#[track_caller]
pub fn lit_words(value: &[u64], width: usize) -> Expr {
    let mut canonical = value.to_vec();
    assert!(width > 0 && value.len() == words::words_for(width), "{} words for {width} bits", value.len());
    words::canonical(&mut canonical, width);
    assert!(canonical == value, "literal does not fit {width} bits");
    expr(Node::Lit(canonical), width, false)
}

/// Concatenation as in Verilog, most significant part first. Unsigned.
#[track_caller]
pub fn cat<E: Into<Expr>>(parts: impl IntoIterator<Item = E>) -> Expr {
    let mut flat: Vec<Expr> = Vec::new();
    for part in parts {
        let part: Expr = part.into();
        match &*part.node {
            Node::Cat(inner) => flat.extend(inner.iter().cloned()),
            _ => flat.push(part),
        }
    }
    assert!(!flat.is_empty(), "concatenation of nothing");
    if flat.len() == 1 {
        return flat.remove(0).unsigned();
    }
    let width = flat.iter().map(|part| part.width).sum();
    if flat.iter().all(|part| part.literal().is_some()) {
        let mut out = vec![0; words::words_for(width)];
        let mut at = width;
        for part in &flat {
            at -= part.width;
            words::or_at(&mut out, at, part.literal().expect("all are literals"), part.width);
        }
        return expr(Node::Lit(out), width, false);
    }
    expr(Node::Cat(flat), width, false)
}

/// Concatenation of lanes, lane 0 in the low bits. Unsigned.
pub fn lanes<E: Into<Expr>>(parts: impl IntoIterator<Item = E>) -> Expr {
    let mut parts: Vec<Expr> = parts.into_iter().map(Into::into).collect();
    parts.reverse();
    cat(parts)
}

/// OR of 1-bit conditions; 0 for none.
#[track_caller]
pub fn any_of<E: Into<Expr>>(parts: impl IntoIterator<Item = E>) -> Expr {
    parts.into_iter().map(Into::into).reduce(|a: Expr, b| a.or(b)).unwrap_or_else(|| lit(0, 1))
}

/// AND of 1-bit conditions; 1 for none.
#[track_caller]
pub fn all_of<E: Into<Expr>>(parts: impl IntoIterator<Item = E>) -> Expr {
    parts.into_iter().map(Into::into).reduce(|a: Expr, b| a.and(b)).unwrap_or_else(|| lit(1, 1))
}

/// Sum of `terms` as a balanced tree, each extended by its own sign to `width` bits. All have one sign.
#[track_caller]
pub fn sum_tree(mut terms: Vec<Expr>, width: usize) -> Expr {
    assert!(!terms.is_empty(), "sum of nothing");
    if terms.len() == 1 {
        return terms.remove(0).ext(width);
    }
    let high = terms.split_off(terms.len().div_ceil(2));
    sum_tree(terms, width).add(sum_tree(high, width), width)
}

/// The operators, on nets and expressions alike. Results are unsigned unless said otherwise.
pub trait Value: Into<Expr> + Sized {
    /// This as an expression.
    fn expr(self) -> Expr {
        self.into()
    }
    /// The same bits, read as two's complement.
    fn signed(self) -> Expr {
        Expr { signed: true, ..self.into() }
    }
    /// The same bits, read as unsigned.
    fn unsigned(self) -> Expr {
        Expr { signed: false, ..self.into() }
    }

    /// `width` bits from bit `offset` on. Panics where Verilog has no such slice: give the operand a wire.
    #[track_caller]
    fn slice(self, offset: usize, width: usize) -> Expr {
        let whole = self.into();
        assert!(
            width > 0 && offset + width <= whole.width,
            "slice [{offset} +: {width}] of {} bits",
            whole.width
        );
        match whole.cut(offset, width) {
            Some(part) => part,
            None => panic!("slice [{offset} +: {width}] of a compound expression: name it with wire()"),
        }
    }
    /// Bit `index`.
    #[track_caller]
    fn bit(self, index: usize) -> Expr {
        self.slice(index, 1)
    }
    /// Lane `index` of lanes of `lane_bits` bits, lane 0 in the low bits.
    #[track_caller]
    fn lane(self, index: usize, lane_bits: usize) -> Expr {
        self.slice(index * lane_bits, lane_bits)
    }

    /// Extended to `width` bits by its own sign, which the result keeps. `width` may be the present one.
    #[track_caller]
    fn ext(self, width: usize) -> Expr {
        let value = self.into();
        assert!(width >= value.width, "extension of {} bits to {width}", value.width);
        if width == value.width {
            return value;
        }
        let signed = value.signed;
        if let Some(literal) = value.literal() {
            let mut out = vec![0; words::words_for(width)];
            words::extend_into(&mut out, literal, value.width, width, signed);
            return expr(Node::Lit(out), width, signed);
        }
        if signed && value.cut(value.width - 1, 1).is_none() {
            panic!(
                "sign extension of a compound expression: name it with wire(), or compute it at the full width"
            );
        }
        expr(Node::Ext(value), width, signed)
    }
    /// Zero-extended to `width` bits, whatever its sign.
    #[track_caller]
    fn zext(self, width: usize) -> Expr {
        self.unsigned().ext(width)
    }
    /// Sign-extended to `width` bits, whatever its sign; the result is signed.
    #[track_caller]
    fn sext(self, width: usize) -> Expr {
        self.signed().ext(width)
    }

    /// `self + other` modulo 2^width; both are extended to `width` by their common sign, which the result keeps.
    #[track_caller]
    fn add(self, other: impl Into<Expr>, width: usize) -> Expr {
        arith(Bin::Add, self.into(), other.into(), width)
    }
    /// `self - other` modulo 2^width; both are extended to `width` by their common sign, which the result keeps.
    #[track_caller]
    fn sub(self, other: impl Into<Expr>, width: usize) -> Expr {
        arith(Bin::Sub, self.into(), other.into(), width)
    }
    /// `self · other` modulo 2^width; both are extended to `width` by their common sign, which the result keeps.
    #[track_caller]
    fn mul(self, other: impl Into<Expr>, width: usize) -> Expr {
        arith(Bin::Mul, self.into(), other.into(), width)
    }
    /// `self + 1` modulo 2^width.
    #[track_caller]
    fn inc(self) -> Expr {
        let value: Expr = self.into();
        let (width, signed) = (value.width, value.signed);
        value.add(Expr { signed, ..lit(1, width) }, width)
    }

    /// Equal; the narrower is extended. Both have one sign.
    #[track_caller]
    fn eq(self, other: impl Into<Expr>) -> Expr {
        compare(Bin::Eq, self.into(), other.into())
    }
    /// Not equal; the narrower is extended. Both have one sign.
    #[track_caller]
    fn ne(self, other: impl Into<Expr>) -> Expr {
        compare(Bin::Ne, self.into(), other.into())
    }
    /// Less than, in the common sign of both; the narrower is extended.
    #[track_caller]
    fn lt(self, other: impl Into<Expr>) -> Expr {
        compare(Bin::Lt, self.into(), other.into())
    }
    /// At most, in the common sign of both; the narrower is extended.
    #[track_caller]
    fn le(self, other: impl Into<Expr>) -> Expr {
        compare(Bin::Le, self.into(), other.into())
    }
    /// Greater than, in the common sign of both; the narrower is extended.
    #[track_caller]
    fn gt(self, other: impl Into<Expr>) -> Expr {
        compare(Bin::Lt, other.into(), self.into())
    }
    /// At least, in the common sign of both; the narrower is extended.
    #[track_caller]
    fn ge(self, other: impl Into<Expr>) -> Expr {
        compare(Bin::Le, other.into(), self.into())
    }
    /// Equal to an unsigned constant that fits.
    #[track_caller]
    fn eq_to(self, value: u64) -> Expr {
        let left: Expr = self.into();
        let width = left.width;
        left.unsigned().eq(lit(value, width))
    }

    /// Bitwise and; widths must be equal.
    #[track_caller]
    fn and(self, other: impl Into<Expr>) -> Expr {
        bitwise(Bin::And, self.into(), other.into())
    }
    /// Bitwise or; widths must be equal.
    #[track_caller]
    fn or(self, other: impl Into<Expr>) -> Expr {
        bitwise(Bin::Or, self.into(), other.into())
    }
    /// Bitwise exclusive or; widths must be equal.
    #[track_caller]
    fn xor(self, other: impl Into<Expr>) -> Expr {
        bitwise(Bin::Xor, self.into(), other.into())
    }
    /// Bitwise complement.
    #[track_caller]
    fn not(self) -> Expr {
        let value = self.into();
        let width = value.width;
        if let Some(literal) = value.literal() {
            let mut out: Vec<u64> = literal.iter().map(|word| !word).collect();
            words::canonical(&mut out, width);
            return expr(Node::Lit(out), width, false);
        }
        match &*value.node {
            Node::Not(inner) => inner.clone().unsigned(),
            _ => expr(Node::Not(value), width, false),
        }
    }
    /// All bits set: 1 bit.
    #[track_caller]
    fn all(self) -> Expr {
        reduce(Reduce::And, self.into())
    }
    /// Any bit set: 1 bit.
    #[track_caller]
    fn any(self) -> Expr {
        reduce(Reduce::Or, self.into())
    }
    /// Exclusive or of all bits: 1 bit.
    #[track_caller]
    fn parity(self) -> Expr {
        reduce(Reduce::Xor, self.into())
    }

    /// This 1-bit condition chooses `then` or `otherwise`, of the same width and sign.
    #[track_caller]
    fn mux(self, then: impl Into<Expr>, otherwise: impl Into<Expr>) -> Expr {
        let (cond, then, otherwise) = (self.into(), then.into(), otherwise.into());
        assert!(cond.width == 1, "condition of {} bits", cond.width);
        assert!(then.width == otherwise.width, "mux of {} and {} bits", then.width, otherwise.width);
        assert!(then.signed == otherwise.signed, "mux of a signed and an unsigned value");
        if let Some(literal) = cond.literal() {
            return if literal[0] == 1 { then } else { otherwise };
        }
        let (width, signed) = (then.width, then.signed);
        expr(Node::Mux(cond, then, otherwise), width, signed)
    }
    /// `times` copies side by side. Unsigned.
    #[track_caller]
    fn repeat(self, times: usize) -> Expr {
        let value = self.into();
        cat(std::iter::repeat_n(value, times))
    }
    /// `self · 2^by` modulo 2^width, keeping the sign.
    #[track_caller]
    fn shl(self, by: usize, width: usize) -> Expr {
        let value = self.into();
        assert!(by < width, "shift by {by} in {width} bits");
        let signed = value.signed;
        let kept = width - by;
        let high = if kept < value.width { value.slice(0, kept) } else { value.ext(kept) };
        if by == 0 {
            return Expr { signed, ..high };
        }
        Expr { signed, ..cat([high, lit(0, by)]) }
    }
    /// `floor(self / 2^by)`: the bits from `by` up (so `width - by` bits), keeping the sign.
    #[track_caller]
    fn shr(self, by: usize) -> Expr {
        let value = self.into();
        let (signed, width) = (value.signed, value.width);
        assert!(by < width, "shift of {width} bits by {by}");
        Expr { signed, ..value.slice(by, width - by) }
    }
}

impl Value for Sig {}
impl Value for Expr {}
impl Value for &Expr {}

impl Expr {
    /// Width in bits.
    pub fn width(&self) -> usize {
        self.width
    }

    /// Whether it reads as two's complement.
    pub fn is_signed(&self) -> bool {
        self.signed
    }

    /// The words of a literal.
    pub(crate) fn literal(&self) -> Option<&[u64]> {
        match &*self.node {
            Node::Lit(value) => Some(value),
            _ => None,
        }
    }

    /// Calls `visit` with every net it reads: net, first bit, number of bits.
    pub(crate) fn nets(&self, visit: &mut dyn FnMut(Sig, usize, usize)) {
        match &*self.node {
            Node::Net(sig) => visit(*sig, 0, sig.width),
            Node::Slice(sig, offset) => visit(*sig, *offset, self.width),
            Node::Lit(_) => {}
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

macro_rules! operators {
    ($($left:ty),*) => { $(
        impl<R: Into<Expr>> std::ops::BitAnd<R> for $left {
            type Output = Expr;
            fn bitand(self, other: R) -> Expr { self.and(other) }
        }
        impl<R: Into<Expr>> std::ops::BitOr<R> for $left {
            type Output = Expr;
            fn bitor(self, other: R) -> Expr { self.or(other) }
        }
        impl<R: Into<Expr>> std::ops::BitXor<R> for $left {
            type Output = Expr;
            fn bitxor(self, other: R) -> Expr { self.xor(other) }
        }
        impl std::ops::Not for $left {
            type Output = Expr;
            fn not(self) -> Expr { Value::not(self) }
        }
    )* };
}
operators!(Sig, Expr, &Expr);
