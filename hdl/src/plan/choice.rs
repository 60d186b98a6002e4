//! Lists the choices of one node: each PE, SIMD and place of its memories, costed alone.

use super::check::{check_entry, limits};
use super::data::{Mac, Memory, NodePlan, Plan};
use super::dominance::beats;
use super::target::Target;
use crate::device::Resources;
use crate::estimate;
use crate::memory::cost;
use crate::pipeline::lower::Model;
use crate::stage::kind::{Schedule, Stage};

/// Describes one way to build a node.
#[derive(Clone, Debug)]
pub struct Choice {
    pub entry: NodePlan,
    pub cycles: u64,
    pub resources: Resources,
    /// Number of LUTs of its weights' ROM. They count twice: each takes address wires from afar, and many of
    /// them do not route.
    pub rom: u64,
    /// Number of bytes of weights that come from outside for a frame.
    pub traffic: u64,
}

/// Returns all ways to build node `i`, alone: those that another one beats in everything are left out.
pub fn choices(model: &Model, empty: &Plan, i: usize, target: &Target) -> Vec<Choice> {
    let (network, mac) = (model.network, target.mac);
    let limits = limits(network, i).expect("a node that folds");
    let weight_bits = network.nodes()[i].layer.weight_bits();
    let places = [Memory::Block, Memory::Distributed];
    let mut weights = vec![Memory::Auto];
    if weight_bits.is_some() {
        weights = places.to_vec();
        weights.extend((1..u64::MAX).contains(&target.budget.spram).then_some(Memory::Spram));
        weights.extend(target.stream.map(|_| Memory::Stream));
    }
    let port_bits = target.stream.map_or(0, |stream| stream.port_bits);
    let mut found: Vec<Choice> = vec![];
    for pe in divisors(limits.outputs) {
        for simd in divisors(limits.inputs) {
            for (&memory, lines) in weights.iter().flat_map(|memory| places.map(|lines| (memory, lines))) {
                let fits = weight_bits.is_some_and(|bits| mac.fits(simd, bits.into()));
                let mac = if fits { mac } else { Mac::Auto };
                let entry =
                    NodePlan { pe, simd, memory, mac, lines, ..NodePlan::new(&network.nodes()[i].name) };
                let word = pe * simd * usize::from(weight_bits.unwrap_or(0));
                let refused = match memory {
                    Memory::Spram => check_entry(network, i, &entry).is_err(),
                    Memory::Stream => word > port_bits,
                    Memory::Auto | Memory::Block | Memory::Distributed => false,
                };
                if refused {
                    continue;
                }
                let stages = model.alone(empty, i, &entry);
                let cycles = stages.iter().map(window_cycles).max().expect("a node has stages");
                let resources = estimate::total(&stages);
                let rom = stages.iter().map(rom_luts).sum();
                let ports = stages.iter().filter_map(|stage| stage.kind.weight_port());
                let traffic = ports.map(|port| port.round().frame_bytes()).sum();
                found.push(Choice { entry, cycles, resources, rom, traffic });
            }
        }
    }
    let key = |c: &Choice| {
        let Resources { lut, ff, bram, spram, .. } = c.resources;
        [c.cycles, lut, ff, bram, spram, c.traffic]
    };
    let kept = found.iter().filter(|choice| !found.iter().any(|other| beats(&key(other), &key(choice))));
    kept.cloned().collect()
}

/// Returns the cycles that a window is busy with a frame: what it takes or what it gives, whichever is
/// longer. No stage behind it is busier.
pub fn window_cycles(stage: &Stage) -> u64 {
    match stage.schedule() {
        Schedule::Window(w) => w.operations().max((w.map.height * w.map.width * w.pixel_beats()) as u64),
        Schedule::Source { .. } | Schedule::Map { .. } | Schedule::Turns { .. } | Schedule::Split { .. } => 0,
    }
}

/// Returns the LUTs among those of `stage` that hold its weights, where they are a ROM in LUTs.
fn rom_luts(stage: &Stage) -> u64 {
    let unit = stage.kind.unit();
    unit.map_or(0, |unit| cost::lut_rom(unit.word(), unit.words(), stage.site.memory, stage.site.family))
}

fn divisors(n: usize) -> impl Iterator<Item = usize> {
    (1..=n).filter(move |&d| n.is_multiple_of(d))
}
