//! `Module`: a sealed description, leaf or group, that is printed, checked and simulated. Never changes.

use super::group::Group;
use super::kernel::Kernel;
use std::sync::Arc;

/// A finished module. Cheap to clone; two instances of one module share its text.
#[derive(Clone, Debug)]
pub struct Module(pub(crate) Arc<Body>);

#[derive(Debug)]
pub(crate) enum Body {
    Leaf(Kernel),
    Group(Group),
}

/// Which way a port points.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Read by the module.
    In,
    /// Driven by the module.
    Out,
}

/// A port of a module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Verilog name.
    pub name: String,
    /// Bits.
    pub width: usize,
    /// Which way it points.
    pub direction: Direction,
}

impl Module {
    pub(crate) fn leaf(kernel: Kernel) -> Module {
        Module(Arc::new(Body::Leaf(kernel)))
    }

    pub(crate) fn group(group: Group) -> Module {
        Module(Arc::new(Body::Group(group)))
    }

    /// Verilog module name; also the name of its file.
    pub fn name(&self) -> &str {
        match &*self.0 {
            Body::Leaf(kernel) => &kernel.name,
            Body::Group(group) => &group.name,
        }
    }

    /// Ports in order of declaration, `clk` and `rst` first.
    pub fn ports(&self) -> Vec<Port> {
        let port =
            |(name, width, direction): (&str, usize, Direction)| Port { name: name.into(), width, direction };
        match &*self.0 {
            Body::Leaf(kernel) => kernel.ports().map(port).collect(),
            Body::Group(group) => group.ports().map(port).collect(),
        }
    }

    /// The RAMs with contents of this module and all below it, in order: bits of a word, and the words.
    pub fn filled_rams(&self) -> Vec<(usize, &[u64])> {
        match &*self.0 {
            Body::Leaf(kernel) => {
                let filled = kernel.memories.iter().filter(|memory| memory.write.is_some());
                filled.filter_map(|m| Some((m.word_bits, m.image.as_ref()?.data.as_slice()))).collect()
            }
            Body::Group(group) => group.children.iter().flat_map(|(_, child)| child.filled_rams()).collect(),
        }
    }

    /// The port of this name.
    pub fn port(&self, name: &str) -> Option<Port> {
        self.ports().into_iter().find(|port| port.name == name)
    }
}
