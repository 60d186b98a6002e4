//! Tests `dq host` on a pseudo-terminal: behind it is the board's circuit in the netlist, bit by bit on its
//! UART pins, or a board that answers late, damaged or wrong.

use crate::run::{dq, fails, json, root};
use dq_hdl::board::{self, Board, protocol};
use dq_hdl::design::Design;
use dq_hdl::flow::Record;
use dq_hdl::plan;
use dq_hdl::plan::{Memory, NodePlan, Output};
use dq_hdl::rtl::Sim;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Number of clocks per bit.
const CLOCKS: usize = 4;

/// Opens a pseudo-terminal, and returns the board's end and the name of the host's.
fn terminal() -> (File, String) {
    // SAFETY: plain calls; the descriptor is owned by the file from here on.
    unsafe {
        let fd = libc::posix_openpt(libc::O_RDWR | libc::O_NOCTTY);
        assert!(fd >= 0 && libc::grantpt(fd) == 0 && libc::unlockpt(fd) == 0);
        let mut name = [0; 128];
        assert!(libc::ptsname_r(fd, name.as_mut_ptr(), name.len()) == 0);
        let name = std::ffi::CStr::from_ptr(name.as_ptr()).to_str().unwrap().to_owned();
        libc::fcntl(fd, libc::F_SETFL, libc::O_NONBLOCK);
        (File::from_raw_fd(fd), name)
    }
}

/// Returns a small network's design on the built-in images, and writes its model and its record in `folder`.
fn design(folder: &Path) -> Design {
    let model = root().join("models/signs-tiny-dq/model.json");
    let network = dq_net::read_network(&model).unwrap();
    // The plan is fast enough for a line of so few clocks per bit.
    let plan = plan::for_target(&network, Output::Scores, 100, 2_000).unwrap();
    let design = Design::new(&network, &plan).unwrap();
    std::fs::copy(&model, folder.join("model.json")).unwrap();
    write_record(folder, &design, "ulx3s", 25_000, CLOCKS);
    design
}

/// Writes the record of a bitstream of `design` that nobody built.
fn write_record(folder: &Path, design: &Design, board: &str, clock_khz: u64, clocks_per_bit: usize) {
    let network = &design.network;
    let record = Record {
        network: network.name.clone(),
        hash: dq_net::content_hash(network),
        dq: "test".into(),
        board: board.into(),
        device: Board::find(board).unwrap().device.name.into(),
        tools: Default::default(),
        bitstream_sha256: String::new(),
        seed: 1,
        tried_khz: Default::default(),
        clock_khz,
        fmax_khz: clock_khz,
        timing_met: true,
        critical_path: None,
        utilization: Default::default(),
        cycles_per_frame: 1,
        frames_per_second: 1,
        uart_frames_per_second: 1,
        clocks_per_bit,
        plan: design.plan.clone(),
        flash_offset: None,
    };
    std::fs::write(folder.join("record.json"), serde_json::to_string(&record).unwrap()).unwrap();
}

/// Runs the circuit behind the terminal, until `stop`.
fn circuit(design: &Design, mut terminal: File, stop: Arc<AtomicBool>) {
    let mut sim = Sim::new(&board::circuit(design, CLOCKS, 0).module);
    let (rx, tx) = (sim.port("rx"), sim.port("tx"));
    sim.set(rx, 1);
    sim.reset();
    let (mut levels, mut to_send): (Vec<bool>, std::collections::VecDeque<bool>) = Default::default();
    let mut bytes = [0; 64];
    while !stop.load(Ordering::SeqCst) {
        if to_send.is_empty()
            && let Ok(count) = terminal.read(&mut bytes)
        {
            for &byte in &bytes[..count] {
                let bits = (0..8).map(|i| byte >> i & 1 == 1);
                let levels = [false].into_iter().chain(bits).chain([true]);
                to_send.extend(levels.flat_map(|level| std::iter::repeat_n(level, CLOCKS)));
            }
        }
        sim.set(rx, to_send.pop_front().unwrap_or(true).into());
        sim.clock();
        let level = sim.get(tx) == 1;
        if !levels.is_empty() || !level {
            levels.push(level);
        }
        if levels.len() == 10 * CLOCKS {
            let bit = |i: usize| levels[(i + 1) * CLOCKS + CLOCKS / 2];
            let byte = (0..8).fold(0, |byte, i| byte | u8::from(bit(i)) << i);
            terminal.write_all(&[byte]).unwrap();
            levels.clear();
        }
    }
}

fn arguments<'a>(port: &'a str, count: &'a str) -> Vec<&'a str> {
    let fixed = ["host", "model.json", "--record", "record.json", "--data", "signs", "--patience"];
    [&fixed[..], &["60", "--count", count, "--port", port]].concat()
}

#[test]
fn the_circuit_answers_as_the_simulator() {
    let scratch = tempfile::tempdir().unwrap();
    let design = design(scratch.path());
    let (terminal, port) = terminal();
    // The host's end is kept open, so that the line does not hang up between runs.
    let _keep = std::fs::OpenOptions::new().read(true).write(true).open(&port).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let board = {
        let (design, stop) = (design.clone(), Arc::clone(&stop));
        std::thread::spawn(move || circuit(&design, terminal, stop))
    };
    let said = json(scratch.path(), &arguments(&port, "2"));
    stop.store(true, Ordering::SeqCst);
    board.join().unwrap();
    assert_eq!((said["images"].as_u64(), said["mismatches"].as_u64()), (Some(2), Some(0)));
}

/// The whole board in Verilator, PLL's clock and reset after configuration included.
#[test]
fn a_simulated_board_answers_as_the_simulator() {
    if dq_hdl::tool::require("verilator").is_none() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    design(folder);
    let edit = |from: &str, to: &str| {
        let text = std::fs::read_to_string(folder.join("record.json")).unwrap();
        assert!(text.contains(from), "no {from}");
        std::fs::write(folder.join("record.json"), text.replace(from, to)).unwrap();
    };
    let args = ["host", "model.json", "--record", "record.json", "--data", "signs", "--count", "3"];
    let on = |board| [&args[..], &["--simulate", board]].concat();
    // The unchanged record is of a line faster than the board's.
    let error = fails(folder, 1, &on("ulx3s"));
    assert!(error.contains("4 clocks per bit") && error.contains("found 25"), "{error}");
    // The PLL makes 75 MHz.
    edit("\"clock_khz\":25000", "\"clock_khz\":75000");
    edit("\"clocks_per_bit\":4", "\"clocks_per_bit\":75");
    let said = json(folder, &on("ulx3s"));
    assert_eq!((said["images"].as_u64(), said["mismatches"].as_u64()), (Some(3), Some(0)));
    let error = fails(folder, 1, &on("icebreaker"));
    assert!(error.contains("`ulx3s`") && error.contains("found `icebreaker`"), "{error}");
}

/// Weights in SPRAM come out of the simulated flash, which is asleep when the board starts.
#[test]
fn a_simulated_board_loads_its_flash() {
    if dq_hdl::tool::require("verilator").is_none() {
        return;
    }
    let scratch = tempfile::tempdir().unwrap();
    let folder = scratch.path();
    let mut plan = design(folder).plan;
    plan.device = Some("ice40-up5k".into());
    let weights = |node: &&mut NodePlan| ["conv3_1", "conv3_2"].contains(&node.node.as_str());
    plan.nodes.iter_mut().filter(weights).for_each(|node| node.memory = Memory::Spram);
    assert!(plan.boots());
    let network = dq_net::read_network(&folder.join("model.json")).unwrap();
    let design = Design::new(&network, &plan).unwrap();
    write_record(folder, &design, "icebreaker", 12_000, 12);
    let args = ["host", "model.json", "--record", "record.json", "--data", "signs", "--count", "2"];
    let said = json(folder, &[&args[..], &["--simulate", "icebreaker"]].concat());
    assert_eq!((said["images"].as_u64(), said["mismatches"].as_u64()), (Some(2), Some(0)));
    // A board without a flash has nowhere to load them from.
    std::fs::create_dir(folder.join("bare")).unwrap();
    let board = std::fs::read_to_string(root().join("bitstreams/icebreaker/board.toml")).unwrap();
    let (bare, _) = board.split_once("[flash]").unwrap();
    std::fs::write(folder.join("bare/board.toml"), bare).unwrap();
    let error = fails(folder, 1, &[&args[..], &["--simulate", "bare"]].concat());
    assert!(error.contains("icebreaker") && error.contains("[flash]"), "{error}");
}

#[test]
fn answers_that_are_late_damaged_or_wrong_end_the_run() {
    let scratch = tempfile::tempdir().unwrap();
    let design = design(scratch.path());
    let lanes = design.output_lanes();
    let values = vec![0u8; design.output_beats() * lanes.bits / 8];
    let answer = |number: u8, status: u8| {
        let mut packet = protocol::ANSWER_MARK.to_vec();
        packet.extend([number, status]);
        packet.extend(&values);
        let crc = protocol::crc(&packet[2..]);
        packet.extend(crc.to_be_bytes());
        packet
    };
    let mut damaged = answer(0, 0);
    damaged[5] ^= 1;
    for (reply, word) in [
        (vec![], "no answer in 1 s: 0 of"),
        (answer(0, 0)[..7].to_vec(), "no answer in 1 s: 7 of"),
        (damaged, "CRC expected"),
        (answer(9, 0), "found one to packet 9"),
        (answer(0, 1), "CRC was wrong when it came"),
        (answer(0, 4), "not ready for a pixel"),
        (answer(0, 0), "the simulator gives"),
    ] {
        let (mut terminal, port) = terminal();
        let _keep = std::fs::OpenOptions::new().read(true).write(true).open(&port).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let board = {
            let stop = Arc::clone(&stop);
            std::thread::spawn(move || {
                let (mut seen, mut bytes) = (0, [0; 4096]);
                let mut reply = Some(reply);
                while !stop.load(Ordering::SeqCst) {
                    seen += terminal.read(&mut bytes).unwrap_or(0);
                    if seen > 100
                        && let Some(reply) = reply.take()
                    {
                        terminal.write_all(&reply).unwrap();
                    }
                    std::thread::sleep(std::time::Duration::from_millis(1));
                }
                assert!(terminal.as_raw_fd() >= 0);
            })
        };
        let mut args = arguments(&port, "1");
        let at = args.iter().position(|arg| *arg == "60").unwrap();
        args[at] = "1";
        let error = fails(scratch.path(), 1, &args);
        stop.store(true, Ordering::SeqCst);
        board.join().unwrap();
        assert!(error.contains(word) && error.contains("image 0"), "{word}: {error}");
    }
    let nowhere = dq(scratch.path(), &arguments("/dev/nowhere", "1"));
    assert_eq!(nowhere.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("/dev/nowhere: opening the port"));
}
