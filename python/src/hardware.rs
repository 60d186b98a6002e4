//! Plans and Verilog.

use crate::error::raise;
use crate::json::to_python;
use crate::network::Network;
use dq_hdl::design::Design;
use dq_hdl::device::{Budget, DEVICES, Device};
use dq_hdl::plan::{self, Output, Plan, Target};
use dq_hdl::stalls::Stalls;
use dq_hdl::{emit, netlist};
use pyo3::exceptions::PyFileExistsError;
use pyo3::prelude::*;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

/// What a circuit is planned for.
struct Wish {
    fps: Option<u64>,
    mhz: Option<u32>,
    device: Option<String>,
    output: String,
}

impl Wish {
    fn plan(&self, network: &dq_net::Network) -> PyResult<Plan> {
        let device = self.device.as_deref().map(find_device).transpose()?;
        let output = match self.output.as_str() {
            "scores" => Output::Scores,
            "label" => Output::Label,
            other => return Err(raise(format!("output: expected `scores` or `label`, found `{other}`"))),
        };
        let clock_mhz = self.mhz.unwrap_or(plan::DEFAULT_CLOCK_MHZ);
        if clock_mhz == 0 || self.fps == Some(0) {
            return Err(raise("fps, mhz: expected at least 1, found 0"));
        }
        let frames_per_second = match (self.fps, device) {
            (None, None) => return plan::default(network, output).map_err(raise),
            (None, Some(_)) => None,
            (fps, _) => fps,
        };
        let budget = device.map_or(Budget::NONE, Device::budget);
        let (detector, mac) = (None, plan::Mac::default());
        let target =
            Target { output, detector, clock_mhz, frames_per_second, device, budget, mac, stream: None };
        plan::choose(network, &target).map_err(raise)
    }
}

fn find_device(name: &str) -> PyResult<&'static Device> {
    let known = || DEVICES.iter().map(|device| device.name).collect::<Vec<_>>().join(", ");
    Device::find(name).ok_or_else(|| raise(format!("device: expected one of {}, found `{name}`", known())))
}

#[pymethods]
impl Network {
    /// Plan the circuit: PE, SIMD, memories and FIFO depths for a frame rate and a device.
    ///
    /// fps: frames per second to plan for; without it and with a device, as many as fit.
    /// mhz: clock in MHz (default 100).
    /// device: a name such as `ecp5-85f`; its resources bound the plan.
    /// output: `scores` or `label`: what leaves the circuit.
    ///
    /// Returns a dict of `plan` (what `--plan` of the command line reads) and `report`: exact cycles, frames
    /// per second, estimated resources of each stage.
    #[pyo3(signature = (*, fps=None, mhz=None, device=None, output="scores".to_owned()))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn plan<'py>(
        &self,
        py: Python<'py>,
        fps: Option<u64>,
        mhz: Option<u32>,
        device: Option<String>,
        output: String,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wish = Wish { fps, mhz, device, output };
        let found = py.detach(|| -> PyResult<_> {
            let plan = wish.plan(self.network())?;
            let design = Design::new(self.network(), &plan).map_err(raise)?;
            Ok(json!({"plan": plan, "report": emit::report(&design)}))
        })?;
        to_python(py, &found)
    }

    /// Write Verilog, ROM images, a self-checking testbench and plan.json into a new or empty folder.
    ///
    /// The other parameters are those of `plan`. Returns the report, as `plan()["report"]`.
    #[pyo3(signature = (folder, *, fps=None, mhz=None, device=None, output="scores".to_owned()))]
    #[expect(clippy::too_many_arguments, reason = "keywords in Python")]
    fn emit<'py>(
        &self,
        py: Python<'py>,
        folder: PathBuf,
        fps: Option<u64>,
        mhz: Option<u32>,
        device: Option<String>,
        output: String,
    ) -> PyResult<Bound<'py, PyAny>> {
        let wish = Wish { fps, mhz, device, output };
        let report = py.detach(|| -> PyResult<_> {
            let plan = wish.plan(self.network())?;
            let design = Design::new(self.network(), &plan).map_err(raise)?;
            let emission = emit::emit(&design);
            publish(&folder, emission.files.iter().map(|file| (file.name.as_str(), file.text.as_str())))?;
            Ok(emission.report)
        })?;
        to_python(py, &report)
    }

    /// Runs random images through the netlist, every register clock by clock under random stalls. Returns the
    /// number of words that were compared with the reference and the plan's cycles.
    #[pyo3(signature = (frames=1, *, seed=1))]
    fn verify_netlist(&self, py: Python, frames: usize, seed: u64) -> PyResult<usize> {
        py.detach(|| {
            let network = self.network();
            let plan = plan::default(network, Output::Scores).map_err(raise)?;
            let design = Design::new(network, &plan).map_err(raise)?;
            let images = dq_net::random::images(seed, frames, network.input());
            let stalls = Stalls::random(seed);
            let outcome = netlist::run(&design, images.view(), &stalls).map_err(raise)?;
            let expected = design.expected(images.view(), &stalls);
            if outcome.error || outcome.beats != expected {
                return Err(raise("the netlist differs from the reference: run `dq verify` for the place"));
            }
            Ok(expected.len())
        })
    }
}

/// Writes `files` into `folder`, all or none.
fn publish<'a>(folder: &Path, files: impl Iterator<Item = (&'a str, &'a str)>) -> PyResult<()> {
    let is_empty = || fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    if folder.exists() && !is_empty() {
        let message = format!("{}: expected a new or empty folder", folder.display());
        return Err(PyFileExistsError::new_err(message));
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let scratch = tempfile::Builder::new().prefix(".dqnet-").tempdir_in(parent)?;
    for (name, text) in files {
        dq_hdl::tool::run::write_file(scratch.path(), name, text)?;
    }
    if folder.exists() {
        fs::remove_dir(folder)?;
    }
    fs::rename(scratch.keep(), folder)?;
    Ok(())
}
