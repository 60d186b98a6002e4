//! Prints a structure as Verilog-2005: wires and instances with named connections. Child `conv` is instance
//! `u_conv`, and its port `m_data` is wire `conv_m_data`. Never checks.

use super::expr::literal;
use super::text;
use crate::rtl::ir::module::{Driver, End, Structure};
use crate::rtl::ir::names::INSTANCE;
use crate::rtl::ir::port::Direction;
use std::collections::HashMap;

/// Returns the module text, without the lines that open and close a file.
pub(crate) fn print(structure: &Structure) -> String {
    let mut out = text::comment(&structure.note);
    out += &text::header(&structure.name, structure.ports());
    let wiring = Wiring::new(structure);
    out += &wiring.declarations;
    for (index, (instance, module)) in structure.children.iter().enumerate() {
        let ports = module.ports();
        let column = ports.iter().map(|port| port.name.len()).max().unwrap_or(0);
        let lines: Vec<String> = ports
            .iter()
            .map(|port| {
                let end = End { child: Some(index), port: port.name.clone() };
                let net = match port.direction {
                    Direction::Out => wiring.net(&end),
                    Direction::In => match &structure.drivers[&end] {
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
        out += &format!("\n  {} {INSTANCE}{instance} (\n{}\n  );\n", module.name(), lines.join(",\n"));
    }
    out += &wiring.assigns;
    out += "\nendmodule\n";
    out
}

/// Says which net carries each source: an own port where it can, else a wire `instance_port`.
struct Wiring {
    names: HashMap<End, String>,
    declarations: String,
    assigns: String,
}

impl Wiring {
    fn new(structure: &Structure) -> Wiring {
        let mut wiring =
            Wiring { names: HashMap::new(), declarations: String::new(), assigns: String::new() };
        // The first own output that a source drives lends it its name.
        for sink in structure.order.iter().filter(|sink| sink.child.is_none()) {
            let Driver::Net(source) = &structure.drivers[sink] else { continue };
            if let Some(lender) = wiring.names.get(source) {
                wiring.assigns += &format!("\n  assign {} = {lender};\n", sink.port);
            } else {
                wiring.names.insert(source.clone(), sink.port.clone());
            }
        }
        for (child, (instance, module)) in structure.children.iter().enumerate() {
            let before = wiring.declarations.len();
            for port in module.ports().into_iter().filter(|port| port.direction == Direction::Out) {
                let end = End { child: Some(child), port: port.name.clone() };
                if wiring.names.contains_key(&end) {
                    continue;
                }
                let unused = if structure.ignored.contains(&end) { "unused_" } else { "" };
                let name = format!("{unused}{instance}_{}", port.name);
                wiring.declarations += &format!("  wire {}{name};\n", text::range(port.width));
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
