//! Bounds staircases: how many levels a value can move where its input moves by `t`. That is the most thresholds
//! that any interval of length `t` holds; lines lie above that number for every whole `t` that occurs.

use super::moves::{FRACTION, Moves, Steps};
use super::root::{root_up, times_square};

/// Says that a value moves by at most `(up·t + more) / down` where its input moves by `t`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// Levels for `down` units of the input.
    pub up: u64,
    /// Units of the input for `up` levels; not 0.
    pub down: u64,
    /// Levels times `down` that come on top, however short the way.
    pub more: u64,
}

impl Line {
    /// A value that never moves.
    pub const STILL: Line = Line { up: 0, down: 1, more: 0 };

    /// Returns the bound at `t`, rounded up, in units of 2^−20: what lines are chosen by.
    fn at(&self, t: u64) -> u128 {
        ((u128::from(self.up) * u128::from(t) + u128::from(self.more)) << 20).div_ceil(self.down.into())
    }

    /// Returns the line that is lowest at `t`, of equal ones the flattest. Lines go from steep to flat.
    pub fn lowest(lines: &[Line], t: u64) -> Line {
        lines.iter().rev().min_by_key(|line| line.at(t)).copied().unwrap_or(Line::STILL)
    }
}

/// Returns lines above the number of ascending `thresholds` that an interval of length `t` holds, for every whole
/// `t` up to `reach`, from steep to flat; none where no threshold is ever crossed.
///
/// A value that moves from x up to x + t crosses the thresholds T with x < T ≤ x + t: k neighbours from
/// t = (last − first) + 1 on.
pub fn lines(thresholds: &[i64], reach: u64, steps: Steps) -> Vec<Line> {
    if reach == 0 || thresholds.is_empty() {
        return vec![];
    }
    let count = thresholds.len();
    if steps == Steps::Slope {
        let span = thresholds[count - 1].abs_diff(thresholds[0]).max(1);
        return vec![Line { up: (count as u64 - 1).max(1), down: span, more: 0 }];
    }
    let shortest = |k: usize| {
        let spans = (k - 1..count).map(|last| thresholds[last].abs_diff(thresholds[last + 1 - k]) + 1);
        spans.min().expect("k of count thresholds")
    };
    // The upper hull of (0, 0) and every (shortest way, levels).
    let mut hull = vec![(0u64, 0u64)];
    for k in 1..=count {
        let point = (shortest(k), k as u64);
        if point.0 > reach {
            break;
        }
        while let [.., a, b] = hull[..]
            && (u128::from(b.1 - a.1) * u128::from(point.0 - a.0)
                <= u128::from(point.1 - a.1) * u128::from(b.0 - a.0))
        {
            hull.pop();
        }
        hull.push(point);
    }
    let edges = hull.windows(2).filter(|edge| edge[0].0 < edge[1].0).map(|edge| {
        let [(x, y), (x1, y1)] = [edge[0], edge[1]];
        let (up, down) = (y1 - y, x1 - x);
        Line { up, down, more: y * down - up * x }
    });
    let top = hull.last().map_or(0, |point| point.1);
    edges.chain((top > 0).then_some(Line { up: 0, down: 1, more: top })).collect()
}

/// Returns lines above how far `(x·up + …) >> bits` moves, from steep to flat.
pub fn shift(up: u64, bits: u8, steps: Steps) -> Vec<Line> {
    let down = 1u64 << bits;
    match (up, steps) {
        (0, _) => vec![],
        (_, Steps::Slope) => vec![Line { up, down, more: 0 }],
        _ => vec![Line { up: up.div_ceil(down), down: 1, more: 0 }, Line { up, down, more: down - 1 }],
    }
}

/// Returns how far the levels of a map of `positions` for each channel move where their inputs move by `moves`:
/// one of `lines` is taken for each channel, and all elements of a map add what comes on top. None past 128 bits.
pub fn levels(moves: &Moves, positions: usize, lines: &[Vec<Line>]) -> Option<Moves> {
    let bound = |halvings: u32| {
        let (mut slope, mut more) = (0u128, 0u128);
        for (channel, lines) in lines.iter().enumerate() {
            let line = Line::lowest(lines, (moves.reach(channel) >> halvings).max(1));
            let square = moves.square(channel);
            slope = slope.max(times_square(square, line.up, line.down)?);
            // Each element that moves takes at least 1 of the whole square.
            let moving = (positions as u128).min(square >> FRACTION);
            more = more.checked_add(times_square(moving << FRACTION, line.more, line.down)?)?;
        }
        // (a + b)² = a² + b² + 2ab
        let cross = root_up(slope).checked_mul(root_up(more))?.checked_mul(2)?;
        slope.checked_add(more)?.checked_add(cross)
    };
    let widest = (0..moves.channels()).map(|channel| moves.reach(channel)).max().unwrap_or(0);
    let best = (0..=widest.max(1).ilog2()).filter_map(bound).min()?;
    Some(Moves::even(moves.channels(), best))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::SplitMix64;

    fn crossed(thresholds: &[i64], from: i64, to: i64) -> u64 {
        thresholds.iter().filter(|&&t| from < t && t <= to).count() as u64
    }

    #[test]
    fn lines_lie_above_every_staircase_and_the_lowest_touches_it() {
        for seed in 0..200 {
            let mut random = SplitMix64::new(seed);
            let mut draw = |most: usize| random.below(most) as i64;
            let mut thresholds: Vec<i64> = (0..1 + draw(8)).map(|_| draw(30)).collect();
            thresholds.sort_unstable();
            let reach = 1 + draw(40) as u64;
            let lines = lines(&thresholds, reach, Steps::Whole);
            let mut touched = false;
            for t in 1..=reach {
                let most = (-50..50).map(|x| crossed(&thresholds, x, x + t as i64)).max().unwrap();
                for line in &lines {
                    assert!(line.up * t + line.more >= most * line.down, "seed {seed}: {line:?} at {t}");
                }
                let low = Line::lowest(&lines, t);
                touched |= low.up * t + low.more == most * low.down;
            }
            assert!(touched, "seed {seed}: {lines:?}");
        }
    }

    #[test]
    fn a_staircase_of_even_steps_costs_one_level_less_its_slope() {
        let thresholds: Vec<i64> = (0..255).map(|k| 10 * k).collect();
        let lines = lines(&thresholds, 1_000, Steps::Whole);
        // One level at once, and one more for each 10.
        assert_eq!(
            Line::lowest(&lines, 500),
            Line { up: lines[1].up, down: lines[1].up * 10, more: lines[1].up * 9 }
        );
    }
}
