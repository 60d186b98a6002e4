//! Reads and checks plan files, and writes them whole or not at all.

use super::data::{Plan, PlanError};
use dq_net::{Network, atomic};
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Says why a plan file could not be read or written.
#[derive(Debug, Error)]
pub enum PlanFileError {
    /// The operating system refused to read or write.
    #[error("{path}: {source}", path = path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The file is not JSON, or its JSON is not of this structure.
    #[error("{path}: not a plan: {source}", path = path.display())]
    Syntax {
        /// The file.
        path: PathBuf,
        /// Line, column and reason.
        source: serde_json::Error,
    },
    /// The plan does not fit the network.
    #[error("{path}: {source}", path = path.display())]
    Plan {
        /// The file.
        path: PathBuf,
        /// Node and field.
        source: PlanError,
    },
}

impl Plan {
    /// Reads and checks `text`; `path` only names it in errors.
    pub fn from_json(path: &Path, text: &str, network: &Network) -> Result<Plan, PlanFileError> {
        let plan: Plan = serde_json::from_str(text)
            .map_err(|source| PlanFileError::Syntax { path: path.into(), source })?;
        plan.check(network).map_err(|source| PlanFileError::Plan { path: path.into(), source })?;
        Ok(plan)
    }

    /// Reads and checks a plan file.
    pub fn read(path: &Path, network: &Network) -> Result<Plan, PlanFileError> {
        let text = dq_net::read::text(path, 1 << 26)
            .map_err(|source| PlanFileError::Io { path: path.into(), source })?;
        Self::from_json(path, &text, network)
    }

    /// Writes a plan file, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<(), PlanFileError> {
        atomic::write(path, self.to_json().as_bytes())
            .map_err(|source| PlanFileError::Io { path: path.into(), source })
    }
}
