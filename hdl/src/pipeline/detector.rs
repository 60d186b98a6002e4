//! Adds the stages of a detector (`plan.detector`) around those of the network, which stay as they are: one
//! pipeline, through which every frame goes twice.
//!
//! Before it, each pixel of the image goes to the network at once and, through the squeezing, into a FIFO
//! that holds a frame; when the image has passed, the network takes the squeezed form from there, while the
//! input waits. Behind it, both labels are compared. So timing, netlist and Verilog see no more than a fork,
//! a join that takes turns, and maps.

use super::build::{Build, Stream};
use crate::plan::data::Plan;
use crate::stage::bit_depth::BitDepth;
use crate::stage::compare::Compare;
use crate::stage::kind::Stage;
use crate::stage::median::Median;
use crate::stage::passes::Passes;
use crate::stage::pixels::Pixels;
use crate::stage::site::Lanes;
use dq_net::{Range, Shape, Squeezing};

/// Name that the instances of its stages begin with, which no node's begins with where there is a detector.
pub const NAME: &str = "detector";
/// Number of times that each frame goes through the network.
pub const PASSES: usize = 2;
/// Suffix of the fork's name.
const FORK: &str = "_fork";
/// Depth of both FIFOs behind the fork. The frame waits behind the squeezing, where a pixel has fewest bits.
const FORK_DEPTH: usize = 2;

/// Returns whether `stage` is the detector's own fork, whose FIFOs nobody chooses.
pub fn is_fork(plan: &Plan, stage: &Stage) -> bool {
    plan.detector.is_some() && stage.site.name == format!("{NAME}{FORK}")
}

/// Gives both passes of the frames of `image`, each of `shape`: a frame, then its squeezed form.
pub fn passes(build: &mut Build, image: Stream, shape: Shape, squeezing: Squeezing) -> Stream {
    let node = std::mem::replace(&mut build.name, NAME.into());
    let beats = shape.height * shape.width;
    let ways = build.fork(FORK, image, &[FORK_DEPTH; PASSES]);
    let mut squeezed = ways[1];
    if let Some(bits) = squeezing.bits() {
        let levels = Lanes::new(image.lanes.count, Range::levels(bits));
        squeezed = build.add("_levels", &[squeezed], levels, BitDepth { bits: bits.into() });
    }
    if squeezing.has_median() {
        let median = Median { height: shape.height, width: shape.width, chunks: 1 };
        squeezed = build.add("_smooth", &[squeezed], squeezed.lanes, median);
    }
    let in_flight = build.stages[squeezed.source.stage].site.depth();
    build.fix(&mut squeezed, beats.max(in_flight));
    if let Some(bits) = squeezing.bits() {
        squeezed = build.add("_pixels", &[squeezed], image.lanes, Pixels { bits });
    }
    let both = build.add("_passes", &[ways[0], squeezed], image.lanes, Passes { beats });
    build.name = node;
    both
}

/// Gives one beat for the labels of both passes.
pub fn compare(build: &mut Build, labels: Stream) -> Stream {
    let node = std::mem::replace(&mut build.name, NAME.into());
    let verdict = build.add("_compare", &[labels], Compare::verdict(labels.lanes), Compare);
    build.name = node;
    verdict
}
