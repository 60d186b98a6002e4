//! Certificates: no image of the ball changes the label, proved on integers. Interval bounds through the whole network,
//! and where they do not suffice a complete search that cuts the ball into boxes, within a budget. Never an estimate: what
//! is not decided says so.

use crate::engine::{Bounds, Engine, Tensor};
use crate::gradient::{GradientSource, Loss};
use dq_net::layer::{Dense, Layer};
use ndarray::{Array3, Array4, ArrayView3, Axis};

/// Boxes that are bounded together.
const BATCH: usize = 16;

/// What became of one image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// No image of the ball has another label.
    Certified,
    /// This one has.
    Broken(Array3<u8>),
    /// The budget was spent first.
    Open,
}

/// A network made ready for certificates.
pub struct Certifier<'a> {
    engine: &'a Engine,
    bounds: Bounds<'a>,
    /// Where the scores come straight from a Dense layer: its node, whose input bounds differences of scores tighter than
    /// the scores' own bounds do.
    head: Option<(usize, &'a Dense)>,
}

/// A box of images: every one between two ends.
struct Region {
    lo: Array3<u8>,
    hi: Array3<u8>,
}

impl<'a> Certifier<'a> {
    /// Prepares the network of `engine`.
    pub fn new(engine: &'a Engine) -> Self {
        let network = engine.network();
        let before = network.sources(network.nodes().len() - 1)[0];
        let head = match &network.nodes()[before].layer {
            Layer::Dense(dense) => Some((network.sources(before)[0], dense)),
            _ => None,
        };
        Self { engine, bounds: Bounds::new(engine), head }
    }

    /// Whether every uint8 image within `eps` of `image` (height × width × channels) has the label `label`, and how many
    /// boxes that took, of at most `budget`. A budget of 1 is the bounds of the whole ball alone: certified or open.
    ///
    /// # Panics
    /// If the image is not of the network's shape.
    pub fn certify(&self, image: ArrayView3<u8>, label: usize, eps: u8, budget: usize) -> (Outcome, usize) {
        let mut open = vec![Region {
            lo: image.mapv(|pixel| pixel.saturating_sub(eps)),
            hi: image.mapv(|pixel| pixel.saturating_add(eps)),
        }];
        let mut boxes = 0;
        while !open.is_empty() {
            if boxes == budget {
                return (Outcome::Open, boxes);
            }
            let batch = open.split_off(open.len().saturating_sub(BATCH.min(budget - boxes)));
            boxes += batch.len();
            let robust = self.robust(&batch, label);
            let batch: Vec<Region> =
                batch.into_iter().zip(robust).filter(|(_, robust)| !robust).map(|(b, _)| b).collect();
            if batch.is_empty() {
                continue;
            }
            if boxes == budget {
                return (Outcome::Open, boxes);
            }
            match self.split(batch, label) {
                Ok(parts) => open.extend(parts),
                Err(found) => return (Outcome::Broken(found), boxes),
            }
        }
        (Outcome::Certified, boxes)
    }

    /// Whether bounds alone show that each box has one label.
    fn robust(&self, boxes: &[Region], label: usize) -> Vec<bool> {
        let [lo, hi] = [stack(boxes.iter().map(|b| &b.lo)), stack(boxes.iter().map(|b| &b.hi))];
        let ends = self.bounds.run(lo.view(), hi.view());
        let bias = &self.engine.network().logits().bias;
        let scores = &ends[ends.len() - 1];
        (0..boxes.len())
            .map(|b| {
                let others = (0..bias.len()).filter(|&class| class != label);
                others.into_iter().all(|class| {
                    let lead = match self.head {
                        Some((node, dense)) => {
                            let bias = i64::from(bias[label]) - i64::from(bias[class]);
                            bias + least_lead(dense, &ends[node], b, label, class)
                        }
                        None => {
                            let at = b * bias.len();
                            i64::from(scores[0].get(at + label)) - i64::from(scores[1].get(at + class))
                        }
                    };
                    // The lowest of equal classes is the label.
                    lead > 0 || (lead == 0 && label < class)
                })
            })
            .collect()
    }

    /// Two parts of each box, cut where the label's lead depends on most; or an image with another label. Looks at the
    /// corner of each box where the slope points, and at its middle; boxes of one image are known exactly.
    fn split(&self, boxes: Vec<Region>, label: usize) -> Result<Vec<Region>, Array3<u8>> {
        let middle = |b: &Region| {
            let mut middle = b.lo.clone();
            middle.zip_mut_with(&b.hi, |lo, &hi| *lo += (hi - *lo) / 2);
            middle
        };
        let middles: Vec<Array3<u8>> = boxes.iter().map(middle).collect();
        let labels = vec![label as u8; boxes.len()];
        let slopes = self.engine.loss_gradient(stack(middles.iter()).view(), &labels, Loss::Margin).gradient;
        let mut corners = middles.clone();
        for ((corner, b), slopes) in corners.iter_mut().zip(&boxes).zip(slopes.outer_iter()) {
            for (((to, &lo), &hi), &slope) in corner.iter_mut().zip(&b.lo).zip(&b.hi).zip(slopes) {
                *to = if slope > 0.0 { hi } else { lo };
            }
        }
        for tried in [corners, middles] {
            let found = self.engine.labels(stack(tried.iter()).view());
            if let Some(at) = found.iter().position(|&found| found != label) {
                return Err(tried[at].clone());
            }
        }
        let mut parts = Vec::with_capacity(2 * boxes.len());
        for (b, slopes) in boxes.into_iter().zip(slopes.outer_iter()) {
            let weight = |((&lo, &hi), &slope): ((&u8, &u8), &f32)| {
                let width = f64::from(hi - lo);
                (width * f64::from(slope.abs().min(f32::MAX)), width)
            };
            let weights = b.lo.iter().zip(&b.hi).zip(slopes).map(weight).enumerate();
            let heaviest = weights.max_by(|(_, a), (_, b)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
            match heaviest {
                Some((at, (_, width))) if width > 0.0 => parts.extend(b.cut(at)),
                // One image, whose bounds are its scores.
                _ => return Err(b.lo),
            }
        }
        Ok(parts)
    }
}

impl Region {
    /// Two halves along element `at`, which has more than one value.
    fn cut(self, at: usize) -> [Region; 2] {
        let index = |images: &Array3<u8>| {
            let (_, width, channels) = images.dim();
            [at / (width * channels), at / channels % width, at % channels]
        };
        let at = index(&self.lo);
        let middle = self.lo[at] + (self.hi[at] - self.lo[at]) / 2;
        let (mut below, mut above) = (self.hi.clone(), self.lo.clone());
        below[at] = middle;
        above[at] = middle + 1;
        [Region { lo: self.lo, hi: below }, Region { lo: above, hi: self.hi }]
    }
}

/// The least of `Σ (w[label] − w[class])·x` over image `image` of the bounds `x`.
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
