//! Reads the files that a page is made of: each says by its field `format` what it is.

pub mod front;
mod studies;

pub use studies::{
    Amplification, Amplified, AmplifiedNetwork, Corrupted, CorruptedRow, Corruptions, Faults, Flip, FlipRate,
    Landscapes, Stuck, Surroundings, Upset, Withstood,
};

use dq_hdl::emit::Report as Circuit;
use dq_hdl::flow::Record;
use dq_sim::report::Report as Attacks;
use dq_sim::study::certify::Certificates;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::io;
use std::path::{Path, PathBuf};
use thiserror::Error;

/// Most bytes of a file that is read.
const LIMIT: u64 = 1 << 30;

/// Says why a page cannot be made of the files given.
#[derive(Debug, Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("{}: reading the report: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        error: io::Error,
    },
    /// A file is no JSON, or lacks a field.
    #[error("{}: {what}: {error}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// What it was taken for.
        what: String,
        /// What the parser found.
        error: serde_json::Error,
    },
    /// A file is a plan, which holds choices and no figures.
    #[error(
        "{}: expected a report, found a plan: give the report.json beside it, or what `dq plan --report` writes",
        path.display()
    )]
    Plan {
        /// The file.
        path: PathBuf,
    },
    /// A file is none of the reports that a page shows.
    #[error("{}: field `format`: expected one of {}, found {found}", path.display(), known())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What stands in the field.
        found: String,
    },
    /// A file has another version.
    #[error("{}: field `version`: expected {expected}, found {found}", path.display())]
    Version {
        /// The file.
        path: PathBuf,
        /// The version that is read.
        expected: u32,
        /// What stands in the field.
        found: String,
    },
    /// Two files are of different images, so that their figures cannot stand side by side.
    #[error(
        "{}: field `{field}`: found {found}, but {} has {expected}: figures of different images cannot stand \
         on one page",
        path.display(),
        other.display()
    )]
    OtherImages {
        /// The file.
        path: PathBuf,
        /// Name of the field.
        field: &'static str,
        /// What stands there.
        found: String,
        /// The file that it is compared with.
        other: PathBuf,
        /// What stands there.
        expected: String,
    },
}

/// Holds the content of one file.
#[derive(Debug)]
pub enum Content {
    /// What `dq attack`, `dq transfer` or `dq merge` wrote.
    Attacks(Box<Attacks>),
    /// What `dq certify` wrote.
    Certificates(Certificates),
    /// What `dq faults` wrote.
    Faults(Faults),
    /// What `dq corrupt` wrote.
    Corruptions(Corruptions),
    /// What `dq amplify` wrote.
    Amplification(Amplification),
    /// What `dq landscape` wrote.
    Landscapes(Landscapes),
    /// What `dq emit` wrote, or `dq plan` with `--report`.
    Circuit(Box<Circuit>),
    /// What `dq explore` wrote.
    Front(front::Front),
    /// What `dq build` wrote.
    Record(Box<Record>),
}

/// Holds one file.
#[derive(Debug)]
pub struct Document {
    /// Where it lies.
    pub path: PathBuf,
    /// What it says.
    pub content: Content,
}

/// Reads the content of a file whose format is known.
type Reader = fn(Value) -> Result<Content, serde_json::Error>;

/// Lists the formats with their versions.
const FORMATS: &[(&str, u32, Reader)] = &[
    (dq_sim::report::FORMAT, dq_sim::report::VERSION, |v| parse(v).map(Content::Attacks)),
    ("dq-certificates", 1, |v| parse(v).map(Content::Certificates)),
    ("dq-certificates", 2, |v| parse(v).map(Content::Certificates)),
    ("dq-faults", 1, |v| parse(v).map(Content::Faults)),
    ("dq-corruptions", 1, |v| parse(v).map(Content::Corruptions)),
    ("dq-amplification", 2, |v| parse(v).map(Content::Amplification)),
    ("dq-landscape", 1, |v| parse(v).map(Content::Landscapes)),
    (dq_hdl::emit::FORMAT, dq_hdl::emit::VERSION, |v| parse(v).map(Content::Circuit)),
    (front::FORMAT, front::VERSION, |v| parse(v).map(Content::Front)),
];

/// Format of the demo's report, which holds reports of several networks.
const DEMO: &str = "dq-demo-report";

fn parse<T: DeserializeOwned>(value: Value) -> Result<T, serde_json::Error> {
    serde_json::from_value(value)
}

fn known() -> String {
    let mut names: Vec<String> =
        FORMATS.iter().map(|(name, ..)| *name).chain([DEMO]).map(|name| format!("`{name}`")).collect();
    names.dedup();
    names.join(", ") + " (or a board's record)"
}

/// Holds what a page takes of the demo's report.
#[derive(Deserialize)]
struct Demo {
    networks: Vec<Member>,
}

#[derive(Deserialize)]
struct Member {
    circuit: Box<Circuit>,
    attacks: Box<Attacks>,
}

/// Reads the file at `path`. The demo's report becomes several documents.
///
/// # Errors
/// [`Error`], where the file cannot be read, is no report, or one of another version.
pub fn read(path: &Path) -> Result<Vec<Document>, Error> {
    let at = || path.to_path_buf();
    let text = read_text(path).map_err(|error| Error::Read { path: at(), error })?;
    let json = |what: &str| {
        let what = what.to_owned();
        move |error| Error::Json { path: at(), what, error }
    };
    let value: Value = serde_json::from_str(&text).map_err(json("not JSON, or cut off"))?;
    let found = &value["format"];
    if found == DEMO {
        let demo: Demo = parse(value).map_err(json("not the demo's report"))?;
        let both = |member: Member| [Content::Circuit(member.circuit), Content::Attacks(member.attacks)];
        let document = |content| Document { path: at(), content };
        return Ok(demo.networks.into_iter().flat_map(both).map(document).collect());
    }
    // Of a format with several versions the last is the newest.
    let named = || FORMATS.iter().filter(|(name, ..)| found == name);
    let content = match named().find(|(_, version, _)| value["version"] == *version).or(named().next_back()) {
        Some((name, version, reader)) => {
            if value["version"] != *version {
                let found = value["version"].to_string();
                return Err(Error::Version { path: at(), expected: *version, found });
            }
            reader(value).map_err(json(&format!("not a whole `{name}` of version {version}")))?
        }
        // A board's record has no format of its own.
        None if value["board"].is_string() && value["fmax_khz"].is_number() => {
            Content::Record(parse(value).map_err(json("not a board's record"))?)
        }
        None if value["nodes"].is_array() && value["clock_mhz"].is_number() => {
            return Err(Error::Plan { path: at() });
        }
        None => return Err(Error::Unknown { path: at(), found: found.to_string() }),
    };
    Ok(vec![Document { path: at(), content }])
}

fn read_text(path: &Path) -> io::Result<String> {
    let size = std::fs::metadata(path)?.len();
    if size > LIMIT {
        return Err(io::Error::other(format!("{size} bytes, at most {LIMIT} are read")));
    }
    std::fs::read_to_string(path)
}
