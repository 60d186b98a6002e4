//! Installs the Python packages that only tests run: what executes ONNX files, what drives emitted circuits,
//! and for the long suite PyTorch with what exports networks and attacks them.
//!
//! pip installs pinned builds, each list an environment of its own in the user's cache. Where there are none
//! for a machine, that is said, and so do the tests that are left out.

use std::ffi::OsString;

use crate::python::{self, Environment};
use crate::tools::pins;

/// Holds a list of packages.
pub struct Packages {
    /// Name of the variable through which tests find the Python that has them.
    pub variable: &'static str,
    name: &'static str,
    size: &'static str,
    /// One pinned package a line.
    pins: &'static str,
}

/// NumPy, ONNX Runtime and qonnx, with what importing these needs.
pub const ONNX: Packages =
    Packages { variable: "DQ_PYTHON", name: "onnx", size: "220 MB", pins: include_str!("packages/onnx.txt") };

/// cocotb and its bus models, with what importing these needs.
pub const COCOTB: Packages = Packages {
    variable: "DQ_PYTHON_COCOTB",
    name: "cocotb",
    size: "50 MB",
    pins: include_str!("packages/cocotb.txt"),
};

/// The same as [`ONNX`] with PyTorch, Brevitas, three attack toolboxes and what runs notebooks. PyTorch's builds for Linux
/// ask for all of CUDA.
pub const TORCH: Packages = Packages {
    variable: "DQ_PYTHON_TORCH",
    name: "torch",
    size: "5.3 GB",
    pins: include_str!("packages/torch.txt"),
};

impl Packages {
    /// Returns the variable and the Python that it names, installed on the first call; none where it cannot be
    /// had. One that the user named stays.
    pub fn variable(&self) -> Option<(&'static str, OsString)> {
        if let Some(named) = std::env::var_os(self.variable) {
            return Some((self.variable, named));
        }
        let pins: Vec<&str> = self.pins.lines().collect();
        let set_up = || {
            let cache = python::cache()?;
            let lock = cache.join(format!("{}.lock", self.name));
            let folder = pins::folder(&cache, self.name, &pins);
            let Packages { name, size, .. } = *self;
            let environment = Environment { name, size, folder, lock, pins: &pins };
            environment.set_up(|_| Ok(()))?;
            anyhow::Ok(environment.folder.join("bin/python3"))
        };
        set_up()
            .inspect_err(|error| {
                eprintln!("warning: tests that need {} are left out: {error:#}", self.variable);
            })
            .ok()
            .map(|python| (self.variable, python.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_is_pinned_and_both_lists_agree() {
        let pinned = |packages: &Packages| {
            let pair = |pin: &'static str| pin.split_once("==").filter(|(_, version)| !version.is_empty());
            packages.pins.lines().map(|pin| pair(pin).expect(pin)).collect::<Vec<_>>()
        };
        let torch = pinned(&TORCH);
        assert!(!pinned(&COCOTB).is_empty());
        for pin in pinned(&ONNX) {
            assert!(torch.contains(&pin), "{pin:?}");
        }
    }
}
