//! Simplification while expressions are built: literals fold, slices are pushed down to nets, comparisons that their
//! operands' range decides become literals (tools warn about them). Never changes a value.

use super::expr::{Bin, Expr, Node, Reduce, Value, cat, expr, lit};
use super::words;
use std::cmp::Ordering;

impl Expr {
    /// `width` bits from `offset` on, pushed down to nets and literals; none where only a wire would do.
    pub(crate) fn cut(&self, offset: usize, width: usize) -> Option<Expr> {
        if offset == 0 && width == self.width {
            return Some(self.clone().unsigned());
        }
        Some(match &*self.node {
            Node::Net(sig) => expr(Node::Slice(*sig, offset), width, false),
            Node::Slice(sig, base) => expr(Node::Slice(*sig, base + offset), width, false),
            Node::Lit(value) => {
                let mut out = vec![0; words::words_for(width)];
                words::slice_into(&mut out, value, offset, width);
                expr(Node::Lit(out), width, false)
            }
            Node::Not(value) => value.cut(offset, width)?.not(),
            Node::Bin(op @ (Bin::And | Bin::Or | Bin::Xor), a, b) => {
                bitwise(*op, a.cut(offset, width)?, b.cut(offset, width)?)
            }
            Node::Bin(op @ (Bin::Add | Bin::Sub | Bin::Mul), a, b) if offset == 0 => {
                arith(*op, a.cut(0, width)?, b.cut(0, width)?, width)
            }
            Node::Mux(cond, a, b) => cond.clone().mux(a.cut(offset, width)?, b.cut(offset, width)?),
            Node::Ext(value) => {
                let inside = value.width.saturating_sub(offset).min(width);
                let outside = width - inside;
                let mut parts = Vec::new();
                if outside > 0 {
                    let sign = if value.signed { value.cut(value.width - 1, 1)? } else { lit(0, 1) };
                    parts.push(sign.repeat(outside));
                }
                if inside > 0 {
                    parts.push(value.cut(offset, inside)?);
                }
                cat(parts)
            }
            Node::Cat(parts) => {
                let (mut low, mut out) = (self.width, Vec::new());
                for part in parts {
                    low -= part.width;
                    let (from, to) = (offset.max(low), (offset + width).min(low + part.width));
                    if from < to {
                        out.push(part.cut(from - low, to - from)?);
                    }
                }
                cat(out)
            }
            Node::Reduce(..) | Node::Bin(..) => return None,
        })
    }
}

#[track_caller]
pub(crate) fn arith(op: Bin, a: Expr, b: Expr, width: usize) -> Expr {
    assert!(a.signed == b.signed, "{op:?} of a signed and an unsigned value");
    let signed = a.signed;
    let (a, b) = (a.ext(width), b.ext(width));
    if let (Some(x), Some(y)) = (a.literal(), b.literal()) {
        let mut out = vec![0; words::words_for(width)];
        match op {
            Bin::Add => words::add_into(&mut out, x, y, width),
            Bin::Sub => words::sub_into(&mut out, x, y, width),
            _ => words::mul_into(&mut out, x, y, width),
        }
        return expr(Node::Lit(out), width, signed);
    }
    let zero = |side: &Expr| side.literal().is_some_and(|value| value.iter().all(|&word| word == 0));
    match op {
        Bin::Add | Bin::Sub if zero(&b) => a,
        Bin::Add if zero(&a) => b,
        _ => expr(Node::Bin(op, a, b), width, signed),
    }
}

#[track_caller]
pub(crate) fn compare(op: Bin, a: Expr, b: Expr) -> Expr {
    assert!(a.signed == b.signed, "comparison of a signed and an unsigned value");
    let (width, signed) = (a.width.max(b.width), a.signed);
    let (a, b) = (a.ext(width), b.ext(width));
    if let Some(known) = decided(op, &a, &b, signed) {
        return lit(known as u64, 1);
    }
    expr(Node::Bin(op, a, b), 1, false)
}

/// The result of a comparison that literals and ranges alone decide.
fn decided(op: Bin, a: &Expr, b: &Expr, signed: bool) -> Option<bool> {
    let width = a.width;
    if let (Some(x), Some(y)) = (a.literal(), b.literal()) {
        let order = words::compare(x, y, width, signed);
        return Some(match op {
            Bin::Eq => order == Ordering::Equal,
            Bin::Ne => order != Ordering::Equal,
            Bin::Lt => order == Ordering::Less,
            _ => order != Ordering::Greater,
        });
    }
    let mut low = vec![0; words::words_for(width)];
    if signed {
        words::or_at(&mut low, width - 1, &[1], 1);
    }
    let mut high: Vec<u64> = low.iter().map(|word| !word).collect();
    words::canonical(&mut high, width);
    let is = |side: &Expr, value: &[u64]| side.literal().is_some_and(|literal| literal == value);
    match op {
        Bin::Lt if is(b, &low) || is(a, &high) => Some(false),
        Bin::Le if is(a, &low) || is(b, &high) => Some(true),
        _ => None,
    }
}

#[track_caller]
pub(crate) fn bitwise(op: Bin, a: Expr, b: Expr) -> Expr {
    assert!(a.width == b.width, "{op:?} of {} and {} bits", a.width, b.width);
    let width = a.width;
    for (literal, other) in [(&a, &b), (&b, &a)] {
        let Some(value) = literal.literal() else { continue };
        let zero = value.iter().all(|&word| word == 0);
        let ones = literal.clone().not().literal().is_some_and(|value| value.iter().all(|&word| word == 0));
        match op {
            Bin::And if ones => return other.clone().unsigned(),
            Bin::Or | Bin::Xor if zero => return other.clone().unsigned(),
            Bin::And if zero => return literal.clone().unsigned(),
            Bin::Or if ones => return literal.clone().unsigned(),
            Bin::Xor if ones => return other.not(),
            _ => {}
        }
    }
    if let (Some(x), Some(y)) = (a.literal(), b.literal()) {
        let join = |(&x, &y): (&u64, &u64)| match op {
            Bin::And => x & y,
            Bin::Or => x | y,
            _ => x ^ y,
        };
        return expr(Node::Lit(x.iter().zip(y).map(join).collect()), width, false);
    }
    expr(Node::Bin(op, a, b), width, false)
}

pub(crate) fn reduce(op: Reduce, value: Expr) -> Expr {
    if value.width == 1 {
        return value.unsigned();
    }
    if let Some(literal) = value.literal() {
        let ones: u32 = literal.iter().map(|word| word.count_ones()).sum();
        let result = match op {
            Reduce::And => ones as usize == value.width,
            Reduce::Or => ones > 0,
            Reduce::Xor => ones % 2 == 1,
        };
        return lit(result as u64, 1);
    }
    expr(Node::Reduce(op, value), 1, false)
}
