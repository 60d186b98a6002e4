//! Moves the beats of a stage: one operation per beat, several links at once or in turns, or a
//! beat in parts.

use super::link::Link;

/// Holds the progress of a stage with one operation per input beat.
pub struct Map {
    pub period: usize,
    pub tail: usize,
    pub phase: usize,
}

impl Map {
    /// Takes beats, each with one of `words` where weights come from outside, and gives what they produce.
    #[inline(always)]
    pub fn advance(&mut self, input: &mut Link, mut words: Option<&mut Link>, output: &mut Link) -> bool {
        let before = input.moved;
        while let Some(mut cycle) = input.front() {
            if let Some(words) = &words {
                let Some(given) = words.front() else { break };
                cycle = cycle.max(given);
            }
            let produces = self.phase >= self.period - self.tail;
            if produces {
                let Some(place) = output.places(1) else { break };
                cycle = cycle.max(place);
            }
            input.take(cycle);
            if let Some(words) = &mut words {
                words.take(cycle);
            }
            self.phase = if self.phase + 1 == self.period { 0 } else { self.phase + 1 };
            if produces {
                output.give(cycle);
            }
        }
        input.moved > before
    }
}

/// Advances a map of one operation per beat over several links: every input moves at once, every output gets
/// a beat. What it waits for is a place if it is `full`.
pub fn join(links: &mut [Link], inputs: &[usize], outputs: &[usize], full: &mut bool) -> bool {
    let mut progress = false;
    loop {
        let mut cycle = 0;
        for &l in inputs {
            let Some(given) = links[l].front() else {
                *full = false;
                return progress;
            };
            cycle = cycle.max(given);
        }
        for &l in outputs {
            let Some(place) = links[l].places(1) else {
                *full = true;
                return progress;
            };
            cycle = cycle.max(place);
        }
        inputs.iter().for_each(|&l| links[l].take(cycle));
        outputs.iter().for_each(|&l| links[l].give(cycle));
        progress = true;
    }
}

/// Holds the progress of a stage whose two inputs take turns.
pub struct Turns {
    /// Number of beats of a round, of each input.
    pub beats: [usize; 2],
    /// Number of beats of this round that were taken.
    pub position: usize,
    /// The cycle after the last operation.
    pub next: u64,
}

impl Turns {
    /// Takes beats and gives them. What it waits for is a place if it is `full`.
    pub fn advance(
        &mut self,
        links: &mut [Link],
        inputs: [usize; 2],
        output: usize,
        full: &mut bool,
    ) -> bool {
        let mut progress = false;
        loop {
            let input = inputs[usize::from(self.position >= self.beats[0])];
            let (given, place) = (links[input].front(), links[output].places(1));
            *full = given.is_some();
            let (Some(given), Some(place)) = (given, place) else { return progress };
            let cycle = given.max(place).max(self.next);
            links[input].take(cycle);
            links[output].give(cycle);
            self.next = cycle + 1;
            self.position = (self.position + 1) % (self.beats[0] + self.beats[1]);
            progress = true;
        }
    }
}

/// Gives each beat as `ratio`. Its place is free again once the last of its parts has left.
pub fn split(input: &mut Link, output: &mut Link, ratio: u64) -> bool {
    let before = input.moved;
    while let (Some(cycle), Some(place)) = (input.front(), output.places(ratio)) {
        let cycle = cycle.max(place);
        input.take(cycle);
        (0..ratio).for_each(|_| output.give(cycle));
    }
    input.moved > before
}
