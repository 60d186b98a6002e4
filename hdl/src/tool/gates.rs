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
use crate::tool::{self, verilator};
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
    let script = format!(
        "read_verilog {}; {} -top {}; select -assert-none t:$* t:$scopeinfo %d; tee -q -o cells.json stat \
         -json; \
         techmap -autoproc -map {models} {replaced}; opt_clean; write_verilog -noattr gates.v",
        verilog.join(" "),
        tools.synthesis,
        emission.top
    );
    let yosys = tool::find("yosys").map_err(RunError::from)?;
    run::run(&yosys, &["-q", "-l", "yosys.log", "-p", &script], folder, "yosys.log", watch)?;
    let counted: Value = serde_json::from_str(&run::read(&folder.join("cells.json"))?).unwrap_or_default();
    let counted = counted["design"]["num_cells_by_type"].as_object();
    let counted = counted.ok_or_else(|| RunError::Report {
        path: folder.join("cells.json"),
        expected: "`num_cells_by_type` of the design",
    })?;
    let cells = counted.iter().filter(|(kind, _)| !kind.starts_with('$'));
    let cells = cells.filter_map(|(kind, count)| Some((kind.clone(), count.as_u64()?))).collect();
    emission.files = vec![
        File { name: "gates.v".into(), text: run::read(&folder.join("gates.v"))? },
        File { name: "cells.v".into(), text: (*others).into() },
        File { name: "files.f".into(), text: "-Wno-fatal\ngates.v\ncells.v\n".into() },
    ];
    Ok(Gates { emission, cells })
}
