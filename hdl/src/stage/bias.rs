//! Builds the scores: each class's bias is added to its accumulator. The layer ends the circuit: scores or
//! their label leave it.

use super::argmax::ArgMax;
use super::counter::Counter;
use super::egress::Egress;
use super::encoding::record;
use super::hardware::{Hardware, Node, Rules};
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::parameters::{Parameters, Rom};
use super::site::{Lanes, Site};
use super::stream::Inlet;
use super::word::{fit, literal, rom_words, style};
use crate::device::Resources;
use crate::pipeline::build::{Build, Draft, Stream};
use crate::pipeline::detector;
use crate::plan::data::Output;
use crate::rtl::{Kernel, Module, Read, Value, addr_bits, set, when};
use dq_net::layer::Logits;
use dq_net::{Range, Shape, Wire};
use std::sync::Arc;

/// Adds the biases: one class per beat, class 0 first.
#[derive(Debug)]
pub struct Bias {
    /// The layer that holds the biases.
    pub logits: Arc<Logits>,
}

impl Hardware for Logits {
    fn rules(&self, _from: Shape, _to: Shape) -> Rules {
        Rules::at_end()
    }

    fn widest(&self, inputs: &[Wire], _own: Range) -> Range {
        let Range { lo, hi } = inputs[0].range;
        let most = largest_bias(inputs[0].range);
        Range::new(lo - most, hi + most)
    }

    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream {
        let classes = self.bias.len();
        let inputs = [build.convert("", node.inputs[0], 1)];
        let controlled = build.loads();
        let draft = Draft { controlled, ..build.draft("", &inputs, Lanes::new(1, node.to.range)) };
        let mut stream = build.push(draft, Bias { logits: self });
        let mut beats = classes;
        if build.goal.output == Output::Label {
            let argmax = ArgMax { classes, lead: build.goal.lead };
            stream = build.add("_argmax", &[stream], argmax.output(), argmax);
            beats = 1;
        }
        if build.goal.detects {
            stream = detector::compare(build, stream);
        }
        let egress = Egress { beats, user: build.goal.lead.is_some() };
        build.add("_egress", &[stream], egress.output(stream.lanes), egress)
    }
}

/// Returns the largest bias that can be loaded, of either sign, where accumulators are within `range`.
pub fn largest_bias(range: Range) -> i64 {
    range.lo.abs().max(range.hi.abs())
}

impl Kind for Bias {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: 1, tail: 1 }
    }

    fn latency(&self, site: &Site) -> u64 {
        // A bias that can be loaded is read from a memory, which takes a cycle more.
        if site.controlled { 3 } else { 2 }
    }

    fn module_name(&self, site: &Site) -> String {
        format!("{}_bias", site.name)
    }

    fn cost(&self, site: &Site) -> Resources {
        let bits = site.output.bits;
        Resources::logic(4 * bits + 20, bits + addr_bits(self.logits.bias.len()) + 1)
    }

    fn encode(&self) -> String {
        record("Bias", &[("classes", &self.logits.bias.len())])
    }

    fn module(&self, site: &Site) -> Module {
        let (from, to, bias) = (site.input, site.output, &self.logits.bias);
        let classes = bias.len();
        let note = format!(
            "Scores of {classes} classes, one a beat: accumulator ({} bits) + bias = score ({} bits{}).\n\
             Latency {}, one beat a cycle.",
            from.bits,
            to.bits,
            if to.signed { ", signed" } else { "" },
            site.latency
        );
        let mut k = Kernel::new(&self.module_name(site), &note);
        let inlet = Inlet::new(&mut k, from.bits);
        let outlet = Outlet::new(&mut k, site);
        let taken = inlet.take(&mut k, outlet.free);
        let class = Counter::new(&mut k, "class", classes);
        class.clock(&mut k, taken);
        let mut parameters = Parameters::new(site.controlled);
        let (beat, acc, bias) = if site.controlled {
            // The bias is read from a memory, a cycle later.
            let rom = Rom {
                name: "bias",
                bits: to.bits,
                data: rom_words(to.bits, bias.iter().map(|&bias| vec![(bias.into(), to.bits)])),
                style: style(site.memory),
                read: Read::Sync { enable: taken.into(), addr: class.value() },
                file: &site.image("bias"),
            };
            let bias = parameters.rom(&mut k, rom);
            let (read, acc) = (k.reg("read", 1, Some(0)), k.reg("acc", from.bits, None));
            k.clocked([set(read, taken), when(taken, [set(acc, inlet.data)])]);
            (read, acc, bias)
        } else {
            let table = bias.iter().map(|&bias| literal(bias.into(), to.bits)).collect();
            (taken, inlet.data, k.select("bias", class.value(), table))
        };
        if from.bits > to.bits {
            k.unused(acc.slice(to.bits, from.bits - to.bits));
        }
        let score = k.reg("score", to.bits, None);
        let push = k.reg("push", 1, Some(0));
        let acc = fit(acc, from.signed, to.bits);
        k.clocked([set(push, beat), when(beat, [set(score, acc.add(bias, to.bits))])]);
        outlet.finish(&mut k, taken, push, score);
        parameters.finish(&mut k);
        k.build()
    }
}
