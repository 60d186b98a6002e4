//! Reads the published arrays of corrupted test images: a folder with `NAME.npy` for each corruption, which
//! holds the whole test set at severity 1, then at severity 2 and so on to 5, and `labels.npy` (CIFAR-10-C).

use super::npy::{Header, Npy};
use anyhow::{Context, Result, bail, ensure};
use dq_data::Images;
use ndarray::{Array4, Ix1};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

/// Number of severities in each file.
const SEVERITIES: usize = 5;
/// Name of the file of labels, without its ending.
const LABELS: &str = "labels";

/// Holds the open files of a folder, each checked against the test set.
pub struct Folder {
    files: BTreeMap<String, Pixels>,
}

/// Holds an open file of images.
struct Pixels {
    path: PathBuf,
    file: File,
    /// Where the first pixel stands, in bytes.
    start: u64,
    /// Images of one severity.
    images: usize,
    /// Height, width and channels.
    shape: [usize; 3],
}

impl Folder {
    /// Opens the files of `kinds` in `folder`, or all where none is named. `images` is the whole test set.
    ///
    /// # Errors
    /// Where a file is missing, is not uint8, or has other images than five times the test set; where the
    /// labels are not the test set's.
    pub fn open(folder: &Path, kinds: &[String], images: &Images) -> Result<Folder> {
        check_labels(&folder.join(format!("{LABELS}.npy")), images)?;
        let kinds = if kinds.is_empty() { names(folder)? } else { kinds.to_vec() };
        let open = |kind: String| {
            let pixels = Pixels::open(folder.join(format!("{kind}.npy")), images)?;
            Ok((kind, pixels))
        };
        Ok(Folder { files: kinds.into_iter().map(open).collect::<Result<_>>()? })
    }

    /// Lists the corruptions by name.
    pub fn kinds(&self) -> Vec<String> {
        self.files.keys().cloned().collect()
    }

    /// Reads the images at consecutive `positions` of the test set under a corruption that is open.
    pub fn read(&mut self, kind: &str, severity: u8, positions: &[usize]) -> Result<Array4<u8>> {
        self.files.get_mut(kind).expect("an open file").read(severity, positions)
    }
}

impl Pixels {
    fn open(path: PathBuf, images: &Images) -> Result<Pixels> {
        let mut file = open(&path)?;
        let place = path.display();
        let header = Header::read(&mut file).with_context(|| place.to_string())?;
        let (rows, shape) = (SEVERITIES * images.len(), images.shape());
        let expected = [&[rows], &shape[..]].concat();
        ensure!(
            header.kind.ends_with("u1"),
            "{place}: expected numbers of type uint8, found `{}`",
            header.kind
        );
        ensure!(!header.is_fortran, "{place}: expected rows in order, found an array in Fortran's order");
        ensure!(
            header.shape == expected,
            "{place}: expected an array of shape {expected:?} ({SEVERITIES} severities of the {} test images of \
             {}), found {:?}",
            images.len(),
            images.name,
            header.shape
        );
        let start = file.stream_position().with_context(|| place.to_string())?;
        let found = file.metadata().with_context(|| place.to_string())?.len().saturating_sub(start);
        let wanted = header.bytes(1).unwrap_or(u64::MAX);
        ensure!(found == wanted, "{place}: expected {wanted} bytes, as its header says, found {found}");
        Ok(Pixels { file, start, images: images.len(), shape, path })
    }

    fn read(&mut self, severity: u8, positions: &[usize]) -> Result<Array4<u8>> {
        let [height, width, channels] = self.shape;
        let size = height * width * channels;
        let first = positions.first().map_or(0, |&first| (usize::from(severity) - 1) * self.images + first);
        let mut bytes = vec![0; positions.len() * size];
        self.file
            .seek(SeekFrom::Start(self.start + (first * size) as u64))
            .and_then(|_| self.file.read_exact(&mut bytes))
            .with_context(|| format!("{}: reading images", self.path.display()))?;
        let images = Array4::from_shape_vec((positions.len(), height, width, channels), bytes);
        Ok(images.expect("a whole image each"))
    }
}

fn open(path: &Path) -> Result<File> {
    File::open(path).with_context(|| format!("{}: opening", path.display()))
}

/// Lists the corruptions that a folder has.
fn names(folder: &Path) -> Result<Vec<String>> {
    let context = || format!("{}: reading the folder", folder.display());
    let mut names = vec![];
    for entry in fs::read_dir(folder).with_context(context)? {
        let path = entry.with_context(context)?.path();
        let is_array = path.extension().is_some_and(|end| end == "npy");
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if is_array && name != LABELS {
            names.push(name);
        }
    }
    ensure!(
        !names.is_empty(),
        "{}: expected a file NAME.npy for each corruption, found none",
        folder.display()
    );
    Ok(names)
}

/// Checks that the labels are those of the test set, once for each severity.
fn check_labels(path: &Path, images: &Images) -> Result<()> {
    let place = path.display().to_string();
    let npy = Npy::read(&mut open(path)?).with_context(|| place.clone())?;
    let labels = npy.integers::<i64, Ix1>(&place, "whole numbers, N")?;
    let rows = SEVERITIES * images.len();
    ensure!(labels.len() == rows, "{place}: expected {rows} labels, found {}", labels.len());
    for (row, (&found, &expected)) in labels.iter().zip(images.labels.iter().cycle()).enumerate() {
        if found != i64::from(expected) {
            let (image, name) = (row % images.len(), &images.name);
            bail!(
                "{place}: row {row}: expected {expected}, the label of image {image} of {name}, found {found}"
            );
        }
    }
    Ok(())
}
