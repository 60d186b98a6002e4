//! Faults put into the emitted Verilog and ROM images: each must be caught by the proofs of its stage.

use super::proofs::{is_padded, proving, ready, small, streamed};
use dq_hdl::design::Design;
use dq_hdl::emit::{Emission, emit};
use dq_hdl::formal::{self, Prover, Task, Verdict};
use dq_hdl::plan;
use dq_hdl::plan::{Output, Plan};
use dq_net::{Network, random, topology};
use std::path::{Path, PathBuf};

/// Part of the file's name, what stands there, what is put in its place.
type Fault<'a> = (&'a str, &'a str, &'a str);

/// Every stage ends in a FIFO with credits: these are tried on several kinds of stage.
const STREAM: &[(&str, &str)] = &[
    (".free      (free)", ".free      ()"),
    (".m_ready   (m_ready)", ".m_ready   (1'b1)"),
    (".m_ready   (m_ready)", ".m_ready   (~m_ready)"),
    (".spend     (", ".spend     (1'b0 & "),
    (".spend     (", ".spend     (~"),
    (".push      (", ".push      (1'b1 | "),
    (".push      (", ".push      (~"),
    (".push_data (", ".push_data (~"),
];

/// Faults of the FIFO itself, which its own proof catches.
const FIFO: &[(&str, &str)] = &[
    ("wire pop = m_valid & m_ready;", "wire pop = m_ready;"),
    ("wire pop = m_valid & m_ready;", "wire pop = m_valid;"),
    ("wire held = |count_q;", "wire held = 1'b1;"),
    ("count_q <= count_q + ", "count_q <= count_q - "),
    ("push & ~read", "push"),
    ("count_q <= {COUNT_BITS{1'b0}};", "count_q <= ALL;"),
    ("in_q <= after(in_q);", "in_q <= after(out_q);"),
    ("(!WRAPS && (place == LAST))", "(place == 1'b1)"),
    ("assign m_data = memory[out_q];", "assign m_data = ~memory[out_q];"),
    ("assign m_data = memory[out_q];", "assign m_data = memory[in_q];"),
    ("assign m_valid = held;", "assign m_valid = held & m_ready;"),
    ("assign free = count_q != ALL;", "assign free = 1'b1;"),
    ("assign free = |credit_q;", "assign free = 1'b1;"),
    ("credit_q <= credit_q + ", "credit_q <= credit_q - "),
    ("if (spend & ~pop)", "if (spend)"),
    ("held & (~shown_q | m_ready)", "held & m_ready"),
    ("held & (~shown_q | m_ready)", "held"),
    ("read | (shown_q & ~m_ready)", "read"),
];

/// Stages on which they are tried.
const STAGES: &[&str] = &[
    "_step.v",
    "_accumulate.v",
    "_pool.v",
    "dq_ingress.v",
    "_bias.v",
    "_window.v",
    "_mix.v",
    "_rescale.v",
    "_sum.v",
];

/// Faults of one kind of stage.
const OWN: &[Fault] = &[
    ("_step.v", " >= ", " > "),
    ("_step.v", " >= ", " <= "),
    ("dq_dot_", " + ", " - "),
    ("dq_dot_", " - ", " + "),
    ("dq_dot_", " & {", " | {"),
    ("dq_egress.v", "wire pop = valid & m_axis_tready;", "wire pop = valid;"),
    ("dq_egress.v", "assign m_axis_tvalid = valid;", "assign m_axis_tvalid = valid & m_axis_tready;"),
    ("dq_egress.v", ".m_ready   (m_axis_tready)", ".m_ready   (1'b1)"),
    ("dq_narrow", "m_ready & part_q", "m_ready"),
    ("_thresholds.mem", "1", "3"),
    ("_window.v", "offset_q <= offset_base_q;", "offset_q <= offset_q;"),
    ("_window.v", "slot_q <= slot_base_q;", "slot_q <= slot_q;"),
    ("_window.v", "- released_q;", "+ released_q;"),
    ("_window.v", "wire written = ", "wire written = 1'b1 | "),
    ("_window.v", "level2_q <= level1_q;", "level2_q <= ~level1_q;"),
    ("_concat.v", "position_q < ", "position_q <= "),
    ("_concat.v", "assign y_ready = free & ", "assign y_ready = free & 1'b1 | "),
];

/// Faults of a label that says whether it is proved.
const LABEL: &[(&str, &str)] = &[
    (" <= gap_q;", " < gap_q;"),
    (" <= gap_q;", " >= gap_q;"),
    ("gap_q <= best_q - next_q;", "gap_q <= best_q;"),
    ("leader_q <= label_q;", "leader_q <= class_q;"),
    ("$signed(next_q) <", "$signed(next_q) >"),
    ("$signed(best_q) <", "$signed(best_q) <="),
    ("ended_q <= spend;", "ended_q <= beat;"),
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
        Self::planned(network, &plan::default(network, Output::Scores).unwrap(), folder)
    }

    fn planned(network: &Network, plan: &Plan, folder: PathBuf) -> Bench {
        let design = Design::new(network, plan).unwrap();
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
        let node = file.rsplit('/').next().unwrap().split("_thresholds").next().unwrap();
        let of_image = |task: &Task| file.ends_with(".mem") && task.module == format!("{node}_step");
        let uses = |task: &&Task| task.files.iter().any(|name| name == file) || of_image(task);
        self.fails(file, fault, self.tasks.iter().filter(uses))
    }

    /// The assertions by which one of `tasks` fails with the fault in `file`; none if they hold.
    fn fails<'a>(
        &self,
        file: &str,
        fault: &Fault,
        mut tasks: impl Iterator<Item = &'a Task>,
    ) -> Option<Vec<String>> {
        let path = self.folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let at = body(&text).start + text[body(&text)].find(fault.1).unwrap();
        let changed = format!("{}{}{}", &text[..at], fault.2, &text[at + fault.1.len()..]);
        std::fs::write(&path, changed).unwrap();
        let found = tasks.find_map(|task| match self.prover.prove(task).unwrap() {
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
    let padded = (0..).map(|seed| random::network(seed, &small(true))).find(is_padded).unwrap();
    let networks = [chain, padded].into_iter();
    let concat = |network: &Network| network.nodes().iter().any(|n| n.layer.kind().name() == "concat");
    let networks = networks.chain((0..).map(|seed| random::network(seed, &small(true))).find(concat));
    let networks = networks.chain((0..8).map(|seed| random::network(seed, &small(seed % 2 == 1))));
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

#[test]
fn words_that_move_without_levels_are_caught() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let network = random::network(1, &small(false));
    let bench = Bench::planned(&network, &streamed(&network), folder.path().join("0"));
    for fault in [
        ("_fetch.v", "assign x_ready = y_valid & open;", "assign x_ready = open;"),
        ("_fetch.v", "assign y_ready = x_valid & open;", "assign y_ready = open;"),
    ] {
        let file = bench.place(&fault).expect("a unit takes words");
        let found = bench.caught(file, &fault);
        assert!(found.is_some(), "{file}: `{}` for `{}` is not caught", fault.2, fault.1);
    }
}

/// The FIFO's own proof, for each form that it has, catches what is wrong in it, and nothing else.
#[test]
fn every_fault_of_the_fifo_is_caught_by_its_own_proof() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(&random::network(1, &small(false)), folder.path().join("0"));
    let task = bench.tasks.iter().find(|task| task.module == "dq_fifo").expect("every circuit has a FIFO");
    let with = |values: [usize; 4]| {
        let parameters = ["WIDTH", "DEPTH", "DELAY", "BLOCK"].into_iter().zip(values).collect();
        Task { parameters, ..task.clone() }
    };
    let forms = [[3, 3, 0, 0], [4, 4, 2, 0], [2, 5, 3, 0], [3, 5, 0, 1], [2, 4, 2, 1]].map(with);
    for form in &forms {
        let verdict = bench.prover.prove(form).unwrap();
        assert!(matches!(verdict, Verdict::Proved { .. }), "{}: {verdict:?}", form.title());
    }
    for &(from, to) in FIFO {
        let fault = ("dq_fifo.v", from, to);
        let found = bench.fails("dq_fifo.v", &fault, forms.iter());
        eprintln!("`{to}` for `{from}`: {found:?}");
        assert!(found.is_some(), "`{to}` for `{from}` is not caught");
    }
}

/// A bit that is set where it must not be, or clear where it could be set, is caught.
#[test]
fn every_fault_of_a_proved_label_is_caught() {
    if !ready() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let signed = |(network, _): &(Network, Plan)| network.wire(network.nodes().len() - 1).range.signed();
    let (network, plan) = proving().find(signed).expect("some network is so small");
    let lead = plan.proved(&network).expect("asked for").lead;
    let bench = Bench::planned(&network, &plan, folder.path().join("0"));
    let names = |name: &&String| name.ends_with("_argmax.v");
    let file = bench.emission.files.iter().map(|file| &file.name).find(names).expect("a label has its stage");
    let less = (format!("'d{lead} <= gap_q;"), format!("'d{} <= gap_q;", lead - 1));
    for (from, to) in LABEL.iter().copied().chain([(less.0.as_str(), less.1.as_str())]) {
        let fault = ("_argmax.v", from, to);
        assert!(bench.place(&fault).is_some(), "`{from}` is not there");
        let found = bench.caught(file, &fault);
        eprintln!("`{to}` for `{from}`: {found:?}");
        assert!(found.is_some(), "`{to}` for `{from}` is not caught");
    }
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
    assert_eq!(task.files, ["dq_egress.v", "dq_fifo.v"]);
    for file in &task.files {
        let path = bench.folder.join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        let contract = text.find("`ifdef FORMAL").unwrap()..text.rfind("endmodule").unwrap();
        std::fs::write(&path, format!("{}{}", &text[..contract.start], &text[contract.end..])).unwrap();
    }
    let error = bench.prover.prove(task).unwrap_err().to_string();
    assert!(error.contains("`dq_egress`") && error.contains("nothing would be proved"), "{error}");
    for broken in [String::new(), text.replace("module dq_egress", "module other")] {
        std::fs::write(&path, broken).unwrap();
        assert!(bench.prover.prove(task).is_err());
    }
}
