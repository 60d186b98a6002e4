//! Bounds a node each of whose outputs is a function of one number by a line below and a line above. Slopes
//! are whole numbers times a power of two; offsets are the exact extremes over the function's corners, so a
//! line holds at every whole number between the ends, whatever its slope.

use super::Descend;
use crate::rows::{Ends, Floor, Rows};
use crate::tensor::Tensor;
use std::sync::Arc;

/// Bits of the largest slope.
const BITS: i32 = 28;
/// Bits that the largest value of a function takes with all that is behind its point.
const VALUE_BITS: i32 = 59;

/// Says what the functions of a node's elements are.
pub(crate) trait Corners: Sync {
    /// Writes points of the function of element `at`, from left to right: between `lo` and `hi` it lies on or
    /// under the line from each point to the next, and nowhere more than [`Corners::drop`] under it.
    fn write(&self, at: usize, ends: (i64, i64), points: &mut Vec<(i64, i64)>);

    /// Returns how many bits of a point's value are behind the point.
    fn fraction(&self) -> i32 {
        0
    }

    /// Returns how far the function may lie under its corners.
    fn drop(&self) -> i64 {
        0
    }
}

/// Is a line: `(slope·x + offset) / 2^shift`.
#[derive(Clone, Copy)]
struct Line {
    slope: i64,
    offset: i64,
}

/// Holds the lines of all elements of a node.
pub(crate) struct Lines<'a> {
    corners: &'a dyn Corners,
    input: Arc<Ends>,
    shift: i32,
    /// Below the function, and above it.
    lines: Vec<[Line; 2]>,
}

impl<'a> Lines<'a> {
    /// Chooses the lines of functions of values between the ends `input`.
    pub fn new(input: Arc<Ends>, corners: &'a dyn Corners) -> Self {
        let (mut points, mut hull) = (vec![], vec![]);
        let (mut steepest, mut largest) = (i32::MIN, 0);
        let edges: Vec<[(i64, i64); 2]> = (0..input.lo.len())
            .map(|at| {
                let ends = input.get(at);
                points.clear();
                corners.write(at, ends, &mut points);
                largest = points.iter().fold(largest, |most, point| most.max(point.1.unsigned_abs()));
                let edges = [1, -1]
                    .map(|side| edge(&points, i128::from(ends.0) + i128::from(ends.1), side, &mut hull));
                for (rise, run) in edges {
                    if rise != 0 {
                        steepest = steepest.max(bits(rise.unsigned_abs()) - bits(run as u64) + 1);
                    }
                }
                edges
            })
            .collect();
        let room = VALUE_BITS - bits(largest.max(corners.drop() as u64));
        let shift = if steepest == i32::MIN { 0 } else { (BITS - steepest).clamp(0, 40).min(room.max(0)) };
        let mut lines = Vec::with_capacity(edges.len());
        for (at, edges) in edges.iter().enumerate() {
            points.clear();
            corners.write(at, input.get(at), &mut points);
            lines.push(along(&points, edges.map(|edge| slope(edge, shift)), shift, corners.drop()));
        }
        Self { corners, input, shift, lines }
    }

    /// Turns slopes towards those of the hull's edges over `values`.
    pub fn turn_to(&mut self, values: impl Fn(usize) -> i64, parts: i64) {
        let (mut points, mut hull) = (vec![], vec![]);
        for (at, lines) in self.lines.iter_mut().enumerate() {
            points.clear();
            self.corners.write(at, self.input.get(at), &mut points);
            // A straight function has one line.
            if points.iter().all(|point| point.1 == points[0].1) {
                continue;
            }
            let mut turned = [0; 2];
            for (n, side) in [1, -1].into_iter().enumerate() {
                let best = slope(edge(&points, 2 * i128::from(values(at)), side, &mut hull), self.shift);
                turned[n] = lines[n].slope + (best - lines[n].slope) / parts;
            }
            *lines = along(&points, turned, self.shift, self.corners.drop());
        }
    }

    /// Carries rows back through the lines: below where a factor is positive, above where it is negative.
    pub fn back(&self, rows: &Rows, floors: &mut [Floor]) -> Rows {
        let shift = self.shift + self.corners.fraction();
        let exponents: Vec<i32> = rows.exponents.iter().map(|exponent| exponent - shift).collect();
        Rows::of_products(&self.input, &exponents, floors, |n, floor| {
            let factors = rows.row(n);
            let line = |at: usize| self.lines[at][usize::from(factors[at] < 0)];
            let offsets = (0..factors.len()).map(|at| i128::from(factors[at]) * i128::from(line(at).offset));
            floor.add(offsets.sum(), exponents[n]);
            move |at| i64::from(factors[at]) * line(at).slope
        })
    }
}

impl Descend for Lines<'_> {
    fn run(&self, rows: &Rows, floors: &mut [Floor]) -> Vec<Rows> {
        vec![self.back(rows, floors)]
    }

    fn turn(&mut self, inputs: &[&Tensor], parts: i64) {
        self.turn_to(|at| inputs[0].get(at).into(), parts);
    }

    fn cut(&self, rows: &Rows) -> Option<(f64, usize, i64)> {
        let mut points = vec![];
        let mut heaviest: Option<(f64, usize)> = None;
        for (at, &factor) in rows.row(0).iter().enumerate() {
            if factor == 0 || self.input.lo[at] == self.input.hi[at] {
                continue;
            }
            points.clear();
            self.corners.write(at, self.input.get(at), &mut points);
            let line = self.lines[at][usize::from(factor < 0)];
            let gap =
                |&(x, y): &(i64, i64)| ((y << self.shift) - line.slope * x - line.offset).unsigned_abs();
            let widest = points.iter().map(gap).max().unwrap_or(0);
            let loss = widest as f64 * f64::from(factor).abs();
            if heaviest.is_none_or(|(most, _)| loss > most) {
                heaviest = Some((loss, at));
            }
        }
        let (loss, at) = heaviest.filter(|&(loss, _)| loss > 0.0)?;
        let (lo, hi) = self.input.get(at);
        points.clear();
        self.corners.write(at, (lo, hi), &mut points);
        // Between two stairs a part ends with one of them; else in the middle.
        let stairs = points.windows(2).filter(|pair| pair[0].1 != pair[1].1 && pair[1].0 - pair[0].0 == 1);
        let nearest = stairs.map(|pair| pair[0].0).min_by_key(|&x| (2 * x + 1 - lo - hi).abs());
        let unit = f64::from(rows.exponents[0] - self.shift - self.corners.fraction()).exp2();
        Some((loss * unit, at, nearest.unwrap_or(lo + (hi - lo) / 2)))
    }
}

fn bits(value: u64) -> i32 {
    (u64::BITS - value.leading_zeros()) as i32
}

/// Returns the slope of an edge, rounded to `shift` bits, or the steepest one that there is room for: any slope
/// will do.
fn slope((rise, run): (i64, i64), shift: i32) -> i64 {
    let wide = (i128::from(rise) << (shift + 1)) + i128::from(run);
    wide.div_euclid(2 * i128::from(run)).clamp(-(1 << BITS), 1 << BITS) as i64
}

/// Returns the lines of these slopes that lie below a function, which may lie `drop` under its corners
/// `points`, and above it.
fn along(points: &[(i64, i64)], [below, above]: [i64; 2], shift: i32, drop: i64) -> [Line; 2] {
    let offset = |slope: i64| points.iter().map(move |&(x, y)| (y << shift) - slope * x);
    let least = offset(below).min().expect("a function has a point");
    let most = offset(above).max().expect("a function has a point");
    [Line { slope: below, offset: least - (drop << shift) }, Line { slope: above, offset: most }]
}

/// Returns rise and run of that edge of the points' convex hull which lies over half of `twice`: on the
/// hull's lower side (`side` 1) or upper side (−1). Of all lines on one side of the points, that edge comes
/// nearest to the points there; over the middle between the ends it leaves the least area.
fn edge(points: &[(i64, i64)], twice: i128, side: i128, hull: &mut Vec<(i64, i64)>) -> (i64, i64) {
    hull.clear();
    for &point in points {
        // The middle one of three is no corner where the hull does not turn.
        while let [.., a, b] = hull[..] {
            let wide = |a: (i64, i64), b: (i64, i64)| (i128::from(b.0 - a.0), i128::from(b.1 - a.1));
            let ((ax, ay), (bx, by)) = (wide(a, b), wide(a, point));
            if side * (ax * by - ay * bx) > 0 {
                break;
            }
            hull.pop();
        }
        if hull.last() != Some(&point) {
            hull.push(point);
        }
    }
    let over = hull.windows(2).find(|edge| 2 * i128::from(edge[1].0) >= twice).or(hull.windows(2).last());
    over.map_or((0, 1), |edge| (edge[1].1 - edge[0].1, edge[1].0 - edge[0].0))
}

/// Writes the corners of `clip(x·factor + add)`, clipped to a signed number of `bits` bits in front of `shift`
/// bits behind the point. Rounded down to the point, it lies less than 1 under them.
pub(in crate::kind) fn clipped(
    (factor, add): (i64, i64),
    (shift, bits): (u8, u8),
    (lo, hi): (i64, i64),
    points: &mut Vec<(i64, i64)>,
) {
    let half = 1i64 << (bits - 1 + shift);
    let (least, most) = (-half, half - (1i64 << shift));
    let value = |x: i64| (x * factor + add).clamp(least, most);
    let mut places = vec![lo, hi];
    if factor != 0 {
        for bend in [least, most] {
            let near = (bend - add).div_euclid(factor);
            places.extend((near - 1..=near + 1).filter(|x| (lo + 1..hi).contains(x)));
        }
    }
    places.sort_unstable();
    places.dedup();
    points.extend(places.into_iter().map(|x| (x, value(x))));
}

/// Writes the ends of the stairs between `lo` and `hi` of the function that rises by one at each of the
/// ascending `rises`.
pub(in crate::kind) fn stairs(rises: &[i64], (lo, hi): (i64, i64), points: &mut Vec<(i64, i64)>) {
    let first = rises.partition_point(|&rise| rise <= lo);
    points.push((lo, first as i64));
    let mut at = first;
    while let Some(&rise) = rises.get(at).filter(|&&rise| rise <= hi) {
        points.push((rise - 1, at as i64));
        at += rises[at..].partition_point(|&other| other == rise);
        points.push((rise, at as i64));
    }
    points.push((hi, at as i64));
}
