//! `Group`: the builder of a structural module: named children, links between their ports, nothing else.
//!
//! `clk` and `rst` reach every child by themselves. Every child input must be linked or tied, every child output
//! linked or ignored. Never holds logic of its own.

use super::expr::Expr;
use super::module::{Direction, Module};
use super::names;
use crate::rtl::rust_hdl::circuit;
use crate::rtl::sim::compile;
use std::collections::{HashMap, HashSet};

/// One structural module being built.
#[derive(Clone, Debug)]
pub struct Group {
    pub(crate) name: String,
    pub(crate) note: String,
    pub(crate) own: Vec<(String, usize, Direction)>,
    pub(crate) children: Vec<(String, Module)>,
    /// What drives each sink; a sink is a child's input or an own output.
    pub(crate) drivers: HashMap<End, Driver>,
    /// Sinks in the order of linking, so that output does not depend on hashing.
    pub(crate) order: Vec<End>,
    pub(crate) ignored: Vec<End>,
}

/// A port: of a child, or of the group itself.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct End {
    pub child: Option<usize>,
    pub port: String,
}

/// The source of a link.
#[derive(Clone, Debug)]
pub(crate) enum Driver {
    Net(End),
    Constant(Expr),
}

impl Group {
    /// An empty group with the ports `clk` and `rst`. `note` becomes the header comment.
    pub fn new(name: &str, note: &str) -> Group {
        names::check(name, "module");
        let clk_rst = ["clk", "rst"].map(|port| (port.into(), 1, Direction::In));
        Group {
            name: name.into(),
            note: note.into(),
            own: clk_rst.to_vec(),
            children: vec![],
            drivers: HashMap::new(),
            order: vec![],
            ignored: vec![],
        }
    }

    /// Input port.
    pub fn input(&mut self, name: &str, width: usize) {
        self.add_port(name, width, Direction::In);
    }

    /// Output port.
    pub fn output(&mut self, name: &str, width: usize) {
        self.add_port(name, width, Direction::Out);
    }

    /// The three ports of an incoming stream: `<prefix>_data`, `<prefix>_valid`, `<prefix>_ready`.
    pub fn stream_in(&mut self, prefix: &str, width: usize) {
        self.input(&format!("{prefix}_data"), width);
        self.input(&format!("{prefix}_valid"), 1);
        self.output(&format!("{prefix}_ready"), 1);
    }

    /// The three ports of an outgoing stream.
    pub fn stream_out(&mut self, prefix: &str, width: usize) {
        self.output(&format!("{prefix}_data"), width);
        self.output(&format!("{prefix}_valid"), 1);
        self.input(&format!("{prefix}_ready"), 1);
    }

    /// Adds an instance of `module`.
    pub fn child(&mut self, instance: &str, module: &Module) {
        names::check(instance, &self.name);
        assert!(
            self.children.iter().all(|(name, _)| name != instance)
                && self.own.iter().all(|(name, ..)| name != instance),
            "{}.{instance}: declared twice",
            self.name
        );
        let child = Some(self.children.len());
        self.children.push((instance.into(), module.clone()));
        for port in ["clk", "rst"] {
            let source = End { child: None, port: port.into() };
            self.connect(Driver::Net(source), End { child, port: port.into() });
        }
    }

    /// Connects the source port to the sink port. An end is `instance.port`, or `port` of the group itself.
    pub fn link(&mut self, source: &str, sink: &str) {
        let (from, from_width, from_drives) = self.end(source);
        let (to, to_width, to_drives) = self.end(sink);
        assert!(from_drives, "{}: {source} -> {sink}: {source} is no source", self.name);
        assert!(!to_drives, "{}: {source} -> {sink}: {sink} is no sink", self.name);
        assert!(
            from_width == to_width,
            "{}: {source} -> {sink}: {from_width} bits into {to_width}",
            self.name
        );
        assert!(
            from.child.is_some() || to.child.is_some(),
            "{}: {source} -> {sink}: goes through no child",
            self.name
        );
        self.connect(Driver::Net(from), to);
    }

    /// Connects a stream: `_data` and `_valid` forward, `_ready` back, and `_last` forward if the sink has it.
    /// An end is `instance.prefix`, or `prefix` of the group itself.
    pub fn stream(&mut self, source: &str, sink: &str) {
        self.link(&format!("{source}_data"), &format!("{sink}_data"));
        self.link(&format!("{source}_valid"), &format!("{sink}_valid"));
        self.link(&format!("{sink}_ready"), &format!("{source}_ready"));
        let last = format!("{sink}_last");
        if self.find(&last).is_some() {
            self.link(&format!("{source}_last"), &last);
        }
    }

    /// Ties a child's input to a literal.
    pub fn tie(&mut self, sink: &str, value: impl Into<Expr>) {
        let value = value.into();
        let (to, width, drives) = self.end(sink);
        assert!(!drives && to.child.is_some(), "{}.{sink}: only a child's input is tied", self.name);
        assert!(value.literal().is_some(), "{}.{sink}: tied to something not constant", self.name);
        assert!(value.width == width, "{}.{sink}: {width} bits tied to {}", self.name, value.width);
        self.connect(Driver::Constant(value), to);
    }

    /// Leaves a child's output unconnected, on purpose.
    pub fn ignore(&mut self, source: &str) {
        let (from, _, drives) = self.end(source);
        assert!(drives && from.child.is_some(), "{}.{source}: only a child's output is ignored", self.name);
        self.ignored.push(from);
    }

    /// The reset of `child` is `source`, not the group's own.
    pub fn reset(&mut self, child: &str, source: &str) {
        let (from, ..) = self.end(source);
        let (to, ..) = self.end(&format!("{child}.rst"));
        self.drivers.insert(to, Driver::Net(from));
    }

    /// Checks the whole (every port connected; rust-hdl's connection checks; no combinational cycle through the
    /// children) and seals it.
    ///
    /// # Panics
    /// Panics on a programming error, naming module and ports; a cycle is shown as a path.
    pub fn build(self) -> Module {
        self.check_names();
        self.check_connections();
        let module = Module::group(self);
        circuit::check(&module);
        compile::check_cycles(&module);
        module
    }

    pub(crate) fn ports(&self) -> impl Iterator<Item = (&str, usize, Direction)> {
        self.own.iter().map(|(name, width, direction)| (name.as_str(), *width, *direction))
    }

    /// How an end reads in messages and in simulation paths.
    pub(crate) fn end_name(&self, end: &End) -> String {
        match end.child {
            Some(child) => format!("{}.{}", self.children[child].0, end.port),
            None => end.port.clone(),
        }
    }

    /// A port of either direction.
    pub fn add_port(&mut self, name: &str, width: usize, direction: Direction) {
        names::check(name, &self.name);
        assert!(width > 0, "{}.{name}: width 0", self.name);
        assert!(self.own.iter().all(|(port, ..)| port != name), "{}.{name}: declared twice", self.name);
        self.own.push((name.into(), width, direction));
    }

    fn connect(&mut self, driver: Driver, sink: End) {
        let name = self.end_name(&sink);
        self.order.push(sink.clone());
        let before = self.drivers.insert(sink, driver);
        assert!(before.is_none(), "{}.{name}: driven twice", self.name);
    }

    fn end(&self, path: &str) -> (End, usize, bool) {
        self.find(path).unwrap_or_else(|| panic!("{}: no port {path}", self.name))
    }

    /// The end, its width, and whether it drives (a child's output or an own input).
    fn find(&self, path: &str) -> Option<(End, usize, bool)> {
        match path.split_once('.') {
            Some((instance, port)) => {
                let child = self.children.iter().position(|(name, _)| name == instance)?;
                let found = self.children[child].1.port(port)?;
                let end = End { child: Some(child), port: port.into() };
                Some((end, found.width, found.direction == Direction::Out))
            }
            None => {
                let (name, width, direction) = self.own.iter().find(|(name, ..)| name == path)?;
                let end = End { child: None, port: name.clone() };
                Some((end, *width, *direction == Direction::In))
            }
        }
    }

    /// The wire of a child's output is `instance_port`: that must not be some other name of the group.
    fn check_names(&self) {
        let mut taken: HashSet<String> = self.own.iter().map(|(name, ..)| name.clone()).collect();
        let wires = self.children.iter().flat_map(|(instance, module)| {
            let outputs = module.ports().into_iter().filter(|port| port.direction == Direction::Out);
            let wires = outputs.map(move |port| format!("{instance}_{}", port.name));
            wires.chain([instance.clone()])
        });
        for name in wires {
            assert!(!taken.contains(&name), "{}: two things would be named {name}", self.name);
            taken.insert(name);
        }
    }

    fn check_connections(&self) {
        let read: HashSet<&End> = self
            .drivers
            .values()
            .filter_map(|driver| match driver {
                Driver::Net(end) => Some(end),
                Driver::Constant(_) => None,
            })
            .collect();
        let own = self.own.iter().map(|(name, _, direction)| {
            (End { child: None, port: name.clone() }, *direction == Direction::In)
        });
        let inner = self.children.iter().enumerate().flat_map(|(child, (_, module))| {
            module.ports().into_iter().map(move |port| {
                (End { child: Some(child), port: port.name }, port.direction == Direction::Out)
            })
        });
        for (end, drives) in own.chain(inner) {
            let name = self.end_name(&end);
            if drives {
                let used = read.contains(&end);
                let ignored = self.ignored.contains(&end);
                assert!(
                    used || ignored,
                    "{}.{name}: nothing reads it; ignore() it if that is meant",
                    self.name
                );
                assert!(!(used && ignored), "{}.{name}: ignored, yet read", self.name);
            } else {
                assert!(self.drivers.contains_key(&end), "{}.{name}: nothing drives it", self.name);
            }
        }
    }
}
