//! Emits circuits as a folder, and as programs that Verilator builds, which are kept in the user's cache.

use super::folder;
use anyhow::{Result, bail};
use dq_hdl::design::Design;
use dq_hdl::emit::Emission;
use dq_hdl::verilator::Simulator;
use std::path::{Path, PathBuf};

/// Says what is written beside a circuit.
#[derive(Clone, Copy, Default)]
pub struct Extras<'a> {
    /// The top with the ports that block designers infer.
    pub axi_top: bool,
    /// The part that scripts for Vivado are for; they are of that top.
    pub vivado: Option<&'a str>,
}

/// Emits `design` into folder `output`, whole or not at all. `plan` is the file of its plan, where the user
/// gave one: it may be the folder's own, edited.
pub fn emit(design: &Design, output: &Path, extras: Extras, plan: Option<&Path>) -> Result<Emission> {
    let mut emission = dq_hdl::emit::emit(design);
    if extras.axi_top || extras.vivado.is_some() {
        emission.files.push(dq_hdl::wrapper::file(design, &emission));
    }
    if let Some(part) = extras.vivado {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        if part.is_empty() || !part.chars().all(plain) {
            bail!("--vivado: expected a part such as xc7z020clg400-1, found `{part}`");
        }
        emission.files.extend(dq_hdl::vivado::files(design, &emission, part));
    }
    let texts = emission.files.iter().map(|file| (file.name.clone(), file.text.clone().into_bytes()));
    let weights = emission.weights.iter().map(|file| (file.name.clone(), file.bytes.clone()));
    let files: Vec<(String, Vec<u8>)> = texts.chain(weights).collect();
    folder::publish(output, &files, plan)?;
    Ok(emission)
}

/// Builds the emitted Verilog as a program, which is kept in the user's cache.
pub fn verilated(emission: &Emission) -> Result<Simulator> {
    Ok(Simulator::build(emission, &simulators()?)?)
}

/// Returns the folder of built simulators in the user's cache.
pub fn simulators() -> Result<PathBuf> {
    Ok(dq_hdl::tool::cache_folder()?.join("simulators"))
}
