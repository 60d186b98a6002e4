//! Flattens a module and everything below it into one netlist: links disappear, every net gets a number, and
//! the combinational nets an order. Never evaluates anything.

use super::leaf::{self, NetKind};
use super::module::{Body, Driver, End, Module, Structure};
use super::order;
use super::port::Direction;
use std::collections::HashMap;

/// An instance of the flattened hierarchy: for each net of its module (own ports of a group, all nets of a
/// leaf), in order of declaration, the flat net that carries it.
pub(crate) struct Instance {
    pub name: String,
    pub module: Module,
    pub nets: Vec<usize>,
    pub children: Vec<Instance>,
}

/// A net of the flattened hierarchy.
pub(crate) struct FlatNet {
    pub path: String,
    pub width: usize,
    pub source: Source,
}

pub(crate) enum Source {
    /// An input of the root.
    Input,
    Constant(Vec<u64>),
    /// Net `id` of leaf `leaf`.
    Leaf {
        leaf: usize,
        id: usize,
    },
}

/// The flattened hierarchy.
pub(crate) struct Flat {
    pub nets: Vec<FlatNet>,
    pub leaves: Vec<Leaf>,
    pub root: Instance,
}

/// A leaf instance: its record, by way of its module, and the flat net of each of its nets.
pub(crate) struct Leaf {
    pub module: Module,
    pub nets: Vec<usize>,
}

const UNBOUND: usize = usize::MAX;

/// Checks what only the whole hierarchy shows. Emission and simulation begin with it.
///
/// # Panics
/// Panics, with the path, if a combinational cycle runs through the hierarchy.
pub(crate) fn check(module: &Module) {
    flatten(module).order(module.name());
}

/// Flattens `module` and everything below it.
pub(crate) fn flatten(module: &Module) -> Flat {
    let mut nets = vec![];
    let mut leaves = vec![];
    let mut root = allocate(module, "", &mut nets, &mut leaves);
    root.name = module.name().into();
    let inputs: HashMap<String, usize> = module
        .ports()
        .into_iter()
        .filter(|port| port.direction == Direction::In)
        .map(|port| {
            nets.push(FlatNet { path: port.name.clone(), width: port.width, source: Source::Input });
            (port.name, nets.len() - 1)
        })
        .collect();
    bind(&mut root, &inputs, &mut nets, &mut leaves);
    Flat { nets, leaves, root }
}

/// Makes, as a first pass, a flat net for every net that something inside drives; own outputs take that of
/// their driver.
fn allocate(module: &Module, path: &str, nets: &mut Vec<FlatNet>, leaves: &mut Vec<Leaf>) -> Instance {
    let below = |name: &str| if path.is_empty() { name.to_string() } else { format!("{path}.{name}") };
    let mut children = vec![];
    let own = match &*module.0 {
        Body::Leaf(record) => {
            let leaf = leaves.len();
            leaves.push(Leaf { module: module.clone(), nets: vec![] });
            let own = record.nets.iter().enumerate().map(|(id, net)| {
                if matches!(net.kind, NetKind::Input) {
                    return UNBOUND;
                }
                let source = Source::Leaf { leaf, id };
                nets.push(FlatNet { path: below(&net.name), width: net.sig.width, source });
                nets.len() - 1
            });
            own.collect()
        }
        Body::Structure(structure) => {
            for (name, child) in &structure.children {
                let mut instance = allocate(child, &below(name), nets, leaves);
                instance.name.clone_from(name);
                children.push(instance);
            }
            let driver = |(name, direction): (&str, Direction)| match direction {
                Direction::In => UNBOUND,
                Direction::Out => match &structure.drivers[&End { child: None, port: name.into() }] {
                    Driver::Net(end) => child_net(&children, end),
                    Driver::Constant(_) => unreachable!("only children's inputs are tied"),
                },
            };
            structure.ports().map(|(name, _, direction)| driver((name, direction))).collect()
        }
    };
    Instance { name: String::new(), module: module.clone(), nets: own, children }
}

/// Gives inputs, as a second pass, the flat nets of what drives them.
fn bind(
    instance: &mut Instance,
    inputs: &HashMap<String, usize>,
    nets: &mut Vec<FlatNet>,
    leaves: &mut Vec<Leaf>,
) {
    let module = instance.module.clone();
    match &*module.0 {
        Body::Leaf(record) => {
            for (slot, net) in instance.nets.iter_mut().zip(&record.nets) {
                if matches!(net.kind, NetKind::Input) {
                    *slot = inputs[&net.name];
                }
            }
            // Leaves were listed in the order in which this pass meets them.
            let leaf = leaves.iter_mut().find(|leaf| leaf.nets.is_empty()).expect("a leaf an instance");
            leaf.nets.clone_from(&instance.nets);
        }
        Body::Structure(structure) => {
            for (slot, (name, _, direction)) in instance.nets.iter_mut().zip(structure.ports()) {
                if direction == Direction::In {
                    *slot = inputs[name];
                }
            }
            let bound: Vec<HashMap<String, usize>> = (0..structure.children.len())
                .map(|child| child_inputs(structure, child, &instance.children, inputs, nets))
                .collect();
            for (child, inputs) in instance.children.iter_mut().zip(&bound) {
                bind(child, inputs, nets, leaves);
            }
        }
    }
}

fn child_inputs(
    structure: &Structure,
    child: usize,
    children: &[Instance],
    inputs: &HashMap<String, usize>,
    nets: &mut Vec<FlatNet>,
) -> HashMap<String, usize> {
    let ports =
        structure.children[child].1.ports().into_iter().filter(|port| port.direction == Direction::In);
    ports
        .map(|port| {
            let end = End { child: Some(child), port: port.name.clone() };
            let net = match &structure.drivers[&end] {
                Driver::Net(end) if end.child.is_none() => inputs[&end.port],
                Driver::Net(end) => child_net(children, end),
                Driver::Constant(value) => {
                    let bits = value.literal().expect("tie() takes literals").to_vec();
                    let path = structure.end_name(&end);
                    nets.push(FlatNet { path, width: value.width, source: Source::Constant(bits) });
                    nets.len() - 1
                }
            };
            (port.name, net)
        })
        .collect()
}

fn child_net(children: &[Instance], end: &End) -> usize {
    let child = &children[end.child.expect("a child's port")];
    let at = match &*child.module.0 {
        Body::Leaf(record) => record.nets.iter().position(|net| net.name == end.port),
        Body::Structure(structure) => structure.ports().position(|(name, ..)| name == end.port),
    };
    child.nets[at.expect("linked ports exist")]
}

impl Leaf {
    pub fn record(&self) -> &leaf::Leaf {
        match &*self.module.0 {
            Body::Leaf(record) => record,
            Body::Structure(_) => unreachable!("leaves hold records"),
        }
    }
}

impl Flat {
    /// Returns the leaf whose net this is.
    pub fn leaf_of(&self, net: usize) -> Option<usize> {
        match self.nets[net].source {
            Source::Leaf { leaf, .. } => Some(leaf),
            Source::Input | Source::Constant(_) => None,
        }
    }

    /// Returns the combinational nets in order of evaluation.
    ///
    /// # Panics
    /// Panics with the path of a cycle.
    pub fn order(&self, name: &str) -> Vec<usize> {
        let depends = |net: usize, visit: &mut dyn FnMut(usize)| {
            if let Source::Leaf { leaf, id } = self.nets[net].source {
                let leaf = &self.leaves[leaf];
                order::comb_inputs(leaf.record(), id, &mut |sig| visit(leaf.nets[sig.id as usize]));
            }
        };
        let sorted = order::topological(self.nets.len(), depends).unwrap_or_else(|cycle| {
            let path: Vec<&str> = cycle.iter().map(|&net| self.nets[net].path.as_str()).collect();
            panic!("{name}: combinational cycle {}", path.join(" -> "))
        });
        let comb = |net: &usize| match self.nets[*net].source {
            Source::Leaf { leaf, id } => order::is_comb(self.leaves[leaf].record(), id),
            Source::Input | Source::Constant(_) => false,
        };
        sorted.into_iter().filter(comb).collect()
    }
}
