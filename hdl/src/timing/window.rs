//! Advances a window and the stage behind it, which pass most of all beats between them: beat by beat where
//! one of them waits, else in one step over all operations of a fold that follow each other cycle by cycle,
//! which changes no result.

use super::link::Link;
use super::moves::Map;
use super::snapshot::Snapshot;
use crate::stage::window::shape::Window;
use std::collections::VecDeque;

/// Holds the progress of a window.
pub struct Progress {
    window: Window,
    /// Number of operations per output pixel, and of taps per window.
    operations: u64,
    taps: u64,
    /// Position of the next operation: output row, column, operation of the pixel, tap.
    row: usize,
    column: usize,
    operation: u64,
    tap: u64,
    frame: u64,
    last_issue: u64,
    /// Number of beats of an input row, of those of this row that were taken, and of whole rows that were.
    row_beats: u64,
    of_row: u64,
    rows: u64,
    /// Total number of rows released, and the cycle of the operation that released them.
    released: VecDeque<(u64, u64)>,
}

impl Progress {
    pub fn new(window: Window) -> Self {
        let operations = (window.groups * window.folds * window.chunks * window.taps()) as u64;
        Progress {
            window,
            operations,
            taps: window.taps() as u64,
            row: 0,
            column: 0,
            operation: 0,
            tap: 0,
            frame: 0,
            last_issue: 0,
            row_beats: (window.map.width * window.pixel_beats()) as u64,
            of_row: 0,
            rows: 0,
            released: VecDeque::from([(0, 0)]),
        }
    }

    /// Advances the window and the stage behind it as far as what is known allows; beat by beat only, unless
    /// `cruise`. `links` are the window's input, the link between the two, and the output of the stage
    /// behind; `words` is the link that brings this stage weights, if it may have to wait for them.
    pub fn advance(
        &mut self,
        map: &mut Map,
        links: [&mut Link; 3],
        mut words: Option<&mut Link>,
        cruise: bool,
    ) -> bool {
        let [input, between, output] = links;
        let mut progress = false;
        loop {
            let mut moved = self.take(input);
            moved |= cruise && words.is_none() && self.cruise(map, input, between, output);
            moved |= self.issue(input, between);
            moved |= map.advance(between, words.as_deref_mut(), output);
            if !moved {
                return progress;
            }
            progress = true;
        }
    }

    /// Adds to `snapshot` what is remembered; `input` is the window's input.
    pub fn save(&self, input: &Link, snapshot: &mut Snapshot) {
        let height = self.window.map.height as u64;
        for place in [self.row as u64, self.column as u64, self.operation, self.tap] {
            snapshot.place(place as i64);
        }
        snapshot.cycle(self.last_issue);
        let frame_beats = height * self.row_beats;
        (self.frame * frame_beats..input.moved)
            .filter_map(|beat| input.when(beat))
            .for_each(|cycle| snapshot.cycle(cycle));
        // What released rows that are written again already does not matter any more.
        let needed = self.needed();
        for &(rows, cycle) in self.released.iter().filter(|&&(rows, _)| rows >= needed) {
            snapshot.place(rows as i64 - (self.frame * height) as i64);
            snapshot.cycle(cycle + 1);
        }
    }

    /// Takes input beats into rows that are free.
    fn take(&mut self, input: &mut Link) -> bool {
        let before = input.moved;
        while let Some(mut cycle) = input.front() {
            if self.of_row == 0 && self.rows >= self.window.ring as u64 {
                let needed = self.needed();
                while self.released.len() > 1 && self.released[0].0 < needed {
                    self.released.pop_front();
                }
                if self.released[0].0 < needed {
                    break;
                }
                cycle = cycle.max(self.released[0].1 + 2);
            }
            input.take(cycle);
            self.of_row += 1;
            if self.of_row == self.row_beats {
                (self.of_row, self.rows) = (0, self.rows + 1);
            }
        }
        input.moved > before
    }

    /// Returns how many rows must be released before the row that is next to be begun or is begun.
    fn needed(&self) -> u64 {
        (self.rows + 1).saturating_sub(self.window.ring as u64)
    }

    /// Issues operations whose tap is written.
    fn issue(&mut self, input: &Link, output: &mut Link) -> bool {
        let w = self.window;
        let before = output.given;
        while let Some(place) = output.places(1) {
            let mut cycle = if output.given == 0 { place } else { place.max(self.last_issue + 1) };
            let (ky, kx) = (self.tap as usize / w.columns.kernel, self.tap as usize % w.columns.kernel);
            let needed = if self.is_last() {
                Some(w.map.height * w.map.width)
            } else {
                let tap =
                    w.rows.tap(self.row, ky, w.map.height).zip(w.columns.tap(self.column, kx, w.map.width));
                tap.map(|(y, x)| y * w.map.width + x + 1)
            };
            if let Some(pixels) = needed {
                let Some(written) = self.written(input, pixels) else { break };
                cycle = cycle.max(written + 1);
            }
            output.give(cycle);
            self.step(1, cycle);
        }
        output.given > before
    }

    /// Issues and passes on operations that follow each other cycle by cycle, as long as nothing waits.
    ///
    /// With the last moves between the two a cycle apart, as many as the FIFO has places, and the last one
    /// at least `latency` and less than `depth` cycles after its operation, the next operation finds its
    /// place and its beat finds the one before gone, so that both come a cycle after the last ones; and so
    /// on.
    fn cruise(&mut self, map: &mut Map, input: &Link, between: &mut Link, output: &mut Link) -> bool {
        let depth = between.depth;
        if between.given != between.moved || between.moved < depth || map.tail != 1 {
            return false;
        }
        let (mut issue, mut moved) = (self.last_issue, between.next - 1);
        let steady = between.when(between.moved - depth) == Some(moved + 1 - depth);
        if !steady || !(between.latency..depth).contains(&(moved - issue)) {
            return false;
        }
        let mut beats = 0;
        loop {
            // After the first window of a pixel all its taps are written.
            if self.operation < self.taps && self.newest(input).is_none_or(|written| written > issue) {
                break;
            }
            // The run goes to the end of the fold; its last operation needs a place, and that of a frame
            // needs the whole frame.
            let rest = (map.period - map.phase) as u64;
            let frame_ends = self.operation + rest == self.operations
                && self.column + 1 == self.window.output[1]
                && self.row + 1 == self.window.output[0];
            let ends = !frame_ends && output.places(1).is_some_and(|place| place <= moved + rest);
            let run = if ends { rest } else { rest - 1 };
            (issue, moved, beats) = (issue + run, moved + run, beats + run);
            self.step(run, issue);
            map.phase += run as usize;
            if !ends {
                break;
            }
            map.phase = 0;
            output.give(moved);
        }
        if beats > 0 {
            between.pass(beats, moved);
        }
        beats > 0
    }

    /// Returns when the first `pixels` pixels of the frame were all written, if they are.
    #[inline]
    fn written(&self, input: &Link, pixels: usize) -> Option<u64> {
        let w = &self.window;
        let frame = self.frame * (w.map.height * w.map.width) as u64;
        input.when((frame + pixels as u64) * w.pixel_beats() as u64 - 1)
    }

    /// Returns when the last tap of the present window was written, if it is.
    fn newest(&self, input: &Link) -> Option<u64> {
        let w = &self.window;
        let last = |axis: dq_net::layer::window::Axis, at: usize, size: usize| {
            (at * axis.stride + axis.kernel - 1 - axis.before).min(size - 1)
        };
        let (y, x) = (last(w.rows, self.row, w.map.height), last(w.columns, self.column, w.map.width));
        self.written(input, y * w.map.width + x + 1)
    }

    /// Returns whether the next operation is the last one of a frame.
    fn is_last(&self) -> bool {
        self.operation + 1 == self.operations
            && self.column + 1 == self.window.output[1]
            && self.row + 1 == self.window.output[0]
    }

    /// Moves past `count` operations of one pixel, the last one issued in `cycle`.
    #[inline]
    fn step(&mut self, count: u64, cycle: u64) {
        self.last_issue = cycle;
        self.operation += count;
        let tap = self.tap + count;
        self.tap = if tap < self.taps { tap } else { tap % self.taps };
        if self.operation < self.operations {
            return;
        }
        let w = &self.window;
        self.operation = 0;
        self.column += 1;
        if self.column < w.output[1] {
            return;
        }
        self.column = 0;
        self.row += 1;
        let ended = if self.row == w.output[0] {
            self.row = 0;
            self.frame += 1;
            0
        } else {
            (self.row * w.rows.stride).saturating_sub(w.rows.before)
        };
        self.released.push_back((self.frame * w.map.height as u64 + ended as u64, cycle));
    }
}
