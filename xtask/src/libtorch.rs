//! Finds libtorch for `tch`: the one that `LIBTORCH` names, else the torch that python3 already has, else one
//! that pip fetches.
//!
//! What is fetched lands in `.libtorch/` in the working tree (not in `target/`, or `cargo clean` would fetch
//! it again). Wheels are kept until everything is in place, and `.libtorch/torch` appears last, by a rename:
//! after an interruption the same command goes on. Never imports torch, never changes python's packages.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, bail, ensure};

/// Version of the libtorch that `tch` 0.24 is made for.
const VERSION: &str = "2.11.0";

/// The wheels that the CPU build needs: torch itself, and two CUDA libraries that its `libtorch_cpu.so` links
/// to.
const WHEELS: &[&str] = &["torch==2.11.0", "nvidia-cuda-runtime==13.0.96", "nvidia-cuda-cupti==13.0.85"];

/// Beginnings of the paths that are unpacked of the wheels; the rest, 4 GB, is for CUDA and for Python.
const KEPT: &[&str] = &[
    "torch/include/",
    "torch/lib/libc10.so",
    "torch/lib/libgomp",
    "torch/lib/libtorch_cpu.so",
    "nvidia/cu13/lib/libcudart.so",
    "nvidia/cu13/lib/libcupti.so",
];

/// Python program that prints the folder of python's own torch, if it is of the version `argv[1]`. It does
/// not import torch.
const FIND: &str = "\
import importlib.metadata, importlib.util, os, sys
if importlib.metadata.version('torch').split('+')[0] == sys.argv[1]:
    print(os.path.dirname(importlib.util.find_spec('torch').origin))";

/// Python program that unpacks wheels. `argv`: folder of wheels, destination, then beginnings of the paths to
/// unpack.
const UNPACK: &str = "\
import glob, sys, zipfile
for wheel in glob.glob(sys.argv[1] + '/*.whl'):
    with zipfile.ZipFile(wheel) as archive:
        kept = [n for n in archive.namelist() if n.startswith(tuple(sys.argv[3:]))]
        archive.extractall(sys.argv[2], kept)";

/// Puts libtorch where the build looks for it, unless it is there; a second call at the same time waits for
/// the first.
pub fn set_up() -> anyhow::Result<()> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().context("xtask lies in the workspace")?;
    let folder = root.join(".libtorch");
    let place = folder.join("torch");
    // `.cargo/config.toml` sets LIBTORCH to `place` where the user has not set it.
    if let Some(named) = std::env::var_os("LIBTORCH").map(PathBuf::from).filter(|named| *named != place) {
        ensure!(
            is_libtorch(&named),
            "LIBTORCH names {}, which has no lib/libtorch_cpu.so and include/",
            named.display()
        );
        eprintln!("libtorch: that of LIBTORCH ({})", named.display());
        return Ok(());
    }
    fs::create_dir_all(&folder).with_context(|| format!("making {}", folder.display()))?;
    let lock = File::create(folder.join("lock")).context("opening libtorch's lock file")?;
    lock.lock().context("waiting for another set-up of libtorch")?;
    if is_libtorch(&place) {
        return Ok(());
    }
    let found = python(&["-c", FIND, VERSION]).ok().map(PathBuf::from).filter(|found| is_libtorch(found));
    match found {
        Some(found) => link(&found, &folder),
        None => fetch(&folder).with_context(|| format!("fetching libtorch into {}", folder.display())),
    }
}

/// Returns whether `folder` holds a libtorch that can be built against.
fn is_libtorch(folder: &Path) -> bool {
    folder.join("lib/libtorch_cpu.so").is_file() && folder.join("include").is_dir()
}

/// Links to python's torch, and to the CUDA libraries beside it, which its own libraries look for at
/// `../../nvidia`.
fn link(torch: &Path, folder: &Path) -> anyhow::Result<()> {
    eprintln!("libtorch: python's torch {VERSION} at {}", torch.display());
    let beside = torch.parent().context("python's torch lies in a folder of packages")?.join("nvidia");
    for (target, name) in [(beside.as_path(), "nvidia"), (torch, "torch")] {
        let link = folder.join(name);
        remove(&link)?;
        if target.is_dir() {
            symlink(target, &link)
                .with_context(|| format!("linking {} to {}", link.display(), target.display()))?;
        }
    }
    Ok(())
}

/// Downloads the wheels, unpacks what is needed of them, and renames it into place.
fn fetch(folder: &Path) -> anyhow::Result<()> {
    if cfg!(not(all(target_os = "linux", target_arch = "x86_64"))) {
        bail!("there are no known wheels for this kind of machine: set LIBTORCH to a libtorch {VERSION}");
    }
    let wheels = folder.join("wheels");
    eprintln!("libtorch: fetching version {VERSION} (544 MB, 500 MB on disk)");
    let mut pip = Command::new("python3");
    pip.args(["-m", "pip", "download", "--disable-pip-version-check", "--no-input", "--no-deps"]);
    // The wheels' libraries are the same for every Python, so pip is asked for a Python that surely has them.
    pip.args(["--only-binary=:all:", "--python-version", "3.11", "--implementation", "cp", "--abi", "cp311"]);
    pip.args(["--abi", "none", "--platform", "manylinux_2_28_x86_64", "--platform", "manylinux_2_25_x86_64"]);
    pip.args(["--platform", "manylinux2014_x86_64", "--dest"]).arg(&wheels);
    let status = pip.args(WHEELS).stdout(Stdio::null()).status().context("starting python3 -m pip")?;
    ensure!(status.success(), "pip could not fetch the wheels ({status}): is the package index reachable?");

    let new = folder.join("new");
    remove(&new)?;
    let path = |p: &Path| p.to_str().map(str::to_owned).context("the path of the workspace is not UTF-8");
    let arguments = [UNPACK.to_owned(), path(&wheels)?, path(&new)?];
    let arguments: Vec<&str> = ["-c"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
    python(&[&arguments, KEPT].concat()).context("unpacking the wheels")?;
    stand_in(&new.join("torch/lib/libtorch.so"))?;
    // torch-sys compares this with what it is made for.
    fs::write(new.join("torch/build-version"), format!("{VERSION}\n")).context("writing build-version")?;
    ensure!(is_libtorch(&new.join("torch")), "the wheels do not hold what was expected of version {VERSION}");
    for name in ["nvidia", "torch"] {
        remove(&folder.join(name))?;
        fs::rename(new.join(name), folder.join(name)).with_context(|| format!("moving {name} into place"))?;
    }
    remove(&new)?;
    remove(&wheels)
}

/// Makes an empty `libtorch.so`: torch-sys links to it, and the wheel's own would ask for all of CUDA.
fn stand_in(library: &Path) -> anyhow::Result<()> {
    let compiler = std::env::var("CXX").unwrap_or_else(|_| "c++".to_owned());
    let mut command = Command::new(&compiler);
    command.args(["-shared", "-Wl,-soname,libtorch.so", "-x", "c++", "/dev/null", "-o"]).arg(library);
    let status = command.status().with_context(|| format!("starting the C++ compiler {compiler}"))?;
    ensure!(status.success(), "{compiler} could not link {}", library.display());
    Ok(())
}

/// Removes a link, file or folder, if it is there.
fn remove(path: &Path) -> anyhow::Result<()> {
    let done = match fs::symlink_metadata(path) {
        Err(_) => return Ok(()),
        Ok(data) if data.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
    };
    done.with_context(|| format!("removing {}", path.display()))
}

/// Returns what python3 prints, without the line end.
fn python(args: &[&str]) -> anyhow::Result<String> {
    let output =
        Command::new("python3").args(args).stdin(Stdio::null()).output().context("starting python3")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "python3: {}", said.trim().lines().last().unwrap_or("failed"));
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Makes an empty folder of this test alone.
    fn empty(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("dq-xtask-{name}-{}", std::process::id()));
        remove(&folder).unwrap();
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn a_linked_torch_is_complete_and_replaces_what_was_there() {
        let folder = empty("link");
        let packages = folder.join("packages");
        for inner in ["torch/lib", "torch/include", "nvidia/cu13/lib"] {
            fs::create_dir_all(packages.join(inner)).unwrap();
        }
        let (torch, ours) = (packages.join("torch"), folder.join("ours"));
        assert!(!is_libtorch(&torch));
        fs::write(torch.join("lib/libtorch_cpu.so"), "").unwrap();
        fs::create_dir_all(ours.join("torch/half")).unwrap();
        link(&torch, &ours).unwrap();
        assert!(is_libtorch(&ours.join("torch")) && ours.join("torch/lib/../../nvidia/cu13/lib").is_dir());
        assert!(ours.join("nvidia").is_dir());
        remove(&folder).unwrap();
    }

    #[test]
    fn only_what_is_kept_is_unpacked() {
        let folder = empty("unpack");
        let wheel = folder.join("a.whl");
        let script = "import sys, zipfile
with zipfile.ZipFile(sys.argv[1], 'w') as z:
    z.writestr('torch/lib/libc10.so', 'x')
    z.writestr('torch/bin/y', 'y')";
        python(&["-c", script, wheel.to_str().unwrap()]).unwrap();
        let to = folder.join("to");
        python(&[&["-c", UNPACK, folder.to_str().unwrap(), to.to_str().unwrap()], KEPT].concat()).unwrap();
        assert!(to.join("torch/lib/libc10.so").is_file() && !to.join("torch/bin").exists());
        let error = python(&["-c", "raise SystemExit('no such wheel')"]).unwrap_err().to_string();
        assert!(error.contains("no such wheel"), "{error}");
        remove(&folder).unwrap();
    }
}
