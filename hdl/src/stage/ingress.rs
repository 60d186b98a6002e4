//! Builds the AXI4-Stream inputs, of frames and of weights: each counts the beats of a frame, or of a round
//! of the weights, and resynchronizes on `tlast`.

use super::counter::Counter;
use super::encoding::record;
use super::hardware::{Hardware, Node, Rules};
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::site::{Lanes, Site};
use crate::device::Resources;
use crate::pipeline::build::{Build, Draft, Stream};
use crate::plan::data::Control;
use crate::rtl::{Kernel, Module, Value, addr_bits, lit, set, when};
use dq_net::layer::Input;
use dq_net::{Range, Shape, Wire};
use std::sync::Arc;

/// Takes frames into the circuit.
#[derive(Debug)]
pub struct Ingress {
    /// Number of beats per frame.
    pub beats: usize,
}

impl Hardware for Input {
    fn rules(&self, _from: Shape, _to: Shape) -> Rules {
        Rules::at_end()
    }

    fn widest(&self, _inputs: &[Wire], own: Range) -> Range {
        own
    }

    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream {
        let Shape { height, width, channels } = self.shape;
        let controlled = build.goal.control != Control::None;
        let draft = Draft { controlled, ..build.draft("", &[], Lanes::new(channels, node.to.range)) };
        build.push(draft, Ingress { beats: height * width })
    }
}

impl Kind for Ingress {
    fn schedule(&self) -> Schedule {
        Schedule::Source { beats: self.beats }
    }

    fn latency(&self, _site: &Site) -> u64 {
        1
    }

    fn module_name(&self, _site: &Site) -> String {
        "dq_ingress".into()
    }

    fn cost(&self, site: &Site) -> Resources {
        let position = addr_bits(self.beats);
        Resources::logic(site.input.width() + 2 * position + 12, position + 3)
    }

    fn encode(&self) -> String {
        record("Ingress", &[("beats", &self.beats)])
    }

    fn module(&self, site: &Site) -> Module {
        let width = site.input.width();
        let note = format!(
            "AXI4-Stream input: frames of {} beats of {width} bits, tlast on the last beat.\n\
             Early tlast: the frame is completed with zero beats. Late tlast: beats are dropped up to and \
             with it.\n\
             Either sets error until reset; the frames that follow are not shifted.\n\
             {}Latency {}, one beat a cycle.",
            self.beats,
            if site.controlled { "hold keeps beats from moving.\n" } else { "" },
            site.latency
        );
        module(&self.module_name(site), &note, self.beats, site)
    }
}

/// Returns the input `name` of frames of `beats` beats; the stage at `site` is nothing else.
pub fn module(name: &str, note: &str, beats: usize, site: &Site) -> Module {
    let width = site.output.width();
    let mut k = Kernel::new(name, note);
    let padded = width.next_multiple_of(8);
    let tdata = k.input("s_axis_tdata", padded);
    let tvalid = k.input("s_axis_tvalid", 1);
    let tready = k.output("s_axis_tready", 1);
    let tlast = k.input("s_axis_tlast", 1);
    let error = k.output("error", 1);
    let outlet = Outlet::new(&mut k, site);
    if padded > width {
        k.unused(tdata.slice(width, padded - width));
    }

    let fill = k.reg("fill", 1, Some(0));
    k.comment(fill, "Completing a frame that ended early, dropping the rest of one that ended late.");
    let drop = k.reg("drop", 1, Some(0));
    let error_q = k.reg("error", 1, Some(0));
    k.drive(error, error_q);
    let position = Counter::new(&mut k, "position", beats);
    let last = k.wire("last", position.last());
    let mut open = !fill & (drop | outlet.free);
    if site.controlled {
        open = open & k.input("hold", 1).not();
    }
    let ready = k.wire("ready", open);
    k.drive(tready, ready);
    let moves = k.wire("moves", tvalid & ready);
    let beat = k.wire("beat", moves & !drop);
    let give = k.wire("give", beat | (fill & outlet.free));
    position.clock(&mut k, give);
    let early = k.wire("early", beat & tlast & !last);
    let late = k.wire("late", beat & !tlast & last);
    k.clocked([when(give & last, [set(fill, lit(0, 1))]), when(early, [set(fill, lit(1, 1))])]);
    k.clocked([when(moves & tlast, [set(drop, lit(0, 1))]), when(late, [set(drop, lit(1, 1))])]);
    k.next(error_q, Some(early | late), lit(1, 1));
    let data = k.wire("data", fill.mux(lit(0, width), tdata.slice(0, width)));
    outlet.finish(&mut k, give, give, data);
    k.build()
}
