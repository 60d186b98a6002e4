//! The constructors of compound expressions. They bring operands to one width, refuse mixed signs, and
//! simplify: literals fold, slices are pushed down to nets, comparisons that their operands' range decides
//! become literals (tools warn about them). They never change a value.

use super::expr::{Bin, Expr, Node, Reduce, constant, expr, lit};
use super::words;
use std::cmp::Ordering;

impl Expr {
    /// Returns `width` bits from `offset` on, pushed down to nets and literals; nothing where only a wire
    /// would do.
    pub(crate) fn cut(&self, offset: usize, width: usize) -> Option<Expr> {
        if offset == 0 && width == self.width {
            return Some(self.clone().read_as(false));
        }
        Some(match &*self.node {
            Node::Net(sig) => expr(Node::Slice(*sig, offset), width, false),
            Node::Slice(sig, base) => expr(Node::Slice(*sig, base + offset), width, false),
            Node::Lit { value, .. } => {
                let mut out = vec![0; words::words_for(width)];
                words::slice_into(&mut out, value, offset, width);
                constant(out, width, false)
            }
            Node::Not(value) => not(value.cut(offset, width)?),
            Node::Bin(op @ (Bin::And | Bin::Or | Bin::Xor), a, b) => {
                bitwise(*op, a.cut(offset, width)?, b.cut(offset, width)?)
            }
            Node::Bin(op @ (Bin::Add | Bin::Sub | Bin::Mul), a, b) if offset == 0 => {
                arith(*op, a.cut(0, width)?, b.cut(0, width)?, width)
            }
            Node::Mux(cond, a, b) => mux(cond.clone(), a.cut(offset, width)?, b.cut(offset, width)?),
            Node::Ext(value) => cut_extended(value, offset, width)?,
            Node::Cat(parts) => cut_parts(parts, self.width, offset, width)?,
            Node::Reduce(..) | Node::Bin(..) => return None,
        })
    }
}

/// Cuts bits out of an extension of `value`: of its sign or zeros above, of itself below.
fn cut_extended(value: &Expr, offset: usize, width: usize) -> Option<Expr> {
    let inside = value.width.saturating_sub(offset).min(width);
    let outside = width - inside;
    let mut parts = Vec::new();
    if outside > 0 {
        let sign = if value.signed { value.cut(value.width - 1, 1)? } else { lit(0, 1) };
        parts.push(cat(vec![sign; outside]));
    }
    if inside > 0 {
        parts.push(value.cut(offset, inside)?);
    }
    Some(cat(parts))
}

/// Cuts bits out of the parts of a concatenation of `whole` bits.
fn cut_parts(parts: &[Expr], whole: usize, offset: usize, width: usize) -> Option<Expr> {
    let (mut low, mut out) = (whole, Vec::new());
    for part in parts {
        low -= part.width;
        let (from, to) = (offset.max(low), (offset + width).min(low + part.width));
        if from < to {
            out.push(part.cut(from - low, to - from)?);
        }
    }
    Some(cat(out))
}

/// Returns the parts side by side, the first in the highest bits. Unsigned.
#[track_caller]
pub(crate) fn cat(parts: Vec<Expr>) -> Expr {
    let mut flat: Vec<Expr> = Vec::new();
    for part in parts {
        match &*part.node {
            Node::Cat(inner) => flat.extend(inner.iter().cloned()),
            _ => flat.push(part),
        }
    }
    assert!(!flat.is_empty(), "concatenation of nothing");
    if flat.len() == 1 {
        return flat.remove(0).read_as(false);
    }
    let width = flat.iter().map(|part| part.width).sum();
    if flat.iter().all(|part| part.literal().is_some()) {
        let mut out = vec![0; words::words_for(width)];
        let mut low = width;
        for part in &flat {
            low -= part.width;
            words::or_at(&mut out, low, part.literal().expect("all are literals"), part.width);
        }
        return constant(out, width, false);
    }
    expr(Node::Cat(flat), width, false)
}

/// Extends `value` to `width` bits by its own sign, which the result keeps.
#[track_caller]
pub(crate) fn extend(value: Expr, width: usize) -> Expr {
    assert!(width >= value.width, "extension of {} bits to {width}", value.width);
    if width == value.width {
        return value;
    }
    let signed = value.signed;
    if let Some(literal) = value.literal() {
        let mut out = vec![0; words::words_for(width)];
        words::extend_into(&mut out, literal, value.width, width, signed);
        return constant(out, width, signed);
    }
    if signed && value.cut(value.width - 1, 1).is_none() {
        panic!(
            "sign extension of a compound expression: name it with wire(), or compute it at the full width"
        );
    }
    expr(Node::Ext(value), width, signed)
}

/// Inverts each bit.
pub(crate) fn not(value: Expr) -> Expr {
    let width = value.width;
    if let Some(literal) = value.literal() {
        let mut out: Vec<u64> = literal.iter().map(|word| !word).collect();
        words::canonical(&mut out, width);
        return constant(out, width, false);
    }
    match &*value.node {
        Node::Not(inner) => inner.clone().read_as(false),
        _ => expr(Node::Not(value), width, false),
    }
}

/// Chooses `then` where the condition of 1 bit holds, else `otherwise`.
#[track_caller]
pub(crate) fn mux(cond: Expr, then: Expr, otherwise: Expr) -> Expr {
    assert!(cond.width == 1, "condition of {} bits", cond.width);
    assert!(then.width == otherwise.width, "mux of {} and {} bits", then.width, otherwise.width);
    assert!(then.signed == otherwise.signed, "mux of a signed and an unsigned value");
    if let Some(literal) = cond.literal() {
        return if literal[0] == 1 { then } else { otherwise };
    }
    let (width, signed) = (then.width, then.signed);
    expr(Node::Mux(cond, then, otherwise), width, signed)
}

/// Returns a sum, difference or product modulo 2^width of operands that it extends to `width` by their common
/// sign.
#[track_caller]
pub(crate) fn arith(op: Bin, a: Expr, b: Expr, width: usize) -> Expr {
    assert!(a.signed == b.signed, "{op:?} of a signed and an unsigned value");
    let signed = a.signed;
    let (a, b) = (extend(a, width), extend(b, width));
    if let (Some(x), Some(y)) = (a.literal(), b.literal()) {
        let mut out = vec![0; words::words_for(width)];
        match op {
            Bin::Add => words::add_into(&mut out, x, y, width),
            Bin::Sub => words::sub_into(&mut out, x, y, width),
            _ => words::mul_into(&mut out, x, y, width),
        }
        return constant(out, width, signed);
    }
    match op {
        Bin::Add | Bin::Sub if is_zero(&b) => a,
        Bin::Add if is_zero(&a) => b,
        Bin::Mul if is_zero(&b) || is_one(&a) => b,
        Bin::Mul if is_zero(&a) || is_one(&b) => a,
        _ => expr(Node::Bin(op, a, b), width, signed),
    }
}

fn is_zero(value: &Expr) -> bool {
    value.literal().is_some_and(|literal| literal.iter().all(|&word| word == 0))
}

fn is_one(value: &Expr) -> bool {
    value.literal().is_some_and(|literal| literal[0] == 1 && literal[1..].iter().all(|&word| word == 0))
}

/// Compares operands, the narrower of which it extends by their common sign.
#[track_caller]
pub(crate) fn compare(op: Bin, a: Expr, b: Expr) -> Expr {
    assert!(a.signed == b.signed, "comparison of a signed and an unsigned value");
    let (width, signed) = (a.width.max(b.width), a.signed);
    let (a, b) = (extend(a, width), extend(b, width));
    if let Some(known) = decided(op, &a, &b, signed) {
        return lit(known as u64, 1);
    }
    // One bit is itself what it would be compared with.
    if let (1, Bin::Eq | Bin::Ne, Some(value)) = (width, op, b.literal()) {
        let high = value[0] == 1;
        return if high == (op == Bin::Eq) { a.read_as(false) } else { not(a) };
    }
    expr(Node::Bin(op, a, b), 1, false)
}

/// Returns the result of a comparison that literals and ranges alone decide.
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

/// Joins two operands of one width bit by bit.
#[track_caller]
pub(crate) fn bitwise(op: Bin, a: Expr, b: Expr) -> Expr {
    assert!(a.width == b.width, "{op:?} of {} and {} bits", a.width, b.width);
    let width = a.width;
    for (literal, other) in [(&a, &b), (&b, &a)] {
        if literal.literal().is_none() {
            continue;
        }
        let zero = is_zero(literal);
        let ones = is_zero(&not(literal.clone()));
        match op {
            Bin::And if ones => return other.clone().read_as(false),
            Bin::Or | Bin::Xor if zero => return other.clone().read_as(false),
            Bin::And if zero => return literal.clone().read_as(false),
            Bin::Or if ones => return literal.clone().read_as(false),
            Bin::Xor if ones => return not(other.clone()),
            _ => {}
        }
    }
    if let (Some(x), Some(y)) = (a.literal(), b.literal()) {
        let join = |(&x, &y): (&u64, &u64)| match op {
            Bin::And => x & y,
            Bin::Or => x | y,
            _ => x ^ y,
        };
        return constant(x.iter().zip(y).map(join).collect(), width, false);
    }
    expr(Node::Bin(op, a, b), width, false)
}

/// Joins all bits of `value` to one.
pub(crate) fn reduce(op: Reduce, value: Expr) -> Expr {
    if value.width == 1 {
        return value.read_as(false);
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
