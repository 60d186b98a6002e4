//! Sizes of the FIFOs behind forks, from exact timing: the fewest places at which the interval is that of FIFOs
//! without end. No FIFO of the result could have one place less.

use super::{Deadlock, interval};
use crate::pipeline::{Kind, Stage};
use crate::plan::{MAX_FIFO, PlanError};
use crate::timing::frame_beats;

/// Sets the depths of every fork that is not `fixed`; `describe` gives a node's name and whether its fork is. An error
/// where the fixed ones deadlock, whatever the others are.
pub fn size(stages: &mut [Stage], describe: impl Fn(usize) -> (String, bool)) -> Result<(), PlanError> {
    let forks = |stages: &[Stage]| -> Vec<usize> {
        (0..stages.len()).filter(|&s| matches!(stages[s].kind, Kind::Fork)).collect()
    };
    let forks = forks(stages);
    if forks.is_empty() {
        return Ok(());
    }
    let open: Vec<usize> = forks.into_iter().filter(|&s| !describe(stages[s].node).1).collect();
    let beats = frame_beats(stages);
    for &s in &open {
        let ample = (2 * beats[s].1 as usize).clamp(2, MAX_FIFO);
        stages[s].depths.fill(ample);
    }
    let best =
        interval(stages).map_err(|deadlock| refused(&deadlock, &describe(stages[deadlock.at].node).0))?;
    for &s in &open {
        for port in 0..stages[s].depths.len() {
            least(stages, s, port, best);
        }
    }
    Ok(())
}

/// Sets the FIFO of output `port` of stage `s` to the fewest places that keep the interval `best`.
fn least(stages: &mut [Stage], s: usize, port: usize, best: u64) {
    let ample = stages[s].depths[port];
    let mut enough = |depth: usize| {
        stages[s].depths[port] = depth;
        interval(stages).is_ok_and(|interval| interval <= best)
    };
    // From below in steps that double, so that many small FIFOs cost little; then between the last two steps.
    let (mut low, mut high) = (1, 2);
    while high < ample && !enough(high) {
        (low, high) = (high, 2 * high);
    }
    high = high.min(ample);
    while high - low > 1 {
        let middle = low + (high - low) / 2;
        if enough(middle) { high = middle } else { low = middle }
    }
    stages[s].depths[port] = high;
}

/// The deadlock as an error of the plan.
fn refused(deadlock: &Deadlock, node: &str) -> PlanError {
    let expected = format!("more places: stage `{}` waits for ever, a deadlock", deadlock.stage);
    PlanError::new(node, &format!("forks[{}]", deadlock.port), expected, deadlock.depth)
}
