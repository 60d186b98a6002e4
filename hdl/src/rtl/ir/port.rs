//! Ports of modules: name, width, direction.

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
