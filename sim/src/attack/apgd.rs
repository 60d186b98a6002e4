//! Runs APGD (Croce, Hein, ICML 2020): PGD with momentum. Its step starts at 2ε and halves where the loss
//! stops rising; then it goes on from the best point so far. The iterate is real; the lattice point next to
//! it is evaluated.

use super::search::{Search, TARGETS, drop_broken, ranked_targets};
use super::task::{Attack, Candidates, Task, rule};
use crate::ball::Norm;
use crate::ball::{project, scaled};
use crate::gradient::Loss;
use crate::lattice::sign;
use crate::random::Random;
use ndarray::{Array3, Array4, ArrayView3, Axis, Zip};
use serde_json::Value;

/// Number of steps in one climb.
const STEPS: usize = 100;
/// Number of starts of the restarted attacks.
const STARTS: usize = 10;
const TARGETED_STARTS: usize = 3;
/// Share of the steps that must raise the loss; otherwise the step size halves.
const RHO: f64 = 0.75;
/// Share of the new step in a move; the rest goes in the direction of the last move.
const MOMENTUM: f32 = 0.75;

/// The untargeted attack, on the cross entropy.
pub(super) const CROSS_ENTROPY: Attack = Attack {
    about: "100 steps of APGD on the cross entropy",
    norm: Norm::Linf,
    gradient: true,
    steps: |_| STEPS,
    run: |task| untargeted(task, 1),
    settings: |eps, _| settings(eps, "cross_entropy", 1, 1),
};

/// The untargeted attack from several starts, the first of which is that of [`CROSS_ENTROPY`].
pub(super) const CROSS_ENTROPY_RESTARTED: Attack = Attack {
    about: "10 starts of 100 steps of APGD on the cross entropy",
    steps: |_| STEPS * STARTS,
    run: |task| untargeted(task, STARTS),
    settings: |eps, _| settings(eps, "cross_entropy", STARTS, 1),
    ..CROSS_ENTROPY
};

/// The targeted attack, on the difference of logits ratio, towards the nine most likely other classes in
/// turn.
pub(super) const TARGETED: Attack = Attack {
    about: "100 steps of APGD on the targeted DLR, for each of 9 targets",
    norm: Norm::Linf,
    gradient: true,
    steps: |_| STEPS * TARGETS,
    run: |task| targeted(task, 1),
    settings: |eps, _| settings(eps, "targeted_dlr", 1, TARGETS),
};

/// The targeted attack from several starts, the first of which is that of [`TARGETED`].
pub(super) const TARGETED_RESTARTED: Attack = Attack {
    about: "3 starts of 100 steps of APGD on the targeted DLR, for each of 9 targets",
    steps: |_| STEPS * TARGETS * TARGETED_STARTS,
    run: |task| targeted(task, TARGETED_STARTS),
    settings: |eps, _| settings(eps, "targeted_dlr", TARGETED_STARTS, TARGETS),
    ..TARGETED
};

/// The untargeted attack in the Euclidean ball.
pub(super) const CROSS_ENTROPY_L2: Attack = Attack { norm: Norm::L2, ..CROSS_ENTROPY };

/// The targeted attack in the Euclidean ball.
pub(super) const TARGETED_L2: Attack = Attack { norm: Norm::L2, ..TARGETED };

/// The untargeted attack from several starts in the Euclidean ball.
pub(super) const CROSS_ENTROPY_RESTARTED_L2: Attack = Attack { norm: Norm::L2, ..CROSS_ENTROPY_RESTARTED };

/// The targeted attack from several starts in the Euclidean ball.
pub(super) const TARGETED_RESTARTED_L2: Attack = Attack { norm: Norm::L2, ..TARGETED_RESTARTED };

fn settings(eps: u8, loss: &str, starts: usize, targets: usize) -> Vec<(String, Value)> {
    vec![
        rule("start", "image + uniform direction, scaled to eps"),
        rule("first_step", 2 * u32::from(eps)),
        rule("iterations", STEPS),
        rule("rho", RHO),
        rule("momentum", MOMENTUM),
        rule("restarts", starts),
        rule("targets", targets),
        rule("loss", loss),
    ]
}

fn untargeted(task: &Task, starts: usize) -> Candidates {
    let mut search = Search::new(task);
    for start in 0..starts {
        climb(&mut search, &keyed("apgd", start), None);
    }
    search.finish()
}

fn targeted(task: &Task, starts: usize) -> Candidates {
    let ranked = ranked_targets(task);
    let mut search = Search::new(task);
    for start in 0..starts {
        for rank in 0..TARGETS.min(task.source.classes() - 1) {
            let targets: Vec<usize> = ranked.iter().map(|ranked| ranked[rank]).collect();
            // The losses of two targets cannot be compared: where no target breaks the image, the result of
            // the last one is kept.
            search.forget_losses();
            climb(&mut search, &keyed(&format!("apgd {rank}"), start), Some(&targets));
        }
    }
    search.finish()
}

/// Names the random numbers of a start: the first of several is the only one of the attack without restarts.
fn keyed(name: &str, start: usize) -> String {
    if start == 0 { name.to_owned() } else { format!("{name}, start {start}") }
}

/// Where the adversaries of a task may lie.
#[derive(Clone, Copy)]
struct Ball {
    norm: Norm,
    eps: u8,
    /// Largest level.
    top: u8,
}

impl Ball {
    fn of(task: &Task) -> Self {
        Self { norm: task.norm, eps: task.eps, top: task.top }
    }
}

/// Holds the climb on one image.
struct Climb {
    at: Array3<f32>,
    before: Array3<f32>,
    gradient: Array3<f32>,
    step: f32,
    best: Array3<f32>,
    best_gradient: Array3<f32>,
    best_loss: f64,
    /// The loss after each step.
    losses: Vec<f64>,
    /// Steps since the step size was last reviewed, and the number of them after which it is reviewed next.
    since: usize,
    until: usize,
    reduced: bool,
    best_at_review: f64,
}

/// Climbs once from every surviving image, on the cross entropy or towards the target of each image of the
/// task.
fn climb(search: &mut Search, name: &str, targets: Option<&[usize]>) {
    let task = search.task;
    let mut climbs: Vec<Climb> = vec![];
    for &i in &search.surviving {
        let mut random = Random::keyed(task.seed, name, task.eps, task.indices[i] as u64);
        climbs.push(Climb::new(task.images.index_axis(Axis(0), i), Ball::of(task), &mut random));
    }
    for n in 0..=STEPS {
        if climbs.is_empty() {
            return;
        }
        let images = lattice(&climbs, search);
        let towards: Vec<usize> =
            targets.map_or(vec![], |targets| search.surviving.iter().map(|&i| targets[i]).collect());
        let loss = if targets.is_some() { Loss::TargetedDlr(&towards) } else { Loss::CrossEntropy };
        let (found, broken) = search.ascend(&images, loss);
        let gradients = found.gradient.outer_iter().zip(&found.losses);
        for (climb, (gradient, &loss)) in climbs.iter_mut().zip(gradients) {
            climb.review(gradient, loss, n);
        }
        drop_broken(&mut climbs, &broken);
        if n < STEPS {
            for (climb, &i) in climbs.iter_mut().zip(&search.surviving) {
                climb.move_on(task.images.index_axis(Axis(0), i), Ball::of(task), n);
            }
        }
    }
}

/// Returns the lattice points next to the iterates of the surviving images.
fn lattice(climbs: &[Climb], search: &Search) -> Array4<u8> {
    let task = search.task;
    let mut images = search.originals();
    for ((image, climb), &i) in images.outer_iter_mut().zip(climbs).zip(&search.surviving) {
        task.norm.nearest(&climb.at, task.images.index_axis(Axis(0), i), task.eps, image);
    }
    images
}

impl Climb {
    fn new(image: ArrayView3<u8>, Ball { norm, eps, top }: Ball, random: &mut Random) -> Self {
        let eps = f32::from(eps);
        let mut noise = image.mapv(|_| random.within(-(1 << 20), 1 << 20) as f32);
        let most = norm.length(&noise).max(1.0);
        Zip::from(&mut noise)
            .and(&image)
            .for_each(|v, &pixel| *v = (f32::from(pixel) + eps * *v / most).clamp(0.0, top.into()));
        let zero = Array3::zeros(noise.raw_dim());
        Climb {
            before: noise.clone(),
            best: noise.clone(),
            at: noise,
            gradient: zero.clone(),
            step: 2.0 * eps,
            best_gradient: zero,
            best_loss: f64::NEG_INFINITY,
            losses: vec![],
            since: 0,
            until: STEPS * 22 / 100,
            reduced: true,
            best_at_review: f64::NEG_INFINITY,
        }
    }

    /// Takes in loss and gradient after step `n` (0: at the start), and halves the step size where it is
    /// time.
    fn review(&mut self, gradient: ArrayView3<f32>, loss: f64, n: usize) {
        self.gradient.assign(&gradient);
        if loss > self.best_loss {
            (self.best, self.best_gradient, self.best_loss) = (self.at.clone(), self.gradient.clone(), loss);
        }
        self.losses.push(loss);
        if n == 0 {
            self.best_at_review = loss;
            return;
        }
        self.since += 1;
        if self.since < self.until {
            return;
        }
        let recent = &self.losses[self.losses.len() - 1 - self.until..];
        let raised = recent.windows(2).filter(|pair| pair[1] > pair[0]).count();
        let oscillates = raised as f64 <= RHO * self.until as f64;
        let stuck = !self.reduced && self.best_at_review >= self.best_loss;
        (self.reduced, self.best_at_review) = (oscillates || stuck, self.best_loss);
        if self.reduced {
            self.step /= 2.0;
            (self.at, self.gradient) = (self.best.clone(), self.best_gradient.clone());
        }
        self.until = (self.until - STEPS * 3 / 100).max(STEPS * 6 / 100);
        self.since = 0;
    }

    /// Takes step `n`, counted from 0.
    fn move_on(&mut self, image: ArrayView3<u8>, Ball { norm, eps, top }: Ball, n: usize) {
        let share = if n > 0 { MOMENTUM } else { 1.0 };
        let (step, eps) = (self.step, f32::from(eps));
        match norm {
            Norm::Linf => {
                Zip::from(&mut self.at).and(&mut self.before).and(&self.gradient).and(&image).for_each(
                    |at, before, &slope, &pixel| {
                        let pixel = f32::from(pixel);
                        let (low, high) = ((pixel - eps).max(0.0), (pixel + eps).min(top.into()));
                        let drift = *at - *before;
                        let to = (*at + step * sign(slope) as f32).clamp(low, high);
                        let to = (*at + (to - *at) * share + drift * (1.0 - share)).clamp(low, high);
                        (*before, *at) = (*at, to);
                    },
                )
            }
            Norm::L2 => {
                let (direction, _) = scaled(self.gradient.view());
                let length = norm.length(&direction);
                let step = if length > 0.0 { step / length } else { 0.0 };
                let mut to = &self.at + &(direction * step);
                project(&mut to, image, eps, top);
                Zip::from(&mut to).and(&self.at).and(&self.before).for_each(|to, &at, &before| {
                    *to = at + (*to - at) * share + (at - before) * (1.0 - share);
                });
                project(&mut to, image, eps, top);
                self.before = std::mem::replace(&mut self.at, to);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A step goes its whole length along any gradient that has a direction, and no iterate is NaN.
    #[test]
    fn a_step_has_its_length_however_small_or_large_the_gradient_is() {
        let image = Array3::from_elem((2, 2, 2), 128u8);
        for norm in [Norm::Linf, Norm::L2] {
            for largest in [0.0, 1e-45, 1e-40, 1e-36, 1e-20, 1.0, 1e20, 1e38, f32::INFINITY, f32::NAN] {
                let mut random = Random::keyed(1, "step", 9, 0);
                let mut climb = Climb::new(image.view(), Ball { norm, eps: 9, top: 255 }, &mut random);
                let gradient = Array3::from_shape_fn((2, 2, 2), |(y, x, _)| [0.0, largest][(y + x) % 2]);
                for n in 0..3 {
                    climb.review(gradient.view(), n as f64, n);
                    let before = climb.at.clone();
                    climb.move_on(image.view(), Ball { norm, eps: 9, top: 255 }, n);
                    assert!(climb.at.iter().all(|v| (119.0..=137.0).contains(v)), "{largest}: {}", climb.at);
                    let moved = norm.length(&(&climb.at - &before));
                    assert!(n > 0 || largest == 0.0 || largest.is_nan() || moved > 3.0, "{largest}: {moved}");
                }
            }
        }
    }
}
