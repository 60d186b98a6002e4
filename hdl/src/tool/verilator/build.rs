//! Verilator and a C++ compiler, from Verilog and a harness to a program, which is kept in a cache folder under the hash of
//! everything that it was built from. Never runs what it built.

use super::{VerilatorError, at, tail};
use crate::emit::File;
use crate::tool::{self, Tool};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

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
    let tool = tool::find("verilator")?;
    let folder = cache.join(format!("dq-sim-{}", key(source, &tool)));
    let program = |folder: &Path| folder.join(format!("obj_dir/V{}", source.top));
    if program(&folder).is_file() {
        return Ok(program(&folder));
    }
    std::fs::create_dir_all(cache).map_err(at(cache, "creating"))?;
    let cache = std::path::absolute(cache).map_err(at(cache, "finding"))?;
    // Built beside its place and renamed, so that a broken build is never found again.
    let work = temporary(&cache)?;
    if is_plain(&cache) {
        compile(source, &tool, work.path())?;
    } else {
        let elsewhere = temporary(&plain_folder(std::env::temp_dir(), &cache)?)?;
        compile(source, &tool, elsewhere.path())?;
        copy_build(source, elsewhere.path(), work.path())?;
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

/// Whether make and the makefiles that Verilator writes take `path` as one word.
fn is_plain(path: &Path) -> bool {
    let plain = |c: char| c.is_alphanumeric() || "/._-+@,".contains(c);
    path.to_str().is_some_and(|path| path.chars().all(plain))
}

/// `temporary`, the system's folder for temporary files, in which a program for `cache` can be built.
fn plain_folder(temporary: PathBuf, cache: &Path) -> Result<PathBuf, VerilatorError> {
    match is_plain(&temporary) {
        true => Ok(temporary),
        false => Err(VerilatorError::Folders { cache: cache.into(), temporary }),
    }
}

fn temporary(folder: &Path) -> Result<TempDir, VerilatorError> {
    tempfile::Builder::new().prefix(".dq-sim-").tempdir_in(folder).map_err(at(folder, "creating"))
}

/// Writes `source` into `folder` and builds its program there.
fn compile(source: &Source, tool: &Tool, folder: &Path) -> Result<(), VerilatorError> {
    let write = |name: &str, text: &str| {
        let path = folder.join(name);
        std::fs::write(&path, text).map_err(at(&path, "writing"))
    };
    for file in &source.files {
        write(&file.name, &file.text)?;
    }
    write("harness.cpp", source.harness)?;
    let tool = plain_tool(tool, folder)?;
    let output = tool
        .command()
        .args(OPTIONS)
        .arg(MAKE_FLAGS)
        .args(["--top-module", source.top])
        .args(&source.options)
        .args(["-f", "files.f", "harness.cpp"])
        .current_dir(folder)
        .output()
        .map_err(at(&tool.program, "starting"))?;
    if output.status.success() { Ok(()) } else { Err(VerilatorError::Build(tail(&output))) }
}

/// `tool`, or where make could not read its place, the same through a link in `folder`.
fn plain_tool(tool: &Tool, folder: &Path) -> Result<Tool, VerilatorError> {
    let (false, Some(root)) = (is_plain(&tool.program), tool.program.ancestors().nth(2)) else {
        return Ok(tool.clone());
    };
    let link = folder.join("verilator");
    std::os::unix::fs::symlink(root, &link).map_err(at(&link, "linking to Verilator's folder"))?;
    let env = vec![("VERILATOR_ROOT", link.clone().into_os_string())];
    Ok(Tool { name: tool.name, program: link.join("bin/verilator"), env })
}

/// Copies what a built program needs when it runs.
fn copy_build(source: &Source, from: &Path, to: &Path) -> Result<(), VerilatorError> {
    let program = format!("obj_dir/V{}", source.top);
    let images = source.files.iter().map(|file| file.name.as_str()).filter(|name| name.ends_with(".mem"));
    std::fs::create_dir(to.join("obj_dir")).map_err(at(to, "creating obj_dir in"))?;
    for name in [program.as_str()].into_iter().chain(images) {
        std::fs::copy(from.join(name), to.join(name)).map_err(at(&to.join(name), "copying the build to"))?;
    }
    Ok(())
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
        let Some(tool) = tool::require("verilator") else { return };
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| File { name: name.into(), text: text.into() };
        let files = [file("top.v", SOURCE), file("image.mem", "05\n2a\n"), file("files.f", "top.v\n")];
        let source = Source { files: files.iter().collect(), harness: HARNESS, top: "top", options: vec![] };
        let program = build(&source, &folder.path().join("a user's cache")).unwrap();
        assert!(program.starts_with(folder.path().join("a user's cache")));
        let output = std::process::Command::new(&program)
            .current_dir(program.ancestors().nth(2).unwrap())
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "42");

        let root = tool.program.ancestors().nth(2).unwrap();
        let spaced = folder.path().join("my tools");
        std::os::unix::fs::symlink(root, &spaced).unwrap();
        let env = vec![("VERILATOR_ROOT", spaced.clone().into_os_string())];
        let tool = Tool { name: "verilator", program: spaced.join("bin/verilator"), env };
        let work = folder.path().join("work");
        std::fs::create_dir(&work).unwrap();
        compile(&source, &tool, &work).unwrap();
        assert!(work.join("obj_dir/Vtop").is_file());

        let error = plain_folder("/tmp/t m p".into(), Path::new("/a b")).unwrap_err().to_string();
        assert!(
            error.contains("`/a b`") && error.contains("`/tmp/t m p`") && error.contains("TMPDIR"),
            "{error}"
        );
    }
}
