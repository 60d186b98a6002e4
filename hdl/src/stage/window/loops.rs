//! Builds the loops of the reading side, and registers that tell where they end.
//!
//! Whether a tap is there is the last thing that a cycle knows. What moves with the tap hangs on that and on one
//! register, not on a chain of loops that end in each other.

use crate::rtl::{Expr, Kernel, Sig, Stmt, Value, lit, set, when};
use crate::stage::counter::Counter;

/// Number of loops.
pub const LOOPS: usize = 7;
/// The loops, the innermost first.
pub const NAMES: [&str; LOOPS] =
    ["tap_column", "tap_row", "chunk", "replay", "group", "out_column", "out_row"];

/// Holds for each loop the register that is high where it and all loops within it are in their last states; `None`
/// where they have one state.
pub struct Loops {
    ends: [Option<Sig>; LOOPS],
}

impl Loops {
    /// Adds the registers of `counters`, which move by one state of the innermost where `go`.
    pub fn new(k: &mut Kernel, counters: [&Counter; LOOPS]) -> Self {
        let mut ends = [None; LOOPS];
        let mut inner = None;
        for (i, counter) in counters.into_iter().enumerate() {
            // A loop of one state ends with the loop within it.
            if counter.count > 1 {
                inner = Some(k.reg(&format!("{}_ends", NAMES[i]), 1, Some(0)));
            }
            ends[i] = inner;
        }
        Loops { ends }
    }

    /// Returns whether loop `i` and all within it are in their last states.
    pub fn end(&self, i: usize) -> Expr {
        self.ends[i].map_or(lit(1, 1), Into::into)
    }

    /// Returns how the registers move by one state of the innermost loop. All loops are in their last states next if the
    /// innermost of more than one state is in the last state but one, and the others are in their last.
    pub fn next(&self, counters: [&Counter; LOOPS]) -> Vec<Stmt> {
        let mut statements = vec![];
        let mut all: Option<Expr> = None;
        for (counter, end) in counters.into_iter().zip(self.ends) {
            let (Some(reg), Some(end)) = (counter.reg, end) else { continue };
            let next = match all {
                None => reg.eq_to(counter.count as u64 - 2),
                Some(inner) => inner & counter.last(),
            };
            statements.push(set(end, next.clone()));
            all = Some(next);
        }
        statements
    }

    /// Returns `statements` for where loop `i` and all within it are in their last states.
    pub fn at_end(&self, i: usize, statements: Vec<Stmt>) -> Vec<Stmt> {
        match self.ends[i] {
            Some(end) if !statements.is_empty() => vec![when(end, statements)],
            _ => statements,
        }
    }
}
