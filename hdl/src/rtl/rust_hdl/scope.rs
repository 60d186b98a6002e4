//! Shows the hierarchy as rust-hdl walks it: a tree of scopes (`Block`) with nets (`Atom`). The tree is
//! passive: its nets show what the engine computed.

use super::ast::links;
use crate::rtl::ir::flatten::Instance;
use crate::rtl::ir::leaf::NetKind;
use crate::rtl::ir::module::{Body, Module};
use crate::rtl::ir::port::Direction;
use crate::rtl::ir::words;
use crate::rtl::sim::engine::Engine;
use crate::rtl::sim::image::Place;
use crate::rtl::verilog::leaf;
use rust_hdl::core::ast::{BlackBox, Verilog, VerilogLiteral};
use rust_hdl::core::atom::{Atom, AtomKind};
use rust_hdl::core::block::Block;
use rust_hdl::core::constraint::PinConstraint;
use rust_hdl::core::logic::Logic;
use rust_hdl::core::probe::Probe;
use rust_hdl::core::signal::get_signal_id;
use rust_hdl::core::synth::{Synth, VCDValue};
use rust_hdl::core::type_descriptor::{TypeDescriptor, TypeKind};

/// Holds a signal whose width is chosen at run time: rust-hdl's typed `Signal` cannot do that, its `Atom`
/// can.
pub(crate) struct Net {
    pub name: String,
    pub place: Place,
    signed: bool,
    kind: AtomKind,
    connected: bool,
    changed: bool,
    value: Vec<u64>,
    id: usize,
}

/// Holds an instance. It is passive: its nets show what the circuit's program computed.
pub(crate) struct Scope {
    pub name: String,
    module: Module,
    pub nets: Vec<Net>,
    pub children: Vec<Scope>,
}

impl Scope {
    pub fn new(instance: Instance, places: &[Place]) -> Scope {
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
            Body::Leaf(record) => {
                let each = record.nets.iter().zip(&instance.nets);
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
            Body::Structure(structure) => {
                let each = structure.ports().zip(&instance.nets);
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

    /// Copies the present values into the nets.
    pub fn show(&mut self, engine: &Engine) {
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

    /// Says that everything except the own inputs is driven from inside; a group drives the inputs of its
    /// children by its links.
    fn connect(&mut self) {
        match &*self.module.0 {
            Body::Leaf(_) => {
                let inner = self.nets.iter_mut().filter(|net| net.kind != AtomKind::InputParameter);
                inner.for_each(|net| net.connected = true);
            }
            Body::Structure(structure) => {
                for sink in structure.drivers.keys() {
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
            Body::Leaf(record) => {
                Verilog::Blackbox(BlackBox { name: record.name.clone(), code: leaf::print(record) })
            }
            Body::Structure(structure) => Verilog::Combinatorial(links(structure)),
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

    /// Returns a value that rust-hdl prints for `AtomKind::Constant` alone, which no net here is.
    fn verilog(&self) -> VerilogLiteral {
        self.value[0].into()
    }

    fn constraints(&self) -> Vec<PinConstraint> {
        vec![]
    }
}
