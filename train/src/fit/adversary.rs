//! Makes adversaries of the network in training: FGSM, R+FGSM, PGD, on whole pixel values. They cost one
//! backward pass per step, with respect to the pixels alone. Never touches batch norm's statistics or a
//! parameter's gradient.
//!
//! Adversaries are made by the evaluation form of batch norm, in whole pixel values, with noise of our
//! own, so that they are the same on every device.

use tch::{Kind, Tensor, no_grad};

use crate::fit::model::Model;
use crate::random::{Stream, bits, normal};
use crate::recipe::{Adversarial, Attack, Attacked, Draw, Start};

/// Says what an adversary raises.
pub enum Goal<'a> {
    /// Cross entropy for these labels.
    Labels(&'a Tensor),
    /// KL(clean ‖ adversarial) from the scores of the unchanged images (TRADES).
    Divergence,
}

/// Returns adversaries of `images` (raw pixels of whole value, batch × channels × height × width), in their
/// number format: whole values, within the radius that `settings` draw for `draw` = (seed, number of the
/// step).
pub fn adversaries(
    model: &Model,
    images: &Tensor,
    goal: &Goal,
    settings: &Adversarial,
    draw: (u64, u64),
) -> Tensor {
    let n = images.size()[0];
    let clean = images.to_kind(Kind::Float);
    let eps = radii(settings, n as usize, draw);
    let largest = eps.iter().fold(0.0f32, |a, &b| a.max(b));
    let eps = Tensor::from_slice(&eps).to_device(images.device()).reshape([n, 1, 1, 1]);
    let (low, high) = ((&clean - &eps).clamp_min(0.0), (&clean + &eps).clamp_max(255.0));
    let inside = |x: &Tensor| x.maximum(&low).minimum(&high);
    let signs = || noise(&clean, draw, |bit| if bit & 1 == 1 { 1.0 } else { -1.0 }) * (&eps / 2.0);
    let target = match goal {
        Goal::Labels(labels) => labels.shallow_clone(),
        Goal::Divergence => no_grad(|| model.forward(images, false).softmax(-1, Kind::Float)),
    };
    let ascent = |x: &Tensor| {
        let leaf = x.to_kind(images.kind()).detach().set_requires_grad(true);
        let scores = model.forward(&leaf, false);
        let loss = match goal {
            Goal::Labels(_) => scores.cross_entropy_for_logits(&target),
            Goal::Divergence => divergence(&target, &scores),
        };
        let slopes = Tensor::run_backward(&[loss], &[&leaf], false, false);
        slopes[0].to_kind(Kind::Float).sign()
    };
    let found = match settings.attack {
        Attack::None => clean.shallow_clone(),
        Attack::Fgsm => inside(&(&clean + ascent(&clean) * &eps)),
        Attack::RFgsm => {
            let start = inside(&(&clean + signs()));
            inside(&(&start + ascent(&start) * (&eps / 2.0)))
        }
        Attack::Pgd => {
            let noise = match settings.start {
                Start::Sign => signs(),
                Start::Uniform => noise(&clean, draw, |bits| bits as f32 / 32_767.5 - 1.0) * &eps,
            };
            let mut x = inside(&(&clean + noise));
            for _ in 0..settings.iterations_at(largest.into()) {
                x = inside(&(&x + ascent(&x) * settings.step));
            }
            x
        }
    };
    inside(&found.round()).to_kind(images.kind())
}

/// Returns numbers of 16 random bits each, shaped like `x`: the same on every device.
fn noise(x: &Tensor, (seed, step): (u64, u64), number: impl Fn(u16) -> f32) -> Tensor {
    let words = x.numel().div_ceil(4) as u64;
    let draws = (0..words).flat_map(|i| {
        let word = bits(seed, Stream::Noise(step), i);
        [0, 16, 32, 48].map(|shift| number((word >> shift) as u16))
    });
    let values: Vec<f32> = draws.take(x.numel()).collect();
    Tensor::from_slice(&values).to_device(x.device()).reshape(x.size())
}

/// Returns KL(p ‖ softmax(scores)) of probabilities `p`, as a mean over the batch.
pub fn divergence(p: &Tensor, scores: &Tensor) -> Tensor {
    let logs = scores.log_softmax(-1, Kind::Float);
    let each = p * (p.clamp_min(1e-12).log() - logs);
    each.sum(Kind::Float) / p.size()[0] as f64
}

/// Returns the attack that held-out images are measured under: PGD by the paper's rule, with a fixed radius.
pub fn watching(attacked: &Attacked) -> Adversarial {
    let Attacked { attack, eps, .. } = *attacked;
    Adversarial { attack, eps, draw: Draw::Fixed, ..Adversarial::default() }
}

/// Returns whole radii, one per image. PGD has the same for all, which also says how many steps it makes.
fn radii(settings: &Adversarial, n: usize, (seed, step): (u64, u64)) -> Vec<f32> {
    let Draw::Normal = settings.draw else { return vec![settings.eps.round() as f32; n] };
    let radius = |i: u64| {
        // Draws above twice the deviation, 1 in 20, are drawn again.
        let draws =
            (0..64).map(|again| settings.eps * normal(seed, Stream::Radius(step), i * 64 + again).abs());
        draws.into_iter().find(|&eps| eps <= 2.0 * settings.eps).unwrap_or(settings.eps).round() as f32
    };
    if settings.attack == Attack::Pgd { vec![radius(0); n] } else { (0..n as u64).map(radius).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph;
    use crate::recipe::Recipe;
    use tch::Device;

    fn model() -> Model {
        let recipe = Recipe::parse("data.set = \"cifar10\"\nmodel.blocks = [[6], [8]]", "test", &[]).unwrap();
        let nodes = graph::build(&recipe.model, recipe.squeeze, &recipe.bits, [8, 8, 3], 4).unwrap();
        Model::new(nodes, &recipe.bits, 3, Device::Cpu)
    }

    /// Every attack stays in its ball and on whole pixels, raises the loss, repeats itself, and leaves no
    /// gradients.
    #[test]
    fn adversaries_are_lawful_and_raise_the_loss() {
        let model = model();
        let zero = Tensor::zeros([32, 3, 8, 8], (Kind::Float, Device::Cpu));
        let images = noise(&zero, (1, 1), |bits| f32::from(bits >> 8));
        // Before its statistics are those of the images, all activations are clipped.
        (0..60).for_each(|_| drop(no_grad(|| model.forward(&images, true))));
        let labels = no_grad(|| model.forward(&images, false)).argmax(1, false);
        let loss = |x: &Tensor| {
            no_grad(|| model.forward(x, false).cross_entropy_for_logits(&labels)).double_value(&[])
        };
        let before = loss(&images);
        for (attack, start) in [
            (Attack::Fgsm, Start::Sign),
            (Attack::RFgsm, Start::Sign),
            (Attack::Pgd, Start::Sign),
            (Attack::Pgd, Start::Uniform),
        ] {
            for draw in [Draw::Fixed, Draw::Normal] {
                let settings = Adversarial { attack, start, draw, ..Adversarial::default() };
                let make = |step| adversaries(&model, &images, &Goal::Labels(&labels), &settings, (5, step));
                let found = make(9);
                let largest = if draw == Draw::Fixed { 8.0 } else { 16.0 };
                assert!((&found - &images).abs().max().double_value(&[]) <= largest);
                assert!(found.min().double_value(&[]) >= 0.0 && found.max().double_value(&[]) <= 255.0);
                assert_eq!(found, found.round());
                assert!(loss(&found) > before, "{attack:?} {draw:?}: {} from {before}", loss(&found));
                assert_eq!(found, make(9));
                if (attack, draw) != (Attack::Fgsm, Draw::Fixed) {
                    assert_ne!(found, make(10));
                }
            }
        }
        assert!(model.values.parameters.values().all(|p| !p.grad().defined()));
    }

    #[test]
    fn divergence_is_zero_at_the_same_scores_and_climbed() {
        let model = model();
        let images =
            noise(&Tensor::zeros([4, 3, 8, 8], (Kind::Float, Device::Cpu)), (1, 1), |b| f32::from(b >> 8));
        (0..60).for_each(|_| drop(no_grad(|| model.forward(&images, true))));
        let p = no_grad(|| model.forward(&images, false)).softmax(-1, Kind::Float);
        let apart = |x: &Tensor| divergence(&p, &no_grad(|| model.forward(x, false))).double_value(&[]);
        assert!(apart(&images).abs() < 1e-6);
        let settings = Adversarial { attack: Attack::Pgd, draw: Draw::Fixed, ..Adversarial::default() };
        let found = adversaries(&model, &images, &Goal::Divergence, &settings, (1, 1));
        assert!(apart(&found) > 1e-4);
    }

    /// With δ = 8 radii are whole, 0 to 16, and have the mean of a half-normal cut at two deviations (0.72
    /// δ).
    #[test]
    fn radii_are_of_the_truncated_normal() {
        let settings = Adversarial { attack: Attack::Fgsm, ..Adversarial::default() };
        let radii = radii(&settings, 20_000, (1, 2));
        assert!(radii.iter().all(|&eps| eps.fract() == 0.0 && (0.0..=16.0).contains(&eps)));
        let mean = radii.iter().sum::<f32>() / 20_000.0;
        // The mean of a half-normal distribution cut at 2 is (φ(0) − φ(2)) / (Φ(2) − ½) = 0.7229 deviations.
        assert!((mean - 8.0 * 0.7229).abs() < 0.1, "{mean}");
        let pgd = Adversarial { attack: Attack::Pgd, ..settings };
        assert!(super::radii(&pgd, 9, (1, 2)).windows(2).all(|pair| pair[0] == pair[1]));
        assert_eq!([1.0, 2.0, 4.0, 8.0, 16.0].map(|eps| pgd.iterations_at(eps)), [1, 2, 5, 10, 20]);
    }
}
