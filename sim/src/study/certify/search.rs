//! Proves on integers that no image of a ball changes the label: by interval bounds through the whole
//! network, where they do not suffice by linear bounds if these are wanted, with cuts at quantizers' stairs,
//! and else by a complete search that cuts the ball into boxes of pixels, within a budget. Never an estimate:
//! what is not decided is called open.

use super::trail::{Cuts, Trail};
use crate::engine::{IntervalBounds, LinearBounds, Verdict};
use crate::gradient::{GradientSource, Loss, WhiteBox};
use crate::lattice::edge;
use crate::tensor::Tensor;
use dq_net::layer::{Dense, Layer};
use ndarray::{Array3, Array4, ArrayView3, Axis};
use rayon::prelude::*;
use std::sync::atomic::{AtomicBool, Ordering};

/// Number of boxes that are bounded together.
const BATCH: usize = 16;
/// Most parts into which lines cut a ball at stairs, which need not end: a part may hold no image, unseen.
const MOST_PARTS: usize = 1 << 14;

/// Says what became of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No image of the ball has another label.
    Certified,
    /// This image of the ball has another label.
    Broken(Array3<u8>),
    /// The budget was spent first, or the search was stopped.
    Open,
}

/// Holds what a search found, and what it took.
pub struct Found {
    /// What became of the image.
    pub outcome: Outcome,
    /// Number of boxes that were bounded, and of parts of the ball that lines bounded.
    pub boxes: usize,
    /// Number of boxes that linear bounds decided.
    pub by_lines: usize,
    /// How the ball was cut, for who checks that: where every image has the label and interval bounds decided
    /// every box.
    pub trail: Option<Trail>,
}

/// Holds a network made ready for certificates.
pub struct Certifier<'a> {
    white_box: &'a WhiteBox,
    bounds: IntervalBounds<'a>,
    linear: Option<LinearBounds<'a>>,
    /// Where the scores come straight from a Dense layer: its node, whose input bounds differences of scores
    /// tighter than the scores' own bounds do.
    head: Option<(usize, &'a Dense)>,
    stop: &'a AtomicBool,
}

/// Holds a box of images: every image between two ends.
struct Region {
    lo: Array3<u8>,
    hi: Array3<u8>,
    /// Its place in the [`Cuts`].
    place: usize,
}

impl<'a> Certifier<'a> {
    /// Prepares a network whose boxes are bounded by intervals alone. Set `stop` and a search ends soon.
    pub fn new(white_box: &'a WhiteBox, stop: &'a AtomicBool) -> Self {
        let network = white_box.network();
        let before = network.sources(network.nodes().len() - 1)[0];
        let head = match &network.nodes()[before].layer {
            Layer::Dense(dense) => Some((network.sources(before)[0], dense)),
            _ => None,
        };
        Self { white_box, bounds: IntervalBounds::new(white_box.engine()), linear: None, head, stop }
    }

    /// Prepares a network whose boxes are bounded by intervals, then by linear bounds where intervals leave
    /// them open.
    pub fn with_linear_bounds(white_box: &'a WhiteBox, stop: &'a AtomicBool) -> Self {
        let linear = Some(LinearBounds::new(white_box.engine()));
        Self { linear, ..Self::new(white_box, stop) }
    }

    /// Decides whether every image within `eps` of `image` (height × width × channels) has the label
    /// `label`, and says how many boxes that took, of at most `budget`. A budget of 1 means the bounds of the
    /// whole ball alone: certified or open.
    ///
    /// # Panics
    /// If the image is not of the network's shape.
    pub fn certify(&self, image: ArrayView3<u8>, label: u8, eps: u8, budget: usize) -> (Outcome, usize) {
        let found = self.search(image, label, eps, budget);
        (found.outcome, found.boxes)
    }

    /// Does the same, and says more of how.
    ///
    /// # Panics
    /// If the image is not of the network's shape.
    pub fn search(&self, image: ArrayView3<u8>, label: u8, eps: u8, budget: usize) -> Found {
        let top = self.white_box.network().input().top();
        let end = |up: bool| image.mapv(|pixel| edge(pixel, eps, up, top));
        let mut cuts = Cuts::default();
        let mut open = vec![Region { lo: end(false), hi: end(true), place: cuts.add() }];
        let (mut boxes, mut by_lines) = (0, 0);
        let ended = |outcome, boxes, by_lines| Found { outcome, boxes, by_lines, trail: None };
        while !open.is_empty() {
            if boxes == budget || self.stop.load(Ordering::Relaxed) {
                return ended(Outcome::Open, boxes, by_lines);
            }
            let batch = open.split_off(open.len().saturating_sub(BATCH.min(budget - boxes)));
            boxes += batch.len();
            let slack = self.slack(&batch, label);
            let mut undecided = vec![];
            for (region, slack) in batch.into_iter().zip(slack) {
                match slack >= 0 {
                    true => cuts.decide(region.place, slack),
                    false => undecided.push(region),
                }
            }
            if let Some(linear) = self.linear.as_ref().filter(|_| !undecided.is_empty()) {
                // The whole ball is worth more than each of its many parts: it is cut at stairs first, with half
                // of the budget, then at pixels.
                if boxes == 1 {
                    let most = (budget / 2).clamp(1, MOST_PARTS);
                    let (verdict, parts) = linear.search(undecided[0].ends(), label.into(), most, self.stop);
                    boxes = parts;
                    match verdict {
                        Verdict::Certified => return ended(Outcome::Certified, boxes, 1),
                        Verdict::Broken(image) if budget > 1 => {
                            return ended(Outcome::Broken(image), boxes, 0);
                        }
                        Verdict::Broken(_) | Verdict::Open => {}
                    }
                } else {
                    let before = undecided.len();
                    let is_open = |b: &Region| !linear.leads(b.ends(), label.into());
                    undecided = undecided.into_par_iter().filter(is_open).collect();
                    by_lines += before - undecided.len();
                }
            }
            if undecided.is_empty() {
                continue;
            }
            if boxes == budget {
                return ended(Outcome::Open, boxes, by_lines);
            }
            match self.split(undecided, label, &mut cuts) {
                Ok(parts) => open.extend(parts),
                Err(found) => return ended(Outcome::Broken(found), boxes, by_lines),
            }
        }
        let trail = (by_lines == 0).then(|| cuts.trail());
        Found { outcome: Outcome::Certified, boxes, by_lines, trail }
    }

    /// Returns by how much the label leads in each box, at least, beyond what it needs: bounds alone show that
    /// the box has one label where that is not negative.
    fn slack(&self, boxes: &[Region], label: u8) -> Vec<i64> {
        let [lo, hi] = [stack(boxes.iter().map(|b| &b.lo)), stack(boxes.iter().map(|b| &b.hi))];
        let wanted = self.head.map_or(self.white_box.network().nodes().len() - 1, |(node, _)| node);
        let ends = self.bounds.of(wanted, lo.view(), hi.view());
        let (label, bias) = (usize::from(label), &self.white_box.network().logits().bias);
        let of_box = |b: usize| {
            let others = (0..bias.len()).filter(|&class| class != label);
            let slack = others.map(|class| {
                let lead = match self.head {
                    Some((_, dense)) => {
                        let bias = i64::from(bias[label]) - i64::from(bias[class]);
                        bias + least_lead(dense, &ends, b, label, class)
                    }
                    None => {
                        let at = b * bias.len();
                        i64::from(ends[0].get(at + label)) - i64::from(ends[1].get(at + class))
                    }
                };
                // Of classes with equal scores, the lowest is the label.
                lead - i64::from(class < label)
            });
            // A network of one class has that label.
            slack.min().unwrap_or(0)
        };
        (0..boxes.len()).map(of_box).collect()
    }

    /// Cuts each box in two where the label's lead depends on most; or finds an image with another label.
    /// Looks at the corner of each box where the slope points, and at its middle; boxes of one image are
    /// known exactly.
    fn split(&self, boxes: Vec<Region>, label: u8, cuts: &mut Cuts) -> Result<Vec<Region>, Array3<u8>> {
        let middles: Vec<Array3<u8>> = boxes.iter().map(Region::middle).collect();
        let labels = vec![label; boxes.len()];
        let slopes =
            self.white_box.loss_gradient(stack(middles.iter()).view(), &labels, Loss::Margin).gradient;
        let mut corners = middles.clone();
        for ((corner, b), slopes) in corners.iter_mut().zip(&boxes).zip(slopes.outer_iter()) {
            for (((to, &lo), &hi), &slope) in corner.iter_mut().zip(&b.lo).zip(&b.hi).zip(slopes) {
                *to = if slope > 0.0 { hi } else { lo };
            }
        }
        for tried in [corners, middles] {
            let found = self.white_box.engine().labels(stack(tried.iter()).view());
            if let Some(at) = found.iter().position(|&found| found != usize::from(label)) {
                return Err(tried[at].clone());
            }
        }
        let mut parts = Vec::with_capacity(2 * boxes.len());
        for (b, slopes) in boxes.into_iter().zip(slopes.outer_iter()) {
            match b.heaviest(slopes) {
                Some(at) => {
                    let places = cuts.cut(b.place, at);
                    parts.extend(b.cut(at, places));
                }
                // The box is one image, whose bounds are its scores.
                None => return Err(b.lo),
            }
        }
        Ok(parts)
    }
}

impl Region {
    fn ends(&self) -> [ArrayView3<'_, u8>; 2] {
        [self.lo.view(), self.hi.view()]
    }

    /// Returns the image in the middle.
    fn middle(&self) -> Array3<u8> {
        let mut middle = self.lo.clone();
        middle.zip_mut_with(&self.hi, |lo, &hi| *lo += (hi - *lo) / 2);
        middle
    }

    /// Returns the element whose width times slope is largest; none if the box is one image.
    fn heaviest(&self, slopes: ArrayView3<f32>) -> Option<usize> {
        let weight = |((&lo, &hi), &slope): ((&u8, &u8), &f32)| {
            let width = f64::from(hi - lo);
            (width * f64::from(slope.abs().min(f32::MAX)), width)
        };
        let weights = self.lo.iter().zip(&self.hi).zip(slopes).map(weight).enumerate();
        let heaviest = weights.max_by(|(_, a), (_, b)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        heaviest.filter(|(_, (_, width))| *width > 0.0).map(|(at, _)| at)
    }

    /// Cuts it into two halves along element `at`, which has more than one value.
    fn cut(self, at: usize, places: [usize; 2]) -> [Region; 2] {
        let index = |images: &Array3<u8>| {
            let (_, width, channels) = images.dim();
            [at / (width * channels), at / channels % width, at % channels]
        };
        let at = index(&self.lo);
        let middle = self.lo[at] + (self.hi[at] - self.lo[at]) / 2;
        let (mut below, mut above) = (self.hi.clone(), self.lo.clone());
        below[at] = middle;
        above[at] = middle + 1;
        [
            Region { lo: self.lo, hi: below, place: places[0] },
            Region { lo: above, hi: self.hi, place: places[1] },
        ]
    }
}

/// Returns the least of `Σ (w[label] − w[class])·x` over image `image` of the bounds `x`.
fn least_lead(dense: &Dense, x: &[Tensor; 2], image: usize, label: usize, class: usize) -> i64 {
    let (mine, theirs) = (dense.weights.row(label), dense.weights.row(class));
    let first = image * mine.len();
    let terms = mine.iter().zip(theirs).enumerate().map(|(k, (&mine, &theirs))| {
        let weight = i64::from(mine) - i64::from(theirs);
        weight * i64::from(x[usize::from(weight < 0)].get(first + k))
    });
    terms.sum()
}

fn stack<'b>(images: impl ExactSizeIterator<Item = &'b Array3<u8>>) -> Array4<u8> {
    let images: Vec<_> = images.map(|image| image.view()).collect();
    ndarray::stack(Axis(0), &images).expect("one shape")
}
