//! Builds memories of parameters: ROMs or, where the plan lets them be loaded, RAMs with contents behind a
//! loader that takes words of 32 bits from the control port. The loader fills one memory after the other, in
//! the order in which they were asked for; each word of a memory comes as whole pieces of 32 bits, the low
//! piece first.

use crate::rtl::{
    Expr, Kernel, Read, Sig, Style, Value, Write, addr_bits, all_of, cat, lit, set, when, words,
};

/// Names of the ports of a loader.
pub const LOAD_PORTS: [&str; 4] = ["load_data", "load_valid", "load_start", "load_select"];
/// Names of the ports of a memory that is filled from flash.
pub const SPRAM_PORTS: [&str; 3] = ["spram_write", "spram_at", "spram_word"];
/// Number of bits of a piece.
const PIECE: usize = 32;

/// Holds the parameter memories of one kernel.
pub struct Parameters {
    loadable: bool,
    memories: Vec<Memory>,
}

/// Describes one memory, and its write port until the loader drives it.
struct Memory {
    bits: usize,
    words: usize,
    enable: Sig,
    address: Sig,
    data: Sig,
}

/// Describes a ROM of parameters, as [`Kernel::rom`] takes it.
pub struct Rom<'a> {
    pub name: &'a str,
    /// Bits of a word.
    pub bits: usize,
    pub data: Vec<u64>,
    pub style: Style,
    pub read: Read,
    /// Name of its memory image.
    pub file: &'a str,
}

impl Parameters {
    /// Begins without any memory; `loadable` is the plan's choice.
    pub fn new(loadable: bool) -> Self {
        Parameters { loadable, memories: vec![] }
    }

    /// Adds a ROM as [`Kernel::rom`] does. A memory that can be loaded has a clocked read.
    pub fn rom(&mut self, k: &mut Kernel, rom: Rom) -> Sig {
        let Rom { name, bits, data, style, read, file } = rom;
        if !self.loadable {
            return k.rom(name, bits, data, style, read, file);
        }
        let words = data.len() / words::words_for(bits);
        let enable = k.later(&format!("{name}_load"), 1, false);
        let address = k.later(&format!("{name}_load_at"), addr_bits(words), false);
        let word = k.later(&format!("{name}_load_word"), bits, false);
        self.memories.push(Memory { bits, words, enable, address, data: word });
        // A memory that is filled at configuration and written later is block RAM: LUT RAM cannot be filled
        // in every family.
        let style = if style == Style::Distributed { Style::Auto } else { style };
        let write = Write { enable: enable.into(), addr: address.into(), data: word.into() };
        k.filled_ram(name, bits, data, style, write, read, file)
    }

    /// Adds the loader, with the ports `load_data`, `load_valid`, `load_start` and `load_select`, where
    /// there is anything to load.
    pub fn finish(self, k: &mut Kernel) {
        if self.memories.is_empty() {
            return;
        }
        let data = k.input("load_data", PIECE);
        let [valid, start, select] = ["load_valid", "load_start", "load_select"].map(|name| k.input(name, 1));
        let take = k.wire("load_take", valid & select);
        let sizes: Vec<(usize, usize)> = self.memories.iter().map(|m| (m.bits, m.words)).collect();
        let loader = Loader::new(k, &sizes, take, data, Some(start));
        for (i, m) in self.memories.iter().enumerate() {
            k.drive(m.enable, loader.writes[i]);
            k.drive(m.address, loader.at.slice(0, m.address.width()));
            k.drive(m.data, loader.word(m.bits));
        }
    }
}

/// Puts pieces together to the words of several memories, one memory after the other.
pub struct Loader {
    /// One signal per memory, high while a word of it is written.
    pub writes: Vec<Sig>,
    /// Address at which the word is written.
    pub at: Sig,
    /// High with the last piece of the last memory.
    pub ends: Expr,
    /// The word of the widest memory; narrower memories take its upper pieces.
    joined: Sig,
}

impl Loader {
    /// Builds a loader for memories of such (bits, words). A piece of `data` counts while `take` is high;
    /// `start` goes back to the first.
    pub fn new(
        k: &mut Kernel,
        memories: &[(usize, usize)],
        take: Sig,
        data: Sig,
        start: Option<Sig>,
    ) -> Loader {
        let pieces = |&(bits, _): &(usize, usize)| bits.div_ceil(PIECE);
        let most = |of: &dyn Fn(&(usize, usize)) -> usize| memories.iter().map(of).max().expect("not empty");
        let (widest, deepest) = (most(&pieces), most(&|memory| memory.1));
        let memory = k.reg("load_memory", addr_bits(memories.len()), Some(0));
        k.comment(memory, "Loading: memory, word, piece of the word.");
        let address = k.reg("load_address", addr_bits(deepest), Some(0));
        let piece = k.reg("load_piece", addr_bits(widest), Some(0));
        let table = |k: &mut Kernel, name: &str, width: usize, of: &dyn Fn(&(usize, usize)) -> usize| {
            let items = memories.iter().map(|memory| lit(of(memory) as u64 - 1, width)).collect();
            k.select(name, memory, items)
        };
        let last_piece = table(k, "load_last_piece", piece.width(), &pieces);
        let last_address = table(k, "load_last_address", address.width(), &|memory| memory.1);
        let word_end = k.wire("load_word_end", take & piece.eq(last_piece));
        let memory_end = k.wire("load_memory_end", word_end & address.eq(last_address));
        let ends = all_of([memory_end.expr(), memory.eq_to(memories.len() as u64 - 1)]);
        let clear = |reg: Sig| set(reg, lit(0, reg.width()));
        let mut steps = vec![
            when(take, [set(piece, piece.inc())]),
            when(word_end, [clear(piece), set(address, address.inc())]),
            when(memory_end, [clear(address), set(memory, memory.inc())]),
        ];
        steps.extend(start.map(|start| when(start, [clear(piece), clear(address), clear(memory)])));
        k.clocked(steps);

        // This is the word so far, the newest piece on top.
        let joined: Expr = if widest == 1 {
            data.into()
        } else {
            let earlier = k.reg("load_earlier", PIECE * (widest - 1), None);
            let joined = k.wire("load_joined", cat([data, earlier]));
            k.next(earlier, Some(take.into()), joined.slice(PIECE, PIECE * (widest - 1)));
            joined.into()
        };
        let word = k.reg("load_word", joined.width(), None);
        let at = k.reg("load_at", address.width(), None);
        k.clocked([when(word_end, [set(word, joined), set(at, address)])]);
        let writes = (0..memories.len()).map(|i| {
            let enable = k.reg(&format!("load_write{i}"), 1, Some(0));
            k.next(enable, None, all_of([word_end.expr(), memory.eq_to(i as u64)]));
            enable
        });
        let writes = writes.collect();
        // Where a memory is narrower or smaller than the largest, bits stay unread.
        k.unused(word);
        k.unused(at);
        Loader { writes, at, ends, joined: word }
    }

    /// Returns the word for a memory of so many bits.
    pub fn word(&self, bits: usize) -> Expr {
        self.joined.slice(self.joined.width() - PIECE * bits.div_ceil(PIECE), bits)
    }
}

/// Adds a single-port RAM of weights, and the ports through which it is filled, in reset as well.
pub fn spram(k: &mut Kernel, bits: usize, data: Vec<u64>, address: &Expr, file: &str) -> Sig {
    let words = data.len() / words::words_for(bits);
    let [write, at, word] = SPRAM_PORTS;
    let (write, word) = (k.input(write, 1), k.input(word, bits));
    let at = k.input(at, addr_bits(words));
    // The memory has one port: nothing is read while a word is written.
    let place = k.wire("weights_at", write.mux(at, address.clone()));
    let read = Read::Sync { enable: write.not(), addr: place.into() };
    let write = Write { enable: write.into(), addr: place.into(), data: word.into() };
    k.filled_ram("weights", bits, data, Style::Spram, write, read, file)
}
