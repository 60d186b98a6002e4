//! Lists what there is to prove of a design: each distinct module's contract, and that of the library's modules
//! once for each set of parameters. Proves nothing.

use crate::design::Design;
use crate::emit::Emission;
use crate::pipeline::{Stage, Unrolled};
use crate::rtl::File;
use std::collections::BTreeSet;

/// What is to be proved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// Module.
    pub module: String,
    /// Its parameters, if it is a module of the library: that one is proved alone, for everything that a
    /// stage may do within its side of the contract.
    pub parameters: Vec<(&'static str, usize)>,
    /// Verilog files that it needs.
    pub files: Vec<String>,
    /// A module of the proof's own, which is not emitted.
    pub harness: Option<File>,
    /// What it says.
    pub property: &'static str,
    /// Steps of the induction, or cycles that are unrolled from reset.
    pub steps: usize,
    /// Whether by induction.
    pub induction: bool,
}

impl Task {
    /// The module, with its parameters where it has any.
    pub fn title(&self) -> String {
        let parameters: Vec<String> =
            self.parameters.iter().map(|(name, value)| format!(".{name}({value})")).collect();
        match parameters.is_empty() {
            true => self.module.clone(),
            false => format!("{} #({})", self.module, parameters.join(", ")),
        }
    }
}

/// Steps by which the contract of a module of the library is proved: it looks one cycle back.
const LIBRARY_STEPS: usize = 3;

/// All tasks of a design, each distinct module once, those of the library once for each set of parameters.
pub fn tasks(design: &Design, emission: &Emission) -> Vec<Task> {
    let mut seen = BTreeSet::new();
    let mut tasks = vec![];
    for Stage { site, kind } in &design.stages {
        let name = kind.module_name(site);
        if !seen.insert(name.clone()) {
            continue;
        }
        let files = files(emission, &name);
        let steps = site.latency as usize + 3;
        let property = kind.property();
        let parameters = vec![];
        let contract =
            Task { module: name, parameters, files, harness: None, property, steps, induction: true };
        if let Some(Unrolled { harness, cycles, property }) = kind.unrolled(site) {
            tasks.push(Task {
                harness: Some(harness),
                property,
                steps: cycles,
                induction: false,
                ..contract.clone()
            });
        }
        tasks.push(contract);
    }
    for instance in design.top.instances() {
        let task = Task {
            module: instance.library.name.into(),
            parameters: instance.parameters.clone(),
            files: files(emission, instance.library.name),
            harness: None,
            property: "beats in order, none lost",
            steps: LIBRARY_STEPS,
            induction: true,
        };
        if !tasks.contains(&task) {
            tasks.push(task);
        }
    }
    tasks
}

/// The module's own file and those of the modules below it.
fn files(emission: &Emission, module: &str) -> Vec<String> {
    let mut found = vec![format!("{module}.v")];
    let mut at = 0;
    while at < found.len() {
        let text = emission.files.iter().find(|file| file.name == found[at]).map_or("", |file| &file.text);
        for line in text.lines().filter(|line| line.trim_end().ends_with('(')) {
            let child = line.split_whitespace().next().map(|word| format!("{word}.v")).unwrap_or_default();
            if emission.files.iter().any(|file| file.name == child) && !found.contains(&child) {
                found.push(child);
            }
        }
        at += 1;
    }
    found
}
