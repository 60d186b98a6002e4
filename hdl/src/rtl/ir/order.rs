//! The order in which nets without state settle, and the topological sort behind it.

use super::expr::{Expr, Sig};
use super::leaf::{Leaf, NetKind};
use super::memory::Read;

/// Returns the numbers of the nets without state, each after those that it depends on; or the cycle that
/// prevents it.
pub(crate) fn comb_order(leaf: &Leaf) -> Result<Vec<usize>, Vec<usize>> {
    let depends = |id: usize, visit: &mut dyn FnMut(usize)| {
        comb_inputs(leaf, id, &mut |sig| visit(sig.id as usize));
    };
    let mut order = topological(leaf.nets.len(), depends)?;
    order.retain(|&id| is_comb(leaf, id));
    Ok(order)
}

/// Says whether the net follows other nets within a clock.
pub(crate) fn is_comb(leaf: &Leaf, id: usize) -> bool {
    match &leaf.nets[id].kind {
        NetKind::Input | NetKind::Reg(_) => false,
        NetKind::MemRead(memory) => matches!(leaf.memories[*memory].read, Read::Async { .. }),
        NetKind::Output(_) | NetKind::Wire(_) | NetKind::Case { .. } => true,
    }
}

/// Calls `visit` with every net that net `id` follows within a clock.
pub(crate) fn comb_inputs(leaf: &Leaf, id: usize, visit: &mut dyn FnMut(Sig)) {
    let mut reads = |value: &Expr| value.nets(&mut |sig, _, _| visit(sig));
    match &leaf.nets[id].kind {
        NetKind::Output(Some(value)) | NetKind::Wire(Some(value)) => reads(value),
        NetKind::Case { index, items } => {
            reads(index);
            items.iter().for_each(reads);
        }
        NetKind::MemRead(memory) => {
            if let Read::Async { addr } = &leaf.memories[*memory].read {
                reads(addr);
            }
        }
        NetKind::Input | NetKind::Reg(_) | NetKind::Output(None) | NetKind::Wire(None) => {}
    }
}

/// Sorts `0..count` so that each comes after what it depends on, otherwise in order; or gives one cycle,
/// closed (first = last). Needs no recursion, so chains may be of any length.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sorts_and_finds_cycles() {
        let edges: &[&[usize]] = &[&[2], &[], &[1], &[0]];
        let sorted = topological(4, |id, visit| edges[id].iter().for_each(|&input| visit(input)));
        assert_eq!(sorted, Ok(vec![1, 2, 0, 3]));
        let looped: &[&[usize]] = &[&[], &[0, 3], &[1], &[2]];
        let cycle = topological(4, |id, visit| looped[id].iter().for_each(|&input| visit(input)));
        assert_eq!(cycle, Err(vec![1, 2, 3, 1]));
    }
}
