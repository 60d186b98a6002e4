//! Parts of a leaf that stand in the Verilog as one instance of a module of the library. Their nets, memories
//! and processes are the leaf's own wherever a circuit is checked or simulated; the printer alone leaves them
//! out, since the library's text describes the same circuit. Tests prove that it does.

use super::expr::{Expr, Sig};
use std::ops::Range;

/// A module that is written by hand, in Verilog, with parameters.
#[derive(Debug, PartialEq, Eq)]
pub struct Library {
    /// Verilog module name, which is also the name of its file.
    pub name: &'static str,
    /// The module, from its comment to `endmodule`.
    pub text: &'static str,
}

/// An instance of a module of the library; its ports `clk` and `rst` are those of the leaf.
#[derive(Clone, Debug)]
pub struct Instance {
    /// The module.
    pub library: &'static Library,
    /// Name within the leaf, printed behind `u_`.
    pub name: String,
    /// Parameters, by name.
    pub parameters: Vec<(&'static str, usize)>,
    /// All other ports, by name.
    pub ports: Vec<(&'static str, Connection)>,
}

/// What a port of an instance is connected to.
#[derive(Clone, Debug)]
pub enum Connection {
    /// An input follows this expression.
    In(Expr),
    /// An output drives this net.
    Out(Sig),
}

/// An instance and what it stands for.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub instance: Instance,
    /// Numbers of the nets inside.
    pub nets: Range<usize>,
    /// Numbers of the clocked processes inside.
    pub blocks: Range<usize>,
    /// Numbers of the memories inside.
    pub memories: Range<usize>,
}

impl Part {
    /// Returns the nets that its instance drives.
    pub fn outputs(&self) -> impl Iterator<Item = Sig> {
        self.instance.ports.iter().filter_map(|(_, connection)| match connection {
            Connection::Out(sig) => Some(*sig),
            Connection::In(_) => None,
        })
    }

    /// Returns what its instance reads.
    pub fn inputs(&self) -> impl Iterator<Item = &Expr> {
        self.instance.ports.iter().filter_map(|(_, connection)| match connection {
            Connection::In(value) => Some(value),
            Connection::Out(_) => None,
        })
    }

    /// Says whether net `id` is inside, or driven from inside.
    pub fn makes(&self, id: usize) -> bool {
        self.nets.contains(&id) || self.outputs().any(|sig| sig.id as usize == id)
    }
}
