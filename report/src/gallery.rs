//! Defines the gallery: images, their adversaries, and what networks make of both (the paper's appendix C).

/// Holds the images of a gallery.
#[derive(Clone, Debug, Default)]
pub struct Gallery {
    /// Height, width and channels of an image; 1 channel is grey, 3 are red, green, blue.
    pub shape: [usize; 3],
    /// Names of the networks that judge.
    pub networks: Vec<String>,
    /// The images, in order.
    pub samples: Vec<Sample>,
}

/// Holds one image and its adversary.
#[derive(Clone, Debug)]
pub struct Sample {
    /// Position of the image in the data set.
    pub index: usize,
    /// The attack that made the adversary.
    pub attack: String,
    /// Radius, in grey levels.
    pub eps: u8,
    /// Name of the true class.
    pub class: String,
    /// Pixels of the image, row-major.
    pub original: Vec<u8>,
    /// Pixels of the adversary.
    pub adversary: Vec<u8>,
    /// What each network says of the image and of the adversary, in the networks' order.
    pub verdicts: Vec<[Verdict; 2]>,
}

/// Holds what a network says of one image.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Name of the class.
    pub class: String,
    /// Whether it is the true one.
    pub right: bool,
    /// The softmax of the logits at that class, 0 to 1.
    pub probability: f64,
}
