//! Models how a sign stands before the camera (pose, wear, shade) and what the camera makes of it (blur,
//! light, noise). Faces and backgrounds are drawn elsewhere.

use super::faces::Face;
use super::random::Random;
use super::{Canvas, Rgb, SIDE};

/// Says where the sign is and how it is turned: an affine map from image pixels to the square of a face.
pub(super) struct Pose {
    /// Centre of the sign, in pixels from the top left corner.
    pub centre: (f64, f64),
    /// Half the height of the sign before it is turned, in pixels.
    pub radius: f64,
    to_face: [[f64; 2]; 2],
}

impl Pose {
    /// Draws the pose of a sign of 13 to 28 pixels, mostly inside the image, turned by up to 20 degrees and
    /// seen from the side.
    pub fn random(random: &mut Random) -> Self {
        let radius = random.between(6.5, 14.0);
        let play = (SIDE as f64 / 2.0 + 1.5 - radius).max(1.5);
        let middle = SIDE as f64 / 2.0;
        let centre = (middle + play * random.between(-1.0, 1.0), middle + play * random.between(-1.0, 1.0));
        // With t = tan(angle / 2), cosine and sine are rational.
        let t = random.bell() * 0.18;
        let (cos, sin) = ((1.0 - t * t) / (1.0 + t * t), 2.0 * t / (1.0 + t * t));
        let narrow = 1.0 / random.between(0.72, 1.0);
        let shear = random.bell() * 0.3;
        // Undo the turn, then the shear and the foreshortening, then the size.
        let to_face = [
            [narrow * (cos + shear * sin) / radius, narrow * (sin - shear * cos) / radius],
            [-sin / radius, cos / radius],
        ];
        Pose { centre, radius, to_face }
    }

    /// Returns the point of the face that is seen at a place in the image.
    pub fn face_point(&self, x: f64, y: f64) -> (f64, f64) {
        let (dx, dy) = (x - self.centre.0, y - self.centre.1);
        let [[a, b], [c, d]] = self.to_face;
        (a * dx + b * dy, c * dx + d * dy)
    }
}

/// Puts the sign into the image, faded by age and lit from one side; each pixel is the mean of nine samples.
pub(super) fn mount(canvas: &mut Canvas, face: &Face, pose: &Pose, random: &mut Random) {
    const SAMPLES: usize = 3;
    let fade = random.between(0.0, 1.0) * random.between(0.0, 0.5);
    let grey = random.between(120.0, 200.0);
    let light = random.between(0.55, 1.15);
    let (slope_x, slope_y) = (random.bell() * 0.3, random.bell() * 0.3);
    let reach = pose.radius * 1.7 + 1.0;
    for (index, pixel) in canvas.iter_mut().enumerate() {
        let (x, y) = ((index % SIDE) as f64, (index / SIDE) as f64);
        if (x - pose.centre.0).abs() > reach || (y - pose.centre.1).abs() > reach {
            continue;
        }
        let mut sum = [0.0; 3];
        let mut cover = 0.0;
        for sample in 0..SAMPLES * SAMPLES {
            let offset = |step: usize| (step as f64 + 0.5) / SAMPLES as f64;
            let (u, v) = pose.face_point(x + offset(sample % SAMPLES), y + offset(sample / SAMPLES));
            let (colour, part) = face.at(u, v);
            sum = std::array::from_fn(|channel| sum[channel] + colour[channel] * part);
            cover += part;
        }
        let (u, v) = pose.face_point(x + 0.5, y + 0.5);
        let shade = light * (1.0 + slope_x * u + slope_y * v);
        let samples = (SAMPLES * SAMPLES) as f64;
        *pixel = std::array::from_fn(|channel| {
            let worn = (sum[channel] * (1.0 - fade) + grey * cover * fade) * shade;
            (worn + pixel[channel] * (samples - cover)) / samples
        });
    }
}

/// Adds shadow, blur, exposure, colour cast and sensor noise, in the order in which light meets them.
pub(super) fn expose(canvas: &mut Canvas, random: &mut Random) {
    if random.chance(0.25) {
        cast_shadow(canvas, random);
    }
    for _ in 0..random.below(3) {
        soften(canvas, random.between(0.1, 0.4));
    }
    if random.chance(0.12) {
        smear(canvas, random);
    }
    let gain = random.between(0.4, 1.2);
    let haze = random.between(0.0, 1.0) * random.between(0.0, 90.0);
    let cast: Rgb = std::array::from_fn(|_| 1.0 + random.bell() * 0.22);
    let noise = random.between(0.0, 1.0) * random.between(4.0, 44.0);
    for pixel in canvas.iter_mut() {
        let grain = random.bell() * noise;
        *pixel = std::array::from_fn(|channel| {
            let lit = pixel[channel] * gain * cast[channel];
            lit + haze * (1.0 - lit / 255.0) + grain * 0.5 + random.bell() * noise * 0.7
        });
    }
}

/// Darkens one side of a random straight edge.
fn cast_shadow(canvas: &mut Canvas, random: &mut Random) {
    let (a, b) = (random.bell(), random.bell());
    let edge = random.between(8.0, 24.0) * (a + b);
    let depth = random.between(0.35, 0.8);
    for (index, pixel) in canvas.iter_mut().enumerate() {
        if a * (index % SIDE) as f64 + b * (index / SIDE) as f64 > edge {
            *pixel = pixel.map(|light| light * depth);
        }
    }
}

/// Blends each pixel with its four neighbours; `weight` is the share of all neighbours together.
fn soften(canvas: &mut Canvas, weight: f64) {
    let sharp = *canvas;
    for (index, pixel) in canvas.iter_mut().enumerate() {
        let (row, column) = (index / SIDE, index % SIDE);
        let around = [
            sharp[row.saturating_sub(1) * SIDE + column],
            sharp[(row + 1).min(SIDE - 1) * SIDE + column],
            sharp[row * SIDE + column.saturating_sub(1)],
            sharp[row * SIDE + (column + 1).min(SIDE - 1)],
        ];
        *pixel = std::array::from_fn(|channel| {
            let neighbours: f64 = around.iter().map(|near| near[channel]).sum();
            pixel[channel] * (1.0 - weight) + neighbours * (weight / 4.0)
        });
    }
}

/// Adds motion blur: the mean of the image and of itself moved by one and two steps, along a row, a column or
/// a diagonal.
fn smear(canvas: &mut Canvas, random: &mut Random) {
    let (right, down) = [(1, 0), (0, 1), (1, 1)][random.below(3)];
    let still = *canvas;
    for (index, pixel) in canvas.iter_mut().enumerate() {
        let (row, column) = (index / SIDE, index % SIDE);
        let moved = |steps: usize| {
            still[(row + steps * down).min(SIDE - 1) * SIDE + (column + steps * right).min(SIDE - 1)]
        };
        let (near, far) = (moved(1), moved(2));
        *pixel = std::array::from_fn(|channel| (pixel[channel] + near[channel] + far[channel]) / 3.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_centre_is_seen_in_the_middle_and_the_rim_at_the_radius() {
        for seed in 0..50 {
            let pose = Pose::random(&mut Random::new([seed, 0, 0, 0]));
            assert_eq!(pose.face_point(pose.centre.0, pose.centre.1), (0.0, 0.0));
            let (u, v) = pose.face_point(pose.centre.0, pose.centre.1 + pose.radius);
            assert!(u.abs() < 0.9 && (0.9..=1.0).contains(&v), "({u}, {v})");
        }
    }

    #[test]
    fn blur_keeps_the_light_of_a_plain_image() {
        let mut random = Random::new([1, 2, 3, 4]);
        let plain = [[40.0, 80.0, 120.0]; SIDE * SIDE];
        let mut canvas = plain;
        soften(&mut canvas, 0.5);
        smear(&mut canvas, &mut random);
        let close = |(a, b): (&Rgb, &Rgb)| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-9);
        assert!(canvas.iter().zip(&plain).all(close));
    }
}
