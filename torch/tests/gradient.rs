//! Compares gradients with the engine's: the same terms, summed in another order.

use crate::scores::on_cpu;
use dq_net::random::{self, Options};
use dq_sim::attack::suite::{self, Judge, Subject, Suite, Watch};
use dq_sim::{GradientSource, Loss, WhiteBox};
use ndarray::{Axis, s};
use std::sync::atomic::AtomicBool;

/// Largest difference of two slopes, as a part of the image's largest slope.
const ROUNDING: f32 = 1e-4;
/// Least size of a slope whose sign must be the engine's, as a part of the image's largest slope.
const SURE: f32 = 1e-3;

#[test]
fn gradients_are_the_engines_but_for_rounding() {
    let mut alive = 0;
    for seed in 0..120 {
        let options = Options { residuals: seed % 2 == 1, ..Options::default() };
        let network = random::network(seed, &options);
        let (engine, libtorch) = (WhiteBox::new(&network), on_cpu(&network));
        let images = random::images(seed * 100, 10, network.input());
        let labels: Vec<u8> = (0..10).map(|i| (i % network.classes()) as u8).collect();
        let targets: Vec<usize> = labels.iter().map(|&y| (usize::from(y) + 1) % network.classes()).collect();
        for loss in [Loss::CrossEntropy, Loss::Margin, Loss::TargetedDlr(&targets)] {
            let [a, b] = [&engine as &dyn GradientSource, &libtorch]
                .map(|source| source.loss_gradient(images.view(), &labels, loss));
            assert_eq!((&a.losses, &a.logits), (&b.losses, &b.logits), "seed {seed}");
            for (a, b) in a.gradient.outer_iter().zip(b.gradient.outer_iter()) {
                let most = a.iter().fold(0f32, |most, slope| most.max(slope.abs()));
                alive += usize::from(most > 0.0);
                for (a, b) in a.iter().zip(b) {
                    assert!((a - b).abs() <= ROUNDING * most, "seed {seed}: {a} and {b} of {most}");
                    assert!(
                        a.abs() <= SURE * most || a.signum() == b.signum(),
                        "seed {seed}: {a} and {b} of {most}"
                    );
                }
            }
        }
    }
    assert!(alive > 1000, "only {alive} of 3600 gradients are not zero: the test would say little");
}

#[test]
fn a_gradient_does_not_depend_on_its_batch() {
    for seed in [3, 11] {
        let network = random::network(seed, &Options { residuals: seed == 3, ..Options::default() });
        let engine = on_cpu(&network);
        let (images, labels) = (random::images(7, 21, network.input()), [1; 21]);
        let all = engine.loss_gradient(images.view(), &labels, Loss::CrossEntropy);
        for i in 0..21 {
            let one = images.slice(s![i..i + 1, .., .., ..]);
            let one = engine.loss_gradient(one, &[1], Loss::CrossEntropy);
            assert_eq!(
                one.gradient.index_axis(Axis(0), 0),
                all.gradient.index_axis(Axis(0), i),
                "{seed}, {i}"
            );
            assert_eq!((one.losses[0], one.logits.row(0)), (all.losses[i], all.logits.row(i)));
        }
    }
}

/// A report says by which engine gradients were made, and searches by scores are the engine's own.
#[test]
fn reports_name_the_engine_of_gradients() {
    let images = dq_data::load("signs", None, dq_data::Split::Test).expect("built in").take(4);
    let path = crate::scores::models().join("signs-tiny-dq/model.json");
    let network = dq_net::read_network(&path).expect("shipped");
    let (engine, libtorch) = (WhiteBox::new(&network), on_cpu(&network));
    let stop = AtomicBool::new(false);
    let report = |target: &dyn Judge| {
        let suite = Suite { attacks: vec!["pgd".into(), "square".into()], ..Suite::single("pgd", 16, 1) };
        let subject = Subject { target, substitute: None, images: &images };
        let watch = Watch { progress: &|_| (), keep: &mut |_| (), stop: &stop };
        suite::run(&subject, &suite, None, watch).expect("a sound suite")
    };
    let [own, other] = [report(&engine), report(&libtorch)];
    assert_eq!(own.clean_labels, other.clean_labels);
    assert_eq!(own.model, other.model);
    assert_eq!(own.runs[0].settings.get("engine"), None);
    assert_eq!(other.runs[0].settings["engine"], "libtorch on CPU");
    assert_eq!(own.runs[1], other.runs[1], "no gradient, no difference");
}
