//! The graph being built: adds stages, converts lanes, gives every reader of a node a stream of its own.

use super::{Kind, Lanes, Source, Stage, Window};
use crate::device::Family;
use crate::plan::Memory;
use crate::stage::window;
use dq_net::Shape;
use dq_net::layer::window::Axis;
use std::collections::VecDeque;

/// A stream that no stage reads yet.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    pub source: Source,
    pub lanes: Lanes,
    /// Cycles between beats at full rate, at least.
    spacing: usize,
}

/// The graph so far.
pub struct Build {
    pub stages: Vec<Stage>,
    /// The node that is being built: its name and place.
    pub name: String,
    pub node: usize,
    /// What it is built for.
    pub family: Family,
    /// For each node done, its stream for each reader to come.
    open: Vec<VecDeque<Stream>>,
}

impl Build {
    pub fn new(family: Family) -> Self {
        Build { stages: vec![], name: String::new(), node: 0, family, open: vec![] }
    }

    /// A stream of `lanes` from nowhere, for a node that is looked at alone.
    pub fn feed(lanes: Lanes) -> Stream {
        Stream { source: Source { stage: 0, port: 0 }, lanes, spacing: 1 }
    }

    /// The stream of node `source` for its next reader.
    pub fn read(&mut self, source: usize) -> Stream {
        self.open[source].pop_front().expect("a stream a reader")
    }

    /// Ends a node with `readers`: a FIFO of each of `depths` behind a fork, if there are several.
    pub fn end(&mut self, stream: Stream, readers: usize, depths: &[usize]) {
        if readers < 2 {
            self.open.push(VecDeque::from_iter((0..readers).map(|_| stream)));
            return;
        }
        let fork = self.push("_fork", Kind::Fork, &[stream], stream.lanes, 1, 1);
        let stage = fork.source.stage;
        self.stages[stage].depths = depths.to_vec();
        let port = |port| Stream { source: Source { stage, port }, ..fork };
        self.open.push((0..readers).map(port).collect());
    }

    /// Adds a stage, named after the node and `suffix`, that gives a beat every `beats` input beats at most.
    pub fn push(
        &mut self,
        suffix: &str,
        kind: Kind,
        inputs: &[Stream],
        output: Lanes,
        latency: u64,
        beats: usize,
    ) -> Stream {
        let split = matches!(kind, Kind::Narrow { .. } | Kind::Egress { .. } | Kind::Window(_));
        let slowest = inputs.iter().map(|stream| stream.spacing).max().unwrap_or(1);
        let spacing = if split { 1 } else { slowest * beats };
        let depth = (latency as usize + 1).div_ceil(spacing).max(2);
        let stage = self.stages.len();
        self.stages.push(Stage {
            name: format!("{}{suffix}", self.name),
            node: self.node,
            kind,
            sources: inputs.iter().map(|stream| stream.source).collect(),
            input: inputs.first().map_or(output, |stream| stream.lanes),
            output,
            latency,
            depths: vec![depth],
            memory: Memory::Auto,
            family: self.family,
            controlled: false,
        });
        Stream { source: Source { stage, port: 0 }, lanes: output, spacing }
    }

    /// Converts to `count` lanes: directly where one count divides the other, else through their common divisor.
    pub fn convert(&mut self, prefix: &str, mut stream: Stream, count: usize) -> Stream {
        let common = gcd(stream.lanes.count, count);
        if common < stream.lanes.count {
            let (ratio, lanes) = (stream.lanes.count / common, Lanes { count: common, ..stream.lanes });
            stream = self.push(&format!("{prefix}_narrow"), Kind::Narrow { ratio }, &[stream], lanes, 1, 1);
        }
        if common < count {
            let (ratio, lanes) = (count / common, Lanes { count, ..stream.lanes });
            stream = self.push(&format!("{prefix}_widen"), Kind::Widen { ratio }, &[stream], lanes, 1, ratio);
        }
        stream
    }

    /// The window in front of a multiply-accumulate or a pool, on `simd` lanes; its line buffer lives in `memory`.
    #[expect(clippy::too_many_arguments, reason = "the fields of a window, each from its own source")]
    pub fn window(
        &mut self,
        stream: Stream,
        map: Shape,
        to: Shape,
        axes: (Axis, Axis),
        groups: usize,
        folds: usize,
        simd: usize,
        memory: Memory,
    ) -> (Stream, Window) {
        let stream = self.convert("", stream, simd);
        let (rows, columns) = axes;
        let output = [to.height, to.width];
        let chunks = map.channels / groups / simd;
        let mut window = Window { map, rows, columns, output, groups, folds, chunks, ring: 0 };
        // The rows in use and those that arrive meanwhile, so that a frame's end does not wait for the next one.
        window.ring =
            rows.kernel.min(map.height) + rows.stride.min(map.height).max(window.jump().max(0) as usize);
        let lanes = stream.lanes;
        let latency = window::latency(&window, lanes.width(), memory, self.family);
        (self.push("_window", Kind::Window(window), &[stream], lanes, latency, 1), window)
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
