//! Makes a bitstream of a board's circuit: synthesis, place and route, packing, and the record of it all.
//! Runs tools in a folder of its own; their output is kept in logs there. The figures are the tools' own.

mod place;
mod record;

pub use super::run::{RunError, Watch};
pub use place::{CriticalPath, Over, Used};
pub use record::Record;

use crate::board::{Board, BoardError};
use crate::design::Design;
use crate::tool::{self, run, synthesis};
use place::Router;
use std::fs;
use std::path::Path;
use thiserror::Error;

/// Says why there is no bitstream.
#[derive(Debug, Error)]
pub enum FlowError {
    /// A tool failed or is missing.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The board lacks what the design needs.
    #[error(transparent)]
    Board(#[from] BoardError),
    /// The circuit does not fit the device.
    #[error("{device}: {}", over.iter().map(|o| o.to_string()).collect::<Vec<_>>().join(", "))]
    Overflow {
        /// The device.
        device: &'static str,
        /// The resources of which the circuit needs more than the device has.
        over: Vec<Over>,
    },
    /// The line brings pixels faster than the circuit takes them.
    #[error(
        "the circuit takes {circuit} frames/s, the UART brings {uart}: pixels would be lost; plan for at \
         least {uart} \
         frames/s, or lower the board's baud"
    )]
    TooSlow {
        /// Frames per second of the circuit.
        circuit: u64,
        /// Frames per second of the line.
        uart: u64,
    },
}

/// Holds what is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Core clock, in Hz.
    pub core_hz: u64,
    /// Number of seeds of place and route to try, from 1 on, until one gives the clock; the best is kept.
    pub seeds: u64,
    /// Whether to try all of them whatever they give.
    pub every_seed: bool,
    /// Number of seeds to try at a time.
    pub jobs: usize,
}

/// Holds a bitstream.
#[derive(Clone, Debug)]
pub struct Built {
    /// Bytes of the bitstream.
    pub bitstream: Vec<u8>,
    /// Bytes that the flash must hold beside it; empty if none.
    pub flash: Vec<u8>,
    /// Record of how it was made.
    pub record: Record,
}

/// Builds `design` for `board` in `folder`, which must be there.
pub fn build(
    board: &Board,
    design: &Design,
    options: &Options,
    folder: &Path,
    watch: Watch,
) -> Result<Built, FlowError> {
    let flash = board.flash_bytes(design)?;
    let clock = board.clock(options.core_hz)?;
    let (circuit, uart) = (clock.hz / design.timing().interval, board.uart_frames(&clock, design));
    if circuit <= uart {
        return Err(FlowError::TooSlow { circuit, uart: uart + 1 });
    }
    let (flow, target) = (board.flow().0, board.target(clock.hz));
    let files = board.sources(&clock, design);
    for file in &files {
        run::write(folder, &file.name, &file.text)?;
    }
    run::write(folder, flow.constraints, &board.constraints(clock.hz, design.plan.boots()))?;

    let verilog: Vec<&str> =
        files.iter().map(|f| f.name.as_str()).filter(|name| name.ends_with(".v")).collect();
    let yosys = synthesis::synthesize(board.device.family, &verilog, "board_top", folder, watch)?;

    let router = Router::new(board, flow, &target, folder)?;
    let packer = tool::find(flow.packer).map_err(RunError::from)?;
    // No clock is enough where every seed is wanted.
    let enough = if options.every_seed { u64::MAX } else { clock.hz / 1_000 };
    let best = router.best(options.seeds, options.jobs, enough, watch)?;
    let pack = (flow.pack)(&target, &format!("routed{}", best.seed));
    let pack: Vec<&str> = pack.iter().map(String::as_str).collect();
    run::run(&packer, &pack, folder, "pack.log", watch)?;
    let path = folder.join("bitstream");
    let bitstream = fs::read(&path).map_err(run::at(&path, "reading"))?;
    let tools = [&yosys, &router.tool, &packer];
    let record = Record::new(&bitstream, (board, &clock), design, best, tools);
    Ok(Built { bitstream, flash, record })
}
