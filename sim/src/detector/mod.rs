//! Detects adversaries by feature squeezing (Xu, Evans, Qi, NDSS 2018): an image is flagged where the
//! network's label of the image and of its squeezed form differ. A [`Detector`] is a network under attack
//! like any other: an image counts as broken only where both labels agree and are wrong.

mod squeezing;

use crate::attack::suite::{Judge, Verdict};
use crate::gradient::{GradientSource, Loss, LossGradient, Near, Precision, arg_max};
use crate::report::Model;
use dq_net::Squeezing;
use dq_net::layer::Input;
use ndarray::{Array2, ArrayView1, ArrayView3, ArrayView4, Axis, Zip};

/// Holds a network with a detector, as attacks see it.
pub struct Detector<'a> {
    network: &'a dyn Judge,
    squeezing: Squeezing,
    is_known: bool,
}

/// Says what a report says of a detector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guard {
    /// How images are squeezed, such as `bits=5,median`.
    pub squeezing: String,
    /// Whether attacks know the detector.
    pub is_known: bool,
}

impl<'a> Detector<'a> {
    /// Puts a detector on `network` that attacks know: scores and gradients are those of both passes.
    pub fn known(network: &'a dyn Judge, squeezing: Squeezing) -> Self {
        Self { network, squeezing, is_known: true }
    }

    /// Puts a detector on `network` that attacks do not know: scores and gradients are the network's own.
    pub fn hidden(network: &'a dyn Judge, squeezing: Squeezing) -> Self {
        Self { network, squeezing, is_known: false }
    }

    /// Returns the hidden detector and the known one.
    pub fn both(network: &'a dyn Judge, squeezing: Squeezing) -> [Self; 2] {
        [Self::hidden(network, squeezing), Self::known(network, squeezing)]
    }
}

impl GradientSource for Detector<'_> {
    fn input(&self) -> Input {
        self.network.input()
    }

    fn classes(&self) -> usize {
        self.network.classes()
    }

    fn precision(&self) -> Precision {
        self.network.precision()
    }

    fn engine(&self) -> Option<String> {
        self.network.engine()
    }

    /// Joins the losses of both passes: the sum of losses that training raises, and the lesser one of
    /// differences of logits, which are positive only where both passes are beyond the boundary.
    fn loss_gradient(&self, images: ArrayView4<u8>, labels: &[u8], loss: Loss) -> LossGradient {
        let mut own = self.network.loss_gradient(images, labels, loss);
        if !self.is_known {
            return own;
        }
        let squeezed = squeezing::apply(self.squeezing, images);
        let other = self.network.loss_gradient(squeezed.view(), labels, loss);
        let gradient = squeezing::backward(self.squeezing, images, other.gradient);
        let is_least = matches!(loss, Loss::Margin | Loss::Difference(_));
        for (i, (of_own, of_other)) in own.losses.iter_mut().zip(other.losses).enumerate() {
            let (mut into, from) = (own.gradient.index_axis_mut(Axis(0), i), gradient.index_axis(Axis(0), i));
            if !is_least {
                *of_own += of_other;
                into += &from;
            } else if of_other < *of_own {
                *of_own = of_other;
                into.assign(&from);
            }
        }
        own.logits = agreed(&own.logits, &other.logits, labels);
        own
    }

    /// Computes the sum of both passes' logits.
    fn real_logits(&self, images: ArrayView4<u8>) -> Array2<f64> {
        let own = self.network.real_logits(images);
        match self.is_known {
            true => own + self.network.real_logits(squeezing::apply(self.squeezing, images).view()),
            false => own,
        }
    }

    fn judged_logits(&self, images: ArrayView4<u8>, labels: &[u8]) -> Array2<f64> {
        let own = self.network.real_logits(images);
        if !self.is_known {
            return own;
        }
        agreed(&own, &self.network.real_logits(squeezing::apply(self.squeezing, images).view()), labels)
    }

    fn near(&self, image: ArrayView3<u8>) -> Option<Box<dyn Near + '_>> {
        if self.is_known { None } else { self.network.near(image) }
    }
}

impl Judge for Detector<'_> {
    fn judge(&self, images: ArrayView4<u8>) -> Vec<Verdict> {
        let (own, squeezed) =
            (self.network.judge(images), self.network.judge(squeezing::apply(self.squeezing, images).view()));
        let both = |(own, squeezed): (Verdict, Verdict)| Verdict {
            squeezed: Some(squeezed.label),
            tie: own.tie || squeezed.tie,
            ..own
        };
        own.into_iter().zip(squeezed).map(both).collect()
    }

    fn model(&self) -> Model {
        self.network.model()
    }

    fn guard(&self) -> Option<Guard> {
        Some(Guard { squeezing: self.squeezing.to_string(), is_known: self.is_known })
    }
}

/// Makes logits of those of both passes (batch × classes) by which an image is misclassified exactly where
/// both passes agree on a wrong label: the label's is 0, and another class has what it leads by in the pass
/// in which it leads by less.
fn agreed(own: &Array2<f64>, squeezed: &Array2<f64>, labels: &[u8]) -> Array2<f64> {
    let mut found = Array2::zeros(own.raw_dim());
    Zip::from(found.rows_mut()).and(own.rows()).and(squeezed.rows()).and(labels).for_each(
        |mut row, own, squeezed, &label| {
            let wrong = Some(arg_max(own)).filter(|&class| class == arg_max(squeezed));
            for class in (0..own.len()).filter(|&class| class != usize::from(label)) {
                let lead = lead(own, class).min(lead(squeezed, class));
                // Ties, where the lead is 0, are decided as labels are.
                row[class] = match wrong == Some(class) {
                    true => lead.max(f64::MIN_POSITIVE),
                    false => lead.min(-f64::MIN_POSITIVE),
                };
            }
        },
    );
    found
}

/// Returns how far the logit of `class` is above the largest other one.
fn lead(logits: ArrayView1<f64>, class: usize) -> f64 {
    let others = (0..logits.len()).filter(|&other| other != class).map(|other| logits[other]);
    logits[class] - others.fold(f64::NEG_INFINITY, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::WhiteBox;
    use dq_net::layer::{Layer, Logits, Median};
    use dq_net::random::{self, Options};
    use dq_net::{Network, Node};
    use ndarray::Array4;
    use squeezing::apply;

    /// Returns `network` behind a median.
    fn smoothed(network: &Network) -> Option<Network> {
        let mut nodes = network.nodes().to_vec();
        let input = nodes[0].name.clone();
        for name in nodes.iter_mut().flat_map(|node| &mut node.inputs).filter(|name| **name == input) {
            *name = "smooth".into();
        }
        nodes.insert(1, Node { name: "smooth".into(), layer: Layer::Median(Median), inputs: vec![input] });
        Network::new("smoothed", nodes).ok()
    }

    fn batch(seed: u64, network: &Network) -> Array4<u8> {
        random::images(seed, 4, network.input())
    }

    /// Both passes are those of two networks, one of them behind a median, and losses join.
    #[test]
    fn losses_and_gradients_are_those_of_two_networks() {
        let mut seen = 0;
        for seed in 0..40 {
            let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            if !network.input().has_pixels() {
                continue;
            }
            let Some(other) = smoothed(&network) else { continue };
            seen += 1;
            let (plain, other) = (WhiteBox::new(&network), WhiteBox::new(&other));
            let (images, labels) = (batch(seed, &network), [0, 1, 0, 1]);
            let detector = Detector::known(&plain, "median".parse().unwrap());
            for loss in [Loss::CrossEntropy, Loss::Margin] {
                let found = detector.loss_gradient(images.view(), &labels, loss);
                let [a, b] = [&plain, &other].map(|net| net.loss_gradient(images.view(), &labels, loss));
                for i in 0..4 {
                    let [x, y] = [&a, &b].map(|found| found.gradient.index_axis(Axis(0), i));
                    let (value, slopes) = match loss {
                        Loss::CrossEntropy => (a.losses[i] + b.losses[i], &x + &y),
                        _ if b.losses[i] < a.losses[i] => (b.losses[i], y.to_owned()),
                        _ => (a.losses[i], x.to_owned()),
                    };
                    assert_eq!(found.losses[i], value, "seed {seed}");
                    let most = slopes.iter().fold(1e-6f32, |most, v| most.max(v.abs()));
                    let near = |(a, b): (&f32, &f32)| (a - b).abs() <= 1e-4 * most;
                    assert!(found.gradient.index_axis(Axis(0), i).iter().zip(&slopes).all(near), "{seed}");
                }
            }
        }
        assert!(seen > 20, "{seen}");
    }

    /// The logits that attacks look at are wrong exactly where the verdict says undetected and wrong.
    #[test]
    fn attacks_see_an_image_as_broken_exactly_where_the_verdict_does() {
        let mut seen = [0; 3];
        for seed in 0..120 {
            let network = random::network(seed, &Options { residuals: seed % 2 == 1, ..Options::default() });
            if !network.input().has_pixels() {
                continue;
            }
            let plain = WhiteBox::new(&network);
            let squeezing: Squeezing =
                ["bits=1", "bits=2,median", "median"][seed as usize % 3].parse().unwrap();
            let images = batch(seed, &network);
            let squeezed = apply(squeezing, images.view());
            let detector = Detector::known(&plain, squeezing);
            let verdicts = detector.judge(images.view());
            for label in 0..network.classes().min(250) as u8 {
                let labels = [label; 4];
                let logits = detector.judged_logits(images.view(), &labels);
                let again = detector.loss_gradient(images.view(), &labels, Loss::CrossEntropy).logits;
                assert_eq!(logits, again, "seed {seed}");
                for (i, verdict) in verdicts.iter().enumerate() {
                    let of = |images: &Array4<u8>| Logits::label(network.eval(images.index_axis(Axis(0), i)));
                    let (own, other) = (of(&images), of(&squeezed));
                    assert_eq!((verdict.label, verdict.squeezed), (own, Some(other)));
                    let broken = own == other && own != usize::from(label);
                    assert_eq!(arg_max(logits.row(i)) != usize::from(label), broken, "seed {seed}");
                    seen[if own != other { 0 } else { 1 + usize::from(broken) }] += 1;
                }
            }
        }
        assert!(seen.iter().all(|&n| n > 20), "{seen:?}");
    }
}
