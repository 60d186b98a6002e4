//! Builds the residual's convex combination of two streams: constant multiplications are sums of shifted
//! terms.

use super::encoding::record;
use super::hardware::{Hardware, Node, Rules};
use super::join;
use super::kind::{Kind, Schedule};
use super::site::{Lanes, Site};
use super::terms::{self, Clip, Term};
use crate::device::Resources;
use crate::pipeline::build::{Build, Stream};
use crate::rtl::{Kernel, Module};
use dq_net::layer::{self, Kind as _};
use dq_net::{Range, Shape, Wire};
use std::sync::Arc;

/// Combines two streams.
#[derive(Debug)]
pub struct Mix {
    /// Lanes of the second input.
    pub other: Lanes,
    /// Range of each input.
    pub ranges: [Range; 2],
    /// The layer that holds factors, shift and bits.
    pub mix: Arc<layer::Mix>,
}

impl Hardware for layer::Mix {
    fn rules(&self, _from: Shape, _to: Shape) -> Rules {
        Rules::in_step(false)
    }

    fn widest(&self, inputs: &[Wire], own: Range) -> Range {
        self.range(inputs).unwrap_or(own)
    }

    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream {
        let [x, y] = join::narrowed(node, build);
        let ranges = [node.from[0].range, node.from[1].range];
        let kind = Mix { other: y.lanes, ranges, mix: self };
        build.add("", &[x, y], Lanes::new(y.lanes.count, node.to.range), kind)
    }
}

impl Mix {
    /// Returns the terms of the sum of a lane.
    fn terms(&self) -> usize {
        let digits = |factor: i32| terms::digits(factor.into()).len();
        digits(self.mix.a) + digits(self.mix.b) + usize::from(self.half() != 0)
    }

    /// Returns what rounds the sum to the nearest.
    fn half(&self) -> i64 {
        if self.mix.shift == 0 { 0 } else { 1 << (self.mix.shift - 1) }
    }
}

impl Kind for Mix {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: 1, tail: 1 }
    }

    fn latency(&self, _site: &Site) -> u64 {
        terms::levels(self.terms()) as u64 + 1
    }

    fn module_name(&self, site: &Site) -> String {
        format!("{}_mix", site.name)
    }

    fn cost(&self, site: &Site) -> Resources {
        terms::cost(site, self.terms())
    }

    fn encode(&self) -> String {
        record("Mix", &[("other", &self.other), ("ranges", &self.ranges), ("terms", &self.terms())])
    }

    fn module(&self, site: &Site) -> Module {
        let Mix { other, ranges: [x_range, y_range], mix } = self;
        let (from, to) = (site.input, site.output);
        let note = format!(
            "Residual: clip((x {} + y {} + {}) >> {}) to {} bits, signed; {} lanes of {} and {} bits, {} \
             out.\n\
             Takes a beat of each stream at once. Latency {}, one beat a cycle.",
            mix.a,
            mix.b,
            self.half(),
            mix.shift,
            mix.bits,
            from.count,
            from.bits,
            other.bits,
            to.bits,
            site.latency
        );
        let k = Kernel::new(&self.module_name(site), &note);
        let (a, b, half) = (i64::from(mix.a), i64::from(mix.b), self.half());
        let exact =
            Range::new(a * x_range.lo + b * y_range.lo + half, a * x_range.hi + b * y_range.hi + half);
        let levels = terms::levels(self.terms());
        join::module(k, site, *other, levels, |k, lane, [x, y]| {
            let mut terms = Term::product(x.clone(), *x_range, a);
            terms.extend(Term::product(y.clone(), *y_range, b));
            terms.extend((half != 0).then(|| Term::constant(half)));
            for (factor, value) in [(a, x), (b, y)] {
                if factor == 0 {
                    k.unused(value);
                }
            }
            let total = terms::sum(k, &format!("lane{lane}"), terms, levels, exact);
            terms::clip(k, total, exact, &Clip { shift: mix.shift, bits: mix.bits, width: to.bits })
        })
    }
}
