//! Counts the labels that are proved within a radius, by whatever engine gave them.

use crate::shared::table::{percent_of, thousands};
use dq_data::Images;
use dq_hdl::design::{Beat, Design};
use dq_net::Network;
use dq_net::proved::ProvedRadius;
use dq_sim::report::Rate;
use ndarray::Array2;
use serde::Serialize;

/// Holds how many labels of clean images are proved.
#[derive(Serialize)]
pub struct Proved {
    /// The radius, Euclidean, in levels of the input.
    radius: u8,
    /// Lead of the label's score over every other that proves it.
    lead: i64,
    /// Images whose label is proved.
    share: Rate,
    /// Those of them whose label is right.
    correct: Rate,
    /// Images that would count if quantizers moved by no more than their slope; not known where an engine gives
    /// labels alone. It proves nothing: it says what the quantizers cost.
    without_quantizers: Option<Rate>,
}

impl Proved {
    /// Counts by the circuit's own bits where it gave `answers`, else by `scores`; `known` are the labels that were
    /// found, and the images.
    pub fn count(
        rule: ProvedRadius,
        network: &Network,
        scores: Option<&Array2<i32>>,
        answers: Option<(&Design, &Vec<Beat>)>,
        known: (&[usize], &Images),
    ) -> Self {
        let by = |rule: &ProvedRadius, scores: &Array2<i32>| -> Vec<bool> {
            scores.rows().into_iter().map(|row| rule.verdict(&row.to_vec()).proved).collect()
        };
        let (labels, images) = known;
        let bits = match (answers, scores) {
            (Some((design, beats)), _) if design.has_user() => {
                beats.iter().map(|beat| design.answer(beat.value).proved).collect()
            }
            (_, Some(scores)) => by(&rule, scores),
            (..) => unreachable!("an engine gives scores, or labels with their bits"),
        };
        let set = bits.iter().filter(|bit| **bit).count();
        let right = bits.iter().zip(labels.iter().zip(&images.labels));
        let right = right.filter(|(bit, (a, b))| **bit && **a == usize::from(**b)).count();
        let slopes = ProvedRadius::of_slopes(network, rule.radius);
        let without = scores.map(|scores| by(&slopes, scores).into_iter().filter(|bit| *bit).count());
        Proved {
            radius: rule.radius,
            lead: rule.lead,
            share: Rate::new(set, images.len()),
            correct: Rate::new(right, set),
            without_quantizers: without.map(|count| Rate::new(count, images.len())),
        }
    }

    /// Writes it for people.
    pub fn text(&self) -> String {
        let without = self.without_quantizers.as_ref().map_or(String::new(), |rate| {
            format!(
                "\nif quantizers moved by their slope alone (no proof, for comparison): {} %",
                percent_of(rate)
            )
        });
        format!(
            "proved within distance {}: {} of {} labels, {} % (score leads by {} or more); {} % of these are \
             right{without}",
            self.radius,
            thousands(self.share.count as u64),
            thousands(self.share.total as u64),
            percent_of(&self.share),
            thousands(self.lead as u64),
            percent_of(&self.correct)
        )
    }
}
