//! The output FIFO that ends every stage, and the credits that keep the pipeline before it from overflowing.
//! A deep one is block RAM with a register behind it, and gives its beats a cycle later.

use super::contract::{Values, fill, reset};
use super::site::Site;
use crate::rtl::{Expr, Kernel, Read, Sig, Style, Value, Write, addr_bits, bits_for, lit, set, when};

/// An output FIFO being built: `m_data`, `m_valid`, `m_ready`, or `m0_data`, ... where there are several.
pub struct Outlet {
    /// What the names of its nets end in.
    suffix: String,
    data: Sig,
    ready: Sig,
    valid: Sig,
    /// High while the memory holds a beat.
    held: Sig,
    credit: Sig,
    count: Sig,
    depth: usize,
    /// Cycles from the promise of a place to its beat.
    delay: usize,
    deep: bool,
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
        let (name, depth) = (site.output_port(port), site.depths[port]);
        let suffix = name["m".len()..].to_string();
        let data = k.output(&format!("{name}_data"), site.output.width());
        let m_valid = k.output(&format!("{name}_valid"), 1);
        let ready = k.input(&format!("{name}_ready"), 1);
        let bits = bits_for(depth as u64);
        let credit = k.reg(&format!("credit{suffix}"), bits, Some(depth as u64));
        k.comment(credit, "Output FIFO: places not promised, and beats held.");
        let count = k.reg(&format!("count{suffix}"), bits, Some(0));
        let free = k.wire(&format!("free{suffix}"), credit.any());
        let held = k.wire(&format!("valid{suffix}"), count.any());
        let deep = site.has_deep_fifo(port);
        let valid = if deep { k.reg(&format!("shown{suffix}"), 1, Some(0)) } else { held };
        k.drive(m_valid, valid);
        let delay = site.latency as usize - 1;
        Outlet { suffix, data, ready, valid, held, credit, count, depth, delay, deep, free }
    }

    /// Ends the stage: `spend` promises a place when an operation issues, `push` brings its beat `data`
    /// later.
    pub fn finish(
        self,
        k: &mut Kernel,
        spend: impl Into<Expr>,
        push: impl Into<Expr>,
        data: impl Into<Expr>,
    ) {
        let (spend, push, data) = (spend.into(), push.into(), data.into());
        let valid = self.valid;
        let pop = k.wire(&self.name("pop"), valid & self.ready);
        // Out of the memory: with the beat, or into the register behind it, where that is free.
        let read = if self.deep {
            let read = k.wire(&self.name("read"), self.held & (!valid | self.ready));
            k.next(valid, None, read | (valid & !self.ready));
            read
        } else {
            pop
        };
        let same = spend.clone().not() & pop;
        let less = spend.clone() & !pop;
        let less_one = |sig: Sig| sig.sub(lit(1, sig.width()), sig.width());
        k.clocked([
            when(less, [set(self.credit, less_one(self.credit))]),
            when(same, [set(self.credit, self.credit.inc())]),
        ]);
        k.clocked([
            when(push.clone() & !read, [set(self.count, self.count.inc())]),
            when(push.clone().not() & read, [set(self.count, less_one(self.count))]),
        ]);
        let write_at = self.pointer(k, "fifo_in", &push);
        let read_at = self.pointer(k, "fifo_out", &read.expr());
        let (style, addr) = (if self.deep { Style::Block } else { Style::Auto }, read_at.into());
        let port = if self.deep { Read::Sync { enable: read.into(), addr } } else { Read::Async { addr } };
        let write = Write { enable: push, addr: write_at.into(), data };
        let out = k.ram(&self.name("fifo"), write.data.width(), self.depth, style, write.clone(), port);
        k.drive(self.data, out);
        k.contract_wire(&self.name("f_spend"), spend);
        k.contract_wire(&self.name("f_push"), write.enable);
        k.contract_wire(&self.name("f_data"), write.data);
        k.contract(&self.contract());
    }

    /// Returns what it promises, with the wires `f_spend`, `f_push` and `f_data`.
    fn contract(&self) -> String {
        let Outlet { suffix: s, depth, delay, deep, .. } = self;
        let bits = bits_for(*depth as u64);
        let (wide, at) = (bits + 2, addr_bits(*depth));
        // In as many bits as hold the sum of all places.
        let wider = |net: &str, have: usize| format!("{{{}'d0, {net}}}", wide + 1 - have);
        let mut places = vec![wider(&format!("credit{s}_q"), bits), wider(&format!("count{s}_q"), bits)];
        places.extend(deep.then(|| wider(&format!("shown{s}_q"), 1)));
        places.extend((0..*delay).map(|i| wider(&format!("f_spent{s}[{i}]"), 1)));
        let valid = if *deep { format!("shown{s}_q") } else { format!("(|count{s}_q)") };
        let shifted = match delay {
            0 | 1 => format!("f_spend{s}"),
            _ => format!("{{f_spent{s}[{}:0], f_spend{s}}}", delay - 2),
        };
        let values: Values = vec![
            ("s", s.clone()),
            ("depth", depth.to_string()),
            ("bits", bits.to_string()),
            ("wide", wide.to_string()),
            ("wider", (wide + 1).to_string()),
            ("places", places.join(" + ")),
            ("valid", valid),
            ("delay_top", delay.saturating_sub(1).to_string()),
            ("shifted", shifted),
            ("all", format!("{}'d{depth}", bits + 1)),
            ("pad", (bits + 1 - at).to_string()),
            ("at_top", (at - 1).to_string()),
        ];
        let template = include_str!("outlet.contract.v");
        let on_time = if *delay == 0 { "on time at once" } else { "on time" };
        let order = if *deep { None } else { Some("order") };
        let sections = [on_time, "places"].into_iter().chain(order).chain(["stable"]);
        reset(s) + &sections.map(|name| fill(template, name, &values)).collect::<String>()
    }

    fn name(&self, net: &str) -> String {
        format!("{net}{}", self.suffix)
    }

    fn pointer(&self, k: &mut Kernel, name: &str, advance: &Expr) -> Sig {
        let at = k.reg(&self.name(name), addr_bits(self.depth), Some(0));
        let next = if self.depth.is_power_of_two() {
            at.inc()
        } else {
            at.eq_to(self.depth as u64 - 1).mux(lit(0, at.width()), at.inc())
        };
        k.next(at, Some(advance.clone()), next);
        at
    }
}
