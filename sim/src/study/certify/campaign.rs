//! Certifies a data set: counts how many images provably keep their label in the whole ball, beside how many
//! an attack breaks.

use super::search::{Certifier, Found, Outcome};
use super::trail::{Certificate, Trails};
use crate::attack::suite::{Judge, Single, adversaries};
use crate::gradient::WhiteBox;
use crate::lattice::edge;
use crate::report::{Data, Letter, Letters, Model, Tally};
use crate::study::{Stopped, Watch};
use dq_data::Images;
use ndarray::{Array3, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

const FORMAT: &str = "dq-certificates";
const VERSION: u32 = 2;
/// Number of images that are attacked together.
const BLOCK: usize = 8;

/// Says how boxes are bounded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum BoundsBy {
    /// By intervals alone.
    #[default]
    Intervals,
    /// By intervals, and by linear bounds where intervals leave a box open.
    Linear,
}

/// Says what is certified.
#[derive(Clone, Debug)]
pub struct Campaign {
    /// Radii, in units of a uint8 pixel.
    pub eps: Vec<u8>,
    /// Most boxes that the search may bound per image; 1 is the bounds of the whole ball alone.
    pub boxes: u64,
    /// How they are bounded.
    pub bounds: BoundsBy,
    /// Name of the attack that runs beside the search, from [`crate::attack::ALL`].
    pub attack: String,
    /// Seed of every random number.
    pub seed: u64,
}

/// Holds what is proved of a data set's images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificates {
    /// Always `dq-certificates`.
    pub format: String,
    /// Version of this layout.
    pub version: u32,
    /// The network.
    pub model: Model,
    /// The images.
    pub data: Data,
    /// Seed of every random number.
    pub seed: u64,
    /// Most boxes that the search may bound per image.
    pub boxes: u64,
    /// How they are bounded; by intervals in files of version 1, which do not say it.
    #[serde(default)]
    pub bounds: BoundsBy,
    /// Name of the attack that ran beside the search.
    pub attack: String,
    /// Accuracy without attack.
    pub clean: Tally,
    /// One entry per radius.
    pub radii: Vec<Radius>,
}

/// Holds what became of each image at one radius.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Radius {
    /// Radius, in units of a uint8 pixel.
    pub eps: u8,
    /// What is proved of each image, in order; a string of [`Proof`]'s letters in the file.
    pub outcomes: Letters<Proof>,
    /// Number of boxes that were bounded for each image.
    pub boxes: Vec<usize>,
    /// Share that is certified: at most the true robust accuracy.
    pub certified: Tally,
    /// Share that neither the attack nor the search broke: at least the true robust accuracy.
    pub attacked: Tally,
}

/// Says what is proved of one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// The network is wrong without attack: `-`.
    Misclassified,
    /// An image of the ball has another label: `x`.
    Broken,
    /// Interval bounds of the whole ball alone certify the label: `c`.
    ByBounds,
    /// Linear bounds of the whole ball alone certify the label, where interval bounds do not: `l`.
    ByLines,
    /// The search certifies the label: `s`.
    BySearch,
    /// Nothing is proved within the budget: `?`.
    Open,
}

impl Letter for Proof {
    const ALL: &'static [(Self, char)] = &[
        (Proof::Misclassified, '-'),
        (Proof::Broken, 'x'),
        (Proof::ByBounds, 'c'),
        (Proof::ByLines, 'l'),
        (Proof::BySearch, 's'),
        (Proof::Open, '?'),
    ];
}

impl Certificates {
    /// Begins certificates of `images`, with nothing proved yet.
    pub fn new(white_box: &WhiteBox, images: &Images, campaign: &Campaign) -> Self {
        let right = right(white_box, images);
        Self {
            format: FORMAT.into(),
            version: VERSION,
            model: white_box.model(),
            data: images.into(),
            seed: campaign.seed,
            boxes: campaign.boxes,
            bounds: campaign.bounds,
            attack: campaign.attack.clone(),
            clean: Tally::new(right.iter().filter(|right| **right).count(), images.len()),
            radii: campaign.eps.iter().map(|&eps| Radius::new(eps)).collect(),
        }
    }

    /// Checks that `earlier` certificates were begun like these, and can go on. The error says what differs.
    pub fn check_earlier(&self, earlier: &Certificates) -> Result<(), String> {
        let settings = |c: &Certificates| {
            let radii: Vec<u8> = c.radii.iter().map(|radius| radius.eps).collect();
            let how = (c.boxes, c.bounds, &c.attack, radii);
            format!("{:?}", (&c.format, c.version, &c.model, &c.data, c.seed, how))
        };
        let (expected, found) = (settings(self), settings(earlier));
        if expected != found {
            return Err(format!("expected {expected}, found {found}"));
        }
        let fits = |radius: &Radius| {
            radius.outcomes.len() <= self.data.images && radius.boxes.len() == radius.outcomes.len()
        };
        match earlier.radii.iter().all(fits) {
            true => Ok(()),
            false => Err("outcomes that do not fit the images".into()),
        }
    }

    /// Attacks and certifies the images that are left; what a checker needs of each certificate is added to
    /// `trails`, where they are wanted. Ticks once per image and radius. Where it is stopped, what is proved so
    /// far stays, and can go on.
    pub fn extend(
        &mut self,
        white_box: &WhiteBox,
        images: &Images,
        mut trails: Option<&mut Trails>,
        watch: Watch,
    ) -> Result<(), Stopped> {
        let right = right(white_box, images);
        let prover = Prover {
            white_box,
            certifier: match self.bounds {
                BoundsBy::Intervals => Certifier::new(white_box, watch.stop),
                BoundsBy::Linear => Certifier::with_linear_bounds(white_box, watch.stop),
            },
            images,
            boxes: self.boxes as usize,
            attack: &self.attack,
            seed: self.seed,
            watch,
        };
        for radius in &mut self.radii {
            (watch.tick)(radius.outcomes.len() as u64);
            while radius.outcomes.len() < images.len() {
                let start = radius.outcomes.len();
                let block: Vec<usize> = (start..images.len().min(start + BLOCK)).collect();
                let tried: Vec<usize> = block.iter().copied().filter(|&i| right[i]).collect();
                let mut found = prover.prove(&tried, radius.eps)?.into_iter();
                for &i in &block {
                    let Answer { proof, boxes, certificate } = match right[i] {
                        true => found.next().expect("one per tried image"),
                        false => Answer { proof: Proof::Misclassified, boxes: 0, certificate: None },
                    };
                    if let Some(trails) = trails.as_deref_mut() {
                        trails.certificates.extend(certificate);
                    }
                    radius.outcomes.push(proof);
                    radius.boxes.push(boxes);
                }
                radius.sum_up();
                (watch.tick)(block.len() as u64);
            }
        }
        Ok(())
    }
}

impl Radius {
    fn new(eps: u8) -> Self {
        let (certified, attacked) = (Tally::default(), Tally::default());
        Self { eps, outcomes: Letters::default(), boxes: vec![], certified, attacked }
    }

    fn sum_up(&mut self) {
        let proofs = [Proof::ByBounds, Proof::ByLines, Proof::BySearch];
        let certified = proofs.iter().map(|&proof| self.outcomes.count(proof)).sum::<usize>();
        let open = self.outcomes.count(Proof::Open);
        self.certified = Tally::new(certified, self.outcomes.len());
        self.attacked = Tally::new(certified + open, self.outcomes.len());
    }
}

/// Holds what a proof of images takes.
struct Prover<'a> {
    white_box: &'a WhiteBox,
    certifier: Certifier<'a>,
    images: &'a Images,
    boxes: usize,
    attack: &'a str,
    seed: u64,
    watch: Watch<'a>,
}

/// What came of one image.
struct Answer {
    proof: Proof,
    /// Number of boxes that were bounded.
    boxes: usize,
    certificate: Option<Certificate>,
}

impl Prover<'_> {
    /// Attacks the images `tried` and certifies those that survive.
    fn prove(&self, tried: &[usize], eps: u8) -> Result<Vec<Answer>, Stopped> {
        self.watch.check()?;
        let single = Single { stop: self.watch.stop, ..Single::new(self.attack, eps, self.seed) };
        let adversaries = adversaries(self.white_box, self.images, tried, &single);
        let labels = match tried.is_empty() {
            true => vec![],
            false => self.white_box.engine().labels(adversaries.view()),
        };
        let prove = |(&i, found): (&usize, usize)| match found == usize::from(self.images.labels[i]) {
            true => self.certify(i, eps),
            false => Answer { proof: Proof::Broken, boxes: 0, certificate: None },
        };
        let found = tried.par_iter().zip(labels).map(prove).collect();
        // A stopped attack or search proves nothing, so its answers do not count.
        self.watch.check()?;
        Ok(found)
    }

    /// Certifies image `i`.
    fn certify(&self, i: usize, eps: u8) -> Answer {
        let (image, label) = (self.images.pixels.index_axis(Axis(0), i), self.images.labels[i]);
        let Found { outcome, boxes, by_lines, trail } = self.certifier.search(image, label, eps, self.boxes);
        let proof = match outcome {
            Outcome::Certified if boxes == 1 && by_lines == 0 => Proof::ByBounds,
            Outcome::Certified if boxes == 1 => Proof::ByLines,
            Outcome::Certified => Proof::BySearch,
            Outcome::Broken(found) => {
                self.check(&found, label);
                Proof::Broken
            }
            Outcome::Open => Proof::Open,
        };
        let certificate = trail.map(|trail| {
            let top = self.white_box.network().input().top();
            let ends = [false, true].map(|up| image.iter().map(move |&pixel| edge(pixel, eps, up, top)));
            let ball: Vec<u8> = ends.into_iter().flatten().collect();
            Certificate { image: i, label, eps, ball: dq_net::sha256(&ball), trail }
        });
        Answer { proof, boxes, certificate }
    }

    /// Lets the network judge what the search found, like any adversary.
    fn check(&self, found: &Array3<u8>, label: u8) {
        let labels = self.white_box.engine().labels(found.view().insert_axis(Axis(0)));
        assert_ne!(labels[0], usize::from(label), "the search broke nothing");
    }
}

/// Says of each image whether its label without attack is the true one.
fn right(white_box: &WhiteBox, images: &Images) -> Vec<bool> {
    let labels = white_box.engine().labels(images.pixels.view());
    labels.iter().zip(&images.labels).map(|(a, b)| *a == usize::from(*b)).collect()
}
