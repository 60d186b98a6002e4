//! Draws circuits: the graph of stages, where the time of a frame goes, and what it takes of a device.

use super::{Cell, Figure, Section, Table, thousands};
use crate::Reports;
use crate::chart::Axis;
use crate::chart::bars::{Bar, Bars, Part};
use crate::chart::pipeline::{Block, Pipeline};
use crate::chart::spans::{Span, Spans};
use dq_hdl::emit::{GraphStage, Report as Circuit};
use dq_hdl::estimate::Resources;
use dq_hdl::flow::Record;

/// Nodes that have a part of their own in a bar; the others share one.
const PARTS: usize = 7;
/// Name of what a resource counts, and its number.
type Counted = (&'static str, fn(&Resources) -> u64);
const RESOURCES: [Counted; 5] = [
    ("LUTs", |r| r.lut),
    ("flip-flops", |r| r.ff),
    ("block RAMs", |r| r.bram),
    ("DSPs", |r| r.dsp),
    ("SPRAMs", |r| r.spram),
];

pub(super) fn section(reports: &Reports) -> Option<Section> {
    let mut section = Section {
        id: "hardware",
        title: "The circuit",
        about: "Cycles are exact: simulator and emitted Verilog agree to the cycle. Resources of a plan are \
                estimated, those of a record are counted by place and route."
            .into(),
        ..Section::default()
    };
    for circuit in reports.circuits() {
        let name = reports.by_hash(&circuit.network).map_or_else(|| circuit.name.clone(), |named| named.name);
        if !circuit.graph.is_empty() {
            section.figures.push(pipeline(&name, circuit));
            section.figures.push(waterfall(&name, circuit));
        }
        section.figures.push(resources(&name, circuit));
        section.tables.push(stages(&name, circuit));
    }
    let records: Vec<&Record> = reports.records().collect();
    if !records.is_empty() {
        section.tables.push(boards(&records));
    }
    (!section.tables.is_empty()).then_some(section)
}

/// Returns the colour of a stage's node: nodes take turns.
fn colour(circuit: &Circuit, stage: &GraphStage) -> usize {
    let mut nodes: Vec<&str> = circuit.graph.iter().map(|stage| stage.node.as_str()).collect();
    nodes.dedup();
    nodes.iter().position(|node| *node == stage.node).unwrap_or(0)
}

fn folding(stage: &GraphStage) -> String {
    match &stage.unit {
        Some(unit) => format!("{} × {}", unit.pe, unit.simd),
        None => format!("{} × {} bit", stage.lanes, stage.bits),
    }
}

fn pipeline(name: &str, circuit: &Circuit) -> Figure {
    let timing = &circuit.timing;
    let stages = circuit.graph.iter().zip(&timing.stages).map(|(stage, time)| {
        let depth = |from: usize, port: usize| {
            timing.stages.get(from).and_then(|stage| stage.depths.get(port)).copied().unwrap_or(0)
        };
        let place = stage.sources.iter().filter(|[from, _]| *from < circuit.graph.len());
        let unit = stage
            .unit
            .as_ref()
            .map_or_else(String::new, |unit| format!(", PE {} × SIMD {}, {}", unit.pe, unit.simd, unit.mac));
        Block {
            name: stage.stage.clone(),
            about: folding(stage),
            colour: colour(circuit, stage),
            busy: time.cycles as f64 / timing.interval as f64,
            sources: place.map(|&[from, port]| (from, depth(from, port))).collect(),
            title: format!(
                "{} ({}{unit}): {} of {} cycles, FIFO {:?}",
                stage.stage,
                stage.node,
                thousands(time.cycles),
                thousands(timing.interval),
                time.depths
            ),
        }
    });
    let caption = format!(
        "{name}: stages with lanes or PE × SIMD and the share of a frame's {} cycles in which each is busy",
        thousands(timing.interval)
    );
    let drawing = Pipeline { title: caption.clone(), stages: stages.collect() }.svg();
    Figure { caption, drawings: vec![drawing], ..Figure::default() }
}

fn waterfall(name: &str, circuit: &Circuit) -> Figure {
    let timing = &circuit.timing;
    let rows = circuit.graph.iter().zip(&timing.stages).map(|(stage, time)| Span {
        name: stage.stage.clone(),
        colour: colour(circuit, stage),
        range: [time.first as f64, time.last as f64],
        title: format!(
            "{}: first beat in cycle {}, last in cycle {}",
            stage.stage,
            thousands(time.first),
            thousands(time.last)
        ),
    });
    let caption = format!(
        "{name}: from first to last beat of each stage, one frame in an idle circuit (latency {} cycles)",
        thousands(timing.latency)
    );
    let unit = 10f64.powi((timing.latency as f64).log10() as i32 / 3 * 3);
    let mut x = Axis::round("cycle", 0.0, timing.latency as f64);
    let letter = if unit >= 1e6 {
        " M"
    } else if unit >= 1e3 {
        " k"
    } else {
        ""
    };
    for (value, text) in &mut x.ticks {
        *text = format!("{}{letter}", *value / unit);
    }
    let drawing = Spans { title: caption.clone(), x, rows: rows.collect() }.svg();
    Figure { caption, drawings: vec![drawing], ..Figure::default() }
}

/// Draws what share of each resource each node takes: of the device's, where one is known, else of all that
/// is used.
fn resources(name: &str, circuit: &Circuit) -> Figure {
    let nodes = by_node(circuit);
    let rows = RESOURCES.iter().filter_map(|(what, count)| {
        let used: u64 = nodes.iter().map(|(_, resources)| count(resources)).sum();
        let there = circuit.available.get(*what).copied().filter(|there| *there != u64::MAX);
        if used == 0 {
            return None;
        }
        let whole = there.unwrap_or(used).max(used);
        let label = match there {
            Some(there) => format!("{what}: {} of {}", thousands(used), thousands(there)),
            None => format!("{what}: {}", thousands(used)),
        };
        let part = |(n, (node, resources)): (usize, &(String, Resources))| Part {
            colour: n,
            value: count(resources) as f64,
            title: format!("{node}: {} {what}", thousands(count(resources))),
        };
        Some(Bar { label, whole: whole as f64, parts: nodes.iter().enumerate().map(part).collect() })
    });
    let rows = rows.collect();
    let device = circuit.device.as_ref().map(|device| format!(" of {device}")).unwrap_or_default();
    let caption = format!("{name}: estimated resources{device}, by node");
    let drawing = Bars { title: caption.clone(), rows }.svg();
    let legend = nodes.into_iter().enumerate().map(|(n, (node, _))| (n, node)).collect();
    Figure { caption, drawings: vec![drawing], legend }
}

/// Returns the resources of the nodes that take most LUTs, and of all others together.
fn by_node(circuit: &Circuit) -> Vec<(String, Resources)> {
    let node_of = |stage: &str| circuit.graph.iter().find(|s| s.stage == stage).map(|s| s.node.clone());
    let mut nodes: Vec<(String, Resources)> = vec![];
    for estimate in &circuit.estimate.stages {
        let node = node_of(&estimate.stage).unwrap_or_else(|| estimate.stage.clone());
        match nodes.iter_mut().find(|(known, _)| *known == node) {
            Some((_, sum)) => *sum = sum.plus(estimate.resources),
            None => nodes.push((node, estimate.resources)),
        }
    }
    nodes.sort_by_key(|(_, resources)| std::cmp::Reverse(resources.lut));
    if nodes.len() > PARTS + 1 {
        let rest = nodes.split_off(PARTS);
        let sum = rest.iter().fold(Resources::default(), |sum, (_, resources)| sum.plus(*resources));
        nodes.push((format!("{} others", rest.len()), sum));
    }
    nodes
}

fn stages(name: &str, circuit: &Circuit) -> Table {
    let caption = format!(
        "{name}: {} frames/s at {} MHz, {} cycles per frame, latency {} cycles; slowest stage {}",
        thousands(circuit.frames_per_second),
        circuit.clock_mhz,
        thousands(circuit.timing.interval),
        thousands(circuit.timing.latency),
        circuit.timing.bottleneck
    );
    let head = ["stage", "folding", "cycles", "busy, %", "first", "last", "FIFO", "LUT", "FF", "BRAM", "DSP"];
    let mut table = Table::new(&caption, &head);
    for (n, time) in circuit.timing.stages.iter().enumerate() {
        let resources = circuit.estimate.stages.get(n).map(|stage| stage.resources).unwrap_or_default();
        let depths: Vec<String> = time.depths.iter().map(ToString::to_string).collect();
        table.row(vec![
            Cell::text(time.stage.clone()),
            Cell::text(circuit.graph.get(n).map(folding).unwrap_or_default()),
            Cell::count(time.cycles),
            Cell::number(100.0 * time.cycles as f64 / circuit.timing.interval as f64, 1),
            Cell::count(time.first),
            Cell::count(time.last),
            Cell::text(depths.join("/")),
            Cell::count(resources.lut),
            Cell::count(resources.ff),
            Cell::count(resources.bram),
            Cell::count(resources.dsp),
        ]);
    }
    table
}

fn boards(records: &[&Record]) -> Table {
    let head =
        ["network", "board", "clock, MHz", "promised, MHz", "frames/s", "by UART", "cells", "slowest path"];
    let mut table = Table::new("Bitstreams", &head);
    for record in records {
        let mhz = |khz: u64| Cell::number(khz as f64 / 1000.0, 2);
        let cells: Vec<String> = record
            .utilization
            .iter()
            .map(|(cell, used)| format!("{cell} {}/{}", used.used, used.available))
            .collect();
        let path = record.critical_path.as_ref();
        table.row(vec![
            Cell::text(record.network.clone()),
            Cell::text(format!("{} ({})", record.board, record.device)),
            mhz(record.clock_khz),
            mhz(record.fmax_khz),
            Cell::count(record.frames_per_second),
            Cell::count(record.uart_frames_per_second),
            Cell::text(cells.join(", ")),
            Cell::text(path.map(|path| format!("{} → {}", path.from, path.to)).unwrap_or_default()),
        ]);
    }
    table
}
