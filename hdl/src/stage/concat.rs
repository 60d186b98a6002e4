//! Builds the concat of two streams: of each pixel, all beats of the first one, then all of the second one.
//! What feeds it holds the beats of a pixel, so that neither stream waits while the other one passes.

use super::contract;
use super::counter::Counter;
use super::encoding::record;
use super::hardware::{Hardware, Node, Rules};
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::site::{Lanes, Site};
use super::stream::Inlet;
use super::word::fit;
use crate::device::Resources;
use crate::pipeline::build::{Build, Stream};
use crate::rtl::{Expr, Kernel, Module, Sig, Value, addr_bits, lanes, lit};
use dq_net::layer::{self, Kind as _};
use dq_net::{Range, Shape, Wire};
use std::sync::Arc;

const TEMPLATE: &str = include_str!("concat.contract.v");

/// Takes turns between two streams, pixel by pixel.
#[derive(Debug)]
pub struct Concat {
    /// Lanes of the second stream.
    pub other: Lanes,
    /// Number of beats of a pixel of each stream.
    pub beats: [usize; 2],
}

impl Hardware for layer::Concat {
    fn rules(&self, _from: Shape, _to: Shape) -> Rules {
        Rules::in_step(false)
    }

    fn widest(&self, inputs: &[Wire], own: Range) -> Range {
        self.range(inputs).unwrap_or(own)
    }

    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream {
        let channels = [0, 1].map(|port| node.from[port].shape.channels);
        let count = fastest_lanes(channels, [0, 1].map(|port| node.inputs[port].lanes.count));
        let beats = channels.map(|channels| channels / count);
        let inputs = [(0, "_x"), (1, "_y")].map(|(port, prefix)| {
            let stream = build.convert(prefix, node.inputs[port], count);
            build.deepen(stream, beats[port]);
            stream
        });
        let kind = Concat { other: inputs[1].lanes, beats };
        build.add("", &inputs, Lanes::new(count, node.to.range), kind)
    }
}

/// Returns the number of lanes at which a pixel takes the fewest cycles, the smallest of these. Streams of
/// `channels` channels come with `given` lanes; what converts them goes through the common divisor.
fn fastest_lanes(channels: [usize; 2], given: [usize; 2]) -> usize {
    let common = gcd(channels[0], channels[1]);
    let cycles = |count: usize| {
        let beats = |port: usize| channels[port] / gcd(given[port], count);
        beats(0).max(beats(1)).max((channels[0] + channels[1]) / count)
    };
    let counts = (1..=common).filter(|&count| common.is_multiple_of(count));
    counts.min_by_key(|&count| (cycles(count), count)).expect("1 divides all")
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// Returns the contract of `beats` in turns: whose turn it is, counted apart from the logic.
fn contract([of_x, of_y]: [usize; 2]) -> String {
    let bits = addr_bits(of_x + of_y + 1);
    let number = |n: usize| format!("{bits}'d{n}");
    let values = vec![
        ("top", (bits - 1).to_string()),
        ("zero", number(0)),
        ("one", number(1)),
        ("of_x", number(of_x)),
        ("of_y", number(of_y)),
    ];
    contract::fill(TEMPLATE, "turns", &values)
}

/// Returns what the logic costs that gives two streams of so many `beats` in turns.
pub fn turns_cost(site: &Site, beats: [usize; 2]) -> Resources {
    let position = addr_bits(beats[0] + beats[1]);
    Resources::logic(site.output.width() + 2 * position + 4, position)
}

/// Adds to `k` the logic that gives, of each round, the first stream's beats and then those of the second
/// one, which has the lanes `other`; ends the module.
pub fn turns(mut k: Kernel, site: &Site, other: Lanes, beats: [usize; 2]) -> Module {
    let (from, to, total) = (site.input, site.output, beats[0] + beats[1]);
    let x = Inlet::named(&mut k, "x", from.width());
    let y = Inlet::named(&mut k, "y", other.width());
    let outlet = Outlet::new(&mut k, site);
    let position = Counter::new(&mut k, "position", total);
    let first = lit(beats[0] as u64, addr_bits(total));
    let turn_of_x = k.wire("turn_of_x", position.value().lt(first));
    k.drive(x.ready, outlet.free & turn_of_x);
    k.drive(y.ready, outlet.free & !turn_of_x);
    let beat = k.wire("beat", outlet.free & turn_of_x.mux(x.valid, y.valid));
    position.clock(&mut k, beat);
    let wide = |data: Sig, own: Lanes| -> Expr {
        if own.bits == to.bits {
            return data.into();
        }
        lanes((0..to.count).map(|at| fit(data.lane(at, own.bits), own.signed, to.bits)))
    };
    let data = k.wire("data", turn_of_x.mux(wide(x.data, from), wide(y.data, other)));
    outlet.finish(&mut k, beat, beat, data);
    k.contract(&contract(beats));
    k.build()
}

impl Kind for Concat {
    fn schedule(&self) -> Schedule {
        Schedule::Turns { beats: self.beats }
    }

    fn latency(&self, _site: &Site) -> u64 {
        1
    }

    fn module_name(&self, site: &Site) -> String {
        format!("{}_concat", site.name)
    }

    fn cost(&self, site: &Site) -> Resources {
        turns_cost(site, self.beats)
    }

    fn encode(&self) -> String {
        record("Concat", &[("other", &self.other), ("beats", &self.beats)])
    }

    fn module(&self, site: &Site) -> Module {
        let Concat { other, beats: [of_x, of_y] } = self;
        let (from, to) = (site.input, site.output);
        let note = format!(
            "Channels of y behind those of x: of each pixel {of_x} beats of x, then {of_y} of y; {} lanes of \
             {} and {} bits, {} out.\n\
             Latency {}, one beat a cycle.",
            to.count, from.bits, other.bits, to.bits, site.latency
        );
        turns(Kernel::new(&self.module_name(site), &note), site, *other, self.beats)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lanes_keep_up_with_the_slower_stream_and_are_no_more_than_that() {
        // Channels, lanes that come, lanes that do.
        for (channels, given, wanted) in [
            ([16, 16], [1, 1], 2),
            ([16, 16], [4, 4], 8),
            ([16, 16], [16, 16], 16),
            ([32, 8], [1, 1], 2),
            ([32, 8], [8, 8], 8),
            ([3, 5], [3, 5], 1),
            ([12, 12], [3, 4], 12),
        ] {
            assert_eq!(fastest_lanes(channels, given), wanted, "{channels:?} {given:?}");
        }
    }
}
