//! Has Python judge networks: qonnx's executor or ONNX Runtime, and exact arithmetic on fractions (`exact.py`),
//! which shares nothing with this crate. One Python process judges all networks of a test.

use dq_onnx::Report;
use ndarray::{Array2, ArrayView4};
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Collects networks, with their files and scores, for one Python process.
pub struct Judge {
    python: OsString,
    folder: TempDir,
    count: usize,
}

/// What a network is held against.
pub struct Case<'a> {
    /// Name of the network, in messages.
    pub name: &'a str,
    /// The ONNX file.
    pub file: &'a Path,
    /// What the import said of it; none where the file is what this crate wrote for the network.
    pub report: Option<&'a Report>,
    /// Images: N × height × width × channels.
    pub images: ArrayView4<'a, u8>,
    /// The network's scores of the images.
    pub scores: Array2<i32>,
    /// How many of the images exact arithmetic in Python judges; 0 for files of operators that it lacks.
    pub exact: usize,
    /// Whether a float runtime can execute the file.
    pub float: bool,
}

impl Judge {
    /// Returns one without networks, or none, said aloud, where there is no Python for it.
    pub fn find() -> Option<Self> {
        let Some(python) = std::env::var_os("DQ_PYTHON") else {
            eprintln!(
                "SKIPPED: DQ_PYTHON names no Python with onnx, onnxruntime and qonnx, as `cargo xtask test` \
                 sets it"
            );
            return None;
        };
        Some(Judge { python, folder: tempfile::tempdir().unwrap(), count: 0 })
    }

    /// Returns where to write the ONNX file of the next network.
    pub fn next_file(&self) -> PathBuf {
        self.folder.path().join(format!("{:03}.onnx", self.count))
    }

    /// Adds a network.
    pub fn add(&mut self, case: &Case) {
        let (count, height, width, channels) = case.images.dim();
        let described = serde_json::json!({
            "name": case.name, "file": case.file, "images": [count, height, width, channels],
            "exact": case.exact, "float": case.float, "import": case.report,
        });
        let stem = self.next_file();
        fs::write(stem.with_extension("json"), described.to_string()).unwrap();
        let scores = case.scores.iter().flat_map(|score| score.to_le_bytes());
        let bytes: Vec<u8> = case.images.iter().copied().chain(scores).collect();
        fs::write(stem.with_extension("bin"), bytes).unwrap();
        self.count += 1;
    }

    /// Judges all and returns what Python said of each, as an error where a score differs.
    ///
    /// # Panics
    /// Where Python does not run to its end.
    pub fn run(self) -> Result<String, String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR"));
        // The root package has these tests too.
        let script = if script.ends_with("onnx") { script.into() } else { script.join("onnx") };
        let mut judge = Command::new(&self.python);
        judge.arg(script.join("tests/judge.py")).arg(self.folder.path());
        let output = judge.output().expect("Python starts");
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let errors = String::from_utf8_lossy(&output.stderr);
        let end = format!("{} networks judged\n", self.count);
        assert!(said.ends_with(&end), "Python did not run to its end: {said}{errors}");
        if output.status.success() { Ok(said) } else { Err(said) }
    }
}
