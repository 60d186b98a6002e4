//! Builds counters: positions in frames, pixels and memories.

use crate::rtl::{Expr, Kernel, Sig, Stmt, Value, addr_bits, lit, set, when};

/// Holds a counter over `count` states that needs no register where there is only one.
pub struct Counter {
    pub reg: Option<Sig>,
    pub count: usize,
    /// Says in a register whether the state is the last; `None` where that is compared.
    end: Option<Sig>,
}

/// Most states of which one LUT tells the last among other things, so that no register needs to.
const FEW_STATES: usize = 4;

impl Counter {
    pub fn new(k: &mut Kernel, name: &str, count: usize) -> Self {
        let reg = (count > 1).then(|| k.reg(name, addr_bits(count), Some(0)));
        Counter { reg, count, end: None }
    }

    /// Returns a counter that knows early whether its state is the last, where a comparison would take time.
    pub fn with_end(k: &mut Kernel, name: &str, count: usize) -> Self {
        let end = Self::has_end(count).then(|| k.reg(&format!("{name}_last"), 1, Some(0)));
        Counter { end, ..Self::new(k, name, count) }
    }

    /// Returns whether a counter [`Counter::with_end`] of `count` states has a register for it.
    pub fn has_end(count: usize) -> bool {
        count > FEW_STATES
    }

    /// Returns a counter whose states are those of `reg`, which its owner moves.
    pub fn of(reg: Option<Sig>, count: usize) -> Self {
        Counter { reg, count, end: None }
    }

    pub fn first(&self) -> Expr {
        self.reg.map_or(lit(1, 1), |reg| reg.eq_to(0))
    }

    pub fn last(&self) -> Expr {
        let last = |reg: Sig| reg.eq_to(self.count as u64 - 1);
        self.end.map_or_else(|| self.reg.map_or(lit(1, 1), last), Into::into)
    }

    /// Returns it as an address of [`addr_bits`]`(count)` bits.
    pub fn value(&self) -> Expr {
        self.reg.map_or(lit(0, 1), Into::into)
    }

    pub fn clear(&self) -> Vec<Stmt> {
        self.reg.iter().chain(&self.end).map(|&reg| set(reg, lit(0, reg.width()))).collect()
    }

    pub fn increment(&self) -> Vec<Stmt> {
        self.reg.iter().map(|&reg| set(reg, reg.inc())).chain(self.move_end()).collect()
    }

    /// Sets the end's register for the state after this one.
    fn move_end(&self) -> Option<Stmt> {
        self.end.zip(self.reg).map(|(end, reg)| set(end, reg.eq_to(self.count as u64 - 2)))
    }

    /// Advances in every cycle in which `enable` is high.
    pub fn clock(&self, k: &mut Kernel, enable: Sig) {
        if self.reg.is_some() {
            k.clocked([when(enable, self.advance())]);
        }
    }

    /// Moves to the next state, and from the last to the first.
    pub fn advance(&self) -> Vec<Stmt> {
        if self.count.is_power_of_two() {
            return self.increment();
        }
        let next = |reg: Sig| self.last().mux(lit(0, reg.width()), reg.inc());
        self.reg.iter().map(|&reg| set(reg, next(reg))).chain(self.move_end()).collect()
    }
}
