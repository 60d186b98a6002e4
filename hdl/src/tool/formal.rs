//! Proofs of the emitted stages: each distinct module's contract (the lines under `FORMAL` in its own file)
//! and those of the library's modules inside it, and each module of the library alone, once for each set of
//! parameters, by k-induction with Yosys, yosys-smtbmc and z3, on the Verilog and the ROM images as they are
//! emitted; and small matrix-vector units against a flat dot product, for as many cycles as all their folds
//! take. Never changes a design.

use crate::circuit::testbench;
use crate::design::Design;
use crate::emit::Emission;
use crate::pipeline::{Stage, Unrolled};
use crate::rtl::File;
use crate::tool::{self, Tool, ToolError};
use serde::Serialize;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use thiserror::Error;

/// Seconds that the solver may take for one question.
const PATIENCE: &str = "60";
/// Lines of a failed tool that are shown.
const SHOWN: usize = 12;

/// Why a proof could not be tried.
#[derive(Debug, Error)]
pub enum FormalError {
    /// A tool is not there.
    #[error(transparent)]
    Tool(#[from] ToolError),
    /// The operating system refused.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// File or program.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// There is nothing to prove.
    #[error("`{module}`: expected an assertion under FORMAL, found none: nothing would be proved")]
    Vacuous {
        /// The module.
        module: String,
    },
    /// A tool failed without a verdict.
    #[error("{tool} failed on `{module}` ({status}):\n{tail}")]
    Failed {
        /// The tool.
        tool: &'static str,
        /// The module.
        module: String,
        /// Exit status.
        status: String,
        /// The last lines of what it said.
        tail: String,
    },
}

/// What is to be proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Module.
    pub module: String,
    /// Its parameters, if it is a module of the library: that one is proved alone, for everything that a
    /// stage may do within its side of the contract.
    pub parameters: Vec<(&'static str, usize)>,
    /// Verilog files that it needs.
    pub files: Vec<String>,
    /// A module of the proof's own, which is not emitted.
    pub harness: Option<File>,
    /// What it says.
    pub property: &'static str,
    /// Steps of the induction, or cycles that are unrolled from reset.
    pub steps: usize,
    /// Whether by induction.
    pub induction: bool,
}

impl Task {
    /// The module, with its parameters where it has any.
    pub fn title(&self) -> String {
        let parameters: Vec<String> =
            self.parameters.iter().map(|(name, value)| format!(".{name}({value})")).collect();
        match parameters.is_empty() {
            true => self.module.clone(),
            false => format!("{} #({})", self.module, parameters.join(", ")),
        }
    }
}

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Holds always, by induction over so many steps.
    Proved {
        /// Steps.
        steps: usize,
    },
    /// Holds in the first so many cycles after reset, whatever the inputs.
    Bounded {
        /// Cycles.
        cycles: usize,
    },
    /// The solver took too long.
    Undecided {
        /// Seconds that it was given.
        seconds: u64,
    },
    /// Does not hold, or the induction does not close.
    Failed {
        /// The assertions at fault.
        assertions: Vec<String>,
    },
}

/// Steps by which the contract of a module of the library is proved: it looks one cycle back.
const LIBRARY_STEPS: usize = 3;

/// All tasks of a design, each distinct module once, those of the library once for each set of parameters.
pub fn tasks(design: &Design, emission: &Emission) -> Vec<Task> {
    let mut seen = BTreeSet::new();
    let mut tasks = vec![];
    for Stage { site, kind } in &design.stages {
        let name = kind.module_name(site);
        if !seen.insert(name.clone()) {
            continue;
        }
        let files = files(emission, &name);
        let steps = site.latency as usize + 3;
        let property = kind.property();
        let parameters = vec![];
        let contract =
            Task { module: name, parameters, files, harness: None, property, steps, induction: true };
        if let Some(Unrolled { harness, cycles }) = kind.unrolled(site) {
            tasks.push(Task {
                harness: Some(harness),
                property: "sums of all folds against flat dot products",
                steps: cycles,
                induction: false,
                ..contract.clone()
            });
        }
        tasks.push(contract);
    }
    for instance in design.top.instances() {
        let task = Task {
            module: instance.library.name.into(),
            parameters: instance.parameters.clone(),
            files: files(emission, instance.library.name),
            harness: None,
            property: "beats in order, none lost",
            steps: LIBRARY_STEPS,
            induction: true,
        };
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    tasks
}

/// The module's own file and those of the modules below it.
fn files(emission: &Emission, module: &str) -> Vec<String> {
    let mut found = vec![format!("{module}.v")];
    let mut at = 0;
    while at < found.len() {
        let text = emission.files.iter().find(|file| file.name == found[at]).map_or("", |file| &file.text);
        for line in text.lines().filter(|line| line.trim_end().ends_with('(')) {
            let child = line.split_whitespace().next().map(|word| format!("{word}.v")).unwrap_or_default();
            if emission.files.iter().any(|file| file.name == child) && !found.contains(&child) {
                found.push(child);
            }
        }
        at += 1;
    }
    found
}

/// The tools, and a folder with an emission.
pub struct Prover {
    folder: PathBuf,
    yosys: Tool,
    smtbmc: Tool,
    path: OsString,
}

impl Prover {
    /// Writes `emission` into `folder`, which must be there.
    pub fn new(emission: &Emission, folder: &Path) -> Result<Prover, FormalError> {
        let (yosys, smtbmc, z3) = (tool::find("yosys")?, tool::find("yosys-smtbmc")?, tool::find("z3")?);
        for file in emission.files.iter().filter(|file| !testbench::is_file(&file.name)) {
            write(folder, file)?;
        }
        // yosys-smtbmc looks for z3 on PATH.
        let own = z3.program.parent().map(Path::to_path_buf).unwrap_or_default();
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let path = std::env::join_paths([own].into_iter().chain(std::env::split_paths(&rest)));
        let path = path.unwrap_or(rest);
        Ok(Prover { folder: folder.into(), yosys, smtbmc, path })
    }

    /// Tries one task on the files as they are in the folder.
    pub fn prove(&self, task: &Task) -> Result<Verdict, FormalError> {
        let top = match &task.harness {
            Some(harness) => {
                write(&self.folder, harness)?;
                harness.name.trim_end_matches(".v")
            }
            None => &task.module,
        };
        let files: Vec<&str> = task
            .harness
            .iter()
            .map(|h| h.name.as_str())
            .chain(task.files.iter().map(String::as_str))
            .collect();
        let formal = match (&task.harness, task.parameters.is_empty()) {
            (Some(_), _) => "",
            (None, true) => "-D FORMAL ",
            (None, false) => "-D FORMAL -D DQ_ALONE ",
        };
        let set = |(name, value): &(&str, usize)| format!("chparam -set {name} {value} {top}; ");
        let parameters: String = task.parameters.iter().map(set).collect();
        // ROMs are logic: in an induction a memory would hold anything. Flip-flops have no enable in SMT.
        let script = format!(
            "read_verilog -sv -formal {formal}{}; {parameters}prep -flatten -top {top}; memory_map -rom-only; \
             async2sync; \
             dffunmap; opt_clean; write_smt2 -wires {top}.smt2",
            files.join(" ")
        );
        let mut yosys = self.yosys.command();
        let output = self.run(yosys.args(["-q", "-p", &script]), &self.yosys)?;
        if !output.status.success() {
            return Err(failed("yosys", task, &output));
        }
        let model = format!("{top}.smt2");
        let path = self.folder.join(&model);
        let text = std::fs::read_to_string(&path).map_err(|source| FormalError::Io { path, source })?;
        if !text.contains("; yosys-smt2-assert ") {
            return Err(FormalError::Vacuous { module: top.into() });
        }
        // From reset first: a counterexample there is one of the circuit, not of an unreachable state.
        let steps = task.steps.to_string();
        if let Some(verdict) = self.solve(task, &["-t", &steps, &model])? {
            return Ok(verdict);
        }
        if !task.induction {
            return Ok(Verdict::Bounded { cycles: task.steps });
        }
        let verdict = self.solve(task, &["-i", "-t", &steps, &model])?;
        Ok(verdict.unwrap_or(Verdict::Proved { steps: task.steps }))
    }

    /// What stands in the way, if anything does.
    fn solve(&self, task: &Task, args: &[&str]) -> Result<Option<Verdict>, FormalError> {
        let mut command = self.smtbmc.command();
        command.env("PATH", &self.path);
        command.args(["-s", "z3", "--noprogress", "--timeout", PATIENCE]).args(args);
        let output = self.run(&mut command, &self.smtbmc)?;
        let text =
            String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned();
        if text.contains("Status: PASSED") {
            return Ok(None);
        }
        if text.to_lowercase().contains("timeout") || text.contains("unknown") {
            return Ok(Some(Verdict::Undecided { seconds: PATIENCE.parse().expect("a number") }));
        }
        let names = text.lines().filter_map(|line| line.split_once("Assert failed in "));
        let names: BTreeSet<String> = names.map(|(_, name)| name.trim().to_owned()).collect();
        if !text.contains("Status: FAILED") || names.is_empty() {
            return Err(failed("yosys-smtbmc", task, &output));
        }
        Ok(Some(Verdict::Failed { assertions: names.into_iter().collect() }))
    }

    fn run(&self, command: &mut Command, tool: &Tool) -> Result<Output, FormalError> {
        let output = command.current_dir(&self.folder).output();
        output.map_err(|source| FormalError::Io { path: tool.program.clone(), source })
    }
}

fn write(folder: &Path, file: &File) -> Result<(), FormalError> {
    let path = folder.join(&file.name);
    std::fs::write(&path, &file.text).map_err(|source| FormalError::Io { path, source })
}

fn failed(tool: &'static str, task: &Task, output: &Output) -> FormalError {
    let text = String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
    FormalError::Failed { tool, module: task.module.clone(), status: output.status.to_string(), tail }
}
