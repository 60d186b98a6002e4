//! Builds an affine function per channel, from an accumulator into the residual stream. Where a lane has one
//! channel, its factor is a constant and the product a sum of few terms; otherwise factor and addend come
//! from a ROM, and the product is a sum of partial products.

use super::counter::Counter;
use super::encoding::record;
use super::hardware::{Hardware, Node, Rules};
use super::kind::{Kind, Schedule};
use super::outlet::Outlet;
use super::site::{Lanes, Site};
use super::stream::{Inlet, delayed};
use super::terms::{self, Clip, Term};
use super::word::{rom_words, style};
use crate::device::Resources;
use crate::memory::cost;
use crate::pipeline::build::{Build, Stream};
use crate::rtl::{Expr, Kernel, Module, Read, Sig, Value, addr_bits, lanes};
use dq_net::layer::{self, Kind as _};
use dq_net::{Range, Shape, Wire};
use std::sync::Arc;

/// Computes an affine function per channel.
#[derive(Debug)]
pub struct Rescale {
    /// Number of beats per pixel.
    pub folds: usize,
    /// Range of the values.
    pub range: Range,
    /// Most terms in the sum of a lane.
    pub terms: usize,
    /// The layer that holds factors, addends, shift and bits.
    pub rescale: Arc<layer::Rescale>,
}

impl Hardware for layer::Rescale {
    fn rules(&self, _from: Shape, _to: Shape) -> Rules {
        Rules::in_step(true)
    }

    fn widest(&self, inputs: &[Wire], own: Range) -> Range {
        self.range(inputs).unwrap_or(own)
    }

    fn lower(self: Arc<Self>, node: &Node, build: &mut Build) -> Stream {
        let lanes = node.inputs[0].lanes;
        let folds = node.to.shape.channels / lanes.count;
        let terms = terms(&self, lanes, folds);
        let kind = Rescale { folds, range: node.from[0].range, terms, rescale: self };
        build.add("", &node.inputs, Lanes::new(lanes.count, node.to.range), kind)
    }
}

/// Returns the terms of the sum of a lane of `from`, at most; the channels come in `folds` beats.
fn terms(rescale: &layer::Rescale, from: Lanes, folds: usize) -> usize {
    match folds {
        1 => {
            let terms = |(&mul, &add)| constant_terms(mul, add);
            rescale.mul.iter().zip(&rescale.add).map(terms).max().expect("a channel")
        }
        _ => Product::new(rescale, from).rows + 1,
    }
}

/// Returns the terms of a channel's sum. The addend is one where it is not 0, or where no digit of the
/// factor is positive.
fn constant_terms(mul: i32, add: i64) -> usize {
    terms::digits(mul.into()).len() + usize::from(add != 0 || mul <= 0)
}

impl Kind for Rescale {
    fn schedule(&self) -> Schedule {
        Schedule::Map { period: 1, tail: 1 }
    }

    /// Counts the adders of a tree, the FIFO, and a register more behind a ROM.
    fn latency(&self, _site: &Site) -> u64 {
        terms::levels(self.terms) as u64 + 1 + u64::from(self.folds > 1)
    }

    fn module_name(&self, site: &Site) -> String {
        format!("{}_rescale", site.name)
    }

    fn cost(&self, site: &Site) -> Resources {
        let fold = addr_bits(self.folds);
        let sums = terms::cost(site, self.terms).plus(Resources::logic(fold, fold));
        // The word holds factor and addend of a lane: about three times the accumulator's bits.
        let word = 3 * site.input.width();
        if self.folds > 1 { sums.plus(cost::rom(word, self.folds, site.memory, site.family)) } else { sums }
    }

    fn encode(&self) -> String {
        record("Rescale", &[("folds", &self.folds), ("range", &self.range), ("terms", &self.terms)])
    }

    fn has_table(&self) -> bool {
        true
    }

    fn module(&self, site: &Site) -> Module {
        let (rescale, range, folds) = (&*self.rescale, self.range, self.folds);
        let levels = terms::levels(self.terms);
        let (from, to) = (site.input, site.output);
        let note = format!(
            "Rescale: clip((x mul[c] + add[c]) >> {}) to {} bits, signed; {} lanes of {} bits in, {} out;\n\
             the channels come in {folds} beats. Latency {}, one beat a cycle.",
            rescale.shift, rescale.bits, from.count, from.bits, to.bits, site.latency
        );
        let mut k = Kernel::new(&self.module_name(site), &note);
        let inlet = Inlet::new(&mut k, from.width());
        let outlet = Outlet::new(&mut k, site);
        let beat = inlet.take(&mut k, outlet.free);
        let (results, push) = if folds == 1 {
            let lane = |lane| {
                let x = inlet.data.lane(lane, from.bits);
                constant(&mut k, lane, rescale, (x, range), levels)
            };
            let totals: Vec<(Sig, Range)> = (0..from.count).map(lane).collect();
            (totals, delayed(&mut k, "push", beat, levels))
        } else {
            let product = Product::new(rescale, from);
            let fold = Counter::new(&mut k, "fold", folds);
            fold.clock(&mut k, beat);
            let beats = Beats { x: inlet.data, range, beat, fold: fold.value() };
            let totals = product.sums(&mut k, site, rescale, beats);
            (totals, delayed(&mut k, "push", beat, levels + 1))
        };
        let clip = |(total, exact)| {
            terms::clip(
                &mut k,
                total,
                exact,
                &Clip { shift: rescale.shift, bits: rescale.bits, width: to.bits },
            )
        };
        let results: Vec<Expr> = results.into_iter().map(clip).collect();
        outlet.finish(&mut k, beat, push, lanes(results));
        k.build()
    }
}

/// Builds a lane of one channel: its sum, and the range in which it lies.
fn constant(
    k: &mut Kernel,
    lane: usize,
    rescale: &layer::Rescale,
    (x, range): (Expr, Range),
    levels: usize,
) -> (Sig, Range) {
    let (mul, add) = (rescale.mul[lane], rescale.add[lane]);
    if mul == 0 {
        k.unused(&x);
    }
    let mut terms = Term::product(x, range, mul.into());
    if terms.len() < constant_terms(mul, add) {
        terms.push(Term::constant(add));
    }
    let exact = exact(range, mul, add);
    (terms::sum(k, &format!("lane{lane}"), terms, levels, exact), exact)
}

fn exact(range: Range, mul: i32, add: i64) -> Range {
    let ends = [range.lo, range.hi].map(|x| x * i64::from(mul) + add);
    Range::new(ends[0].min(ends[1]), ends[0].max(ends[1]))
}

/// Describes the product of a value and a factor from a ROM: one is taken apart into bits, each a partial
/// product of the other.
struct Product {
    mul: Range,
    add: Range,
    /// Whether the factor is taken apart; otherwise the value is.
    by_factor: bool,
    /// Number of bits of the one that is taken apart.
    rows: usize,
}

/// Holds the beats that come in, and the channels that they hold.
struct Beats {
    x: Sig,
    /// Range of the values.
    range: Range,
    /// High where a beat moves.
    beat: Sig,
    /// Place of the beat among those of a pixel.
    fold: Expr,
}

impl Product {
    fn new(rescale: &layer::Rescale, from: Lanes) -> Self {
        let hull = |values: &mut dyn Iterator<Item = i64>| {
            values.map(|v| Range::new(v, v)).reduce(Range::hull).expect("a channel")
        };
        let mul = hull(&mut rescale.mul.iter().map(|&mul| mul.into()));
        let add = hull(&mut rescale.add.iter().copied());
        let by_factor = mul.bits() as usize <= from.bits;
        Product { mul, add, by_factor, rows: from.bits.min(mul.bits() as usize) }
    }

    /// Builds each lane's sum, and the range in which it lies.
    fn sums(&self, k: &mut Kernel, site: &Site, rescale: &layer::Rescale, beats: Beats) -> Vec<(Sig, Range)> {
        let Beats { x, range, beat, fold } = beats;
        let from = site.input;
        let (mul_bits, add_bits) = (self.mul.bits() as usize, self.add.bits() as usize);
        let lane_bits = mul_bits + add_bits;
        let word = |beat: usize| {
            let channels = beat * from.count..(beat + 1) * from.count;
            let fields = |c: usize| [(rescale.mul[c].into(), mul_bits), (rescale.add[c], add_bits)];
            channels.flat_map(fields).collect()
        };
        let data = rom_words(from.count * lane_bits, (0..rescale.mul.len() / from.count).map(word));
        let read = Read::Sync { enable: beat.into(), addr: fold };
        let style = style(site.memory);
        let file = site.image("factors");
        let factors = k.rom("factors", from.count * lane_bits, data, style, read, &file);
        let value = k.reg("value", x.width(), None);
        k.next(value, Some(beat.into()), x);
        let channels = rescale.mul.iter().zip(&rescale.add);
        let exact =
            channels.map(|(&mul, &add)| exact(range, mul, add)).reduce(Range::hull).expect("a channel");
        let sums = (0..from.count).map(|lane| {
            let word = factors.lane(lane, lane_bits);
            let (mul, x) = (word.clone().slice(0, mul_bits), value.lane(lane, from.bits));
            let (bits, kept) =
                if self.by_factor { ((mul, self.mul), (x, range)) } else { ((x, range), (mul, self.mul)) };
            let mut terms: Vec<Term> = (0..self.rows)
                .map(|row| {
                    let part = (&kept.0).and((&bits.0).bit(row).repeat(kept.0.width()));
                    let value = k.wire(&format!("part{lane}_{row}"), part).expr();
                    let negative = bits.1.signed() && row + 1 == self.rows;
                    Term { value, range: kept.1.hull(Range::new(0, 0)), shift: row, negative }
                })
                .collect();
            let addend = word.slice(mul_bits, add_bits);
            terms.push(Term { value: addend, range: self.add, shift: 0, negative: false });
            (terms::sum(k, &format!("lane{lane}"), terms, terms::levels(self.rows + 1), exact), exact)
        });
        sums.collect()
    }
}
