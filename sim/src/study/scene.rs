//! Measures adversaries of another kind than noise: the image turned and shifted (Engstrom et al., ICML
//! 2019), and a patch put on it (Karmon et al., ICML 2018). Each is judged by the network alone.

use super::corrupt::plane::bilinear;
use super::{Stopped, Watch};
use crate::attack::suite::Judge;
use crate::gradient::{GradientSource, Loss, arg_max};
use crate::lattice::{shifted, sign};
use crate::random::Random;
use crate::report::{Model, Tally};
use dq_data::Images;
use ndarray::{Array3, Array4, ArrayView3, Axis, s};
use rayon::prelude::*;
use serde::Serialize;

/// Number of angles that are tried, and of shifts along each axis; they are odd, so that the image itself is
/// among them.
const ANGLES: usize = 31;
const SHIFTS: usize = 5;
/// Number of places at which a patch is tried, number of steps at each place, and length of a step.
const PLACES: usize = 10;
const STEPS: usize = 40;
const STEP: i32 = 16;

/// Says how far images are turned and shifted, and how large patches are.
#[derive(Clone, Copy, Debug)]
pub struct Scene {
    /// Largest rotation, in degrees.
    pub degrees: u16,
    /// Largest shift along each axis, in pixels.
    pub shift: u8,
    /// Side of the patch, in pixels; at most the image's.
    pub patch: usize,
    /// Seed of every random number.
    pub seed: u64,
}

/// Holds what one network made of the images.
#[derive(Clone, Debug, Serialize)]
pub struct Found {
    /// The network.
    pub model: Model,
    /// Accuracy on the images as they are.
    pub clean: Tally,
    /// Accuracy where each image is turned and shifted in the worst way.
    pub turn: Tally,
    /// Accuracy where a patch is put on each image.
    pub patch: Tally,
}

/// Attacks every image that `target` classifies right. Ticks once per image.
pub fn measure(target: &dyn Judge, images: &Images, scene: &Scene, watch: Watch) -> Result<Found, Stopped> {
    let verdicts = target.judge(images.pixels.view());
    let attack = |i: usize| {
        watch.step(1)?;
        let (image, label) = (images.pixels.index_axis(Axis(0), i), images.labels[i]);
        if verdicts[i].label != usize::from(label) {
            return Ok([false; 3]);
        }
        let (_, turned) = worst_turn(target, image, label, scene.degrees.into(), scene.shift.into());
        watch.check()?;
        let random = Random::keyed(scene.seed, "patch", 0, i as u64);
        let patched = patch(target, image, label, scene.patch, random);
        Ok([true, !turned, patched.is_none()])
    };
    let outcomes = (0..images.len()).into_par_iter().map(attack).collect::<Result<Vec<_>, _>>()?;
    let tally = |n: usize| Tally::new(outcomes.iter().filter(|o| o[n]).count(), images.len());
    Ok(Found { model: target.model(), clean: tally(0), turn: tally(1), patch: tally(2) })
}

/// Says how an image is turned and shifted.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Turn {
    /// Angle of rotation, anticlockwise, in degrees.
    degrees: f32,
    /// Shift down and to the right, in pixels.
    shift: [f32; 2],
}

/// Turns `image` (height × width × channels) about its middle and shifts it; black where nothing was, between
/// pixels their mean by distance.
fn turned(image: ArrayView3<u8>, turn: Turn) -> Array3<u8> {
    let (height, width, _) = image.dim();
    let (sin, cos) = turn.degrees.to_radians().sin_cos();
    let middle = [(height as f32 - 1.0) / 2.0, (width as f32 - 1.0) / 2.0];
    Array3::from_shape_fn(image.dim(), |(y, x, c)| {
        let (dy, dx) = (y as f32 - middle[0] - turn.shift[0], x as f32 - middle[1] - turn.shift[1]);
        let (y, x) = (middle[0] + dy * cos + dx * sin, middle[1] + dx * cos - dy * sin);
        let pixel = |y: i64, x: i64| {
            let inside = (0..height as i64).contains(&y) && (0..width as i64).contains(&x);
            if inside { f32::from(image[[y as usize, x as usize, c]]) } else { 0.0 }
        };
        bilinear(y, x, pixel).round() as u8
    })
}

/// Returns the turn within `degrees` and `pixels` at which the label's lead is least, of all of a grid, and
/// whether the image has another label there.
///
/// # Panics
/// If the image is not of the network's shape.
fn worst_turn(
    target: &dyn GradientSource,
    image: ArrayView3<u8>,
    label: u8,
    degrees: f32,
    pixels: f32,
) -> (Turn, bool) {
    let along = |n: usize, count: usize, most: f32| most * (2 * n) as f32 / (count - 1) as f32 - most;
    let turns = (0..ANGLES * SHIFTS * SHIFTS).map(|n| Turn {
        degrees: along(n / (SHIFTS * SHIFTS), ANGLES, degrees),
        shift: [along(n / SHIFTS % SHIFTS, SHIFTS, pixels), along(n % SHIFTS, SHIFTS, pixels)],
    });
    let turns: Vec<Turn> = turns.collect();
    let (height, width, channels) = image.dim();
    let (mut worst, mut most, mut broken) = (turns[turns.len() / 2], f64::NEG_INFINITY, false);
    for block in turns.chunks(64) {
        let mut images = Array4::zeros((block.len(), height, width, channels));
        images.outer_iter_mut().zip(block).for_each(|(mut to, &turn)| to.assign(&turned(image, turn)));
        let logits = target.real_logits(images.view());
        for (row, &turn) in logits.rows().into_iter().zip(block) {
            let margin = Loss::Margin.of(0, &row.to_vec(), label.into()).0;
            let breaks = arg_max(row) != usize::from(label);
            if (breaks, margin) > (broken, most) {
                (worst, most, broken) = (turn, margin, breaks);
            }
        }
    }
    (worst, broken)
}

/// Returns `image` with a patch of `side` pixels, anything in it, that gives it another label; none where
/// none was found. Tries random places, with steps along the gradient's sign from grey at each.
///
/// # Panics
/// If the image is not of the network's shape, or the patch larger than it.
fn patch(
    target: &dyn GradientSource,
    image: ArrayView3<u8>,
    label: u8,
    side: usize,
    mut random: Random,
) -> Option<Array3<u8>> {
    let (height, width, _) = image.dim();
    let top = target.input().top();
    for _ in 0..PLACES {
        let (y, x) = (
            random.within(0, (height - side) as i32) as usize,
            random.within(0, (width - side) as i32) as usize,
        );
        let place = s![0, y..y + side, x..x + side, ..];
        let mut at = image.insert_axis(Axis(0)).to_owned();
        at.slice_mut(place).fill(top / 2 + 1);
        for _ in 0..=STEPS {
            let found = target.loss_gradient(at.view(), &[label], Loss::Margin);
            if arg_max(found.logits.row(0)) != usize::from(label) {
                return Some(at.index_axis_move(Axis(0), 0));
            }
            let slopes = found.gradient.slice(place);
            at.slice_mut(place)
                .zip_mut_with(&slopes, |pixel, &slope| *pixel = shifted(*pixel, STEP * sign(slope), top));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WhiteBox;
    use dq_net::random::{self, Options};

    #[test]
    fn turns_by_nothing_and_by_quarters_are_exact() {
        let image = Array3::from_shape_fn((5, 5, 2), |(y, x, c)| (y * 50 + x * 7 + c) as u8);
        let turn = |degrees: f32, shift: [f32; 2]| turned(image.view(), Turn { degrees, shift });
        assert_eq!(turn(0.0, [0.0, 0.0]), image);
        // The turn is anticlockwise: what was on the right is now at the top.
        let quarter = turn(90.0, [0.0, 0.0]);
        assert_eq!(quarter[[0, 2, 0]], image[[2, 4, 0]]);
        let down = turn(0.0, [1.0, 0.0]);
        assert_eq!(down.slice(s![1.., .., ..]), image.slice(s![..4, .., ..]));
        assert!(down.slice(s![0, .., ..]).iter().all(|&v| v == 0));
    }

    #[test]
    fn what_is_said_to_break_the_network_does_and_a_patch_stays_in_its_place() {
        let (mut turns, mut patches) = (0, 0);
        for seed in 0..60 {
            let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            let white_box = WhiteBox::new(&network);
            let image = random::image(seed, network.input());
            let label_of = |image: ArrayView3<u8>| dq_net::layer::Logits::label(network.eval(image));
            let label = label_of(image.view());
            let (turn, broken) = worst_turn(&white_box, image.view(), label as u8, 30.0, 2.0);
            assert_eq!(label_of(turned(image.view(), turn).view()) != label, broken, "seed {seed}");
            turns += usize::from(broken);
            let side = image.dim().0.min(image.dim().1).min(3);
            let random = Random::keyed(1, "patch", 0, 0);
            if let Some(found) = patch(&white_box, image.view(), label as u8, side, random) {
                assert_ne!(label_of(found.view()), label, "seed {seed}");
                let moved = image.indexed_iter().filter(|(at, v)| found[*at] != **v);
                let (rows, columns): (Vec<usize>, Vec<usize>) = moved.map(|((y, x, _), _)| (y, x)).unzip();
                let spread = |places: Vec<usize>| places.iter().max().unwrap() - places.iter().min().unwrap();
                assert!(spread(rows) < side && spread(columns) < side, "seed {seed}");
                patches += 1;
            }
        }
        assert!(turns > 10 && patches > 10, "{turns} {patches}");
    }
}
