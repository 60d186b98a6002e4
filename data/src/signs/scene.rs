//! Draws what is behind a sign and before it: sky, leaves, walls, streets, clutter, the pole, and what hides
//! a part of the sign. The sign itself is drawn elsewhere.

use super::random::{Noise, Random};
use super::view::Pose;
use super::{Canvas, Rgb, SIDE};

/// Draws one of five kinds of surroundings, with clutter.
pub(super) fn background(random: &mut Random) -> Canvas {
    let kinds = [landscape, foliage, wall, street, blur];
    let mut canvas = kinds[random.below(kinds.len())](random);
    for _ in 0..random.below(5) {
        clutter(&mut canvas, random);
    }
    canvas
}

/// Draws the pole that most signs stand on: a grey line from the sign's centre down.
pub(super) fn pole(canvas: &mut Canvas, pose: &Pose, random: &mut Random) {
    if !random.chance(0.7) {
        return;
    }
    let half = random.between(0.5, 1.3);
    let tone = random.between(60.0, 170.0);
    let lean = random.bell() * 0.12;
    paint(canvas, |x, y| {
        let off = x - pose.centre.0 - lean * (y - pose.centre.1);
        // The pole is round and lit from the left.
        (y > pose.centre.1 && off.abs() < half).then(|| [tone * (1.0 - 0.3 * off / half); 3])
    });
}

/// Draws something between the camera and the sign that hides up to about a third of it.
pub(super) fn occlude(canvas: &mut Canvas, pose: &Pose, random: &mut Random) {
    let place_near = |random: &mut Random, reach: f64| {
        let (dx, dy) = (random.between(-reach, reach), random.between(-reach, reach));
        (pose.centre.0 + dx * pose.radius, pose.centre.1 + dy * pose.radius)
    };
    match random.below(4) {
        // Leaves hide it.
        0 => {
            let noise = Noise::new(random);
            let leaf = leaf_colour(random);
            for _ in 0..2 + random.below(4) {
                let (cx, cy) = place_near(random, 1.0);
                let (rx, ry) =
                    (pose.radius * random.between(0.12, 0.35), pose.radius * random.between(0.1, 0.25));
                paint(canvas, |x, y| {
                    let (dx, dy) = ((x - cx) / rx, (y - cy) / ry);
                    (dx * dx + dy * dy < 1.0).then(|| leaf.map(|light| light * (0.5 + noise.at(x, y))))
                });
            }
        }
        // A branch or a cable crosses the sign.
        1 => {
            let (cx, cy) = place_near(random, 0.5);
            let (a, b) = direction(random);
            let half = random.between(0.4, 1.1);
            let tone = random.between(15.0, 90.0);
            paint(canvas, |x, y| {
                ((a * (x - cx) + b * (y - cy)).abs() < half).then_some([tone * 1.1, tone, tone * 0.8])
            });
        }
        // A sticker or a splash of paint lies on it.
        2 => {
            let (cx, cy) = place_near(random, 0.6);
            let (w, h) = (pose.radius * random.between(0.12, 0.32), pose.radius * random.between(0.12, 0.32));
            let colour = any_colour(random);
            paint(canvas, |x, y| ((x - cx).abs() < w && (y - cy).abs() < h).then_some(colour));
        }
        // Another thing's edge hides one side.
        _ => {
            let (a, b) = direction(random);
            let edge = pose.radius * random.between(0.45, 0.9);
            let colour = any_colour(random);
            let noise = Noise::new(random);
            paint(canvas, |x, y| {
                let beyond = a * (x - pose.centre.0) + b * (y - pose.centre.1) > edge;
                beyond.then(|| colour.map(|light| light * (0.7 + 0.5 * noise.at(x / 2.0, y / 2.0))))
            });
        }
    }
}

/// Draws sky over ground.
fn landscape(random: &mut Random) -> Canvas {
    let horizon = random.between(8.0, 34.0);
    let sky = [[90.0, 140.0, 215.0], [205.0, 210.0, 215.0], [150.0, 165.0, 185.0], [225.0, 190.0, 160.0]];
    let zenith = sky[random.below(sky.len())];
    let ground = [[70.0, 95.0, 45.0], [95.0, 95.0, 98.0], [165.0, 145.0, 105.0]][random.below(3)];
    let pale = random.between(0.0, 60.0);
    let (clouds, grit) = (Noise::new(random), Noise::new(random));
    render(|x, y| match y < horizon {
        true => {
            zenith.map(|light: f64| light + pale * (y / horizon) + 30.0 * (clouds.rough(x, y, 3.0) - 0.5))
        }
        false => ground.map(|light: f64| light * (0.6 + 0.8 * grit.rough(x, y, 1.0))),
    })
}

/// Draws leaves against the light.
fn foliage(random: &mut Random) -> Canvas {
    let leaf = leaf_colour(random);
    let (shape, tone) = (Noise::new(random), Noise::new(random));
    let gaps = random.between(0.5, 0.8);
    let light = random.between(150.0, 230.0);
    render(|x, y| match shape.rough(x, y, 1.0) > gaps {
        true => [light * 0.95, light, light],
        false => leaf.map(|channel| channel * (0.3 + 1.3 * tone.rough(x, y, 1.2))),
    })
}

/// Draws bricks or slabs with joints.
fn wall(random: &mut Random) -> Canvas {
    let brick = [[150.0, 80.0, 62.0], [175.0, 165.0, 145.0], [120.0, 118.0, 116.0]][random.below(3)];
    let (width, height) = (random.between(5.0, 12.0), random.between(3.0, 6.0));
    let joint = random.between(0.5, 1.5);
    let (tone, grit) = (Noise::new(random), Noise::new(random));
    render(|x, y| {
        let row = (y / height).floor();
        let shifted = x + width * 0.5 * (row - 2.0 * (row / 2.0).floor());
        let column = (shifted / width).floor();
        let rough = 0.85 + 0.3 * grit.at(x, y);
        match shifted - column * width > joint && y - row * height > joint * 0.8 {
            true => brick.map(|light: f64| light * (0.7 + 0.6 * tone.at(column * 3.3, row * 3.3)) * rough),
            false => [170.0 * rough, 168.0 * rough, 160.0 * rough],
        }
    })
}

/// Draws houses with windows over a road.
fn street(random: &mut Random) -> Canvas {
    let kerb = random.between(18.0, 30.0);
    let house = random.between(7.0, 16.0);
    let (window_w, window_h) = (random.between(3.0, 6.0), random.between(3.5, 7.0));
    let (tone, tint, grit) = (Noise::new(random), Noise::new(random), Noise::new(random));
    render(|x, y| {
        if y > kerb {
            return [95.0 * (0.7 + 0.6 * grit.at(x, y)); 3];
        }
        let number = (x / house).floor() * 5.7;
        let bright = 70.0 + 150.0 * tone.at(number, 0.5);
        let warm = tint.at(number, 0.5) * 0.5;
        let (wx, wy) = (x / window_w, y / window_h);
        let pane = wx - wx.floor() > 0.45 && wy - wy.floor() > 0.4;
        let bright = if pane { bright * 0.35 + 20.0 } else { bright * (0.9 + 0.2 * grit.at(x, y)) };
        [bright * (0.9 + warm * 0.3), bright * 0.93, bright * (1.05 - warm * 0.5)]
    })
}

/// Draws far things out of focus: one colour that runs into another.
fn blur(random: &mut Random) -> Canvas {
    let (from, to) = (any_colour(random), any_colour(random));
    let noise = Noise::new(random);
    let length = random.between(6.0, 20.0);
    render(|x, y| {
        let part = noise.at(x / length, y / length);
        std::array::from_fn(|channel| from[channel] + (to[channel] - from[channel]) * part)
    })
}

/// Draws a distracting object: a box, a disc, a ring, a triangle or a bar in any colour, a sign's colours
/// among them.
fn clutter(canvas: &mut Canvas, random: &mut Random) {
    let side = SIDE as f64;
    let (cx, cy) = (random.between(0.0, side), random.between(0.0, side));
    let (w, h) = (random.between(1.0, 9.0), random.between(1.0, 9.0));
    let colour = any_colour(random);
    let kind = random.below(5);
    let (a, b) = direction(random);
    paint(canvas, |x, y| {
        let (dx, dy) = (x - cx, y - cy);
        let round = dx * dx + dy * dy;
        let inside = match kind {
            0 => dx.abs() < w && dy.abs() < h,
            1 => round < w * w,
            2 => round < w * w && round > w * w * 0.5,
            3 => dy < h && dy > -h && dx.abs() * 2.0 * h < w * (dy + h),
            _ => (a * dx + b * dy).abs() < h * 0.15,
        };
        inside.then_some(colour)
    });
}

fn leaf_colour(random: &mut Random) -> Rgb {
    let (warm, light) = (random.between(0.0, 1.0), random.between(0.6, 1.2));
    [(55.0 + 90.0 * warm) * light, (95.0 + 10.0 * warm) * light, 40.0 * light]
}

/// Returns any colour; about every third one is near a sign's red, blue, yellow or white.
fn any_colour(random: &mut Random) -> Rgb {
    const OF_SIGNS: [Rgb; 4] =
        [[180.0, 30.0, 40.0], [25.0, 80.0, 160.0], [240.0, 190.0, 30.0], [235.0, 235.0, 230.0]];
    if random.chance(0.35) {
        let light = random.between(0.6, 1.1);
        return OF_SIGNS[random.below(OF_SIGNS.len())].map(|channel| channel * light);
    }
    let grey = random.between(20.0, 230.0);
    let strength = random.between(0.0, 60.0);
    std::array::from_fn(|_| (grey + random.between(-strength, strength)).clamp(0.0, 255.0))
}

/// Returns a direction, almost evenly distributed: a point of the diamond |a| + |b| = 1, scaled to length 1.
fn direction(random: &mut Random) -> (f64, f64) {
    let a = random.between(-1.0, 1.0);
    let b = if random.chance(0.5) { 1.0 - a.abs() } else { a.abs() - 1.0 };
    let length = (a * a + b * b).sqrt();
    (a / length, b / length)
}

/// Renders a canvas from the colour at each pixel's centre.
fn render(colour: impl Fn(f64, f64) -> Rgb) -> Canvas {
    std::array::from_fn(|index| colour((index % SIDE) as f64 + 0.5, (index / SIDE) as f64 + 0.5))
}

/// Paints the pixels for which there is a colour, blending along edges by four samples.
fn paint(canvas: &mut Canvas, colour: impl Fn(f64, f64) -> Option<Rgb>) {
    for (index, pixel) in canvas.iter_mut().enumerate() {
        let (x, y) = ((index % SIDE) as f64, (index / SIDE) as f64);
        let mut sum = [0.0; 3];
        for (dx, dy) in [(0.25, 0.25), (0.75, 0.25), (0.25, 0.75), (0.75, 0.75)] {
            let seen = colour(x + dx, y + dy).unwrap_or(*pixel);
            sum = std::array::from_fn(|channel| sum[channel] + seen[channel]);
        }
        *pixel = sum.map(|light| light / 4.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn backgrounds_vary() {
        let mean = |canvas: &Canvas| canvas.iter().flatten().sum::<f64>() / (3 * SIDE * SIDE) as f64;
        let means: Vec<f64> =
            (0..200).map(|seed| mean(&background(&mut Random::new([seed, 0, 0, 0])))).collect();
        let low = means.iter().cloned().fold(f64::MAX, f64::min);
        let high = means.iter().cloned().fold(f64::MIN, f64::max);
        assert!(low < 80.0 && high > 170.0, "means from {low} to {high}");
    }

    #[test]
    fn an_occlusion_leaves_most_of_the_sign() {
        let mut hidden = Vec::new();
        for seed in 0..400 {
            let mut random = Random::new([seed, 1, 0, 0]);
            let pose = Pose::random(&mut random);
            let mut canvas = [[-1.0; 3]; SIDE * SIDE];
            occlude(&mut canvas, &pose, &mut random);
            let on_sign = |index: usize| {
                let (u, v) = pose.face_point((index % SIDE) as f64 + 0.5, (index / SIDE) as f64 + 0.5);
                u * u + v * v < 1.0
            };
            let sign: Vec<usize> = (0..SIDE * SIDE).filter(|&index| on_sign(index)).collect();
            let covered = sign.iter().filter(|&&index| canvas[index] != [-1.0; 3]).count();
            hidden.push(covered as f64 / sign.len() as f64);
        }
        assert!(hidden.iter().all(|&part| part < 0.5), "{:?}", hidden.iter().cloned().fold(0.0, f64::max));
        assert!(hidden.iter().filter(|&&part| part > 0.03).count() > 300);
    }
}
