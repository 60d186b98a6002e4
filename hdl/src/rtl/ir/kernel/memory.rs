//! Memories of a kernel: RAMs, ROMs, RAMs with contents.

use super::Kernel;
use crate::rtl::ir::expr::{Expr, Sig};
use crate::rtl::ir::leaf::NetKind;
use crate::rtl::ir::memory::{Memory, Read, RomImage, Style, Write, addr_bits};
use crate::rtl::ir::words;

/// A ROM of LUTs of at most so many words needs no file: its words stand in the module.
const WORDS_IN_PLACE: usize = 64;

impl Kernel {
    /// Adds a RAM of `words` words and returns its read data (`<name>_q` if synchronous, else `<name>_d`),
    /// unsigned. It powers up undefined. Addresses at or beyond `words` must not be used, and a clocked read must
    /// not meet a write in one word: tools are told so.
    #[expect(clippy::too_many_arguments, reason = "shape, style and ports, in one order for all memories")]
    pub fn ram(
        &mut self,
        name: &str,
        word_bits: usize,
        words: usize,
        style: Style,
        write: Write,
        read: Read,
    ) -> Sig {
        self.check_write(name, word_bits, words, &write);
        self.memory(name, word_bits, words, style, Some(write), read, None)
    }

    /// Adds a ROM and returns its read data (`<name>_q` if synchronous, else `<name>_d`), unsigned. `data`
    /// holds the words one after another, each `word_bits.div_ceil(64)` little-endian `u64`s; it is emitted
    /// as `file` and loaded by `$readmemh`, or stands in the module where it is a few words in LUTs. Two ROMs
    /// of one design share a file name only if they share its contents.
    #[expect(clippy::too_many_arguments, reason = "shape, style and ports, in one order for all memories")]
    pub fn rom(
        &mut self,
        name: &str,
        word_bits: usize,
        data: Vec<u64>,
        style: Style,
        read: Read,
        file: &str,
    ) -> Sig {
        assert!(style != Style::Spram, "{}.{name}: a ROM that nothing fills", self.leaf.name);
        let (count, mut image) = self.image(name, word_bits, data, file);
        if style == Style::Distributed && count <= WORDS_IN_PLACE {
            image.file = None;
        }
        self.memory(name, word_bits, count, style, None, read, Some(image))
    }

    /// Adds a RAM with contents: a [`Kernel::rom`] that can be written as well. Where it lies in LUTs a
    /// family may not be able to fill it at configuration; in block RAM all can.
    #[expect(clippy::too_many_arguments, reason = "a ROM and its write port")]
    pub fn filled_ram(
        &mut self,
        name: &str,
        word_bits: usize,
        data: Vec<u64>,
        style: Style,
        write: Write,
        read: Read,
        file: &str,
    ) -> Sig {
        let (count, image) = self.image(name, word_bits, data, file);
        self.check_write(name, word_bits, count, &write);
        self.memory(name, word_bits, count, style, Some(write), read, Some(image))
    }

    /// Checks the contents of a memory and returns its number of words and its image.
    fn image(&self, name: &str, word_bits: usize, data: Vec<u64>, file: &str) -> (usize, RomImage) {
        let stride = words::words_for(word_bits);
        assert!(
            !data.is_empty() && data.len().is_multiple_of(stride),
            "{}.{name}: {} u64s are no words of {word_bits} bits",
            self.leaf.name,
            data.len()
        );
        assert!(
            data.chunks(stride).all(|word| word[stride - 1] & !words::top_mask(word_bits) == 0),
            "{}.{name}: a word does not fit {word_bits} bits",
            self.leaf.name
        );
        (data.len() / stride, RomImage { file: Some(file.into()), data })
    }

    fn check_write(&self, name: &str, word_bits: usize, words: usize, write: &Write) {
        assert!(
            write.data.width == word_bits,
            "{}.{name}: {} bits written to words of {word_bits}",
            self.leaf.name,
            write.data.width
        );
        assert!(
            write.enable.width == 1,
            "{}.{name}: write enable of {} bits",
            self.leaf.name,
            write.enable.width
        );
        self.check_addr(name, &write.addr, words);
        [&write.enable, &write.addr, &write.data].into_iter().for_each(|value| self.own(value, name));
    }

    #[expect(clippy::too_many_arguments, reason = "the one place where both kinds of memory meet")]
    fn memory(
        &mut self,
        name: &str,
        word_bits: usize,
        words: usize,
        style: Style,
        write: Option<Write>,
        read: Read,
        image: Option<RomImage>,
    ) -> Sig {
        self.claim(name);
        let suffix = match &read {
            Read::Sync { enable, addr } => {
                assert!(enable.width == 1, "{}.{name}: read enable of {} bits", self.leaf.name, enable.width);
                self.own(enable, name);
                self.check_addr(name, addr, words);
                "q"
            }
            Read::Async { addr } => {
                assert!(
                    style != Style::Block,
                    "{}.{name}: block RAM has no asynchronous read",
                    self.leaf.name
                );
                self.check_addr(name, addr, words);
                "d"
            }
        };
        let out = self.net(
            &format!("{name}_{suffix}"),
            word_bits,
            false,
            NetKind::MemRead(self.leaf.memories.len()),
        );
        self.leaf.memories.push(Memory {
            name: name.into(),
            word_bits,
            words,
            style,
            write,
            read,
            out,
            image,
        });
        out
    }

    fn check_addr(&self, name: &str, addr: &Expr, words: usize) {
        self.own(addr, name);
        assert!(
            words > 0 && addr.width == addr_bits(words),
            "{}.{name}: address of {} bits for {words} words",
            self.leaf.name,
            addr.width
        );
    }
}
