//! Runs the Square attack in the Euclidean ball (Andriushchenko et al., ECCV 2020, algorithm 3). It moves the
//! share of the radius that one window's noise has to another window, in the shape of a bump of either sign,
//! and keeps what raises the margin.

use super::search::{Search, drop_broken};
use super::square::{settings, side};
use super::task::{Attack, Candidates, Task};
use crate::ball::Norm;
use crate::random::Random;
use ndarray::{Array2, Array3, ArrayView3, ArrayViewMut3, Axis, Zip, s};
use rayon::prelude::*;

/// Queries per image, as many as in AutoAttack.
const QUERIES: usize = 5_000;

/// Row of this attack in `attack::ALL`.
pub(super) const ATTACK: Attack = Attack {
    about: "5,000 queries of random squares in the Euclidean ball, scores alone",
    norm: Norm::L2,
    gradient: false,
    steps: |_| 0,
    run,
    settings: |_, _| settings(QUERIES, "five by five bumps, scaled to eps"),
};

/// Holds the search on one image.
struct Square {
    /// Noise of the best image so far, not yet rounded.
    noise: Array3<f32>,
    margin: f64,
    random: Random,
}

fn run(task: &Task) -> Candidates {
    let mut search = Search::new(task);
    let shape = task.target.input_shape().dim();
    let mut squares: Vec<Square> = (0..task.labels.len())
        .map(|i| Square { noise: Array3::zeros(shape), margin: f64::NEG_INFINITY, random: task.random(i) })
        .collect();
    for query in 0..QUERIES {
        if squares.is_empty() {
            break;
        }
        let mut proposals = search.originals();
        let noises: Vec<Array3<f32>> = proposals
            .axis_iter_mut(Axis(0))
            .into_par_iter()
            .zip(&search.surviving)
            .zip(&mut squares)
            .map(|((proposal, &i), square)| {
                let noise = if query == 0 {
                    grid(shape, &mut square.random)
                } else {
                    moved(&square.noise, task.eps.into(), side(query, QUERIES, shape), &mut square.random)
                };
                place(noise, task.images.index_axis(Axis(0), i), (task.eps, task.top), proposal)
            })
            .collect();
        let (margins, broken) = search.margins(&proposals);
        for (square, (margin, noise)) in squares.iter_mut().zip(margins.into_iter().zip(noises)) {
            if margin > square.margin {
                (square.margin, square.noise) = (margin, noise);
            }
        }
        drop_broken(&mut squares, &broken);
    }
    search.finish()
}

/// Writes `original` with `noise` of length `eps` to `proposal`, on the lattice. Returns the part of the
/// noise that lies within the pixels' box.
fn place(
    mut noise: Array3<f32>,
    original: ArrayView3<u8>,
    (eps, top): (u8, u8),
    proposal: ArrayViewMut3<u8>,
) -> Array3<f32> {
    let share = f32::from(eps) / Norm::L2.length(&noise).max(1e-12);
    let mut place = noise.clone();
    Zip::from(&mut place).and(&original).for_each(|to, &pixel| {
        *to = (f32::from(pixel) + *to * share).clamp(0.0, f32::from(top));
    });
    Zip::from(&mut noise).and(&place).and(&original).for_each(|to, &at, &from| *to = at - f32::from(from));
    Norm::L2.nearest(&place, original, eps, proposal);
    noise
}

/// Returns noise of bumps on a grid of five by five.
fn grid(shape: (usize, usize, usize), random: &mut Random) -> Array3<f32> {
    let (height, width, channels) = shape;
    let mut noise = Array3::zeros(shape);
    let size = (height.min(width) / 5).max(1);
    let (rows, columns) = ((height / size).min(5), (width / size).min(5));
    for row in 0..rows {
        for column in 0..columns {
            let (top, left) =
                ((height - rows * size) / 2 + row * size, (width - columns * size) / 2 + column * size);
            let bump = bump(size, random);
            for channel in 0..channels {
                let way = sign(random);
                let window = s![top..top + size, left..left + size, channel];
                Zip::from(noise.slice_mut(window)).and(&bump).for_each(|to, &from| *to += way * from);
            }
        }
    }
    noise
}

/// Returns `noise` with the radius of two windows of `side` in one of them, and the part of `eps` that is not
/// used up.
fn moved(noise: &Array3<f32>, eps: f32, side: usize, random: &mut Random) -> Array3<f32> {
    let (height, width, channels) = noise.dim();
    // The side is odd and at least three, as far as the image allows.
    let side = (side.max(3) | 1).min(height).min(width);
    let mut place = || {
        (random.within(0, (height - side) as i32) as usize, random.within(0, (width - side) as i32) as usize)
    };
    let ((to_y, to_x), (from_y, from_x)) = (place(), place());
    let unused = (eps * eps - Norm::L2.length(noise).powi(2)).max(0.0) / channels as f32;
    let mut next = noise.clone();
    next.slice_mut(s![from_y..from_y + side, from_x..from_x + side, ..]).fill(0.0);
    let bump = bump(side, random);
    for channel in 0..channels {
        let window = s![to_y..to_y + side, to_x..to_x + side, channel];
        let before = noise.slice(window);
        let length = Norm::L2.length(before).max(1e-12);
        // The budget is the share of both windows; of the other one only what the first does not cover
        // counts.
        let mut other = noise.slice(s![from_y..from_y + side, from_x..from_x + side, channel]).to_owned();
        for ((y, x), value) in other.indexed_iter_mut() {
            let (y, x) = (from_y + y, from_x + x);
            if (to_y..to_y + side).contains(&y) && (to_x..to_x + side).contains(&x) {
                *value = 0.0;
            }
        }
        let budget = (length.powi(2) + Norm::L2.length(&other).powi(2) + unused).sqrt();
        let way = sign(random);
        let mut new = Array2::zeros((side, side));
        Zip::from(&mut new).and(&bump).and(before).for_each(|to, &b, &v| *to = way * b + v / length);
        let scale = budget / Norm::L2.length(&new).max(1e-12);
        next.slice_mut(window).assign(&(new * scale));
    }
    next
}

fn sign(random: &mut Random) -> f32 {
    if random.word() >> 63 == 0 { 1.0 } else { -1.0 }
}

/// Returns a bump in one half of a square and a dent in the other, of length 1, upright or lying.
fn bump(side: usize, random: &mut Random) -> Array2<f32> {
    let mut whole = Array2::zeros((side, side));
    let half = side / 2;
    whole.slice_mut(s![..half, ..]).assign(&hill(half, side));
    whole.slice_mut(s![half.., ..]).assign(&(hill(side - half, side) * -1.0));
    let length = Norm::L2.length(&whole).max(1e-12);
    whole /= length;
    if random.word() >> 63 == 0 { whole } else { whole.reversed_axes() }
}

/// Returns nested rectangles around the middle, each adding 1/n², scaled to length 1.
fn hill(rows: usize, columns: usize) -> Array2<f32> {
    let mut values = Array2::zeros((rows, columns));
    let (middle_row, middle_column) = (rows / 2, columns / 2);
    for n in 0..(middle_row.max(middle_column) + 1) {
        let rows = middle_row.saturating_sub(n)..(middle_row + n + 1).min(rows);
        let columns = middle_column.saturating_sub(n)..(middle_column + n + 1).min(columns);
        values.slice_mut(s![rows, columns]).mapv_inplace(|v| v + 1.0 / ((n + 1) * (n + 1)) as f32);
    }
    let length = Norm::L2.length(&values).max(1e-12);
    values / length
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Noise moves between windows without leaving the ball; bumps have length 1 and both signs.
    #[test]
    fn moving_noise_keeps_the_radius() {
        let mut random = Random::keyed(3, "square-l2", 0, 0);
        for side in 3..9 {
            let bump = bump(side, &mut random);
            assert!((bump.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-4);
            assert!(bump.iter().any(|v| *v > 0.0) && bump.iter().any(|v| *v < 0.0));
        }
        let mut noise = grid((12, 11, 3), &mut random);
        noise *= 40.0 / Norm::L2.length(&noise);
        for n in 0..200 {
            noise = moved(&noise, 40.0, 1 + n % 13, &mut random);
            let length = Norm::L2.length(&noise);
            assert!(length < 40.0 * 1.001, "{length} after {n}");
        }
    }
}
