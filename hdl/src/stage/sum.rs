//! Builds the exact sum of two streams: multiplications by whole numbers are sums of shifted terms, of which
//! nothing is shifted out or clipped.

use super::encoding::record;
use super::hardware::{Hardware, Node, Rules};
use super::join;
use super::kind::{Kind, Schedule};
use super::site::{Lanes, Site};
use super::terms::{self, Term};
use super::word::fit;
use crate::device::Resources;
use crate::pipeline::build::{Build, Stream};
use crate::rtl::{Kernel, Module};
use dq_net::layer::{self, Kind as _};
use dq_net::{Range, Shape, Wire};
use std::sync::Arc;

/// Adds two streams, each times its factor.
#[derive(Debug)]
pub struct Sum {
    /// Lanes of the second one.
    pub other: Lanes,
    /// Range of the values of each.
    pub ranges: [Range; 2],
    /// Factor of each; none is 0.
    pub factors: [i32; 2],
}

impl Hardware for layer::Sum {
    fn rules(&self, _from: Shape, _to: Shape) -> Rules {
        Rules::in_step(false)
    }

    fn widest(&self, inputs: &[Wire], own: Range) -> Range {
        self.range(inputs).unwrap_or(own)
    }

    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream {
        let [x, y] = join::narrowed(node, build);
        let ranges = [node.from[0].range, node.from[1].range];
        let kind = Sum { other: y.lanes, ranges, factors: self.factors };
        build.add("", &[x, y], Lanes::new(y.lanes.count, node.to.range), kind)
    }
}

impl Sum {
    /// Returns the terms of the sum of a lane: those of both factors, and a 0 that the others are taken from
    /// where all are negative.
    fn terms(&self) -> usize {
        let digits = self.factors.map(|factor| terms::digits(factor.into()));
        let is_negative = digits.iter().flatten().all(|&(_, negative)| negative);
        digits.iter().map(Vec::len).sum::<usize>() + usize::from(is_negative)
    }

    /// Returns the bounds of the sum.
    fn exact(&self) -> Range {
        let of = |port: usize| {
            let (factor, Range { lo, hi }) = (i64::from(self.factors[port]), self.ranges[port]);
            let ends = [factor * lo, factor * hi];
            (ends[0].min(ends[1]), ends[0].max(ends[1]))
        };
        let (x, y) = (of(0), of(1));
        Range::new(x.0 + y.0, x.1 + y.1)
    }
}

impl Kind for Sum {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: 1, tail: 1 }
    }

    fn latency(&self, _site: &Site) -> u64 {
        terms::levels(self.terms()) as u64 + 1
    }

    fn module_name(&self, site: &Site) -> String {
        format!("{}_sum", site.name)
    }

    fn cost(&self, site: &Site) -> Resources {
        terms::cost(site, self.terms())
    }

    fn encode(&self) -> String {
        let factors = self.factors.map(i64::from);
        record("Sum", &[("other", &self.other), ("ranges", &self.ranges), ("factors", &factors)])
    }

    fn module(&self, site: &Site) -> Module {
        let Sum { other, ranges: [x_range, y_range], factors: [a, b] } = self;
        let (from, to) = (site.input, site.output);
        let note = format!(
            "Exact sum: x {a} + y {b}; {} lanes of {} and {} bits, {} out.\n\
             Takes a beat of each stream at once. Latency {}, one beat a cycle.",
            from.count, from.bits, other.bits, to.bits, site.latency
        );
        let k = Kernel::new(&self.module_name(site), &note);
        let (exact, levels) = (self.exact(), terms::levels(self.terms()));
        join::module(k, site, *other, levels, |k, lane, [x, y]| {
            let mut terms = Term::product(x, *x_range, (*a).into());
            terms.extend(Term::product(y, *y_range, (*b).into()));
            if terms.len() < self.terms() {
                terms.push(Term::constant(0));
            }
            let total = terms::sum(k, &format!("lane{lane}"), terms, levels, exact);
            fit(total, exact.signed(), to.bits)
        })
    }
}
