//! Loads image data sets as plain uint8 arrays. Each family of data sets has one file here, and each data set
//! one row of [`SETS`].
//!
//! Nothing is downloaded, normalized or augmented: pixels are the published bytes, in the published order.
//! Every file is checked (size, header, labels) before an array is built from it.

mod cifar10;
mod files;
mod gzip;
mod idx;
pub mod signs;
mod svhn;

use std::path::{Path, PathBuf};

use ndarray::{Array4, Axis};
use sha2::{Digest, Sha256};

/// Names the two published parts of every data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Split {
    /// The images that networks are trained on.
    Train,
    /// The images that networks are judged on; nothing is ever chosen by them.
    Test,
}

/// Holds labelled images: uint8 pixels, batch × height × width × channels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Images {
    /// The data set's name, as in [`SETS`].
    pub name: String,
    /// Pixels, N × H × W × C, in standard (row-major) layout; 1 channel is grey, 3 are red, green, blue.
    pub pixels: Array4<u8>,
    /// N labels, each an index into `classes`.
    pub labels: Vec<u8>,
    /// The name of every class, in label order.
    pub classes: Vec<String>,
}

impl Images {
    /// Returns how many images there are.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Returns whether there is no image at all.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Returns the height, width and channels of one image.
    pub fn shape(&self) -> [usize; 3] {
        let (_, height, width, channels) = self.pixels.dim();
        [height, width, channels]
    }

    /// Returns whether a network of `classes` classes can be judged on these images. A published set needs
    /// exactly its own number; the user's own images, whose classes have no names, need at least as many as
    /// there are labels.
    pub fn fits_classes(&self, classes: usize) -> bool {
        let named = self.name != idx::OWN;
        self.classes.len() == classes || !named && self.classes.len() < classes
    }

    /// Returns the first `n` images, or all where there are fewer.
    pub fn take(&self, n: usize) -> Images {
        let indices: Vec<usize> = (0..n.min(self.len())).collect();
        self.select(&indices)
    }

    /// Returns the images at `indices`, in that order; repeats are allowed.
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

    /// Returns the SHA-256 (hex) of the shape, the pixels (row-major) and the labels, by which a report names
    /// exactly what was judged.
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

/// Describes a data set: a row of [`SETS`].
#[derive(Debug, Clone, Copy)]
pub struct Set {
    /// The name that recipes and flags use.
    pub name: &'static str,
    /// What the set holds, in one line.
    pub about: &'static str,
    source: Source,
}

impl Set {
    /// Returns whether [`load`] must be given the folder that holds the published files.
    pub fn needs_dir(&self) -> bool {
        matches!(self.source, Source::Folder(_))
    }
}

#[derive(Debug, Clone, Copy)]
enum Source {
    BuiltIn(fn(Split) -> Images),
    Folder(fn(&Path, Split) -> Result<Images, DataError>),
}

/// Lists every data set.
pub const SETS: &[Set] = &[
    Set {
        name: "signs",
        about: "drawn traffic signs: 8,000 + 2,000 images of ten classes, 32×32 in colour (built in)",
        source: Source::BuiltIn(signs::load),
    },
    Set {
        name: "cifar10",
        about: "CIFAR-10: 50,000 + 10,000 colour photographs of ten classes, 32×32 (binary version)",
        source: Source::Folder(cifar10::load),
    },
    Set {
        name: "svhn",
        about: "SVHN: 73,257 + 26,032 digits of house numbers, 32×32 in colour (MATLAB files)",
        source: Source::Folder(svhn::load),
    },
    Set {
        name: "mnist",
        about: "MNIST: 60,000 + 10,000 handwritten digits, 28×28 in grey (IDX files, gzipped or not)",
        source: Source::Folder(idx::mnist),
    },
    Set {
        name: "fashion-mnist",
        about: "Fashion-MNIST: 60,000 + 10,000 articles of clothing, 28×28 in grey (IDX files, or gzipped)",
        source: Source::Folder(idx::fashion_mnist),
    },
    Set {
        name: idx::OWN,
        about: "your own images: any size, up to 256 classes (IDX files that are named like MNIST's)",
        source: Source::Folder(idx::own),
    },
];

/// Says why a data set could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum DataError {
    /// No row of [`SETS`] has this name.
    #[error("unknown data set `{name}`: expected one of {known}")]
    UnknownSet {
        /// The name that was asked for.
        name: String,
        /// The names that [`SETS`] has.
        known: String,
    },
    /// The set comes from files, but no folder was named.
    #[error("data set `{set}` is read from its published files: name their folder (--data {set}=DIR)")]
    NeedsDir {
        /// The data set.
        set: &'static str,
    },
    /// The set is built in, but a folder was named.
    #[error("data set `{set}` is built in: it reads no folder (leave out --data {set}=DIR)")]
    TakesNoDir {
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
    /// The files are sound but hold no image.
    #[error(
        "data set `{set}`: {}: expected at least one image in its {split} split, found none",
        dir.display()
    )]
    Empty {
        /// The data set.
        set: &'static str,
        /// The folder.
        dir: PathBuf,
        /// The split.
        split: &'static str,
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

/// Loads one split of data set `set`, from the published files in `dir` where it is not built in. The result
/// has at least one image.
pub fn load(set: &str, dir: Option<&Path>, split: Split) -> Result<Images, DataError> {
    let row = SETS.iter().find(|row| row.name == set).ok_or_else(|| DataError::UnknownSet {
        name: set.to_owned(),
        known: SETS.iter().map(|row| row.name).collect::<Vec<_>>().join(", "),
    })?;
    match (row.source, dir) {
        (Source::BuiltIn(load), None) => Ok(load(split)),
        (Source::BuiltIn(_), Some(_)) => Err(DataError::TakesNoDir { set: row.name }),
        (Source::Folder(load), Some(dir)) => {
            let images = load(dir, split)?;
            if images.is_empty() {
                let split = match split {
                    Split::Train => "training",
                    Split::Test => "test",
                };
                return Err(DataError::Empty { set: row.name, dir: dir.to_owned(), split });
            }
            Ok(images)
        }
        (Source::Folder(_), None) => Err(DataError::NeedsDir { set: row.name }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_found_by_name_and_need_what_they_say() {
        let error = load("cifar-10", None, Split::Train).unwrap_err().to_string();
        assert!(error.contains("`cifar-10`") && error.contains("signs, cifar10, svhn, mnist"), "{error}");
        for set in SETS {
            let dir = if set.needs_dir() { None } else { Some(Path::new(".")) };
            let error = load(set.name, dir, Split::Test).unwrap_err().to_string();
            assert!(error.contains(set.name) && error.contains("--data"), "{error}");
        }
    }

    #[test]
    fn a_set_of_no_images_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let header = |dims: &[u32]| {
            let magic = [0x0800 + dims.len() as u32];
            magic.iter().chain(dims).flat_map(|word| word.to_be_bytes()).collect::<Vec<u8>>()
        };
        std::fs::write(dir.path().join("t10k-images-idx3-ubyte"), header(&[0, 28, 28])).unwrap();
        std::fs::write(dir.path().join("t10k-labels-idx1-ubyte"), header(&[0])).unwrap();
        for set in ["mnist", "idx"] {
            let error = load(set, Some(dir.path()), Split::Test).unwrap_err().to_string();
            assert!(error.contains("at least one image in its test split, found none"), "{error}");
        }
    }

    #[test]
    fn selection_and_digest() {
        let images = signs::draw(1, Split::Train, 6);
        let chosen = images.select(&[4, 0, 4]);
        assert_eq!(chosen.labels, [4, 0, 4].map(|i: usize| images.labels[i]));
        assert_eq!(chosen.pixels.index_axis(Axis(0), 2), images.pixels.index_axis(Axis(0), 4));
        assert_eq!(images.take(2), images.select(&[0, 1]));
        assert_eq!(images.take(100), images);
        // The digest sees pixels and labels, and not how the array lies in memory.
        let mut other = images.clone();
        other.pixels[[5, 31, 31, 2]] ^= 1;
        assert_ne!(other.digest(), images.digest());
        other = images.clone();
        other.labels[5] ^= 1;
        assert_ne!(other.digest(), images.digest());
        other = images.clone();
        other.pixels.invert_axis(Axis(1));
        let flipped = other.digest();
        other.pixels = other.pixels.as_standard_layout().into_owned();
        assert_eq!(other.digest(), flipped);
    }
}
