//! Finds the attack report and the certificates of each network among several, and what of them can be compared.

use super::report;
use anyhow::{Result, bail};
use dq_net::{Network, content_hash};
use dq_report::document::front::{AtRadius, Attacked, Certified};
use dq_report::document::{self, Content};
use dq_sim::report::{Data, Model, Report};
use dq_sim::study::certify::Certificates;
use std::path::{Path, PathBuf};

/// Holds what is compared of one file.
struct Known<'a> {
    model: &'a Model,
    data: &'a Data,
    radii: Vec<u8>,
}

/// Returns the images of the reports in `paths`, and what each of `networks` keeps of its accuracy at the
/// radii that all reports have; nothing without reports.
///
/// # Errors
/// Where a network has no report or two, where a report is of none of the networks, not whole, or of other
/// images or another threat model than the first, or where no radius is in all of them.
pub fn attacked(networks: &[Network], paths: &[PathBuf]) -> Result<(Option<Data>, Option<Vec<Attacked>>)> {
    let reports: Vec<Report> = paths.iter().map(|path| report::read(path)).collect::<Result<_>>()?;
    for (path, report) in paths.iter().zip(&reports) {
        if report.shard.is_some() || !report.complete {
            bail!(
                "{}: expected a whole attack report, found that of a shard or of a stopped attack",
                path.display()
            );
        }
        let [expected, found] = [&reports[0], report].map(|report| &report.threat_model);
        if found != expected {
            bail!(other(path, "threat_model", found, &paths[0], expected));
        }
    }
    let known: Vec<Known> = reports
        .iter()
        .map(|report| Known {
            model: &report.model,
            data: &report.data,
            radii: report.worst.iter().map(|worst| worst.eps).collect(),
        })
        .collect();
    let Some((radii, of_network)) = one_each("--reports", networks, paths, &known)? else {
        return Ok((None, None));
    };
    let at_radii = |at: usize| {
        let kept = reports[at].worst.iter().filter(|worst| radii.contains(&worst.eps));
        let worst = kept.map(|worst| AtRadius { eps: worst.eps, tally: worst.tally }).collect();
        Attacked { clean: reports[at].clean, worst }
    };
    Ok((Some(reports[0].data.clone()), Some(of_network.into_iter().map(at_radii).collect())))
}

/// Returns the images of the certificates in `paths`, and the share of them that is proved of each of
/// `networks` at the radii that all files have; nothing without certificates.
///
/// # Errors
/// As those of [`attacked`].
pub fn certified(networks: &[Network], paths: &[PathBuf]) -> Result<(Option<Data>, Option<Vec<Certified>>)> {
    let all: Vec<Certificates> = paths.iter().map(|path| certificates(path)).collect::<Result<_>>()?;
    let known: Vec<Known> = all
        .iter()
        .map(|found| Known {
            model: &found.model,
            data: &found.data,
            radii: found.radii.iter().map(|radius| radius.eps).collect(),
        })
        .collect();
    let Some((radii, of_network)) = one_each("--certificates", networks, paths, &known)? else {
        return Ok((None, None));
    };
    let at_radii = |at: usize| {
        let kept = all[at].radii.iter().filter(|radius| radii.contains(&radius.eps));
        let proved = kept.map(|radius| AtRadius { eps: radius.eps, tally: radius.certified }).collect();
        Certified { clean: all[at].clean, proved }
    };
    Ok((Some(all[0].data.clone()), Some(of_network.into_iter().map(at_radii).collect())))
}

/// Reads the certificates at `path`.
fn certificates(path: &Path) -> Result<Certificates> {
    match document::read(path)?.pop().map(|document| document.content) {
        Some(Content::Certificates(found)) => Ok(found),
        _ => bail!("{}: expected certificates of `dq certify`, found another report", path.display()),
    }
}

/// Returns the radii that all files have, and the place of each network's among them; nothing without files.
/// `flag` is what the files were given by.
fn one_each(
    flag: &str,
    networks: &[Network],
    paths: &[PathBuf],
    known: &[Known],
) -> Result<Option<(Vec<u8>, Vec<usize>)>> {
    let Some(first) = known.first() else { return Ok(None) };
    for (path, file) in paths.iter().zip(known) {
        if file.data.digest != first.data.digest {
            bail!(other(path, "data.digest", &file.data.digest, &paths[0], &first.data.digest));
        }
        let hash = &file.model.content_hash;
        if !networks.iter().any(|network| content_hash(network) == *hash) {
            bail!("{}: of network `{}`, {hash}, which is no MODEL", path.display(), file.model.name);
        }
    }
    let radii: Vec<u8> = first.radii.clone();
    let radii: Vec<u8> =
        radii.into_iter().filter(|eps| known.iter().all(|f| f.radii.contains(eps))).collect();
    if radii.is_empty() {
        bail!("{flag}: expected a radius that all files have, found none");
    }
    let of_network = |network: &Network| {
        let hash = content_hash(network);
        let mut own = (0..known.len()).filter(|&at| known[at].model.content_hash == hash);
        match (own.next(), own.next()) {
            (Some(at), None) => Ok(at),
            (None, _) => bail!("{flag}: expected one of network `{}`, {hash}, found none", network.name),
            (Some(one), Some(other)) => bail!(
                "{}: a second file of network `{}`, beside {}",
                paths[other].display(),
                network.name,
                paths[one].display()
            ),
        }
    };
    Ok(Some((radii, networks.iter().map(of_network).collect::<Result<_>>()?)))
}

/// Says that a field of two files differs.
fn other(path: &Path, field: &str, found: &str, first: &Path, expected: &str) -> String {
    let (path, first) = (path.display(), first.display());
    format!("{path}: {field}: found `{found}`, but {first} has `{expected}`: not to be compared")
}
