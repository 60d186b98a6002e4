//! Shows a module to rust-hdl as a `Circuit`: a `Block` whose `update_all` runs the compiled netlist, above
//! the tree of scopes that rust-hdl's checks, printer and VCD probe walk.

use super::scope::Scope;
use crate::rtl::ir::module::Module;
use crate::rtl::sim::compile;
use crate::rtl::sim::engine::Engine;
use crate::rtl::sim::image::Place;
use rust_hdl::core::ast::Verilog;
use rust_hdl::core::block::Block;
use rust_hdl::core::check_error::check_all;
use rust_hdl::core::logic::Logic;
use rust_hdl::core::probe::Probe;

/// Holds a module with its state, ready for rust-hdl's `simulate`, probes and checks.
pub(crate) struct Circuit {
    pub engine: Engine,
    root: Scope,
    changed: bool,
}

impl Circuit {
    /// Compiles `module`, and runs rust-hdl's connection checks on it.
    ///
    /// # Panics
    /// Panics with what rust-hdl found, or with the path of a combinational cycle.
    pub fn new(module: &Module) -> Circuit {
        let (engine, instance, places) = compile::compile(module);
        let mut circuit = Circuit { engine, root: Scope::new(instance, &places), changed: false };
        circuit.connect_all();
        if let Err(error) = check_all(&circuit) {
            panic!("{}: {error:?}", module.name());
        }
        circuit
    }

    /// Returns where a net lives, by its path: `net`, or `child.….net`.
    pub fn place(&self, path: &str) -> Option<Place> {
        let mut scope = &self.root;
        let mut parts = path.split('.').peekable();
        loop {
            let part = parts.next()?;
            if parts.peek().is_none() {
                return scope.nets.iter().find(|net| net.name == part).map(|net| net.place);
            }
            scope = scope.children.iter().find(|child| child.name == part)?;
        }
    }

    /// Copies the present values into the nets, for probes.
    pub fn show(&mut self) {
        self.root.show(&self.engine);
    }
}

impl Logic for Circuit {
    fn update(&mut self) {}

    fn connect(&mut self) {
        self.root.connect();
    }

    fn hdl(&self) -> Verilog {
        self.root.hdl()
    }
}

impl Block for Circuit {
    fn connect_all(&mut self) {
        self.root.connect_all();
    }

    fn update_all(&mut self) {
        self.changed = self.engine.update();
    }

    fn has_changed(&self) -> bool {
        self.changed
    }

    fn accept(&self, name: &str, probe: &mut dyn Probe) {
        self.root.accept(name, probe);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtl::ir::expr::lit;
    use crate::rtl::ir::group::Group;
    use crate::rtl::ir::kernel::Kernel;
    use rust_hdl::core::module_defines::ModuleDefines;

    /// rust-hdl's own printer walks the same tree: it must meet every instance and the leaf's text.
    #[test]
    fn rust_hdl_prints_the_tree() {
        let mut k = Kernel::new("inverter", "");
        let (x, y) = (k.input("x", 3), k.output("y", 3));
        k.drive(y, !x);
        let inverter = k.build();
        let mut g = Group::new("twice", "");
        g.input("x", 3);
        g.output("y", 3);
        g.output("z", 3);
        g.child("a", &inverter);
        g.child("b", &inverter);
        g.child("c", &inverter);
        g.link("x", "a.x");
        g.link("a.y", "b.x");
        g.link("b.y", "y");
        g.tie("c.x", lit(5, 3));
        g.link("c.y", "z");
        let mut circuit = Circuit::new(&g.build());
        circuit.connect_all();
        let mut defines = ModuleDefines::default();
        circuit.accept("twice", &mut defines);
        let text = defines.defines();
        for part in
            ["inverter a(", "inverter b(", "inverter c(", ".x(x)", ".y(y)", "b$x = a$y", "assign y = ~x;"]
        {
            assert!(text.contains(part), "no `{part}` in {text}");
        }
    }
}
