//! Builds what stages share that take a beat of two streams at once and make one beat of both, lane by lane.

use super::hardware::Node;
use super::outlet::Outlet;
use super::site::{Lanes, Site};
use super::stream::{Inlet, delayed};
use crate::pipeline::build::{Build, Stream};
use crate::rtl::{Expr, Kernel, Module, Sig, Value, lanes};

/// Brings both inputs of `node` to the same number of lanes. The wider stream is narrowed: the other one has
/// no more lanes and is fast enough.
pub fn narrowed(node: &Node, build: &mut Build) -> [Stream; 2] {
    let [x, y] = [node.inputs[0], node.inputs[1]];
    let count = x.lanes.count.min(y.lanes.count);
    [build.convert("_x", x, count), build.convert("_y", y, count)]
}

/// Builds the module of a stage whose second stream has the lanes `other`. `lane` gives the result of one
/// lane, by its number and the values of both streams, `levels` registers later.
pub fn module(
    mut k: Kernel,
    site: &Site,
    other: Lanes,
    levels: usize,
    mut lane: impl FnMut(&mut Kernel, usize, [Expr; 2]) -> Expr,
) -> Module {
    let x = Inlet::named(&mut k, "x", site.input.width());
    let y = Inlet::named(&mut k, "y", other.width());
    let outlet = Outlet::new(&mut k, site);
    let beat = take_both(&mut k, &x, &y, outlet.free);
    let results: Vec<Expr> = (0..site.output.count)
        .map(|at| lane(&mut k, at, [x.data.lane(at, site.input.bits), y.data.lane(at, other.bits)]))
        .collect();
    let push = delayed(&mut k, "push", beat, levels);
    outlet.finish(&mut k, beat, push, lanes(results));
    k.build()
}

/// Takes a beat of `x` and one of `y` at once, wherever both are there and `ready` (of registers alone) is
/// high; gives the wire `beat`. That the ready of one follows the valid of the other is no path through the
/// stage: both come from registers of the stages before.
pub(super) fn take_both(k: &mut Kernel, x: &Inlet, y: &Inlet, ready: Sig) -> Sig {
    k.drive(x.ready, y.valid & ready);
    k.drive(y.ready, x.valid & ready);
    k.wire("beat", x.valid & y.valid & ready)
}
