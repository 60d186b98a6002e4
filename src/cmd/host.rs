//! Implements `dq host`: sends images to a board over its UART, and compares each answer with the simulator.

use crate::shared::circuit::simulators;
use crate::shared::data::{TestImages, first_images, images_that};
use crate::shared::files::shown;
use crate::shared::model::{ModelArg, model_is};
use crate::shared::plan::refuse_marks;
use crate::shared::ui::{Interrupted, Ui};
use anyhow::{Context, Result, bail};
use clap::value_parser;
use dq_hdl::board::Board;
use dq_hdl::board::protocol::{self, Answer, Format};
use dq_hdl::design::Design;
use dq_hdl::flow::Record;
use dq_hdl::verilator::BoardModel;
use dq_net::layer::Logits;
use dq_sim::Engine;
use ndarray::Axis;
use serde_json::json;
use serial2::SerialPort;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Send images to a board and compare its answers with the simulator
///
/// Speaks the protocol of docs/uart.md with a board that `dq build` made a bitstream for;
/// the record beside the bitstream tells the plan and the network. Every answer is
/// compared with the simulator's, word for word; the first that is late, damaged or
/// different ends the run. Without a board at hand, --simulate runs the board's whole
/// circuit, wrapper and UART included, in Verilator behind a pseudo-terminal.
///
/// Examples:
///   dq host model.json --record bitstreams/ulx3s/net.record.json --simulate ulx3s --data signs --count 2
///   dq host model.json --record bitstreams/ulx3s/net.record.json --port /dev/ttyUSB0 --data cifar10=DIR
#[derive(clap::Args)]
#[command(verbatim_doc_comment)]
#[command(mut_arg("model", model_is("Integer network's file, as it was built")))]
#[command(mut_arg("data", images_that("are sent")))]
#[command(mut_arg("count", first_images("100")))]
pub struct Args {
    #[command(flatten)]
    model: ModelArg,
    /// The record that `dq build` wrote.
    #[arg(long, value_name = "FILE")]
    record: PathBuf,
    /// Serial port of the board.
    #[arg(long, value_name = "PORT", required_unless_present = "simulate", conflicts_with = "simulate")]
    port: Option<PathBuf>,
    /// Board to run in Verilator in place of one at a port: its name, or a folder with a board.toml.
    #[arg(long, value_name = "BOARD")]
    simulate: Option<String>,
    #[command(flatten)]
    test: TestImages,
    /// Bits per second on the line.
    #[arg(long, value_name = "N", default_value = "1000000", value_parser = value_parser!(u32).range(300..))]
    baud: u32,
    /// Seconds after which an answer is late (default: 5; of a simulated board 600).
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=3600))]
    patience: Option<u64>,
}

/// Runs the command.
pub fn run(ui: &Ui, args: &Args) -> Result<()> {
    let network = args.model.open(ui)?;
    let record = read_record(&args.record)?;
    let hash = dq_net::content_hash(&network);
    if record.hash != hash {
        bail!(
            "{}: expected a record of {} (hash {hash}), found one of {} (hash {})",
            args.record.display(),
            network.name,
            record.network,
            record.hash
        );
    }
    refuse_marks(&record.plan).with_context(|| args.record.display().to_string())?;
    let design = Design::new(&network, &record.plan)?;
    let (input, classes) = (network.input(), network.classes());
    let images = args.test.open(input, classes)?;
    let lanes = design.output_lanes();
    let format = Format { values: design.output_beats(), bytes: lanes.bits / 8, signed: lanes.signed };
    let board = args.simulate.as_ref().map(|board| simulated(ui, board, &record, &design)).transpose()?;
    let port = board.as_ref().map(BoardModel::port).or(args.port.as_deref()).context("no port")?;
    let patience = args.patience.unwrap_or(if board.is_some() { 600 } else { 5 });
    let mut line = Line::open(port, args.baud, format, Duration::from_secs(patience))?;
    let scores = Engine::new(&network).scores(images.pixels.view());
    let bar = ui.bar("host", images.len() as u64, "images");
    let (start, mut correct) = (Instant::now(), 0);
    for (i, image) in images.pixels.axis_iter(Axis(0)).enumerate() {
        if ui.stop.load(Ordering::SeqCst) {
            return Err(Interrupted(format!("after {i} images, all answered as the simulator does")).into());
        }
        let number = i as u8;
        let pixels: Vec<u8> = image.iter().copied().collect();
        let at = || format!("{}: image {i}", port.display());
        line.send(&protocol::frame(number, &pixels)).with_context(at)?;
        let answer = line.answer().with_context(at)?;
        let expected = design.values_of_scores(&scores.row(i).to_vec());
        check(&answer, number, &expected).with_context(at)?;
        let label = match expected.len() {
            1 => expected[0] as usize,
            _ => Logits::label(scores.row(i).iter().copied()),
        };
        correct += usize::from(label == usize::from(images.labels[i]));
        bar.inc(1);
    }
    bar.finish_and_clear();
    let seconds = start.elapsed().as_secs_f64();
    let rate = images.len() as f64 / seconds;
    ui.result(
        || {
            json!({"model": network.name, "hash": hash, "port": shown(port),
                "simulated": args.simulate, "images": images.len(), "correct": correct,
                "mismatches": 0, "seconds": seconds, "images_per_second": rate})
        },
        format!(
            "{}: {} images answered as the simulator does, {correct} of them correct; {rate:.1} images/s",
            network.name,
            images.len()
        ),
    )
}

/// Starts the board called `name` in Verilator, with the clock and the circuit that `record` is of.
fn simulated(ui: &Ui, name: &str, record: &Record, design: &Design) -> Result<BoardModel> {
    let board = Board::find(name)?;
    if board.name != record.board {
        bail!("--simulate: expected the record's board `{}`, found `{}`", record.board, board.name);
    }
    // The record's clock is rounded down to whole kHz.
    let clock = board.clock(record.clock_khz * 1_000 + 999)?;
    let clocks = board.clocks_per_bit(&clock);
    if clocks != record.clocks_per_bit {
        bail!(
            "--simulate: expected {} clocks per bit as in the record, found {clocks}",
            record.clocks_per_bit
        );
    }
    let bar = ui.spinner("verilator: building the board");
    let model = BoardModel::start(&board, &clock, design, &simulators()?);
    bar.finish_and_clear();
    Ok(model?)
}

/// Fails where `answer` is not the sound answer to packet `number` with the values `expected`.
fn check(answer: &Answer, number: u8, expected: &[i64]) -> Result<()> {
    if answer.number != number {
        bail!("answer expected to packet {number}, found one to packet {}", answer.number);
    }
    let status = answer.status;
    for (set, what) in [
        (status.wrong_crc, "the packet's CRC was wrong when it came"),
        (status.short, "the packet ended early"),
        (status.overrun, "the circuit was not ready for a pixel"),
        (status.error, "it has seen a frame of the wrong length"),
    ] {
        if set {
            bail!("the board says: {what}");
        }
    }
    if answer.values != expected {
        bail!("the simulator gives {expected:?}, the board {:?}", answer.values);
    }
    Ok(())
}

fn read_record(path: &Path) -> Result<Record> {
    let text = dq_net::read::text(path, 1 << 26).with_context(|| format!("{}: reading", path.display()))?;
    serde_json::from_str(&text).with_context(|| format!("{}: not a record of `dq build`", path.display()))
}

/// Is the serial line.
struct Line {
    port: SerialPort,
    format: Format,
    received: Vec<u8>,
    patience: Duration,
}

impl Line {
    fn open(path: &Path, baud: u32, format: Format, patience: Duration) -> Result<Line> {
        let opening = || format!("{}: opening the port", path.display());
        let mut port = SerialPort::open(path, baud).with_context(opening)?;
        port.set_read_timeout(Duration::from_millis(100)).with_context(opening)?;
        port.set_write_timeout(patience).with_context(opening)?;
        Ok(Line { port, format, received: vec![], patience })
    }

    fn send(&mut self, packet: &[u8]) -> Result<()> {
        self.port.write_all(packet).context("sending")
    }

    /// Waits for the next answer; an error where it is late or damaged.
    fn answer(&mut self) -> Result<Answer> {
        let start = Instant::now();
        let mut bytes = [0; 256];
        loop {
            if let Some(answer) = self.format.take(&mut self.received) {
                return Ok(answer?);
            }
            if start.elapsed() > self.patience {
                let (there, wanted) = (self.received.len(), self.format.length());
                bail!("no answer in {} s: {there} of {wanted} bytes came", self.patience.as_secs());
            }
            match self.port.read(&mut bytes) {
                Ok(count) => self.received.extend_from_slice(&bytes[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::TimedOut => {}
                Err(error) => return Err(error).context("reading"),
            }
        }
    }
}
