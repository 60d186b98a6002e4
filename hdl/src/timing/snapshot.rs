//! Bounds the interval of a run by two frames. All that comes depends on the cycles that links and stages
//! remember between two frames, by maxima and sums. So where one frame makes each of them later by `least` to
//! `most` cycles, every frame after it does, and the interval lies between both.

/// Holds what a run remembers between two frames, after all has moved that can.
pub struct Snapshot {
    /// The cycle before the first in which a beat of the next frame can enter.
    idle: u64,
    /// How far each link and stage is within a frame.
    places: Vec<i64>,
    /// The cycles that are remembered.
    cycles: Vec<u64>,
}

impl Snapshot {
    pub fn new(idle: u64) -> Self {
        Snapshot { idle, places: vec![], cycles: vec![] }
    }

    /// Adds how far something is within a frame.
    pub fn place(&mut self, place: i64) {
        self.places.push(place);
    }

    /// Adds a cycle, before which something cannot move again. All that can move without the next frame has
    /// moved, so that whatever was before `idle` might as well have been then.
    pub fn cycle(&mut self, cycle: u64) {
        self.cycles.push(cycle.max(self.idle));
    }

    /// Returns the least and the most cycles that the interval can be, where `before` was a frame earlier;
    /// none where something was elsewhere in its frame.
    pub fn interval(&self, before: &Snapshot) -> Option<[u64; 2]> {
        if self.places != before.places || self.cycles.len() != before.cycles.len() {
            return None;
        }
        let mut bounds = [self.idle - before.idle; 2];
        for (&cycle, &before) in self.cycles.iter().zip(&before.cycles) {
            // Nothing comes earlier than a frame before.
            let shift = cycle.saturating_sub(before);
            bounds = [bounds[0].min(shift), bounds[1].max(shift)];
        }
        Some(bounds)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{bounded, run::Run};
    use super::*;
    use crate::plan::Output;
    use crate::stalls::Stalls;
    use crate::{pipeline, plan};
    use dq_net::random::{self, Options};

    fn snapshot(idle: u64, place: i64, cycles: [u64; 2]) -> Snapshot {
        let mut snapshot = Snapshot::new(idle);
        snapshot.place(place);
        cycles.into_iter().for_each(|cycle| snapshot.cycle(cycle));
        snapshot
    }

    #[test]
    fn the_interval_lies_between_the_least_and_the_most_shift() {
        let before = snapshot(4, 3, [5, 9]);
        assert_eq!(snapshot(23, 3, [25, 27]).interval(&before), Some([18, 20]));
        assert_eq!(snapshot(23, 3, [1, 28]).interval(&before), Some([18, 19]));
        assert_eq!(snapshot(23, 4, [25, 27]).interval(&before), None);
    }

    #[test]
    fn the_interval_of_many_frames_lies_within_the_bounds_of_each_frame() {
        let (mut known, mut narrow) = (0, 0);
        for seed in 0..60 {
            let network = random::network(seed, &Options::default());
            let plan = plan::default(&network, Output::Scores).unwrap();
            let stages = pipeline::stages(&network, &plan).unwrap();
            let mut run = Run::new(&stages, &Stalls::NONE);
            run.frame().unwrap();
            let frames: Vec<_> = (0..48).map(|_| bounded(&mut run).unwrap()).collect();
            let [(from, _), .., (to, _)] = frames[23..] else { unreachable!("48 frames") };
            let of_24 = to - from;
            for (_, bounds) in frames {
                let Some([least, most]) = bounds else { continue };
                known += 1;
                narrow += usize::from(least == most);
                assert!((24 * least..=24 * most).contains(&of_24), "seed {seed}: {least} to {most}, {of_24}");
            }
        }
        assert!(known > 1_000 && narrow > 1_000, "{known} known, {narrow} narrow");
    }
}
