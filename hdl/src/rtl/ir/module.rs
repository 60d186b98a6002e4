//! A module: a sealed description, leaf or structure, that is checked, printed and simulated. Never changes.

use super::expr::Expr;
use super::leaf::Leaf;
use super::part::Instance;
use super::port::{Direction, Port};
use std::collections::HashMap;
use std::sync::Arc;

/// A finished module. It is cheap to clone; two instances of one module share its text.
#[derive(Clone, Debug)]
pub struct Module(pub(crate) Arc<Body>);

/// What a module is inside.
#[derive(Debug)]
pub(crate) enum Body {
    Leaf(Leaf),
    Structure(Structure),
}

/// Instances and the links between their ports, as a plain record. [`super::group::Group`] builds it.
#[derive(Clone, Debug)]
pub(crate) struct Structure {
    pub name: String,
    /// The header comment.
    pub note: String,
    /// Own ports, `clk` and `rst` first: name, width, direction.
    pub own: Vec<(String, usize, Direction)>,
    /// Instances by name.
    pub children: Vec<(String, Module)>,
    /// What drives each sink; a sink is a child's input or an own output.
    pub drivers: HashMap<End, Driver>,
    /// Sinks in the order of linking, so that output does not depend on hashing.
    pub order: Vec<End>,
    /// Children's outputs that nothing reads, on purpose.
    pub ignored: Vec<End>,
}

/// A port of a child, or of the structure itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct End {
    pub child: Option<usize>,
    pub port: String,
}

/// The source of a link.
#[derive(Clone, Debug)]
pub(crate) enum Driver {
    /// A child's output or an own input.
    Net(End),
    /// A literal, at a child's input.
    Constant(Expr),
}

impl Module {
    pub(crate) fn leaf(leaf: Leaf) -> Module {
        Module(Arc::new(Body::Leaf(leaf)))
    }

    pub(crate) fn structure(structure: Structure) -> Module {
        Module(Arc::new(Body::Structure(structure)))
    }

    /// Returns the Verilog module name, which is also the name of its file.
    pub fn name(&self) -> &str {
        match &*self.0 {
            Body::Leaf(leaf) => &leaf.name,
            Body::Structure(structure) => &structure.name,
        }
    }

    /// Returns the ports in order of declaration, `clk` and `rst` first.
    pub fn ports(&self) -> Vec<Port> {
        let port =
            |(name, width, direction): (&str, usize, Direction)| Port { name: name.into(), width, direction };
        match &*self.0 {
            Body::Leaf(leaf) => leaf.ports().map(port).collect(),
            Body::Structure(structure) => structure.ports().map(port).collect(),
        }
    }

    /// Returns the RAMs with contents of this module and all below it, in order: bits of a word, and the
    /// words.
    pub fn filled_rams(&self) -> Vec<(usize, &[u64])> {
        match &*self.0 {
            Body::Leaf(leaf) => {
                let filled = leaf.memories.iter().filter(|memory| memory.write.is_some());
                filled.filter_map(|m| Some((m.word_bits, m.image.as_ref()?.data.as_slice()))).collect()
            }
            Body::Structure(structure) => {
                structure.children.iter().flat_map(|(_, child)| child.filled_rams()).collect()
            }
        }
    }

    /// Returns the instances of the library in this module and all below it, in order.
    pub fn instances(&self) -> Vec<&Instance> {
        match &*self.0 {
            Body::Leaf(leaf) => leaf.parts.iter().map(|part| &part.instance).collect(),
            Body::Structure(structure) => {
                structure.children.iter().flat_map(|(_, child)| child.instances()).collect()
            }
        }
    }

    /// Returns this leaf with all its parts printed in full, as they are simulated.
    ///
    /// # Panics
    /// Panics on a structure.
    #[cfg(test)]
    pub(crate) fn in_full(&self) -> Module {
        let Body::Leaf(leaf) = &*self.0 else { panic!("{}: no leaf", self.name()) };
        Module::leaf(Leaf { parts: vec![], ..leaf.clone() })
    }

    /// Returns the port of this name.
    pub fn port(&self, name: &str) -> Option<Port> {
        self.ports().into_iter().find(|port| port.name == name)
    }
}

impl Structure {
    pub(crate) fn ports(&self) -> impl Iterator<Item = (&str, usize, Direction)> {
        self.own.iter().map(|(name, width, direction)| (name.as_str(), *width, *direction))
    }

    /// Returns how an end reads in messages and in simulation paths.
    pub(crate) fn end_name(&self, end: &End) -> String {
        match end.child {
            Some(child) => format!("{}.{}", self.children[child].0, end.port),
            None => end.port.clone(),
        }
    }
}
