//! Builds a program from Verilog and a harness, by Verilator and a C++ compiler. It is kept in a cache folder
//! under the hash of everything that it was built from. Never runs what it built.

use super::folder::{copy_build, is_plain, plain_folder, plain_tool};
use super::runtime::Runtime;
use super::{VerilatorError, at, tail};
use crate::emit::File;
use crate::tool::{self, Tool, run};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Options of every build; they are part of the cache's key.
const OPTIONS: [&str; 9] =
    ["--cc", "--exe", "--build", "-j", "0", "--x-assign", "unique", "--x-initial", "unique"];
/// Options of make that avoid the precompiled header of Verilator's makefile, which does not suit every g++.
const MAKE_FLAGS: &str = "CFG_CXXFLAGS_PCH_I=-include CFG_GCH_IF_CLANG=";

/// Says how much the C++ compiler optimizes the code that runs in every cycle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Effort {
    /// For simulations of many cycles.
    #[default]
    Run,
    /// For simulations so short that building them takes longer.
    Build,
}

impl Effort {
    fn flags(self) -> &'static str {
        match self {
            Effort::Run => "OPT_FAST=-O2 OPT_GLOBAL=-O2",
            Effort::Build => "OPT_FAST=-O0 OPT_GLOBAL=-O0",
        }
    }
}

/// Holds what a program is built from.
pub(super) struct Source<'a> {
    /// Verilog and ROM images, and `files.f`, which lists what Verilator reads.
    pub files: Vec<&'a File>,
    /// Text of the C++ file with `main`.
    pub harness: &'a str,
    /// Name of the top module.
    pub top: &'a str,
    /// More options of Verilator.
    pub options: Vec<&'a str>,
    /// How much the code is optimized.
    pub effort: Effort,
}

/// Returns the program of `source`, built in a folder of its own below `cache` or found there. It reads ROM
/// images relative to that folder, two above it.
pub(super) fn build(source: &Source, cache: &Path) -> Result<PathBuf, VerilatorError> {
    let tool = tool::find("verilator")?;
    let folder = cache.join(format!("dq-sim-{}", key(source, &tool)));
    let program = |folder: &Path| folder.join(format!("obj_dir/V{}", source.top));
    if program(&folder).is_file() {
        return Ok(program(&folder));
    }
    std::fs::create_dir_all(cache).map_err(at(cache, "creating"))?;
    let cache = std::path::absolute(cache).map_err(at(cache, "finding"))?;
    let runtime = Runtime(cache.join(format!("dq-runtime-{}", runtime_key(source, &tool))));
    // The program is built beside its place and renamed, so that a broken build is never found again.
    let work = temporary(&cache)?;
    if is_plain(&cache) {
        compile(source, &tool, work.path(), &runtime)?;
    } else {
        let elsewhere = temporary(&plain_folder(std::env::temp_dir(), &cache)?)?;
        compile(source, &tool, elsewhere.path(), &runtime)?;
        let images = source.files.iter().map(|file| file.name.as_str()).filter(|name| name.ends_with(".mem"));
        let program = format!("obj_dir/V{}", source.top);
        copy_build(&program, images, elsewhere.path(), work.path())?;
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

fn temporary(folder: &Path) -> Result<TempDir, VerilatorError> {
    tempfile::Builder::new().prefix(".dq-sim-").tempdir_in(folder).map_err(at(folder, "creating"))
}

/// Writes `source` into `folder` and builds its program there, with the objects of `runtime` or giving them
/// to it.
fn compile(source: &Source, tool: &Tool, folder: &Path, runtime: &Runtime) -> Result<(), VerilatorError> {
    let write = |name: &str, text: &str| {
        run::write_file(folder, name, text).map_err(at(&folder.join(name), "writing"))
    };
    for file in &source.files {
        write(&file.name, &file.text)?;
    }
    write("harness.cpp", source.harness)?;
    let tool = plain_tool(tool, folder)?;
    let objects = folder.join("obj_dir");
    let flags = format!("{MAKE_FLAGS} {}{}", source.effort.flags(), runtime.give(&objects)?);
    let output = tool
        .command()
        .args(OPTIONS)
        .args(["-MAKEFLAGS", &flags])
        .args(["--top-module", source.top])
        .args(&source.options)
        .args(["-f", "files.f", "harness.cpp"])
        .current_dir(folder)
        .output()
        .map_err(at(&tool.program, "starting"))?;
    if !output.status.success() {
        return Err(VerilatorError::Build(tail(&output)));
    }
    runtime.keep(&objects)
}

/// Returns the key of a program: everything that it is built from.
fn key(source: &Source, tool: &Tool) -> String {
    let program = tool.program.to_string_lossy();
    let files = source.files.iter().flat_map(|file| [file.name.as_str(), file.text.as_str()]);
    let options = OPTIONS.iter().chain(&source.options).copied();
    let rest = [source.harness, source.top, MAKE_FLAGS, source.effort.flags(), &program];
    hash(files.chain(rest).chain(options))
}

/// Returns the key of the run-time library's objects: everything of a build that they depend on.
fn runtime_key(source: &Source, tool: &Tool) -> String {
    let program = tool.program.to_string_lossy();
    let options = source.options.iter().copied().filter(|option| option.starts_with("--trace"));
    hash([MAKE_FLAGS, source.effort.flags(), &program].into_iter().chain(OPTIONS).chain(options))
}

fn hash<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for text in texts {
        hash.update((text.len() as u64).to_le_bytes());
        hash.update(text);
    }
    hash.finalize()[..12].iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "module top (input wire a, output wire [7:0] y);
  reg [7:0] image [0:1];
  initial $readmemh(\"image.mem\", image);
  assign y = image[a];
endmodule
";
    const HARNESS: &str = "#include \"Vtop.h\"
#include <cstdio>
int main() { Vtop top; top.a = 1; top.eval(); printf(\"%d\", top.y); }
";

    /// A cache, and an installation of Verilator, where make could not work.
    #[test]
    fn folders_with_spaces_are_built_around() {
        let Some(found) = tool::require("verilator") else { return };
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| File { name: name.into(), text: text.into() };
        let files = [file("top.v", SOURCE), file("image.mem", "05\n2a\n"), file("files.f", "top.v\n")];
        let source = Source {
            files: files.iter().collect(),
            harness: HARNESS,
            top: "top",
            options: vec![],
            effort: Effort::Build,
        };
        let program = build(&source, &folder.path().join("a user's cache")).unwrap();
        assert!(program.starts_with(folder.path().join("a user's cache")));
        let output = std::process::Command::new(&program)
            .current_dir(program.ancestors().nth(2).unwrap())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "42");

        let root = found.program.ancestors().nth(2).unwrap();
        let spaced = folder.path().join("my tools");
        std::os::unix::fs::symlink(root, &spaced).unwrap();
        let env = vec![("VERILATOR_ROOT", spaced.clone().into_os_string())];
        let tool = Tool { name: "verilator", program: spaced.join("bin/verilator"), env };
        let work = folder.path().join("work");
        std::fs::create_dir(&work).unwrap();
        // The objects of the first build, which are found by their key.
        let runtime = Runtime(
            folder.path().join("a user's cache").join(format!("dq-runtime-{}", runtime_key(&source, &found))),
        );
        assert!(runtime.0.join("verilated.o").is_file());
        compile(&source, &tool, &work, &runtime).unwrap();
        assert!(work.join("obj_dir/Vtop").is_file());

        let error = plain_folder("/tmp/t m p".into(), Path::new("/a b")).unwrap_err().to_string();
        assert!(
            error.contains("`/a b`") && error.contains("`/tmp/t m p`") && error.contains("TMPDIR"),
            "{error}"
        );
    }
}
