//! Keeps what was proved, under the hash of everything that the proof depends on, so that after a change of one
//! layer only what changed is proved again. Only proofs are kept: what failed or was not decided is tried anew.

use super::{FormalError, Prover, Task, Verdict, script};
use crate::tool::Tool;
use crate::tool::run::version;
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Part of every key: another number where proofs come to mean something else.
const GENERATION: &str = "dq proof 1";

/// Is a folder of proofs that were found before.
#[derive(Debug)]
pub struct Kept {
    folder: PathBuf,
    /// The tools, since another version proves by other means.
    tools: String,
}

impl Kept {
    /// Opens the folder, which need not be there yet.
    pub fn open(folder: &Path, prover: &Prover) -> Kept {
        let tools = [&prover.yosys, &prover.smtbmc, &prover.z3].map(Tool::identity).join("\n");
        Kept { folder: folder.into(), tools }
    }

    /// Returns what was proved of exactly this task.
    ///
    /// # Errors
    /// Where a file of the task cannot be read. A proof that cannot be read is none.
    pub fn find(&self, prover: &Prover, task: &Task) -> Result<Option<Verdict>, FormalError> {
        let text = std::fs::read_to_string(self.place(prover, task)?);
        let found: Option<Verdict> = text.ok().and_then(|text| serde_json::from_str(&text).ok());
        Ok(found.filter(Verdict::is_proof))
    }

    /// Keeps a verdict if it is a proof.
    ///
    /// # Errors
    /// Where the folder cannot be written.
    pub fn keep(&self, prover: &Prover, task: &Task, verdict: &Verdict) -> Result<(), FormalError> {
        if !verdict.is_proof() {
            return Ok(());
        }
        let path = self.place(prover, task)?;
        let text = serde_json::to_string(verdict).expect("plain data");
        std::fs::create_dir_all(&self.folder)
            .and_then(|()| dq_net::atomic::write(&path, text.as_bytes()))
            .map_err(|source| FormalError::Io { path, source })
    }

    fn place(&self, prover: &Prover, task: &Task) -> Result<PathBuf, FormalError> {
        let key = hash(&[&self.tools, &prover.key(task)?]);
        Ok(self.folder.join(format!("{key}.json")))
    }
}

impl Tool {
    /// Names the program and its version.
    fn identity(&self) -> String {
        format!("{} {}", self.name, version(self))
    }
}

impl Verdict {
    /// Says whether it holds.
    pub fn is_proof(&self) -> bool {
        matches!(self, Verdict::Proved { .. } | Verdict::Bounded { .. })
    }
}

impl Prover {
    /// Returns the hash of a task: the commands, and the text of each file that they read, ROM images included.
    pub(super) fn key(&self, task: &Task) -> Result<String, FormalError> {
        let mut parts = vec![
            GENERATION.to_owned(),
            script(task, "model.smt2"),
            format!("{} {}", task.steps, task.induction),
        ];
        parts.extend(task.harness.iter().map(|harness| harness.text.clone()));
        for name in &task.files {
            let text = self.read(name)?;
            let images: Vec<String> = images(&text).map(str::to_owned).collect();
            parts.push(text);
            for image in images {
                parts.push(self.read(&image)?);
            }
        }
        Ok(hash(&parts.iter().map(String::as_str).collect::<Vec<_>>()))
    }

    fn read(&self, name: &str) -> Result<String, FormalError> {
        let path = self.folder.join(name);
        std::fs::read_to_string(&path).map_err(|source| FormalError::Io { path, source })
    }
}

/// Returns the ROM images that a module reads: the strings that end in `.mem`.
fn images(verilog: &str) -> impl Iterator<Item = &str> {
    verilog.split('"').skip(1).step_by(2).filter(|name| name.ends_with(".mem"))
}

fn hash(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
