//! Builds counters: positions in frames, pixels and memories.

use crate::rtl::{Expr, Kernel, Sig, Stmt, Value, addr_bits, lit, set, when};

/// Holds a counter over `count` states that needs no register where there is only one.
pub struct Counter {
    pub reg: Option<Sig>,
    pub count: usize,
}

impl Counter {
    pub fn new(k: &mut Kernel, name: &str, count: usize) -> Self {
        Counter { reg: (count > 1).then(|| k.reg(name, addr_bits(count), Some(0))), count }
    }

    pub fn first(&self) -> Expr {
        self.reg.map_or(lit(1, 1), |reg| reg.eq_to(0))
    }

    pub fn last(&self) -> Expr {
        self.reg.map_or(lit(1, 1), |reg| reg.eq_to(self.count as u64 - 1))
    }

    /// Returns it as an address of [`addr_bits`]`(count)` bits.
    pub fn value(&self) -> Expr {
        self.reg.map_or(lit(0, 1), Into::into)
    }

    pub fn clear(&self) -> Vec<Stmt> {
        self.reg.iter().map(|&reg| set(reg, lit(0, reg.width()))).collect()
    }

    pub fn increment(&self) -> Vec<Stmt> {
        self.reg.iter().map(|&reg| set(reg, reg.inc())).collect()
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
        self.reg.iter().map(|&reg| set(reg, next(reg))).collect()
    }
}
