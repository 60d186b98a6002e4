//! From a board's circuit to a bitstream: synthesis, place and route, packing, and the record of it all. Runs tools in a
//! folder of its own; what they say is kept in logs there. The figures are the tools' own.

use crate::board::{self, Board, Clock};
use crate::design::Design;
use crate::device::Family;
use crate::emit::File;
use crate::rtl;
use crate::tool::{self, Tool, ToolError};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};
use thiserror::Error;

/// Lines of a failed tool's log that are shown.
const SHOWN: usize = 12;
/// How often a running tool is looked after.
const TICK: Duration = Duration::from_millis(50);

/// Why there is no bitstream.
#[derive(Debug, Error)]
pub enum FlowError {
    /// A tool is not there.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The operating system refused.
    #[error("{path}: {action}: {source}", path = path.display())]
    Io {
        /// File, folder or program.
        path: PathBuf,
        /// What was being done.
        action: &'static str,
        /// The system's reason.
        source: io::Error,
    },
    /// A tool failed.
    #[error("{tool} failed ({status}); its log is {log}:\n{tail}", log = log.display())]
    Failed {
        /// The tool.
        tool: &'static str,
        /// Exit status.
        status: String,
        /// The whole log.
        log: PathBuf,
        /// Its last lines.
        tail: String,
    },
    /// The circuit does not fit the device.
    #[error("{device}: {}", over.iter().map(|o| o.to_string()).collect::<Vec<_>>().join(", "))]
    Overflow {
        /// The device.
        device: &'static str,
        /// What is used beyond what is there.
        over: Vec<Over>,
    },
    /// A report is not as the tool wrote it before.
    #[error("{path}: expected {expected}", path = path.display())]
    Report {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        expected: &'static str,
    },
    /// No PLL setting.
    #[error("board `{board}`: no core clock within 10 % of {wanted} MHz can be made of its {pin} MHz")]
    Clock {
        /// The board.
        board: String,
        /// MHz.
        wanted: String,
        /// MHz.
        pin: String,
    },
    /// The line brings pixels faster than the circuit takes them.
    #[error(
        "the circuit takes {circuit} frames/s, the UART brings {uart}: pixels would be lost; plan for at least {uart} \
         frames/s, or lower the board's baud"
    )]
    TooSlow {
        /// Frames a second of the circuit.
        circuit: u64,
        /// Frames a second of the line.
        uart: u64,
    },
    /// Weights in SPRAM, and nowhere to load them from.
    #[error(
        "board `{0}`: the plan keeps weights in SPRAM, which are loaded from a flash: expected a [flash] in its board.toml"
    )]
    NoFlash(String),
    /// Someone asked to stop.
    #[error("stopped while {0} ran")]
    Stopped(&'static str),
}

/// A resource of which more is used than there is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{used} {kind} needed, {there} there ({} too many)", used - there)]
pub struct Over {
    /// The tool's name of it.
    pub kind: String,
    /// Needed.
    pub used: u64,
    /// There.
    pub there: u64,
}

/// Cells of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// Used.
    pub used: u64,
    /// There.
    pub available: u64,
}

/// The slowest path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CriticalPath {
    /// The cell where it starts.
    pub from: String,
    /// The cell where it ends.
    pub to: String,
}

/// What was built, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The network's name and content hash.
    pub network: String,
    /// Content hash.
    pub hash: String,
    /// Version of this program.
    pub dq: String,
    /// Board and device.
    pub board: String,
    /// Device.
    pub device: String,
    /// Versions of the tools, as they tell them.
    pub tools: BTreeMap<String, String>,
    /// Seed of place and route.
    pub seed: u64,
    /// Core clock of the bitstream, in kHz.
    pub clock_khz: u64,
    /// Fastest clock that place and route promises, in kHz.
    pub fmax_khz: u64,
    /// Whether it promises the core clock.
    pub timing_met: bool,
    /// The slowest path.
    pub critical_path: Option<CriticalPath>,
    /// Cells by the tool's names.
    pub utilization: BTreeMap<String, Used>,
    /// Cycles from frame to frame.
    pub cycles_per_frame: u64,
    /// Frames a second at the core clock, rounded down; the UART may be slower.
    pub frames_per_second: u64,
    /// Frames a second that the UART can carry, rounded down.
    pub uart_frames_per_second: u64,
    /// Clocks a bit of the UART.
    pub clocks_per_bit: usize,
    /// The plan.
    pub plan: crate::plan::Plan,
    /// Byte of the flash at which the second file stands, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flash_offset: Option<u32>,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Core clock, in Hz.
    pub core_hz: u64,
    /// Seeds of place and route to try: from 1 on; the best is kept.
    pub seeds: u64,
}

/// A bitstream.
#[derive(Clone, Debug)]
pub struct Built {
    /// Its bytes.
    pub bitstream: Vec<u8>,
    /// What the flash must hold beside it; empty if nothing.
    pub flash: Vec<u8>,
    /// How it was made.
    pub record: Record,
}

/// Asks for news while tools run: told what runs; gives whether to stop.
pub type Watch<'a> = &'a dyn Fn(&str) -> bool;

/// The files that a board's circuit is synthesized from, in the order that tools want them.
pub fn sources(board: &Board, clock: &Clock, design: &Design) -> Vec<File> {
    let hash = dq_net::content_hash(&design.network);
    let banner = format!("dq {}, network {hash}", env!("CARGO_PKG_VERSION"));
    let clocks = clocks_per_bit(board, clock);
    let circuit = board::circuit(design, clocks, board.flash.as_ref().map_or(0, |flash| flash.offset));
    let top = board::wrapper(board, clock, design.plan.boots(), &banner);
    let mut files = vec![File { name: "board_top.v".into(), text: top }];
    files.extend(
        rtl::emit(&circuit.module, &banner).unwrap_or_else(|e| unreachable!("names are allotted once: {e}")),
    );
    files
}

/// What the flash must hold from its offset on: words, high byte first. An error where the board has no flash for them.
pub fn flash(board: &Board, design: &Design) -> Result<Vec<u8>, FlowError> {
    let words = design.boot_words();
    if !words.is_empty() && board.flash.is_none() {
        return Err(FlowError::NoFlash(board.name.clone()));
    }
    Ok(words.into_iter().flat_map(u32::to_be_bytes).collect())
}

/// Core clocks of a bit on the UART.
pub fn clocks_per_bit(board: &Board, clock: &Clock) -> usize {
    ((clock.hz() + board.baud / 2) / board.baud).max(2) as usize
}

/// Frames a second that the UART can carry: mark, number, pixels, CRC, ten bits a byte.
fn uart_frames(board: &Board, clock: &Clock, design: &Design) -> u64 {
    let bits = 10 * (design.network.input_shape().len() as u64 + 5);
    clock.hz() / clocks_per_bit(board, clock) as u64 / bits
}

/// The core clock for `options`.
pub fn clock(board: &Board, options: &Options) -> Result<Clock, FlowError> {
    Clock::of(board.device.family, board.clock_hz, options.core_hz).ok_or_else(|| FlowError::Clock {
        board: board.name.clone(),
        wanted: board::megahertz(options.core_hz),
        pin: board::megahertz(board.clock_hz),
    })
}

/// Builds `design` for `board` in `folder`, which must be there.
pub fn build(
    board: &Board,
    design: &Design,
    options: &Options,
    folder: &Path,
    watch: Watch,
) -> Result<Built, FlowError> {
    let flash = flash(board, design)?;
    let clock = clock(board, options)?;
    let (circuit, uart) = (clock.hz() / design.timing().interval, uart_frames(board, &clock, design));
    if circuit <= uart {
        return Err(FlowError::TooSlow { circuit, uart: uart + 1 });
    }
    let files = sources(board, &clock, design);
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(at(&path, "writing"))
    };
    for file in &files {
        write(&file.name, &file.text)?;
    }
    let constraints = if board.device.family == Family::Ice40 { "board.pcf" } else { "board.lpf" };
    write(constraints, &board.constraints(clock.hz(), design.plan.boots()))?;

    let verilog: Vec<&str> =
        files.iter().map(|f| f.name.as_str()).filter(|name| name.ends_with(".v")).collect();
    let script = format!(
        "read_verilog {}; {} -top board_top -json top.json",
        verilog.join(" "),
        synthesis(board.device.family)
    );
    let yosys = tool::find("yosys")?;
    run(&yosys, &["-q", "-l", "yosys.log", "-p", &script], folder, "yosys.log", watch)?;

    let (router, packer) = match board.device.family {
        Family::Ice40 => (tool::find("nextpnr-ice40")?, tool::find("icepack")?),
        _ => (tool::find("nextpnr-ecp5")?, tool::find("ecppack")?),
    };
    let mut best: Option<(u64, Placed)> = None;
    for seed in 1..=options.seeds.max(1) {
        let placed = place(&router, board, constraints, seed, folder, watch)?;
        let faster = best.as_ref().is_none_or(|(_, old)| placed.fmax_khz > old.fmax_khz);
        let met = placed.fmax_khz >= clock.hz() / 1_000;
        if faster {
            best = Some((seed, placed));
        }
        if met {
            break;
        }
    }
    let (seed, placed) = best.expect("at least one seed");
    let routed = format!("routed{seed}");
    let image = match board.device.family {
        Family::Ice40 => {
            run(&packer, &[&routed, "bitstream"], folder, "pack.log", watch)?;
            "bitstream"
        }
        _ => {
            run(&packer, &["--compress", &routed, "bitstream"], folder, "pack.log", watch)?;
            "bitstream"
        }
    };
    let path = folder.join(image);
    let bitstream = fs::read(&path).map_err(at(&path, "reading"))?;

    let timing = design.timing();
    let clocks = clocks_per_bit(board, &clock);
    let clock_khz = clock.hz() / 1_000;
    let record = Record {
        network: design.network.name.clone(),
        hash: dq_net::content_hash(&design.network),
        dq: env!("CARGO_PKG_VERSION").into(),
        board: board.name.clone(),
        device: board.device.name.into(),
        tools: [&yosys, &router, &packer].into_iter().map(|t| (t.name.to_owned(), version(t))).collect(),
        seed,
        clock_khz,
        fmax_khz: placed.fmax_khz,
        timing_met: placed.fmax_khz >= clock_khz,
        critical_path: placed.critical_path,
        utilization: placed.utilization,
        cycles_per_frame: timing.interval,
        frames_per_second: clock.hz() / timing.interval,
        uart_frames_per_second: uart_frames(board, &clock, design),
        clocks_per_bit: clocks,
        plan: design.plan.clone(),
        flash_offset: board.flash.as_ref().filter(|_| !flash.is_empty()).map(|flash| flash.offset),
    };
    Ok(Built { bitstream, flash, record })
}

/// The command of Yosys that synthesizes for `family`, which takes the top module and files to write.
pub(crate) fn synthesis(family: Family) -> &'static str {
    match family {
        Family::Ecp5 => "synth_ecp5",
        Family::Ice40 => "synth_ice40 -device u -dsp -spram -abc9",
        Family::Xc7 => "synth_xilinx -family xc7",
    }
}

/// What place and route says.
struct Placed {
    fmax_khz: u64,
    critical_path: Option<CriticalPath>,
    utilization: BTreeMap<String, Used>,
}

fn place(
    router: &Tool,
    board: &Board,
    constraints: &str,
    seed: u64,
    folder: &Path,
    watch: Watch,
) -> Result<Placed, FlowError> {
    let (log, report) = (format!("route{seed}.log"), format!("report{seed}.json"));
    let (seed, routed) = (seed.to_string(), format!("routed{seed}"));
    let size = match board.device.name {
        "ecp5-25f" => "--25k",
        "ecp5-45f" => "--45k",
        "ecp5-85f" => "--85k",
        "ice40-up5k" => "--up5k",
        _ => "--hx8k",
    };
    let speed = board.speed.map(|speed| speed.to_string());
    let mut args = vec![size, "--package", &board.package, "--json", "top.json", "--seed", &seed];
    args.extend(["--report", &report, "--log", &log, "--timing-allow-fail", "-q"]);
    match board.device.family {
        Family::Ice40 => args.extend(["--pcf", constraints, "--asc", &routed]),
        _ => {
            // The other router takes hours where this one takes minutes, on a device that is half full.
            args.extend(["--lpf", constraints, "--textcfg", &routed, "--router", "router2"]);
            if let Some(speed) = &speed {
                args.extend(["--speed", speed]);
            }
        }
    }
    let ran = run(router, &args, folder, &log, watch);
    if let Err(FlowError::Failed { .. }) = ran {
        let text = fs::read_to_string(folder.join(&log)).unwrap_or_default();
        let over = overflows(&text);
        if !over.is_empty() {
            return Err(FlowError::Overflow { device: board.device.name, over });
        }
    }
    ran?;
    read_report(&folder.join(&report))
}

/// Resources above 100 % in nextpnr's table, whose lines are `Info: KIND: USED/ AVAILABLE PERCENT%`.
fn overflows(log: &str) -> Vec<Over> {
    let parse = |line: &str| -> Option<Over> {
        let line = line.strip_prefix("Info:")?.trim();
        let (kind, rest) = line.split_once(':')?;
        let (used, rest) = rest.trim().split_once('/')?;
        let there = rest.split_whitespace().next()?;
        let over = Over { kind: kind.into(), used: used.trim().parse().ok()?, there: there.parse().ok()? };
        (rest.trim_end().ends_with('%') && over.used > over.there).then_some(over)
    };
    log.lines().filter_map(parse).collect()
}

fn read_report(path: &Path) -> Result<Placed, FlowError> {
    let missing = |expected| FlowError::Report { path: path.into(), expected };
    let text = fs::read_to_string(path).map_err(at(path, "reading"))?;
    let report: Value = serde_json::from_str(&text).map_err(|_| missing("JSON"))?;
    let clocks = report["fmax"].as_object().ok_or_else(|| missing("`fmax`"))?;
    let fmax = clocks.iter().filter_map(|(name, clock)| Some((name, clock["achieved"].as_f64()?)));
    let slowest = fmax.min_by(|a, b| a.1.total_cmp(&b.1)).ok_or_else(|| missing("a clock in `fmax`"))?;
    let used =
        |value: &Value| Some(Used { used: value["used"].as_u64()?, available: value["available"].as_u64()? });
    let utilization = report["utilization"].as_object().ok_or_else(|| missing("`utilization`"))?;
    let utilization = utilization.iter().filter_map(|(kind, value)| Some((kind.clone(), used(value)?)));
    let utilization = utilization.filter(|(_, used)| used.used > 0).collect();
    // The path within the slowest clock.
    let paths = report["critical_paths"].as_array().cloned().unwrap_or_default();
    let within = |path: &&Value| {
        let end = |end: &str| path[end].as_str().is_some_and(|text| text.ends_with(slowest.0.as_str()));
        end("from") && end("to")
    };
    let critical_path = paths.iter().find(within).and_then(|path| {
        let steps = path["path"].as_array()?;
        let cell = |step: Option<&Value>, end: &str| Some(step?[end]["cell"].as_str()?.to_owned());
        Some(CriticalPath { from: cell(steps.first(), "from")?, to: cell(steps.last(), "to")? })
    });
    Ok(Placed { fmax_khz: (slowest.1 * 1_000.0) as u64, critical_path, utilization })
}

/// Runs a tool to its end in `folder`. What it prints is added to `log`.
pub(crate) fn run(
    tool: &Tool,
    args: &[&str],
    folder: &Path,
    log: &str,
    watch: Watch,
) -> Result<(), FlowError> {
    let printed = folder.join(format!("{}.out", tool.name));
    let file = fs::File::create(&printed).map_err(at(&printed, "creating"))?;
    let errors = file.try_clone().map_err(at(&printed, "opening"))?;
    let mut command = tool.command();
    command.args(args).current_dir(folder).stdin(Stdio::null()).stdout(file).stderr(errors);
    let mut child = command.spawn().map_err(at(&tool.program, "starting"))?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait().map_err(at(&tool.program, "waiting for"))? {
            break status;
        }
        if watch(&format!("{} ({} s)", tool.name, start.elapsed().as_secs())) {
            // It may have ended by itself meanwhile.
            let _ = child.kill();
            let _ = child.wait();
            return Err(FlowError::Stopped(tool.name));
        }
        std::thread::sleep(TICK);
    };
    if status.success() {
        return Ok(());
    }
    let mut path = folder.join(log);
    let mut text = fs::read_to_string(&path).unwrap_or_default();
    if text.trim().is_empty() {
        path = printed;
        text = fs::read_to_string(&path).unwrap_or_default();
    }
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
    Err(FlowError::Failed { tool: tool.name, status: status.to_string(), log: path, tail })
}

/// What a tool says of its version: the first line.
fn version(tool: &Tool) -> String {
    let output = tool.command().arg("--version").output();
    let text = output.map(|o| [o.stdout, o.stderr].concat()).unwrap_or_default();
    String::from_utf8_lossy(&text).lines().next().unwrap_or_default().trim().to_owned()
}

pub(crate) fn at(path: &Path, action: &'static str) -> impl FnOnce(io::Error) -> FlowError {
    let path = path.to_path_buf();
    move |source| FlowError::Io { path, action, source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overflows_are_read_from_the_table() {
        let log = "Info: Device utilisation:\nInfo: \t         ICESTORM_LC:  7000/ 5280   132%\n\
                   Info: \t        ICESTORM_RAM:    12/   30    40%\nERROR: Unable to place cell\n";
        let over = overflows(log);
        assert_eq!(over, [Over { kind: "ICESTORM_LC".into(), used: 7000, there: 5280 }]);
        assert_eq!(over[0].to_string(), "7000 ICESTORM_LC needed, 5280 there (1720 too many)");
    }
}
