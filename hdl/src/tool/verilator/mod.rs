//! Simulates the emitted Verilog in Verilator: words go in on stdin, words and cycles come out on stdout; a
//! whole board runs behind a terminal. Never looks at values.

mod board;
mod build;
mod folder;
mod runtime;

pub use board::BoardModel;

use build::Effort;

use crate::circuit::testbench;
use crate::control::Access;
use crate::design::{Beat, Design, Offer, Outcome, Round, Traffic, WeightStream};
use crate::emit::Emission;
use crate::stalls::{Pattern, Stalls};
use crate::tool::ToolError;
use ndarray::ArrayView4;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use thiserror::Error;

/// C++ program that drives the circuit, with [`crate::stalls`] in C++.
const HARNESS: &str = include_str!("harness.cpp");
/// Says why Verilator gave no result.
#[derive(Debug, Error)]
pub enum VerilatorError {
    /// Verilator is missing.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The operating system refused an action.
    #[error("{path}: {action}: {source}", path = path.display())]
    Io {
        /// File, folder or program.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// Verilator or the C++ compiler refused the design.
    #[error("verilator could not build the design: {0}")]
    Build(String),
    /// make can work in neither folder.
    #[error(
        "make cannot work in folders with spaces or signs of its own: expected in cache `{cache}` or \
         temporary folder \
         `{temporary}` none of them; set XDG_CACHE_HOME or TMPDIR to another folder",
        cache = cache.display(),
        temporary = temporary.display()
    )]
    Folders {
        /// Where built simulators are kept.
        cache: PathBuf,
        /// The system's folder for temporary files.
        temporary: PathBuf,
    },
    /// The board lacks what the design needs.
    #[error(transparent)]
    Board(#[from] crate::board::BoardError),
    /// The simulation stopped without a result.
    #[error("the simulation failed ({status}): {message}")]
    Run {
        /// Exit status of the simulation.
        status: String,
        /// Output of the simulation.
        message: String,
    },
}

/// Names formats of waves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Waves {
    /// Value change dump, IEEE 1364.
    Vcd,
    /// GTKWave's compressed format; building it needs the headers of zlib and lz4.
    Fst,
}

/// Runs a built simulator.
#[derive(Clone, Debug)]
pub struct Simulator {
    program: PathBuf,
    waves: Option<PathBuf>,
}

impl Simulator {
    /// Builds the simulator of `emission` in a folder of its own below `cache`, or takes the one that is
    /// there.
    pub fn build(emission: &Emission, cache: &Path) -> Result<Simulator, VerilatorError> {
        Self::with(emission, cache, None, Effort::Run)
    }

    /// Builds like [`Simulator::build`], for a run so short that building takes longer.
    pub fn quick(emission: &Emission, cache: &Path) -> Result<Simulator, VerilatorError> {
        Self::with(emission, cache, None, Effort::Build)
    }

    /// Builds like [`Simulator::build`]; every run writes every net as waves to `path`.
    pub fn traced(
        emission: &Emission,
        cache: &Path,
        waves: Waves,
        path: &Path,
    ) -> Result<Simulator, VerilatorError> {
        let path = std::path::absolute(path).map_err(at(path, "finding"))?;
        Ok(Simulator { waves: Some(path), ..Self::with(emission, cache, Some(waves), Effort::Run)? })
    }

    fn with(
        emission: &Emission,
        cache: &Path,
        waves: Option<Waves>,
        effort: Effort,
    ) -> Result<Simulator, VerilatorError> {
        let trace = waves.map(|waves| if waves == Waves::Fst { "--trace-fst" } else { "--trace-vcd" });
        let control = emission.control.then_some(["-CFLAGS", "-DDQ_CONTROL"]);
        let boot = (!emission.boot.is_empty()).then_some(["-CFLAGS", "-DDQ_BOOT"]);
        let user = emission.user_bit.map(|bit| format!("-DDQ_USER={bit}"));
        let user = user.as_deref().map(|define| ["-CFLAGS", define]);
        let defines = control.into_iter().chain(boot).chain(user).flatten();
        let ports: String = emission.weights.iter().map(|file| format!(" X({})", file.port)).collect();
        let harness = match ports.is_empty() {
            true => HARNESS.into(),
            false => format!("#define DQ_WEIGHTS(X){ports}\n{HARNESS}"),
        };
        let source = build::Source {
            files: sources(emission).collect(),
            harness: &harness,
            top: "top",
            options: trace.into_iter().chain(defines).collect(),
            effort,
        };
        let program = build::build(&source, cache)?;
        let program = program.canonicalize().map_err(at(&program, "finding"))?;
        Ok(Simulator { program, waves: None })
    }

    /// Runs `frames` (frame × height × width × channels) back to back and gives every output beat and the
    /// error flag; as [`crate::netlist::run`] does.
    pub fn run(
        &self,
        design: &Design,
        frames: ArrayView4<u8>,
        stalls: &Stalls,
    ) -> Result<Outcome, VerilatorError> {
        self.drive(design, &design.offers(frames), frames.dim().0 * design.output_beats(), stalls)
    }

    /// Runs like [`Simulator::run`], after `accesses` through the control port.
    pub fn run_after(
        &self,
        design: &Design,
        accesses: &[Access],
        frames: ArrayView4<u8>,
        stalls: &Stalls,
    ) -> Result<Outcome, VerilatorError> {
        let wanted = frames.dim().0 * design.output_beats();
        self.simulate(design, &Traffic { accesses, input: &design.offers(frames), wanted, stalls })
    }

    /// Offers `input` and takes `wanted` beats; as [`crate::netlist::drive`] does.
    pub fn drive(
        &self,
        design: &Design,
        input: &[Offer],
        wanted: usize,
        stalls: &Stalls,
    ) -> Result<Outcome, VerilatorError> {
        self.simulate(design, &Traffic { accesses: &[], input, wanted, stalls })
    }

    fn simulate(&self, design: &Design, traffic: &Traffic) -> Result<Outcome, VerilatorError> {
        let Traffic { accesses, input, wanted, stalls } = *traffic;
        let program = &self.program;
        let mut command = Command::new(program);
        // ROM images are read relative to the working folder.
        command.current_dir(program.ancestors().nth(2).expect("a build's folder"));
        if let Some(path) = &self.waves {
            command.env("DQ_WAVES", path);
        }
        let pattern = |p: &Pattern| [p.seed.to_string(), p.closed.to_string(), p.block.to_string()];
        command.args(pattern(&stalls.source)).args(pattern(&stalls.sink)).arg(wanted.to_string());
        command.arg(design.input_words().to_string()).arg(design.cycle_limit(wanted, stalls).to_string());
        let streams = design.weight_streams();
        for (i, WeightStream { round: Round { beats: count, .. }, beats, .. }) in streams.iter().enumerate() {
            let words = beats.len() / count;
            command.args(pattern(&stalls.of_port(i))).arg(words.to_string()).arg(count.to_string());
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(at(program, "starting"))?;
        let boot = design.boot_words().into_iter().map(|word| [2, 0, word]);
        let accesses = accesses.iter().map(|access| match *access {
            Access::Write { address, data } => [1, address, data],
            Access::Expect { address, data } => [0, address, data],
        });
        let before: Vec<[u32; 3]> = boot.chain(accesses).collect();
        let mut bytes = (before.len() as u64).to_le_bytes().to_vec();
        bytes.extend(before.iter().flatten().flat_map(|&word| u64::from(word).to_le_bytes()));
        let words = streams.iter().flat_map(|stream| &stream.beats);
        bytes.extend(words.flat_map(|word| word.to_le_bytes()));
        for beat in input {
            bytes.extend(beat.data.iter().chain([&u64::from(beat.last)]).flat_map(|word| word.to_le_bytes()));
        }
        let mut stdin = child.stdin.take().expect("piped");
        // A simulator that fails closes its input early; its exit status tells more than the broken pipe.
        let feed = std::thread::spawn(move || stdin.write_all(&bytes));
        let output = child.wait_with_output().map_err(at(program, "running"))?;
        let fed = feed.join().expect("does not panic");
        let failed = |message: String| VerilatorError::Run { status: output.status.to_string(), message };
        if !output.status.success() {
            return Err(failed(tail(&output)));
        }
        fed.map_err(at(program, "feeding"))?;
        let words: Vec<u64> = output
            .stdout
            .chunks_exact(8)
            .map(|bytes| u64::from_le_bytes(bytes.try_into().expect("8 bytes")))
            .collect();
        if words.len() != 3 * wanted + 1 {
            return Err(failed(format!("{} words of output, {} expected", words.len(), 3 * wanted + 1)));
        }
        let beats = words[..3 * wanted].chunks(3).map(|word| Beat {
            cycle: word[0],
            value: design.output_value(word[1]),
            last: word[2] == 1,
        });
        Ok(Outcome { beats: beats.collect(), error: words[3 * wanted] == 1 })
    }
}

/// Returns what a circuit is built from: Verilog, ROM images, their list.
pub(crate) fn sources(emission: &Emission) -> impl Iterator<Item = &crate::emit::File> {
    emission.files.iter().filter(|file| !testbench::is_file(&file.name) && !file.name.ends_with(".json"))
}

/// Returns the end of a program's output: the reason of its failure.
fn tail(output: &Output) -> String {
    let text = [output.stderr.as_slice(), output.stdout.as_slice()].concat();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    let errors: Vec<&str> = lines.iter().filter(|l| l.contains("rror")).take(12).copied().collect();
    if errors.is_empty() { lines[lines.len().saturating_sub(12)..].join("\n") } else { errors.join("\n") }
}

fn at(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> VerilatorError {
    let path = path.to_path_buf();
    move |source| VerilatorError::Io { path, action, source }
}
