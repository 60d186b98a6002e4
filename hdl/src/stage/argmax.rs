//! Builds the label: the index of the largest score, the lowest on ties; and, where it is asked for, whether the
//! label is proved: whether its score leads every other by enough ([`dq_net::proved`]).

use super::contract;
use super::counter::Counter;
use super::encoding::record;
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::site::{Lanes, Site};
use super::stream::Inlet;
use crate::device::Resources;
use crate::rtl::{Expr, Kernel, Module, Sig, Value, addr_bits, cat, lit, set, when};
use dq_net::Range;

const TEMPLATE: &str = include_str!("argmax.contract.v");

/// Takes one class per beat, and gives one label.
#[derive(Debug)]
pub struct ArgMax {
    /// Number of classes, one per beat.
    pub classes: usize,
    /// Lead of the label's score over every other from which the label is proved: the top bit says so.
    pub lead: Option<i64>,
}

impl ArgMax {
    /// Returns the lanes of its output: the label, and the bit above it.
    pub fn output(&self) -> Lanes {
        let label = Lanes::new(1, Range::new(0, self.classes as i64 - 1));
        Lanes { bits: label.bits + usize::from(self.lead.is_some()), ..label }
    }
}

/// Holds what the comparison of scores is made of.
struct Scores {
    data: Expr,
    best: Sig,
    label: Sig,
    /// A beat moves that is the largest score so far.
    better: Expr,
    beat: Sig,
    class: Counter,
    /// It is the last of a frame.
    spend: Sig,
    /// Lead that proves the label.
    lead: i64,
}

impl Kind for ArgMax {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: self.classes, tail: 1 }
    }

    fn latency(&self, _site: &Site) -> u64 {
        // The lead is a register of its own before it is compared.
        if self.lead.is_some() { 3 } else { 2 }
    }

    fn module_name(&self, site: &Site) -> String {
        site.name.clone()
    }

    fn cost(&self, site: &Site) -> Resources {
        let (bits, index) = (site.input.bits, addr_bits(self.classes));
        let label = Resources::logic(2 * bits + 8, bits + 2 * index + 1);
        match self.lead {
            None => label,
            // The next score and its comparison, the difference, and its comparison with a constant.
            Some(_) => label.plus(Resources::logic(3 * bits + 2, 2 * bits + index + 1)),
        }
    }

    fn encode(&self) -> String {
        // A circuit without the bit is what it was before there was one.
        match self.lead {
            None => record("ArgMax", &[("classes", &self.classes)]),
            Some(lead) => record("ArgMax", &[("classes", &self.classes), ("lead", &lead)]),
        }
    }

    fn module(&self, site: &Site) -> Module {
        let mut note = format!(
            "Label: index of the largest of {} scores, one a beat, the lowest index on ties.\n\
             Latency {} from the last score, one score a cycle.",
            self.classes, site.latency
        );
        if let Some(lead) = self.lead {
            note += &format!(
                "\nBit {} of the output: the label is proved, its score leads every other by {lead} or more.",
                site.output.bits - 1
            );
        }
        let mut k = Kernel::new(&self.module_name(site), &note);
        let inlet = Inlet::new(&mut k, site.input.bits);
        let outlet = Outlet::new(&mut k, site);
        let class = Counter::new(&mut k, "class", self.classes);
        let last = k.wire("last", class.last());
        let beat = inlet.take(&mut k, !last | outlet.free);
        class.clock(&mut k, beat);
        let best = k.reg("best", site.input.bits, None);
        let label = k.reg("label", site.output.bits - usize::from(self.lead.is_some()), None);
        let above = greater(site, inlet.data, best);
        let better = k.wire("better", class.first() | above);
        k.clocked([when(beat & better, [set(best, inlet.data), set(label, class.value())])]);
        let spend = k.wire("spend", beat & last);
        match self.lead {
            None => {
                let push = k.reg("push", 1, Some(0));
                k.next(push, None, spend);
                outlet.finish(&mut k, spend, push, label);
            }
            Some(lead) => {
                let scores = Scores {
                    data: inlet.data.into(),
                    best,
                    label,
                    better: better.into(),
                    beat,
                    class,
                    spend,
                    lead,
                };
                self.prove(&mut k, site, outlet, scores);
            }
        }
        k.build()
    }

    fn property(&self) -> &'static str {
        if self.lead.is_some() { "label and its proof" } else { "stream" }
    }
}

impl ArgMax {
    /// Ends the stage with the label and the bit that says that it is proved.
    fn prove(&self, k: &mut Kernel, site: &Site, outlet: Outlet, scores: Scores) {
        let Scores { data, best, label, better, beat, class, spend, lead } = scores;
        let bits = site.input.bits;
        // No score is below it.
        let least = if site.input.signed { 1 << (bits - 1) } else { 0 };
        let next = k.reg("next", bits, None);
        k.comment(next, "The largest score but the label's.");
        let above = greater(site, data.clone(), next);
        let later = better.clone().mux(best, above.mux(data, next));
        k.next(next, Some(beat.into()), class.first().mux(lit(least, bits), later));
        let ended = k.reg("ended", 1, Some(0));
        let push = k.reg("push", 1, Some(0));
        let gap = k.reg("gap", bits, None);
        k.comment(gap, "How far the label's score leads: never below 0, so that the difference has no sign.");
        let leader = k.reg("leader", label.width(), None);
        k.clocked([set(ended, spend), set(push, ended), set(gap, best.sub(next, bits)), set(leader, label)]);
        let proved = k.wire("proved", gap.ge(lit(lead as u64, bits)));
        outlet.finish(k, spend, push, cat([Expr::from(proved), leader.into()]));
        let class_bits = addr_bits(self.classes);
        let minimum = if site.input.signed { format!("-{bits}'sd{least}") } else { format!("{bits}'d0") };
        let values = vec![
            ("class", (class_bits - 1).to_string()),
            ("class_bits", class_bits.to_string()),
            ("class_wide", (class_bits + 1).to_string()),
            ("classes", self.classes.to_string()),
            ("signed", if site.input.signed { "signed " } else { "" }.into()),
            ("top", (bits - 1).to_string()),
            ("wide", (bits + 1).to_string()),
            ("least", minimum),
            ("label", (label.width() - 1).to_string()),
            ("proved", label.width().to_string()),
            ("lead", lead.to_string()),
        ];
        k.contract(&contract::fill(TEMPLATE, "argmax", &values));
    }
}

/// Returns whether score `a` is above score `b`.
fn greater(site: &Site, a: impl Value, b: impl Value) -> Expr {
    if site.input.signed { a.signed().gt(b.signed()) } else { a.gt(b.expr()) }
}
