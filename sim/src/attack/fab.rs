//! Runs FAB-T (Croce, Hein, ICML 2020), which looks for the nearest adversary of each target class by
//! projections on the linearized decision boundary within the pixel box. The iterate is real; the lattice
//! point next to it is evaluated, in the L∞ ball the one away from the image. An adversary farther than ε is
//! no success.

use super::search::{Search, TARGETS, ranked_targets};
use super::task::{Attack, Candidates, Task, rule};
use crate::ball::Norm;
use crate::ball::scaled;
use crate::gradient::arg_max;
use crate::kernel::{Kernel, multiversion};
use crate::lattice::{is_zero, sign};
use ndarray::{Array3, Array4, ArrayView3, Axis, Zip};

const STEPS: usize = 100;
/// Length of a step, relative to the one that ends on the boundary.
const OVERSHOOT: f32 = 1.05;
/// Largest share in a step of the projection of the image itself.
const MOST_BACK: f32 = 0.1;
/// Place between the image (0) and the adversary (1) from which a search goes on after an adversary.
const BACKWARD: f32 = 0.9;

/// Row of this attack in `attack::ALL`.
pub(super) const ATTACK: Attack = Attack {
    about: "100 steps of FAB towards the boundary of each of 9 targets",
    norm: Norm::Linf,
    gradient: true,
    steps: |_| STEPS * TARGETS,
    run,
    settings: |_, _| {
        vec![
            rule("start", "image"),
            rule("iterations", STEPS),
            rule("targets", TARGETS),
            rule("eta", OVERSHOOT),
            rule("alpha_max", MOST_BACK),
            rule("beta", BACKWARD),
            rule("restarts", 1),
            rule("rounding", "each iterate is evaluated at the nearest lattice point of the ball"),
        ]
    },
};

/// The attack in the Euclidean ball.
pub(super) const L2: Attack = Attack { norm: Norm::L2, ..ATTACK };

fn run(task: &Task) -> Candidates {
    let ranked = ranked_targets(task);
    let mut search = Search::new(task);
    for rank in 0..TARGETS.min(task.source.classes() - 1) {
        let mut at: Vec<Option<Array3<f32>>> = vec![None; task.labels.len()];
        search.forget_losses();
        for _ in 0..STEPS {
            if search.surviving.is_empty() {
                return search.finish();
            }
            step(&mut search, &ranked, rank, &mut at);
        }
    }
    search.finish()
}

/// Takes one step from every surviving image towards its `rank`th class. `at` is where each is; none means at
/// the image itself.
fn step(search: &mut Search, ranked: &[Vec<usize>], rank: usize, at: &mut [Option<Array3<f32>>]) {
    let task = search.task;
    let surviving = search.surviving.clone();
    let original = |i: usize| task.images.index_axis(Axis(0), i);
    let dim = task.source.input_shape().dim();
    let real = |i: usize| {
        let pixels = original(i).iter().map(|&pixel| pixel.into()).collect();
        Array3::from_shape_vec(dim, pixels).expect("as many as the input has")
    };
    let places: Vec<Array3<f32>> =
        surviving.iter().map(|&i| at[i].take().unwrap_or_else(|| real(i))).collect();
    let mut images = Array4::zeros((places.len(), dim.0, dim.1, dim.2));
    for ((mut image, place), &i) in images.outer_iter_mut().zip(&places).zip(&surviving) {
        match task.norm {
            Norm::Linf => {
                let (to, place) = (image.as_slice_mut(), place.as_slice());
                let from: Vec<u8> = original(i).iter().copied().collect();
                outward(Kernel::best(), place.expect("row-major"), &from, to.expect("row-major"));
            }
            // Rounding all elements outward would make the place much farther.
            Norm::L2 => image.zip_mut_with(place, |to, place| *to = place.round() as u8),
        }
    }
    let targets: Vec<usize> = surviving.iter().map(|&i| ranked[i][rank]).collect();
    let pairs = images.outer_iter().zip(&surviving);
    let outside: Vec<bool> =
        pairs.map(|(image, &i)| !task.norm.holds(image, original(i), task.eps)).collect();
    let found = search.ascend_beyond(&images, &targets, &outside);
    for (at_index, (&i, place)) in surviving.iter().zip(places).enumerate() {
        let image = images.index_axis(Axis(0), at_index);
        // Dividing the equation of a plane by a number leaves its boundary where it is.
        let (gradient, power) = scaled(found.gradient.index_axis(Axis(0), at_index));
        let value = (f64::from(found.losses[at_index] as f32) / power) as f32;
        let wrong = arg_max(found.logits.row(at_index)) != usize::from(task.labels[i]);
        let start = real(i);
        let mut next = place;
        if wrong {
            Zip::from(&mut next).and(&start).for_each(|to, &from| *to = from + BACKWARD * (*to - from));
        } else {
            // The boundary lies where value + gradient · (x − image) = 0.
            let base = image.mapv(f32::from);
            let gap = |point: &Array3<f32>| {
                value
                    + Zip::from(point)
                        .and(&base)
                        .and(&gradient)
                        .fold(0.0f32, |sum, p, b, g| sum + g * (p - b))
            };
            let here = project((task.norm, task.top), &next, gradient.view(), -gap(&next));
            let from_start = project((task.norm, task.top), &start, gradient.view(), -gap(&start));
            let (near, far) = (task.norm.length(&here), task.norm.length(&from_start));
            let share = if near + far > 0.0 { (near / (near + far)).min(MOST_BACK) } else { 0.0 };
            Zip::from(&mut next).and(&here).and(&start).and(&from_start).for_each(|to, &d, &from, &e| {
                let one = *to + OVERSHOOT * d;
                let other = from + OVERSHOOT * e;
                *to = (one * (1.0 - share) + other * share).clamp(0.0, task.top.into());
            });
        }
        at[i] = Some(next);
    }
}

multiversion! {
    /// Writes the lattice point next to `place`, away from the image `from`: rounded inward, short steps
    /// would never cross a boundary.
    fn outward = outward_body(place: &[f32], from: &[u8], to: &mut [u8])
}

#[inline(always)]
fn outward_body(place: &[f32], from: &[u8], to: &mut [u8]) {
    for (to, (&place, &from)) in to.iter_mut().zip(place.iter().zip(from)) {
        // A place within a thousandth of a lattice point counts as that point.
        let (up, down) = ((place - 1e-3).ceil(), (place + 1e-3).floor());
        *to = if place > f32::from(from) { up as u8 } else { down as u8 };
    }
}

/// Returns the step of least norm from `point` that changes `gradient · x` by `wanted` within 0..=top, or as
/// much as the box allows: each element goes the same way (in the Euclidean norm, in proportion to its
/// slope), or to its wall. The slopes are finite, the largest of them about 1; where they say nothing, or
/// `wanted` is not a number, the step is none.
fn project(
    (norm, top): (Norm, u8),
    point: &Array3<f32>,
    gradient: ArrayView3<f32>,
    wanted: f32,
) -> Array3<f32> {
    if wanted.is_nan() || is_zero(gradient.iter()) {
        return Array3::zeros(point.raw_dim());
    }
    let wanted = wanted.clamp(-f32::MAX, f32::MAX);
    let towards = if wanted >= 0.0 { 1.0f32 } else { -1.0 };
    let along = |x: f32, g: f32, by: f32| {
        let way = match norm {
            Norm::Linf => sign(g) as f32,
            Norm::L2 => g,
        };
        (x + towards * way * by).clamp(0.0, top.into()) - x
    };
    let moved = |by: f32| {
        let mut step = Array3::zeros(point.raw_dim());
        Zip::from(&mut step).and(point).and(gradient).for_each(|step, &x, &g| *step = along(x, g, by));
        step
    };
    let change = |lengths: [f32; LENGTHS]| {
        let mut sums = [0.0; LENGTHS];
        let [point, gradient] = [point.as_slice(), gradient.to_slice()].map(|all| all.expect("row-major"));
        let walk = Walk { norm, towards, top: top.into(), point, gradient };
        changes(Kernel::best(), &walk, &lengths, &mut sums);
        sums.map(|sum| sum * towards)
    };
    let (mut low, mut high) = (0.0f32, f32::from(top));
    if norm == Norm::L2 {
        let square: f32 = gradient.iter().map(|g| g * g).sum();
        // This is the step needed without walls, then ever longer ones, until no further element reaches a
        // wall.
        high = wanted.abs() / square;
        let mut found = change([high; LENGTHS])[0];
        while found < wanted.abs() && high <= f32::MAX / 4.0 {
            high *= 2.0;
            let next = change([high; LENGTHS])[0];
            if next <= found {
                break;
            }
            found = next;
        }
    }
    for at_once in 0..HALVINGS / AT_ONCE {
        let lengths = halvings(low, high);
        let found = change(lengths);
        if at_once == 0 && found[0] <= wanted.abs() {
            return moved(high);
        }
        let mut at = 1;
        for _ in 0..AT_ONCE {
            let is_less = found[at] < wanted.abs();
            (low, high) = if is_less { (lengths[at], high) } else { (low, lengths[at]) };
            at = 2 * at + usize::from(is_less);
        }
    }
    moved(high)
}

/// Number of halvings of an interval of lengths.
const HALVINGS: usize = 24;
/// Halvings that are taken together: the sums of all lengths that they may ask for, side by side in vectors,
/// take about as long as one.
const AT_ONCE: usize = 4;
const LENGTHS: usize = 1 << AT_ONCE;

/// Returns the lengths that [`AT_ONCE`] halvings of low..high may ask for: the middle at 1, and below each at
/// `n` those of its halves, at `2n` and `2n + 1`; at 0 stands `high` itself.
fn halvings(low: f32, high: f32) -> [f32; LENGTHS] {
    let (mut lengths, mut ends) = ([high; LENGTHS], [(low, high); LENGTHS]);
    for n in 1..LENGTHS {
        let (low, high) = ends[n];
        let middle = (low + high) / 2.0;
        lengths[n] = middle;
        if 2 * n < LENGTHS {
            (ends[2 * n], ends[2 * n + 1]) = ((low, middle), (middle, high));
        }
    }
    lengths
}

/// Says where steps begin and which way each element goes.
struct Walk<'a> {
    norm: Norm,
    /// 1 where `gradient · x` is to rise, −1 where it is to fall.
    towards: f32,
    top: f32,
    point: &'a [f32],
    gradient: &'a [f32],
}

multiversion! {
    /// Writes the sums of `gradient · step` for steps of each length, element by element in order.
    fn changes = changes_body(walk: &Walk, lengths: &[f32; LENGTHS], sums: &mut [f32; LENGTHS])
}

#[inline(always)]
fn changes_body(walk: &Walk, lengths: &[f32; LENGTHS], sums: &mut [f32; LENGTHS]) {
    let (lengths, mut all) = (*lengths, [0.0f32; LENGTHS]);
    for (&x, &g) in walk.point.iter().zip(walk.gradient) {
        let way = walk.towards
            * match walk.norm {
                Norm::Linf => sign(g) as f32,
                Norm::L2 => g,
            };
        for (sum, by) in all.iter_mut().zip(lengths) {
            *sum += g * ((x + way * by).clamp(0.0, walk.top) - x);
        }
    }
    *sums = all;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projections_reach_the_boundary_with_the_least_norm() {
        let point = Array3::from_shape_vec((1, 1, 3), vec![100.0, 250.0, 3.0]).unwrap();
        let gradient = Array3::from_shape_vec((1, 1, 3), vec![1.0, 2.0, -1.0]).unwrap();
        // All elements move by t: t + 2·min(t, 5) + min(t, 3) = 28 where t = 15.
        let step = project((Norm::Linf, 255), &point, gradient.view(), 28.0);
        let wanted = [15.0, 5.0, -3.0];
        assert!(step.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-3), "{step}");
        // More is asked for than the box has: all of it is used.
        for norm in [Norm::Linf, Norm::L2] {
            let step = project((norm, 255), &point, gradient.view(), -1e9);
            assert_eq!(step.into_raw_vec_and_offset().0, [-100.0, -250.0, 252.0]);
        }
        // Elements move in proportion to the slope, up to the walls: t + 2·min(2t, 5) + min(t, 3) = 28, and
        // 12 before any wall is reached.
        let step = project((Norm::L2, 255), &point, gradient.view(), 28.0);
        let wanted = [15.0, 5.0, -3.0];
        assert!(step.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-3), "{step}");
        let step = project((Norm::L2, 255), &point, gradient.view(), 12.0);
        let wanted = [2.0, 4.0, -2.0];
        assert!(step.iter().zip(wanted).all(|(a, b)| (a - b).abs() < 1e-3), "{step}");
    }

    #[test]
    fn projections_are_numbers_whatever_is_wanted_of_them() {
        let point = Array3::from_shape_vec((1, 1, 3), vec![100.0, 0.0, 255.0]).unwrap();
        for gradient in [[1.0, 0.0, -1.5], [1e-30, 1.0, 0.0], [0.0, 0.0, 0.0], [1.0, 1e-38, 1.0]] {
            let gradient = Array3::from_shape_vec((1, 1, 3), gradient.to_vec()).unwrap();
            for wanted in [0.0, 1e-45, 1.0, 1e20, f32::MAX, f32::INFINITY, f32::NAN] {
                for (norm, sign) in [Norm::Linf, Norm::L2].iter().flat_map(|n| [(*n, 1.0), (*n, -1.0)]) {
                    let step = project((norm, 255), &point, gradient.view(), sign * wanted);
                    let inside = step.iter().zip(&point).all(|(s, p)| (0.0..=255.0).contains(&(s + p)));
                    assert!(inside, "{norm:?} {gradient} {wanted}: {step}");
                }
            }
        }
    }
}
