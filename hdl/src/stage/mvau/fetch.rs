//! The weights: counts beats and reads a word of weights for each, from a ROM in banks of what a block RAM holds, joined
//! by a pipelined multiplexer.

use crate::memory::banks::{self, WAYS};
use crate::memory::parts;
use crate::pipeline::{Mvau, Stage};
use crate::plan::Memory;
use crate::rtl::{Expr, Kernel, Module, Read, Sig, Value, addr_bits, lit, set, words};
use crate::stage::parameters::{self, Parameters};
use crate::stage::{Counter, Inlet, rom_words, style};
use dq_net::Wire;
use dq_net::layer::Layer;

/// The ROM's words: fold, chunk, kernel row, kernel column; PE 0 and input 0 in the low bits. −1/+1 is 0/1.
fn weights(mvau: &Mvau, layer: &Layer, input: Wire) -> Vec<u64> {
    let Mvau { pe, simd, folds, weight_bits, .. } = *mvau;
    // Kernel rows, columns and channels of one output, and the weight at a place of them.
    let dense_map = input.shape;
    let (rows, columns, channels) = match layer {
        Layer::Conv(conv) => (conv.weights.dim().1, conv.weights.dim().2, conv.weights.dim().3),
        Layer::Dense(_) => dense_map.dim(),
        _ => unreachable!("no weights"),
    };
    let weight = |output: usize, ky: usize, kx: usize, c: usize| match layer {
        Layer::Conv(conv) => conv.weights[[output, ky, kx, c]],
        Layer::Dense(dense) => dense.weights[[output, (ky * columns + kx) * channels + c]],
        _ => unreachable!("no weights"),
    };
    let places = (0..folds).flat_map(|fold| {
        (0..channels / simd).flat_map(move |chunk| {
            (0..rows).flat_map(move |ky| (0..columns).map(move |kx| (fold, chunk, ky, kx)))
        })
    });
    let rows = places.map(|(fold, chunk, ky, kx)| {
        let of_pe = |p: usize| {
            let value = |i: usize| i64::from(weight(fold * pe + p, ky, kx, chunk * simd + i));
            let bits = |value: i64| if weight_bits == 1 { i64::from(value > 0) } else { value };
            let mut values: Vec<i64> = (0..simd).map(value).map(bits).collect();
            super::dot(mvau, 0).recode(&mut values);
            values
        };
        (0..pe).flat_map(of_pe).map(|value| (value, weight_bits)).collect()
    });
    rom_words(pe * simd * weight_bits, rows)
}

/// The kernel: `x` and `w<p>` leave together, with their flags.
pub fn module(stage: &Stage, mvau: &Mvau, layer: &Layer, input: Wire) -> Module {
    let Mvau { pe, simd, taps, folds, weight_bits, .. } = *mvau;
    let name = &stage.name;
    let (count, word) = (folds * taps, pe * simd * weight_bits);
    let bank_words = banks::bank_words(count, word, stage.memory, stage.family);
    let levels = banks::levels(count, word, stage.memory, stage.family);
    let note = format!(
        "Weights of {name}: {count} words of {pe} PEs x {simd} inputs x {weight_bits} bits, PE 0 and input 0 in the low bits,\n\
         in banks of {bank_words} words. Word order: fold, chunk of channels, kernel row, kernel column.\n\
         Latency {}, one beat a cycle.",
        levels + 1
    );
    let mut k = Kernel::new(&format!("{name}_fetch"), &note);
    let inlet = Inlet::new(&mut k, stage.input.width());
    let room = k.input("room", 1);
    let x = k.output("x", stage.input.width());
    let w: Vec<_> = (0..pe).map(|p| k.output(&format!("w{p}"), simd * weight_bits)).collect();
    let [spend, valid, first, last] =
        ["spend", "dot_valid", "dot_first", "dot_last"].map(|name| k.output(name, 1));

    let tap = Counter::new(&mut k, "tap", taps);
    let address = Counter::new(&mut k, "address", count);
    let last_tap = k.wire("last_tap", tap.last());
    let beat = inlet.take(&mut k, !last_tap | room);
    tap.clock(&mut k, beat);
    address.clock(&mut k, beat);
    k.drive(spend, beat & last_tap);

    let late = banks::is_late(count, word, stage.memory, stage.family);
    // Many blocks are far apart: the counter stays together, a register of its own reaches for them, or where they are all
    // over the device one for every few of them.
    let steps = banks::steps(count, word, stage.memory, stage.family);
    let far = steps > 0;
    let mut counter = address.value();
    for step in 1..=steps {
        counter = k.held(&format!("read_first{step}"), counter).expr();
    }
    let address = if late && !far { k.held("read_at", &counter).expr() } else { counter.clone() };
    let data = weights(mvau, layer, input);
    let mut parameters = Parameters::new(stage.controlled);
    let (mut banks, mut held) = (vec![], None);
    for (b, data) in data.chunks(bank_words * words::words_for(word)).enumerate() {
        let many = count > bank_words;
        let bank = if many { format!("weights{b}") } else { "weights".into() };
        let words = data.len() / words::words_for(word);
        let bits = addr_bits(words);
        let of = |address: &Expr| if many { address.slice(0, bits) } else { address.clone() };
        let memory = match banks::rest_luts(count, word, stage.memory, stage.family) {
            1.. if words < bank_words => Memory::Distributed,
            _ => stage.memory,
        };
        let name = |slice: &str| format!("{name}_{slice}.mem");
        if late && memory != stage.memory && !stage.controlled {
            held = Some(b);
            // As late as the others with their registers around them.
            banks.push(parts::rom(&mut k, &bank, (data, word), of(&counter), stage.family, &name));
            continue;
        }
        let slice = match stage.controlled {
            true => word,
            false => banks::slice_bits(words, word, memory, stage.family),
        };
        if memory == Memory::Spram {
            banks.push(parameters::spram(&mut k, word, data.to_vec(), &address, &name("weights")));
            continue;
        }
        let mut near = Near { address: of(&address), blocks: banks::NEAR_BLOCKS };
        let slices = (0..word).step_by(slice).map(|at| {
            let bits = slice.min(word - at);
            let rom = if slice == word { bank.clone() } else { format!("{bank}_{}", at / slice) };
            if far {
                let blocks = banks::blocks_of_bank(words, bits, stage.family.shapes());
                near.reach(&mut k, &rom, of(&counter), blocks);
            }
            // Read in every cycle: an enable of many blocks would be a long way behind `s_valid`.
            let read = Read::Sync { enable: lit(1, 1), addr: near.address.clone() };
            let data = words::columns(data, word, at, bits);
            parameters.rom(&mut k, &rom, bits, data, style(memory), read, &name(&rom))
        });
        let slices: Vec<Sig> = slices.collect();
        banks.push(parts::side_by_side(&mut k, &bank, slices));
    }
    let number = (banks.len() > 1).then(|| {
        let low = addr_bits(bank_words);
        let number = (&address).slice(low, address.width() - low);
        if far { k.copy("read_bank", number).expr() } else { number }
    });
    let joined = match number {
        Some(number) => join(&mut k, banks, number, (late, held), steps),
        None if late || levels == 1 => {
            (0..=steps).fold(banks[0], |before, step| k.held(&format!("word{step}"), before))
        }
        None => banks[0],
    };
    for (p, port) in w.into_iter().enumerate() {
        k.drive(port, joined.lane(p, simd * weight_bits));
    }

    let mut x_now = k.reg("x", stage.input.width(), None);
    k.next(x_now, Some(beat.into()), inlet.data);
    let mut flags = [k.reg("valid", 1, Some(0)), k.reg("first", 1, None), k.reg("last", 1, None)];
    k.clocked([set(flags[0], beat), set(flags[1], tap.first()), set(flags[2], last_tap)]);
    for level in 1..=levels {
        x_now = k.held(&format!("x_at{level}"), x_now);
        let names = ["valid", "first", "last"];
        let next = names.map(|name| k.reg(&format!("{name}_at{level}"), 1, (name == "valid").then_some(0)));
        k.clocked(next.iter().zip(flags).map(|(&to, from)| set(to, from)).collect::<Vec<_>>());
        flags = next;
    }
    k.drive(x, x_now);
    for (port, flag) in [valid, first, last].into_iter().zip(flags) {
        k.drive(port, flag);
    }
    parameters.finish(&mut k);
    k.build()
}

/// A bank's address, and how many blocks its last copy reaches.
struct Near {
    address: Expr,
    blocks: usize,
}

impl Near {
    /// For the `blocks` of `rom`: by a new copy of `address` where the last one has enough.
    fn reach(&mut self, k: &mut Kernel, rom: &str, address: Expr, blocks: usize) {
        if self.blocks >= banks::NEAR_BLOCKS {
            self.address = k.copy(&format!("{rom}_at"), address).expr();
            self.blocks = 0;
        }
        self.blocks += blocks;
    }
}

/// The word of bank `number`, [`WAYS`] banks a level and a register after each; banks that are `late` have one before, but for
/// the one that is `held` already; `steps` more bring them nearer.
fn join(
    k: &mut Kernel,
    mut banks: Vec<Sig>,
    number: Expr,
    (late, already): (bool, Option<usize>),
    steps: usize,
) -> Sig {
    let way_bits = addr_bits(WAYS);
    let mut bits = number.width();
    let mut number = k.held("bank", number);
    if late {
        number = k.held("bank_held", number);
        let held = |(b, bank): (usize, Sig)| match Some(b) == already {
            true => bank,
            false => k.held(&format!("held{b}"), bank),
        };
        banks = banks.into_iter().enumerate().map(held).collect();
    }
    for step in 1..=steps {
        number = k.held(&format!("bank_moved{step}"), number);
        let moved = |(b, bank): (usize, Sig)| k.held(&format!("moved{b}_{step}"), bank);
        banks = banks.into_iter().enumerate().map(moved).collect();
    }
    let mut level = 0;
    while banks.len() > 1 {
        level += 1;
        let way = number.slice(0, bits.min(way_bits));
        let chosen: Vec<Expr> = banks
            .chunks(WAYS)
            .enumerate()
            .map(|(g, group)| {
                let items = group.iter().map(|&bank| bank.into()).collect();
                let index = way.clone();
                k.select(&format!("level{level}_{g}_d"), index, items).expr()
            })
            .collect();
        banks = chosen
            .into_iter()
            .enumerate()
            .map(|(g, value)| k.held(&format!("level{level}_{g}"), value))
            .collect();
        if banks.len() > 1 {
            let rest = number.slice(way_bits, bits - way_bits);
            bits -= way_bits;
            number = k.held(&format!("bank_at{level}"), rest);
        }
    }
    banks.remove(0)
}
