//! Records a bitstream: network, plan, tools, cells, clock and path, as `NETWORK.record.json` keeps them.

use super::place::{Best, CriticalPath, Used};
use crate::board::{Board, Clock};
use crate::design::Design;
use crate::plan::Plan;
use crate::tool::{Tool, run};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Records what was built, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// Name of the network.
    pub network: String,
    /// Content hash of the network.
    pub hash: String,
    /// Version of this program.
    pub dq: String,
    /// Name of the board.
    pub board: String,
    /// Name of the device.
    pub device: String,
    /// Versions of the tools, as the tools report them.
    pub tools: BTreeMap<String, String>,
    /// SHA-256 of the bitstream's bytes; records of old lack it.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub bitstream_sha256: String,
    /// Seed of place and route.
    pub seed: u64,
    /// Fastest clock of each seed that was tried, in kHz, where there were several.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tried_khz: BTreeMap<u64, u64>,
    /// Core clock of the bitstream, in kHz.
    pub clock_khz: u64,
    /// Fastest clock that place and route promises, in kHz.
    pub fmax_khz: u64,
    /// Whether place and route promises the core clock.
    pub timing_met: bool,
    /// The slowest path.
    pub critical_path: Option<CriticalPath>,
    /// Cells by their names in the tool.
    pub utilization: BTreeMap<String, Used>,
    /// Cycles from one frame to the next.
    pub cycles_per_frame: u64,
    /// Frames per second at the core clock, rounded down; the UART may be slower.
    pub frames_per_second: u64,
    /// Frames per second that the UART can carry, rounded down.
    pub uart_frames_per_second: u64,
    /// Clocks per bit of the UART.
    pub clocks_per_bit: usize,
    /// Plan of the circuit.
    pub plan: Plan,
    /// Byte address of the flash at which the second file stands, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flash_offset: Option<u32>,
}

impl Record {
    /// Makes the record of a bitstream of `design`, placed with the best seed and built with `tools`.
    pub(super) fn new(
        bitstream: &[u8],
        (board, clock): (&Board, &Clock),
        design: &Design,
        best: Best,
        tools: [&Tool; 3],
    ) -> Record {
        let Best { seed, placed, tried } = best;
        let interval = design.timing().interval;
        let clock_khz = clock.hz / 1_000;
        let boots = !design.boot_words().is_empty();
        Record {
            network: design.network.name.clone(),
            hash: dq_net::content_hash(&design.network),
            dq: env!("CARGO_PKG_VERSION").into(),
            board: board.name.clone(),
            device: board.device.name.into(),
            tools: tools.into_iter().map(|tool| (tool.name.to_owned(), run::version(tool))).collect(),
            bitstream_sha256: dq_net::sha256(bitstream),
            seed,
            tried_khz: if tried.len() > 1 { tried } else { BTreeMap::new() },
            clock_khz,
            fmax_khz: placed.fmax_khz,
            timing_met: placed.fmax_khz >= clock_khz,
            critical_path: placed.critical_path,
            utilization: placed.utilization,
            cycles_per_frame: interval,
            frames_per_second: clock.hz / interval,
            uart_frames_per_second: board.uart_frames(clock, design),
            clocks_per_bit: board.clocks_per_bit(clock),
            plan: design.plan.clone(),
            flash_offset: board.flash.as_ref().filter(|_| boots).map(|flash| flash.offset),
        }
    }
}
