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
/// Numbers of the loops that end with a row and with a frame.
pub const OUT_COLUMN: usize = 5;
pub const OUT_ROW: usize = 6;

/// Holds for each loop the register that is high where it and all loops within it are in their last states; `None`
/// where they have one state.
pub struct Loops {
    ends: [Option<Sig>; LOOPS],
}

impl Loops {
    /// Adds the registers of loops of so many states.
    pub fn new(k: &mut Kernel, counts: [usize; LOOPS]) -> Self {
        let mut ends = [None; LOOPS];
        let mut inner = None;
        for (i, count) in counts.into_iter().enumerate() {
            // A loop of one state ends with the loop within it.
            if count > 1 {
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

    /// Returns what a step of the innermost loop sets: `steps` and `ends` say for each loop what its own step sets, and
    /// what else where it ends. Of several values for one register the outermost loop's is taken. The enable of a
    /// register is one of the ends, that of the innermost loop that sets it from outside.
    pub fn moves(
        &self,
        counters: [&Counter; LOOPS],
        steps: [Vec<Stmt>; LOOPS],
        ends: [Vec<Stmt>; LOOPS],
    ) -> Vec<Stmt> {
        let mut levels = vec![];
        let mut level: Level = (None, self.next(counters));
        for (i, (step, end)) in steps.into_iter().zip(ends).enumerate() {
            // A loop of one state makes no step.
            if counters[i].count > 1 {
                level.1.extend(step);
                levels.push(std::mem::replace(&mut level, (self.ends[i], vec![])));
            }
            level.1.extend(end);
        }
        levels.push(level);
        let mut seen = vec![];
        (0..levels.len()).flat_map(|first| nested(&levels[first..], &mut seen)).collect()
    }

    /// Returns how the registers move by one state of the innermost loop. All loops are in their last states next if the
    /// innermost of more than one state is in the last state but one, and the others are in their last: none of those
    /// moves then.
    fn next(&self, counters: [&Counter; LOOPS]) -> Vec<Stmt> {
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
}

/// An end of loops, and the assignments of where they end.
type Level = (Option<Sig>, Vec<Stmt>);

/// Returns the assignments of the registers that the first of `levels` sets and that are not among `seen`, and adds them
/// to these: each level within the one before.
fn nested(levels: &[Level], seen: &mut Vec<u32>) -> Vec<Stmt> {
    let target = |statement: &Stmt| match statement {
        Stmt::Set(reg, _) => reg.id,
        _ => unreachable!("loops set registers"),
    };
    let mut registers: Vec<u32> = levels[0].1.iter().map(target).collect();
    registers.retain(|id| !seen.contains(id));
    seen.extend(&registers);
    let mut within = vec![];
    for (end, statements) in levels.iter().rev() {
        let is_last = |(i, statement): &(usize, &Stmt)| {
            let register = target(statement);
            registers.contains(&register) && statements[i + 1..].iter().all(|later| target(later) != register)
        };
        let mut own: Vec<Stmt> =
            statements.iter().enumerate().filter(is_last).map(|(_, statement)| statement.clone()).collect();
        if own.is_empty() {
            continue;
        }
        own.append(&mut within);
        within = match end {
            Some(end) => vec![when(*end, own)],
            None => own,
        };
    }
    within
}
