//! Emission: a module and everything below it as named texts: one `.v` file a distinct module, one `.mem` file a ROM.
//! Never touches the disk.

use super::expr::literal;
use super::leaf;
use crate::rtl::ir::group::{Driver, End, Group};
use crate::rtl::ir::kernel::Kernel;
use crate::rtl::ir::module::{Body, Direction, Module};
use crate::rtl::ir::words;
use std::collections::HashMap;

/// A file to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// Name within the output folder.
    pub name: String,
    /// Whole text.
    pub text: String,
}

/// Two different things under one name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EmitError {
    /// Two modules of the same name differ.
    #[error("two different modules are both named `{0}`")]
    ModuleClash(String),
    /// Two ROMs of the same file name differ in contents.
    #[error("two different ROMs both use the file `{0}`")]
    FileClash(String),
}

/// Everything below `top`, `top` first, each module and ROM once, in order of first appearance. The lines of `banner`
/// open every `.v` file. The same description gives the same bytes.
///
/// # Errors
/// Two different modules or ROM files share a name.
pub fn emit(top: &Module, banner: &str) -> Result<Vec<File>, EmitError> {
    let mut files = Files::default();
    files.module(top, banner)?;
    Ok(files.list)
}

#[derive(Default)]
struct Files {
    list: Vec<File>,
    by_name: HashMap<String, usize>,
}

impl Files {
    fn module(&mut self, module: &Module, banner: &str) -> Result<(), EmitError> {
        let text = match &*module.0 {
            Body::Leaf(kernel) => leaf::kernel(kernel),
            Body::Group(group) => structure(group),
        };
        let file = File { name: format!("{}.v", module.name()), text: leaf::file(banner, &text) };
        self.add(file, || EmitError::ModuleClash(module.name().into()))?;
        match &*module.0 {
            Body::Leaf(kernel) => self.roms(kernel),
            Body::Group(group) => group.children.iter().try_for_each(|(_, child)| self.module(child, banner)),
        }
    }

    fn roms(&mut self, kernel: &Kernel) -> Result<(), EmitError> {
        for memory in &kernel.memories {
            let Some(image) = memory.preset() else { continue };
            let line = |word: &[u64]| words::to_hex(word, memory.word_bits) + "\n";
            let text = image.data.chunks(words::words_for(memory.word_bits)).map(line).collect();
            let file = File { name: image.file.clone(), text };
            self.add(file, || EmitError::FileClash(image.file.clone()))?;
        }
        Ok(())
    }

    fn add(&mut self, file: File, clash: impl Fn() -> EmitError) -> Result<(), EmitError> {
        match self.by_name.get(&file.name) {
            Some(&at) if self.list[at].text == file.text => Ok(()),
            Some(_) => Err(clash()),
            None => {
                self.by_name.insert(file.name.clone(), self.list.len());
                self.list.push(file);
                Ok(())
            }
        }
    }
}

/// A group as Verilog: wires and instances.
fn structure(group: &Group) -> String {
    let mut out = leaf::comment(&group.note);
    out += &leaf::header(&group.name, group.ports());
    let wiring = Wiring::new(group);
    out += &wiring.declarations;
    for (index, (instance, module)) in group.children.iter().enumerate() {
        let ports = module.ports();
        let column = ports.iter().map(|port| port.name.len()).max().unwrap_or(0);
        let lines: Vec<String> = ports
            .iter()
            .map(|port| {
                let end = End { child: Some(index), port: port.name.clone() };
                let net = match port.direction {
                    Direction::Out => wiring.net(&end),
                    Direction::In => match &group.drivers[&end] {
                        Driver::Net(source) => wiring.net(source),
                        Driver::Constant(value) => {
                            let bits = value.literal().expect("tie() takes literals");
                            literal(bits, value.width, false)
                        }
                    },
                };
                format!("    .{:column$} ({net})", port.name)
            })
            .collect();
        out += &format!("\n  {} {instance} (\n{}\n  );\n", module.name(), lines.join(",\n"));
    }
    out += &wiring.assigns;
    out += "\nendmodule\n";
    out
}

/// Which net carries each source: an own port where it can, else a wire `instance_port`.
struct Wiring {
    names: HashMap<End, String>,
    declarations: String,
    assigns: String,
}

impl Wiring {
    fn new(group: &Group) -> Wiring {
        let mut wiring =
            Wiring { names: HashMap::new(), declarations: String::new(), assigns: String::new() };
        // The first own output that a source drives lends it its name.
        for sink in group.order.iter().filter(|sink| sink.child.is_none()) {
            let Driver::Net(source) = &group.drivers[sink] else { continue };
            if let Some(lender) = wiring.names.get(source) {
                wiring.assigns += &format!("\n  assign {} = {lender};\n", sink.port);
            } else {
                wiring.names.insert(source.clone(), sink.port.clone());
            }
        }
        for (child, (instance, module)) in group.children.iter().enumerate() {
            let before = wiring.declarations.len();
            for port in module.ports().into_iter().filter(|port| port.direction == Direction::Out) {
                let end = End { child: Some(child), port: port.name.clone() };
                if wiring.names.contains_key(&end) {
                    continue;
                }
                let unused = if group.ignored.contains(&end) { "unused_" } else { "" };
                let name = format!("{unused}{instance}_{}", port.name);
                wiring.declarations += &format!("  wire {}{name};\n", leaf::range(port.width));
                wiring.names.insert(end, name);
            }
            if before == 0 && !wiring.declarations.is_empty() {
                wiring.declarations.insert(0, '\n');
            }
        }
        wiring
    }

    fn net(&self, source: &End) -> String {
        match source.child {
            Some(_) => self.names[source].clone(),
            None => source.port.clone(),
        }
    }
}
