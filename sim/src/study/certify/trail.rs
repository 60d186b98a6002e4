//! Keeps how a search cut a ball until bounds decided every part, so that someone else can check it: a
//! certificate without trust in the one who made it.

use crate::report::{Data, Model};
use serde::{Deserialize, Serialize};

const FORMAT: &str = "dq-certificate-trails";
const VERSION: u32 = 1;
/// Stands in [`Trail::cuts`] for a box that is not cut.
const WHOLE: i64 = -1;

/// Describes how a ball was cut into boxes, in preorder: a box, then the parts of its lower half, then those of
/// its upper one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trail {
    /// For each box the element (row-major, channels fastest) along which it is cut: its values up to
    /// lo + (hi − lo) / 2, rounded down, and those above; −1 where the bounds of the whole box suffice.
    pub cuts: Vec<i64>,
    /// For each box that is not cut, in order: by how much the label's score leads at least, less 1 over
    /// classes before it; never negative.
    pub slack: Vec<i64>,
}

/// Holds what a checker needs beside the network and the images.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Trails {
    /// Always `dq-certificate-trails`.
    pub format: String,
    /// Version of this layout.
    pub version: u32,
    /// The network.
    pub model: Model,
    /// The images.
    pub data: Data,
    /// The certificates.
    pub certificates: Vec<Certificate>,
}

/// Says that no image of a ball has another label, and how that follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// Position of the image in the data set.
    pub image: usize,
    /// Its label.
    pub label: u8,
    /// Radius, in units of a uint8 pixel.
    pub eps: u8,
    /// SHA-256 (hex) of the ball: the lower ends of its pixels, then the upper ones, row-major, a byte each. It
    /// binds the certificate to this image and radius.
    pub ball: String,
    /// How the ball was cut.
    pub trail: Trail,
}

impl Trails {
    /// Begins with no certificate.
    pub fn new(model: Model, data: Data) -> Self {
        Self { format: FORMAT.into(), version: VERSION, model, data, certificates: vec![] }
    }
}

/// Records the cuts of a search, in the order in which it makes them.
#[derive(Default)]
pub(super) struct Cuts(Vec<Part>);

/// Says what became of a box.
enum Part {
    Open,
    Decided { slack: i64 },
    Cut { element: usize, halves: [usize; 2] },
}

impl Cuts {
    /// Adds a box and returns its place.
    pub fn add(&mut self) -> usize {
        self.0.push(Part::Open);
        self.0.len() - 1
    }

    /// Says that the bounds of a box suffice.
    pub fn decide(&mut self, place: usize, slack: i64) {
        self.0[place] = Part::Decided { slack };
    }

    /// Says that a box is cut along an element, and returns the places of its halves.
    pub fn cut(&mut self, place: usize, element: usize) -> [usize; 2] {
        let halves = [self.add(), self.add()];
        self.0[place] = Part::Cut { element, halves };
        halves
    }

    /// Returns the whole tree, every box of which is decided.
    ///
    /// # Panics
    /// If one is not.
    pub fn trail(&self) -> Trail {
        let (mut trail, mut left) = (Trail::default(), vec![0]);
        while let Some(place) = left.pop() {
            match self.0[place] {
                Part::Open => unreachable!("the search ended"),
                Part::Decided { slack } => {
                    trail.cuts.push(WHOLE);
                    trail.slack.push(slack);
                }
                Part::Cut { element, halves: [below, above] } => {
                    trail.cuts.push(element as i64);
                    left.extend([above, below]);
                }
            }
        }
        trail
    }
}
