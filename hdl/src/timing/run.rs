//! The recurrence of [`super`], evaluated: whenever a beat moves, the stages at both ends of its link advance as far as
//! they can, those nearer to the end of the pipeline first.

use super::link::Link;
use super::window::Progress;
use super::{Deadlock, deadlock, frame_beats};
use crate::pipeline::{Schedule, Stage};
use crate::stalls::Stalls;

/// A running evaluation, frame by frame.
pub struct Run<'a> {
    stages: &'a [Stage],
    stalls: Stalls,
    /// Link 0 enters the circuit, the last one leaves it.
    pub(super) links: Vec<Link>,
    pub(super) nodes: Vec<Node>,
    /// Stages that may be able to advance: a bit each.
    ready: Vec<u64>,
    /// Whether windows advance by whole folds.
    cruise: bool,
    /// Beats of a frame that enter and leave the circuit.
    beats: (u64, u64),
    /// Input beats still to be offered.
    due: u64,
    /// The cycle in which the very first beat moved.
    pub first_in: u64,
}

/// A stage: its links, its neighbours, its progress.
pub(super) struct Node {
    pub inputs: Vec<usize>,
    pub outputs: Vec<usize>,
    /// Stages to look at again when it has advanced.
    neighbours: Vec<usize>,
    state: State,
}

/// Progress of one stage.
enum State {
    Map(Map),
    Split { ratio: u64 },
    Window(Box<Progress>),
}

/// Progress of a stage with an operation an input beat.
pub struct Map {
    pub period: usize,
    pub tail: usize,
    pub phase: usize,
}

impl<'a> Run<'a> {
    pub fn new(stages: &'a [Stage], stalls: &Stalls) -> Self {
        let mut links = vec![Link::new(0, 0, 1)];
        let mut first_link = vec![];
        for stage in stages {
            first_link.push(links.len());
            for port in 0..stage.depths.len() {
                let at_once = match stage.schedule() {
                    Schedule::Split { ratio } => ratio,
                    _ => 1,
                };
                links.push(Link::new(stage.depths[port] * at_once, stage.latency_to(port), at_once));
            }
        }
        let mut nodes: Vec<Node> = vec![];
        for (s, stage) in stages.iter().enumerate() {
            let inputs: Vec<usize> = match &stage.sources[..] {
                [] => vec![0],
                sources => sources.iter().map(|from| first_link[from.stage] + from.port).collect(),
            };
            if let Schedule::Window(w) = stage.schedule() {
                links[inputs[0]].keep((w.ring + 1) * w.map.width * w.pixel_beats());
            }
            for from in &stage.sources {
                nodes[from.stage].neighbours.push(s);
            }
            let outputs = (first_link[s]..first_link[s] + stage.depths.len()).collect();
            let neighbours = stage.sources.iter().map(|from| from.stage).collect();
            nodes.push(Node { inputs, outputs, neighbours, state: State::new(stage.schedule()) });
        }
        let ready = vec![0; nodes.len().div_ceil(64)];
        let beats = frame_beats(stages);
        let beats = (beats[0].0, beats.last().expect("a pipeline has stages").1);
        Run { stages, stalls: *stalls, links, nodes, ready, cruise: true, beats, due: 0, first_in: 0 }
    }

    /// Offers one more frame and gives the cycles of its output beats.
    pub fn frame(&mut self) -> Result<Vec<u64>, Deadlock> {
        let last = self.nodes.len() - 1;
        self.due += self.beats.0;
        let wanted = self.beats.1 as usize;
        let mut out = Vec::with_capacity(wanted);
        self.source();
        self.sink(&mut out, wanted);
        self.wake(0);
        self.wake(last);
        while out.len() < wanted {
            let Some(s) = self.next() else { return Err(deadlock::find(self.stages, self)) };
            if !self.advance(s) {
                continue;
            }
            if s == last && self.sink(&mut out, wanted) {
                self.wake(last);
            }
            if s == 0 && self.source() {
                self.wake(0);
            }
        }
        Ok(out)
    }

    fn wake(&mut self, s: usize) {
        self.ready[s / 64] |= 1 << (s % 64);
    }

    /// The last stage that may be able to advance.
    fn next(&mut self) -> Option<usize> {
        let (word, bits) = self.ready.iter_mut().enumerate().rev().find(|(_, bits)| **bits != 0)?;
        let bit = 63 - bits.leading_zeros() as usize;
        *bits ^= 1 << bit;
        Some(64 * word + bit)
    }

    /// Advances stage `s`, and a window with the stage behind it, as far as what is known allows.
    fn advance(&mut self, mut s: usize) -> bool {
        if let Some(before) = s.checked_sub(1)
            && matches!(self.nodes[before].state, State::Window(_))
        {
            s = before;
        }
        let progress = if let State::Window(_) = self.nodes[s].state {
            let [window, behind] = self.nodes.get_disjoint_mut([s, s + 1]).expect("two stages");
            let at = [window.inputs[0], window.outputs[0], behind.outputs[0]];
            let [input, between, output] = self.links.get_disjoint_mut(at).expect("three links");
            let (State::Window(state), State::Map(map)) = (&mut window.state, &mut behind.state) else {
                unreachable!("a map reads the windows")
            };
            state.advance(map, input, between, output, self.cruise)
        } else {
            let Node { inputs, outputs, state, .. } = &mut self.nodes[s];
            match (state, &inputs[..], &outputs[..]) {
                (State::Map(_), [_, _, ..], _) | (State::Map(_), _, [_, _, ..]) => {
                    join(&mut self.links, inputs, outputs)
                }
                (state, &[input], &[output]) => {
                    let [input, output] = self.links.get_disjoint_mut([input, output]).expect("two links");
                    match state {
                        State::Map(map) => map.advance(input, output),
                        State::Split { ratio } => split(input, output, *ratio),
                        State::Window(_) => unreachable!("advanced above"),
                    }
                }
                _ => unreachable!("a stage has links"),
            }
        };
        if progress {
            for i in 0..self.nodes[s].neighbours.len() {
                self.wake(self.nodes[s].neighbours[i]);
            }
            if let State::Window(_) = self.nodes[s].state {
                for i in 0..self.nodes[s + 1].neighbours.len() {
                    self.wake(self.nodes[s + 1].neighbours[i]);
                }
            }
        }
        progress
    }

    /// Offers the next beat once the one before it has moved.
    fn source(&mut self) -> bool {
        let link = &mut self.links[0];
        if self.due == 0 || link.front().is_some() {
            return false;
        }
        let cycle = self.stalls.source.first_open(link.next);
        link.give(cycle);
        if link.given == 1 {
            self.first_in = cycle; // an idle ingress takes it at once
        }
        self.due -= 1;
        true
    }

    fn sink(&mut self, out: &mut Vec<u64>, wanted: usize) -> bool {
        let link = self.links.last_mut().expect("a pipeline has links");
        let before = out.len();
        while out.len() < wanted
            && let Some(cycle) = link.front()
        {
            let cycle = self.stalls.sink.first_open(cycle);
            link.take(cycle);
            out.push(cycle);
        }
        out.len() > before
    }
}

impl State {
    fn new(schedule: Schedule) -> Self {
        match schedule {
            Schedule::Map { period, tail } => State::Map(Map { period, tail, phase: 0 }),
            Schedule::Split { ratio } => State::Split { ratio: ratio as u64 },
            Schedule::Window(window) => State::Window(Box::new(Progress::new(window))),
        }
    }
}

impl Map {
    /// Takes beats and gives what they produce.
    pub fn advance(&mut self, input: &mut Link, output: &mut Link) -> bool {
        let before = input.moved;
        while let Some(mut cycle) = input.front() {
            let produces = self.phase >= self.period - self.tail;
            if produces {
                let Some(place) = output.places(1) else { break };
                cycle = cycle.max(place);
            }
            input.take(cycle);
            self.phase = if self.phase + 1 == self.period { 0 } else { self.phase + 1 };
            if produces {
                output.give(cycle);
            }
        }
        input.moved > before
    }
}

/// A map of one operation a beat over several links: every input moves at once, every output gets a beat.
fn join(links: &mut [Link], inputs: &[usize], outputs: &[usize]) -> bool {
    let mut progress = false;
    loop {
        let given = inputs.iter().map(|&l| links[l].front());
        let cycles = given.chain(outputs.iter().map(|&l| links[l].places(1)));
        let Some(cycle) = cycles.reduce(|a, b| Some(a?.max(b?))).flatten() else { return progress };
        inputs.iter().for_each(|&l| links[l].take(cycle));
        outputs.iter().for_each(|&l| links[l].give(cycle));
        progress = true;
    }
}

/// Gives each beat as `ratio`. Its place is free again once the last of its parts has left.
fn split(input: &mut Link, output: &mut Link, ratio: u64) -> bool {
    let before = input.moved;
    while let (Some(cycle), Some(place)) = (input.front(), output.places(ratio)) {
        let cycle = cycle.max(place);
        input.take(cycle);
        (0..ratio).for_each(|_| output.give(cycle));
    }
    input.moved > before
}
