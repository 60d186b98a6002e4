//! What a leaf must satisfy before it is sealed: every net is driven once, every bit is read or declared
//! unused, and no net follows itself within a clock. Never changes a record.

use super::leaf::{Leaf, NetKind, assigned};
use super::{expr::Sig, order};
use std::collections::HashMap;

/// Checks the whole.
///
/// # Panics
/// Panics, naming module and nets, unless the leaf is complete.
pub(crate) fn leaf(leaf: &Leaf) {
    driven(leaf);
    read(leaf);
    if let Err(cycle) = order::comb_order(leaf) {
        let names: Vec<&str> = cycle.iter().map(|&id| leaf.nets[id].name.as_str()).collect();
        panic!("{}: combinational cycle {}", leaf.name, names.join(" -> "));
    }
}

fn driven(leaf: &Leaf) {
    let module = &leaf.name;
    let mut home: HashMap<u32, usize> = HashMap::new();
    for (block, body) in leaf.blocks.iter().enumerate() {
        assigned(body, &mut |reg| {
            let first = *home.entry(reg.id).or_insert(block);
            let name = &leaf.nets[reg.id as usize].name;
            assert!(first == block, "{module}.{name}: assigned in two clocked processes");
        });
    }
    for net in &leaf.nets {
        let name = &net.name;
        match &net.kind {
            NetKind::Output(None) | NetKind::Wire(None) => panic!("{module}.{name}: nothing drives it"),
            NetKind::Reg(_) => {
                assert!(home.contains_key(&net.sig.id), "{module}.{name}: no clocked process assigns it");
            }
            _ => {}
        }
    }
}

fn read(leaf: &Leaf) {
    let mut seen: Vec<Vec<bool>> = leaf.nets.iter().map(|net| vec![false; net.sig.width]).collect();
    let mut mark = |sig: Sig, offset: usize, width: usize| {
        seen[sig.id as usize][offset..offset + width].fill(true);
    };
    leaf.reads(&mut mark);
    leaf.unused.iter().for_each(|value| value.nets(&mut mark));
    let mut dead = vec![];
    for (net, bits) in leaf.nets.iter().zip(&seen).skip(2) {
        if matches!(net.kind, NetKind::Output(_)) {
            continue;
        }
        let unread: Vec<usize> = (0..bits.len()).filter(|&bit| !bits[bit]).collect();
        if unread.len() == bits.len() {
            dead.push(net.name.clone());
        } else if let (Some(low), Some(high)) = (unread.first(), unread.last()) {
            dead.push(format!("{} ({} bits within [{high}:{low}])", net.name, unread.len()));
        }
    }
    assert!(
        dead.is_empty(),
        "{}: nothing reads {}; drop it, or pass it to unused()",
        leaf.name,
        dead.join(", ")
    );
}
