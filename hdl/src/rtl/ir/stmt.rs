//! Statements of clocked processes. Never checks which process owns a register: `build` does.

use super::expr::{Expr, Sig};

/// A statement of a clocked process.
#[derive(Clone, Debug)]
pub enum Stmt {
    /// Non-blocking assignment to a whole register.
    Set(Sig, Expr),
    /// If, then, else.
    If(Expr, Vec<Stmt>, Vec<Stmt>),
    /// A comment line.
    Note(String),
}

/// Returns `reg <= value;`.
pub fn set(reg: Sig, value: impl Into<Expr>) -> Stmt {
    let value = value.into();
    assert!(value.width == reg.width, "assignment of {} bits to a register of {}", value.width, reg.width);
    Stmt::Set(reg, value)
}

/// Returns `if (cond) begin … end`.
pub fn when(cond: impl Into<Expr>, then: impl Into<Vec<Stmt>>) -> Stmt {
    when_else(cond, then, [])
}

/// Returns `if (cond) begin … end else begin … end`; a single `when` as the last part prints as `else if`.
pub fn when_else(cond: impl Into<Expr>, then: impl Into<Vec<Stmt>>, otherwise: impl Into<Vec<Stmt>>) -> Stmt {
    let cond = cond.into();
    assert!(cond.width == 1, "condition of {} bits", cond.width);
    Stmt::If(cond, then.into(), otherwise.into())
}

/// Returns a comment between statements.
pub fn note(text: impl Into<String>) -> Stmt {
    Stmt::Note(text.into())
}
