//! The recurrence of [`super`], evaluated beat by beat: each link remembers when its last beats moved, as far back as a
//! FIFO or a line buffer can ask.

use super::frame_beats;
use crate::pipeline::{Schedule, Stage, Window};
use crate::stalls::Stalls;
use std::collections::VecDeque;

/// A running evaluation, frame by frame.
pub struct Run<'a> {
    stages: &'a [Stage],
    stalls: Stalls,
    /// `links[l]` enters stage l; the last one leaves the circuit.
    links: Vec<Link>,
    states: Vec<State>,
    beats: Vec<(u64, u64)>,
    /// Input beats still to be offered.
    due: u64,
    /// The cycle in which the very first beat moved.
    pub first_in: u64,
}

/// One link: beats given and not yet moved, and when the last ones moved.
struct Link {
    given: VecDeque<u64>,
    moved: History,
}

/// The last cycles of a link.
struct History {
    ring: Vec<u64>,
    count: u64,
    last: u64,
}

/// Progress of one stage.
enum State {
    Map { phase: usize, given: u64 },
    Split,
    Window(Box<Progress>),
}

/// Progress of a window.
struct Progress {
    window: Window,
    /// Position of the next operation: output row, column, group × fold × chunk, kernel row, kernel column.
    at: [usize; 5],
    frame: u64,
    issued: u64,
    last_issue: u64,
    /// Rows released in all, and the cycle of the operation that did it.
    released: VecDeque<(u64, u64)>,
}

impl<'a> Run<'a> {
    pub fn new(stages: &'a [Stage], stalls: &Stalls) -> Self {
        let states: Vec<State> = stages
            .iter()
            .map(|stage| match stage.schedule() {
                Schedule::Map { .. } => State::Map { phase: 0, given: 0 },
                Schedule::Split { .. } => State::Split,
                Schedule::Window(window) => State::Window(Box::new(Progress {
                    window,
                    at: [0; 5],
                    frame: 0,
                    issued: 0,
                    last_issue: 0,
                    released: VecDeque::from([(0, 0)]),
                })),
            })
            .collect();
        let keep = |link: usize| {
            let behind = link.checked_sub(1).map_or(1, |producer| match stages[producer].schedule() {
                Schedule::Split { ratio } => stages[producer].depth * ratio,
                _ => stages[producer].depth,
            });
            let ahead = stages.get(link).map_or(1, |consumer| match consumer.schedule() {
                Schedule::Window(w) => (w.ring + 1) * w.map.width * w.pixel_beats(),
                _ => 1,
            });
            (behind + ahead + 1).next_power_of_two()
        };
        let link =
            |l| Link { given: VecDeque::new(), moved: History { ring: vec![0; keep(l)], count: 0, last: 0 } };
        let links = (0..=stages.len()).map(link).collect();
        Run { stages, stalls: *stalls, links, states, beats: frame_beats(stages), due: 0, first_in: 0 }
    }

    /// Offers one more frame and gives the cycles of its output beats.
    pub fn frame(&mut self) -> Vec<u64> {
        self.due += self.beats[0].0;
        let wanted = self.beats.last().expect("a pipeline has stages").1 as usize;
        let mut out = Vec::with_capacity(wanted);
        while out.len() < wanted {
            let mut progress = self.sink(&mut out, wanted);
            for s in (0..self.stages.len()).rev() {
                let mut moved = self.advance(s);
                progress |= moved;
                // A window and the stage behind it pass most of all beats between them: as many as they can at once.
                while moved && matches!(self.states[s], State::Window(_)) && self.advance(s + 1) {
                    moved = self.advance(s);
                }
            }
            progress |= self.source();
            assert!(progress, "the pipeline is stuck: a stage waits for itself");
        }
        out
    }

    /// Advances stage `s` as far as what is known allows.
    fn advance(&mut self, s: usize) -> bool {
        let (taking, giving) = self.links.split_at_mut(s + 1);
        let (input, output) = (&mut taking[s], &mut giving[0]);
        match &mut self.states[s] {
            State::Map { phase, given } => map(&self.stages[s], input, output, phase, given),
            State::Split => split(&self.stages[s], input, output),
            State::Window(state) => state.advance(&self.stages[s], input, output),
        }
    }

    /// Offers the next beat once the one before it has moved.
    fn source(&mut self) -> bool {
        let link = &mut self.links[0];
        if self.due == 0 || !link.given.is_empty() {
            return false;
        }
        let cycle = self.stalls.source.first_open(link.moved.earliest(0));
        link.given.push_back(cycle);
        if link.moved.count == 0 {
            self.first_in = cycle; // an idle ingress takes it at once
        }
        self.due -= 1;
        true
    }

    fn sink(&mut self, out: &mut Vec<u64>, wanted: usize) -> bool {
        let link = self.links.last_mut().expect("a pipeline has links");
        let before = out.len();
        while out.len() < wanted
            && let Some(&given) = link.given.front()
        {
            let cycle = self.stalls.sink.first_open(link.moved.earliest(given));
            link.take(cycle);
            out.push(cycle);
        }
        out.len() > before
    }
}

impl Link {
    /// The beat in front moves in `cycle`.
    fn take(&mut self, cycle: u64) {
        self.given.pop_front();
        let History { ring, count, last } = &mut self.moved;
        let mask = ring.len() as u64 - 1;
        ring[(*count & mask) as usize] = cycle;
        *count += 1;
        *last = cycle;
    }
}

impl History {
    /// No earlier than `cycle`, and after the beat before.
    fn earliest(&self, cycle: u64) -> u64 {
        if self.count == 0 { cycle } else { cycle.max(self.last + 1) }
    }

    /// The cycle of beat `index`, if it has moved.
    fn get(&self, index: u64) -> Option<u64> {
        assert!(index + self.ring.len() as u64 >= self.count, "a cycle that was forgotten");
        (index < self.count).then(|| self.ring[(index & (self.ring.len() as u64 - 1)) as usize])
    }

    /// The first cycle in which the place of beat `index − depth` can be used again; none if not known yet.
    fn place(&self, index: u64, depth: u64) -> Option<u64> {
        if index < depth { Some(0) } else { self.get(index - depth).map(|cycle| cycle + 1) }
    }
}

fn map(stage: &Stage, input: &mut Link, output: &mut Link, phase: &mut usize, count: &mut u64) -> bool {
    let Schedule::Map { period, tail } = stage.schedule() else { unreachable!("a map") };
    let mut progress = false;
    while let Some(&given) = input.given.front() {
        let produces = *phase >= period - tail;
        let mut cycle = input.moved.earliest(given);
        if produces {
            let Some(place) = output.moved.place(*count, stage.depth as u64) else { break };
            cycle = cycle.max(place);
        }
        input.take(cycle);
        *phase = if *phase + 1 == period { 0 } else { *phase + 1 };
        if produces {
            output.given.push_back(cycle + stage.latency);
            *count += 1;
        }
        progress = true;
    }
    progress
}

fn split(stage: &Stage, input: &mut Link, output: &mut Link) -> bool {
    let Schedule::Split { ratio } = stage.schedule() else { unreachable!("a split") };
    let (ratio, depth) = (ratio as u64, stage.depth as u64);
    let mut progress = false;
    while let Some(&given) = input.given.front() {
        // An input beat's place is free once the last of its parts has left.
        let last_part = (input.moved.count + 1) * ratio - 1;
        let Some(place) = output.moved.place(last_part, depth * ratio) else { break };
        let cycle = input.moved.earliest(given).max(place);
        input.take(cycle);
        for _ in 0..ratio {
            output.given.push_back(cycle + stage.latency);
        }
        progress = true;
    }
    progress
}

impl Progress {
    fn advance(&mut self, stage: &Stage, input: &mut Link, output: &mut Link) -> bool {
        let taken = self.take(input);
        let issued = self.issue(stage, input, output);
        taken || issued
    }

    /// Takes input beats into rows that are free.
    fn take(&mut self, input: &mut Link) -> bool {
        let row_beats = (self.window.map.width * self.window.pixel_beats()) as u64;
        let mut progress = false;
        while let Some(&given) = input.given.front() {
            let (row, column) = (input.moved.count / row_beats, input.moved.count % row_beats);
            let mut cycle = input.moved.earliest(given);
            if column == 0 && row >= self.window.ring as u64 {
                let needed = row + 1 - self.window.ring as u64;
                while self.released.len() > 1 && self.released[0].0 < needed {
                    self.released.pop_front();
                }
                if self.released[0].0 < needed {
                    break;
                }
                cycle = cycle.max(self.released[0].1 + 2);
            }
            input.take(cycle);
            progress = true;
        }
        progress
    }

    /// Issues operations whose tap is written.
    fn issue(&mut self, stage: &Stage, input: &Link, output: &mut Link) -> bool {
        let w = self.window;
        let frame_beats = (w.map.height * w.map.width * w.pixel_beats()) as u64;
        let sizes =
            [w.output[0], w.output[1], w.groups * w.folds * w.chunks, w.rows.kernel, w.columns.kernel];
        let mut progress = false;
        while let Some(place) = output.moved.place(self.issued, stage.depth as u64) {
            let mut cycle = if self.issued == 0 { place } else { place.max(self.last_issue + 1) };
            let [oy, ox, replay, ky, kx] = self.at;
            // From the innermost loop outwards, so that most operations end at the first comparison.
            let pixel_ends = kx + 1 == sizes[4] && ky + 1 == sizes[3] && replay + 1 == sizes[2];
            let row_ends = pixel_ends && ox + 1 == sizes[1];
            let last = row_ends && oy + 1 == sizes[0];
            let needed = if last {
                Some(frame_beats - 1)
            } else {
                let tap = w.rows.tap(oy, ky, w.map.height).zip(w.columns.tap(ox, kx, w.map.width));
                tap.map(|(y, x)| ((y * w.map.width + x + 1) * w.pixel_beats()) as u64 - 1)
            };
            if let Some(beat) = needed {
                let Some(written) = input.moved.get(self.frame * frame_beats + beat) else { break };
                cycle = cycle.max(written + 1);
            }
            output.given.push_back(cycle + stage.latency);
            (self.issued, self.last_issue) = (self.issued + 1, cycle);
            progress = true;
            if last {
                self.frame += 1;
                self.released.push_back((self.frame * w.map.height as u64, cycle));
                self.at = [0; 5];
                continue;
            }
            if row_ends {
                let row = ((oy + 1) * w.rows.stride).saturating_sub(w.rows.before) as u64;
                self.released.push_back((self.frame * w.map.height as u64 + row, cycle));
            }
            for d in (0..5).rev() {
                self.at[d] += 1;
                if self.at[d] < sizes[d] {
                    break;
                }
                self.at[d] = 0;
            }
        }
        progress
    }
}
