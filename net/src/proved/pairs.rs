//! Bounds how far the difference of two scores moves: for each pair of classes, through the last layers.

use crate::layer::{Dense, Layer, Step};
use crate::motion::root::root_up;
use crate::motion::staircase::Line;
use crate::motion::{FRACTION, Motion, Moves, Steps};
use crate::network::Network;
use crate::range::Range;
use crate::wire::Wire;
use ndarray::{Array2, ArrayView1};

/// Bits behind the point of a line's slope.
const SLOPE: u32 = 20;

/// Returns the most that the difference of any two scores can move where the image moves by at most `radius`.
pub fn furthest(network: &Network, radius: u8, steps: Steps) -> i64 {
    let moves = of_nodes(network, radius, steps);
    let last = network.nodes().len() - 1;
    let source = network.sources(last)[0];
    let before = network.sources(source).first().copied();
    let dense = match (&network.nodes()[source].layer, before) {
        (Layer::Dense(dense), Some(before)) => Some(LastDense {
            dense,
            square: moves[before].most(),
            neurons: Neurons::before(network, before, &moves, steps),
        }),
        _ => None,
    };
    // From the least lead to the largest one.
    let Range { lo, hi } = network.wire(last).range;
    let most = 2 * u128::from(hi.abs_diff(lo));
    let of_pair = |(i, j)| {
        // An ellipsoid reaches as far along (1, −1) as the root of the sum of both squares.
        let scores = moves[last].square(i).checked_add(moves[last].square(j)).map(whole_root);
        let dense = dense.as_ref().and_then(|dense| dense.furthest(i, j));
        [scores, dense].into_iter().flatten().fold(most, u128::min)
    };
    let pairs = (0..network.classes()).flat_map(|j| (0..j).map(move |i| (i, j)));
    let furthest = pairs.map(of_pair).max().expect("at least two classes");
    i64::try_from(furthest).expect("within the range of the scores")
}

/// Returns how far each node moves.
pub(super) fn of_nodes(network: &Network, radius: u8, steps: Steps) -> Vec<Moves> {
    let mut moves: Vec<Moves> = Vec::with_capacity(network.nodes().len());
    for (i, node) in network.nodes().iter().enumerate() {
        let to = network.wire(i);
        let ball = Moves::ball(to.shape.channels, radius.into());
        let from = match network.sources(i) {
            [] => vec![(to, &ball)],
            sources => sources.iter().map(|&s| (network.wire(s), &moves[s])).collect(),
        };
        let found = node.layer.kind().moves(&Motion { from, to, steps });
        moves.push(Moves::within(found, to));
    }
    moves
}

/// Holds the dense layer that gives the scores.
struct LastDense<'a> {
    dense: &'a Dense,
    /// Squared radius of its inputs, in units of 2^−[`FRACTION`].
    square: u128,
    /// Its inputs, where they are levels of sums of their own.
    neurons: Option<Neurons>,
}

impl LastDense<'_> {
    /// Returns the most that the difference of scores `i` and `j` can move; none past 128 bits.
    fn furthest(&self, i: usize, j: usize) -> Option<u128> {
        let rows = self.dense.weights.row(i).into_iter().zip(self.dense.weights.row(j));
        let gap: Vec<i64> = rows.map(|(&a, &b)| i64::from(a) - i64::from(b)).collect();
        let length = gap.iter().map(|v| v.unsigned_abs().pow(2)).sum::<u64>();
        let ball = self.square.checked_mul(length.into()).map(whole_root);
        let neurons = self.neurons.as_ref().and_then(|neurons| neurons.furthest(&gap));
        ball.into_iter().chain(neurons).min()
    }
}

/// Returns the largest whole number whose square is at most `square`, in units of 2^−[`FRACTION`]: values are
/// whole, so that they move no further.
fn whole_root(square: u128) -> u128 {
    (square >> FRACTION).isqrt()
}

/// Holds a dense layer and the staircase of its outputs, which the last dense layer reads.
struct Neurons {
    /// Σ over inputs of products of two neurons' weights, times the squared radius of the inputs, in units of
    /// 2^−[`FRACTION`]; in the directions of the staircases.
    correlations: Array2<i128>,
    /// Lines of each neuron's staircase, by what the lines were chosen for: (slope, what comes on top), in units
    /// of 2^−[`SLOPE`].
    choices: Vec<Vec<(i128, u128)>>,
}

impl Neurons {
    /// Returns the neurons whose levels node `i` gives; none where it is no staircase over a dense layer.
    fn before(network: &Network, i: usize, moves: &[Moves], steps: Steps) -> Option<Neurons> {
        let Layer::Step(step) = &network.nodes()[i].layer else { return None };
        let source = network.sources(i)[0];
        let Layer::Dense(dense) = &network.nodes()[source].layer else { return None };
        let square = i128::try_from(moves[network.sources(source)[0]].most()).ok()?;
        let correlations = correlations(dense, step, square)?;
        let neurons = correlations.dim().0;
        // Each neuron is bounded by its own row, not by a sum over all rows.
        let own: Vec<u128> = (0..neurons).map(|c| correlations[[c, c]] as u128).collect();
        let choices = choices(&Moves::of(own), step, network.wire(source), steps);
        Some(Neurons { correlations, choices })
    }

    /// Returns the most that `Σ gap[c]·level c` can move.
    ///
    /// A neuron's level moves by m·(its input's way)·slope and something on top, for some 0 ≤ m ≤ 1. So the sum
    /// moves by at most ‖Σ over c of m_c·gap_c·slope_c·(weights of c)‖·radius and all that comes on top. The
    /// square of the former is a sum of products over pairs of neurons, each of which is at most the larger of 0
    /// and itself with both m = 1.
    fn furthest(&self, gap: &[i64]) -> Option<u128> {
        self.choices.iter().filter_map(|choice| self.by(choice, gap)).min()
    }

    fn by(&self, choice: &[(i128, u128)], gap: &[i64]) -> Option<u128> {
        let scaled: Vec<i128> = gap.iter().zip(choice).map(|(&v, line)| i128::from(v) * line.0).collect();
        let mut square = 0u128;
        for (row, &a) in self.correlations.outer_iter().zip(&scaled).filter(|(_, a)| **a != 0) {
            square = square.checked_add(positive_part(row, a, &scaled)?)?;
        }
        let more =
            gap.iter().zip(choice).map(|(&v, line)| u128::from(v.unsigned_abs()) * line.1).sum::<u128>();
        // Both in units of 2^−(SLOPE + FRACTION / 2).
        let sum = root_up(square).checked_add(more.checked_mul(1 << (FRACTION / 2))?)?;
        Some(sum >> (SLOPE + FRACTION / 2))
    }
}

/// Returns the sum of the positive ones of `a·row[d]·scaled[d]`; none past 127 bits.
fn positive_part(row: ArrayView1<i128>, a: i128, scaled: &[i128]) -> Option<u128> {
    let mut sum = 0u128;
    for (&product, &b) in row.iter().zip(scaled) {
        let term = product.checked_mul(a)?.checked_mul(b)?;
        sum = sum.checked_add(term.max(0) as u128)?;
    }
    Some(sum)
}

/// Returns the correlations of the rows of `dense`, in the directions of `step`, times `square`.
fn correlations(dense: &Dense, step: &Step, square: i128) -> Option<Array2<i128>> {
    let products = dense.weights.mapv(i64::from);
    let products = products.dot(&products.t());
    let mut found = Array2::zeros(products.dim());
    for ((a, b), &product) in products.indexed_iter() {
        let sign = i128::from(step.dir[a]) * i128::from(step.dir[b]);
        found[[a, b]] = square.checked_mul(i128::from(product) * sign)?;
    }
    Some(found)
}

/// Returns, for ways of `moves` that are halved again and again, the line of each neuron that is lowest there.
fn choices(moves: &Moves, step: &Step, wire: Wire, steps: Steps) -> Vec<Vec<(i128, u128)>> {
    let lines = step.lines(moves, wire.range, steps);
    let rounded = |line: Line| {
        let up = |value: u64| (u128::from(value) << SLOPE).div_ceil(line.down.into());
        (up(line.up) as i128, up(line.more))
    };
    let widest = (0..moves.channels()).map(|c| moves.reach(c)).max().unwrap_or(0);
    let choice = |halvings: u32| {
        let lowest =
            |(c, lines): (usize, &Vec<Line>)| Line::lowest(lines, (moves.reach(c) >> halvings).max(1));
        lines.iter().enumerate().map(lowest).map(rounded).collect()
    };
    let mut choices: Vec<Vec<_>> = (0..=widest.max(1).ilog2()).map(choice).collect();
    choices.dedup();
    choices
}
