//! Finds the attack report and the certificates of each network among several, and what of them can be compared.

use super::report;
use anyhow::{Result, bail};
use dq_net::{Network, content_hash};
use dq_report::document::front::{AtRadius, Attacked, Certified};
use dq_report::document::{self, Content};
use dq_sim::report::{Data, Model, Report, Tally};
use dq_sim::study::certify::Certificates;
use std::path::{Path, PathBuf};

/// Holds what is compared of one file.
struct Known<'a> {
    path: &'a Path,
    model: &'a Model,
    data: &'a Data,
    clean: Tally,
    radii: Vec<AtRadius>,
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
    let known = paths.iter().zip(&reports).map(|(path, report)| Known {
        path,
        model: &report.model,
        data: &report.data,
        clean: report.clean,
        radii: report.worst.iter().map(|worst| AtRadius { eps: worst.eps, tally: worst.tally }).collect(),
    });
    one_each("--reports", networks, &known.collect::<Vec<_>>(), |clean, worst| Attacked { clean, worst })
}

/// Returns the images of the certificates in `paths`, and the share of them that is proved of each of
/// `networks` at the radii that all files have; nothing without certificates.
///
/// # Errors
/// As those of [`attacked`].
pub fn certified(networks: &[Network], paths: &[PathBuf]) -> Result<(Option<Data>, Option<Vec<Certified>>)> {
    let all: Vec<Certificates> = paths.iter().map(|path| certificates(path)).collect::<Result<_>>()?;
    let known = paths.iter().zip(&all).map(|(path, found)| Known {
        path,
        model: &found.model,
        data: &found.data,
        clean: found.clean,
        radii: found.radii.iter().map(|at| AtRadius { eps: at.eps, tally: at.certified }).collect(),
    });
    one_each("--certificates", networks, &known.collect::<Vec<_>>(), |clean, proved| Certified {
        clean,
        proved,
    })
}

/// Reads the certificates at `path`.
fn certificates(path: &Path) -> Result<Certificates> {
    match document::read(path)?.pop().map(|document| document.content) {
        Some(Content::Certificates(found)) => Ok(found),
        _ => bail!("{}: expected certificates of `dq certify`, found another report", path.display()),
    }
}

/// Returns the images of the files, and what `make` makes of the file of each network at the radii that all files
/// have; nothing without files. `flag` is what the files were given by.
fn one_each<T>(
    flag: &str,
    networks: &[Network],
    known: &[Known],
    make: impl Fn(Tally, Vec<AtRadius>) -> T,
) -> Result<(Option<Data>, Option<Vec<T>>)> {
    let Some(first) = known.first() else { return Ok((None, None)) };
    for Known { path, model, data, .. } in known {
        if data.digest != first.data.digest {
            bail!(other(path, "data.digest", &data.digest, first.path, &first.data.digest));
        }
        let hash = &model.content_hash;
        if !networks.iter().any(|network| content_hash(network) == *hash) {
            bail!("{}: of network `{}`, {hash}, which is no MODEL", path.display(), model.name);
        }
    }
    let in_all = |eps: u8| known.iter().all(|file| file.radii.iter().any(|at| at.eps == eps));
    if !first.radii.iter().any(|at| in_all(at.eps)) {
        bail!("{flag}: expected a radius that all files have, found none");
    }
    let of_network = |network: &Network| {
        let hash = content_hash(network);
        let mut own = known.iter().filter(|file| file.model.content_hash == hash);
        match (own.next(), own.next()) {
            (Some(file), None) => {
                Ok(make(file.clean, file.radii.iter().filter(|at| in_all(at.eps)).cloned().collect()))
            }
            (None, _) => bail!("{flag}: expected one of network `{}`, {hash}, found none", network.name),
            (Some(one), Some(other)) => bail!(
                "{}: a second file of network `{}`, beside {}",
                other.path.display(),
                network.name,
                one.path.display()
            ),
        }
    };
    let all = networks.iter().map(of_network).collect::<Result<_>>()?;
    Ok((Some(first.data.clone()), Some(all)))
}

/// Says that a field of two files differs.
fn other(path: &Path, field: &str, found: &str, first: &Path, expected: &str) -> String {
    let (path, first) = (path.display(), first.display());
    format!("{path}: {field}: found `{found}`, but {first} has `{expected}`: not to be compared")
}
