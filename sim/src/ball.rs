//! Defines balls around an image, on the lattice of the input's levels: where an adversary may lie. Every
//! distance is in levels: in units of a uint8 pixel where the input has those.
//!
//! An attack's row names its norm. The driver brings what it proposes to a lattice point of the ball,
//! and refuses a suite of two norms.

use ndarray::{Array3, Array4, ArrayView3, ArrayView4, ArrayViewMut3};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Measures how far two images are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Norm {
    /// The largest difference between two elements.
    Linf,
    /// The Euclidean distance over all elements. A radius of 128 is about 0.5 where pixels are 0…1.
    L2,
}

impl Norm {
    /// Returns its name in reports.
    pub fn name(self) -> &'static str {
        match self {
            Norm::Linf => "linf",
            Norm::L2 => "l2",
        }
    }

    /// Returns whether `image` lies within `eps` of `original`.
    pub fn holds(self, image: ArrayView3<u8>, original: ArrayView3<u8>, eps: u8) -> bool {
        let apart = image.iter().zip(original).map(|(a, b)| u64::from(a.abs_diff(*b)));
        match self {
            Norm::Linf => apart.max().unwrap_or(0) <= eps.into(),
            Norm::L2 => apart.map(|d| d * d).sum::<u64>() <= u64::from(eps) * u64::from(eps),
        }
    }

    /// Returns the length of a step.
    pub(crate) fn length<'a>(self, step: impl IntoIterator<Item = &'a f32>) -> f32 {
        let step = step.into_iter();
        match self {
            Norm::Linf => step.fold(0.0, |most, v| most.max(v.abs())),
            Norm::L2 => step.map(|v| f64::from(*v) * f64::from(*v)).sum::<f64>().sqrt() as f32,
        }
    }

    /// Writes to `to` the lattice point of the ball next to the real point `at`, which lies within the
    /// levels.
    pub(crate) fn nearest(
        self,
        at: &Array3<f32>,
        original: ArrayView3<u8>,
        eps: u8,
        mut to: ArrayViewMut3<u8>,
    ) {
        to.zip_mut_with(at, |to, from| *to = from.round() as u8);
        match self {
            Norm::Linf => clip_linf(to, original, eps),
            Norm::L2 => shorten(to, at, original, eps),
        }
    }
}

/// Brings `images` into the ball and into the levels 0 to `top`, among which the originals' are.
pub fn clip(norm: Norm, images: &mut Array4<u8>, originals: ArrayView4<u8>, eps: u8, top: u8) {
    if top < u8::MAX {
        images.mapv_inplace(|level| level.min(top));
    }
    for (mut image, original) in images.outer_iter_mut().zip(originals.outer_iter()) {
        match norm {
            Norm::Linf => clip_linf(image, original, eps),
            Norm::L2 => {
                let mut at = image.mapv(f32::from);
                project(&mut at, original, eps.into(), top);
                norm.nearest(&at, original, eps, image.view_mut());
            }
        }
    }
}

/// Brings a real point into the Euclidean ball and into the levels 0 to `top`. The result is finite whatever
/// `point` is: an element that is not a number counts as the original's.
pub(crate) fn project(point: &mut Array3<f32>, original: ArrayView3<u8>, eps: f32, top: u8) {
    point.zip_mut_with(&original, |to, &pixel| {
        *to -= f32::from(pixel);
        *to = if to.is_nan() { 0.0 } else { *to };
    });
    let length = Norm::L2.length(&*point);
    let share = if length.is_infinite() {
        *point = scaled(point.view()).0;
        eps / Norm::L2.length(&*point)
    } else {
        (eps / length).min(1.0)
    };
    let top = f32::from(top);
    point.zip_mut_with(&original, |to, &pixel| *to = (*to * share + f32::from(pixel)).clamp(0.0, top));
}

/// Divides `direction` by the power of two at or below its largest element, which it returns too. That is
/// exact, so that lengths and quotients of elements stay what they are, and neither their squares nor their
/// sum leave the range of f32. Elements that are not numbers become 0; where some are infinite, they are ±1
/// and all others 0.
pub(crate) fn scaled(direction: ArrayView3<f32>) -> (Array3<f32>, f64) {
    let largest = direction.iter().fold(0f32, |most, v| most.max(v.abs()));
    if largest.is_infinite() {
        let infinite = |v: f32| if v.is_infinite() { v.signum() } else { 0.0 };
        return (direction.mapv(infinite), f64::INFINITY);
    }
    // The bits of the exponent alone are the power of two.
    let power = match largest {
        0.0 => 1.0,
        _ => f64::from_bits(f64::from(largest).to_bits() & (0x7ff << 52)),
    };
    let divided = |v: f32| if v.is_nan() { 0.0 } else { (f64::from(v) / power) as f32 };
    (direction.mapv(divided), power)
}

fn clip_linf(mut image: ArrayViewMut3<u8>, original: ArrayView3<u8>, eps: u8) {
    image.zip_mut_with(&original, |to, &from| {
        *to = (*to).clamp(from.saturating_sub(eps), from.saturating_add(eps));
    });
}

/// Brings `image`, the rounded real point `place`, into the Euclidean ball: elements that rounding moved
/// outward go back by one, those first that it moved most; where that is not enough, the farthest do.
fn shorten(mut image: ArrayViewMut3<u8>, place: &Array3<f32>, original: ArrayView3<u8>, eps: u8) {
    let most = i64::from(eps) * i64::from(eps);
    let apart = |to: u8, from: u8| i64::from(to) - i64::from(from);
    let mut sum: i64 = image.iter().zip(original).map(|(&to, &from)| apart(to, from).pow(2)).sum();
    if sum <= most {
        return;
    }
    let outward = image.indexed_iter().enumerate().filter_map(|(n, (at, &to))| {
        let from = f32::from(original[at]);
        let beyond = (f32::from(to) - from).abs() - (place[at] - from).abs();
        // The bits of positive floats are ordered as the floats are; of equal ones the first goes first.
        (beyond > 0.0 && to != original[at]).then(|| (beyond.to_bits(), Reverse(n), at))
    });
    let mut outward: BinaryHeap<_> = outward.collect();
    while let Some((_, _, at)) = outward.pop().filter(|_| sum > most) {
        sum -= inward(&mut image[at], original[at]);
    }
    if sum > most {
        shorten_farthest(image, original, sum, most);
    }
}

/// Moves the farthest elements of `image` towards `original` by one, again and again, those with the largest
/// index first, until the sum of the squared distances, `sum`, is at most `most`. Whole levels of distance
/// are counted, not walked.
fn shorten_farthest(mut image: ArrayViewMut3<u8>, original: ArrayView3<u8>, mut sum: i64, most: i64) {
    let mut counts = [0i64; 256];
    image.iter().zip(original).for_each(|(to, from)| counts[usize::from(to.abs_diff(*from))] += 1);
    // All elements beyond `level` are brought back to it; the counts say how many there are.
    let mut level = counts.iter().rposition(|&count| count > 0).expect("256 counts");
    let mut there = counts[level];
    let gain = |level: usize| 2 * level as i64 - 1;
    while sum - there * gain(level) > most {
        sum -= there * gain(level);
        level -= 1;
        there += counts[level];
    }
    let mut farther = (sum - most + gain(level) - 1) / gain(level);
    let pairs: Vec<(&mut u8, &u8)> = image.iter_mut().zip(original.iter()).collect();
    for (to, &from) in pairs.into_iter().rev() {
        if usize::from(to.abs_diff(from)) >= level {
            let reach = level as u8 - u8::from(farther > 0);
            farther -= i64::from(farther > 0);
            *to = if *to > from { from + reach } else { from - reach };
        }
    }
}

/// Moves a pixel by one towards what it was, and returns how much smaller its squared distance is then.
fn inward(pixel: &mut u8, original: u8) -> i64 {
    let by = i64::from(*pixel) - i64::from(original);
    *pixel = (i64::from(*pixel) - by.signum()) as u8;
    2 * by.abs() - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn clipping_holds_the_ball_and_the_byte() {
        let originals = Array4::from_shape_vec((1, 1, 4, 1), vec![0, 3, 250, 128]).unwrap();
        let mut images = Array4::from_shape_vec((1, 1, 4, 1), vec![255, 0, 255, 100]).unwrap();
        clip(Norm::Linf, &mut images, originals.view(), 8, 255);
        assert_eq!(images.into_raw_vec_and_offset().0, [8, 0, 255, 120]);
    }

    #[test]
    fn clipping_holds_the_levels() {
        let originals = Array4::from_shape_vec((1, 1, 4, 1), vec![0, 3, 2, 1]).unwrap();
        for norm in [Norm::Linf, Norm::L2] {
            let mut images = Array4::from_shape_vec((1, 1, 4, 1), vec![255, 200, 9, 3]).unwrap();
            clip(norm, &mut images, originals.view(), 100, 3);
            assert_eq!(images.into_raw_vec_and_offset().0, [3; 4]);
        }
    }

    /// No clipped image lies outside, few far inside, and what is inside stays as it is.
    #[test]
    fn the_euclidean_ball_is_used_up() {
        for (seed, eps) in [1u8, 2, 7, 40, 128, 255].into_iter().enumerate() {
            let mut random = Random::keyed(seed as u64, "ball", eps, 0);
            let originals = Array4::from_shape_simple_fn((3, 9, 8, 3), || random.within(0, 255) as u8);
            let mut images = Array4::from_shape_simple_fn((3, 9, 8, 3), || random.within(0, 255) as u8);
            clip(Norm::L2, &mut images, originals.view(), eps, 255);
            let clipped = images.clone();
            clip(Norm::L2, &mut images, originals.view(), eps, 255);
            assert_eq!(images, clipped);
            for (image, original) in images.outer_iter().zip(originals.outer_iter()) {
                assert!(Norm::L2.holds(image, original, eps), "outside {eps}");
                // A small radius is spread over so many elements that most round to 0.
                let length = Norm::L2.length(&(image.mapv(f32::from) - original.mapv(f32::from)));
                assert!(eps < 40 || length > f32::from(eps) * 0.9, "{length} of {eps}");
                let real = image.mapv(f32::from);
                let mut near = Array3::zeros(real.raw_dim());
                Norm::L2.nearest(&real, original, eps, near.view_mut());
                assert_eq!(near, image);
            }
        }
    }

    /// Shortens one element after the other, as the definition says.
    fn shorten_slowly(image: &mut Array3<u8>, original: ArrayView3<u8>, eps: u8) {
        while !Norm::L2.holds(image.view(), original, eps) {
            let apart = |(at, to): &((usize, usize, usize), &u8)| to.abs_diff(original[*at]);
            let at = image.indexed_iter().max_by_key(apart).unwrap().0;
            inward(&mut image[at], original[at]);
        }
    }

    #[test]
    fn the_farthest_elements_go_back_level_by_level_as_one_by_one() {
        for seed in 0..300 {
            let eps = [0, 1, 3, 20, 100, 255][seed % 6];
            let mut random = Random::keyed(seed as u64, "farthest", eps, 0);
            let spread = [1, 5, 255][seed / 6 % 3];
            let original = Array3::from_shape_simple_fn((4, 5, 2), || random.within(0, 255) as u8);
            let image = original.mapv(|v| crate::lattice::shifted(v, random.within(-spread, spread), 255));
            let (mut found, mut wanted) = (image.clone(), image.clone());
            // The real point is the image itself, so that rounding moved nothing.
            shorten(found.view_mut(), &image.mapv(f32::from), original.view(), eps);
            shorten_slowly(&mut wanted, original.view(), eps);
            assert_eq!(found, wanted, "seed {seed}");
        }
    }

    /// Of a large image every element must go back by 255: in single steps that would take hours.
    #[test]
    fn a_projection_ends_quickly_on_any_input() {
        let original = Array3::from_elem((224, 224, 3), 255u8);
        for real in [f32::NAN, 0.0, f32::INFINITY, -1e38] {
            let at = Array3::from_elem(original.raw_dim(), real);
            let mut image = original.clone();
            Norm::L2.nearest(&at, original.view(), 1, image.view_mut());
            assert!(Norm::L2.holds(image.view(), original.view(), 1));
        }
    }

    #[test]
    fn no_projected_point_is_not_a_number() {
        let original = Array3::from_shape_fn((3, 3, 1), |(y, x, _)| (y * 90 + x * 37) as u8);
        let values = [0.0, 1e-45, 1e-38, 1.0, 300.0, 1e20, 1e38, f32::INFINITY, f32::NAN];
        for (a, b) in values.iter().flat_map(|a| values.map(|b| (*a, b))) {
            for eps in [0u8, 1, 40, 255] {
                let mut point = Array3::from_shape_fn((3, 3, 1), |(y, x, _)| if y == x { a } else { -b });
                project(&mut point, original.view(), eps.into(), 255);
                assert!(point.iter().all(|v| (0.0..=255.0).contains(v)), "{a} {b}: {point}");
                let length = Norm::L2.length(&(&point - &original.mapv(f32::from)));
                assert!(length <= f32::from(eps) * 1.001, "{a} {b}: {length} of {eps}");
            }
        }
    }

    #[test]
    fn a_direction_is_scaled_exactly_and_keeps_its_way() {
        for largest in [1e-45f32, 3e-41, 1e-38, 1e-20, 0.7, 1.0, 250.0, 1e20, f32::MAX] {
            let direction = Array3::from_shape_vec((1, 1, 3), vec![largest, -largest / 2.0, 0.0]).unwrap();
            let (found, power) = scaled(direction.view());
            let back = found.mapv(|v| (f64::from(v) * power) as f32);
            assert_eq!(back, direction);
            assert!((1.0..2.0).contains(&found[[0, 0, 0]]), "{largest}: {found}");
        }
        let wild = Array3::from_shape_vec((1, 1, 4), vec![f32::NEG_INFINITY, 1e38, f32::NAN, 3.0]).unwrap();
        assert_eq!(scaled(wild.view()).0.into_raw_vec_and_offset().0, [-1.0, 0.0, 0.0, 0.0]);
        let numbers = wild.mapv(|v| if v.is_infinite() { 2.0 } else { v });
        assert_eq!(scaled(numbers.view()).0[[0, 0, 2]], 0.0);
        assert_eq!(scaled(Array3::zeros((1, 1, 2)).view()).0, Array3::<f32>::zeros((1, 1, 2)));
    }
}
