//! The output FIFO that ends every stage, and the credits that keep the pipeline before it from overflowing.

use crate::rtl::{Expr, Kernel, Read, Sig, Style, Value, Write, addr_bits, bits_for, lit, set, when};

/// An output FIFO being built: `m_data`, `m_valid`, `m_ready`.
pub struct Outlet {
    data: Sig,
    ready: Sig,
    valid: Sig,
    credit: Sig,
    count: Sig,
    depth: usize,
    /// High while a place is free that no beat in flight has been promised.
    pub free: Sig,
}

impl Outlet {
    /// Declares the outgoing stream of `width` bits and its FIFO of `depth` beats.
    pub fn new(k: &mut Kernel, width: usize, depth: usize) -> Self {
        let data = k.output("m_data", width);
        let m_valid = k.output("m_valid", 1);
        let ready = k.input("m_ready", 1);
        let bits = bits_for(depth as u64);
        let credit = k.reg("credit", bits, Some(depth as u64));
        k.comment(credit, "Output FIFO: places not promised, and beats held.");
        let count = k.reg("count", bits, Some(0));
        let free = k.wire("free", credit.any());
        let valid = k.wire("valid", count.any());
        k.drive(m_valid, valid);
        Outlet { data, ready, valid, credit, count, depth, free }
    }

    /// Ends the stage: `spend` promises a place when an operation issues, `push` brings its beat `data` later.
    pub fn finish(
        self,
        k: &mut Kernel,
        spend: impl Into<Expr>,
        push: impl Into<Expr>,
        data: impl Into<Expr>,
    ) {
        let (spend, push, data) = (spend.into(), push.into(), data.into());
        let pop = k.wire("pop", self.valid & self.ready);
        let same = spend.clone().not() & pop;
        let less = spend & !pop;
        let one = |sig: Sig| lit(1, sig.width());
        k.clocked([
            when(less, [set(self.credit, self.credit.sub(one(self.credit), self.credit.width()))]),
            when(same, [set(self.credit, self.credit.inc())]),
        ]);
        k.clocked([
            when(push.clone() & !pop, [set(self.count, self.count.inc())]),
            when(
                push.clone().not() & pop,
                [set(self.count, self.count.sub(one(self.count), self.count.width()))],
            ),
        ]);
        let write_at = self.pointer(k, "fifo_in", &push);
        let read_at = self.pointer(k, "fifo_out", &pop.expr());
        let out = k.ram(
            "fifo",
            data.width(),
            self.depth,
            Style::Auto,
            Write { enable: push, addr: write_at.into(), data },
            Read::Async { addr: read_at.into() },
        );
        k.drive(self.data, out);
    }

    fn pointer(&self, k: &mut Kernel, name: &str, advance: &Expr) -> Sig {
        let at = k.reg(name, addr_bits(self.depth), Some(0));
        let next = if self.depth.is_power_of_two() {
            at.inc()
        } else {
            at.eq_to(self.depth as u64 - 1).mux(lit(0, at.width()), at.inc())
        };
        k.next(at, Some(advance.clone()), next);
        at
    }
}
