//! `Group`: the builder of a structural module: named children, links between their ports, nothing else.
//!
//! `clk` and `rst` reach every child by themselves. Every child input must be linked or tied, every child
//! output linked or ignored. Never holds logic of its own.

use super::expr::Expr;
use super::module::{Driver, End, Module, Structure};
use super::names;
use super::port::Direction;
use std::collections::{HashMap, HashSet};

/// One structural module being built.
#[derive(Clone, Debug)]
pub struct Group(Structure);

impl Group {
    /// Begins an empty group with the ports `clk` and `rst`. `note` becomes the header comment.
    pub fn new(name: &str, note: &str) -> Group {
        names::check(name, "module");
        let clk_rst = ["clk", "rst"].map(|port| (port.into(), 1, Direction::In));
        Group(Structure {
            name: name.into(),
            note: note.into(),
            own: clk_rst.to_vec(),
            children: vec![],
            drivers: HashMap::new(),
            order: vec![],
            ignored: vec![],
        })
    }

    /// Opens a structure again, to add to it.
    pub(crate) fn reopen(structure: Structure) -> Group {
        Group(structure)
    }

    /// Adds an input port of `width` bits.
    pub fn input(&mut self, name: &str, width: usize) {
        self.add_port(name, width, Direction::In);
    }

    /// Adds an output port of `width` bits.
    pub fn output(&mut self, name: &str, width: usize) {
        self.add_port(name, width, Direction::Out);
    }

    /// Adds the three ports of an incoming stream: `<prefix>_data`, `<prefix>_valid`, `<prefix>_ready`.
    pub fn stream_in(&mut self, prefix: &str, width: usize) {
        self.input(&format!("{prefix}_data"), width);
        self.input(&format!("{prefix}_valid"), 1);
        self.output(&format!("{prefix}_ready"), 1);
    }

    /// Adds the three ports of an outgoing stream.
    pub fn stream_out(&mut self, prefix: &str, width: usize) {
        self.output(&format!("{prefix}_data"), width);
        self.output(&format!("{prefix}_valid"), 1);
        self.input(&format!("{prefix}_ready"), 1);
    }

    /// Adds an instance of `module`.
    pub fn child(&mut self, instance: &str, module: &Module) {
        names::check(instance, &self.0.name);
        let fresh = self.0.children.iter().all(|(name, _)| name != instance);
        assert!(fresh, "{}.{instance}: declared twice", self.0.name);
        let child = Some(self.0.children.len());
        self.0.children.push((instance.into(), module.clone()));
        for port in ["clk", "rst"] {
            let source = End { child: None, port: port.into() };
            self.connect(Driver::Net(source), End { child, port: port.into() });
        }
    }

    /// Connects the source port to the sink port. An end is `instance.port`, or `port` of the group itself.
    pub fn link(&mut self, source: &str, sink: &str) {
        let (from, from_width, from_drives) = self.end(source);
        let (to, to_width, to_drives) = self.end(sink);
        assert!(from_drives, "{}: {source} -> {sink}: {source} is no source", self.0.name);
        assert!(!to_drives, "{}: {source} -> {sink}: {sink} is no sink", self.0.name);
        assert!(
            from_width == to_width,
            "{}: {source} -> {sink}: {from_width} bits into {to_width}",
            self.0.name
        );
        assert!(
            from.child.is_some() || to.child.is_some(),
            "{}: {source} -> {sink}: goes through no child",
            self.0.name
        );
        self.connect(Driver::Net(from), to);
    }

    /// Connects a stream: `_data` and `_valid` forward, `_ready` back, and `_last` forward if the sink has
    /// it. An end is `instance.prefix`, or `prefix` of the group itself.
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
        assert!(!drives && to.child.is_some(), "{}.{sink}: only a child's input is tied", self.0.name);
        assert!(value.literal().is_some(), "{}.{sink}: tied to something not constant", self.0.name);
        assert!(value.width == width, "{}.{sink}: {width} bits tied to {}", self.0.name, value.width);
        self.connect(Driver::Constant(value), to);
    }

    /// Leaves a child's output unconnected, on purpose.
    pub fn ignore(&mut self, source: &str) {
        let (from, _, drives) = self.end(source);
        assert!(drives && from.child.is_some(), "{}.{source}: only a child's output is ignored", self.0.name);
        self.0.ignored.push(from);
    }

    /// Makes the reset of `child` be `source`, not the group's own.
    pub fn reset(&mut self, child: &str, source: &str) {
        let (from, ..) = self.end(source);
        let (to, ..) = self.end(&format!("{child}.rst"));
        self.0.drivers.insert(to, Driver::Net(from));
    }

    /// Checks that every port is connected and no name is used twice, and seals the whole. What only the
    /// finished hierarchy shows is checked where that is emitted or simulated ([`super::flatten`]).
    ///
    /// # Panics
    /// Panics on a programming error, naming module and ports.
    pub fn build(self) -> Module {
        self.check_names();
        self.check_connections();
        Module::structure(self.0)
    }

    /// Adds a port of either direction.
    pub fn add_port(&mut self, name: &str, width: usize, direction: Direction) {
        names::check(name, &self.0.name);
        assert!(width > 0, "{}.{name}: width 0", self.0.name);
        assert!(self.0.own.iter().all(|(port, ..)| port != name), "{}.{name}: declared twice", self.0.name);
        self.0.own.push((name.into(), width, direction));
    }

    fn connect(&mut self, driver: Driver, sink: End) {
        let name = self.0.end_name(&sink);
        self.0.order.push(sink.clone());
        let before = self.0.drivers.insert(sink, driver);
        assert!(before.is_none(), "{}.{name}: driven twice", self.0.name);
    }

    fn end(&self, path: &str) -> (End, usize, bool) {
        self.find(path).unwrap_or_else(|| panic!("{}: no port {path}", self.0.name))
    }

    /// Returns the end, its width, and whether it drives (a child's output or an own input).
    fn find(&self, path: &str) -> Option<(End, usize, bool)> {
        match path.split_once('.') {
            Some((instance, port)) => {
                let child = self.0.children.iter().position(|(name, _)| name == instance)?;
                let found = self.0.children[child].1.port(port)?;
                let end = End { child: Some(child), port: port.into() };
                Some((end, found.width, found.direction == Direction::Out))
            }
            None => {
                let (name, width, direction) = self.0.own.iter().find(|(name, ..)| name == path)?;
                let end = End { child: None, port: name.clone() };
                Some((end, *width, *direction == Direction::In))
            }
        }
    }

    /// Checks that no wire of a child's output, `instance_port`, has some other name of the group.
    fn check_names(&self) {
        let mut taken: HashSet<String> = self.0.own.iter().map(|(name, ..)| name.clone()).collect();
        let wires = self.0.children.iter().flat_map(|(instance, module)| {
            let outputs = module.ports().into_iter().filter(|port| port.direction == Direction::Out);
            outputs.map(move |port| format!("{instance}_{}", port.name))
        });
        for name in wires {
            assert!(!taken.contains(&name), "{}: two things would be named {name}", self.0.name);
            taken.insert(name);
        }
    }

    fn check_connections(&self) {
        let read: HashSet<&End> = self
            .0
            .drivers
            .values()
            .filter_map(|driver| match driver {
                Driver::Net(end) => Some(end),
                Driver::Constant(_) => None,
            })
            .collect();
        let own = self.0.own.iter().map(|(name, _, direction)| {
            (End { child: None, port: name.clone() }, *direction == Direction::In)
        });
        let inner = self.0.children.iter().enumerate().flat_map(|(child, (_, module))| {
            module.ports().into_iter().map(move |port| {
                (End { child: Some(child), port: port.name }, port.direction == Direction::Out)
            })
        });
        for (end, drives) in own.chain(inner) {
            let name = self.0.end_name(&end);
            if drives {
                let used = read.contains(&end);
                let ignored = self.0.ignored.contains(&end);
                assert!(
                    used || ignored,
                    "{}.{name}: nothing reads it; ignore() it if that is meant",
                    self.0.name
                );
                assert!(!(used && ignored), "{}.{name}: ignored, yet read", self.0.name);
            } else {
                assert!(self.0.drivers.contains_key(&end), "{}.{name}: nothing drives it", self.0.name);
            }
        }
    }
}
