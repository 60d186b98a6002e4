//! Builds the accumulators, which add up the dot products of a fold and give the sums.

use super::shape::Mvau;
use super::starts;
use super::weights::Weights;
use crate::memory::parts;
use crate::rtl::{Expr, Kernel, Module, Read, Value, lanes, set};
use crate::stage::counter::Counter;
use crate::stage::dot::Dot;
use crate::stage::outlet::Outlet;
use crate::stage::site::Site;
use crate::stage::word::{fit, literal, rom_words, style};

/// Holds what the accumulators of a unit are made from.
struct Sums<'a> {
    mvau: &'a Mvau,
    dot: Dot,
    weights: &'a Weights,
}

/// Returns where the accumulator of each PE begins: below zero by what the dot products of a fold have in
/// excess.
fn starts(k: &mut Kernel, site: &Site, sums: Sums, fold_end: Expr) -> Vec<Expr> {
    let Sums { mvau: &Mvau { pe, simd, taps, folds, .. }, dot, weights } = sums;
    let bits = site.output.bits;
    // Each addition, written as a subtraction below, adds one more.
    let excess = (dot.excess() + 1) * taps as i64;
    if !dot.knows_weights() {
        return vec![literal(-excess, bits); pe];
    }
    let start = |output: usize| {
        let of_weights = |tap| dot.excess_of(&weights.beat(output, weights.tap(tap, simd), simd));
        -excess - (0..taps).map(of_weights).sum::<i64>()
    };
    if folds == 1 {
        return (0..pe).map(|p| literal(start(p), bits)).collect();
    }
    // The start is read two cycles ahead: a block RAM's data come late in their cycle, so a register takes them
    // before they are added; a memory in LUTs is deep, and copies of the fold's number stand before it.
    let fold = Counter::new(k, "fold", folds);
    let end = k.wire("fold_ends", fold_end);
    fold.clock(k, end);
    let number = fold.reg.expect("several folds");
    let word = |fold: usize| (0..pe).map(|p| (start(fold * pe + p), bits)).collect();
    let data = rom_words(pe * bits, (0..folds).map(word));
    let (place, file) = (starts::place(folds, site.memory), |rom: &str| site.image(rom));
    let (address, family, name, bits_of_all) = (number.into(), site.family, "starts", pe * bits);
    let starts = if starts::in_parts(folds, family) {
        parts::rom(k, parts::Rom { name, data: &data, bits: bits_of_all, address, family, file: &file })
    } else {
        let read = Read::Sync { enable: literal(1, 1), addr: address };
        let starts = k.rom(name, bits_of_all, data, style(place), read, &file(name));
        k.held("starts_held", starts)
    };
    (0..pe).map(|p| starts.lane(p, bits)).collect()
}

/// Adds up the dot products of a fold and gives the sums.
pub fn module(site: &Site, mvau: &Mvau, dot: Dot, weights: &Weights) -> Module {
    let (bits, dot_bits) = (site.output.bits, dot.result_bits());
    let delay = dot.latency() as usize;
    let note = format!(
        "Accumulators of {}: {} lanes of {bits} bits, from the first to the last beat of a fold; output \
         FIFO.\n\
         The flags come {delay} cycles before their dot products.",
        site.name, mvau.pe
    );
    let mut k = Kernel::new(&format!("{}_accumulate", site.name), &note);
    let sums: Vec<_> = (0..mvau.pe).map(|p| k.input(&format!("dot{p}"), dot_bits)).collect();
    let flags = ["spend", "dot_valid", "dot_first", "dot_last"].map(|name| k.input(name, 1));
    let [spend, valid, first, last] = flags;
    let room = k.output("room", 1);
    let outlet = Outlet::new(&mut k, site);
    k.drive(room, outlet.free);
    let mut now = [valid, first, last];
    let mut history = vec![now];
    for d in 1..=delay {
        let next = ["valid", "first", "last"]
            .map(|name| k.reg(&format!("{name}{d}"), 1, (name == "valid").then_some(0)));
        k.clocked(now.iter().zip(next).map(|(&from, to)| set(to, from)).collect::<Vec<_>>());
        now = next;
        history.push(now);
    }
    let [valid, first, last] = now;
    // The flags of two cycles before tell a fold's end in time; a form that knows its weights takes as many.
    let [was_valid, _, was_last] = history[delay.saturating_sub(2)];
    let starts = starts(&mut k, site, Sums { mvau, dot, weights }, was_valid & was_last);
    let mut accumulators = vec![];
    for (p, &sum) in sums.iter().enumerate() {
        let acc = k.reg(&format!("acc{p}"), bits, None);
        let before = k.wire(&format!("before{p}"), first.mux(starts[p].clone(), acc));
        // sum − ¬before is sum + before + 1. Written as a subtraction, synthesis puts the choice of `before`
        // into the LUTs of the carry chain itself; written as an addition, it would spend a LUT more per
        // bit.
        let next = fit(sum, dot.range().signed(), bits).sub(before.not(), bits);
        k.next(acc, Some(valid.into()), next);
        accumulators.push(acc);
    }
    let push = k.reg("push", 1, Some(0));
    k.next(push, None, valid & last);
    outlet.finish(&mut k, spend, push, lanes(accumulators));
    k.build()
}
