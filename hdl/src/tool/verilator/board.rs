//! Simulates a board: its whole circuit, wrapper included, runs in Verilator behind a pseudo-terminal. A
//! program that opens the terminal finds the UART of docs/uart.md, as on the board. Never looks at what is
//! sent.
//!
//! The vendor's PLL is replaced by a wire.

use super::build::{self, Effort, Source};
use super::{VerilatorError, at, tail};
use crate::board::{Board, Clock};
use crate::design::Design;
use crate::emit::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// C++ program that moves levels between terminal and pins.
const HARNESS: &str = include_str!("board.cpp");

/// Runs a board; it stops when it is dropped.
#[derive(Debug)]
pub struct BoardModel {
    child: Child,
    port: PathBuf,
}

impl BoardModel {
    /// Builds the circuit of `design` on `board`, or takes it from `cache`, and starts it.
    pub fn start(
        board: &Board,
        clock: &Clock,
        design: &Design,
        cache: &Path,
    ) -> Result<BoardModel, VerilatorError> {
        let flash = board.flash_bytes(design)?;
        let mut files = board.sources(clock, design);
        // A wire stands for the vendor's PLL.
        files.push(File { name: "pll.v".into(), text: board.flow().0.pll_model.into() });
        let names = files.iter().map(|file| file.name.as_str()).filter(|name| name.ends_with(".v"));
        let list = names.collect::<Vec<_>>().join("\n");
        files.push(File { name: "files.f".into(), text: list });
        let defined = [(!flash.is_empty(), "-DDQ_FLASH"), (board.pins.led_low, "-DDQ_LAMPS_LOW")];
        let defined = defined.into_iter().filter(|(holds, _)| *holds);
        let options = defined.flat_map(|(_, flag)| ["-CFLAGS", flag]).collect();
        let source = Source {
            files: files.iter().collect(),
            harness: HARNESS,
            top: "board_top",
            options,
            effort: Effort::Run,
        };
        let program = build::build(&source, cache)?;
        let program = program.canonicalize().map_err(at(&program, "finding"))?;
        let folder = program.ancestors().nth(2).expect("a build's folder");
        // The file is read when the board starts, and removed after it.
        let mut image = tempfile::NamedTempFile::new().map_err(at(folder, "making the flash's file"))?;
        image.write_all(&flash).map_err(at(image.path(), "writing"))?;
        let offset = board.flash.as_ref().map_or(0, |flash| flash.offset);
        let mut child = Command::new(&program)
            .arg(board.clocks_per_bit(clock).to_string())
            .arg(image.path())
            .arg(offset.to_string())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(at(&program, "starting"))?;
        let mut line = String::new();
        let said = child.stdout.take().expect("piped");
        let read = BufReader::new(said).read_line(&mut line);
        let name = line.trim_end();
        if read.is_err() || name.is_empty() {
            let _ = child.kill();
            let output = child.wait_with_output().map_err(at(&program, "running"))?;
            return Err(VerilatorError::Run { status: output.status.to_string(), message: tail(&output) });
        }
        Ok(BoardModel { port: name.into(), child })
    }

    /// Returns the terminal at which its UART is.
    pub fn port(&self) -> &Path {
        &self.port
    }
}

impl Drop for BoardModel {
    fn drop(&mut self) {
        // The program may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
