//! Defines what `dq explore` writes: the plans of one or more networks that no other plan beats.

use dq_hdl::device::Budget;
use dq_hdl::estimate::Resources;
use dq_sim::report::{Data, Model, Tally};
use serde::{Deserialize, Serialize};

/// Format of the file, as its field `format` says it.
pub const FORMAT: &str = "dq-front";
/// Version of the format.
pub const VERSION: u32 = 1;

/// Holds the front of all networks together.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Front {
    /// Always [`FORMAT`].
    pub format: String,
    /// Always [`VERSION`].
    pub version: u32,
    /// Name of the device, where one bounds the plans.
    pub device: Option<String>,
    /// The most that a plan may use; what is not bounded is `u64::MAX`.
    pub budget: Budget,
    /// Clock of the plans, in MHz.
    pub clock_mhz: u32,
    /// The images of the attack reports, where there are any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub data: Option<Data>,
    /// The images of the certificates, where there are any: often more than were attacked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certified_data: Option<Data>,
    /// Number of plans that were made, those off the front included.
    pub plans: usize,
    /// One entry per network.
    pub networks: Vec<Explored>,
}

/// Holds the front of one network.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Explored {
    /// The network.
    pub model: Model,
    /// What attacks leave of it, where a report says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attacked: Option<Attacked>,
    /// What is proved of it, where certificates say so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certified: Option<Certified>,
    /// Its plans that no other plan beats, slowest first.
    pub points: Vec<Point>,
    /// What does not fit.
    pub refused: Vec<Refused>,
}

/// Holds the accuracy of a network with and without attack.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Attacked {
    /// Accuracy without attack.
    pub clean: Tally,
    /// Accuracy under all attacks together, one entry per radius that all networks were attacked at.
    pub worst: Vec<AtRadius>,
}

/// Holds the accuracy of a network without attack, and the share of images of which it is proved.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Certified {
    /// Accuracy without attack.
    pub clean: Tally,
    /// Certified accuracy, one entry per radius that all networks have certificates of.
    pub proved: Vec<AtRadius>,
}

/// Holds an accuracy at one radius.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AtRadius {
    /// Radius, in units of a uint8 pixel.
    pub eps: u8,
    /// Accuracy under the attack that is worst for each image, or the share of images that is certified.
    pub tally: Tally,
}

impl Explored {
    /// Returns what is known of its accuracy, each with its name, in which `eps` stands for the radius: without
    /// attack, under attack, and proved. Of networks of one front these are the same.
    pub fn accuracies(&self, eps: &str) -> Vec<(String, Tally)> {
        let mut all = vec![];
        let clean = self.attacked.as_ref().map(|attacked| attacked.clean);
        let clean = clean.or(self.certified.as_ref().map(|certified| certified.clean));
        all.extend(clean.map(|tally| ("clean".to_owned(), tally)));
        let attacked = self.attacked.iter().flat_map(|attacked| &attacked.worst);
        all.extend(attacked.map(|at| (format!("{eps} {}", at.eps), at.tally)));
        let certified = self.certified.iter().flat_map(|certified| &certified.proved);
        all.extend(certified.map(|at| (format!("{eps} {} certified", at.eps), at.tally)));
        all
    }
}

/// Describes one plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Point {
    /// What it was planned for.
    pub asked: Asked,
    /// Frames per second.
    pub frames_per_second: u64,
    /// Cycles from one frame to the next.
    pub interval: u64,
    /// Cycles from the first beat of a frame at the input to its last one at the output.
    pub latency: u64,
    /// Its resources, estimated.
    pub used: Resources,
}

/// Says what a plan is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// The least area at so many frames per second.
    FramesPerSecond(u64),
    /// As many frames per second as so many LUTs allow.
    Luts(u64),
}

/// Describes a plan that there is not.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Refused {
    /// What was asked for.
    pub asked: Asked,
    /// Why there is no such plan.
    pub why: String,
}

impl Asked {
    /// Returns it in words: `500 frames/s`, `20,000 LUTs`.
    pub fn text(self) -> String {
        match self {
            Asked::FramesPerSecond(frames) => format!("{} frames/s", crate::text::thousands(frames)),
            Asked::Luts(luts) => format!("{} LUTs", crate::text::thousands(luts)),
        }
    }
}

impl Point {
    /// Returns the latency in microseconds at `clock_mhz`.
    pub fn microseconds(&self, clock_mhz: u32) -> f64 {
        self.latency as f64 / f64::from(clock_mhz)
    }
}
