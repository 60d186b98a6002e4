//! Verilator and a C++ compiler, from Verilog and a harness to a program, which is kept in a cache folder under the hash of
//! everything that it was built from. Never runs what it built.

use super::{VerilatorError, at, tail};
use crate::emit::File;
use crate::tools::{self, Tool};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};

/// Options of every build; part of the cache's key.
const OPTIONS: [&str; 12] = [
    "--cc",
    "--exe",
    "--build",
    "-j",
    "0",
    "--x-assign",
    "unique",
    "--x-initial",
    "unique",
    "-CFLAGS",
    "-O2",
    // The precompiled header of Verilator's makefile does not suit every g++.
    "-MAKEFLAGS",
];
const MAKE_FLAGS: &str = "CFG_CXXFLAGS_PCH_I=-include CFG_GCH_IF_CLANG=";

/// What a program is built from.
pub(super) struct Source<'a> {
    /// Verilog and ROM images, and `files.f`, the list of what Verilator reads.
    pub files: Vec<&'a File>,
    /// The C++ file with `main`.
    pub harness: &'a str,
    /// Top module.
    pub top: &'a str,
    /// More options.
    pub options: Vec<&'a str>,
}

/// The program of `source`, built in a folder of its own below `cache` or found there. It reads ROM images relative to
/// that folder, two above it.
pub(super) fn build(source: &Source, cache: &Path) -> Result<PathBuf, VerilatorError> {
    let tool = tools::find("verilator")?;
    let folder = cache.join(format!("dq-sim-{}", key(source, &tool)));
    let program = |folder: &Path| folder.join(format!("obj_dir/V{}", source.top));
    if program(&folder).is_file() {
        return Ok(program(&folder));
    }
    std::fs::create_dir_all(cache).map_err(at(cache, "creating"))?;
    // Built beside its place and renamed, so that a broken build is never found again.
    let work =
        tempfile::Builder::new().prefix(".dq-sim-").tempdir_in(cache).map_err(at(cache, "creating"))?;
    let write = |name: &str, text: &str| {
        let path = work.path().join(name);
        std::fs::write(&path, text).map_err(at(&path, "writing"))
    };
    for file in &source.files {
        write(&file.name, &file.text)?;
    }
    write("harness.cpp", source.harness)?;
    let output = tool
        .command()
        .args(OPTIONS)
        .arg(MAKE_FLAGS)
        .args(["--top-module", source.top])
        .args(&source.options)
        .args(["-f", "files.f", "harness.cpp"])
        .current_dir(work.path())
        .output()
        .map_err(at(&tool.program, "starting"))?;
    if !output.status.success() {
        return Err(VerilatorError::Build(tail(&output)));
    }
    let work = work.keep();
    match std::fs::rename(&work, &folder) {
        Ok(()) => Ok(program(&folder)),
        // Another process was faster.
        Err(_) if program(&folder).is_file() => {
            std::fs::remove_dir_all(&work).map_err(at(&work, "removing"))?;
            Ok(program(&folder))
        }
        Err(source) => Err(at(&folder, "renaming the build to")(source)),
    }
}

fn key(source: &Source, tool: &Tool) -> String {
    let mut hash = Sha256::new();
    let mut add = |text: &str| {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    };
    for file in &source.files {
        add(&file.name);
        add(&file.text);
    }
    add(source.harness);
    add(source.top);
    OPTIONS.iter().chain(&source.options).for_each(|option| add(option));
    add(MAKE_FLAGS);
    add(&tool.program.to_string_lossy());
    hash.finalize()[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}
