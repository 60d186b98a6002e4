//! Simulates at gate level: the emitted circuit as Yosys synthesizes it for a device, each cell replaced by
//! its vendor's model, so that Verilator runs what place and route would get. LUTs, carries, flip-flops and
//! iCE40's multipliers have Yosys' own models, block RAMs and other multipliers those in [`super::family`].
//!
//! Gate level is an emission like any other: the synthesized netlist, its cells replaced by their models,
//! goes through the same Verilator harness.

use crate::design::Design;
use crate::device::{Device, Family};
use crate::emit::{self, Emission, File};
use crate::tool::family::{Cells, FamilyTools};
use crate::tool::run::{self, RunError, Watch};
use crate::tool::{synthesis, verilator};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use thiserror::Error;

/// Says why there are no gates.
#[derive(Debug, Error)]
pub enum GatesError {
    /// There are no models of the family's cells.
    #[error("the plan's device is {0}: gates can be simulated for ecp5, ice40 and gowin devices")]
    Family(String),
    /// Synthesis failed.
    #[error(transparent)]
    Run(#[from] RunError),
}

/// Holds a circuit of a device's cells.
#[derive(Clone, Debug)]
pub struct Gates {
    /// The emission, which is simulated like the circuit from which it was made.
    pub emission: Emission,
    /// Number of cells of each kind, by the vendor's name.
    pub cells: BTreeMap<String, u64>,
}

/// Synthesizes `design` for its plan's device (an ECP5 where it names none) in `folder`, which must be there
/// and empty.
pub fn synthesize(design: &Design, folder: &Path, watch: Watch) -> Result<Gates, GatesError> {
    let device = design.plan.device.as_deref();
    let family = device.and_then(Device::find).map_or(Family::default(), |device| device.family);
    let tools = FamilyTools::of(family);
    let Some(Cells { models, replaced, others }) = &tools.cells else {
        return Err(GatesError::Family(device.unwrap_or_default().into()));
    };
    let mut emission = emit::emit(design);
    for file in verilator::sources(&emission) {
        run::write(folder, &file.name, &file.text)?;
    }
    let names = verilator::sources(&emission).map(|file| file.name.as_str());
    let verilog: Vec<&str> = names.filter(|name| name.ends_with(".v")).collect();
    let yosys = synthesis::synthesize(family, &verilog, emission.top, folder, watch)?;
    let cells = count(&synthesis::read(folder)?, emission.top);
    let cells = cells.ok_or_else(|| RunError::Report {
        path: folder.join(synthesis::NETLIST),
        expected: "the cells of the top module",
    })?;
    let script = format!(
        "read_json {}; select -assert-none t:$* t:$scopeinfo %d; techmap -autoproc -map {models} {replaced}; \
         opt_clean; write_verilog -noattr gates.v",
        synthesis::NETLIST
    );
    run::run(&yosys, &["-q", "-l", "gates.log", "-p", &script], folder, "gates.log", watch)?;
    emission.files = vec![
        File { name: "gates.v".into(), text: run::read(&folder.join("gates.v"))? },
        File { name: "cells.v".into(), text: (*others).into() },
        File { name: "files.f".into(), text: "-Wno-fatal\ngates.v\ncells.v\n".into() },
    ];
    Ok(Gates { emission, cells })
}

/// Counts the cells of the flattened module `top`.
fn count(netlist: &Value, top: &str) -> Option<BTreeMap<String, u64>> {
    let mut counts = BTreeMap::new();
    for cell in netlist["modules"][top]["cells"].as_object()?.values() {
        let kind = cell["type"].as_str()?;
        if !kind.starts_with('$') {
            *counts.entry(kind.to_owned()).or_default() += 1;
        }
    }
    Some(counts)
}
