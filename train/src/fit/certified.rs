//! Bounds the scores of the network in training over boxes around images, and makes of the worst that they
//! allow a loss (interval bound propagation, Gowal 2018). The bounds pass the very quantizers, which rise
//! with their argument, and batch norm by the statistics of the images themselves; gradients pass straight
//! through. Never an attack's judge: what is proved of an exported network, `dq certify` proves.

use tch::{Kind, Reduction, Tensor, no_grad};

use crate::fit::adversary::{Goal, adversaries};
use crate::fit::batch;
use crate::fit::model::Model;
use crate::graph::last_uses;
use crate::node::ends::Ends;
use crate::node::kind::Mode;
use crate::node::signal::Signal;
use crate::recipe::{Adversarial, Attack, Certified, Draw, Recipe, Start};

/// Steps of the adversary around which a small box lies.
const ITERATIONS: usize = 4;
/// Largest growth of bounds, from the image to what any node normalizes, that costs nothing, both in standard
/// deviations.
const GROWTH: f64 = 2.0;
/// Number of held-out images that are bounded at once.
const CHUNK: usize = 250;

/// Holds what a pass with bounds gives.
pub struct Bounded {
    /// Scores of the images, batch × classes.
    pub scores: Tensor,
    /// By how much the label's score leads each class's over the box, at least (0 for the label's own).
    pub leads: Tensor,
    /// Mean width of the bounds at each normalization, in standard deviations.
    widths: Vec<Tensor>,
}

/// Computes the scores of `images` and bounds them over the boxes `ends` of raw pixels (fp32). In training
/// batch norm uses the batch and updates the running statistics. Each node's name, its output and its bounds are
/// shown to `see`.
pub fn bounded(
    model: &Model,
    (images, labels): (&Tensor, &Tensor),
    ends: &Ends,
    mode: Mode,
    mut see: impl FnMut(&str, &Tensor, &Ends),
) -> Bounded {
    let image = Signal { x: images.shallow_clone(), unit: model.pixel(images.device()) };
    let last_use = last_uses(model.nodes.iter().map(|node| node.inputs.as_slice()));
    let mut outputs: Vec<Option<(Signal, Ends)>> = Vec::with_capacity(model.nodes.len());
    let (mut widths, mut leads) = (Vec::new(), None);
    for (i, node) in model.nodes.iter().enumerate() {
        let kept = |&source: &usize| outputs[source].as_ref().expect("kept until its last use");
        let sources = node.inputs.iter().map(kept).map(|(signal, ends)| (signal, ends));
        let (mut signals, mut boxes): (Vec<&Signal>, Vec<&Ends>) = sources.unzip();
        if signals.is_empty() {
            (signals, boxes) = (vec![&image], vec![ends]);
        }
        let (at, kind) = (model.at(node, mode), node.op.kind());
        let found = kind.bounds(&at, &signals, &boxes);
        leads = kind.least_leads(&at, signals[0], boxes[0], labels);
        let signal = kind.forward(&at, &signals);
        see(&node.name, &signal.x, &found);
        widths.extend(found.width.as_ref().map(Tensor::shallow_clone));
        outputs.push(Some((signal, found)));
        for &source in &node.inputs {
            if last_use[source] == i {
                outputs[source] = None;
            }
        }
    }
    let (signal, _) = outputs.pop().flatten().expect("a graph has nodes");
    Bounded { scores: signal.x, leads: leads.expect("the last node is that of the logits"), widths }
}

/// Returns the loss of a step at `time` (in epochs), and the scores of the images. `draw` is (seed, number of
/// the step).
pub fn loss(
    model: &Model,
    (images, labels): (&Tensor, &Tensor),
    recipe: &Recipe,
    (time, draw): (f64, (u64, u64)),
) -> (Tensor, Tensor) {
    let settings = &recipe.certified;
    let cross_entropy = |scores: &Tensor| {
        let smoothing = recipe.train.label_smoothing;
        scores.cross_entropy_loss(labels, None::<Tensor>, Reduction::Mean, -100, smoothing)
    };
    let progress = settings.progress(time);
    let radius = progress * settings.eps;
    if radius == 0.0 {
        let scores = model.forward(images, true);
        return (cross_entropy(&scores), scores);
    }
    let ends = boxes(model, (images, labels), radius, settings, draw);
    let found = bounded(model, (images, labels), &ends, Mode::Train, |_, _, _| {});
    let worst = (1.0 - settings.clean) * progress;
    let mut sum = cross_entropy(&found.scores) * (1.0 - worst) + cross_entropy(&-&found.leads) * worst;
    let tightness = settings.tightness * (1.0 - progress);
    if tightness > 0.0 {
        let spread = images.to_kind(Kind::Float).std(false);
        let first = no_grad(|| ends.mean_width() / spread.clamp_min(1.0));
        sum += growth(&first, &found.widths) * tightness;
    }
    (sum, found.scores)
}

/// Returns how far widths have grown beyond [`GROWTH`] times the `first`: the mean over all widths of
/// log(width / (GROWTH·first)), or 0 where that is negative.
///
/// Shi 2021 takes 1 − GROWTH·first/width, which hardly changes where bounds are far too wide. The bounds of wide
/// networks begin there. Then every quantizer is at both of its ends, so that no other term has a gradient, and
/// they would stay there.
fn growth(first: &Tensor, widths: &[Tensor]) -> Tensor {
    let excess = |width: &Tensor| (width.clamp_min(1e-6) / (first * GROWTH)).log().clamp_min(0.0);
    let sum = widths.iter().map(excess).reduce(|a, b| a + b);
    sum.map_or_else(|| first.zeros_like(), |sum| sum / widths.len() as f64)
}

/// Returns the boxes that are bounded: the balls of `radius` around the images, or smaller ones around
/// adversaries inside the balls. No box leaves the ball, or 0…255.
fn boxes(
    model: &Model,
    (images, labels): (&Tensor, &Tensor),
    radius: f64,
    settings: &Certified,
    draw: (u64, u64),
) -> Ends {
    let away = (radius * (1.0 - settings.share)).floor();
    if away < 1.0 {
        return around(images, radius * settings.share);
    }
    let attack = Adversarial {
        attack: Attack::Pgd,
        eps: away,
        draw: Draw::Fixed,
        start: Start::Uniform,
        iterations: ITERATIONS,
        step: (away * 2.0 / ITERATIONS as f64).max(1.0),
        ..Adversarial::default()
    };
    around(&adversaries(model, images, &Goal::Labels(labels), &attack, draw), radius * settings.share)
}

/// Returns the balls of `radius` around images of raw pixels, cut at 0 and 255: fp32.
pub fn around(images: &Tensor, radius: f64) -> Ends {
    let x = images.to_kind(Kind::Float);
    Ends::new((&x - radius).clamp_min(0.0), (x + radius).clamp_max(255.0))
}

/// Returns the share of images `indices` whose label leads over the whole ball of `eps`, by running
/// statistics: 0…1.
pub fn certified_accuracy(model: &Model, source: &batch::Source, indices: &[usize], eps: f64) -> f64 {
    let count = |chunk: &[usize]| {
        let (images, labels) = (source.pixels(chunk), source.labels(chunk));
        no_grad(|| {
            let found =
                bounded(model, (&images, &labels), &around(&images, eps), Mode::Evaluate, |_, _, _| {});
            certified(&found.leads, &labels).sum(Kind::Int64).int64_value(&[])
        })
    };
    indices.chunks(CHUNK).map(count).sum::<i64>() as f64 / indices.len() as f64
}

/// Says of each image whether its label wins over the whole box: it leads each class, and may equal those
/// behind it, as of equal scores the first is the label.
pub fn certified(leads: &Tensor, labels: &Tensor) -> Tensor {
    let classes = Tensor::arange(leads.size()[1], (Kind::Int64, leads.device()));
    let may_equal = classes.ge_tensor(&labels.unsqueeze(1));
    let wins = leads.gt(0.0).logical_or(&leads.eq(0.0).logical_and(&may_equal));
    wins.all_dim(1, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bounds that have grown a thousand times are narrowed by the same share as those that have grown ten times.
    #[test]
    fn bounds_are_pressed_on_however_wide_they_are() {
        let share = |width: f32| {
            let width = Tensor::from_slice(&[width]).set_requires_grad(true);
            growth(&Tensor::from_slice(&[0.1f32]), &[width.shallow_clone()]).sum(Kind::Float).backward();
            (&width * width.grad()).double_value(&[0])
        };
        assert!((share(100.0) - 1.0).abs() < 1e-6);
        assert!((share(1.0) - 1.0).abs() < 1e-6);
        assert_eq!(share(0.15), 0.0);
    }
}
