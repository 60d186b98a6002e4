//! Writes the command that makes a document again, from what the document says. Networks are named as the
//! documents name them, data sets without their folders.

use super::distinct;
use crate::document::front::{Asked, Front};
use crate::document::{Amplification, Content, Corruptions, Faults, Landscapes};
use dq_hdl::emit::Report as Circuit;
use dq_hdl::flow::Record;
use dq_sim::attack::SETS;
use dq_sim::report::{Model, Report, Run, Start};
use dq_sim::study::certify::{BoundsBy, Certificates};
use dq_sim::twin::LADDER;
use std::fmt::Display;

/// Returns the command whose result `content` is.
pub(super) fn command(content: &Content) -> String {
    match content {
        Content::Attacks(found) => attack(found),
        Content::Certificates(found) => certify(found),
        Content::Faults(found) => faults(found),
        Content::Corruptions(found) => corrupt(found),
        Content::Amplification(found) => amplify(found),
        Content::Landscapes(found) => landscape(found),
        Content::Circuit(found) => circuit(found),
        Content::Front(found) => explore(found),
        Content::Record(found) => build(found),
    }
}

fn attack(report: &Report) -> String {
    // A run names the source of its gradients where that is another network: a substitute, or a twin of --ladder.
    let sources: Vec<&str> = distinct(report.runs.iter().filter_map(|run| run.source.as_deref()));
    let (twins, substitutes): (Vec<&str>, Vec<&str>) =
        sources.into_iter().partition(|name| LADDER.contains(name));
    let asks_gradient = |run: &&Run| dq_sim::attack::find(&run.attack).is_some_and(|attack| attack.gradient);
    let has_white_box = report.runs.iter().filter(asks_gradient).any(|run| run.source.is_none());
    let flag = if has_white_box { "also-from" } else { "from" };
    let mut more = String::new();
    if report.start == Start::Uniform {
        more += " --start uniform";
    }
    if report.runs.iter().any(|run| run.settings.get("gradients").is_some_and(|name| name == "int16")) {
        more += " --grad int16";
    }
    more += &substitutes.iter().map(|name| format!(" --{flag} {name}")).collect::<String>();
    if !twins.is_empty() {
        more += " --ladder";
    }
    if let Some(detector) = &report.detector {
        more += &format!(" --detector {}", detector.squeezing);
    }
    if let Some(shard) = report.shard {
        more += &format!(" --shard {}/{}", shard.index, shard.count);
    }
    format!(
        "dq attack {} --data {} --count {} --attack {} --eps {}{more} --seed {} -o FILE",
        file(&report.model),
        report.data.name,
        report.data.images,
        attacks(report),
        list(distinct(report.runs.iter().map(|run| run.eps))),
        report.seed
    )
}

/// Names the attacks as the command line does: AutoAttack's sets run in sequence only where the set is named,
/// unless each attack is to get every image.
fn attacks(report: &Report) -> String {
    let names = distinct(report.runs.iter().map(|run| run.attack.as_str()));
    let is_first = |set: &&(&str, &[&str])| names.starts_with(set.1) && set.0.starts_with("auto");
    let Some((set, members)) = SETS.iter().filter(is_first).max_by_key(|set| set.1.len()) else {
        return list(names);
    };
    let named: Vec<&str> = [*set].into_iter().chain(names[members.len()..].iter().copied()).collect();
    list(named) + if report.sequential { "" } else { " --each" }
}

fn certify(found: &Certificates) -> String {
    let bounds = match found.bounds {
        BoundsBy::Intervals => "intervals",
        BoundsBy::Linear => "linear",
    };
    format!(
        "dq certify {} --data {} --count {} --eps {} --boxes {} --bounds {bounds} --attack {} --seed {} -o FILE",
        file(&found.model),
        found.data.name,
        found.data.images,
        list(found.radii.iter().map(|radius| radius.eps)),
        found.boxes,
        found.attack,
        found.seed
    )
}

fn faults(found: &Faults) -> String {
    let any = |has: fn(&crate::document::Withstood) -> bool| found.networks.iter().any(has);
    let kinds = [
        ("flips", any(|network| !network.flips.is_empty())),
        ("search", any(|network| !network.search.is_empty())),
        ("upsets", any(|network| !network.upsets.is_empty())),
        ("stuck", any(|network| !network.stuck.is_empty())),
    ];
    let kinds = list(kinds.into_iter().filter(|(_, is_there)| *is_there).map(|(kind, _)| kind));
    let mut more = String::new();
    let rates = found.networks.iter().flat_map(|network| network.flips.iter().map(|row| row.rate));
    let rates = distinct(rates.map(|rate| format!("{rate:e}")));
    if !rates.is_empty() {
        more += &format!(" --rates {}", list(rates));
    }
    // A search that came down to chance would have ended there whatever number was allowed.
    if let Some(most) = found.networks.iter().map(|network| network.search.len()).max().filter(|&n| n > 0) {
        more += &format!(" --flips {most} --batch {}", found.batch);
    }
    format!(
        "dq faults {} --data {} --count {} --fault {kinds}{more} --trials {} --seed {} -o FILE",
        files(found.networks.iter().map(|network| &network.model)),
        found.data.name,
        found.data.images,
        found.trials,
        found.seed
    )
}

fn corrupt(found: &Corruptions) -> String {
    let kinds = distinct(found.networks.iter().flat_map(|network| &network.kinds).map(|row| &row.kind));
    let arrays = found.arrays.as_ref().map(|folder| format!(" --arrays {folder}")).unwrap_or_default();
    format!(
        "dq corrupt {} --data {} --count {}{arrays} --kind {} --severity {} --seed {} -o FILE",
        files(found.networks.iter().map(|network| &network.model)),
        found.data.name,
        found.data.images,
        list(kinds),
        list(&found.severities),
        found.seed
    )
}

fn amplify(found: &Amplification) -> String {
    let block = found.networks.iter().find_map(|network| network.first_block.as_ref());
    let block = block.map(|block| {
        let bits = list(block.quantized.iter().map(|width| width.bits));
        // Networks whose quantizers have other names were measured at their first ones.
        let nodes = found.networks.iter().filter_map(|network| network.first_block.as_ref());
        let is_one = nodes.map(|other| &other.node).all(|node| *node == block.node);
        let after = if is_one { format!(" --after {}", block.node) } else { String::new() };
        format!(" --bits {bits}{after}")
    });
    format!(
        "dq amplify {} --data {} --count {}{} --attack {} --eps {}{} --seed {} -o FILE",
        files(found.networks.iter().map(|network| &network.model)),
        found.data.name,
        found.data.images,
        if found.all { " --all" } else { "" },
        found.attack,
        list(&found.eps),
        block.unwrap_or_default(),
        found.seed
    )
}

fn landscape(found: &Landscapes) -> String {
    format!(
        "dq landscape {} --data {} --count {} --eps {} --seed {} -o FILE",
        file(&found.model),
        found.data,
        found.images.len(),
        found.eps,
        found.seed
    )
}

/// The plan stands in the file `plan.json` beside the report.
fn circuit(found: &Circuit) -> String {
    format!("dq emit {}.json --plan plan.json -o FOLDER", found.name)
}

fn explore(found: &Front) -> String {
    let asked = || {
        let points = found.networks.iter().flat_map(|network| network.points.iter().map(|point| point.asked));
        points
            .chain(found.networks.iter().flat_map(|network| network.refused.iter().map(|other| other.asked)))
    };
    let frames = distinct(asked().filter_map(|asked| match asked {
        Asked::FramesPerSecond(frames) => Some(frames),
        Asked::Luts(_) => None,
    }));
    let luts = distinct(asked().filter_map(|asked| match asked {
        Asked::Luts(luts) => Some(luts),
        Asked::FramesPerSecond(_) => None,
    }));
    let what =
        if luts.is_empty() { format!("--fps {}", list(frames)) } else { format!("--luts {}", list(luts)) };
    let device = found.device.as_ref().map(|device| format!(" --device {device}")).unwrap_or_default();
    let any = |has: fn(&crate::document::front::Explored) -> bool| found.networks.iter().any(has);
    let reports = if any(|network| network.attacked.is_some()) { " --reports FILES" } else { "" };
    let proofs = if any(|network| network.certified.is_some()) { " --certificates FILES" } else { "" };
    format!(
        "dq explore {}{device} --mhz {} {what}{reports}{proofs} -o FILE",
        files(found.networks.iter().map(|network| &network.model)),
        found.clock_mhz
    )
}

/// The record itself holds the plan, in its field `plan`.
fn build(found: &Record) -> String {
    let last = found.tried_khz.keys().max().copied().unwrap_or(found.seed);
    format!(
        "dq build {}.json --board {} --plan plan.json --seeds {last} -o FOLDER",
        found.network, found.board
    )
}

/// Names the file of a network.
fn file(model: &Model) -> String {
    format!("{}.json", model.name)
}

fn files<'a>(models: impl Iterator<Item = &'a Model>) -> String {
    models.map(file).collect::<Vec<_>>().join(" ")
}

/// Writes values as the command line takes several.
fn list<T: Display>(values: impl IntoIterator<Item = T>) -> String {
    values.into_iter().map(|value| value.to_string()).collect::<Vec<_>>().join(",")
}
