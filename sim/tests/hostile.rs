//! Tests attacks on sources of gradients that are useless or beyond numbers: the attacks end, they stop when
//! they are told to, and what they propose lies in the ball.

use dq_data::Images;
use dq_net::Shape;
use dq_net::layer::Input;
use dq_sim::attack;
use dq_sim::attack::suite::{self, Judge, Single, Subject, Suite, Verdict, Watch};
use dq_sim::report::{Model, Report};
use dq_sim::{GradientSource, Loss, LossGradient};
use ndarray::{Array2, Array4, ArrayView4};
use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

const SHAPE: Shape = Shape { height: 5, width: 4, channels: 2 };

/// Is right about every image, with the gradient that `slope` says for each element.
struct Source<'a> {
    classes: usize,
    slope: &'a (dyn Fn(usize) -> f32 + Sync),
    /// Number of images evaluated so far.
    evaluated: AtomicUsize,
    /// Number of images after which `stop` is set.
    until: usize,
    stop: AtomicBool,
    /// Classes that a loss had as its target.
    targets: Mutex<BTreeSet<usize>>,
}

impl<'a> Source<'a> {
    fn new(classes: usize, slope: &'a (dyn Fn(usize) -> f32 + Sync)) -> Self {
        let (evaluated, stop) = (AtomicUsize::new(0), AtomicBool::new(false));
        Self { classes, slope, evaluated, until: usize::MAX, stop, targets: Mutex::default() }
    }

    fn count(&self, images: usize) {
        if self.evaluated.fetch_add(images, Ordering::SeqCst) + images >= self.until {
            self.stop.store(true, Ordering::SeqCst);
        }
    }

    fn run(&self, images: &Images, suite: &Suite, earlier: Option<Report>) -> Report {
        let watch = Watch { progress: &|_| (), keep: &mut |_| (), stop: &self.stop };
        suite::run(&Subject { target: self, substitute: None, images }, suite, earlier, watch).unwrap()
    }
}

impl GradientSource for Source<'_> {
    fn input(&self) -> Input {
        Input::pixels(SHAPE)
    }

    fn classes(&self) -> usize {
        self.classes
    }

    fn loss_gradient(&self, images: ArrayView4<u8>, labels: &[u8], loss: Loss) -> LossGradient {
        if let Loss::Difference(targets) | Loss::TargetedDlr(targets) | Loss::Logit(targets) = loss {
            self.targets.lock().unwrap().extend(targets);
        }
        let logits = self.real_logits(images);
        let rows = logits.rows().into_iter().zip(labels).enumerate();
        let losses = rows.map(|(i, (row, &label))| loss.of(i, &row.to_vec(), label.into()).0).collect();
        let mut at = 0..;
        let gradient = Array4::from_shape_simple_fn(images.raw_dim(), || (self.slope)(at.next().unwrap()));
        LossGradient { losses, gradient, logits }
    }

    fn real_logits(&self, images: ArrayView4<u8>) -> Array2<f64> {
        self.count(images.dim().0);
        // Class 0 leads; of the others a higher class has a higher logit.
        Array2::from_shape_fn((images.dim().0, self.classes), |(i, class)| {
            let light: f64 = images.index_axis(ndarray::Axis(0), i).iter().map(|&v| f64::from(v)).sum();
            if class == 0 { 1.0 } else { light / 1e6 + class as f64 / 1e3 }
        })
    }
}

impl Judge for Source<'_> {
    fn judge(&self, images: ArrayView4<u8>) -> Vec<Verdict> {
        vec![Verdict { label: 0, tie: false, squeezed: None }; images.dim().0]
    }

    fn model(&self) -> Model {
        Model { name: "hostile".into(), kind: "test".into(), content_hash: String::new() }
    }
}

fn images(count: usize, classes: usize) -> Images {
    let (height, width, channels) = SHAPE.dim();
    let pixels = Array4::from_shape_fn((count, height, width, channels), |(i, y, x, c)| {
        [0, 255, 128, 7, 200][(i + y * 3 + x * 5 + c) % 5]
    });
    let classes = (0..classes).map(|class| class.to_string()).collect();
    Images { name: "hostile".into(), pixels, labels: vec![0; count], classes }
}

/// Attacks that ask for gradients.
fn by_gradient() -> impl Iterator<Item = (&'static str, attack::Attack)> {
    attack::ALL.iter().copied().filter(|(_, attack)| attack.gradient)
}

#[test]
fn attacks_end_within_the_ball_whatever_the_gradient_is() {
    let images = images(2, 4);
    let sizes = [0.0, 1e-45, 1e-40, 1e-30, 1e-20, 1.0, 1e20, 1e38, f32::INFINITY, f32::NAN];
    for (name, attack) in by_gradient() {
        for size in sizes {
            // The slopes have either sign, with zeros between them.
            let slope = |at: usize| [size, -size, 0.0, size / 3.0][at % 4];
            let source = Source::new(4, &slope);
            for eps in [1, 30] {
                let found = suite::adversaries(&source, &images, &[0, 1], &Single::new(name, eps, 3));
                for (image, original) in found.outer_iter().zip(images.pixels.outer_iter()) {
                    assert!(attack.norm.holds(image, original, eps), "{name}, {size}");
                }
            }
        }
    }
}

/// Where an attack goes does not depend on how large the gradient's elements are.
#[test]
fn tiny_gradients_lead_as_far_as_large_ones() {
    let images = images(2, 4);
    for (name, _) in by_gradient() {
        let moved = |size: f32| {
            let slope = |at: usize| [size, -size, 0.0, size / 2.0][at % 4];
            let source = Source::new(4, &slope);
            suite::adversaries(&source, &images, &[0, 1], &Single::new(name, 20, 3))
        };
        // The factors are powers of two, which scale every element exactly; half of 2⁻¹⁴⁸ is the smallest
        // number there is.
        let wanted = moved(1.0);
        for size in [2f32.powi(-60), 2f32.powi(-148), 2f32.powi(100)] {
            // FAB goes to where the logits' difference ends, which depends on the size.
            let found = moved(size);
            assert!(name.starts_with("fab") || found == wanted, "{name}, {size:e}");
        }
    }
}

#[test]
fn targets_beyond_the_256th_class_are_not_taken_for_others() {
    let images = images(2, 300);
    for (name, targets) in [
        ("pgd-t", 291..300),
        ("apgd-t", 291..300),
        ("fab-t", 291..300),
        ("fab-t-l2", 291..300),
        ("pgd-pp", 0..300),
    ] {
        let source = Source::new(300, &|_| 1.0);
        suite::adversaries(&source, &images, &[0, 1], &Single::new(name, 3, 3));
        assert_eq!(source.targets.into_inner().unwrap(), targets.collect(), "{name}");
    }
}

/// Once the flag is set an attack asks for a few evaluations more at most, and what it had is not written
/// down.
#[test]
fn a_stop_is_heard_in_the_midst_of_a_block_and_the_run_goes_on_to_the_same_result() {
    let images = images(5, 4);
    for (name, attack) in attack::ALL {
        let slope = |at: usize| ((at * 31 % 17) as f32 - 8.0) * 1e-3;
        let suite = Suite::single(name, 9, 3);
        if (attack.steps)(9) == 1 || *name == "random" {
            continue; // one evaluation, or none
        }
        let stopped = Source { until: 15, ..Source::new(4, &slope) };
        let report = stopped.run(&images, &suite, None);
        assert!(!report.complete && report.runs[0].outcomes.is_empty(), "{name}");
        let more = stopped.evaluated.load(Ordering::SeqCst) - 15;
        assert!(more <= 10, "{name}: {more} evaluations after the stop");
        // Attacks of ten thousand queries are not run to their end here.
        if !attack.gradient {
            continue;
        }
        let going_on = Source::new(4, &slope);
        let whole = going_on.run(&images, &suite, None);
        assert_eq!(going_on.run(&images, &suite, Some(report)), whole, "{name}");
    }
}

/// A gradient of zero moves nothing: FAB stays at the image, which is evaluated once to rank the classes and
/// once for each target, and counted as often as it is asked about.
#[test]
fn an_image_is_not_evaluated_twice_in_a_row() {
    let (images, source) = (images(2, 4), Source::new(4, &|_| 0.0));
    let report = source.run(&images, &Suite::single("fab-t", 8, 1), None);
    assert_eq!(report.runs[0].queries, [300, 300]);
    assert_eq!(source.evaluated.load(Ordering::SeqCst), 2 + 3 * 2);
}
