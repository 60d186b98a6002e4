//! Finds which parts of a flat netlist must run again: a leaf whose inputs, registers and memories have not
//! changed would compute the same values again. Its instructions are grouped so that they can be left out,
//! and the values that it drives are compared after they ran, so that its readers know. Never runs anything.

use super::image::{Activity, Place, Watch};
use crate::rtl::ir::flatten::{Flat, Source};
use crate::rtl::ir::leaf::NetKind;
use crate::rtl::ir::order;
use crate::rtl::ir::words::words_for;
use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

/// Holds the readers of each place, to be named as segments are made.
pub(crate) struct Readers(HashMap<usize, Vec<usize>>);

impl Readers {
    /// Finds the readers in `flat`, whose nets are at `places`. The clock counts as read by nobody.
    pub fn new(flat: &Flat, places: &[Place], clk: usize) -> Self {
        let mut readers: HashMap<usize, Vec<usize>> = HashMap::new();
        for (at, leaf) in flat.leaves.iter().enumerate() {
            let nets = leaf.record().nets.iter().zip(&leaf.nets);
            for (_, &net) in nets.filter(|(net, _)| matches!(net.kind, NetKind::Input)) {
                let of_place = readers.entry(places[net].at).or_default();
                if of_place.last() != Some(&at) {
                    of_place.push(at);
                }
            }
        }
        readers.remove(&clk);
        Readers(readers)
    }
}

impl Activity {
    /// Watches those of `places` that leaves read, and gives where they stand among the watches.
    pub fn watch(&mut self, readers: &Readers, places: impl IntoIterator<Item = Place>) -> Range<usize> {
        let start = self.watches.len();
        for place in places {
            if let Some(leaves) = readers.0.get(&place.at) {
                self.add(place, leaves);
            }
        }
        start..self.watches.len()
    }

    /// Watches an input, whoever reads it.
    pub fn watch_input(&mut self, readers: &Readers, place: Place) {
        self.add(place, readers.0.get(&place.at).map_or(&[], Vec::as_slice));
    }

    fn add(&mut self, place: Place, leaves: &[usize]) {
        let (from, words) = (self.readers.len(), words_for(place.width));
        self.readers.extend(leaves);
        let readers = from..self.readers.len();
        self.watches.push(Watch { at: place.at, words, saved: self.saved, readers });
        self.saved += words;
    }
}

/// Returns `order`, combinational nets each behind those that it follows, so that those of a leaf stand in
/// few rows.
pub(crate) fn by_leaf(flat: &Flat, order: &[usize]) -> Vec<usize> {
    let leaf_of = |net: usize| flat.leaf_of(net).expect("a combinational net is some leaf's");
    let mut waits = vec![usize::MAX; flat.nets.len()];
    order.iter().for_each(|&net| waits[net] = 0);
    let mut followers: HashMap<usize, Vec<usize>> = HashMap::new();
    for &net in order {
        let Source::Leaf { leaf, id } = flat.nets[net].source else { continue };
        let leaf = &flat.leaves[leaf];
        order::comb_inputs(leaf.record(), id, &mut |sig| {
            let from = leaf.nets[sig.id as usize];
            if waits[from] != usize::MAX {
                followers.entry(from).or_default().push(net);
                waits[net] += 1;
            }
        });
    }
    let mut ready: Vec<Vec<usize>> = vec![vec![]; flat.leaves.len()];
    let mut leaves = BTreeSet::new();
    for &net in order.iter().rev().filter(|&&net| waits[net] == 0) {
        ready[leaf_of(net)].push(net);
        leaves.insert(leaf_of(net));
    }
    let mut sorted = Vec::with_capacity(order.len());
    while let Some(leaf) = leaves.pop_first() {
        while let Some(net) = ready[leaf].pop() {
            sorted.push(net);
            for &follower in followers.get(&net).into_iter().flatten() {
                waits[follower] -= 1;
                if waits[follower] == 0 {
                    ready[leaf_of(follower)].push(follower);
                    leaves.insert(leaf_of(follower));
                }
            }
        }
        leaves.remove(&leaf);
    }
    sorted
}
