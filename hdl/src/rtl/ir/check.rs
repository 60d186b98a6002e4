//! What a leaf must satisfy before it is sealed: every net is driven once, every bit is read or declared
//! unused, no net follows itself within a clock, and parts meet the rest of the leaf at their ports alone.
//! Never changes a record.

use super::leaf::{Contract, Leaf, NetKind, assigned, block_reads};
use super::part::Part;
use super::{expr::Sig, order};
use std::collections::HashMap;

/// Checks the whole.
///
/// # Panics
/// Panics, naming module and nets, unless the leaf is complete.
pub(crate) fn leaf(leaf: &Leaf) {
    driven(leaf);
    read(leaf);
    parts(leaf);
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

/// Checks that what is inside a part reads nothing but its inputs, and that nothing outside reads what is
/// inside: otherwise the instance would stand for less than is simulated.
fn parts(leaf: &Leaf) {
    for (at, part) in leaf.parts.iter().enumerate() {
        let name = &part.instance.name;
        let again = leaf.parts[..at].iter().any(|other| other.instance.name == *name);
        assert!(!again, "{}: two instances `{name}`", leaf.name);
    }
    let same = |a: Option<&Part>, b: &Part| a.is_some_and(|a| std::ptr::eq(a, b));
    let reads = |reader: Option<&Part>, sig: Sig| {
        let net = &leaf.nets[sig.id as usize];
        let inside = leaf.parts.iter().find(|part| part.nets.contains(&(sig.id as usize)));
        let allowed = match (reader, inside) {
            (_, Some(inside)) => same(reader, inside),
            (None, None) => true,
            (Some(part), None) => {
                let mut found = sig.id == leaf.rst().id;
                part.inputs().for_each(|value| value.nets(&mut |input, _, _| found |= input.id == sig.id));
                found
            }
        };
        assert!(allowed, "{}: `{}` is read across the border of a part", leaf.name, net.name);
    };
    for (id, net) in leaf.nets.iter().enumerate() {
        net.reads(&mut |sig, _, _| reads(leaf.part_of(id), sig));
    }
    for (at, memory) in leaf.memories.iter().enumerate() {
        let part = leaf.parts.iter().find(|part| part.memories.contains(&at));
        memory.reads(&mut |sig, _, _| reads(part, sig));
    }
    for (at, body) in leaf.blocks.iter().enumerate() {
        let part = leaf.parts.iter().find(|part| part.blocks.contains(&at));
        block_reads(body, &mut |sig, _, _| reads(part, sig));
    }
    let contract = leaf.contract.iter().filter_map(|item| match item {
        Contract::Wire(_, value) => Some(value),
        Contract::Text(_) => None,
    });
    let outside = leaf.parts.iter().flat_map(Part::inputs).chain(&leaf.unused).chain(contract);
    outside.for_each(|value| value.nets(&mut |sig, _, _| reads(None, sig)));
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
