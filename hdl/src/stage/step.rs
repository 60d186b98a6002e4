//! The quantizer: a pipelined search among the thresholds, two bits of the level a time. Any monotone function, in
//! either direction, exactly.

use super::{Counter, Inlet, outlet::Outlet, rom_words, style};
use crate::pipeline::Stage;
use crate::rtl::{Expr, Kernel, Module, Read, Sig, Value, cat, lanes};
use dq_net::Range;
use dq_net::layer::Step;

/// The step of `step`, whose accumulators lie in `range`; the channels come in `folds` beats.
pub fn module(stage: &Stage, folds: usize, step: &Step, range: Range) -> Module {
    let (from, to) = (stage.input, stage.output);
    let falling = step.dir.contains(&-1);
    let bits = usize::from(step.bits);
    let search = Search { step, lanes: from.count, folds, bits, falling, range };
    let mut k = Kernel::new(&stage.module_name(), &note(stage, step, falling));
    let inlet = Inlet::new(&mut k, from.width());
    let outlet = Outlet::new(&mut k, to.width(), stage.depth);
    let beat = inlet.take(&mut k, outlet.free);
    let fold = Counter::new(&mut k, "fold", folds);
    fold.clock(&mut k, beat);

    let mut valid = beat;
    let mut fold_now: Option<Sig> = fold.reg;
    let mut acc: Vec<Expr> = (0..from.count).map(|lane| inlet.data.lane(lane, from.bits)).collect();
    let mut levels: Vec<Option<Sig>> = vec![None; from.count];
    let mut flips: Vec<Option<Sig>> = vec![None; from.count];
    let rounds = bits.div_ceil(2);
    for round in 0..rounds {
        let (known, found) = (2 * round, 2.min(bits - 2 * round));
        // First half: read the thresholds that split what is left.
        let words = search.read(&mut k, stage, round, valid, fold_now, &levels);
        let stage_valid = k.reg(&format!("read{round}"), 1, Some(0));
        k.next(stage_valid, None, valid);
        let delay = |k: &mut Kernel, name: String, value: Expr| {
            let reg = k.reg(&format!("{name}_read{round}"), value.width(), None);
            k.next(reg, None, value);
            reg
        };
        let last = round + 1 == rounds;
        let fold_read = fold_now.filter(|_| !last).map(|sig| delay(&mut k, "fold".into(), sig.into()));
        let acc_read: Vec<Sig> =
            acc.iter().enumerate().map(|(l, a)| delay(&mut k, format!("acc{l}"), a.clone())).collect();
        let mut level_read = vec![None; from.count];
        let mut flip_read = vec![None; from.count];
        for l in 0..from.count {
            level_read[l] = levels[l].map(|sig| delay(&mut k, format!("level{l}"), sig.into()));
            flip_read[l] = flips[l].map(|sig| delay(&mut k, format!("flip{l}"), sig.into()));
        }
        // Second half: compare.
        valid = k.reg(&format!("found{round}"), 1, Some(0));
        k.next(valid, None, stage_valid);
        fold_now = fold_read.map(|sig| {
            let reg = k.reg(&format!("fold_found{round}"), sig.width(), None);
            k.next(reg, None, sig);
            reg
        });
        for l in 0..from.count {
            let x = if from.signed { acc_read[l].signed() } else { acc_read[l].unsigned() };
            let above: Vec<Sig> = (0..(1 << found) - 1)
                .map(|t| {
                    let threshold = (&words[l]).slice(t * search.threshold_bits(), search.threshold_bits());
                    let threshold = if from.signed { threshold.signed() } else { threshold };
                    k.wire(&format!("above{l}_{round}_{t}"), x.clone().ge(threshold))
                })
                .collect();
            let new = match above[..] {
                [one] => one.expr(),
                [low, middle, high] => cat([middle.expr(), middle.mux(high, low)]),
                _ => unreachable!("one or two bits"),
            };
            let level = match level_read[l] {
                Some(before) => cat([before.expr(), new]),
                None => new,
            };
            let reg = k.reg(&format!("level{l}_found{round}"), known + found, None);
            k.next(reg, None, level);
            levels[l] = Some(reg);
            let flip = match (flip_read[l], round) {
                (Some(sig), _) => Some(sig.expr()),
                (None, 0) if falling => Some((&words[l]).bit(search.threshold_bits() * ((1 << found) - 1))),
                _ => None,
            };
            flips[l] = flip.map(|flip| {
                let reg = k.reg(&format!("flip{l}_found{round}"), 1, None);
                k.next(reg, None, flip);
                reg
            });
            if !last {
                let reg = k.reg(&format!("acc{l}_found{round}"), from.bits, None);
                k.next(reg, None, acc_read[l]);
                acc[l] = reg.into();
            }
        }
    }
    let result = levels.iter().zip(flips).map(|(level, flip)| {
        let level = level.expect("at least one round");
        flip.map_or(level.expr(), |flip| level.xor(flip.repeat(bits)))
    });
    let result: Vec<Expr> = result.collect();
    outlet.finish(&mut k, beat, valid, lanes(result));
    k.build()
}

fn note(stage: &Stage, step: &Step, falling: bool) -> String {
    let direction = if falling {
        "A falling channel counts the thresholds not reached: level = 2^bits - 1 - #{t : acc >= T[t]}.\n"
    } else {
        ""
    };
    format!(
        "Quantizer: level ({} bits) = #{{t : acc >= T[t]}} over {} thresholds a channel, {} lanes of {} bits.\n\
         {direction}Two bits of the level a round, the high ones first, each round one ROM read and one comparison.\n\
         Latency {}, one beat a cycle.",
        step.bits,
        step.thresholds.dim().1,
        stage.input.count,
        stage.input.bits,
        stage.latency
    )
}

/// What the ROMs hold.
struct Search<'a> {
    step: &'a Step,
    lanes: usize,
    folds: usize,
    bits: usize,
    falling: bool,
    range: Range,
}

impl Search<'_> {
    /// Bits of a threshold: "never" lies one above the range.
    fn threshold_bits(&self) -> usize {
        Range::new(self.range.lo, self.range.hi + 1).bits() as usize
    }

    /// Threshold `t` of `channel` on the undirected accumulator: a falling step counts those not reached, and
    /// `−acc ≥ T` is `not acc ≥ 1 − T`.
    fn threshold(&self, channel: usize, t: usize) -> i64 {
        let row = self.step.thresholds.row(channel);
        if self.step.dir[channel] > 0 { row[t].into() } else { 1 - i64::from(row[row.len() - 1 - t]) }
    }

    /// The thresholds that split the levels starting with `prefix`, lowest first: quarters, or halves for one bit.
    fn splits(&self, channel: usize, round: usize, prefix: usize) -> Vec<(i64, usize)> {
        let found = 2.min(self.bits - 2 * round);
        let left = self.bits - 2 * round - found;
        (1..1usize << found)
            .map(|part| {
                let level = ((prefix << found) + part) << left;
                (self.threshold(channel, level - 1), self.threshold_bits())
            })
            .collect()
    }

    /// Each lane's word of a round: in the first one ROM for all lanes, then one a lane, addressed by the level so far.
    fn read(
        &self,
        k: &mut Kernel,
        stage: &Stage,
        round: usize,
        valid: Sig,
        fold: Option<Sig>,
        levels: &[Option<Sig>],
    ) -> Vec<Expr> {
        let name = &stage.name;
        let flip = usize::from(self.falling && round == 0);
        let lane_bits = ((1 << 2.min(self.bits - 2 * round)) - 1) * self.threshold_bits() + flip;
        let lane_word = |channel: usize, prefix: usize| {
            let mut word = self.splits(channel, round, prefix);
            if flip == 1 {
                word.push((i64::from(self.step.dir[channel] < 0), 1));
            }
            word
        };
        if round == 0 {
            let word = |fold| (0..self.lanes).flat_map(|l| lane_word(fold * self.lanes + l, 0)).collect();
            let data = rom_words(self.lanes * lane_bits, (0..self.folds).map(word));
            let addr = fold.map_or(crate::rtl::lit(0, 1), Into::into);
            let read = Read::Sync { enable: valid.into(), addr };
            let file = format!("{name}_thresholds.mem");
            let words = k.rom("thresholds", self.lanes * lane_bits, data, style(stage.memory), read, &file);
            return (0..self.lanes).map(|l| words.lane(l, lane_bits)).collect();
        }
        (0..self.lanes)
            .map(|l| {
                let prefixes = 1usize << (2 * round);
                let word = |at: usize| lane_word(at / prefixes * self.lanes + l, at % prefixes);
                let data = rom_words(lane_bits, (0..self.folds * prefixes).map(word));
                let level = levels[l].expect("a level since the first round");
                let addr = fold.map_or(level.expr(), |fold| cat([fold, level]));
                let read = Read::Sync { enable: valid.into(), addr };
                let rom = format!("thresholds{l}_{round}");
                k.rom(&rom, lane_bits, data, style(stage.memory), read, &format!("{name}_{rom}.mem")).expr()
            })
            .collect()
    }
}
