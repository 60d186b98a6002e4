//! The pipeline: a network and its plan as one chain of stages, plain data. Timing, netlist, Verilog and estimates all
//! read this one list, so they cannot disagree about lanes, latencies or depths. Holds no weights.
//!
//! **How a stage moves.** Every stage does one operation a cycle at most. An operation issues when its input is there
//! and, if it produces a beat, a place in the output FIFO of `depth` beats is free; the beat can leave `latency`
//! cycles after its operation issued. Between the two nothing stalls, and every condition depends on registers alone,
//! so there is no combinational path through a stage in either direction.

use crate::names;
use crate::plan::{Memory, Output, Plan, limits};
use crate::stage::dot;
use dq_net::layer::{Layer, window::Axis};
use dq_net::{Network, Range, Shape, Wire};

/// One stage of the chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Instance name: the node's own for the stage that computes it.
    pub name: String,
    /// The node it belongs to.
    pub node: usize,
    /// What it does.
    pub kind: Kind,
    /// Beats it takes.
    pub input: Lanes,
    /// Beats it gives.
    pub output: Lanes,
    /// Cycles from the issue of an operation to the first in which its beat can leave.
    pub latency: u64,
    /// Beats its FIFO holds, those in flight included (at a [`Kind::Narrow`] or [`Kind::Egress`]: input beats).
    pub depth: usize,
    /// Where its memories live.
    pub memory: Memory,
}

/// The lanes of a stream: lane 0 in the low bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lanes {
    /// Lanes of a beat.
    pub count: usize,
    /// Bits of a lane.
    pub bits: usize,
    /// Whether a lane is two's complement.
    pub signed: bool,
}

/// What a stage does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// AXI4-Stream input of frames of `beats` beats, resynchronized by `tlast`.
    Ingress {
        /// Beats of a frame.
        beats: usize,
    },
    /// Each beat as `ratio` narrower ones, low lanes first.
    Narrow {
        /// Output beats an input beat.
        ratio: usize,
    },
    /// `ratio` beats as one, the first in the low lanes.
    Widen {
        /// Input beats an output beat.
        ratio: usize,
    },
    /// Line buffer and windows.
    Window(Window),
    /// Matrix-vector multiply-accumulate.
    Mvau(Mvau),
    /// Thresholds; the channels come in `folds` beats.
    Step {
        /// Beats of a pixel.
        folds: usize,
    },
    /// Largest or sum of `taps` beats in a row.
    Reduce {
        /// What is done with them.
        fold: Fold,
        /// Beats of a window.
        taps: usize,
    },
    /// Sum of each channel of a frame.
    GlobalSum {
        /// Pixels of a frame.
        pixels: usize,
        /// Beats of a pixel.
        chunks: usize,
    },
    /// Adds each class's bias.
    Bias {
        /// Classes, one a beat.
        classes: usize,
    },
    /// Index of the largest, the lowest on ties.
    ArgMax {
        /// Classes, one a beat.
        classes: usize,
    },
    /// AXI4-Stream output of frames of `beats` beats, lanes extended to whole bytes.
    Egress {
        /// Beats of a frame.
        beats: usize,
    },
}

/// How a pool joins the values of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// The largest.
    Max,
    /// The sum.
    Sum,
}

/// Windows over a feature map: for each output pixel, group, fold, chunk of channels of the group, kernel row, kernel
/// column (the last fastest) one beat of `simd` channels; zeros where the tap lies in the padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// The feature map.
    pub map: Shape,
    /// Windows along rows.
    pub rows: Axis,
    /// Windows along columns.
    pub columns: Axis,
    /// Output rows and columns.
    pub output: [usize; 2],
    /// Groups of channels.
    pub groups: usize,
    /// How often each window of a group is replayed.
    pub folds: usize,
    /// Beats of the channels of one group.
    pub chunks: usize,
    /// Rows that the line buffer holds.
    pub ring: usize,
}

/// Multiply-accumulate: `pe` outputs over `taps` beats of `simd` levels each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mvau {
    /// Outputs computed side by side.
    pub pe: usize,
    /// Inputs a beat.
    pub simd: usize,
    /// Beats of one output: chunks × kernel rows × kernel columns.
    pub taps: usize,
    /// Folds of all groups: each has its own weights.
    pub folds: usize,
    /// Bits of a level.
    pub level_bits: usize,
    /// Bits of a weight.
    pub weight_bits: usize,
}

/// How a stage's operations map input beats to output beats; all that timing needs to know of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Schedule {
    /// An operation an input beat; of every `period` operations the last `tail` produce a beat.
    Map {
        /// Operations of a round.
        period: usize,
        /// Operations at its end that produce.
        tail: usize,
    },
    /// Each input beat leaves as `ratio` beats.
    Split {
        /// Output beats an input beat.
        ratio: usize,
    },
    /// Operations over a line buffer.
    Window(Window),
}

impl Lanes {
    /// `count` lanes that carry `range`.
    pub fn new(count: usize, range: Range) -> Self {
        Self { count, bits: range.bits() as usize, signed: range.signed() }
    }

    /// Bits of a beat.
    pub fn width(&self) -> usize {
        self.count * self.bits
    }
}

impl Window {
    /// Taps of a window.
    pub fn taps(&self) -> usize {
        self.rows.kernel * self.columns.kernel
    }

    /// Beats of an input pixel.
    pub fn pixel_beats(&self) -> usize {
        self.groups * self.chunks
    }

    /// Operations of a frame.
    pub fn operations(&self) -> u64 {
        [self.output[0], self.output[1], self.groups, self.folds, self.chunks, self.taps()]
            .iter()
            .map(|&n| n as u64)
            .product()
    }

    /// First row of the window of the last output row, in rows of the map.
    pub fn last_row(&self) -> usize {
        ((self.output[0] - 1) * self.rows.stride).saturating_sub(self.rows.before)
    }

    /// Rows from the window of one frame's last output row to that of the next frame's first; negative where padding
    /// makes them overlap.
    pub fn jump(&self) -> isize {
        self.map.height as isize - ((self.output[0] - 1) * self.rows.stride) as isize
    }
}

impl Stage {
    /// Name of its module where that is its own and not shared by all stages of the same shape. Never the name of a net.
    pub fn module_name(&self) -> String {
        let name = &self.name;
        match self.kind {
            Kind::Mvau(_) => format!("{name}_mvau"),
            Kind::Step { .. } => format!("{name}_step"),
            Kind::Reduce { .. } => format!("{name}_pool"),
            Kind::GlobalSum { .. } => format!("{name}_global_sum"),
            Kind::Bias { .. } => format!("{name}_bias"),
            // These have it in the instance's name.
            Kind::Window(_) | Kind::ArgMax { .. } => name.clone(),
            Kind::Ingress { .. } => "dq_ingress".into(),
            Kind::Egress { .. } => "dq_egress".into(),
            Kind::Narrow { ratio } => format!("dq_narrow_{}x{ratio}_d{}", self.output.width(), self.depth),
            Kind::Widen { ratio } => format!("dq_widen_{}x{ratio}_d{}", self.input.width(), self.depth),
        }
    }

    /// How its operations map beats.
    pub fn schedule(&self) -> Schedule {
        match &self.kind {
            Kind::Ingress { .. } | Kind::Step { .. } | Kind::Bias { .. } => {
                Schedule::Map { period: 1, tail: 1 }
            }
            Kind::Widen { ratio } => Schedule::Map { period: *ratio, tail: 1 },
            Kind::Mvau(mvau) => Schedule::Map { period: mvau.taps, tail: 1 },
            Kind::Reduce { taps, .. } => Schedule::Map { period: *taps, tail: 1 },
            Kind::GlobalSum { pixels, chunks } => Schedule::Map { period: pixels * chunks, tail: *chunks },
            Kind::ArgMax { classes } => Schedule::Map { period: *classes, tail: 1 },
            Kind::Narrow { ratio } => Schedule::Split { ratio: *ratio },
            Kind::Egress { .. } => Schedule::Split { ratio: 1 },
            Kind::Window(window) => Schedule::Window(*window),
        }
    }
}

/// The stages of `network` under `plan`, in stream order: ingress first, egress last.
///
/// # Panics
/// If `plan` was not checked against `network`.
pub fn stages(network: &Network, plan: &Plan) -> Vec<Stage> {
    plan.check(network).unwrap_or_else(|error| panic!("plan not checked: {error}"));
    let names = names::of_nodes(network);
    let shape = network.input_shape();
    let pixel = Lanes::new(shape.channels, Range::levels(8));
    let mut chain = Chain { stages: vec![], lanes: pixel, spacing: 1 };
    let beats = shape.height * shape.width;
    chain.push(&names[0], 0, Kind::Ingress { beats }, pixel, 1, 1);
    for (i, node) in network.nodes().iter().enumerate().skip(1) {
        let (from, to) = (network.wire(i - 1), network.wire(i));
        let name = &names[i];
        let before = chain.stages.len();
        match &node.layer {
            Layer::Input(_) => unreachable!("checked: the input is the first node"),
            Layer::Conv(conv) => {
                let axes = conv.axes();
                chain.multiply(name, i, from, to, axes, conv.groups, conv.weight_bits, network, plan);
            }
            Layer::Dense(dense) => {
                chain.multiply(name, i, from, to, whole(from.shape), 1, dense.weight_bits, network, plan);
            }
            Layer::Step(_) => {
                let folds = to.shape.channels / chain.lanes.count;
                let bits = to.range.bits() as usize;
                let latency = 2 * bits.div_ceil(2) as u64 + 1;
                let output = Lanes { count: chain.lanes.count, bits, signed: false };
                chain.push(name, i, Kind::Step { folds }, output, latency, 1);
            }
            Layer::MaxPool(pool) => {
                chain.reduce(name, i, from, to, pool.axes(), Fold::Max, entry_simd(network, plan, i));
            }
            Layer::SumPool(pool) => {
                chain.reduce(name, i, from, to, pool.axes(), Fold::Sum, entry_simd(network, plan, i));
            }
            Layer::GlobalSum(_) => {
                let pixels = from.shape.height * from.shape.width;
                let chunks = from.shape.channels / chain.lanes.count;
                let output = Lanes::new(chain.lanes.count, to.range);
                chain.push(name, i, Kind::GlobalSum { pixels, chunks }, output, 2, 1);
            }
            Layer::Logits(logits) => {
                let classes = logits.bias.len();
                chain.convert(name, i, 1);
                chain.push(name, i, Kind::Bias { classes }, Lanes::new(1, to.range), 2, 1);
                let mut beats = classes;
                if plan.output == Output::Label {
                    let label = Lanes::new(1, Range::new(0, classes as i64 - 1));
                    chain.push(&format!("{name}_argmax"), i, Kind::ArgMax { classes }, label, 2, classes);
                    beats = 1;
                }
                let lanes = chain.lanes;
                let bytes = Lanes { bits: lanes.bits.next_multiple_of(8), ..lanes };
                chain.push(&format!("{name}_egress"), i, Kind::Egress { beats }, bytes, 1, 1);
            }
        }
        if let Some(entry) = plan.node(&node.name) {
            for stage in &mut chain.stages[before..] {
                stage.memory = entry.memory;
            }
            let last = chain.stages.last_mut().expect("every node has a stage");
            last.depth = entry.fifo.unwrap_or(last.depth);
        }
    }
    chain.stages
}

/// The whole map as one window: how a dense layer reads.
pub fn whole(shape: Shape) -> (Axis, Axis) {
    let axis = |kernel| Axis { kernel, stride: 1, before: 0, after: 0 };
    (axis(shape.height), axis(shape.width))
}

fn entry_simd(network: &Network, plan: &Plan, i: usize) -> usize {
    plan.node(&network.nodes()[i].name).expect("checked: folding nodes have an entry").simd
}

/// The chain so far, and what leaves it.
struct Chain {
    stages: Vec<Stage>,
    lanes: Lanes,
    /// Cycles between beats at full rate, at least.
    spacing: usize,
}

impl Chain {
    /// Adds a stage that gives a beat every `beats` input beats at most.
    fn push(&mut self, name: &str, node: usize, kind: Kind, output: Lanes, latency: u64, beats: usize) {
        let split = matches!(kind, Kind::Narrow { .. } | Kind::Egress { .. } | Kind::Window(_));
        self.spacing = if split { 1 } else { self.spacing * beats };
        let depth = (latency as usize + 1).div_ceil(self.spacing).max(2);
        let input = self.lanes;
        self.lanes = output;
        let memory = Memory::Auto;
        self.stages.push(Stage { name: name.into(), node, kind, input, output, latency, depth, memory });
    }

    /// Converts to `count` lanes: directly where one count divides the other, else through their common divisor.
    fn convert(&mut self, name: &str, node: usize, count: usize) {
        let common = gcd(self.lanes.count, count);
        if common < self.lanes.count {
            let (ratio, lanes) = (self.lanes.count / common, Lanes { count: common, ..self.lanes });
            self.push(&format!("{name}_narrow"), node, Kind::Narrow { ratio }, lanes, 1, 1);
        }
        if common < count {
            let (ratio, lanes) = (count / common, Lanes { count, ..self.lanes });
            self.push(&format!("{name}_widen"), node, Kind::Widen { ratio }, lanes, 1, ratio);
        }
    }

    /// The window in front of a multiply-accumulate or a pool, on `simd` lanes.
    #[expect(clippy::too_many_arguments, reason = "the fields of a window, each from its own source")]
    fn window(
        &mut self,
        name: &str,
        node: usize,
        map: Shape,
        to: Shape,
        axes: (Axis, Axis),
        groups: usize,
        folds: usize,
        simd: usize,
    ) -> Window {
        self.convert(name, node, simd);
        let (rows, columns) = axes;
        let output = [to.height, to.width];
        let chunks = map.channels / groups / simd;
        let mut window = Window { map, rows, columns, output, groups, folds, chunks, ring: 0 };
        // The rows in use and those that arrive meanwhile, so that a frame's end does not wait for the next one.
        window.ring =
            rows.kernel.min(map.height) + rows.stride.min(map.height).max(window.jump().max(0) as usize);
        self.push(&format!("{name}_window"), node, Kind::Window(window), self.lanes, 3, 1);
        window
    }

    #[expect(clippy::too_many_arguments, reason = "convolution and dense layer meet here")]
    fn multiply(
        &mut self,
        name: &str,
        node: usize,
        from: Wire,
        to: Wire,
        axes: (Axis, Axis),
        groups: usize,
        weight_bits: u8,
        network: &Network,
        plan: &Plan,
    ) {
        let entry = plan.node(&network.nodes()[node].name).expect("checked: folding nodes have an entry");
        let (pe, simd) = (entry.pe, entry.simd);
        let folds = limits(network, node).expect("a folding node").outputs / pe;
        let window = self.window(name, node, from.shape, to.shape, axes, groups, folds, simd);
        let mvau = Mvau {
            pe,
            simd,
            taps: window.chunks * window.taps(),
            folds: groups * folds,
            level_bits: from.range.bits() as usize,
            weight_bits: weight_bits.into(),
        };
        let latency = dot::latency(simd, mvau.weight_bits) + 3;
        self.push(name, node, Kind::Mvau(mvau), Lanes::new(pe, to.range), latency, mvau.taps);
    }

    #[expect(clippy::too_many_arguments, reason = "two kinds of pool meet here")]
    fn reduce(
        &mut self,
        name: &str,
        node: usize,
        from: Wire,
        to: Wire,
        axes: (Axis, Axis),
        fold: Fold,
        simd: usize,
    ) {
        let taps = self.window(name, node, from.shape, to.shape, axes, 1, 1, simd).taps();
        self.push(name, node, Kind::Reduce { fold, taps }, Lanes::new(simd, to.range), 2, taps);
    }
}

fn gcd(a: usize, b: usize) -> usize {
    if b == 0 { a } else { gcd(b, a % b) }
}
