//! Proves labels by their scores alone: where the label's score leads every other by enough, no image within a
//! Euclidean radius has another label. What is enough is one number for the whole network, which a circuit
//! compares with; it is a statement about the integer network itself, quantizers included, and every operation
//! that leads to it is one on whole numbers, rounded to the safe side. No float takes part.
//!
//! **From node to node** ([`crate::motion`]): how far a wire can move while the image moves within the ball. A layer with
//! weights spreads an ellipsoid, whose axes are bounded by sums of |correlations of its channels| (Prach, Lampert
//! 2022). A staircase moves an element by no more levels than thresholds lie in any interval of the length that
//! its input moves by: that is its slope times the length and at most one level more, so that over n elements
//! quantizers add a level times √n, never a factor.
//!
//! **The last layers** ([`pairs`]): a lead is a difference of two scores, so each pair of classes is bounded by
//! itself; and where the last two layers are dense, through the staircase between them, since each of its
//! neurons moves along with its input and never against it.

mod pairs;

use crate::layer::Logits;
use crate::motion::Steps;
use crate::network::Network;

/// Holds what proves labels within a radius.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProvedRadius {
    /// The radius, in levels of the input (grey levels where it has pixels), Euclidean.
    pub radius: u8,
    /// Least lead of the label's score over the next one that proves the label.
    pub lead: i64,
}

/// Says what the scores of an image say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// The label: arg max, lowest index on ties.
    pub label: usize,
    /// Whether no image within the radius has another label.
    pub proved: bool,
}

impl ProvedRadius {
    /// Bounds how far leads of `network` move where the image moves by at most `radius`.
    pub fn new(network: &Network, radius: u8) -> ProvedRadius {
        ProvedRadius { radius, lead: pairs::furthest(network, radius, Steps::Whole) + 1 }
    }

    /// Returns what [`ProvedRadius::new`] would be if levels were real numbers and quantizers moved by no more
    /// than their slope. It proves nothing: it says what the quantizers cost.
    pub fn of_slopes(network: &Network, radius: u8) -> ProvedRadius {
        ProvedRadius { radius, lead: pairs::furthest(network, radius, Steps::Slope) + 1 }
    }

    /// Returns the label of `scores` and whether it is proved.
    pub fn verdict(&self, scores: &[i32]) -> Verdict {
        let label = Logits::label(scores.iter().copied());
        let top = i64::from(scores[label]);
        let others = scores.iter().enumerate().filter(|&(class, _)| class != label);
        let next = others.map(|(_, &score)| i64::from(score)).max();
        Verdict { label, proved: next.is_none_or(|next| top - next >= self.lead) }
    }

    /// Returns whether some scores within the range of `network`'s could lead by enough.
    pub fn is_possible(&self, network: &Network) -> bool {
        let range = network.wire(network.nodes().len() - 1).range;
        range.hi - range.lo >= self.lead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::{Dense, Input, Layer, Step, Surrogate};
    use crate::motion::{FRACTION, Moves};
    use crate::random::{self, Options};
    use crate::{Node, Range, Shape, SplitMix64};
    use ndarray::{Array2, Array3};

    /// Returns every image of the levels within `radius` of `image`, which is one of them.
    fn ball(image: &Array3<u8>, radius: u8, top: u8) -> Vec<Array3<u8>> {
        let mut found = vec![(image.clone(), i32::from(radius) * i32::from(radius))];
        for at in 0..image.len() {
            let from = i32::from(*image.iter().nth(at).unwrap());
            let mut all = vec![];
            for (image, left) in found {
                for to in (0..=i32::from(top)).filter(|to| (to - from).pow(2) <= left) {
                    let mut moved = image.clone();
                    *moved.iter_mut().nth(at).unwrap() = to as u8;
                    all.push((moved, left - (to - from).pow(2)));
                }
            }
            found = all;
        }
        found.into_iter().map(|(image, _)| image).collect()
    }

    /// Returns two dense layers with a staircase between them: the form that has a bound of its own.
    fn perceptron(seed: u64) -> Network {
        let mut random = SplitMix64::new(seed);
        let (inputs, neurons, classes) = (1 + random.below(3), 1 + random.below(5), 2 + random.below(3));
        let most = 1 + random.below(30) as i64;
        let mut dense = |outputs, inputs| {
            let weights = Array2::from_shape_simple_fn((outputs, inputs), || {
                (random.below(2 * most as usize + 1) as i64 - most) as i8
            });
            Layer::Dense(Dense { weights, weight_bits: 8 })
        };
        let (first, last) = (dense(neurons, inputs), dense(classes, neurons));
        let Layer::Dense(sums) = &first else { unreachable!("a dense layer") };
        let range = sums.weights.mapv(i64::from).outer_iter().fold(Range::new(0, 0), |range, row| {
            let end = |sign: i64| row.iter().map(|&w| (sign * w).max(0) * 255 * sign).sum::<i64>();
            range.hull(Range::new(end(-1), end(1)))
        });
        let bits = 1 + random.below(5) as u8;
        let count = (1usize << bits) - 1;
        let dir: Vec<i8> = (0..neurons).map(|_| if random.below(2) == 0 { 1 } else { -1 }).collect();
        let spacing = 1 + random.below(60) as i64;
        let mut thresholds = Array2::zeros((neurons, count));
        for mut row in thresholds.outer_iter_mut() {
            let mut at = random.below(400) as i64 - 200;
            row.iter_mut().for_each(|t| {
                *t = at;
                at += random.below(2 * spacing as usize) as i64;
            });
        }
        let thresholds = Step::clip_thresholds(&thresholds, &dir, range);
        let gain = dir.iter().map(|&d| f64::from(d) / 10.0).collect();
        let (open_lo, open_hi) = (vec![0; neurons], vec![1; neurons]);
        let surrogate = Surrogate { gain, open_lo, open_hi, unit: 1.0 };
        let bias = (0..classes).map(|_| random.below(40) as i32 - 20).collect();
        let node = |name: &str, layer, input: &str| Node {
            name: name.into(),
            layer,
            inputs: if input.is_empty() { vec![] } else { vec![input.into()] },
        };
        let nodes = vec![
            node("image", Layer::Input(Input::pixels(Shape::new(1, 1, inputs))), ""),
            node("sums", first, "image"),
            node("levels", Layer::Step(Step { bits, dir, thresholds, surrogate }), "sums"),
            node("classifier", last, "levels"),
            node("scores", Layer::Logits(Logits { bias, scale: 1.0 }), "classifier"),
        ];
        Network::new(format!("perceptron_{seed}"), nodes).unwrap()
    }

    /// Counts what exhaustive search found.
    #[derive(Default, Debug)]
    struct Found {
        images: usize,
        proved: usize,
        /// Networks of which a lead moved by at least half of what the bound allows.
        close: usize,
        networks: usize,
    }

    /// Goes through all images around some and holds labels, leads and every node to what is said of them.
    fn search(network: &Network, radius: u8, found: &mut Found) {
        let rule = ProvedRadius::new(network, radius);
        let moves = pairs::of_nodes(network, radius, Steps::Whole);
        let (mut most, name) = (0, &network.name);
        for seed in 0..6 {
            let image = random::image(seed, network.input());
            let (nodes, scores) = (network.eval_nodes(image.view()), network.eval(image.view()));
            let Verdict { label, proved } = rule.verdict(&scores);
            found.images += 1;
            found.proved += usize::from(proved);
            for near in ball(&image, radius, network.input().top()) {
                let moved = network.eval_nodes(near.view());
                let other: Vec<i32> = moved.last().unwrap().iter().copied().collect();
                assert!(
                    !proved || Logits::label(other.iter().copied()) == label,
                    "{name}: {scores:?}, {other:?}"
                );
                for (i, (a, b)) in nodes.iter().zip(&moved).enumerate() {
                    assert!(share(&(b - a), &moves[i]) <= 1.0 + 1e-9, "{name}, node {i}: {:?}", moves[i]);
                }
                let lead = |s: &[i32], a: usize, b: usize| i64::from(s[a]) - i64::from(s[b]);
                let classes = 0..scores.len();
                let pairs = classes.clone().flat_map(|a| classes.clone().map(move |b| (a, b)));
                let way = pairs.map(|(a, b)| lead(&scores, a, b) - lead(&other, a, b)).max().unwrap();
                assert!(way < rule.lead, "{name}: a lead fell by {way}, {rule:?}");
                most = most.max(way);
            }
        }
        found.networks += 1;
        found.close += usize::from(2 * most + 1 >= rule.lead && most > 0);
    }

    /// Returns Σ over channels of ‖Δ‖² / square.
    fn share(delta: &Array3<i32>, moves: &Moves) -> f64 {
        let mut sums = vec![0f64; moves.channels()];
        delta.indexed_iter().for_each(|((_, _, c), &d)| sums[c] += f64::from(d).powi(2));
        let share = |(c, &sum): (usize, &f64)| match (moves.square(c), sum) {
            (_, 0.0) => 0.0,
            (square, sum) => sum * f64::from(1 << FRACTION) / square as f64,
        };
        sums.iter().enumerate().map(share).sum()
    }

    #[test]
    fn no_image_within_the_radius_of_a_proved_one_has_another_label() {
        let mut found = Found::default();
        for seed in 0..600 {
            let options =
                Options { max_side: 3, max_channels: 4, residuals: seed % 2 == 1, ..Options::default() };
            let network = random::network(seed, &options);
            let pixels = network.input_shape().len();
            if pixels <= 9 {
                search(&network, [3, 2, 1][pixels / 4], &mut found);
            }
        }
        assert!(found.networks > 100 && found.proved > 20, "{found:?}");
        assert!(found.proved < found.images, "{found:?}");
    }

    #[test]
    fn two_dense_layers_are_bounded_closely() {
        let mut found = Found::default();
        for seed in 0..300 {
            search(&perceptron(seed), 1 + (seed % 5) as u8, &mut found);
        }
        assert!(found.proved > 20 && found.close > 20, "{found:?}");
        assert!(found.proved < found.images, "{found:?}");
    }

    #[test]
    fn ties_and_the_least_lead_are_on_the_safe_side() {
        let rule = ProvedRadius { radius: 1, lead: 5 };
        assert_eq!(rule.verdict(&[3, 8, 3]), Verdict { label: 1, proved: true });
        assert_eq!(rule.verdict(&[4, 8, 3]), Verdict { label: 1, proved: false });
        assert_eq!(rule.verdict(&[8, 8, 3]), Verdict { label: 0, proved: false });
        assert_eq!(rule.verdict(&[i32::MIN, i32::MAX]), Verdict { label: 1, proved: true });
    }
}
