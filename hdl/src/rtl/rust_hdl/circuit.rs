//! `Circuit`: a module as rust-hdl sees it: a `Block` whose `update_all` runs the compiled netlist, and a tree of
//! scopes and atoms that rust-hdl's checks, printer and VCD probe walk. The one file that names rust-hdl's types.

use crate::rtl::ir::flatten::Instance;
use crate::rtl::ir::group::{Driver, End, Group};
use crate::rtl::ir::kernel::NetKind;
use crate::rtl::ir::module::{Body, Direction, Module};
use crate::rtl::ir::words;
use crate::rtl::sim::compile;
use crate::rtl::sim::engine::{Engine, Place};
use crate::rtl::verilog::leaf;
use rust_hdl::core::ast::{
    BlackBox, Verilog, VerilogExpression, VerilogLink, VerilogLinkDetails, VerilogLiteral, VerilogStatement,
};
use rust_hdl::core::atom::{Atom, AtomKind};
use rust_hdl::core::block::Block;
use rust_hdl::core::check_error::check_all;
use rust_hdl::core::constraint::PinConstraint;
use rust_hdl::core::logic::Logic;
use rust_hdl::core::probe::Probe;
use rust_hdl::core::signal::get_signal_id;
use rust_hdl::core::synth::{Synth, VCDValue};
use rust_hdl::core::type_descriptor::{TypeDescriptor, TypeKind};

/// A module with its state, ready for rust-hdl's `simulate`, probes and checks.
pub(crate) struct Circuit {
    pub engine: Engine,
    root: Scope,
    changed: bool,
}

/// A signal whose width is chosen at run time: what rust-hdl's typed `Signal` cannot be, its `Atom` can.
struct Net {
    name: String,
    place: Place,
    signed: bool,
    kind: AtomKind,
    connected: bool,
    changed: bool,
    value: Vec<u64>,
    id: usize,
}

/// An instance. It is passive: its nets show what the circuit's program computed.
struct Scope {
    name: String,
    module: Module,
    nets: Vec<Net>,
    children: Vec<Scope>,
}

/// Runs rust-hdl's connection checks on a group.
///
/// # Panics
/// Panics with what rust-hdl found.
pub(crate) fn check(module: &Module) {
    let mut circuit = Circuit::new(module);
    circuit.connect_all();
    if let Err(error) = check_all(&circuit) {
        panic!("{}: {error:?}", module.name());
    }
}

impl Circuit {
    pub fn new(module: &Module) -> Circuit {
        let (engine, instance, places) = compile::compile(module);
        Circuit { engine, root: Scope::new(instance, &places), changed: false }
    }

    /// Where a net lives, by its path: `net`, or `child.….net`.
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

impl Scope {
    fn new(instance: Instance, places: &[Place]) -> Scope {
        let net = |name: &str, at: usize, signed: bool, kind: AtomKind| Net {
            name: name.into(),
            place: places[at],
            signed,
            kind,
            connected: false,
            changed: false,
            value: vec![0; words::words_for(places[at].width)],
            id: get_signal_id(),
        };
        let nets = match &*instance.module.0 {
            Body::Leaf(kernel) => {
                let each = kernel.nets.iter().zip(&instance.nets);
                each.map(|(decl, &at)| {
                    let kind = match decl.kind {
                        NetKind::Input => AtomKind::InputParameter,
                        NetKind::Output(_) => AtomKind::OutputPassthrough,
                        NetKind::Wire(_) => AtomKind::StubOutputSignal,
                        NetKind::Reg(_) | NetKind::MemRead(_) | NetKind::Case { .. } => AtomKind::LocalSignal,
                    };
                    net(&decl.name, at, decl.sig.signed, kind)
                })
                .collect()
            }
            Body::Group(group) => {
                let each = group.ports().zip(&instance.nets);
                each.map(|((name, _, direction), &at)| {
                    let kind = match direction {
                        Direction::In => AtomKind::InputParameter,
                        Direction::Out => AtomKind::OutputPassthrough,
                    };
                    net(name, at, false, kind)
                })
                .collect()
            }
        };
        let children = instance.children.into_iter().map(|child| Scope::new(child, places)).collect();
        Scope { name: instance.name, module: instance.module, nets, children }
    }

    fn show(&mut self, engine: &Engine) {
        for net in &mut self.nets {
            let value = engine.value(net.place);
            net.changed = net.value != value;
            net.value.copy_from_slice(value);
        }
        self.children.iter_mut().for_each(|child| child.show(engine));
    }
}

impl Logic for Scope {
    fn update(&mut self) {}

    /// Everything but the own inputs is driven from inside; a group drives the inputs of its children by its links.
    fn connect(&mut self) {
        match &*self.module.0 {
            Body::Leaf(_) => {
                let inner = self.nets.iter_mut().filter(|net| net.kind != AtomKind::InputParameter);
                inner.for_each(|net| net.connected = true);
            }
            Body::Group(group) => {
                for sink in group.drivers.keys() {
                    let nets = match sink.child {
                        Some(child) => &mut self.children[child].nets,
                        None => &mut self.nets,
                    };
                    nets.iter_mut().filter(|net| net.name == sink.port).for_each(|net| net.connected = true);
                }
            }
        }
    }

    fn hdl(&self) -> Verilog {
        match &*self.module.0 {
            Body::Leaf(kernel) => {
                Verilog::Blackbox(BlackBox { name: kernel.name.clone(), code: leaf::kernel(kernel) })
            }
            Body::Group(group) => Verilog::Combinatorial(links(group)),
        }
    }
}

impl Block for Scope {
    fn connect_all(&mut self) {
        self.connect();
        self.children.iter_mut().for_each(|child| child.connect_all());
    }

    fn update_all(&mut self) {}

    fn has_changed(&self) -> bool {
        self.nets.iter().any(|net| net.changed) || self.children.iter().any(|child| child.has_changed())
    }

    fn accept(&self, name: &str, probe: &mut dyn Probe) {
        probe.visit_start_scope(name, self);
        self.nets.iter().for_each(|net| probe.visit_atom(&net.name, net));
        self.children.iter().for_each(|child| child.accept(&child.name, probe));
        probe.visit_end_scope(name, self);
    }
}

impl Atom for Net {
    fn bits(&self) -> usize {
        self.place.width
    }

    fn connected(&self) -> bool {
        self.connected
    }

    fn changed(&self) -> bool {
        self.changed
    }

    fn kind(&self) -> AtomKind {
        self.kind
    }

    fn descriptor(&self) -> TypeDescriptor {
        let width = self.place.width;
        let kind = if self.signed { TypeKind::Signed(width) } else { TypeKind::Bits(width) };
        TypeDescriptor { name: format!("net{width}"), kind }
    }

    fn vcd(&self) -> VCDValue {
        let bit = |at: usize| match Synth::vcd(words::bit(&self.value, at)) {
            VCDValue::Single(value) => value,
            _ => unreachable!("a bool is one bit"),
        };
        match self.place.width {
            1 => VCDValue::Single(bit(0)),
            width => VCDValue::Vector((0..width).rev().map(bit).collect()),
        }
    }

    fn id(&self) -> usize {
        self.id
    }

    /// rust-hdl prints this for `AtomKind::Constant` alone, which no net here is.
    fn verilog(&self) -> VerilogLiteral {
        self.value[0].into()
    }

    fn constraints(&self) -> Vec<PinConstraint> {
        vec![]
    }
}

/// The links of a group in rust-hdl's AST: own ports are links, siblings are assignments.
fn links(group: &Group) -> Vec<VerilogStatement> {
    let name = |end: &crate::rtl::ir::group::End| match end.child {
        Some(child) => format!("{}${}", group.children[child].0, end.port),
        None => end.port.clone(),
    };
    let statement = |sink: &crate::rtl::ir::group::End| {
        let target = name(sink);
        match &group.drivers[sink] {
            Driver::Net(source) if source.child.is_some() && sink.child.is_some() => {
                VerilogStatement::Assignment(
                    VerilogExpression::Signal(target),
                    VerilogExpression::Signal(name(source)),
                )
            }
            Driver::Net(source) => {
                VerilogStatement::Link(vec![VerilogLink::Bidirectional(VerilogLinkDetails {
                    my_name: String::new(),
                    owner_name: target,
                    other_name: name(source),
                })])
            }
            Driver::Constant(value) => {
                let bits = value.literal().expect("tie() takes literals");
                let literal = VerilogLiteral::from(bits[0]);
                VerilogStatement::Assignment(
                    VerilogExpression::Signal(target),
                    VerilogExpression::Literal(literal),
                )
            }
        }
    };
    group.order.iter().map(statement).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtl::{Kernel, lit};
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
