//! Tests the emitted Verilog in the tools: none of them warns, words and cycles in Verilator are those of the
//! reference and the plan, and the testbench passes.

use super::common;
use dq_hdl::design::Design;
use dq_hdl::emit::{Emission, emit};
use dq_hdl::tool::{self, Tool, run::write_file};
use dq_hdl::verilator::{Simulator, Waves};
use dq_hdl::{netlist, stalls::Stalls, wrapper};
use dq_net::Network;
use dq_net::random::{self, Options};
use std::path::Path;
use std::process::Command;

/// Networks that together have every bit width and odd channel counts; chains and graphs.
fn networks() -> Vec<Network> {
    let widths = [1, 2, 3, 4, 8];
    let options = |bits, residuals| Options {
        weight_bits: Some(bits),
        level_bits: Some(bits),
        max_side: 6,
        residuals,
        ..Options::default()
    };
    let wide = |residuals| Options { max_channels: 13, max_side: 4, residuals, ..Options::default() };
    let narrow = widths.iter().flat_map(|&bits| {
        (0..2).map(move |i| random::network(u64::from(bits) * 100 + i, &options(bits, i == 1)))
    });
    narrow.chain((7..10).map(|seed| random::network(seed, &wide(seed % 2 == 0)))).collect()
}

fn design(network: &Network, seed: u64) -> (Design, Emission) {
    let design = Design::new(network, &common::plan(network, seed)).unwrap();
    let emission = emit(&design);
    (design, emission)
}

pub fn write(emission: &Emission, folder: &Path) {
    for file in &emission.files {
        write_file(folder, &file.name, &file.text).unwrap();
    }
}

pub fn sources(emission: &Emission) -> Vec<&str> {
    emission.files.iter().map(|f| f.name.as_str()).filter(|n| n.ends_with(".v") && *n != "tb.v").collect()
}

/// Holds `emission` to the tools: none warns, and the testbench passes.
pub fn judge(emission: &Emission, name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let at = folder.path();
    write(emission, at);
    if let Some(verilator) = tool::require("verilator") {
        let args = ["--lint-only", "-Wall", "--top-module", "top", "-f", "files.f"];
        quiet(in_folder(&verilator, at).args(args), name);
    }
    if let Some(yosys) = tool::require("yosys") {
        let sources = sources(emission).join(" ");
        let script = format!("read_verilog {sources}; hierarchy -check -top top; proc; check -assert");
        quiet(in_folder(&yosys, at).args(["-p", &script]), name);
    }
    if let Some(icarus) = tool::require("iverilog") {
        let args = ["-g2005", "-Wall", "-s", "tb", "-o", "tb.vvp", "-c", "files.f", "tb.v"];
        quiet(in_folder(&icarus, at).args(args), name);
        let vvp = icarus.program.with_file_name("vvp");
        let output = Command::new(vvp).arg("tb.vvp").current_dir(at).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("PASS: "), "{name}");
    }
}

/// Runs a tool that must succeed without saying a word of warning.
pub fn quiet(command: &mut Command, what: &str) -> String {
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{what}: {text}");
    assert!(!text.to_lowercase().contains("warning"), "{what}: {text}");
    text
}

pub fn in_folder(tool: &Tool, folder: &Path) -> Command {
    let mut command = tool.command();
    command.current_dir(folder);
    command
}

#[test]
fn verilator_gives_the_same_words_and_cycles() {
    let Some(_) = tool::require("verilator") else { return };
    for (seed, network) in networks().iter().enumerate().step_by(4) {
        let seed = seed as u64;
        let (design, emission) = design(network, seed);
        let simulator = common::simulator(&emission);
        let frames = common::frames(network, 5, seed);
        for stalls in [Stalls::NONE, Stalls::random(seed), Stalls::random(seed + 1)] {
            let outcome = simulator.run(&design, frames.view(), &stalls).unwrap();
            assert_eq!(outcome.beats, design.expected(frames.view(), &stalls), "seed {seed}, {stalls:?}");
            assert!(!outcome.error);
        }
    }
}

#[test]
fn verilators_waves_name_the_nodes() {
    let Some(_) = tool::require("verilator") else { return };
    let folder = tempfile::tempdir().unwrap();
    let network = random::network(5, &Options::default());
    let (design, emission) = design(&network, 5);
    let path = folder.path().join("waves.vcd");
    let simulator = Simulator::traced(&emission, folder.path(), Waves::Vcd, &path).unwrap();
    let frames = common::frames(&network, 1, 5);
    let outcome = simulator.run(&design, frames.view(), &Stalls::NONE).unwrap();
    assert_eq!(outcome.beats, design.expected(frames.view(), &Stalls::NONE));
    let waves = std::fs::read_to_string(&path).unwrap();
    let named = |net: &str| waves.lines().any(|line| line.contains("$var") && line.contains(net));
    assert!(named("conv2_m_valid") && named("m_axis_tdata"), "{}", &waves[..2000]);
    // The clock changes twice per cycle, to the last one.
    let last = waves.lines().rev().find_map(|line| line.strip_prefix('#')).unwrap().parse::<u64>().unwrap();
    assert!(last > 2 * outcome.beats.last().unwrap().cycle, "{last}");
    // Where the file cannot be written there is an error, not a run without waves.
    let nowhere = folder.path().join("none/waves.vcd");
    let simulator = Simulator::traced(&emission, folder.path(), Waves::Vcd, &nowhere).unwrap();
    let error = simulator.run(&design, frames.view(), &Stalls::NONE).unwrap_err().to_string();
    assert!(error.contains("opening the waves"), "{error}");
}

/// Random networks, plans and stalls through netlist and Verilator. The long suite, some minutes:
/// `DQ_CASES=300 cargo test --release -p dq-hdl --test hdl both_simulators`; DQ_SEED is the first seed.
#[test]
fn random_networks_agree_in_both_simulators() {
    let Some(_) = tool::require("verilator") else { return };
    let number =
        |name: &str, default| std::env::var(name).ok().and_then(|s| s.parse().ok()).unwrap_or(default);
    let (from, count): (u64, u64) = (number("DQ_SEED", 1000), number("DQ_CASES", 16));
    let cache = tempfile::tempdir().unwrap();
    for seed in from..from + count {
        let options = Options { max_side: 6, residuals: seed % 2 == 0, ..Options::default() };
        let network = random::network(seed, &options);
        let (design, emission) = design(&network, seed);
        let stalls = Stalls::random(seed);
        let frames = common::frames(&network, 4, seed);
        let expected = design.expected(frames.view(), &stalls);
        let outcome = netlist::run(&design, frames.view(), &stalls).unwrap();
        assert_eq!(outcome.beats, expected, "netlist, seed {seed}");
        let simulator = Simulator::quick(&emission, cache.path()).unwrap();
        let outcome = simulator.run(&design, frames.view(), &stalls).unwrap();
        assert_eq!(outcome.beats, expected, "Verilator, seed {seed}");
        assert!(!outcome.error, "seed {seed}");
        // Only what the next seeds need is kept: the run-time library.
        for entry in std::fs::read_dir(cache.path()).unwrap().map(|entry| entry.unwrap()) {
            if entry.file_name().to_string_lossy().starts_with("dq-sim-") {
                std::fs::remove_dir_all(entry.path()).unwrap();
            }
        }
    }
}

/// Builds the testbench of `emission` in `folder`, without a warning.
pub fn build_testbench(verilator: &Tool, emission: &Emission, folder: &Path) {
    write(emission, folder);
    // Delays are C++ coroutines.
    let build = [
        "--binary",
        "-Wall",
        "-j",
        "0",
        "-CFLAGS",
        "-O0 -std=c++20 -fcoroutines",
        "--top-module",
        "tb",
        "-MAKEFLAGS",
    ];
    let mut command = in_folder(verilator, folder);
    command.args(build).arg("CFG_CXXFLAGS_PCH_I=-include CFG_GCH_IF_CLANG=").args(["-f", "files.f", "tb.v"]);
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && !text.contains("%Warning"), "{text}");
}

/// Returns what the testbench built in `folder` says.
pub fn run_testbench(folder: &Path) -> String {
    let output = Command::new(folder.join("obj_dir/Vtb")).current_dir(folder).output().unwrap();
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Says what the testbench compiled in `folder` says where it runs in `at`, in each simulator that is there.
fn runs(folder: &Path, at: &Path) -> Vec<String> {
    let mut commands = vec![Command::new(folder.join("obj_dir/Vtb"))];
    if folder.join("tb.vvp").is_file() {
        let icarus = tool::find("iverilog").unwrap();
        let mut command = Command::new(icarus.program.with_file_name("vvp"));
        command.arg(folder.join("tb.vvp"));
        commands.push(command);
    }
    let said = |command: &mut Command| {
        let output = command.current_dir(at).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    commands.iter_mut().map(said).collect()
}

/// The testbench passes where all its files are there; with a file missing, cut short or of unknown words it
/// fails.
#[test]
fn the_testbench_passes_only_what_it_compared() {
    let Some(verilator) = tool::require("verilator") else { return };
    let network = random::network(5, &Options::default());
    let (design, emission) = design(&network, 5);
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    build_testbench(&verilator, &emission, folder);
    if let Some(icarus) = tool::require("iverilog") {
        let args = ["-g2005", "-Wall", "-s", "tb", "-o", "tb.vvp", "-c", "files.f", "tb.v"];
        quiet(in_folder(&icarus, folder).args(args), "testbench");
    }
    let beats = 2 * 2 * design.output_beats();
    for said in runs(folder, folder) {
        assert!(said.contains(&format!("PASS: {beats} beats compared")), "{said}");
    }
    let fails = |at: &Path, reason: &str, why: &str| {
        for said in runs(folder, at) {
            assert!(
                said.contains("FAIL") && said.contains(reason) && !said.contains("PASS"),
                "{why}: {said}"
            );
        }
    };
    fails(tempfile::tempdir().unwrap().path(), "cannot be opened", "another folder");
    let mut images = 0;
    for file in emission.files.iter().filter(|file| file.name.ends_with(".mem")) {
        let (name, path) = (&file.name, folder.join(&file.name));
        std::fs::remove_file(&path).unwrap();
        fails(folder, &format!("{name}: cannot be opened"), name);
        if name.starts_with("tb_") {
            let words: Vec<&str> = file.text.lines().collect();
            let (last, kept) = words.split_last().unwrap();
            std::fs::write(&path, kept.join("\n") + "\n").unwrap();
            fails(folder, "1 images or words", name);
            // A wrong word is found by what is compared; another pixel need not change a word.
            let wrong: String = last.chars().map(|digit| if digit == '0' { '1' } else { '0' }).collect();
            std::fs::write(&path, kept.join("\n") + "\n" + &wrong + "\n").unwrap();
            if name != "tb_input.mem" {
                fails(folder, "wrong beats", name);
            }
        }
        std::fs::write(&path, &file.text).unwrap();
        images += 1;
    }
    assert!(images > 4, "{images} images");
}

#[test]
fn verilator_finds_nothing_to_warn_of() {
    let Some(verilator) = tool::require("verilator") else { return };
    for (seed, network) in networks().iter().enumerate() {
        let (design, mut emission) = design(network, seed as u64);
        emission.files.push(wrapper::file(&design, &emission));
        let folder = tempfile::tempdir().unwrap();
        write(&emission, folder.path());
        let lint = ["--lint-only", "-Wall", "--top-module"];
        for top in [&["top"][..], &[wrapper::MODULE, "top_axi.v"]] {
            let mut command = in_folder(&verilator, folder.path());
            quiet(command.args(lint).args(top).args(["-f", "files.f"]), &network.name);
        }
        let mut command = in_folder(&verilator, folder.path());
        let bench = ["--lint-only", "-Wall", "--timing", "--top-module", "tb", "-f", "files.f", "tb.v"];
        quiet(command.args(bench), &network.name);
    }
}

#[test]
fn yosys_finds_nothing_to_warn_of() {
    let Some(yosys) = tool::require("yosys") else { return };
    for (seed, network) in networks().iter().enumerate().step_by(2) {
        let (_, emission) = design(network, seed as u64);
        let folder = tempfile::tempdir().unwrap();
        write(&emission, folder.path());
        let script = format!(
            "read_verilog {}; hierarchy -check -top top; proc; check -assert; memory_collect; check -assert",
            sources(&emission).join(" ")
        );
        quiet(in_folder(&yosys, folder.path()).args(["-p", &script]), &network.name);
    }
}

#[test]
fn icarus_finds_nothing_to_warn_of_and_runs_the_testbench() {
    let Some(icarus) = tool::require("iverilog") else { return };
    for (seed, network) in networks().iter().enumerate() {
        let (_, emission) = design(network, seed as u64);
        let folder = tempfile::tempdir().unwrap();
        write(&emission, folder.path());
        let mut command = in_folder(&icarus, folder.path());
        quiet(
            command.args(["-g2005", "-Wall", "-s", "tb", "-o", "tb.vvp", "-c", "files.f", "tb.v"]),
            &network.name,
        );
        let vvp = icarus.program.with_file_name("vvp");
        let output = Command::new(vvp).arg("tb.vvp").current_dir(folder.path()).output().unwrap();
        assert!(String::from_utf8_lossy(&output.stdout).contains("PASS: "), "{}", network.name);
    }
}
