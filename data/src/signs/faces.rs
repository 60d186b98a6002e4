//! Draws the faces of the ten signs, once, from outlines, and keeps them as small anti-aliased pictures.
//!
//! A face fills the square from −1 to 1, x to the right and y down. Nothing here knows where or how it is
//! photographed.

use rayon::prelude::*;

use super::Rgb;

/// The classes, in label order.
pub(super) const NAMES: [&str; 10] = [
    "stop",
    "yield",
    "no entry",
    "speed limit 30",
    "speed limit 50",
    "speed limit 80",
    "priority road",
    "turn right",
    "ahead only",
    "danger",
];

/// Holds a painted face: a square picture, row-major.
pub(super) struct Face {
    texels: Vec<Texel>,
}

#[derive(Clone, Copy, Default)]
struct Texel {
    colour: Rgb,
    cover: f64,
}

impl Face {
    /// Returns the colour at a point of the square and how much of the point the sign covers, 0 outside.
    pub fn at(&self, x: f64, y: f64) -> (Rgb, f64) {
        let texel = |v: f64| ((v + 1.0) * (SIZE as f64 / 2.0)).floor();
        let (column, row) = (texel(x), texel(y));
        let inside = 0.0..SIZE as f64;
        if !inside.contains(&column) || !inside.contains(&row) {
            return ([0.0; 3], 0.0);
        }
        let texel = self.texels[row as usize * SIZE + column as usize];
        (texel.colour, texel.cover)
    }
}

/// Paints every face of every class; a class may have several looks.
pub(super) fn paint_all() -> Vec<Vec<Face>> {
    let classes: Vec<Vec<Drawing>> = vec![
        vec![stop()],
        vec![give_way(0.24), give_way(0.34)],
        vec![no_entry()],
        vec![speed_limit(&three(), WHITE), speed_limit(&three(), YELLOW)],
        vec![speed_limit(&five(), WHITE), speed_limit(&five(), YELLOW)],
        vec![speed_limit(&eight(), WHITE), speed_limit(&eight(), YELLOW)],
        vec![priority_road()],
        vec![mandatory(turn_right())],
        vec![mandatory(ahead())],
        vec![danger(exclamation()), danger(bend())],
    ];
    classes.par_iter().map(|drawings| drawings.par_iter().map(paint).collect()).collect()
}

/// Texels along a side of a face, and samples along a side of a texel.
const SIZE: usize = 96;
const SAMPLES: usize = 3;

const RED: Rgb = [188.0, 22.0, 34.0];
const BLUE: Rgb = [18.0, 76.0, 165.0];
const YELLOW: Rgb = [246.0, 190.0, 20.0];
const WHITE: Rgb = [240.0, 240.0, 236.0];
const BLACK: Rgb = [24.0, 24.0, 28.0];

type Point = (f64, f64);
/// Lists shapes from the bottom layer to the top.
type Drawing = Vec<(Shape, Rgb)>;

#[derive(Clone)]
enum Shape {
    Disc(f64),
    /// A convex outline, its points in either sense of rotation, grown by a margin with round corners.
    Polygon(Vec<Point>, f64),
    /// A line through points, with half its width.
    Stroke(Vec<Point>, f64),
}

impl Shape {
    fn covers(&self, at: Point) -> bool {
        match self {
            Shape::Disc(radius) => at.0 * at.0 + at.1 * at.1 <= radius * radius,
            Shape::Polygon(corners, margin) => {
                let edges = || corners.iter().zip(corners.iter().cycle().skip(1));
                let side = |(a, b): (&Point, &Point)| (b.0 - a.0) * (at.1 - a.1) - (b.1 - a.1) * (at.0 - a.0);
                edges().all(|edge| side(edge) >= 0.0)
                    || edges().all(|edge| side(edge) <= 0.0)
                    || edges().any(|(&a, &b)| near(at, a, b, *margin))
            }
            Shape::Stroke(points, half) => points.windows(2).any(|ends| near(at, ends[0], ends[1], *half)),
        }
    }
}

/// Returns whether a point is within `reach` of the segment from `a` to `b`.
fn near(at: Point, a: Point, b: Point, reach: f64) -> bool {
    let (dx, dy) = (b.0 - a.0, b.1 - a.1);
    let (px, py) = (at.0 - a.0, at.1 - a.1);
    let length = dx * dx + dy * dy;
    let along = if length > 0.0 { ((px * dx + py * dy) / length).clamp(0.0, 1.0) } else { 0.0 };
    let (ex, ey) = (px - along * dx, py - along * dy);
    ex * ex + ey * ey <= reach * reach
}

fn paint(drawing: &Drawing) -> Face {
    let step = 2.0 / (SIZE * SAMPLES) as f64;
    let place = |texel: usize, sample: usize| ((texel * SAMPLES + sample) as f64 + 0.5) * step - 1.0;
    let texels = (0..SIZE * SIZE)
        .map(|index| {
            let (row, column) = (index / SIZE, index % SIZE);
            let mut sum = [0.0; 3];
            let mut hits = 0.0;
            for sample in 0..SAMPLES * SAMPLES {
                let at = (place(column, sample % SAMPLES), place(row, sample / SAMPLES));
                if let Some((_, colour)) = drawing.iter().rev().find(|(shape, _)| shape.covers(at)) {
                    sum = std::array::from_fn(|channel| sum[channel] + colour[channel]);
                    hits += 1.0;
                }
            }
            match hits > 0.0 {
                true => {
                    Texel { colour: sum.map(|light| light / hits), cover: hits / (SAMPLES * SAMPLES) as f64 }
                }
                false => Texel::default(),
            }
        })
        .collect();
    Face { texels }
}

fn stop() -> Drawing {
    let octagon = |radius: f64| {
        let (long, short) = (0.923_879_532_511_286_7 * radius, 0.382_683_432_365_089_8 * radius);
        let corners = [(long, short), (short, long), (-short, long), (-long, short)];
        Shape::Polygon([corners, corners.map(|(x, y)| (-x, -y))].concat(), 0.0)
    };
    let letter = |middle: f64, points: Vec<Point>| {
        (Shape::Stroke(points.into_iter().map(|(x, y)| (x + middle, y)).collect(), 0.055), WHITE)
    };
    let s = [arc((0.0, -0.13), (0.11, 0.12), -2, -18), arc((0.0, 0.12), (0.115, 0.13), -6, 10)];
    let p = [
        vec![(-0.1, 0.25), (-0.1, -0.25), (0.0, -0.25)],
        arc((0.0, -0.11), (0.12, 0.14), -6, 6),
        vec![(-0.1, 0.03)],
    ];
    vec![
        (octagon(1.0), WHITE),
        (octagon(0.92), RED),
        letter(-0.53, s.concat()),
        letter(-0.18, vec![(-0.13, -0.25), (0.13, -0.25)]),
        letter(-0.18, vec![(0.0, -0.25), (0.0, 0.25)]),
        letter(0.18, arc((0.0, 0.0), (0.125, 0.25), 0, 24)),
        letter(0.55, p.concat()),
    ]
}

fn give_way(border: f64) -> Drawing {
    let corners = vec![(-0.86, -0.7), (0.86, -0.7), (0.0, 0.8)];
    vec![
        (Shape::Polygon(corners.clone(), 0.12), RED),
        (Shape::Polygon(shrink(&corners, (0.0, -0.2), 1.0 - 2.0 * border), 0.05), WHITE),
    ]
}

fn danger(mark: Vec<Shape>) -> Drawing {
    let corners = vec![(-0.86, 0.68), (0.86, 0.68), (0.0, -0.82)];
    let mut drawing = vec![
        (Shape::Polygon(corners.clone(), 0.12), RED),
        (Shape::Polygon(shrink(&corners, (0.0, 0.18), 0.66), 0.05), WHITE),
    ];
    drawing.extend(mark.into_iter().map(|shape| (shape, BLACK)));
    drawing
}

fn exclamation() -> Vec<Shape> {
    vec![Shape::Stroke(vec![(0.0, -0.3), (0.0, 0.15)], 0.085), Shape::Stroke(vec![(0.0, 0.42); 2], 0.095)]
}

fn bend() -> Vec<Shape> {
    vec![
        Shape::Stroke(
            [vec![(-0.14, 0.5), (-0.14, 0.24)], arc((0.04, 0.24), (0.18, 0.2), 12, 18), vec![(0.08, 0.02)]]
                .concat(),
            0.07,
        ),
        Shape::Polygon(vec![(0.06, -0.16), (0.06, 0.22), (0.28, 0.03)], 0.0),
    ]
}

fn no_entry() -> Drawing {
    let bar = vec![(-0.72, -0.17), (0.72, -0.17), (0.72, 0.17), (-0.72, 0.17)];
    vec![(Shape::Disc(1.0), WHITE), (Shape::Disc(0.94), RED), (Shape::Polygon(bar, 0.0), WHITE)]
}

fn speed_limit(tens: &[Vec<Point>], ground: Rgb) -> Drawing {
    let digit = |lines: &[Vec<Point>], middle: f64| -> Drawing {
        let shifted = |line: &Vec<Point>| line.iter().map(|&(x, y)| (x + middle, y)).collect();
        lines.iter().map(|line| (Shape::Stroke(shifted(line), 0.085), BLACK)).collect()
    };
    let zero = [arc((0.0, 0.0), (0.2, 0.4), 0, 24)];
    let rim = vec![(Shape::Disc(1.0), RED), (Shape::Disc(0.79), ground)];
    [rim, digit(tens, -0.31), digit(&zero, 0.31)].concat()
}

fn three() -> [Vec<Point>; 1] {
    [[arc((-0.02, -0.21), (0.19, 0.19), -10, 6), arc((-0.02, 0.19), (0.22, 0.21), -6, 10)].concat()]
}

fn five() -> [Vec<Point>; 1] {
    let hook = vec![(0.18, -0.4), (-0.15, -0.4), (-0.18, 0.0)];
    [[hook, arc((-0.01, 0.15), (0.22, 0.25), -9, 10)].concat()]
}

fn eight() -> [Vec<Point>; 2] {
    [arc((0.0, -0.21), (0.18, 0.19), 0, 24), arc((0.0, 0.19), (0.21, 0.21), 0, 24)]
}

fn priority_road() -> Drawing {
    let diamond = |radius: f64, margin: f64| {
        Shape::Polygon(vec![(radius, 0.0), (0.0, radius), (-radius, 0.0), (0.0, -radius)], margin)
    };
    vec![(diamond(0.92, 0.08), BLACK), (diamond(0.9, 0.06), WHITE), (diamond(0.6, 0.04), YELLOW)]
}

fn mandatory(arrow: Vec<Shape>) -> Drawing {
    let disc = vec![(Shape::Disc(1.0), WHITE), (Shape::Disc(0.94), BLUE)];
    disc.into_iter().chain(arrow.into_iter().map(|shape| (shape, WHITE))).collect()
}

fn ahead() -> Vec<Shape> {
    vec![
        Shape::Stroke(vec![(0.0, 0.6), (0.0, -0.2)], 0.11),
        Shape::Polygon(vec![(-0.36, -0.18), (0.36, -0.18), (0.0, -0.68)], 0.02),
    ]
}

fn turn_right() -> Vec<Shape> {
    vec![
        Shape::Stroke(vec![(-0.34, 0.55), (-0.34, -0.08), (0.2, -0.08)], 0.11),
        Shape::Polygon(vec![(0.18, -0.44), (0.18, 0.28), (0.66, -0.08)], 0.02),
    ]
}

/// Returns the corners, moved towards a centre.
fn shrink(corners: &[Point], centre: Point, by: f64) -> Vec<Point> {
    corners.iter().map(|&(x, y)| (centre.0 + (x - centre.0) * by, centre.1 + (y - centre.1) * by)).collect()
}

/// Returns the points of an ellipse from one angle to another, in steps of 15 degrees; 0 is right and 6 is
/// down.
fn arc(centre: Point, radii: Point, from: i32, to: i32) -> Vec<Point> {
    // Sines of 0, 15, … 90 degrees as constants: a library's sine may differ in the last bit between
    // platforms.
    const SINES: [f64; 7] = [
        0.0,
        0.258_819_045_102_520_76,
        0.5,
        std::f64::consts::FRAC_1_SQRT_2,
        0.866_025_403_784_438_6,
        0.965_925_826_289_068_3,
        1.0,
    ];
    let sine = |step: i32| {
        let turn = step.rem_euclid(24) as usize;
        let half = SINES[if turn % 12 <= 6 { turn % 12 } else { 12 - turn % 12 }];
        if turn < 12 { half } else { -half }
    };
    let point = |step: i32| (centre.0 + radii.0 * sine(step + 6), centre.1 + radii.1 * sine(step));
    if from <= to { (from..=to).map(point).collect() } else { (to..=from).rev().map(point).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faces_are_of_their_colours() {
        let faces = paint_all();
        assert_eq!(faces.len(), NAMES.len());
        // Each row is a point, and what is painted there on every variant of the class.
        for (class, at, colour) in [
            (0, (0.0, 0.6), RED),
            (1, (0.0, -0.2), WHITE),
            (2, (0.5, 0.0), WHITE),
            (2, (0.0, 0.5), RED),
            (3, (0.9, 0.0), RED),
            (6, (0.0, 0.0), YELLOW),
            (7, (0.0, 0.6), BLUE),
            (8, (0.0, 0.5), WHITE),
            (9, (0.0, 0.78), RED),
        ] {
            for face in &faces[class] {
                assert_eq!(face.at(at.0, at.1), (colour, 1.0), "{}", NAMES[class]);
            }
        }
        assert!(
            faces.iter().flatten().all(|face| face.at(-0.99, -0.99).1 < 0.2 && face.at(1.01, 0.0).1 == 0.0)
        );
    }

    #[test]
    fn every_face_differs_from_those_of_other_classes() {
        let faces = paint_all();
        for (a, b) in (0..NAMES.len()).flat_map(|a| (0..a).map(move |b| (a, b))) {
            for (left, right) in
                faces[a].iter().flat_map(|left| faces[b].iter().map(move |right| (left, right)))
            {
                let differ = |(l, r): (&Texel, &Texel)| l.cover != r.cover || l.colour != r.colour;
                let texels = left.texels.iter().zip(&right.texels).filter(|&pair| differ(pair)).count();
                assert!(texels > SIZE * SIZE / 50, "{} and {}: {texels} texels", NAMES[a], NAMES[b]);
            }
        }
    }
}
