//! Prints expressions: each operand at its own width, `$signed` exactly where signedness matters. Never
//! decides a width.

use super::text::KEPT;
use crate::rtl::ir::expr::{Bin, Expr, Node, Reduce, Sig};
use crate::rtl::ir::leaf::Leaf;
use crate::rtl::ir::words;

/// Prints parts of one leaf.
pub(crate) struct Printer<'a> {
    pub leaf: &'a Leaf,
}

/// Returns a sized literal.
pub(crate) fn literal(value: &[u64], width: usize, signed: bool) -> String {
    if !signed {
        return unsigned_literal(value, width);
    }
    if !words::bit(value, width - 1) {
        return unsigned_literal(value, width).replacen('\'', "'s", 1);
    }
    match magnitude(value, width) {
        Some(magnitude) if !words::bit(&[magnitude], (width - 1).min(63)) => {
            format!("-{width}'sd{magnitude}")
        }
        _ => format!("{width}'sh{}", words::to_hex(value, width)),
    }
}

/// Returns how far below zero a negative `value` is, where 32 bits hold that.
fn magnitude(value: &[u64], width: usize) -> Option<u64> {
    let mut magnitude = vec![0; value.len()];
    words::sub_into(&mut magnitude, &vec![0; value.len()], value, width);
    (magnitude[0] >> 32 == 0 && magnitude[1..].iter().all(|&word| word == 0)).then_some(magnitude[0])
}

/// Appends the number that was meant to the unsigned literal of a negative one.
fn noted(text: String, value: &[u64], width: usize) -> String {
    match magnitude(value, width) {
        Some(magnitude) => format!("{text}{KEPT}/*{KEPT}-{magnitude}{KEPT}*/"),
        None => text,
    }
}

fn unsigned_literal(value: &[u64], width: usize) -> String {
    if width == 1 {
        format!("1'b{}", value[0])
    } else if value[0] >> 32 == 0 && value[1..].iter().all(|&word| word == 0) {
        format!("{width}'d{}", value[0])
    } else {
        format!("{width}'h{}", words::to_hex(value, width))
    }
}

impl Printer<'_> {
    /// Prints a whole expression.
    pub fn whole(&self, value: &Expr) -> String {
        let text = self.operand(value);
        // A whole expression needs no parentheses around it.
        match &*value.node {
            Node::Bin(..) | Node::Mux(..) | Node::Reduce(..) => text[1..text.len() - 1].to_string(),
            _ => text,
        }
    }

    /// Prints an expression that may stand beside any operator.
    fn operand(&self, value: &Expr) -> String {
        match &*value.node {
            Node::Net(sig) => self.name(*sig).into(),
            Node::Lit { value: bits, negative } => {
                let text = literal(bits, value.width, value.signed);
                match (text.starts_with('-'), negative) {
                    (true, _) => format!("({text})"),
                    (false, true) => noted(text, bits, value.width),
                    (false, false) => text,
                }
            }
            Node::Slice(sig, offset) => self.select(*sig, *offset, value.width),
            Node::Not(a) => format!("~{}", self.operand(a)),
            Node::Reduce(op, a) => {
                let op = match op {
                    Reduce::And => "&",
                    Reduce::Or => "|",
                    Reduce::Xor => "^",
                };
                // `^~x` would be read as one operator.
                match &*a.node {
                    Node::Not(_) => format!("({op}({}))", self.operand(a)),
                    _ => format!("({op}{})", self.operand(a)),
                }
            }
            Node::Bin(op, a, b) => {
                let signed = a.signed && matches!(op, Bin::Lt | Bin::Le | Bin::Mul);
                let side = |e: &Expr| if signed { self.signed(e) } else { self.operand(e) };
                let left = match &*a.node {
                    // Verilog joins from the left, too.
                    Node::Bin(first, ..) if first == op && joins(*op) => self.whole(a),
                    _ => side(a),
                };
                format!("({left} {} {})", symbol(*op), side(b))
            }
            Node::Mux(cond, a, b) => {
                format!("({} ? {} : {})", self.operand(cond), self.operand(a), self.operand(b))
            }
            Node::Ext(a) => {
                let more = value.width - a.width;
                if !a.signed {
                    return format!("{{{more}'d0, {}}}", self.whole(a));
                }
                let sign = a.cut(a.width - 1, 1).expect("checked when it was extended");
                let sign = self.whole(&sign);
                if more == 1 {
                    format!("{{{sign}, {}}}", self.whole(a))
                } else {
                    format!("{{{{{more}{{{sign}}}}}, {}}}", self.whole(a))
                }
            }
            Node::Cat(parts) => {
                let mut runs: Vec<(String, usize)> = vec![];
                for part in parts {
                    let text = self.whole(part);
                    match runs.last_mut() {
                        Some((last, count)) if *last == text => *count += 1,
                        _ => runs.push((text, 1)),
                    }
                }
                let only = runs.len() == 1;
                let run = |(text, count): (String, usize)| match count {
                    1 => text,
                    _ if only => format!("{count}{{{text}}}"),
                    _ => format!("{{{count}{{{text}}}}}"),
                };
                format!("{{{}}}", runs.into_iter().map(run).collect::<Vec<_>>().join(", "))
            }
        }
    }

    /// Prints an operand that Verilog takes as signed.
    fn signed(&self, value: &Expr) -> String {
        match &*value.node {
            Node::Net(sig) if sig.signed => self.operand(value),
            Node::Lit { .. } => self.operand(value),
            _ => format!("$signed({})", self.whole(value)),
        }
    }

    fn select(&self, sig: Sig, offset: usize, width: usize) -> String {
        let name = self.name(sig);
        match width {
            _ if sig.width == width => name.into(),
            1 => format!("{name}[{offset}]"),
            _ => format!("{name}[{}:{offset}]", offset + width - 1),
        }
    }

    fn name(&self, sig: Sig) -> &str {
        &self.leaf.net(sig).name
    }
}

/// Says whether a chain of this operation needs no parentheses.
fn joins(op: Bin) -> bool {
    matches!(op, Bin::Add | Bin::And | Bin::Or | Bin::Xor)
}

fn symbol(op: Bin) -> &'static str {
    match op {
        Bin::Add => "+",
        Bin::Sub => "-",
        Bin::Mul => "*",
        Bin::And => "&",
        Bin::Or => "|",
        Bin::Xor => "^",
        Bin::Eq => "==",
        Bin::Ne => "!=",
        Bin::Lt => "<",
        Bin::Le => "<=",
    }
}
