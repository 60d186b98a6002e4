//! Builds window pools: the largest or the sum of the beats of a window, lane by lane.

use super::counter::Counter;
use super::encoding::record;
use super::hardware::{Hardware, Limits, Node, Rules};
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::site::{Lanes, Site};
use super::stream::Inlet;
use super::window::{self, Windows};
use super::word::fit;
use crate::device::Resources;
use crate::pipeline::build::{Build, Stream};
use crate::rtl::{Expr, Kernel, Module, Value, lanes, set, when};
use dq_net::layer::window::Axis;
use dq_net::layer::{Kind as _, MaxPool, SumPool};
use dq_net::{Range, Shape, Wire};
use std::sync::Arc;

/// Joins the beats of a window to one.
#[derive(Debug)]
pub struct Pool {
    /// The way the beats are joined.
    pub reduction: Reduction,
    /// Number of beats per window.
    pub taps: usize,
}

/// Says how a pool joins the values of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// The largest value.
    Max,
    /// The sum of the values.
    Sum,
}

impl Hardware for MaxPool {
    fn rules(&self, _from: Shape, to: Shape) -> Rules {
        rules(to)
    }

    fn widest(&self, inputs: &[Wire], own: Range) -> Range {
        self.range(inputs).unwrap_or(own)
    }

    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream {
        lower(self.axes(), Reduction::Max, node, build)
    }
}

impl Hardware for SumPool {
    fn rules(&self, _from: Shape, to: Shape) -> Rules {
        rules(to)
    }

    fn widest(&self, inputs: &[Wire], own: Range) -> Range {
        self.range(inputs).unwrap_or(own)
    }

    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream {
        lower(self.axes(), Reduction::Sum, node, build)
    }
}

fn rules(to: Shape) -> Rules {
    Rules::folded(Limits { outputs: 1, inputs: to.channels }, None)
}

fn lower(axes: (Axis, Axis), reduction: Reduction, node: &Node, build: &mut Build) -> Stream {
    let (map, to) = (node.from[0].shape, node.to.shape);
    let windows = Windows { map, to, axes, level: 0, groups: 1, folds: 1 };
    let (stream, window) = window::lower(windows, node.inputs[0], build);
    let lanes = Lanes::new(build.entry.simd, node.to.range);
    build.add("", &[stream], lanes, Pool { reduction, taps: window.taps() })
}

impl Kind for Pool {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: self.taps, tail: 1 }
    }

    fn latency(&self, _site: &Site) -> u64 {
        2
    }

    fn module_name(&self, site: &Site) -> String {
        format!("{}_pool", site.name)
    }

    fn cost(&self, site: &Site) -> Resources {
        let width = site.output.width();
        Resources::logic(2 * width + 8, width + 6)
    }

    fn encode(&self) -> String {
        let reduction = match self.reduction {
            Reduction::Max => "Max",
            Reduction::Sum => "Sum",
        };
        record("Reduce", &[("fold", &String::from(reduction)), ("taps", &self.taps)])
    }

    fn module(&self, site: &Site) -> Module {
        let (from, to, taps) = (site.input, site.output, self.taps);
        let what = match self.reduction {
            Reduction::Max => "Largest",
            Reduction::Sum => "Sum",
        };
        let note = format!(
            "{what} of {taps} consecutive beats, in each of {} lanes ({} bits in, {} out).\n\
             Latency {} from the last of them, one input beat a cycle.",
            from.count, from.bits, to.bits, site.latency
        );
        let mut k = Kernel::new(&self.module_name(site), &note);
        let inlet = Inlet::new(&mut k, from.width());
        let outlet = Outlet::new(&mut k, site);
        let tap = Counter::new(&mut k, "tap", taps);
        let last = k.wire("last", tap.last());
        let beat = inlet.take(&mut k, !last | outlet.free);
        tap.clock(&mut k, beat);
        let mut results: Vec<Expr> = vec![];
        for lane in 0..to.count {
            let acc = k.reg(&format!("acc{lane}"), to.bits, None);
            let x = fit(inlet.data.lane(lane, from.bits), from.signed, to.bits);
            let x = k.wire(&format!("x{lane}"), x);
            let joined = match self.reduction {
                Reduction::Sum => acc.add(x, to.bits),
                Reduction::Max => {
                    let above = if from.signed { x.signed().gt(acc.signed()) } else { x.gt(acc) };
                    above.mux(x, acc)
                }
            };
            // With one tap the condition is constant and nothing else remains.
            k.clocked([when(beat, [set(acc, tap.first().mux(x, joined))])]);
            results.push(acc.into());
        }
        let spend = k.wire("spend", beat & last);
        let push = k.reg("push", 1, Some(0));
        k.next(push, None, spend);
        outlet.finish(&mut k, spend, push, lanes(results));
        k.build()
    }
}
