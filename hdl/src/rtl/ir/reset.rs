//! Reset for large circuits: a tree of registers between a structure's `rst` and those of its children, so
//! that no wire of it reaches far. Every child enters and leaves reset [`DELAY`] cycles after `rst` does.

use super::group::Group;
use super::kernel::Kernel;
use super::module::{Body, Driver, End, Module};

/// Cycles from `rst` to the children.
const DELAY: u64 = 2;
/// Children that one register of the first level reaches.
const BRANCHES: usize = 8;

impl Module {
    /// Returns this structure, all else unchanged, with a register of its own in front of each child's reset.
    /// What comes to its inputs within two cycles after reset may be lost.
    ///
    /// # Panics
    /// Panics on a leaf.
    pub fn with_reset_tree(&self) -> Module {
        let Body::Structure(structure) = &*self.0 else { panic!("{}: a leaf has no children", self.name()) };
        let mut group = Group::reopen(structure.clone());
        group.child("dq_reset", &tree("dq_reset", structure.children.len()));
        for (child, (name, _)) in structure.children.iter().enumerate() {
            let register = format!("dq_reset.rst{child}");
            let sink = End { child: Some(child), port: "rst".into() };
            match &structure.drivers[&sink] {
                Driver::Net(End { child: None, .. }) => group.reset(name, &register),
                // One whose reset is another's stays with that.
                _ => group.ignore(&register),
            }
        }
        group.build()
    }
}

fn tree(name: &str, leaves: usize) -> Module {
    let note = format!(
        "Reset for {leaves} stages, {DELAY} cycles late: a register for each, and one for each {BRANCHES} \
         before it."
    );
    let mut k = Kernel::new(name, &note);
    let outputs: Vec<_> = (0..leaves).map(|leaf| k.output(&format!("rst{leaf}"), 1)).collect();
    let mut near = None;
    for (leaf, output) in outputs.into_iter().enumerate() {
        if leaf % BRANCHES == 0 {
            let rst = k.rst();
            near = Some(k.copy(&format!("near{}", leaf / BRANCHES), rst));
        }
        let reg = k.copy(&format!("leaf{leaf}"), near.expect("the first leaf makes one"));
        k.drive(output, reg);
    }
    k.build()
}
