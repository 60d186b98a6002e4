//! Image data sets as plain uint8 arrays: one file and one row of [`SETS`] a data set.
//!
//! Never downloads, never normalizes and never augments: pixels are the published bytes, in the published order.
//! Every file is checked (size, header, labels) before an array is built from it.

mod cifar10;
mod files;
mod idx;
mod svhn;

use std::path::{Path, PathBuf};

use ndarray::{Array4, Axis};
use sha2::{Digest, Sha256};

/// The two published parts of every data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// What networks are trained on.
    Train,
    /// What networks are judged on; nothing is ever chosen by it.
    Test,
}

/// Labelled images: uint8 pixels, batch × height × width × channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// The data set's name, as in [`SETS`].
    pub name: String,
    /// N × H × W × C, standard (row-major) layout; 1 channel is grey, 3 are red, green, blue.
    pub pixels: Array4<u8>,
    /// N labels, each an index into `classes`.
    pub labels: Vec<u8>,
    /// The name of every class, in label order.
    pub classes: Vec<String>,
}

impl Images {
    /// How many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there is no image at all.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Height, width and channels of one image.
    pub fn shape(&self) -> [usize; 3] {
        let (_, height, width, channels) = self.pixels.dim();
        [height, width, channels]
    }

    /// The first `n` images, or all where there are fewer.
    pub fn take(&self, n: usize) -> Images {
        let indices: Vec<usize> = (0..n.min(self.len())).collect();
        self.select(&indices)
    }

    /// The images at `indices`, in that order; repeats are allowed.
    ///
    /// # Panics
    /// Where an index is not below [`len`](Images::len).
    pub fn select(&self, indices: &[usize]) -> Images {
        Images {
            name: self.name.clone(),
            pixels: self.pixels.select(Axis(0), indices),
            labels: indices.iter().map(|&i| self.labels[i]).collect(),
            classes: self.classes.clone(),
        }
    }

    /// SHA-256 in hex over the shape, the pixels (row-major) and the labels: names in a report exactly what was judged.
    pub fn digest(&self) -> String {
        let mut hash = Sha256::new();
        let (n, height, width, channels) = self.pixels.dim();
        for size in [n, height, width, channels] {
            hash.update((size as u64).to_le_bytes());
        }
        match self.pixels.as_slice() {
            Some(bytes) => hash.update(bytes),
            None => self.pixels.iter().for_each(|&pixel| hash.update([pixel])),
        }
        hash.update(&self.labels);
        hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
    }
}

/// A row of [`SETS`].
#[derive(Debug, Clone, Copy)]
pub struct Set {
    /// The name that recipes and flags use.
    pub name: &'static str,
    /// One line for people.
    pub about: &'static str,
    source: Source,
}

impl Set {
    /// Whether [`load`] must be given the folder that holds the published files.
    pub fn needs_dir(&self) -> bool {
        matches!(self.source, Source::Folder(_))
    }
}

#[derive(Debug, Clone, Copy)]
enum Source {
    Folder(fn(&Path, Split) -> Result<Images, DataError>),
}

/// Every data set there is.
pub const SETS: &[Set] = &[
    Set {
        name: "cifar10",
        about: "CIFAR-10: 50,000 + 10,000 colour photographs of ten classes, 32×32 (binary version)",
        source: Source::Folder(cifar10::load),
    },
    Set {
        name: "svhn",
        about: "SVHN: 73,257 + 26,032 digits of house numbers, 32×32 in colour (MATLAB files, cropped digits)",
        source: Source::Folder(svhn::load),
    },
    Set {
        name: "mnist",
        about: "MNIST: 60,000 + 10,000 handwritten digits, 28×28 in grey (IDX files, gzipped or not)",
        source: Source::Folder(idx::mnist),
    },
    Set {
        name: "fashion-mnist",
        about: "Fashion-MNIST: 60,000 + 10,000 articles of clothing, 28×28 in grey (IDX files, gzipped or not)",
        source: Source::Folder(idx::fashion_mnist),
    },
];

/// Why a data set could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No row of [`SETS`] has this name.
    #[error("unknown data set `{name}`: expected one of {known}")]
    UnknownSet {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The set comes from files, and no folder was named.
    #[error("data set `{set}` is read from its published files: name their folder (--data {set}=DIR)")]
    NeedsDir {
        /// The data set.
        set: &'static str,
    },
    /// A file could not be opened or read.
    #[error("data set `{set}`: cannot read {}: expected {expected}", path.display())]
    Unreadable {
        /// The data set.
        set: &'static str,
        /// The file.
        path: PathBuf,
        /// What should be there.
        expected: String,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// A file is there but is not what was published.
    #[error("data set `{set}`: {}: {what}: expected {expected}, found {found}", path.display())]
    Malformed {
        /// The data set.
        set: &'static str,
        /// The file.
        path: PathBuf,
        /// Which property of the file is wrong.
        what: String,
        /// What it should be.
        expected: String,
        /// What it is.
        found: String,
    },
}

/// Loads one split of data set `set`, from the published files in `dir` where it is not built in.
pub fn load(set: &str, dir: Option<&Path>, split: Split) -> Result<Images, DataError> {
    let row = SETS.iter().find(|row| row.name == set).ok_or_else(|| DataError::UnknownSet {
        name: set.to_owned(),
        known: SETS.iter().map(|row| row.name).collect::<Vec<_>>().join(", "),
    })?;
    match (row.source, dir) {
        (Source::Folder(load), Some(dir)) => load(dir, split),
        (Source::Folder(_), None) => Err(DataError::NeedsDir { set: row.name }),
    }
}
