//! The output FIFO that ends every stage, and the credits that keep the pipeline before it from overflowing.
//! A deep one is block RAM with a register behind it, and gives its beats a cycle later.

use super::contract;
use super::fifo::{Fifo, Ports};
use super::site::Site;
use crate::rtl::{Expr, Kernel, Sig};

/// An output FIFO being built: `m_data`, `m_valid`, `m_ready`, or `m0_data`, ... where there are several.
pub struct Outlet {
    /// What the names of its nets end in.
    suffix: String,
    data: Sig,
    valid: Sig,
    ready: Sig,
    fifo: Fifo,
    /// High while a place is free that no beat in flight has been promised.
    pub free: Sig,
}

impl Outlet {
    /// Declares the outgoing stream of the stage at `site` and its FIFO.
    pub fn new(k: &mut Kernel, site: &Site) -> Self {
        Self::port(k, site, 0)
    }

    /// Declares the outgoing stream of output `port` of `site`, and its FIFO.
    pub fn port(k: &mut Kernel, site: &Site, port: usize) -> Self {
        let (name, width) = (site.output_port(port), site.output.width());
        let suffix = name["m".len()..].to_string();
        let data = k.output(&format!("{name}_data"), width);
        let valid = k.output(&format!("{name}_valid"), 1);
        let ready = k.input(&format!("{name}_ready"), 1);
        let free = k.later(&format!("free{suffix}"), 1, false);
        k.comment(free, "The output FIFO has a place that is not promised to a beat in flight.");
        let (depth, delay) = (site.depths[port], site.latency as usize - 1);
        let fifo = Fifo { width, depth, delay, block: site.has_deep_fifo(port) };
        Outlet { suffix, data, valid, ready, fifo, free }
    }

    /// Ends the stage: `spend` promises a place when an operation issues, `push` brings its beat `data`
    /// later. The contract may speak of them as `f_push` and `f_data`.
    pub fn finish(
        self,
        k: &mut Kernel,
        spend: impl Into<Expr>,
        push: impl Into<Expr>,
        data: impl Into<Expr>,
    ) {
        let Outlet { suffix: s, data: out, valid, ready, fifo, free } = self;
        let (spend, push, data) = (spend.into(), push.into(), data.into());
        k.contract_wire(&format!("f_push{s}"), push.clone());
        k.contract_wire(&format!("f_data{s}"), data.clone());
        fifo.build(k, &s, Ports { free, spend, push, data, out, valid, ready: ready.into() });
        let [data, valid, ready] = ["data", "valid", "ready"].map(|part| format!("m{s}_{part}"));
        k.contract(&contract::offers(&s, &valid, &ready, &[&data]));
        k.contract(&contract::enters(&s, &valid, &data, 1 + usize::from(fifo.block)));
    }
}
