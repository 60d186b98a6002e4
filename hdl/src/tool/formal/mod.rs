//! Proofs of the emitted stages: each distinct module's contract (the lines under `FORMAL` in its own file)
//! and those of the library's modules inside it, and each module of the library alone, once for each set of
//! parameters, by k-induction with Yosys, yosys-smtbmc and z3, on the Verilog and the ROM images as they are
//! emitted; and small matrix-vector units against a flat dot product, for as many cycles as all their folds
//! take. What was proved may be kept and found again. Never changes a design.

mod kept;
mod task;

pub use kept::Kept;
pub use task::{Task, tasks};

use crate::circuit::testbench;
use crate::emit::Emission;
use crate::rtl::File;
use crate::tool::{self, Tool, ToolError, run};
use serde::{Deserialize, Serialize};
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

/// What came of a task.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// The tools, and a folder with an emission.
pub struct Prover {
    folder: PathBuf,
    yosys: Tool,
    smtbmc: Tool,
    z3: Tool,
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
        Ok(Prover { folder: folder.into(), yosys, smtbmc, z3, path })
    }

    /// Tries one task on the files as they are in the folder. Several may be tried at once.
    pub fn prove(&self, task: &Task) -> Result<Verdict, FormalError> {
        if let Some(harness) = &task.harness {
            write(&self.folder, harness)?;
        }
        // Tasks of one module differ in their parameters, so each has a file of its own.
        let model = format!("{}.smt2", self.key(task)?);
        let mut yosys = self.yosys.command();
        let output = self.run(yosys.args(["-q", "-p", &script(task, &model)]), &self.yosys)?;
        if !output.status.success() {
            return Err(failed("yosys", task, &output));
        }
        let path = self.folder.join(&model);
        let text = std::fs::read_to_string(&path).map_err(|source| FormalError::Io { path, source })?;
        if !text.contains("; yosys-smt2-assert ") {
            return Err(FormalError::Vacuous { module: top(task).into() });
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

/// Returns the module that Yosys is told to take as the top.
fn top(task: &Task) -> &str {
    task.harness.as_ref().map_or(&task.module, |harness| &harness.name).trim_end_matches(".v")
}

/// Returns the commands by which Yosys writes `task` to `model`.
fn script(task: &Task, model: &str) -> String {
    let top = top(task);
    let files: Vec<&str> = task
        .harness
        .iter()
        .map(|harness| harness.name.as_str())
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
    format!(
        "read_verilog -sv -formal {formal}{}; {parameters}prep -flatten -top {top}; memory_map -rom-only; \
         async2sync; \
         dffunmap; opt_clean; write_smt2 -wires {model}",
        files.join(" ")
    )
}

fn write(folder: &Path, file: &File) -> Result<(), FormalError> {
    run::write_file(folder, &file.name, &file.text)
        .map_err(|source| FormalError::Io { path: folder.join(&file.name), source })
}

fn failed(tool: &'static str, task: &Task, output: &Output) -> FormalError {
    let text = String::from_utf8_lossy(&[output.stdout.clone(), output.stderr.clone()].concat()).into_owned();
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    let tail = lines[lines.len().saturating_sub(SHOWN)..].join("\n");
    FormalError::Failed { tool, module: task.module.clone(), status: output.status.to_string(), tail }
}
