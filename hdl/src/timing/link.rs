//! Records a link between two stages: the cycles of its last beats, as far back as a FIFO or a line buffer
//! can ask.

use super::snapshot::Snapshot;

/// Holds a link. Beats are counted from the first of all; those that are given and have not moved yet lie in
/// the FIFO of their producer.
pub struct Link {
    /// For each beat: the cycle in which it moved or, where it has not, the first in which it can leave the
    /// FIFO.
    times: Vec<u64>,
    /// Number of beats that were given.
    pub given: u64,
    /// Number of beats that moved.
    pub moved: u64,
    /// The cycle after the last move.
    pub next: u64,
    /// Number of beats of a frame, and the cycles in which the first and the last beat of the first frame
    /// moved.
    pub frame: u64,
    pub span: [u64; 2],
    /// Number of beats that the FIFO holds, and of cycles from an operation until its beat can leave it.
    pub depth: u64,
    pub latency: u64,
    /// The cycles of all operations and of all moves, where a caller asked for them.
    log: Option<Box<[Vec<u64>; 2]>>,
}

impl Link {
    /// Returns the link that leaves a FIFO of `depth` beats, which are given up to `at_once` at a time.
    pub fn new(depth: usize, latency: u64, at_once: usize) -> Self {
        let times = vec![0; (depth + at_once + 1).next_power_of_two()];
        Link {
            times,
            given: 0,
            moved: 0,
            next: 0,
            frame: 0,
            span: [0; 2],
            depth: depth as u64,
            latency,
            log: None,
        }
    }

    /// Remembers `beats` that have moved.
    pub fn keep(&mut self, beats: usize) {
        let size = (self.times.len() + beats).next_power_of_two();
        self.times.resize(size, 0);
    }

    /// Keeps from now on the cycles of all operations and moves.
    pub fn watch(&mut self) {
        let beats = 2 * self.frame as usize;
        self.log = Some(Box::new([Vec::with_capacity(beats), Vec::with_capacity(beats)]));
    }

    /// Returns the cycles of all moves, by the log; none without one.
    pub fn moves(&self) -> &[u64] {
        self.log.as_deref().map_or(&[], |[_, moves]| moves)
    }

    /// Returns the most places that were full at once, by the log; 0 without one.
    pub fn filled(&self) -> usize {
        let Some([issued, moves]) = self.log.as_deref() else { return 0 };
        let (mut most, mut free) = (0, 0);
        for (beat, &cycle) in issued.iter().enumerate() {
            while moves.get(free).is_some_and(|&moved| moved < cycle) {
                free += 1;
            }
            most = most.max(beat + 1 - free);
        }
        most
    }

    #[inline]
    fn at(&self, beat: u64) -> usize {
        (beat & (self.times.len() as u64 - 1)) as usize
    }

    /// Returns the first cycle in which the next beat can move, if it has been given.
    #[inline]
    pub fn front(&self) -> Option<u64> {
        (self.moved < self.given).then(|| self.times[self.at(self.moved)].max(self.next))
    }

    /// Notes that the next beat moves in `cycle`.
    #[inline]
    pub fn take(&mut self, cycle: u64) {
        let at = self.at(self.moved);
        self.times[at] = cycle;
        if let Some(log) = &mut self.log {
            log[1].push(cycle);
        }
        self.moved += 1;
        self.next = cycle + 1;
        self.note(1, cycle);
    }

    /// Notes the span of the first frame, after `beats` have moved, one per cycle, the last in `last`.
    #[inline]
    fn note(&mut self, beats: u64, last: u64) {
        if self.moved - beats >= self.frame {
            return;
        }
        for (beat, cycle) in [1, self.frame].into_iter().zip(&mut self.span) {
            if self.moved - beats < beat && beat <= self.moved {
                *cycle = last - (self.moved - beat);
            }
        }
    }

    /// Notes a beat of an operation that is issued in `cycle`.
    #[inline]
    pub fn give(&mut self, cycle: u64) {
        let at = self.at(self.given);
        self.times[at] = cycle + self.latency;
        if let Some(log) = &mut self.log {
            log[0].push(cycle);
        }
        self.given += 1;
    }

    /// Returns when beat `beat` moved, if it has.
    #[inline]
    pub fn when(&self, beat: u64) -> Option<u64> {
        debug_assert!(beat + self.times.len() as u64 >= self.given, "a cycle that was forgotten");
        (beat < self.moved).then(|| self.times[self.at(beat)])
    }

    /// Returns the first cycle in which there are places for `beats` more; none if that is not known yet.
    #[inline(always)]
    pub fn places(&self, beats: u64) -> Option<u64> {
        let last = self.given + beats - 1;
        if last < self.depth { Some(0) } else { self.when(last - self.depth).map(|cycle| cycle + 1) }
    }

    /// Notes that `beats` more are given and move at once, one per cycle, the last in `last`.
    #[inline]
    pub fn pass(&mut self, beats: u64, last: u64) {
        debug_assert!(self.given == self.moved);
        self.moved += beats;
        self.given += beats;
        self.next = last + 1;
        self.note(beats, last);
        for back in 0..beats.min(self.depth) {
            let at = self.at(self.moved - 1 - back);
            self.times[at] = last - back;
        }
    }

    /// Adds to `snapshot` what is remembered after `frames` frames.
    pub fn save(&self, frames: u64, snapshot: &mut Snapshot) {
        // No beat goes this way where weights never have to be waited for.
        if self.given == 0 {
            return;
        }
        let begun = (frames * self.frame) as i64;
        snapshot.place(self.given as i64 - begun);
        snapshot.place(self.moved as i64 - begun);
        snapshot.cycle(self.next);
        for back in 1..=self.depth {
            snapshot.cycle(self.given.checked_sub(back).map_or(0, |beat| self.times[self.at(beat)]));
        }
    }
}
