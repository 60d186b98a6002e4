//! The operators that callers use, on nets and expressions alike: [`Value`], the operators `&`, `|`, `^`,
//! `!`, and what joins lists. Each is a line over a constructor of [`super::const_fold`].

use super::const_fold::{self, arith, bitwise, compare, reduce};
use super::expr::{Bin, Expr, Reduce, Sig, lit};

/// Concatenates as Verilog does, most significant part first. Unsigned.
#[track_caller]
pub fn cat<E: Into<Expr>>(parts: impl IntoIterator<Item = E>) -> Expr {
    const_fold::cat(parts.into_iter().map(Into::into).collect())
}

/// Concatenates lanes, lane 0 in the low bits. Unsigned.
pub fn lanes<E: Into<Expr>>(parts: impl IntoIterator<Item = E>) -> Expr {
    let mut parts: Vec<Expr> = parts.into_iter().map(Into::into).collect();
    parts.reverse();
    cat(parts)
}

/// Returns the OR of 1-bit conditions; 0 for none.
#[track_caller]
pub fn any_of<E: Into<Expr>>(parts: impl IntoIterator<Item = E>) -> Expr {
    parts.into_iter().map(Into::into).reduce(|a: Expr, b| a.or(b)).unwrap_or_else(|| lit(0, 1))
}

/// Returns the AND of 1-bit conditions; 1 for none.
#[track_caller]
pub fn all_of<E: Into<Expr>>(parts: impl IntoIterator<Item = E>) -> Expr {
    parts.into_iter().map(Into::into).reduce(|a: Expr, b| a.and(b)).unwrap_or_else(|| lit(1, 1))
}

/// Returns the sum of `terms` as a balanced tree, each extended by its own sign to `width` bits. All have one
/// sign.
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
    /// Returns this as an expression.
    fn expr(self) -> Expr {
        self.into()
    }
    /// Returns the same bits, read as two's complement.
    fn signed(self) -> Expr {
        self.into().read_as(true)
    }
    /// Returns the same bits, read as unsigned.
    fn unsigned(self) -> Expr {
        self.into().read_as(false)
    }

    /// Returns `width` bits from bit `offset` on.
    ///
    /// # Panics
    /// Panics where Verilog has no such slice (of a sum, say): give the operand a wire.
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
    /// Returns bit `index`.
    #[track_caller]
    fn bit(self, index: usize) -> Expr {
        self.slice(index, 1)
    }
    /// Returns lane `index` of lanes of `lane_bits` bits, lane 0 in the low bits.
    #[track_caller]
    fn lane(self, index: usize, lane_bits: usize) -> Expr {
        self.slice(index * lane_bits, lane_bits)
    }

    /// Extends this to `width` bits by its own sign, which the result keeps. `width` may be the present one.
    #[track_caller]
    fn ext(self, width: usize) -> Expr {
        const_fold::extend(self.into(), width)
    }
    /// Extends this to `width` bits with zeros, whatever its sign.
    #[track_caller]
    fn zext(self, width: usize) -> Expr {
        self.unsigned().ext(width)
    }
    /// Extends this to `width` bits with its highest bit, whatever its sign; the result is signed.
    #[track_caller]
    fn sext(self, width: usize) -> Expr {
        self.signed().ext(width)
    }

    /// Returns `self + other` modulo 2^width; both are extended to `width` by their common sign, which the
    /// result keeps.
    #[track_caller]
    fn add(self, other: impl Into<Expr>, width: usize) -> Expr {
        arith(Bin::Add, self.into(), other.into(), width)
    }
    /// Returns `self - other` modulo 2^width; both are extended to `width` by their common sign, which the
    /// result keeps.
    #[track_caller]
    fn sub(self, other: impl Into<Expr>, width: usize) -> Expr {
        arith(Bin::Sub, self.into(), other.into(), width)
    }
    /// Returns `self · other` modulo 2^width; both are extended to `width` by their common sign, which the
    /// result keeps.
    #[track_caller]
    fn mul(self, other: impl Into<Expr>, width: usize) -> Expr {
        arith(Bin::Mul, self.into(), other.into(), width)
    }
    /// Returns `self + 1` modulo 2^width.
    #[track_caller]
    fn inc(self) -> Expr {
        let value: Expr = self.into();
        let (width, signed) = (value.width, value.signed);
        value.add(Expr { signed, ..lit(1, width) }, width)
    }

    /// Says whether they are equal; the narrower is extended. Both have one sign.
    #[track_caller]
    fn eq(self, other: impl Into<Expr>) -> Expr {
        compare(Bin::Eq, self.into(), other.into())
    }
    /// Says whether they differ; the narrower is extended. Both have one sign.
    #[track_caller]
    fn ne(self, other: impl Into<Expr>) -> Expr {
        compare(Bin::Ne, self.into(), other.into())
    }
    /// Says whether this is less, in the common sign of both; the narrower is extended.
    #[track_caller]
    fn lt(self, other: impl Into<Expr>) -> Expr {
        compare(Bin::Lt, self.into(), other.into())
    }
    /// Says whether this is at most the other, in the common sign of both; the narrower is extended.
    #[track_caller]
    fn le(self, other: impl Into<Expr>) -> Expr {
        compare(Bin::Le, self.into(), other.into())
    }
    /// Says whether this is greater, in the common sign of both; the narrower is extended.
    #[track_caller]
    fn gt(self, other: impl Into<Expr>) -> Expr {
        compare(Bin::Lt, other.into(), self.into())
    }
    /// Says whether this is at least the other, in the common sign of both; the narrower is extended.
    #[track_caller]
    fn ge(self, other: impl Into<Expr>) -> Expr {
        compare(Bin::Le, other.into(), self.into())
    }
    /// Says whether this equals an unsigned constant that fits.
    #[track_caller]
    fn eq_to(self, value: u64) -> Expr {
        let left: Expr = self.into();
        let width = left.width;
        left.unsigned().eq(lit(value, width))
    }

    /// Joins the bits by and; widths must be equal.
    #[track_caller]
    fn and(self, other: impl Into<Expr>) -> Expr {
        bitwise(Bin::And, self.into(), other.into())
    }
    /// Joins the bits by or; widths must be equal.
    #[track_caller]
    fn or(self, other: impl Into<Expr>) -> Expr {
        bitwise(Bin::Or, self.into(), other.into())
    }
    /// Joins the bits by exclusive or; widths must be equal.
    #[track_caller]
    fn xor(self, other: impl Into<Expr>) -> Expr {
        bitwise(Bin::Xor, self.into(), other.into())
    }
    /// Inverts each bit.
    #[track_caller]
    fn not(self) -> Expr {
        const_fold::not(self.into())
    }
    /// Says whether all bits are set: 1 bit.
    #[track_caller]
    fn all(self) -> Expr {
        reduce(Reduce::And, self.into())
    }
    /// Says whether any bit is set: 1 bit.
    #[track_caller]
    fn any(self) -> Expr {
        reduce(Reduce::Or, self.into())
    }
    /// Returns the exclusive or of all bits: 1 bit.
    #[track_caller]
    fn parity(self) -> Expr {
        reduce(Reduce::Xor, self.into())
    }

    /// Chooses by this 1-bit condition between `then` and `otherwise`, of the same width and sign.
    #[track_caller]
    fn mux(self, then: impl Into<Expr>, otherwise: impl Into<Expr>) -> Expr {
        const_fold::mux(self.into(), then.into(), otherwise.into())
    }
    /// Returns `times` copies side by side. Unsigned.
    #[track_caller]
    fn repeat(self, times: usize) -> Expr {
        let value = self.into();
        cat(std::iter::repeat_n(value, times))
    }
    /// Returns `self · 2^by` modulo 2^width, with the sign of `self`.
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
    /// Returns `floor(self / 2^by)`: the bits from `by` up (so `width - by` bits), with the sign of `self`.
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
