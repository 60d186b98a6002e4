//! Faults put into the emitted Verilog and ROM images: each must be caught by the proofs of its stage.

use super::proofs::{ready, small};
use dq_hdl::design::Design;
use dq_hdl::emit::{Emission, emit};
use dq_hdl::formal::{self, Prover, Task, Verdict};
use dq_hdl::plan;
use dq_hdl::plan::Output;
use dq_net::{Network, random, topology};
use std::path::{Path, PathBuf};

/// Part of the file's name, what stands there, what is put in its place.
type Fault = (&'static str, &'static str, &'static str);

/// Every stage ends in a FIFO with credits: these are tried on several kinds of stage.
const STREAM: &[(&str, &str)] = &[
    ("wire pop = valid & m_ready;", "wire pop = m_ready;"),
    ("wire pop = valid & m_ready;", "wire pop = valid;"),
    ("wire free = |credit_q;", "wire free = 1'b1;"),
    ("credit_q <= credit_q + ", "credit_q <= credit_q - "),
    ("count_q <= count_q + ", "count_q <= count_q - "),
    ("& ~pop) begin", ") begin"),
    ("assign m_valid = valid;", "assign m_valid = 1'b1;"),
    ("assign m_valid = valid;", "assign m_valid = valid & m_ready;"),
    ("assign m_data = fifo_d;", "assign m_data = ~fifo_d;"),
    ("count_q <= 2'd0;", "count_q <= 2'd1;"),
];

/// Stages on which they are tried.
const STAGES: &[&str] =
    &["_step.v", "_accumulate.v", "_pool.v", "dq_ingress.v", "_bias.v", "_window.v", "_mix.v", "_rescale.v"];

/// Faults of one kind of stage.
const OWN: &[Fault] = &[
    ("_step.v", " >= ", " > "),
    ("_step.v", " >= ", " <= "),
    ("dq_dot_", " + ", " - "),
    ("dq_dot_", " - ", " + "),
    ("dq_dot_", " & {", " | {"),
    ("dq_egress.v", "wire pop = valid & m_axis_tready;", "wire pop = m_axis_tready;"),
    ("dq_egress.v", "assign m_axis_tvalid = valid;", "assign m_axis_tvalid = valid & m_axis_tready;"),
    ("_thresholds.mem", "1", "3"),
    ("_window.v", "offset_q <= offset_base_q;", "offset_q <= offset_q;"),
    ("_window.v", "slot_q <= slot_base_q;", "slot_q <= slot_q;"),
    ("_window.v", "- released_q;", "+ released_q;"),
    ("_window.v", "wire written = ", "wire written = 1'b1 | "),
];

/// A network's proofs in a folder of their own.
struct Bench {
    emission: Emission,
    tasks: Vec<Task>,
    prover: Prover,
    folder: PathBuf,
}

impl Bench {
    fn new(network: &Network, folder: PathBuf) -> Bench {
        let design = Design::new(network, &plan::default(network, Output::Scores).unwrap()).unwrap();
        let emission = emit(&design);
        std::fs::create_dir(&folder).unwrap();
        let prover = Prover::new(&emission, &folder).unwrap();
        Bench { tasks: formal::tasks(&design, &emission), emission, prover, folder }
    }

    /// The file of the fault's kind that has its text.
    fn place(&self, fault: &Fault) -> Option<&str> {
        let has = |text: &str| text[body(text)].contains(fault.1);
        let mut files = self.emission.files.iter();
        files.find(|file| file.name.contains(fault.0) && has(&file.text)).map(|file| file.name.as_str())
    }

    /// The assertions by which the proofs of what uses `file` fail; none if they hold.
    fn caught(&self, file: &str, fault: &Fault) -> Option<Vec<String>> {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let at = body(&text).start + text[body(&text)].find(fault.1).unwrap();
        let changed = format!("{}{}{}", &text[..at], fault.2, &text[at + fault.1.len()..]);
        std::fs::write(&path, changed).unwrap();
        let node = file.split("_thresholds").next().unwrap();
        let of_image = |task: &Task| file.ends_with(".mem") && task.module == format!("{node}_step");
        let mut uses = self.tasks.iter().filter(|t| t.files.iter().any(|name| name == file) || of_image(t));
        let found = uses.find_map(|task| match self.prover.prove(task).unwrap() {
            Verdict::Failed { assertions } => Some(assertions),
            _ => None,
        });
        std::fs::write(&path, text).unwrap();
        found
    }
}

/// The logic, without what opens the file and the contract beside it.
fn body(text: &str) -> std::ops::Range<usize> {
    let start = text.find("\nmodule ").or(text.find('\n')).map_or(0, |at| at + 1);
    start..text.find("`ifdef FORMAL").unwrap_or(text.len()).max(start)
}

fn benches(folder: &Path) -> Vec<Bench> {
    let chain = topology::build("lenet@1/4", 1).unwrap();
    let networks = [chain].into_iter().chain((0..8).map(|seed| random::network(seed, &small(seed % 2 == 1))));
    networks.enumerate().map(|(i, network)| Bench::new(&network, folder.join(i.to_string()))).collect()
}

#[test]
fn every_fault_is_caught() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let benches = benches(folder.path());
    // Each of the faults that all stages can have on two kinds of stage, other ones from fault to fault.
    let spread = STREAM.iter().enumerate().flat_map(|(i, &(from, to))| {
        (0..2).map(move |more| (STAGES[(i + 3 * more) % STAGES.len()], from, to))
    });
    let mut tried = 0;
    for fault in OWN.iter().copied().chain(spread) {
        let Some((bench, file)) = benches.iter().find_map(|bench| Some((bench, bench.place(&fault)?))) else {
            continue;
        };
        let found = bench.caught(file, &fault);
        eprintln!("{file}: `{}` for `{}`: {found:?}", fault.2, fault.1);
        assert!(found.is_some(), "{file}: `{}` for `{}` is not caught", fault.2, fault.1);
        tried += 1;
    }
    eprintln!("{tried} faults, all caught");
    assert!(tried >= 24, "{tried} faults");
}

/// What asserts nothing is refused, not proved: a contract that is gone, a file that is empty, a module that
/// is another's.
#[test]
fn nothing_is_proved_of_nothing() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(&random::network(1, &small(false)), folder.path().join("0"));
    let task = bench.tasks.iter().find(|task| task.module == "dq_egress").expect("every circuit ends in one");
    let path = bench.folder.join(&task.files[0]);
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(matches!(bench.prover.prove(task).unwrap(), Verdict::Proved { .. }));
    let contract = text.find("`ifdef FORMAL").unwrap()..text.rfind("endmodule").unwrap();
    let bare = format!("{}{}", &text[..contract.start], &text[contract.end..]);
    std::fs::write(&path, bare).unwrap();
    let error = bench.prover.prove(task).unwrap_err().to_string();
    assert!(error.contains("`dq_egress`") && error.contains("nothing would be proved"), "{error}");
    for broken in [String::new(), text.replace("module dq_egress", "module other")] {
        std::fs::write(&path, broken).unwrap();
        assert!(bench.prover.prove(task).is_err());
    }
}
