//! Synthesizes Verilog by Yosys to a netlist of a family's cells: Yosys's JSON, which place and route reads and
//! from which gates are simulated.

use super::Tool;
use super::family::FamilyTools;
use super::run::{self, RunError, Watch};
use crate::device::Family;
use serde_json::Value;
use std::fs::File;
use std::io::{BufReader, BufWriter};
use std::path::Path;

/// Name of the netlist.
pub const NETLIST: &str = "top.json";

/// Synthesizes `verilog`, files in `folder`, for `family`, and writes [`NETLIST`] there. Returns Yosys, for what
/// else it can do.
pub fn synthesize(
    family: Family,
    verilog: &[&str],
    top: &str,
    folder: &Path,
    watch: Watch,
) -> Result<Tool, RunError> {
    let family = FamilyTools::of(family);
    let synthesis = family.synthesis.replace("{top}", top);
    let script = format!("read_verilog {}; {synthesis}; write_json {NETLIST}", verilog.join(" "));
    let yosys = super::find("yosys")?;
    run::run(&yosys, &["-q", "-l", "yosys.log", "-p", &script], folder, "yosys.log", watch)?;
    if let Some(finish) = family.finish {
        let mut netlist = read(folder)?;
        finish(&mut netlist);
        let path = folder.join(NETLIST);
        let file = File::create(&path).map_err(run::at(&path, "creating"))?;
        serde_json::to_writer(BufWriter::new(file), &netlist)
            .map_err(|error| run::at(&path, "writing")(error.into()))?;
    }
    Ok(yosys)
}

/// Reads the netlist that was written to `folder`.
pub(super) fn read(folder: &Path) -> Result<Value, RunError> {
    let path = folder.join(NETLIST);
    let file = File::open(&path).map_err(run::at(&path, "reading"))?;
    serde_json::from_reader(BufReader::new(file)).map_err(|_| RunError::Report { path, expected: "JSON" })
}
