//! Holds what attacks find against what is proved: no adversary within the radius of an image whose label is proved
//! may have another label. One that has says that a proof, or an engine, is wrong.

use crate::Engine;
use crate::attack::suite::Adversary;
use crate::report::Rate;
use dq_data::Images;
use dq_net::Network;
use dq_net::proved::{ProvedRadius, Verdict};
use serde::Serialize;

/// Watches adversaries as they are found.
pub struct Watched<'a> {
    network: &'a Network,
    images: &'a Images,
    rule: ProvedRadius,
    /// What the scores of each clean image say.
    clean: Vec<Verdict>,
    found: Found,
}

/// Counts what was found.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Found {
    /// The radius, Euclidean, in levels of the input.
    pub radius: u8,
    /// Lead of the label's score over every other that proves it.
    pub lead: i64,
    /// Clean images whose label is proved.
    pub clean: Rate,
    /// Adversaries with another label than their image, within the radius.
    pub within: usize,
    /// Those beyond it.
    pub beyond: usize,
    /// Those within the radius of an image whose label is proved.
    pub against: usize,
    /// Position of the image of the first of these.
    pub first_against: Option<usize>,
}

impl<'a> Watched<'a> {
    /// Judges the clean images by `rule`.
    pub fn new(network: &'a Network, images: &'a Images, rule: ProvedRadius) -> Self {
        let scores = Engine::new(network).scores(images.pixels.view());
        let clean: Vec<Verdict> = scores.rows().into_iter().map(|row| rule.verdict(&row.to_vec())).collect();
        let set = clean.iter().filter(|verdict| verdict.proved).count();
        let found = Found {
            radius: rule.radius,
            lead: rule.lead,
            clean: Rate::new(set, images.len()),
            within: 0,
            beyond: 0,
            against: 0,
            first_against: None,
        };
        Watched { network, images, rule, clean, found }
    }

    /// Looks at one adversary: its label is the reference's, its distance that of the images themselves.
    pub fn see(&mut self, adversary: &Adversary) {
        let clean = self.clean[adversary.index];
        let label = self.rule.verdict(&self.network.eval(adversary.image)).label;
        if label == clean.label {
            return;
        }
        let original = self.images.pixels.index_axis(ndarray::Axis(0), adversary.index);
        if !crate::ball::Norm::L2.holds(adversary.image, original, self.rule.radius) {
            self.found.beyond += 1;
            return;
        }
        self.found.within += 1;
        if clean.proved {
            self.found.against += 1;
            self.found.first_against.get_or_insert(adversary.index);
        }
    }

    /// Returns what was found so far.
    pub fn found(&self) -> &Found {
        &self.found
    }
}
