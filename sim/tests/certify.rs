//! Compares certificates with the truth: bounds hold what the network computes, and the search decides as
//! trying every image of the ball does.

use dq_net::Network;
use dq_net::random::{self, Options};
use dq_sim::WhiteBox;
use dq_sim::study::certify::{Certifier, Found, Outcome};
use ndarray::{Array3, Array4, Axis};
use std::sync::atomic::AtomicBool;

static NEVER: AtomicBool = AtomicBool::new(false);

/// Networks whose images have at most `pixels` elements.
fn small(seeds: std::ops::Range<u64>, pixels: usize) -> impl Iterator<Item = (u64, Network)> {
    let drawn = seeds.map(|seed| {
        let options = Options { max_side: 3, residuals: seed % 2 == 1, ..Options::default() };
        (seed, random::network(seed, &options))
    });
    drawn.filter(move |(_, network)| network.input_shape().len() <= pixels)
}

/// Returns every image within `eps` of `image`, of levels up to `top`.
fn ball(image: &Array3<u8>, eps: u8, top: u8) -> Array4<u8> {
    let mut all = vec![image.clone()];
    for at in 0..image.len() {
        all = all
            .into_iter()
            .flat_map(|image| {
                let pixel = image.as_slice().unwrap()[at];
                (pixel.saturating_sub(eps)..=pixel.saturating_add(eps).min(top)).map(move |value| {
                    let mut other = image.clone();
                    other.as_slice_mut().unwrap()[at] = value;
                    other
                })
            })
            .collect();
    }
    let views: Vec<_> = all.iter().map(|image| image.view()).collect();
    ndarray::stack(Axis(0), &views).unwrap()
}

#[test]
fn the_search_decides_as_trying_every_image_does() {
    let (mut certified, mut broken, mut by_search, mut by_lines) = (0, 0, 0, 0);
    for (seed, network) in small(0..1600, 6) {
        let white_box = WhiteBox::new(&network);
        let engine = white_box.engine();
        let certifier = Certifier::new(&white_box, &NEVER);
        let linear = Certifier::with_linear_bounds(&white_box, &NEVER);
        let image = random::image(seed + 7, network.input());
        let label = engine.labels(image.view().insert_axis(Axis(0)))[0];
        // These are the widest balls that can be tried out, so that boxes are cut often.
        let eps = [255, 60, 12, 5, 3, 2][image.len() - 1];
        let truth = engine
            .labels(ball(&image, eps, network.input().top()).view())
            .iter()
            .all(|&found| found == label);
        let (outcome, boxes) = certifier.certify(image.view(), label as u8, eps, usize::MAX);
        match outcome {
            Outcome::Certified => {
                assert!(truth, "seed {seed}: certified, but an image of the ball has another label");
                certified += 1;
                by_search += usize::from(boxes > 1);
            }
            Outcome::Broken(found) => {
                assert!(!truth, "seed {seed}");
                let far = found.iter().zip(&image).map(|(a, b)| a.abs_diff(*b)).max().unwrap();
                assert!(far <= eps, "seed {seed}: {far} away");
                assert_ne!(engine.labels(found.view().insert_axis(Axis(0)))[0], label, "seed {seed}");
                broken += 1;
            }
            Outcome::Open => panic!("seed {seed}: undecided without a budget"),
        }
        // Bounds alone never say more.
        let (alone, spent) = certifier.certify(image.view(), label as u8, eps, 1);
        assert!(
            spent == 1 && (alone == Outcome::Open || (alone == Outcome::Certified && truth)),
            "seed {seed}"
        );
        // Linear bounds say no more than the truth, and no less than intervals.
        let whole = linear.search(image.view(), label as u8, eps, 1);
        match whole.outcome {
            Outcome::Certified => assert!(truth, "seed {seed}: lines certify what has another label"),
            ref found => assert!(*found == Outcome::Open && alone == Outcome::Open, "seed {seed}"),
        }
        assert_eq!(whole.by_lines == 1, whole.outcome != alone, "seed {seed}");
        assert_eq!(whole.trail.is_some(), alone == Outcome::Certified, "seed {seed}");
        by_lines += whole.by_lines;
        let (decided, _) = linear.certify(image.view(), label as u8, eps, usize::MAX);
        assert_eq!(decided == Outcome::Certified, truth, "seed {seed}");
    }
    assert!(certified > 300 && broken > 40 && by_search > 15, "{certified} {broken} {by_search}");
    assert!(by_lines > 5, "{by_lines}");
}

#[test]
fn a_certificate_of_a_large_ball_is_never_contradicted_by_its_images() {
    for seed in 0..150 {
        let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
        let white_box = WhiteBox::new(&network);
        let engine = white_box.engine();
        let certifier = match seed % 4 {
            0 | 1 => Certifier::new(&white_box, &NEVER),
            _ => Certifier::with_linear_bounds(&white_box, &NEVER),
        };
        let image = random::image(seed, network.input());
        let label = engine.labels(image.view().insert_axis(Axis(0)))[0];
        for eps in [1, 8, 64] {
            let (outcome, boxes) = certifier.certify(image.view(), label as u8, eps, 40);
            assert!(boxes <= 40);
            if outcome != Outcome::Certified {
                continue;
            }
            let mut images = Array4::zeros((64, image.dim().0, image.dim().1, image.dim().2));
            for (n, mut noisy) in images.outer_iter_mut().enumerate() {
                let noise = random::image(1000 * seed + n as u64, network.input());
                noisy.assign(&image);
                noisy.zip_mut_with(&noise, |pixel, &noise| {
                    *pixel = noise.clamp(pixel.saturating_sub(eps), pixel.saturating_add(eps));
                });
            }
            assert!(
                engine.labels(images.view()).iter().all(|&found| found == label),
                "seed {seed}, eps {eps}"
            );
        }
    }
}

#[test]
fn linear_bounds_say_the_same_on_any_number_of_threads() {
    let mut by_lines = 0;
    for seed in 0..30 {
        let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
        let white_box = WhiteBox::new(&network);
        let image = random::image(seed, network.input());
        let label = white_box.engine().labels(image.view().insert_axis(Axis(0)))[0] as u8;
        let certifier = Certifier::with_linear_bounds(&white_box, &NEVER);
        let [one, many] = [1, 5].map(|threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| certifier.search(image.view(), label, 6, 40))
        });
        let said = |found: &Found| (found.outcome.clone(), found.boxes, found.by_lines);
        assert_eq!(said(&one), said(&many), "seed {seed}");
        by_lines += one.by_lines;
    }
    assert!(by_lines > 0);
}

#[test]
fn a_search_that_is_stopped_decides_nothing() {
    let network = random::network(1, &Options::default());
    let white_box = WhiteBox::new(&network);
    let stopped = AtomicBool::new(true);
    let image = random::image(1, network.input());
    let found = Certifier::new(&white_box, &stopped).certify(image.view(), 0, 1, usize::MAX);
    assert_eq!(found, (Outcome::Open, 0));
}
