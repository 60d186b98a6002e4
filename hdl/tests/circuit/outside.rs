//! Has an outside judge drive an emitted top: cocotb with cocotbext-axi (`tests/cocotb/judge.py`), in Icarus
//! and in Verilator.

use super::emitted::write;
use dq_hdl::design::Design;
use dq_hdl::emit::emit;
use dq_hdl::plan::{Control, Memory, Output, Plan};
use dq_hdl::{plan, tool, wrapper};
use dq_net::{Network, topology};
use std::io::Write as _;
use std::path::Path;
use std::process::Command;

/// Number of frames of the testbench's vectors.
const FRAMES: &str = "2";

/// Returns cocotb's Python; none, said aloud, where there is none.
fn python() -> Option<std::ffi::OsString> {
    let python = std::env::var_os("DQ_PYTHON_COCOTB");
    if python.is_none() {
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED a test: DQ_PYTHON_COCOTB names no Python with cocotb and cocotbext-axi, as `cargo xtask \
             test` sets it"
        );
    }
    python
}

/// Builds a circuit with `simulator`, a name of cocotb's, and has its module judged.
fn judged(plan: &Plan, module: &str, [simulator, tool]: [&str; 2]) {
    let (Some(python), Some(tool)) = (python(), tool::require(tool)) else { return };
    let network = network();
    let scratch = tempfile::tempdir().unwrap();
    let rtl = scratch.path().join("rtl");
    std::fs::create_dir(&rtl).unwrap();
    let design = Design::new(&network, plan).unwrap();
    let mut emission = emit(&design);
    emission.files.push(wrapper::file(&design, &emission));
    write(&emission, &rtl);
    let judge = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cocotb/run.py");
    let mut command = Command::new(python);
    command.arg(judge).arg(&rtl).args([module, simulator, FRAMES]).arg(scratch.path().join("build"));
    // cocotb looks for the simulator on PATH.
    let own = tool.program.parent().map(Path::to_path_buf).unwrap_or_default();
    let rest = std::env::var_os("PATH").unwrap_or_default();
    let path = std::env::join_paths([own].into_iter().chain(std::env::split_paths(&rest))).unwrap();
    command.env("PATH", path).envs(tool.env.iter().map(|(name, value)| (name, value)));
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "{simulator}: {text}");
    assert!(text.contains("7 of 7 tests pass"), "{simulator}: {text}");
}

fn network() -> Network {
    topology::build("lenet@1/4", 1).unwrap()
}

fn plan(control: Control) -> Plan {
    Plan { control, ..plan::default(&network(), Output::Scores).unwrap() }
}

#[test]
fn cocotb_finds_both_ports_sound_in_icarus() {
    judged(&plan(Control::Load), wrapper::MODULE, ["icarus", "iverilog"]);
}

#[test]
#[ignore = "builds a circuit for a minute"]
fn cocotb_finds_both_ports_sound_in_verilator() {
    judged(&plan(Control::Load), "top", ["verilator"; 2]);
}

#[test]
fn cocotb_feeds_ports_of_weights_in_icarus() {
    let mut plan = plan(Control::Counters);
    for (node, port) in [("conv2", None), ("classifier", Some(16))] {
        let entry = plan.nodes.iter_mut().find(|entry| entry.node == node).expect("a node of the network");
        (entry.memory, entry.port) = (Memory::Stream, port);
    }
    judged(&plan, wrapper::MODULE, ["icarus", "iverilog"]);
}
