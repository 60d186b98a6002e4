//! Holds the graph that is being built: adds stages, converts lanes, gives every reader of a node a stream of
//! its own.

use crate::device::Family;
use crate::plan::data::{Control, Memory, NodePlan, Output};
use crate::stage::fork::Fork;
use crate::stage::kind::{Kind, Schedule, Stage};
use crate::stage::narrow::Narrow;
use crate::stage::site::{Lanes, Site, Source};
use crate::stage::widen::Widen;
use std::collections::VecDeque;
use std::sync::Arc;

/// Describes a stream that no stage reads yet.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    pub source: Source,
    pub lanes: Lanes,
    /// Least number of cycles between beats at full rate.
    spacing: usize,
    /// Whether the depth of its FIFO is settled elsewhere: by the plan, or with all forks.
    is_fixed: bool,
}

/// Says what a circuit is built for.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    pub family: Family,
    pub output: Output,
    pub control: Control,
    /// Whether labels are those of a detector's two passes.
    pub detects: bool,
    /// Lead of the label's score that proves it, where labels say so.
    pub lead: Option<i64>,
}

/// Holds the graph so far.
pub struct Build {
    pub stages: Vec<Stage>,
    pub goal: Goal,
    /// The node that is being built: its instance name, its place, and its entry in the plan.
    pub name: String,
    pub node: usize,
    pub entry: NodePlan,
    /// For each finished node, one stream per reader that is still to come.
    open: Vec<VecDeque<Stream>>,
}

/// Describes a stage to be added, except for its kind.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    /// Suffix of its name, behind the node's name.
    pub suffix: &'a str,
    pub inputs: &'a [Stream],
    pub output: Lanes,
    /// The place of its memories.
    pub memory: Memory,
    /// Whether the control port reaches it.
    pub controlled: bool,
}

impl Build {
    pub fn new(goal: Goal) -> Self {
        Build { stages: vec![], goal, name: String::new(), node: 0, entry: NodePlan::new(""), open: vec![] }
    }

    /// Returns whether parameters can be loaded.
    pub fn loads(&self) -> bool {
        self.goal.control == Control::Load
    }

    /// Returns a stream of `lanes` from nowhere, for a node that is looked at alone.
    pub fn feed(lanes: Lanes) -> Stream {
        Stream { source: Source { stage: 0, port: 0 }, lanes, spacing: 1, is_fixed: false }
    }

    /// Returns the stream of node `source` for its next reader.
    pub fn read(&mut self, source: usize) -> Stream {
        self.open[source].pop_front().expect("a stream per reader")
    }

    /// Ends a node with `readers`: a FIFO of each of `depths` behind a fork, if there are several.
    pub fn end(&mut self, stream: Stream, readers: usize, depths: &[usize]) {
        if readers < 2 {
            self.open.push(VecDeque::from_iter((0..readers).map(|_| stream)));
            return;
        }
        let ways = self.fork("_fork", stream, depths);
        self.open.push(ways.into());
    }

    /// Adds a fork of `stream`, with a FIFO of each of `depths` places behind it, and gives its outputs.
    pub fn fork(&mut self, suffix: &str, stream: Stream, depths: &[usize]) -> Vec<Stream> {
        let fork = self.add(suffix, &[stream], stream.lanes, Fork);
        let stage = fork.source.stage;
        self.stages[stage].site.depths = depths.to_vec();
        let port = |port| Stream { source: Source { stage, port }, is_fixed: true, ..fork };
        (0..depths.len()).map(port).collect()
    }

    /// Returns a stage of the present node, whose memory lives where its entry says and which the control
    /// port does not reach.
    pub fn draft<'a>(&self, suffix: &'a str, inputs: &'a [Stream], output: Lanes) -> Draft<'a> {
        Draft { suffix, inputs, output, memory: self.entry.memory, controlled: false }
    }

    /// Adds a stage as [`Build::draft`] describes it.
    pub fn add(
        &mut self,
        suffix: &str,
        inputs: &[Stream],
        output: Lanes,
        kind: impl Kind + 'static,
    ) -> Stream {
        self.push(self.draft(suffix, inputs, output), kind)
    }

    /// Adds a stage: its latency is its kind's, its FIFO as deep as what is in flight.
    pub fn push(&mut self, draft: Draft, kind: impl Kind + 'static) -> Stream {
        let Draft { suffix, inputs, output, memory, controlled } = draft;
        let mut site = Site {
            name: format!("{}{suffix}", self.name),
            node: self.node,
            sources: inputs.iter().map(|stream| stream.source).collect(),
            input: inputs.first().map_or(output, |stream| stream.lanes),
            output,
            latency: 0,
            depths: vec![],
            memory,
            family: self.goal.family,
            controlled,
        };
        let slowest = inputs.iter().map(|stream| stream.spacing).max().unwrap_or(1);
        let spacing = match kind.schedule() {
            Schedule::Source { .. } | Schedule::Map { .. } => slowest * kind.spacing(),
            Schedule::Turns { .. } | Schedule::Split { .. } | Schedule::Window(_) => 1,
        };
        site.latency = kind.latency(&site);
        site.depths = vec![(site.latency as usize + 1).div_ceil(spacing).max(2)];
        let stage = self.stages.len();
        self.stages.push(Stage { site, kind: Arc::new(kind) });
        Stream { source: Source { stage, port: 0 }, lanes: output, spacing, is_fixed: false }
    }

    /// Gives the stage that `stream` leaves the FIFO of `depth` beats that the plan names.
    pub fn fix(&mut self, stream: &mut Stream, depth: usize) {
        self.stages[stream.source.stage].site.depths = vec![depth];
        stream.is_fixed = true;
    }

    /// Makes room for `beats` more of `stream` in the FIFO that it leaves, where that is not settled
    /// elsewhere.
    pub fn deepen(&mut self, stream: Stream, beats: usize) {
        if !stream.is_fixed {
            let stage = &mut self.stages[stream.source.stage];
            let ratio = if let Schedule::Split { ratio } = stage.schedule() { ratio } else { 1 };
            stage.site.depths[stream.source.port] += beats.div_ceil(ratio);
        }
    }

    /// Converts to `count` lanes: directly where one count divides the other, else through their common
    /// divisor.
    pub fn convert(&mut self, prefix: &str, mut stream: Stream, count: usize) -> Stream {
        let common = gcd(stream.lanes.count, count);
        if common < stream.lanes.count {
            let (ratio, lanes) = (stream.lanes.count / common, Lanes { count: common, ..stream.lanes });
            stream = self.add(&format!("{prefix}_narrow"), &[stream], lanes, Narrow { ratio });
        }
        if common < count {
            let (ratio, lanes) = (count / common, Lanes { count, ..stream.lanes });
            stream = self.add(&format!("{prefix}_widen"), &[stream], lanes, Widen { ratio });
        }
        stream
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
