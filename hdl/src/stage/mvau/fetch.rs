//! Fetches the weights: counts beats and reads a word of weights for each, from a ROM in banks that fit block
//! RAMs, joined by a pipelined multiplexer.

use super::outlets::Outlets;
use super::shape::Mvau;
use super::weights::Weights;
use crate::memory::banks::{self, WAYS};
use crate::memory::parts;
use crate::plan::data::Memory as Place;
use crate::rtl::{Expr, Kernel, Module, Read, Sig, Value, addr_bits, lit, set, words};
use crate::stage::contract;
use crate::stage::counter::Counter;
use crate::stage::dot::Dot;
use crate::stage::parameters::{self, Parameters, Rom};
use crate::stage::site::Site;
use crate::stage::stream::Inlet;
use crate::stage::word::style;

/// Cycles from the counter to the word of a bank in block RAM, in the register behind it.
const BANK_LATENCY: u64 = 3;

/// Describes the memory of weights: how it is cut, and how far away it is.
struct Memory<'a> {
    site: &'a Site,
    /// Words, and bits of each.
    words: usize,
    bits: usize,
    bank_words: usize,
    /// Whether the output of a bank goes to a register first.
    late: bool,
    /// Number of registers that the address passes on its way to the banks.
    steps: usize,
    /// Number of registers between the counter and the word, less one.
    levels: u64,
    /// Number of them that are due to reading banks in parts.
    part_levels: u64,
}

/// Holds a bank's word.
struct Bank {
    word: Sig,
    /// Whether it comes from a register, and so as late as the words of the other banks behind their
    /// registers.
    has_register: bool,
}

/// Holds the address for the banks: in the counter, and in the register that is near them where there is one.
struct Address {
    counter: Expr,
    near: Expr,
}

/// Builds the kernel: `x` and `w<p>` leave together, with their flags.
pub fn module(site: &Site, mvau: &Mvau, dot: Dot, weights: &Weights) -> Module {
    let Mvau { pe, simd, taps, weight_bits, .. } = *mvau;
    let (name, memory) = (&site.name, Memory::new(site, mvau));
    let levels = memory.levels;
    let note = format!(
        "Weights of {name}: {} words of {pe} PEs x {simd} inputs x {weight_bits} bits, PE 0 and input 0 in \
         the low bits,\n\
         in banks of {} words. Word order: fold, chunk of channels, kernel row, kernel column.\n\
         Latency {}, one beat a cycle.",
        memory.words,
        memory.bank_words,
        levels + 1
    );
    let mut k = Kernel::new(&format!("{name}_fetch"), &note);
    let inlet = Inlet::new(&mut k, site.input.width());
    let room = k.input("room", 1);
    let outlets = Outlets::new(&mut k, site, mvau);

    // Much hangs on the last tap: the window before waits for it.
    let tap = Counter::with_end(&mut k, "tap", taps);
    let address = Counter::new(&mut k, "address", memory.words);
    let last_tap = k.wire("last_tap", tap.last());
    let beat = inlet.take(&mut k, !last_tap | room);
    tap.clock(&mut k, beat);
    address.clock(&mut k, beat);
    outlets.spend(&mut k, beat & last_tap);

    let mut parameters = Parameters::new(site.controlled);
    let word = memory.read(&mut k, &mut parameters, address.value(), &weights.words(mvau, dot));

    let mut x_now = k.reg("x", site.input.width(), None);
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
    outlets.drive(&mut k, x_now, word, flags);
    parameters.finish(&mut k);
    if Counter::has_end(taps) {
        k.contract(&contract::knows_end("tap", taps - 1));
    }
    k.build()
}

impl<'a> Memory<'a> {
    fn new(site: &'a Site, mvau: &Mvau) -> Self {
        let (words, bits, place, family) = (mvau.words(), mvau.word(), site.memory, site.family);
        Memory {
            site,
            words,
            bits,
            bank_words: banks::bank_words(words, bits, place, family),
            late: banks::is_late(words, bits, place, family),
            steps: banks::steps(words, bits, place, family),
            levels: levels(site, mvau),
            part_levels: part_levels(site, mvau),
        }
    }

    /// Returns the word of `data` at `address`, `levels` registers later.
    fn read(&self, k: &mut Kernel, parameters: &mut Parameters, address: Expr, data: &[u64]) -> Sig {
        // Many blocks are far apart: the counter stays together and a register near the blocks holds the
        // address; where they are all over the device, there is one such register for every few blocks.
        let far = self.steps > 0;
        let mut counter = address;
        for step in 1..=self.steps {
            counter = k.held(&format!("read_first{step}"), counter).expr();
        }
        let near = if self.late && !far { k.held("read_at", &counter).expr() } else { counter.clone() };
        let address = Address { counter, near };
        let chunks = data.chunks(self.bank_words * words::words_for(self.bits)).enumerate();
        let banks: Vec<Bank> = chunks.map(|bank| self.bank(k, parameters, &address, bank)).collect();
        if banks.len() > 1 {
            let low = addr_bits(self.bank_words);
            let number = (&address.near).slice(low, address.near.width() - low);
            let number = if far { k.copy("read_bank", number).expr() } else { number };
            let held = |before: Expr, cycle: u64| k.held(&format!("bank_part{cycle}"), before).expr();
            let number = (0..self.part_levels).fold(number, held);
            return join(k, banks, number, self.late, self.steps);
        }
        if self.late || self.levels - self.part_levels == 1 {
            (0..=self.steps).fold(banks[0].word, |before, step| k.held(&format!("word{step}"), before))
        } else {
            banks[0].word
        }
    }

    /// Builds a bank from its number and what it holds.
    fn bank(
        &self,
        k: &mut Kernel,
        parameters: &mut Parameters,
        address: &Address,
        (b, data): (usize, &[u64]),
    ) -> Bank {
        let Memory { site, words: count, bits: word, .. } = *self;
        let many = count > self.bank_words;
        let bank = if many { format!("weights{b}") } else { "weights".into() };
        let words = data.len() / words::words_for(word);
        let local = |address: &Expr| if many { address.slice(0, addr_bits(words)) } else { address.clone() };
        let place = match banks::rest_luts(count, word, site.memory, site.family) {
            1.. if words < self.bank_words => Place::Distributed,
            _ => site.memory,
        };
        let file = |slice: &str| site.image(slice);
        let last_in_parts = self.late && place != site.memory && !site.controlled;
        if last_in_parts || self.part_levels > 0 {
            let (address, family, file) = (local(&address.counter), site.family, &file);
            let early = if self.late { BANK_LATENCY } else { 1 + self.part_levels };
            let early = early - parts::latency(words, family);
            let word = parts::rom(k, parts::Rom { name: &bank, data, bits: word, address, family, file });
            let word = (0..early).fold(word, |before, cycle| k.held(&format!("{bank}_held{cycle}"), before));
            return Bank { word, has_register: true };
        }
        if place == Place::Spram {
            let word = parameters::spram(k, word, data.to_vec(), &address.near, &file("weights"));
            return Bank { word, has_register: false };
        }
        let slice = match site.controlled {
            true => word,
            false => banks::slice_bits(words, word, place, site.family),
        };
        let mut near = Near { address: local(&address.near), blocks: banks::NEAR_BLOCKS };
        let slices = (0..word).step_by(slice).map(|at| {
            let bits = slice.min(word - at);
            let rom = if slice == word { bank.clone() } else { format!("{bank}_{}", at / slice) };
            if self.steps > 0 {
                let blocks = banks::blocks_of_bank(words, bits, site.family.shapes());
                near.reach(k, &rom, local(&address.counter), blocks);
            }
            // The memory is read in every cycle: an enable of many blocks would come too late after
            // `s_valid`.
            let read = Read::Sync { enable: lit(1, 1), addr: near.address.clone() };
            let data = words::columns(data, word, at, bits);
            let (name, file) = (&rom, &file(&rom));
            parameters.rom(k, Rom { name, bits, data, style: style(place), read, file })
        });
        let slices: Vec<Sig> = slices.collect();
        Bank { word: parts::side_by_side(k, &bank, slices), has_register: false }
    }
}

/// Returns the registers between the counter and the word of the weights at `site`, less one.
pub fn levels(site: &Site, mvau: &Mvau) -> u64 {
    banks::levels(mvau.words(), mvau.word(), site.memory, site.family) + part_levels(site, mvau)
}

/// Returns those of them that are due to reading banks in parts, which weights that can be loaded are not.
fn part_levels(site: &Site, mvau: &Mvau) -> u64 {
    match site.controlled {
        true => 0,
        false => parts::bank_levels(mvau.words(), mvau.word(), site.memory, site.family),
    }
}

/// Holds a bank's address, and the number of blocks that its last copy reaches.
struct Near {
    address: Expr,
    blocks: usize,
}

impl Near {
    /// Reaches the `blocks` of `rom`: by a new copy of `address` where the last one has enough.
    fn reach(&mut self, k: &mut Kernel, rom: &str, address: Expr, blocks: usize) {
        if self.blocks >= banks::NEAR_BLOCKS {
            self.address = k.copy(&format!("{rom}_at"), address).expr();
            self.blocks = 0;
        }
        self.blocks += blocks;
    }
}

/// Returns the word of bank `number`, [`WAYS`] banks per level and a register after each; banks of a `late`
/// memory have one before, but for one that has its own; `steps` more bring them nearer.
fn join(k: &mut Kernel, banks: Vec<Bank>, number: Expr, late: bool, steps: usize) -> Sig {
    let way_bits = addr_bits(WAYS);
    let mut bits = number.width();
    let mut number = k.held("bank", number);
    if late {
        number = k.held("bank_held", number);
    }
    let held = |(b, bank): (usize, Bank)| match late && !bank.has_register {
        true => k.held(&format!("held{b}"), bank.word),
        false => bank.word,
    };
    let mut banks: Vec<Sig> = banks.into_iter().enumerate().map(held).collect();
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
