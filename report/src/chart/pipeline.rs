//! Draws the graph of stages from top to bottom. Streams that pass over stages, as a residual's skip does, run
//! beside them on the left.

use super::spans::shortened;
use super::{COLOURS, WIDTH, place};
use askama::Template;

const ROW: f64 = 40.0;
const BOX: f64 = 26.0;
/// Room of one skip on the left.
const LANE: f64 = 9.0;
/// Most skips beside each other that get a lane of their own.
const LANES: usize = 6;

/// Holds a graph of stages.
#[derive(Clone, Debug)]
pub struct Pipeline {
    /// What it shows.
    pub title: String,
    /// The stages, in stream order.
    pub stages: Vec<Block>,
}

/// Holds one stage.
#[derive(Clone, Debug)]
pub struct Block {
    /// Its name.
    pub name: String,
    /// How it is folded, in a few letters.
    pub about: String,
    /// Its colour.
    pub colour: usize,
    /// Share of a frame's cycles in which it is busy, 0 to 1.
    pub busy: f64,
    /// Positions of the stages that it reads, with the depths of the FIFOs between.
    pub sources: Vec<(usize, usize)>,
    /// What it says, in words.
    pub title: String,
}

#[derive(Template)]
#[template(path = "pipeline.svg")]
struct Drawing<'a> {
    title: &'a str,
    width: f64,
    height: String,
    left: String,
    room: String,
    boxes: Vec<Drawn<'a>>,
    edges: Vec<Edge>,
}

struct Drawn<'a> {
    y: String,
    text_y: String,
    busy_y: String,
    busy: String,
    percent: String,
    name: String,
    about: &'a str,
    colour: usize,
    title: &'a str,
}

struct Edge {
    path: String,
    text: Option<[String; 2]>,
    depth: usize,
    title: String,
}

impl Pipeline {
    /// Returns the drawing.
    pub fn svg(&self) -> String {
        let lanes = self.lanes();
        let most = lanes.iter().flatten().map(|(.., lane)| lane + 1).max().unwrap_or(0);
        let left = 6.0 + LANE * most as f64;
        let room = WIDTH - left - 4.0;
        let top = |n: usize| n as f64 * ROW + 2.0;
        let boxes = self.stages.iter().enumerate().map(|(n, block)| Drawn {
            y: place(top(n)),
            text_y: place(top(n) + 15.0),
            busy_y: place(top(n) + BOX - 4.0),
            busy: place(room * block.busy.clamp(0.0, 1.0)),
            percent: format!("{:.0} %", 100.0 * block.busy),
            name: shortened(&block.name, 24),
            about: &block.about,
            colour: block.colour % COLOURS,
            title: &block.title,
        });
        let edges = lanes.iter().enumerate().flat_map(|(to, edges)| {
            edges.iter().map(move |&(from, depth, lane)| {
                let title =
                    format!("{} to {}: FIFO of {depth}", self.stages[from].name, self.stages[to].name);
                let (a, b) = (top(from) + BOX, top(to));
                if from + 1 == to {
                    let x = left + 22.0;
                    let path = format!("M{} {}V{}", place(x), place(a), place(b));
                    return Edge { path, text: Some([place(x + 5.0), place(b - 3.5)]), depth, title };
                }
                let (x, y) = (left - LANE * (lane as f64 + 0.6), a - BOX / 2.0);
                let end = b + BOX / 2.0;
                let path =
                    format!("M{} {}H{}V{}H{}", place(left), place(y), place(x), place(end), place(left));
                Edge { path, text: None, depth, title }
            })
        });
        let drawing = Drawing {
            title: &self.title,
            width: WIDTH,
            height: place(top(self.stages.len()) - (ROW - BOX) + 4.0),
            left: place(left),
            room: place(room),
            boxes: boxes.collect(),
            edges: edges.collect(),
        };
        drawing.render().expect("the template writes into a string")
    }

    /// Gives each stream that passes over stages a lane that no other uses there. Returns for each stage what
    /// it reads: stage, depth, lane.
    fn lanes(&self) -> Vec<Vec<(usize, usize, usize)>> {
        let mut used: Vec<(usize, usize, usize)> = vec![];
        let mut lane_of = |from: usize, to: usize| {
            if from + 1 == to {
                return 0;
            }
            let is_free =
                |lane: usize| used.iter().all(|&(a, b, taken)| taken != lane || b <= from || to <= a);
            let lane = (0..LANES).find(|&lane| is_free(lane)).unwrap_or(LANES - 1);
            used.push((from, to, lane));
            lane
        };
        let mut lanes = vec![];
        for (to, block) in self.stages.iter().enumerate() {
            lanes.push(block.sources.iter().map(|&(from, depth)| (from, depth, lane_of(from, to))).collect());
        }
        lanes
    }
}
