//! Scores of several scales: whole factors of the last sums, one per class, that keep the order of all
//! scores.

use super::builder::Builder;
use crate::number::{Q, common_unit, to_f64, whole};
use dq_net::Range;
use dq_net::layer::{Conv, Dense, Layer};
use num_traits::{Signed, ToPrimitive, Zero};

/// Largest size of a scaled score: a bit is left for the ranges of its parts.
const LARGEST: i64 = 1 << 29;

/// Most comparisons of a search for factors.
const MAX_COMPARED: u64 = 1 << 26;

/// Whole scores that stand for `scale · sum + offset` per class.
pub(super) struct Scaled {
    /// Node of the network whose sums are scaled.
    pub node: usize,
    /// Factor of each class.
    pub factors: Vec<i32>,
    /// What is added to each class.
    pub bias: Vec<i32>,
    /// Real value of one unit.
    pub unit: Q,
    /// Units that a score may lie off its real value.
    pub tolerance: i32,
    /// Whether every order of two scores is that of their real values.
    pub in_order: bool,
}

/// Returns factors that are exact multiples of the scales, where they are small enough.
pub(super) fn exact_factors(scales: &[Q], range: Range) -> Option<(Vec<i32>, Q)> {
    let unit = common_unit(scales)?;
    let most = LARGEST / range.lo.abs().max(range.hi.abs()).max(1);
    let factor = |s: &Q| (s / &unit).to_i64().filter(|f| f.abs() <= most).map(|f| f as i32);
    Some((scales.iter().map(factor).collect::<Option<_>>()?, unit))
}

/// Rounds scales and offsets to whole factors and biases as fine as sums allow, and finds out whether they
/// keep the order of all scores. Smaller factors are taken where these keep it too.
pub(super) fn rounded_factors(scores: &[(Q, Q)], range: Range, node: usize) -> Option<Scaled> {
    let size = range.lo.abs().max(range.hi.abs()).max(1);
    let largest = scores.iter().map(|s| s.0.abs()).max().filter(|s| !s.is_zero())?;
    let of = |most: i64| -> Option<Scaled> {
        let unit = &largest / whole(most);
        let round = |q: &Q| (q / &unit).round().to_i32().filter(|v| i64::from(v.unsigned_abs()) <= LARGEST);
        let factors = scores.iter().map(|s| round(&s.0)).collect::<Option<Vec<_>>>()?;
        let bias = scores.iter().map(|s| round(&s.1)).collect::<Option<Vec<_>>>()?;
        // Half a unit for each of the sums, and half of one for the bias.
        let tolerance = (size / 2 + 1) as i32;
        Some(Scaled { node, factors, bias, unit, tolerance, in_order: false })
    };
    let order = Order::new(scores, range);
    let in_order = |s: &Scaled| order.as_ref().is_some_and(|order| order.is_kept(&s.factors, &s.bias));
    let mut most = LARGEST / size;
    let mut best = of(most)?;
    best.in_order = in_order(&best);
    while best.in_order && most > 1 {
        most /= 2;
        match of(most).filter(&in_order) {
            Some(smaller) => best = Scaled { in_order: true, ..smaller },
            None => break,
        }
    }
    Some(best)
}

/// The real scores as whole numbers of one unit.
struct Order {
    scores: Vec<(i128, i128)>,
    range: Range,
}

impl Order {
    fn new(scores: &[(Q, Q)], range: Range) -> Option<Self> {
        let pairs = (scores.len() * scores.len()) as u64;
        if pairs.checked_mul((range.hi - range.lo) as u64 + 1)? > MAX_COMPARED {
            return None;
        }
        let unit = common_unit(scores.iter().flat_map(|s| [&s.0, &s.1]))?;
        let whole = |q: &Q| (q / &unit).to_i128().filter(|v| v.unsigned_abs() < 1 << 90);
        let scores = scores.iter().map(|s| Some((whole(&s.0)?, whole(&s.1)?))).collect::<Option<Vec<_>>>()?;
        scores.iter().all(|s| s.0 != 0).then_some(Order { scores, range })
    }

    /// Returns whether whole scores compare as the real ones do, for all sums of two classes, ties included.
    fn is_kept(&self, factors: &[i32], bias: &[i32]) -> bool {
        let found: Vec<(i128, i128)> =
            factors.iter().zip(bias).map(|(&f, &b)| (f.into(), b.into())).collect();
        let signs = found.iter().zip(&self.scores).all(|(f, s)| f.0.signum() == s.0.signum());
        let classes = self.scores.len();
        let pair = |i: usize, j: usize| {
            (self.range.lo..=self.range.hi).all(|sum| {
                let place = |scores: &[(i128, i128)]| self.place(scores[i], scores[j], sum);
                place(&self.scores) == place(&found)
            })
        };
        signs && (0..classes).all(|i| (0..classes).all(|j| i == j || pair(i, j)))
    }

    /// Returns where the score of `sum` lies among the scores of another class: twice the other's sum that
    /// has the same score, one more or less between two of them.
    fn place(&self, (a, b): (i128, i128), (c, d): (i128, i128), sum: i64) -> i128 {
        let value = a * i128::from(sum) + b - d;
        let (floor, rest) = (value.div_euclid(c), value.rem_euclid(c));
        // Division towards −∞ for a positive divisor; a negative one rounds up, which both sides do alike.
        let place = 2 * floor + i128::from(rest != 0) * c.signum();
        place.clamp(2 * i128::from(self.range.lo) - 1, 2 * i128::from(self.range.hi) + 1)
    }
}

impl Builder {
    /// Adds the sums of `node` once more, each channel times a factor, and returns their node: the weights
    /// behind them are multiplied.
    pub(super) fn times(&mut self, node: usize, factors: &[i32]) -> Result<usize, String> {
        let rows: Vec<(usize, i32)> = factors.iter().copied().enumerate().collect();
        self.rows(node, &rows)
    }

    /// Adds a node with two channels, 0 and the only one of `node`, and returns it.
    pub(super) fn beside_zero(&mut self, node: usize) -> Result<usize, String> {
        let wire = self.wire(node);
        if wire.range.lo < 0 || wire.range.bits() > 16 {
            return self.rows(node, &[(0, 0), (0, 1)]);
        }
        let weights = ndarray::arr2(&[[0], [1]]);
        let name = format!("{}_beside_zero", self.name(node));
        self.push(&name, Layer::Dense(Dense { weights, weight_bits: 2 }), &[node])
    }

    /// Adds weighted sums: for each output the channel of `node` that it is, and a factor.
    fn rows(&mut self, node: usize, rows: &[(usize, i32)]) -> Result<usize, String> {
        let name = self.name(node).to_string();
        let inputs = self.inputs(node);
        match self.layer(node).clone() {
            Layer::Dense(dense) => {
                let (_, per) = dense.weights.dim();
                let ints = multiplied(dense.weights.as_standard_layout().as_slice(), per, rows)?;
                self.push_weights(&name, inputs[0], &ints, &|w, weight_bits| {
                    let weights = ndarray::Array2::from_shape_vec((rows.len(), per), w.to_vec());
                    Layer::Dense(Dense { weights: weights.expect("as many weights"), weight_bits })
                })
            }
            Layer::Conv(conv) => {
                let (_, height, width, inner) = conv.weights.dim();
                let weights = conv.weights.as_standard_layout();
                let ints = multiplied(weights.as_slice(), height * width * inner, rows)?;
                self.push_weights(&name, inputs[0], &ints, &|w, weight_bits| {
                    let dim = (rows.len(), height, width, inner);
                    let weights = ndarray::Array4::from_shape_vec(dim, w.to_vec()).expect("as many weights");
                    Layer::Conv(Conv { weights, weight_bits, ..conv.clone() })
                })
            }
            Layer::Sum(sum) => {
                let (x, y) = (self.rows(inputs[0], rows)?, self.rows(inputs[1], rows)?);
                self.push(&name, Layer::Sum(sum), &[x, y])
            }
            layer @ (Layer::GlobalSum(_) | Layer::SumPool(_)) => {
                let input = self.rows(inputs[0], rows)?;
                self.push(&name, layer, &[input])
            }
            _ => Err("expected weighted sums before the scores".into()),
        }
    }
}

fn multiplied(weights: Option<&[i8]>, per: usize, rows: &[(usize, i32)]) -> Result<Vec<i32>, String> {
    let weights = weights.expect("in order");
    let row = |&(source, factor): &(usize, i32)| {
        weights[source * per..(source + 1) * per].iter().map(move |&w| i32::from(w).checked_mul(factor))
    };
    let all = rows.iter().flat_map(row).collect::<Option<_>>();
    all.ok_or_else(|| "scores: expected sums within ±2^30".into())
}

/// Says that scores have several scales.
pub(super) fn several(scores: &[(Q, Q)]) -> String {
    let other = scores.iter().find(|s| s.0 != scores[0].0).unwrap_or(&scores[0]);
    format!(
        "output: expected one scale for all classes, or scales that whole factors within ±2^30 keep in \
         order, found \
         {:.6e} and {:.6e}: quantize the last weights per tensor, or the scores; --round-scores rounds them",
        to_f64(&scores[0].0),
        to_f64(&other.0)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_that_are_in_order_compare_all_scores_as_the_real_ones() {
        let q = |n: i64, d: i64| Q::new(n.into(), d.into());
        let range = Range::new(-20, 25);
        let cases = [
            vec![(q(1, 3), q(0, 1)), (q(2, 7), q(1, 5)), (q(5, 11), q(-3, 2))],
            vec![(q(1, 3), q(0, 1)), (q(-2, 7), q(1, 5))],
            vec![(q(100, 301), q(0, 1)), (q(1, 3), q(0, 1))],
        ];
        for scores in cases {
            let found = rounded_factors(&scores, range, 0).unwrap();
            assert!(found.in_order);
            let whole_score = |i: usize, a: i64| i64::from(found.factors[i]) * a + i64::from(found.bias[i]);
            let score = |i: usize, a: i64| &scores[i].0 * whole(a) + &scores[i].1;
            for (i, j) in (0..scores.len()).flat_map(|i| (0..scores.len()).map(move |j| (i, j))) {
                for (a, b) in (range.lo..=range.hi).flat_map(|a| (range.lo..=range.hi).map(move |b| (a, b))) {
                    let wanted = score(i, a).cmp(&score(j, b));
                    assert!(i == j || whole_score(i, a).cmp(&whole_score(j, b)) == wanted, "{i} {a} {j} {b}");
                    let off = (score(i, a) - &found.unit * whole(whole_score(i, a))).abs();
                    assert!(off <= &found.unit * whole(found.tolerance));
                }
            }
        }
        // No factors within ±2^30 tell these apart: 2^20 sums of scales that differ in the 24th bit.
        let scores = [(q(1, 1), q(0, 1)), (q((1 << 24) + 1, 1 << 24), q(0, 1))];
        assert!(!rounded_factors(&scores, Range::new(0, 1 << 20), 0).unwrap().in_order);
        assert_eq!(exact_factors(&[q(1, 2), q(-3, 4)], range), Some((vec![2, -3], q(1, 4))));
    }
}
