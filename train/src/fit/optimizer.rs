//! Runs stochastic gradient descent with (Nesterov) momentum, decoupled from autograd's bookkeeping so that
//! every tensor of its state can be saved. Also gives the rates of a step over time. Never touches statistics.

use tch::{Kind, Tensor, no_grad};

use crate::fit::model::Model;
use crate::fit::penalty;
use crate::node::Node;
use crate::node::weights::Weights;
use crate::recipe::{Decay, Dq, Optimizer, PenaltyOn, Recipe, Schedule, ScheduleKind};
use crate::tensor::Tensors;

/// Returns momentum buffers, one per parameter, zero at the start.
pub fn zero_momentum(model: &Model) -> Tensors {
    model.values.parameters.iter().map(|(name, p)| (name.clone(), no_grad(|| p.zeros_like()))).collect()
}

/// Holds what a step is made by, which changes along the training.
#[derive(Debug, Clone, Copy)]
pub struct Rates {
    /// Learning rate.
    pub lr: f64,
    /// Weight of Σ (w − ŵ)² of latent and quantized weights.
    pub damping: f64,
}

/// Makes one update from the gradients that `backward` left: g = ∂loss (clipped) + ∂penalty + decay·w + ∂damping;
/// m = μ·m + g; w −= lr·(m or, with Nesterov, g + μ·m); then shares go back to the simplex and, with a
/// retraction, weights towards orthonormal ones. Clears the gradients.
pub fn update(model: &mut Model, momentum: &mut Tensors, optimizer: &Optimizer, dq: &Dq, rates: Rates) {
    no_grad(|| {
        let penalties: Tensors = if dq.beta > 0.0 { penalty_gradients(model, dq) } else { Tensors::new() };
        let errors: Tensors = if rates.damping > 0.0 { errors(model) } else { Tensors::new() };
        let clipped = clipping(model, optimizer.clip);
        for (name, parameter) in &mut model.values.parameters {
            let mut gradient = parameter.grad();
            if let Some(factor) = &clipped {
                let _ = gradient.g_mul_(factor);
            }
            if let Some(extra) = penalties.get(name) {
                let _ = gradient.g_add_(extra);
            }
            if optimizer.weight_decay > 0.0 && decays(name, optimizer.decay) {
                let _ = gradient.g_add_(&(&*parameter * optimizer.weight_decay));
            }
            if let Some(error) = errors.get(name) {
                let _ = gradient.g_add_(&(error * (2.0 * rates.damping)));
            }
            let velocity = momentum.get_mut(name).expect("a buffer for every parameter");
            let _ = velocity.g_mul_scalar_(optimizer.momentum).g_add_(&gradient);
            let step =
                if optimizer.nesterov { gradient + &*velocity * optimizer.momentum } else { velocity.copy() };
            let _ = parameter.g_sub_(&(step * rates.lr));
            parameter.zero_grad();
            if name.ends_with(".shares") {
                project(parameter);
            } else if dq.retraction > 0.0 && name.ends_with(".weight") {
                let retracted = penalty::retract(parameter, dq.retraction);
                parameter.copy_(&retracted);
            }
        }
    });
}

/// Returns the factor that scales the gradient of all parameters down to the norm `most`, where that is not 0.
fn clipping(model: &Model, most: f64) -> Option<Tensor> {
    let squares = || model.values.parameters.values().map(|p| p.grad().square().sum(Kind::Float));
    let square = (most > 0.0).then(|| squares().reduce(|a, b| a + b)).flatten()?;
    Some((square.sqrt().clamp_min(1e-12).reciprocal() * most).clamp_max(1.0))
}

fn decays(name: &str, decay: Decay) -> bool {
    name.ends_with(".weight") || decay == Decay::All && (name.ends_with(".gain") || name.ends_with(".bias"))
}

/// Goes to the nearest point of the simplex (Duchi 2008, for two shares): α₁ ← clip((1 + α₁ − α₂)/2, 0, 1),
/// α₂ ← 1 − α₁.
fn project(shares: &mut Tensor) {
    let first = ((shares.get(0) - shares.get(1) + 1.0) * 0.5).clamp(0.0, 1.0);
    let second = 1.0 - &first;
    shares.copy_(&Tensor::stack(&[first, second], 0));
}

/// Returns ‖WᵀW − I‖²_F (0 = orthonormal) of every weight matrix that the penalty sees, in graph order.
pub fn penalties(model: &Model, on: PenaltyOn) -> Vec<(String, f64)> {
    no_grad(|| {
        weights_seen(model, on)
            .into_iter()
            .map(|(name, w)| {
                let node = name.strip_suffix(".weight").unwrap_or(&name).to_owned();
                (node, penalty::orthogonality(&w).double_value(&[]))
            })
            .collect()
    })
}

fn penalty_gradients(model: &Model, dq: &Dq) -> Tensors {
    weights_seen(model, dq.on).into_iter().map(|(name, w)| (name, penalty::gradient(&w, dq.beta))).collect()
}

/// Returns how far each latent weight is from its level.
fn errors(model: &Model) -> Tensors {
    let error = |(name, node, weights): (String, &Node, Weights)| {
        let quantized = model.values.weights(&node.name, &weights);
        let error = quantized.error(&model.values.parameters[&name], weights.bits);
        (name, error)
    };
    weighted(model).map(error).collect()
}

fn weights_seen(model: &Model, on: PenaltyOn) -> Vec<(String, Tensor)> {
    let seen = |(name, node, weights): (String, &Node, Weights)| {
        let seen = match on {
            PenaltyOn::Latent => model.values.parameters[&name].shallow_clone(),
            PenaltyOn::Quantized => {
                let quantized = model.values.weights(&node.name, &weights);
                quantized.levels * quantized.scale
            }
        };
        (name, seen)
    };
    weighted(model).map(seen).collect()
}

/// Lists the nodes that have weights, in graph order, each after the name of its latent ones.
fn weighted(model: &Model) -> impl Iterator<Item = (String, &Node, Weights)> {
    model
        .nodes
        .iter()
        .filter_map(|node| Some((format!("{}.weight", node.name), node, node.op.kind().weights()?)))
}

impl Rates {
    /// Returns those of step `step` (of `steps`) in epoch `epoch`, both from 0. They follow from the recipe alone.
    pub fn of(recipe: &Recipe, epoch: usize, step: usize, steps: usize) -> Rates {
        let passed = (epoch as f64 + step as f64 / steps as f64) / recipe.train.epochs as f64;
        let Optimizer { damping, damping_from: from, .. } = recipe.optimizer;
        let late = ((passed - from) / (1.0 - from)).clamp(0.0, 1.0);
        let rise = 0.5 * (1.0 - (std::f64::consts::PI * late).cos());
        Rates { lr: learning_rate(recipe, epoch, step, steps), damping: damping * rise }
    }
}

/// Returns the learning rate of step `step` (of `steps`) in epoch `epoch`, both from 0. It follows from the
/// recipe alone.
pub fn learning_rate(recipe: &Recipe, epoch: usize, step: usize, steps: usize) -> f64 {
    let Schedule { kind, milestones, factor, warmup } = &recipe.schedule;
    let time = epoch as f64 + step as f64 / steps as f64;
    let peak = recipe.optimizer.lr;
    if time < *warmup {
        return peak * (time + 1.0 / steps as f64).min(*warmup) / warmup;
    }
    match kind {
        ScheduleKind::Step => peak * factor.powi(milestones.iter().filter(|&&m| m <= epoch).count() as i32),
        ScheduleKind::Cosine => {
            let length = recipe.train.epochs as f64;
            let progress = ((time - warmup) / (length - warmup).max(1e-9)).clamp(0.0, 1.0);
            peak * 0.5 * (1.0 + (std::f64::consts::PI * progress).cos())
        }
    }
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::*;
    use crate::graph::build;

    #[test]
    fn shares_stay_on_the_simplex() {
        for (before, after) in [([0.5, 0.5], 0.5), ([0.9, 0.3], 0.8), ([2.0, -1.0], 1.0), ([-0.2, 1.0], 0.0)]
        {
            let mut shares = Tensor::from_slice(&before);
            project(&mut shares);
            assert!((shares.double_value(&[0]) - after).abs() < 1e-12);
            assert_eq!(shares.double_value(&[0]) + shares.double_value(&[1]), 1.0);
        }
    }

    /// Makes a small network, and an optimizer that takes plain steps along the gradient.
    fn small() -> (Optimizer, Model) {
        let recipe = Recipe::parse("model.blocks = [[2]]", "test", &[]).unwrap();
        let nodes = build(&recipe.model, recipe.squeeze, &recipe.bits, [4, 4, 1], 3).unwrap();
        let plain = Optimizer { momentum: 0.0, nesterov: false, weight_decay: 0.0, ..recipe.optimizer };
        (plain, Model::new(nodes, &recipe.bits, 1, Device::Cpu))
    }

    /// The norm of the step is that of the clip, or the gradient's own where that is less.
    #[test]
    fn gradients_are_clipped_to_their_norm() {
        let step = |clip: f64| {
            let (plain, mut model) = small();
            let before = model.copy();
            // The gradient of each parameter's sum is 1.
            let sums = model.values.parameters.values().map(|p| p.sum(Kind::Float));
            sums.reduce(|a, b| a + b).unwrap().backward();
            let clipped = Optimizer { clip, ..plain };
            let mut momentum = zero_momentum(&model);
            let rates = Rates { lr: 1.0, damping: 0.0 };
            update(&mut model, &mut momentum, &clipped, &Dq { beta: 0.0, ..Dq::default() }, rates);
            let (old, new) = (before.values.parameters.values(), model.values.parameters.values());
            let squares = old.zip(new).map(|(a, b)| (a - b).square().sum(Kind::Float).double_value(&[]));
            (squares.sum::<f64>().sqrt(), model.values.parameters.values().map(Tensor::numel).sum::<usize>())
        };
        let (free, count) = step(0.0);
        assert!((free - (count as f64).sqrt()).abs() < 1e-3);
        assert!((step(0.5).0 - 0.5).abs() < 1e-3 && (step(1e3).0 - free).abs() < 1e-3);
    }

    /// Weights without any other force come to rest on their levels.
    #[test]
    fn damping_pulls_weights_to_their_levels() {
        let (plain, mut model) = small();
        let far = |model: &Model| {
            let squares = errors(model).into_values().map(|e| e.square().sum(Kind::Float).double_value(&[]));
            squares.sum::<f64>()
        };
        let start = far(&model);
        let mut momentum = zero_momentum(&model);
        for _ in 0..20 {
            let sums = model.values.parameters.values().map(|p| p.sum(Kind::Float) * 0.0);
            sums.reduce(|a, b| a + b).unwrap().backward();
            let rates = Rates { lr: 0.1, damping: 1.0 };
            update(&mut model, &mut momentum, &plain, &Dq { beta: 0.0, ..Dq::default() }, rates);
        }
        assert!(start > 1e-3 && far(&model) < 1e-3 * start, "{start} {}", far(&model));
    }

    #[test]
    fn damping_rises_from_its_share_of_the_training() {
        let mut recipe = Recipe::default();
        (recipe.train.epochs, recipe.optimizer.damping) = (4, 0.1);
        let at = |epoch, step| Rates::of(&recipe, epoch, step, 10).damping;
        assert!(at(1, 9) == 0.0 && at(2, 0) == 0.0 && (at(3, 0) - 0.05).abs() < 1e-12);
        assert!(at(3, 9) > 0.097 && at(3, 9) < 0.1);
        recipe.optimizer.damping_from = 0.0;
        let at = |epoch, step| Rates::of(&recipe, epoch, step, 10).damping;
        assert!(at(0, 0) == 0.0 && at(1, 0) > 0.01 && (at(2, 0) - 0.05).abs() < 1e-12);
    }

    #[test]
    fn schedules() {
        let mut recipe = Recipe::default();
        recipe.train.epochs = 11;
        recipe.optimizer.lr = 0.2;
        recipe.schedule.warmup = 1.0;
        assert!((learning_rate(&recipe, 0, 0, 10) - 0.02).abs() < 1e-12);
        assert!((learning_rate(&recipe, 1, 0, 10) - 0.2).abs() < 1e-12);
        assert!((learning_rate(&recipe, 6, 0, 10) - 0.1).abs() < 1e-12);
        assert!(learning_rate(&recipe, 10, 9, 10) < 0.001);
        recipe.schedule =
            Schedule { kind: ScheduleKind::Step, milestones: vec![3, 5], factor: 0.1, warmup: 0.0 };
        let rates: Vec<f64> = [2, 3, 4, 5].map(|e| learning_rate(&recipe, e, 0, 10)).to_vec();
        for (rate, expected) in rates.iter().zip([0.2, 0.02, 0.02, 0.002]) {
            assert!((rate - expected).abs() < 1e-12, "{rates:?}");
        }
    }
}
