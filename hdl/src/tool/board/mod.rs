//! Boards: data files (`bitstreams/<board>/board.toml`) that say which device, clock and pins a board has, and the
//! circuit around the network's own: UART, packets, clock and reset. Never runs a tool.

mod clock;
mod flash;
mod packet;
pub mod protocol;
mod top;
mod uart;

pub use clock::Clock;
pub use top::{BoardCircuit, circuit, wrapper};

use crate::device::{Device, Family};
use serde::Deserialize;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Boards that come with the program: name and file.
pub const BUILT_IN: &[(&str, &str)] = &[
    ("ulx3s", include_str!("../../../../bitstreams/ulx3s/board.toml")),
    ("icebreaker", include_str!("../../../../bitstreams/icebreaker/board.toml")),
];

/// A board, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Board {
    /// Name.
    pub name: String,
    /// Its FPGA.
    pub device: &'static Device,
    /// Package, as nextpnr names it.
    pub package: String,
    /// Speed grade, where the family has several.
    pub speed: Option<u8>,
    /// Frequency of the clock pin, in Hz.
    pub clock_hz: u64,
    /// Bits a second on the UART.
    pub baud: u64,
    /// I/O standard of all pins, where the family wants one.
    pub io: Option<String>,
    /// Lines for the constraints file, verbatim.
    pub extra: Vec<String>,
    /// Pins.
    pub pins: Pins,
    /// Its configuration flash, if the circuit can read it.
    pub flash: Option<Flash>,
}

/// A serial flash: its pins, and where in it the circuit's words may stand.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Flash {
    /// Clock.
    pub sck: String,
    /// Chip select, active low.
    pub cs: String,
    /// Into the flash.
    pub mosi: String,
    /// Out of the flash.
    pub miso: String,
    /// Byte at which the words start, behind the bitstream.
    pub offset: u32,
}

/// Pins of a board.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pins {
    /// Clock.
    pub clk: String,
    /// UART: into the FPGA.
    pub rx: String,
    /// UART: out of the FPGA.
    pub tx: String,
    /// Two lamps: the circuit's sticky error, and whether its clock is stable and reset is over.
    pub led: [String; 2],
}

/// Why a board cannot be used.
#[derive(Debug, Error)]
pub enum BoardError {
    /// The operating system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// Not TOML, or not of this structure.
    #[error("{path}: {reason}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Place and reason.
        reason: String,
    },
    /// A field is wrong.
    #[error("{path}: {field}: expected {expected}, found {found}", path = path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What would have been right.
        expected: String,
        /// What is there.
        found: String,
    },
    /// No board of this name, and no such folder.
    #[error("board `{name}`: expected one of {known}, or a folder with a board.toml")]
    Unknown {
        /// The name.
        name: String,
        /// The names there are.
        known: String,
    },
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    name: String,
    device: String,
    package: String,
    #[serde(default)]
    speed: Option<u8>,
    clock_hz: u64,
    baud: u64,
    #[serde(default)]
    io: Option<String>,
    #[serde(default)]
    extra: Vec<String>,
    pins: Pins,
    #[serde(default)]
    flash: Option<Flash>,
}

impl Flash {
    /// Ports of the board's top module, fields of the board file, and pins.
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
    /// The board called `name`, or that of the folder `name`.
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

    /// Reads and checks `text`; `path` only names it in errors.
    pub fn from_toml(path: &Path, text: &str) -> Result<Board, BoardError> {
        let document: Document = toml::from_str(text)
            .map_err(|error| BoardError::Syntax { path: path.into(), reason: error.to_string() })?;
        let wrong = |field, expected: String, found: String| {
            Err(BoardError::Field { path: path.into(), field, expected, found })
        };
        let Document { name, device, package, speed, clock_hz, baud, io, extra, pins, flash } = document;
        let plain = |text: &str| {
            !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '_')
        };
        if !plain(&name) {
            return wrong("name", "letters, digits, - and _".into(), format!("`{name}`"));
        }
        if !plain(&package) {
            return wrong("package", "letters, digits, - and _".into(), format!("`{package}`"));
        }
        let buildable = |device: &&Device| device.family != Family::Xc7;
        let Some(device) = Device::find(&device).filter(buildable) else {
            let known = crate::device::DEVICES.iter().filter(buildable).map(|device| device.name);
            return wrong("device", format!("one of {}", known.collect::<Vec<_>>().join(", ")), device);
        };
        if !(1_000_000..=400_000_000).contains(&clock_hz) {
            return wrong("clock_hz", "1000000 to 400000000".into(), clock_hz.to_string());
        }
        if !(300..=clock_hz / 4).contains(&baud) {
            return wrong(
                "baud",
                format!("300 to a quarter of the clock, {}", clock_hz / 4),
                baud.to_string(),
            );
        }
        let all = [("pins.clk", &pins.clk), ("pins.rx", &pins.rx), ("pins.tx", &pins.tx)];
        let leds = pins.led.iter().map(|pin| ("pins.led", pin));
        let of_flash = flash.iter().flat_map(Flash::pins).map(|(_, field, pin)| (field, pin));
        let mut seen: Vec<&str> = vec![];
        for (field, pin) in all.into_iter().chain(leds).chain(of_flash) {
            if !plain(pin) {
                return wrong(field, "the name of a pin".into(), format!("`{pin}`"));
            }
            if seen.contains(&pin.as_str()) {
                return wrong(field, "a pin of its own".into(), format!("{pin}, used twice"));
            }
            seen.push(pin);
        }
        if let Some(Flash { offset, .. }) = flash.as_ref().filter(|flash| flash.offset >= 1 << 24) {
            return wrong("flash.offset", "a byte of the first 16 MiB".into(), offset.to_string());
        }
        Ok(Board { name, device, package, speed, clock_hz, baud, io, extra, pins, flash })
    }

    /// The text of the constraints file, for a core clock of `core_hz`; with the flash's pins where the circuit `boots`.
    pub fn constraints(&self, core_hz: u64, boots: bool) -> String {
        let pins = &self.pins;
        let mut ports = vec![("clk".to_owned(), &pins.clk), ("rx".into(), &pins.rx), ("tx".into(), &pins.tx)];
        ports.extend(pins.led.iter().enumerate().map(|(i, pin)| (format!("led[{i}]"), pin)));
        let flash = self.flash.iter().filter(|_| boots).flat_map(Flash::pins);
        ports.extend(flash.map(|(port, _, pin)| (port.to_owned(), pin)));
        let mut text = String::new();
        for (port, pin) in ports {
            text += &match (self.device.family, &self.io) {
                (Family::Ice40, _) => format!("set_io {port} {pin}\n"),
                (_, Some(io)) => {
                    format!("LOCATE COMP \"{port}\" SITE \"{pin}\";\nIOBUF PORT \"{port}\" IO_TYPE={io};\n")
                }
                (_, None) => format!("LOCATE COMP \"{port}\" SITE \"{pin}\";\n"),
            };
        }
        match self.device.family {
            // In kHz, rounded up, so that the constraint is never weaker than the clock.
            Family::Ice40 => text += &format!("set_frequency core_clk {}\n", megahertz(core_hz)),
            _ => {
                text += &format!("FREQUENCY PORT \"clk\" {} MHZ;\n", megahertz(self.clock_hz));
                text += &format!("FREQUENCY NET \"core_clk\" {} MHZ;\n", megahertz(core_hz));
            }
        }
        self.extra.iter().for_each(|line| text += &format!("{line}\n"));
        text
    }
}

/// A frequency as text in MHz, with three digits behind the point, rounded up.
pub fn megahertz(hz: u64) -> String {
    let khz = hz.div_ceil(1_000);
    format!("{}.{:03}", khz / 1_000, khz % 1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn edited(edit: &str) -> Result<Board, BoardError> {
        let (from, to) = edit.split_once(" => ").unwrap();
        let text = BUILT_IN[0].1;
        assert!(text.contains(from), "no `{from}`");
        Board::from_toml(Path::new("board.toml"), &text.replacen(from, to, 1))
    }

    #[test]
    fn the_boards_that_come_with_it_are_sound() {
        for (name, _) in BUILT_IN {
            assert_eq!(Board::find(name).unwrap().name, *name);
        }
        let ulx3s = Board::find("ulx3s").unwrap();
        assert!(ulx3s.constraints(100_000_000, false).contains("FREQUENCY NET \"core_clk\" 100.000 MHZ;"));
        let icebreaker = Board::find("icebreaker").unwrap();
        let [plain, boots] = [false, true].map(|boots| icebreaker.constraints(24_000_000, boots));
        assert!(
            plain.contains("set_io rx ") && !plain.contains("flash") && boots.contains("set_io flash_cs 16")
        );
        assert_eq!(megahertz(12_000_001), "12.001");
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (edit, words) in [
            ("rx = \"M1\" => ", ["board.toml", "missing field `rx`"]),
            ("rx = \"M1\" => rx = \"\"", ["pins.rx", "the name of a pin"]),
            ("rx = \"M1\" => rx = \"L4\"", ["pins.tx", "used twice"]),
            ("ecp5-85f => ecp5-99f", ["device", "ecp5-25f, ecp5-45f, ecp5-85f"]),
            ("25_000_000 => 25", ["clock_hz", "found 25"]),
            ("baud = 1_000_000 => baud = 100", ["baud", "found 100"]),
            ("name = \"ulx3s\" => name = \"a/b\"", ["name", "`a/b`"]),
            ("speed = 6 => speeed = 6", ["board.toml", "unknown field `speeed`"]),
            ("[pins] => [flash]\nsck=\"A1\"\n[pins]", ["board.toml", "missing field"]),
            (
                "[pins] => [flash]\nsck=\"A1\"\ncs=\"G2\"\nmosi=\"A2\"\nmiso=\"A3\"\noffset=0\n[pins]",
                ["flash.cs", "used twice"],
            ),
        ] {
            let error = edited(edit).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{edit}: {error}");
        }
        let error = Board::find("nowhere").unwrap_err().to_string();
        assert!(error.contains("ulx3s, icebreaker"), "{error}");
    }
}
