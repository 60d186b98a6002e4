//! Builds the search of a quantizer: what its ROMs hold, where they lie, and what is compared in each round.

use crate::memory::{banks, parts};
use crate::rtl::{Expr, Kernel, Read, Sig, Value, cat, lit};
use crate::stage::parameters::{Parameters, Rom};
use crate::stage::site::{Lanes, Site};
use crate::stage::word::{fit, rom_words, style};
use dq_net::Range;
use dq_net::layer::Step;

/// Holds a beat on its way through the pipeline.
pub struct Beat {
    pub valid: Sig,
    /// Number of the fold, which says which channels the beat holds; `None` where there is one fold.
    pub fold: Option<Sig>,
    pub lanes: Vec<Lane>,
}

pub struct Lane {
    pub acc: Expr,
    /// The bits of the level that are known.
    pub level: Option<Sig>,
    /// Whether the channel falls; `None` where no channel does.
    pub flip: Option<Sig>,
}

impl Beat {
    /// Returns it one cycle later.
    pub fn delayed(&self, k: &mut Kernel, at: &str) -> Beat {
        let valid = k.reg(&format!("valid_{at}"), 1, Some(0));
        k.next(valid, None, self.valid);
        let fold = self.fold.map(|sig| k.held(&format!("fold_{at}"), sig));
        let lane = |(l, lane): (usize, &Lane)| Lane {
            acc: k.held(&format!("acc{l}_{at}"), &lane.acc).into(),
            level: lane.level.map(|sig| k.held(&format!("level{l}_{at}"), sig)),
            flip: lane.flip.map(|sig| k.held(&format!("flip{l}_{at}"), sig)),
        };
        Beat { valid, fold, lanes: self.lanes.iter().enumerate().map(lane).collect() }
    }
}

/// Describes the search: what the ROMs hold and what is compared.
pub struct Search<'a> {
    step: &'a Step,
    /// Range of the accumulators.
    range: Range,
    /// Number of beats per pixel.
    folds: usize,
    site: &'a Site,
    bits: usize,
    /// Whether any channel falls.
    pub falling: bool,
}

/// Says where the words of a round come from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The words come a cycle after their address.
    Near,
    /// The words come from block RAM whose output goes to a register first.
    Blocks,
    /// The words come from so many LUTs that they are read in parts.
    Parts,
}

impl<'a> Search<'a> {
    /// Returns the search of `step` on accumulators in `range`, whose channels come in `folds` beats. Its
    /// ROMs, which may be loaded, live where its site says.
    pub fn new(step: &'a Step, range: Range, folds: usize, site: &'a Site) -> Self {
        // A function that is loaded later may fall.
        let falling = step.dir.contains(&-1) || site.controlled;
        Search { step, range, folds, site, bits: step.bits.into(), falling }
    }

    /// Returns the cycles from a beat in to its beat out: a read and a comparison per round, and the FIFO.
    pub fn latency(&self) -> u64 {
        let rounds = self.bits.div_ceil(2);
        let read = |round| match self.place(round) {
            Place::Near => 1,
            Place::Blocks => 2,
            Place::Parts => parts::latency(self.words(round), self.site.family),
        };
        (0..rounds).map(|round| read(round) + 1).sum::<u64>() + 1
    }

    pub fn place(&self, round: usize) -> Place {
        let roms_of = if round == 0 { self.site.input.count } else { 1 };
        let bits = roms_of * self.word(0, round, 0).iter().map(|&(_, bits)| bits).sum::<usize>();
        let words = self.words(round);
        if banks::is_late(words, bits, self.site.memory, self.site.family) {
            Place::Blocks
        } else if !self.site.controlled
            && parts::rom_in_parts(words, bits, self.site.memory, self.site.family)
        {
            Place::Parts
        } else {
            Place::Near
        }
    }

    /// Returns the words of a ROM of a round.
    pub fn words(&self, round: usize) -> usize {
        self.folds << (2 * round)
    }

    /// Returns the bits of the level that a round finds.
    fn found(&self, round: usize) -> usize {
        2.min(self.bits - 2 * round)
    }

    /// Returns the bits of a threshold; that which is never reached lies one above the range.
    fn threshold_bits(&self) -> usize {
        Range::new(self.range.lo, self.range.hi + 1).bits() as usize
    }

    /// Returns threshold `t` of `channel` on the undirected accumulator: a falling step counts those not
    /// reached, and `−acc ≥ T` is `not acc ≥ 1 − T`.
    fn threshold(&self, channel: usize, t: usize) -> i64 {
        let row = self.step.thresholds.row(channel);
        if self.step.dir[channel] > 0 { row[t].into() } else { 1 - i64::from(row[row.len() - 1 - t]) }
    }

    /// Returns a lane's word of a round: the thresholds that split the levels starting with `prefix`, lowest
    /// first (quarters, or halves for one bit); in the first round the direction above them, where any
    /// channel falls.
    fn word(&self, channel: usize, round: usize, prefix: usize) -> Vec<(i64, usize)> {
        let found = self.found(round);
        let left = self.bits - 2 * round - found;
        let split = |part: usize| {
            let level = ((prefix << found) + part) << left;
            (self.threshold(channel, level - 1), self.threshold_bits())
        };
        let flip = (self.falling && round == 0).then(|| (i64::from(self.step.dir[channel] < 0), 1));
        (1..1 << found).map(split).chain(flip).collect()
    }

    /// Returns each lane's word, a cycle later: in the first round from one ROM for all lanes, then from one
    /// ROM per lane, addressed by the level so far.
    pub fn read(&self, k: &mut Kernel, parameters: &mut Parameters, round: usize, beat: &Beat) -> Vec<Expr> {
        let (lanes, style) = (beat.lanes.len(), style(self.site.memory));
        let lane_bits = self.word(0, round, 0).iter().map(|&(_, bits)| bits).sum();
        // A memory in LUTs is read in every cycle: an enable of as many registers as it has bits would come late.
        let enable = |words, bits| match banks::in_blocks(words, bits, self.site.memory) {
            true => beat.valid.expr(),
            false => lit(1, 1),
        };
        if round == 0 {
            let word = |fold| (0..lanes).flat_map(|l| self.word(fold * lanes + l, 0, 0)).collect();
            let data = rom_words(lanes * lane_bits, (0..self.folds).map(word));
            let addr = beat.fold.map_or(lit(0, 1), Into::into);
            let words = if self.place(0) == Place::Parts {
                let file = |rom: &str| self.site.image(rom);
                let (name, bits, family) = ("thresholds", lanes * lane_bits, self.site.family);
                parts::rom(k, parts::Rom { name, data: &data, bits, address: addr, family, file: &file })
            } else {
                let read = Read::Sync { enable: enable(self.folds, lanes * lane_bits), addr };
                let (name, file) = ("thresholds", &self.site.image("thresholds"));
                parameters.rom(k, Rom { name, bits: lanes * lane_bits, data, style, read, file })
            };
            return (0..lanes).map(|l| words.lane(l, lane_bits)).collect();
        }
        let prefixes = 1usize << (2 * round);
        let rom = |(l, lane): (usize, &Lane)| {
            let word = |at: usize| self.word(at / prefixes * lanes + l, round, at % prefixes);
            let data = rom_words(lane_bits, (0..self.folds * prefixes).map(word));
            let level = lane.level.expect("a level since the first round");
            let addr = beat.fold.map_or(level.expr(), |fold| cat([fold, level]));
            let rom = format!("thresholds{l}_{round}");
            let file = |rom: &str| self.site.image(rom);
            if self.place(round) == Place::Parts {
                let (name, bits, family) = (&rom, lane_bits, self.site.family);
                let rom = parts::Rom { name, data: &data, bits, address: addr, family, file: &file };
                return parts::rom(k, rom).expr();
            }
            let read = Read::Sync { enable: enable(self.words(round), lane_bits), addr };
            let (name, file) = (&rom, &file(&rom));
            parameters.rom(k, Rom { name, bits: lane_bits, data, style, read, file }).expr()
        };
        beat.lanes.iter().enumerate().map(rom).collect()
    }

    /// Returns the next bits of each lane's level, a cycle later.
    pub fn compare(&self, k: &mut Kernel, round: usize, beat: Beat, words: &[Expr]) -> Beat {
        let (found, bits) = (self.found(round), self.threshold_bits());
        // The sign of a difference is the end of its carry chain; a comparison of signed values would need logic
        // behind the chain as well.
        let Lanes { signed, bits: acc_bits, .. } = self.site.input;
        let wide = 1 + bits.max(acc_bits);
        let view = |value: Expr| fit(value, signed, wide);
        let last = 2 * round + found == self.bits;
        let valid = k.reg(&format!("valid_found{round}"), 1, Some(0));
        k.next(valid, None, beat.valid);
        let fold = beat.fold.map(|sig| k.held(&format!("fold_found{round}"), sig));
        let lane = |(l, (lane, word)): (usize, (&Lane, &Expr))| {
            let above: Vec<Sig> = (0..(1 << found) - 1)
                .map(|t| {
                    let left = view(lane.acc.clone()).sub(view(word.lane(t, bits)), wide);
                    let left = k.wire(&format!("left{l}_{round}_{t}"), left);
                    k.unused(left);
                    k.wire(&format!("above{l}_{round}_{t}"), left.bit(wide - 1).not())
                })
                .collect();
            let new = match above[..] {
                [one] => one.expr(),
                [low, middle, high] => cat([middle.expr(), middle.mux(high, low)]),
                _ => unreachable!("one or two bits"),
            };
            let level = lane.level.map_or(new.clone(), |before| cat([before.expr(), new]));
            let level = Some(k.held(&format!("level{l}_found{round}"), level));
            let flip = match round {
                0 => self.falling.then(|| word.bit(bits * ((1 << found) - 1))),
                _ => lane.flip.map(Into::into),
            };
            let flip = flip.map(|flip| k.held(&format!("flip{l}_found{round}"), flip));
            // After the last round only the level matters.
            let acc = if last {
                lane.acc.clone()
            } else {
                k.held(&format!("acc{l}_found{round}"), &lane.acc).into()
            };
            Lane { acc, level, flip }
        };
        let lanes = beat.lanes.iter().zip(words).enumerate().map(lane).collect();
        Beat { valid, fold, lanes }
    }
}
