//! Describes boards: data files (`bitstreams/<board>/board.toml`) that say which device, clock and pins a
//! board has, and the circuit around the network's own: UART, packets, clock and reset. Never runs a tool.

mod clock;
mod file;
mod flash;
mod packet;
pub mod protocol;
mod top;
mod uart;

pub use clock::Clock;
pub use file::BoardError;
pub use top::{BoardCircuit, circuit, wrapper};

use crate::design::Design;
use crate::device::Device;
use crate::plan::Memory;
use crate::rtl::{self, File};
use crate::tool::family::{Flow, Target};
use serde::Deserialize;
use std::path::Path;

/// Boards that come with the program: name and content of the file.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("ulx3s", include_str!("../../../../bitstreams/ulx3s/board.toml")),
    ("icebreaker", include_str!("../../../../bitstreams/icebreaker/board.toml")),
    ("orangecrab-25f", include_str!("../../../../bitstreams/orangecrab-25f/board.toml")),
    ("orangecrab-85f", include_str!("../../../../bitstreams/orangecrab-85f/board.toml")),
    ("colorlight-i5", include_str!("../../../../bitstreams/colorlight-i5/board.toml")),
    ("tangnano9k", include_str!("../../../../bitstreams/tangnano9k/board.toml")),
    ("tangnano20k", include_str!("../../../../bitstreams/tangnano20k/board.toml")),
];

/// Describes a board, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// Name.
    pub name: String,
    /// Its FPGA.
    pub device: &'static Device,
    /// Name of the package, as nextpnr has it.
    pub package: String,
    /// Speed grade, where the family has several.
    pub speed: Option<u8>,
    /// Frequency of the clock pin, in Hz.
    pub clock_hz: u64,
    /// Bits per second on the UART.
    pub baud: u64,
    /// I/O standard of all pins, where the family wants one.
    pub io: Option<String>,
    /// Lines for the constraints file, verbatim.
    pub extra: Vec<String>,
    /// Pins.
    pub pins: Pins,
    /// The configuration flash, if the circuit can read it.
    pub flash: Option<Flash>,
}

/// Describes a serial flash: its pins, and where in it the circuit's words may stand.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flash {
    /// Pin of the clock.
    pub sck: String,
    /// Pin of the chip select, active low.
    pub cs: String,
    /// Pin of the data into the flash.
    pub mosi: String,
    /// Pin of the data out of the flash.
    pub miso: String,
    /// Byte at which the words start, behind the bitstream.
    pub offset: u32,
}

/// Names the pins of a board.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// Pin of the clock.
    pub clk: String,
    /// Pin of the UART into the FPGA.
    pub rx: String,
    /// Pin of the UART out of the FPGA.
    pub tx: String,
    /// Pins of two lamps: the circuit's sticky error, and whether its clock is stable and reset is over.
    pub led: [String; 2],
    /// Whether a low level lights the lamps.
    #[serde(default)]
    pub led_low: bool,
    /// I/O standard of the lamps, where their bank has another voltage than the other pins.
    #[serde(default)]
    pub led_io: Option<String>,
}

impl Flash {
    /// Returns ports of the board's top module, fields of the board file, and pins.
    fn pins(&self) -> [(&'static str, &'static str, &String); 4] {
        [
            ("flash_sck", "flash.sck", &self.sck),
            ("flash_cs", "flash.cs", &self.cs),
            ("flash_mosi", "flash.mosi", &self.mosi),
            ("flash_miso", "flash.miso", &self.miso),
        ]
    }
}

impl Board {
    /// Returns the board called `name`, or that of the folder `name`.
    pub fn find(name: &str) -> Result<Board, BoardError> {
        if let Some((_, text)) = BUILT_IN.iter().find(|(known, _)| *known == name) {
            return Board::from_toml(Path::new(&format!("bitstreams/{name}/board.toml")), text);
        }
        let folder = Path::new(name);
        if !folder.is_dir() {
            let known: Vec<&str> = BUILT_IN.iter().map(|(name, _)| *name).collect();
            return Err(BoardError::Unknown { name: name.into(), known: known.join(", ") });
        }
        let path = folder.join("board.toml");
        let text = dq_net::read::text(&path, 1 << 20)
            .map_err(|source| BoardError::Io { path: path.clone(), source })?;
        Board::from_toml(&path, &text)
    }

    /// Returns the text of the constraints file, for a core clock of `core_hz`; with the flash's pins where
    /// the circuit `boots`.
    pub fn constraints(&self, core_hz: u64, boots: bool) -> String {
        let pins = &self.pins;
        let ports = [("clk", &pins.clk), ("rx", &pins.rx), ("tx", &pins.tx)];
        let flash = self.flash.iter().filter(|_| boots).flat_map(Flash::pins);
        let (io, led_io) = (self.io.as_deref(), pins.led_io.as_deref().or(self.io.as_deref()));
        let (flow, _) = self.flow();
        let pin = |(port, pin): (&str, &String)| (flow.pin)(port, pin, io);
        let lamp = |(i, led): (usize, &String)| (flow.pin)(&format!("led[{i}]"), led, led_io);
        let mut text: String = ports.into_iter().map(pin).collect();
        text.extend(pins.led.iter().enumerate().map(lamp));
        text.extend(flash.map(|(port, _, name)| pin((port, name))));
        // The frequency is in kHz, rounded up, so that the constraint is never weaker than the clock.
        text += &(flow.clocks)(&megahertz(self.clock_hz), &megahertz(core_hz));
        self.extra.iter().for_each(|line| text += &format!("{line}\n"));
        text
    }

    /// Returns the way to a bitstream for its device, and what the tools call that.
    pub(crate) fn flow(&self) -> (&'static Flow, &'static str) {
        Flow::of(self.device).expect("a board's device can be built for")
    }

    /// Returns its device, and a core clock of `core_hz`, as the tools name them.
    pub(crate) fn target(&self, core_hz: u64) -> Target<'_> {
        let (_, size) = self.flow();
        Target { size, package: &self.package, speed: self.speed, core: megahertz(core_hz) }
    }

    /// Returns the ending of its bitstreams' names.
    pub fn suffix(&self) -> &'static str {
        self.flow().0.suffix
    }

    /// Returns the clock for a core of `core_hz`, within 10 % below it.
    pub fn clock(&self, core_hz: u64) -> Result<Clock, BoardError> {
        Clock::of(self.device.family, self.clock_hz, core_hz).ok_or_else(|| BoardError::Clock {
            board: self.name.clone(),
            wanted: megahertz(core_hz),
            pin: megahertz(self.clock_hz),
        })
    }

    /// Returns the core clocks per bit on the UART.
    pub fn clocks_per_bit(&self, clock: &Clock) -> usize {
        ((clock.hz + self.baud / 2) / self.baud).max(2) as usize
    }

    /// Returns the frames per second that the UART can carry: mark, number, pixels, CRC, ten bits per byte.
    pub fn uart_frames(&self, clock: &Clock, design: &Design) -> u64 {
        let bits = 10 * (design.network.input_shape().len() as u64 + 5);
        clock.hz / self.clocks_per_bit(clock) as u64 / bits
    }

    /// Returns what the flash must hold from its offset on: words, high byte first. An error where there are
    /// words and the board has no flash for them, or where weights come from outside.
    pub fn flash_bytes(&self, design: &Design) -> Result<Vec<u8>, BoardError> {
        if let Some(node) = design.plan.nodes.iter().find(|node| node.memory == Memory::Stream) {
            return Err(BoardError::NoWeights { board: self.name.clone(), node: node.node.clone() });
        }
        let words = design.boot_words();
        if !words.is_empty() && self.flash.is_none() {
            return Err(BoardError::NoFlash(self.name.clone()));
        }
        Ok(words.into_iter().flat_map(u32::to_be_bytes).collect())
    }

    /// Returns the files that the circuit is synthesized from, in the order that tools want them.
    pub fn sources(&self, clock: &Clock, design: &Design) -> Vec<File> {
        let hash = dq_net::content_hash(&design.network);
        let banner = format!("dq {}, network {hash}", env!("CARGO_PKG_VERSION"));
        let offset = self.flash.as_ref().map_or(0, |flash| flash.offset);
        let circuit = circuit(design, self.clocks_per_bit(clock), offset);
        let top = wrapper(self, clock, design.plan.boots(), &banner);
        let mut files = vec![File { name: "board_top.v".into(), text: top }];
        files.extend(
            rtl::emit(&circuit.module, &banner)
                .unwrap_or_else(|e| unreachable!("names are allotted once: {e}")),
        );
        files
    }
}

/// Returns a frequency as text in MHz, with three digits behind the point, rounded up.
pub fn megahertz(hz: u64) -> String {
    let khz = hz.div_ceil(1_000);
    format!("{}.{:03}", khz / 1_000, khz % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_boards_that_come_with_it_are_sound() {
        for (name, _) in BUILT_IN {
            assert_eq!(Board::find(name).unwrap().name, *name);
        }
        let lamps = |name: &str| {
            let board = Board::find(name).unwrap();
            let clock = board.clock(board.clock_hz).unwrap();
            wrapper(&board, &clock, false, "test").contains("assign led = ~lamps;")
        };
        assert!(lamps("orangecrab-25f") && lamps("icebreaker") && !lamps("ulx3s"));
        let ulx3s = Board::find("ulx3s").unwrap();
        assert!(ulx3s.constraints(100_000_000, false).contains("FREQUENCY NET \"core_clk\" 100.000 MHZ;"));
        let icebreaker = Board::find("icebreaker").unwrap();
        let [plain, boots] = [false, true].map(|boots| icebreaker.constraints(24_000_000, boots));
        assert!(
            plain.contains("set_io rx ") && !plain.contains("flash") && boots.contains("set_io flash_cs 16")
        );
        assert_eq!(megahertz(12_000_001), "12.001");
    }
}
