//! Evaluates the recurrence of [`super`]: whenever a beat moves, the stages at both ends of its link advance
//! as far as they can, those nearer to the start of the pipeline first.

use super::beats::beats_of_part;
use super::deadlock::{self, Deadlock};
use super::link::Link;
use super::moves::{Map, Turns, join, split};
use super::snapshot::Snapshot;
use super::window::Progress;
use crate::stage::kind::{Schedule, Stage};
use crate::stalls::{Pattern, Stalls};

/// Holds a running evaluation, frame by frame.
pub struct Run<'a> {
    stages: &'a [Stage],
    sink: Pattern,
    /// The links: link 0 enters the circuit, the last one leaves it.
    links: Vec<Link>,
    /// Indices of each stage's links: inputs, outputs.
    ports: Vec<[Vec<usize>; 2]>,
    units: Vec<Unit>,
    /// The sources: that of the frames, then those of weights that a stage may have to wait for.
    sources: Vec<Entry>,
    /// One bit per unit, set where the unit may be able to advance.
    ready: Vec<u64>,
    /// The cycles before which no beat of the first frame enters, where a part of a pipeline is fed.
    arrivals: &'a [u64],
    /// Whether windows advance by whole folds.
    cruise: bool,
    /// Numbers of beats per frame that enter and leave the circuit.
    beats: (u64, u64),
    /// The cycle in which the very first beat moved.
    pub first_in: u64,
}

/// Describes a source of beats.
struct Entry {
    /// The link that enters the circuit, and the unit behind it.
    link: usize,
    unit: usize,
    pattern: Pattern,
    /// Number of beats that are still to be offered.
    due: u64,
}

/// Describes what advances at once: a stage, or a window with the stage behind it.
struct Unit {
    inputs: Vec<usize>,
    outputs: Vec<usize>,
    /// Indices of the units that give it beats, and of those that take its own.
    producers: Vec<usize>,
    consumers: Vec<usize>,
    state: State,
    /// Whether it waits for a place for its beat.
    full: bool,
}

/// Holds the progress of one unit.
enum State {
    Map(Map),
    /// A map of one operation per beat, with several inputs or outputs.
    Join,
    Turns(Turns),
    Split {
        ratio: u64,
    },
    /// The window, the link behind it and the stage that reads it, with the link that brings this one
    /// weights, where it may have to wait for them.
    Window(Box<Progress>, usize, Map, Option<usize>),
}

impl<'a> Run<'a> {
    pub fn new(stages: &'a [Stage], stalls: &Stalls) -> Self {
        Self::fed(stages, stalls, &[])
    }

    /// Begins a run of a part of a pipeline, whose first stage reads no other one: the beats of a frame come
    /// to it in the cycles `arrivals`, or later where it does not take them then.
    pub fn part(stages: &'a [Stage], arrivals: &'a [u64]) -> Self {
        Self::fed(stages, &Stalls::NONE, arrivals)
    }

    fn fed(stages: &'a [Stage], stalls: &Stalls, arrivals: &'a [u64]) -> Self {
        let mut links = vec![];
        let (mut entries, mut first_link) = (vec![], vec![]);
        for (s, stage) in stages.iter().enumerate() {
            if stage.site.sources.is_empty() {
                entries.push((s, links.len()));
                links.push(Link::new(0, 0, 1));
            }
            first_link.push(links.len());
            for port in 0..stage.site.depths.len() {
                let at_once = match stage.schedule() {
                    Schedule::Split { ratio } => ratio,
                    Schedule::Source { .. }
                    | Schedule::Map { .. }
                    | Schedule::Turns { .. }
                    | Schedule::Window(_) => 1,
                };
                links.push(Link::new(stage.site.depths[port] * at_once, stage.latency_to(port), at_once));
            }
        }
        let mut ports: Vec<[Vec<usize>; 2]> = vec![];
        for (s, stage) in stages.iter().enumerate() {
            let inputs: Vec<usize> = match &stage.site.sources[..] {
                [] => vec![first_link[s] - 1],
                sources => sources.iter().map(|from| first_link[from.stage] + from.port).collect(),
            };
            if let Schedule::Window(w) = stage.schedule() {
                links[inputs[0]].keep((w.ring + 1) * w.map.width * w.pixel_beats());
            }
            ports.push([inputs, (first_link[s]..first_link[s] + stage.site.depths.len()).collect()]);
        }
        let always_open = stalls.weights.closed == 0;
        let of_weights = entries[1..].iter().map(|&(s, _)| s);
        let free: Vec<[usize; 2]> =
            of_weights.filter(|_| always_open).filter_map(|s| Some([s, never_waits(stages, s)?])).collect();
        let (units, unit_of) = units(stages, &ports, &free);
        let ready = vec![0; units.len().div_ceil(64)];
        let beats = beats_of_part(stages, arrivals.len() as u64);
        for ([_, outputs], (_, given)) in ports.iter().zip(&beats) {
            outputs.iter().for_each(|&link| links[link].frame = *given);
        }
        let beats = (beats[0].0, beats.last().expect("a pipeline has stages").1);
        links[0].frame = beats.0;
        // A word moves with the beat of levels that it belongs to.
        for &[port, reader] in &free {
            ports[reader][0].truncate(1);
            ports[port][1] = ports[reader][0].clone();
        }
        let is_free = |s: usize| free.iter().any(|&[port, _]| port == s);
        let entry = |(i, (s, link)): (usize, (usize, usize))| {
            let (pattern, due) = match i.checked_sub(1) {
                None => (stalls.source, 0),
                Some(port) => (stalls.of_port(port), u64::MAX),
            };
            (!is_free(s)).then(|| Entry { link, unit: unit_of[s], pattern, due })
        };
        let sources = entries.into_iter().enumerate().filter_map(entry).collect();
        let sink = stalls.sink;
        Run { stages, sink, links, ports, units, sources, ready, arrivals, cruise: true, beats, first_in: 0 }
    }

    /// Counts from now on the places that the FIFO of output `port` of stage `s` fills.
    pub fn watch(&mut self, s: usize, port: usize) {
        self.links[self.ports[s][1][port]].watch();
    }

    /// Records from now on the cycles in which beats enter stage `s`, at its first input.
    pub fn watch_input(&mut self, s: usize) {
        self.links[self.ports[s][0][0]].watch();
    }

    /// Returns the cycles in which the beats of the first frame entered stage `s`, which was watched.
    pub fn arrivals(&self, s: usize) -> Vec<u64> {
        let link = &self.links[self.ports[s][0][0]];
        link.moves().iter().take(link.frame as usize).copied().collect()
    }

    /// Returns the most places that the watched FIFO of output `port` of stage `s` filled at once: with as
    /// many it goes the same.
    pub fn filled(&self, s: usize, port: usize) -> usize {
        self.links[self.ports[s][1][port]].filled()
    }

    /// Returns the cycles in which the first and the last beat of the first frame left each stage, over all
    /// its outputs.
    pub fn spans(&self) -> Vec<[u64; 2]> {
        let span = |[_, outputs]: &[Vec<usize>; 2]| {
            let spans = outputs.iter().map(|&link| self.links[link].span);
            spans.reduce(|[a, b], [first, last]| [a.min(first), b.max(last)]).unwrap_or_default()
        };
        self.ports.iter().map(span).collect()
    }

    /// Offers one more frame and gives the cycles of its output beats.
    pub fn frame(&mut self) -> Result<Vec<u64>, Deadlock> {
        self.offered(self.beats.1 as usize)
    }

    /// Offers one more frame and gives the cycle of its last output beat in the first third.
    pub fn third(&mut self) -> Result<u64, Deadlock> {
        let beats = self.offered(self.beats.1.div_ceil(3) as usize)?;
        Ok(*beats.last().expect("a frame has beats"))
    }

    /// Offers one more frame and gives the cycles of as many output beats as are `wanted`.
    fn offered(&mut self, wanted: usize) -> Result<Vec<u64>, Deadlock> {
        let last = self.units.len() - 1;
        self.sources[0].due += self.beats.0;
        let mut out = Vec::with_capacity(wanted);
        for source in 0..self.sources.len() {
            self.offer(source);
            self.wake(self.sources[source].unit);
        }
        self.sink(&mut out, wanted);
        self.wake(last);
        while out.len() < wanted {
            let Some(u) = self.next() else {
                return Err(deadlock::find(self.stages, &self.links, &self.ports));
            };
            if !self.advance(u) {
                continue;
            }
            if u == last && self.sink(&mut out, wanted) {
                self.wake(last);
            }
            if let Some(source) = self.sources.iter().position(|source| source.unit == u)
                && self.offer(source)
            {
                self.wake(u);
            }
        }
        Ok(out)
    }

    /// Returns the state after the frames that ran, once all has moved that can; none where beats come that
    /// are of no frame, or stalls say when.
    pub fn snapshot(&mut self) -> Option<Snapshot> {
        while let Some(u) = self.next() {
            self.advance(u);
        }
        if self.sources.len() > 1 || self.sources[0].pattern.closed > 0 || self.sink.closed > 0 {
            return None;
        }
        let frames = self.links[0].moved / self.beats.0;
        let mut snapshot = Snapshot::new(self.links[0].next - 1);
        self.links.iter().for_each(|link| link.save(frames, &mut snapshot));
        for unit in &self.units {
            match &unit.state {
                State::Map(map) => snapshot.place(map.phase as i64),
                State::Turns(turns) => {
                    snapshot.place(turns.position as i64);
                    snapshot.cycle(turns.next);
                }
                State::Window(window, _, map, _) => {
                    snapshot.place(map.phase as i64);
                    window.save(&self.links[unit.inputs[0]], &mut snapshot);
                }
                State::Join | State::Split { .. } => (),
            }
        }
        Some(snapshot)
    }

    fn wake(&mut self, u: usize) {
        self.ready[u / 64] |= 1 << (u % 64);
    }

    /// Returns the first unit that may be able to advance.
    fn next(&mut self) -> Option<usize> {
        let (word, bits) = self.ready.iter_mut().enumerate().find(|(_, bits)| **bits != 0)?;
        let bit = bits.trailing_zeros() as usize;
        *bits &= *bits - 1;
        Some(64 * word + bit)
    }

    /// Advances unit `u` as far as what is known allows, and wakes those that its moves help.
    fn advance(&mut self, u: usize) -> bool {
        let Unit { inputs, outputs, state, full, .. } = &mut self.units[u];
        let progress = match (state, &inputs[..], &outputs[..]) {
            (State::Join, ..) => join(&mut self.links, inputs, outputs, full),
            (State::Turns(turns), &[x, y], &[output]) => turns.advance(&mut self.links, [x, y], output, full),
            (State::Window(window, between, behind, words), &[input], &[output]) => {
                let progress = match *words {
                    None => {
                        let links = self.links.get_disjoint_mut([input, *between, output]);
                        window.advance(behind, links.expect("three links"), None, self.cruise)
                    }
                    Some(words) => {
                        let links = self.links.get_disjoint_mut([input, *between, output, words]);
                        let [input, between, output, words] = links.expect("four links");
                        window.advance(behind, [input, between, output], Some(words), self.cruise)
                    }
                };
                *full = self.links[output].places(1).is_none();
                progress
            }
            (state, &[input], &[output]) => {
                let [input, output] = self.links.get_disjoint_mut([input, output]).expect("two links");
                let progress = match state {
                    State::Map(map) => map.advance(input, None, output),
                    State::Split { ratio } => split(input, output, *ratio),
                    _ => unreachable!("advanced above"),
                };
                *full = input.front().is_some();
                progress
            }
            _ => unreachable!("a unit has links"),
        };
        if progress {
            let Run { units, ready, .. } = self;
            for &producer in &units[u].producers {
                ready[producer / 64] |= u64::from(units[producer].full) << (producer % 64);
            }
            for &consumer in &units[u].consumers {
                // A window takes beats even where its results have no place.
                let takes = !units[consumer].full || matches!(units[consumer].state, State::Window(..));
                ready[consumer / 64] |= u64::from(takes) << (consumer % 64);
            }
        }
        progress
    }

    /// Offers the next beat of source number `at` once the one before it has moved.
    fn offer(&mut self, at: usize) -> bool {
        let source = &mut self.sources[at];
        let link = &mut self.links[source.link];
        if source.due == 0 || link.front().is_some() {
            return false;
        }
        let arrival = self.arrivals.get(link.given as usize).filter(|_| at == 0);
        let cycle = source.pattern.first_open(arrival.map_or(link.next, |&cycle| cycle.max(link.next)));
        link.give(cycle);
        if at == 0 && link.given == 1 {
            self.first_in = cycle; // an idle ingress takes it at once
        }
        source.due -= 1;
        true
    }

    fn sink(&mut self, out: &mut Vec<u64>, wanted: usize) -> bool {
        let link = self.links.last_mut().expect("a pipeline has links");
        let before = out.len();
        while out.len() < wanted
            && let Some(cycle) = link.front()
        {
            let cycle = self.sink.first_open(cycle);
            link.take(cycle);
            out.push(cycle);
        }
        out.len() > before
    }
}

/// Returns the stage that reads port `s` of weights, if it never waits for them where the port never stalls:
/// a word is a beat, of which the FIFO holds as many as keep one beat a cycle, and the first is there before
/// any level has gone through the ingress and a window.
fn never_waits(stages: &[Stage], s: usize) -> Option<usize> {
    let reads = |stage: &Stage| stage.site.sources.get(1).is_some_and(|words| words.stage == s);
    let reader = stages.iter().position(|stage| reads(stage) && stage.kind.unit().is_some())?;
    (stages[s].site.depth() as u64 > stages[s].latency_to(0)).then_some(reader)
}

/// Returns the units of `stages`, whose links are `ports`, and the unit of each stage; the stages of `free`,
/// each behind its port, never wait for weights.
fn units(stages: &[Stage], ports: &[[Vec<usize>; 2]], free: &[[usize; 2]]) -> (Vec<Unit>, Vec<usize>) {
    let mut units: Vec<Unit> = vec![];
    let mut unit_of = vec![];
    for (s, (stage, [inputs, outputs])) in stages.iter().zip(ports).enumerate() {
        let state = match stage.schedule() {
            Schedule::Source { .. } => State::Map(Map { period: 1, tail: 1, phase: 0 }),
            Schedule::Map { period: 1, .. }
                if stage.kind.unit().is_none() && (inputs.len() > 1 || outputs.len() > 1) =>
            {
                State::Join
            }
            Schedule::Map { period, tail } => State::Map(Map { period, tail, phase: 0 }),
            Schedule::Turns { beats } => State::Turns(Turns { beats, position: 0, next: 0 }),
            Schedule::Split { ratio } => State::Split { ratio: ratio as u64 },
            Schedule::Window(window) => {
                let behind = Map { period: 1, tail: 1, phase: 0 };
                State::Window(Box::new(Progress::new(window)), outputs[0], behind, None)
            }
        };
        let outputs = outputs.clone();
        // The stage behind a window belongs to the window's unit; it may read weights beside the windows.
        let u = units.len();
        if let Some(Unit {
            outputs: last, producers, state: State::Window(_, between, behind, words), ..
        }) = units.last_mut()
            && inputs[0] == *between
        {
            let State::Map(map) = state else { unreachable!("a map reads the windows") };
            (*last, *behind) = (outputs, map);
            *words = inputs.get(1).copied().filter(|_| free.iter().all(|&[_, reader]| reader != s));
            if words.is_some() {
                let port = unit_of[stage.site.sources[1].stage];
                producers.push(port);
                units[port].consumers.push(u - 1);
            }
            unit_of.push(u - 1);
            continue;
        }
        let producers: Vec<usize> = stage.site.sources.iter().map(|from| unit_of[from.stage]).collect();
        producers.iter().for_each(|&from| units[from].consumers.push(u));
        unit_of.push(u);
        units.push(Unit {
            inputs: inputs.clone(),
            outputs,
            producers,
            consumers: vec![],
            state,
            full: false,
        });
    }
    (units, unit_of)
}
