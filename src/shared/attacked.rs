//! Finds the attack report of each network among several, and what of them can be compared.

use super::report;
use anyhow::{Result, bail};
use dq_net::{Network, content_hash};
use dq_report::document::front::{AtRadius, Attacked};
use dq_sim::report::{Data, Report};
use std::path::{Path, PathBuf};

/// Returns the images of the reports in `paths`, and what each of `networks` keeps of its accuracy at the
/// radii that all reports have; nothing without reports.
///
/// # Errors
/// Where a network has no report or two, where a report is of none of the networks, not whole, or of other
/// images or another threat model than the first, or where no radius is in all of them.
pub fn attacked(networks: &[Network], paths: &[PathBuf]) -> Result<(Option<Data>, Option<Vec<Attacked>>)> {
    let mut reports: Vec<(&Path, Report)> = vec![];
    for path in paths {
        reports.push((path, report::read(path)?));
    }
    let Some((first_path, first)) = reports.first() else { return Ok((None, None)) };
    for (path, report) in &reports {
        let path = path.display();
        let expected = |what: &str, expected: &str, found: &str| {
            let first = first_path.display();
            format!("{path}: {what}: found `{found}`, but {first} has `{expected}`: not to be compared")
        };
        if report.shard.is_some() || !report.complete {
            bail!("{path}: expected a whole attack report, found that of a shard or of a stopped attack");
        }
        if report.data.digest != first.data.digest {
            bail!(expected("data.digest", &first.data.digest, &report.data.digest));
        }
        if report.threat_model != first.threat_model {
            bail!(expected("threat_model", &first.threat_model, &report.threat_model));
        }
        let hash = &report.model.content_hash;
        if !networks.iter().any(|network| content_hash(network) == *hash) {
            bail!("{path}: the report of network `{}`, {hash}, which is no MODEL", report.model.name);
        }
    }
    let has = |report: &Report, eps: u8| report.worst.iter().any(|worst| worst.eps == eps);
    let radii = first.worst.iter().map(|worst| worst.eps);
    let radii: Vec<u8> = radii.filter(|&eps| reports.iter().all(|(_, report)| has(report, eps))).collect();
    if radii.is_empty() {
        bail!("--reports: expected a radius that all reports have, found none");
    }
    let of_network = |network: &Network| {
        let hash = content_hash(network);
        let mut own = reports.iter().filter(|(_, report)| report.model.content_hash == hash);
        match (own.next(), own.next()) {
            (Some((_, report)), None) => Ok(at_radii(report, &radii)),
            (None, _) => bail!("--reports: expected one of network `{}`, {hash}, found none", network.name),
            (Some((one, _)), Some((other, _))) => bail!(
                "{}: a second report of network `{}`, beside {}",
                other.display(),
                network.name,
                one.display()
            ),
        }
    };
    let all = networks.iter().map(of_network).collect::<Result<_>>()?;
    Ok((Some(first.data.clone()), Some(all)))
}

/// Returns the accuracy at `radii`, all of which `report` has.
fn at_radii(report: &Report, radii: &[u8]) -> Attacked {
    let kept = report.worst.iter().filter(|worst| radii.contains(&worst.eps));
    let worst = kept.map(|worst| AtRadius { eps: worst.eps, tally: worst.tally }).collect();
    Attacked { clean: report.clean, worst }
}
