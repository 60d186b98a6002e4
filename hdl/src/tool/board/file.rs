//! Reads a board's file and checks it.

use super::{Board, Flash, Pins};
use crate::device::{DEVICES, Device};
use crate::tool::family::Flow;
use serde::Deserialize;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Says why a board cannot be used.
#[derive(Debug, Error)]
pub enum BoardError {
    /// The operating system refused to read the file.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not TOML, or its TOML is not of this structure.
    #[error("{path}: {reason}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Place in the file, and the reason.
        reason: String,
    },
    /// A field is wrong.
    #[error("{path}: {field}: expected {expected}, found {found}", path = path.display())]
    Field {
        /// The file.
        path: PathBuf,
        /// The field.
        field: &'static str,
        /// What would be right.
        expected: String,
        /// What was found.
        found: String,
    },
    /// No setting of the PLL gives this clock.
    #[error("board `{board}`: no core clock within 10 % of {wanted} MHz can be made of its {pin} MHz")]
    Clock {
        /// Name of the board.
        board: String,
        /// Wanted frequency, in MHz.
        wanted: String,
        /// Frequency of the clock pin, in MHz.
        pin: String,
    },
    /// The plan keeps weights in SPRAM, but the board has no flash from which to load them.
    #[error(
        "board `{0}`: the plan keeps weights in SPRAM, which are loaded from a flash: expected a [flash] \
         in its board.toml"
    )]
    NoFlash(String),
    /// Weights come from outside, where the board has nothing that brings them.
    #[error(
        "board `{board}`: node `{node}` streams its weights, and no board here feeds a port of weights: expected \
         another memory in the plan"
    )]
    NoWeights {
        /// Name of the board.
        board: String,
        /// The node.
        node: String,
    },
    /// There is no board of this name, and no such folder.
    #[error("board `{name}`: expected one of {known}, or a folder with a board.toml")]
    Unknown {
        /// The name that was asked for.
        name: String,
        /// The names of the built-in boards.
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

impl Board {
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
        let buildable = |device: &&Device| Flow::of(device).is_some();
        let Some(device) = Device::find(&device).filter(buildable) else {
            let known = DEVICES.iter().filter(buildable).map(|device| device.name);
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
}

#[cfg(test)]
mod tests {
    use super::super::BUILT_IN;
    use super::*;

    fn edited(edit: &str) -> Result<Board, BoardError> {
        let (from, to) = edit.split_once(" => ").unwrap();
        let text = BUILT_IN[0].1;
        assert!(text.contains(from), "no `{from}`");
        Board::from_toml(Path::new("board.toml"), &text.replacen(from, to, 1))
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
