//! Defines the gallery: images, their adversaries, and what networks make of both (the paper's appendix C).

use crate::png::png;

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

impl Sample {
    /// Returns the difference of adversary and image around grey, so strong that the radius reaches black and
    /// white.
    pub(crate) fn difference(&self) -> Vec<u8> {
        let gain = 127.0 / f64::from(self.eps.max(1));
        let amplified = |(a, b): (&u8, &u8)| {
            let change = f64::from(i16::from(*b) - i16::from(*a));
            (128.0 + gain * change).round().clamp(0.0, 255.0) as u8
        };
        self.original.iter().zip(&self.adversary).map(amplified).collect()
    }
}

impl Gallery {
    /// Returns the pictures as PNG files, three for each sample, and `verdicts.csv`: for each sample, picture
    /// and network the class and its probability (0 to 1).
    pub fn files(&self) -> Vec<(String, Vec<u8>)> {
        let mut files = vec![];
        let mut verdicts = String::from("index,true class,attack,eps,network,picture,class,probability\n");
        for sample in &self.samples {
            // One image may have adversaries of several attacks.
            let stem = format!("{:05}-{}-{}", sample.index, plain(&sample.attack), sample.eps);
            let difference = sample.difference();
            let pictures =
                [("image", &sample.original), ("adversary", &sample.adversary), ("difference", &difference)];
            files.extend(
                pictures.map(|(name, pixels)| (format!("{stem}-{name}.png"), png(self.shape, pixels))),
            );
            for (network, both) in self.networks.iter().zip(&sample.verdicts) {
                for (picture, said) in ["image", "adversary"].iter().zip(both) {
                    verdicts += &format!(
                        "{},{},{},{},{},{picture},{},{:.4}\n",
                        sample.index,
                        quoted(&sample.class),
                        quoted(&sample.attack),
                        sample.eps,
                        quoted(network),
                        quoted(&said.class),
                        said.probability
                    );
                }
            }
        }
        files.push(("verdicts.csv".into(), verdicts.into_bytes()));
        files
    }
}

/// Returns a name of letters, digits and hyphens.
fn plain(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}

/// Returns a field of a CSV file.
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.into()
    }
}
