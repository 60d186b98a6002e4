//! What a leaf must satisfy before it is sealed: every net driven once, every bit read or declared unused. Also the
//! topological sort that printer and simulator share. Never changes a description.

use super::expr::{Expr, Sig};
use super::kernel::{Kernel, NetKind};
use super::memory::Read;
use super::stmt::Stmt;
use std::collections::HashMap;

/// Panics, naming module and nets, unless the kernel is complete.
pub(crate) fn kernel(kernel: &Kernel) {
    driven(kernel);
    read(kernel);
    if let Err(cycle) = comb_order(kernel) {
        let names: Vec<&str> = cycle.iter().map(|&id| kernel.nets[id].name.as_str()).collect();
        panic!("{}: combinational cycle {}", kernel.name, names.join(" -> "));
    }
}

/// Ids of the nets without state, each after those it depends on; or the cycle that prevents it.
pub(crate) fn comb_order(kernel: &Kernel) -> Result<Vec<usize>, Vec<usize>> {
    let depends = |id: usize, visit: &mut dyn FnMut(usize)| {
        comb_inputs(kernel, id, &mut |sig| visit(sig.id as usize));
    };
    let mut order = topological(kernel.nets.len(), depends)?;
    order.retain(|&id| is_comb(kernel, id));
    Ok(order)
}

/// Whether the net follows other nets within a clock.
pub(crate) fn is_comb(kernel: &Kernel, id: usize) -> bool {
    match &kernel.nets[id].kind {
        NetKind::Input | NetKind::Reg(_) => false,
        NetKind::MemRead(memory) => matches!(kernel.memories[*memory].read, Read::Async { .. }),
        NetKind::Output(_) | NetKind::Wire(_) | NetKind::Case { .. } => true,
    }
}

/// Calls `visit` with every net that net `id` follows within a clock.
pub(crate) fn comb_inputs(kernel: &Kernel, id: usize, visit: &mut dyn FnMut(Sig)) {
    let mut of = |value: &Expr| value.nets(&mut |sig, _, _| visit(sig));
    match &kernel.nets[id].kind {
        NetKind::Output(Some(value)) | NetKind::Wire(Some(value)) => of(value),
        NetKind::Case { index, items } => {
            of(index);
            items.iter().for_each(of);
        }
        NetKind::MemRead(memory) => {
            if let Read::Async { addr } = &kernel.memories[*memory].read {
                of(addr);
            }
        }
        NetKind::Input | NetKind::Reg(_) | NetKind::Output(None) | NetKind::Wire(None) => {}
    }
}

/// Sorts `0..count` so that each comes after what it depends on, otherwise in order; or gives one cycle, closed
/// (first = last). Needs no recursion, so chains may be of any length.
pub(crate) fn topological(
    count: usize,
    depends: impl Fn(usize, &mut dyn FnMut(usize)),
) -> Result<Vec<usize>, Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Mark {
        New,
        Open,
        Done,
    }
    let mut marks = vec![Mark::New; count];
    let mut order = Vec::with_capacity(count);
    for root in 0..count {
        let mut stack: Vec<(usize, Vec<usize>)> = vec![];
        let mut enter = vec![root];
        loop {
            if let Some(id) = enter.pop() {
                match marks[id] {
                    Mark::Done => {}
                    Mark::Open => {
                        let from = stack.iter().position(|(open, _)| *open == id).unwrap_or(0);
                        let mut cycle: Vec<usize> = stack[from..].iter().map(|(open, _)| *open).collect();
                        cycle.push(id);
                        cycle.reverse();
                        return Err(cycle);
                    }
                    Mark::New => {
                        marks[id] = Mark::Open;
                        let mut inputs = vec![];
                        depends(id, &mut |input| inputs.push(input));
                        inputs.reverse();
                        stack.push((id, inputs));
                    }
                }
            }
            let Some((id, inputs)) = stack.last_mut() else { break };
            match inputs.pop() {
                Some(input) => enter.push(input),
                None => {
                    marks[*id] = Mark::Done;
                    order.push(*id);
                    stack.pop();
                }
            }
        }
    }
    Ok(order)
}

/// Whether the kernel uses its clock and its reset.
pub(crate) fn uses_clk_rst(kernel: &Kernel) -> (bool, bool) {
    let clocked = |read: &Read| matches!(read, Read::Sync { .. });
    let clk =
        !kernel.blocks.is_empty() || kernel.memories.iter().any(|m| m.write.is_some() || clocked(&m.read));
    let resets = kernel.nets.iter().any(|net| matches!(net.kind, NetKind::Reg(Some(_))));
    let mut reads = false;
    every_read(kernel, &mut |sig, _, _| reads |= sig.id == kernel.rst().id);
    (clk, resets || reads)
}

/// Registers a block assigns.
pub(crate) fn assigned(body: &[Stmt], visit: &mut dyn FnMut(Sig)) {
    for stmt in body {
        match stmt {
            Stmt::Set(reg, _) => visit(*reg),
            Stmt::If(_, then, otherwise) => {
                assigned(then, visit);
                assigned(otherwise, visit);
            }
            Stmt::Note(_) => {}
        }
    }
}

fn driven(kernel: &Kernel) {
    let module = &kernel.name;
    let mut home: HashMap<u32, usize> = HashMap::new();
    for (block, body) in kernel.blocks.iter().enumerate() {
        assigned(body, &mut |reg| {
            let first = *home.entry(reg.id).or_insert(block);
            let name = &kernel.nets[reg.id as usize].name;
            assert!(first == block, "{module}.{name}: assigned in two clocked processes");
        });
    }
    for net in &kernel.nets {
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

fn read(kernel: &Kernel) {
    let mut seen: Vec<Vec<bool>> = kernel.nets.iter().map(|net| vec![false; net.sig.width]).collect();
    let mut mark = |sig: Sig, offset: usize, width: usize| {
        seen[sig.id as usize][offset..offset + width].fill(true);
    };
    every_read(kernel, &mut mark);
    kernel.unused.iter().for_each(|value| value.nets(&mut mark));
    let mut dead = vec![];
    for (net, bits) in kernel.nets.iter().zip(&seen).skip(2) {
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
        kernel.name,
        dead.join(", ")
    );
}

/// Visits everything the kernel reads, `unused` aside.
fn every_read(kernel: &Kernel, visit: &mut dyn FnMut(Sig, usize, usize)) {
    for net in &kernel.nets {
        match &net.kind {
            NetKind::Output(Some(value)) | NetKind::Wire(Some(value)) => value.nets(visit),
            NetKind::Case { index, items } => {
                index.nets(visit);
                items.iter().for_each(|item| item.nets(visit));
            }
            _ => {}
        }
    }
    for memory in &kernel.memories {
        match &memory.read {
            Read::Sync { enable, addr } => [enable, addr].into_iter().for_each(|value| value.nets(visit)),
            Read::Async { addr } => addr.nets(visit),
        }
        if let Some(write) = &memory.write {
            [&write.enable, &write.addr, &write.data].into_iter().for_each(|value| value.nets(visit));
        }
    }
    kernel.blocks.iter().for_each(|body| block_reads(body, visit));
}

fn block_reads(body: &[Stmt], visit: &mut dyn FnMut(Sig, usize, usize)) {
    for stmt in body {
        match stmt {
            Stmt::Set(_, value) => value.nets(visit),
            Stmt::If(cond, then, otherwise) => {
                cond.nets(visit);
                block_reads(then, visit);
                block_reads(otherwise, visit);
            }
            Stmt::Note(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtl::{Value, lit, set};

    #[test]
    fn sorts_and_finds_cycles() {
        let edges: &[&[usize]] = &[&[2], &[], &[1], &[0]];
        let sorted = topological(4, |id, visit| edges[id].iter().for_each(|&input| visit(input)));
        assert_eq!(sorted, Ok(vec![1, 2, 0, 3]));
        let looped: &[&[usize]] = &[&[], &[0, 3], &[1], &[2]];
        let cycle = topological(4, |id, visit| looped[id].iter().for_each(|&input| visit(input)));
        assert_eq!(cycle, Err(vec![1, 2, 3, 1]));
    }

    #[test]
    #[should_panic(expected = "demo: combinational cycle a -> b -> a")]
    fn a_combinational_cycle_is_named() {
        let mut k = Kernel::new("demo", "");
        let (y, a) = (k.output("y", 1), k.later("a", 1, false));
        let b = k.wire("b", !a);
        k.drive(a, !b);
        k.drive(y, a);
        k.build();
    }

    #[test]
    #[should_panic(expected = "demo: nothing reads x (3 bits within [7:2])")]
    fn dead_bits_are_named() {
        let mut k = Kernel::new("demo", "");
        let (x, y) = (k.input("x", 8), k.output("y", 5));
        k.drive(y, crate::rtl::cat([x.slice(3, 3), x.slice(0, 2)]));
        k.build();
    }

    #[test]
    #[should_panic(expected = "demo.r_q: assigned in two clocked processes")]
    fn a_register_lives_in_one_process() {
        let mut k = Kernel::new("demo", "");
        let (y, r) = (k.output("y", 1), k.reg("r", 1, Some(0)));
        k.drive(y, r);
        k.clocked([set(r, lit(1, 1))]);
        k.clocked([set(r, r.not())]);
        k.build();
    }
}
