//! Builds the quantizer: a pipelined search among the thresholds, two bits of the level at a time. It
//! computes any monotone function, in either direction, exactly.
//!
//! Eight bits cost as little logic as four comparators per lane. A multiply-and-shift form is not built.

mod contract;
mod search;

use super::counter::Counter;
use super::encoding::record;
use super::hardware::{Hardware, Node, Rules};
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::parameters::Parameters;
use super::site::{Lanes, Site};
use super::stream::Inlet;
use crate::device::Resources;
use crate::memory::{cost, parts};
use crate::pipeline::build::{Build, Draft, Stream};
use crate::rtl::{Expr, Kernel, Module, Value, addr_bits, lanes};
use contract::Definition;
use dq_net::{Range, Shape, Wire, layer};
use search::{Beat, Lane, Place, Search};
use std::sync::Arc;

/// Quantizes by thresholds.
#[derive(Debug)]
pub struct Step {
    /// Number of beats per pixel.
    pub folds: usize,
    /// Range of the accumulators.
    pub range: Range,
    /// The layer that holds thresholds and directions.
    pub step: Arc<layer::Step>,
}

impl Hardware for layer::Step {
    fn rules(&self, _from: Shape, _to: Shape) -> Rules {
        Rules::in_step(true)
    }

    fn widest(&self, _inputs: &[Wire], _own: Range) -> Range {
        Range::levels(self.bits)
    }

    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream {
        let count = node.inputs[0].lanes.count;
        let output = Lanes { count, bits: node.to.range.bits() as usize, signed: false };
        let kind = Step { folds: node.to.shape.channels / count, range: node.from[0].range, step: self };
        let draft = Draft { controlled: build.loads(), ..build.draft("", &node.inputs, output) };
        build.push(draft, kind)
    }
}

impl Kind for Step {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: 1, tail: 1 }
    }

    fn latency(&self, site: &Site) -> u64 {
        Search::new(&self.step, self.range, self.folds, site).latency()
    }

    fn module_name(&self, site: &Site) -> String {
        format!("{}_step", site.name)
    }

    fn cost(&self, site: &Site) -> Resources {
        let Site { input, output, memory, family, .. } = *site;
        let (lanes, acc, bits, folds) = (input.count, input.bits, output.bits, self.folds);
        let rounds = bits.div_ceil(2);
        let comparators = |round: usize| (1 << 2.min(bits - 2 * round)) - 1;
        let compared: usize = (0..rounds).map(comparators).sum();
        let logic = Resources::logic(
            lanes * (compared * (acc + 2) + 2 * bits) + 10,
            lanes * rounds * (2 * acc + 2 * bits) + 2 * rounds * (1 + addr_bits(folds)),
        );
        (0..rounds).fold(logic, |sum, round| {
            let (word, words) = (comparators(round) * (acc + 1), folds << (2 * round));
            // The first round has one ROM for all lanes, the others one per lane.
            let (width, count) = if round == 0 { (lanes * word, 1) } else { (word, lanes) };
            let rom = cost::rom(width, words, memory, family);
            // The thresholds of a channel are near each other: synthesis finds a quarter of their bits in others.
            let rom = Resources { lut: rom.lut * 3 / 4, ..rom };
            let many = count as u64;
            let roms = if round == 0 {
                rom
            } else {
                Resources { lut: rom.lut * many, bram: rom.bram * many, ..rom }
            };
            let parts = match parts::rom_in_parts(words, width, memory, family) && !site.controlled {
                true => {
                    let registers = parts::rom_registers(words, family) - 1;
                    let cycles = parts::latency(words, family) as usize - 1;
                    lanes * (word * registers + cycles * (acc + bits))
                }
                false => 0,
            };
            sum.plus(roms).plus(Resources::logic(0, parts))
        })
    }

    fn encode(&self) -> String {
        record("Step", &[("folds", &self.folds), ("range", &self.range)])
    }

    fn has_table(&self) -> bool {
        true
    }

    fn property(&self) -> &'static str {
        "stream, levels by definition"
    }

    fn module(&self, site: &Site) -> Module {
        let (from, step, folds, range) = (site.input, &*self.step, self.folds, self.range);
        let bits = usize::from(step.bits);
        let search = Search::new(step, range, folds, site);
        let mut k = Kernel::new(&self.module_name(site), &note(site, step, search.falling));
        let mut parameters = Parameters::new(site.controlled);
        let inlet = Inlet::new(&mut k, from.width());
        let outlet = Outlet::new(&mut k, site);
        let beat = inlet.take(&mut k, outlet.free);
        let fold = Counter::new(&mut k, "fold", folds);
        fold.clock(&mut k, beat);

        let lane = |l| Lane { acc: inlet.data.lane(l, from.bits), level: None, flip: None };
        let mut beat_now = Beat { valid: beat, fold: fold.reg, lanes: (0..from.count).map(lane).collect() };
        let rounds = bits.div_ceil(2);
        for round in 0..rounds {
            let mut words = search.read(&mut k, &mut parameters, round, &beat_now);
            // After the last read no ROM needs the number of the fold.
            beat_now.fold = beat_now.fold.filter(|_| round + 1 < rounds);
            beat_now = beat_now.delayed(&mut k, &format!("read{round}"));
            match search.place(round) {
                Place::Near => {}
                Place::Blocks => {
                    beat_now = beat_now.delayed(&mut k, &format!("late{round}"));
                    let held =
                        words.iter().enumerate().map(|(l, word)| k.held(&format!("word{l}_{round}"), word));
                    words = held.map(Into::into).collect();
                }
                Place::Parts => {
                    for cycle in 1..parts::latency(search.words(round), site.family) {
                        beat_now = beat_now.delayed(&mut k, &format!("part{round}_{cycle}"));
                    }
                }
            }
            beat_now = search.compare(&mut k, round, beat_now, &words);
        }
        let result = beat_now.lanes.iter().map(|lane| {
            let level = lane.level.expect("at least one round").expr();
            lane.flip.map_or(level.clone(), |flip| level.xor(flip.repeat(bits)))
        });
        let result: Vec<Expr> = result.collect();
        outlet.finish(&mut k, beat, beat_now.valid, lanes(result));
        if !site.controlled {
            let delay = site.latency as usize - 1;
            k.contract(&contract::contract(&Definition { step, lanes: from, range, folds, delay }));
        }
        parameters.finish(&mut k);
        k.build()
    }
}

fn note(site: &Site, step: &layer::Step, falling: bool) -> String {
    let direction = if falling {
        "A falling channel counts the thresholds not reached: level = 2^bits - 1 - #{t : acc >= T[t]}.\n"
    } else {
        ""
    };
    format!(
        "Quantizer: level ({} bits) = #{{t : acc >= T[t]}} over {} thresholds a channel, {} lanes of {} \
         bits.\n\
         {direction}Two bits of the level a round, the high ones first, each round one ROM read and one \
         comparison.\n\
         Latency {}, one beat a cycle.",
        step.bits,
        step.thresholds.dim().1,
        site.input.count,
        site.input.bits,
        site.latency
    )
}
