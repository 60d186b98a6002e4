//! Counts how many beats of a frame pass each stage.

use crate::stage::kind::{Schedule, Stage};

/// Returns the beats that each stage takes (at each input; at both where these take turns) and gives (at each
/// output) for one frame.
pub fn frame_beats(stages: &[Stage]) -> Vec<(u64, u64)> {
    beats_of_part(stages, 0)
}

/// Returns [`frame_beats`] of a part of a pipeline, whose first stage takes `fed` beats from before it.
pub fn beats_of_part(stages: &[Stage], fed: u64) -> Vec<(u64, u64)> {
    let mut beats: Vec<(u64, u64)> = vec![];
    for stage in stages {
        // The beats that a source takes come from outside; its schedule tells their number.
        let taken = stage.site.sources.first().map_or(fed, |from| beats[from.stage].1);
        beats.push(match stage.schedule() {
            Schedule::Source { beats } => (beats as u64, beats as u64),
            Schedule::Map { period, tail } => (taken, taken / period as u64 * tail as u64),
            Schedule::Turns { beats: [of_x, of_y] } => {
                let both = taken / of_x as u64 * (of_x + of_y) as u64;
                (both, both)
            }
            Schedule::Split { ratio } => (taken, taken * ratio as u64),
            Schedule::Window(window) => {
                // With a detector, a frame is more than one map.
                let map = (window.map.height * window.map.width * window.pixel_beats()) as u64;
                (taken, taken / map * window.operations())
            }
        });
    }
    beats
}

/// Returns the beats of a frame that pass the busiest stage: no interval is shorter.
pub fn most_beats(stages: &[Stage]) -> u64 {
    frame_beats(stages).into_iter().map(|(taken, given)| taken.max(given)).max().unwrap_or(0)
}
