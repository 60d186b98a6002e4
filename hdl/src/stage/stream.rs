//! Builds the incoming streams of a stage, and flags that follow a beat through its pipeline.

use crate::rtl::{Expr, Kernel, Sig};

/// Holds the incoming stream of a kernel.
pub struct Inlet {
    pub data: Sig,
    pub valid: Sig,
    pub ready: Sig,
}

impl Inlet {
    pub fn new(k: &mut Kernel, width: usize) -> Self {
        Self::named(k, "s", width)
    }

    pub fn named(k: &mut Kernel, name: &str, width: usize) -> Self {
        let data = k.input(&format!("{name}_data"), width);
        let valid = k.input(&format!("{name}_valid"), 1);
        Inlet { data, valid, ready: k.output(&format!("{name}_ready"), 1) }
    }

    /// Takes a beat wherever `ready` (of registers alone) is high; gives the wire `beat`: one moves now.
    pub fn take(&self, k: &mut Kernel, ready: impl Into<Expr>) -> Sig {
        let ready = k.wire("ready", ready);
        k.drive(self.ready, ready);
        k.wire("beat", self.valid & ready)
    }
}

/// Returns `flag`, `cycles` cycles later, low after reset.
pub fn delayed(k: &mut Kernel, name: &str, flag: Sig, cycles: usize) -> Sig {
    (1..=cycles).fold(flag, |before, cycle| {
        let reg = k.reg(&format!("{name}{cycle}"), 1, Some(0));
        k.next(reg, None, before);
        reg
    })
}
