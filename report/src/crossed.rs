//! Holds certificates against reports of attacks on the same network and the same images: an attack may leave less
//! than was known, and must not break what is proved.

use crate::Reports;
use dq_sim::report::{Outcome, Report, Run, Tally};
use dq_sim::study::certify::{Certificates, Proof, Radius};

/// Holds what attacks say of certificates at one radius.
pub(crate) struct Crossed {
    /// Share that neither the search nor any attack on the page broke: at least the true robust accuracy.
    pub attacked: Tally,
    /// What attacks broke although it is certified, in words. Empty, unless a program is wrong.
    pub contradictions: Vec<String>,
}

/// Compares the certificates of `radius` with all attacks of `reports`. An adversary of a smaller ball lies in the
/// larger one too, and one of a Euclidean ball in the ball of the largest difference.
pub(crate) fn crossed(reports: &Reports, found: &Certificates, radius: &Radius) -> Crossed {
    let is_alike = |report: &&Report| {
        let is_network = !found.model.content_hash.is_empty() && report.model == found.model;
        is_network && report.data == found.data && report.shard.is_none() && report.detector.is_none()
    };
    let attacks: Vec<&Report> = reports.attacks().filter(is_alike).collect();
    let runs = attacks.iter().flat_map(|report| &report.runs).filter(|run| run.eps <= radius.eps);
    let runs: Vec<&Run> = runs.filter(|run| run.outcomes.len() == radius.outcomes.len()).collect();
    let broken = |run: &Run, image: usize| run.outcomes[image] == Outcome::Broken;
    let proofs: &[Proof] = &radius.outcomes;
    let is_proved = |proof: Proof| matches!(proof, Proof::ByBounds | Proof::ByLines | Proof::BySearch);
    let stands = |image: usize| match proofs[image] {
        Proof::Misclassified | Proof::Broken => false,
        _ => !runs.iter().any(|run| broken(run, image)),
    };
    let contradiction = |run: &&Run| {
        let images = (0..proofs.len()).filter(|&image| is_proved(proofs[image]) && broken(run, image));
        let images: Vec<String> = images.map(|image| image.to_string()).collect();
        (!images.is_empty()).then(|| {
            let (count, eps) = (images.len(), radius.eps);
            let first = images[..count.min(5)].join(", ");
            format!(
                "{} broke {count} images that are certified at eps {eps}, such as {first}",
                run.identity()
            )
        })
    };
    Crossed {
        attacked: Tally::new((0..proofs.len()).filter(|&image| stands(image)).count(), proofs.len()),
        contradictions: runs.iter().filter_map(contradiction).collect(),
    }
}
