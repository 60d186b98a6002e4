//! Reads adversaries from a file, holds them against the test set that they are of, and judges them.

use super::npz::Npz;
use super::{L2, LINF};
use anyhow::{Result, bail};
use dq_data::Images;
use dq_net::layer::Input;
use dq_sim::attack::Norm;
use dq_sim::attack::suite::Judge;
use ndarray::{Array4, Axis, Ix1, Ix4};
use serde::Serialize;
use std::collections::BTreeSet;
use std::path::Path;

/// Holds adversaries as they were read.
#[derive(Debug)]
pub struct Read {
    /// The images, adversary × height × width × channels.
    pub images: Array4<u8>,
    /// Position of each adversary's original in the test set.
    pub indices: Vec<usize>,
    /// Norm of each adversary's ball.
    pub norms: Vec<Norm>,
    /// Radius of each adversary's ball, in units of a uint8 pixel.
    pub eps: Vec<u8>,
    /// Whether the file says the radii.
    pub has_eps: bool,
    /// Place of each adversary's run in the report's list; empty where the file does not say it.
    pub runs: Vec<usize>,
}

/// Says what became of adversaries from a file.
#[derive(Debug, Serialize)]
pub struct Judged {
    /// Number of adversaries.
    pub adversaries: usize,
    /// Number of images that they are adversaries of.
    #[serde(skip)]
    pub images: usize,
    /// Number of those that are farther from their originals than their radius.
    pub outside: usize,
    /// Number of those within it that the network labels wrong.
    pub broken: usize,
    /// Number of those within it that are labelled right, as their originals are.
    pub resisted: usize,
    /// Place in the file of the first that is outside or resists.
    pub first_failed: Option<usize>,
    /// One letter per adversary, in the file's order: `x` misclassified within its radius, `.` classified
    /// right, `o` farther than its radius.
    pub verdicts: String,
    /// The network's label of each adversary.
    pub labels: Vec<usize>,
}

impl Read {
    /// Reads `path`, whose adversaries are of `images`. Arrays that others may leave out: `indices` (then the
    /// first images in order), `eps` (then `eps` for all), `norms` (then the largest difference).
    ///
    /// # Errors
    /// Where there is no adversary, too: nothing would be judged.
    pub fn open(path: &Path, images: &Images, eps: u8) -> Result<Read> {
        let read = Self::parse(&mut Npz::open(path)?, images, eps)?;
        if read.indices.is_empty() {
            bail!("{}: `images`: expected at least one adversary, found none", path.display());
        }
        Ok(read)
    }

    pub(super) fn parse(npz: &mut Npz, images: &Images, eps: u8) -> Result<Read> {
        let path = npz.path();
        if !npz.has("images") {
            bail!(
                "{}: expected an array `images` (uint8, N × H × W × C), found {}",
                path.display(),
                npz.names().join(", ")
            );
        }
        let found = npz.integers::<u8, Ix4>("images", "whole numbers of 0 to 255, N × H × W × C")?;
        let found = found.as_standard_layout().into_owned();
        let count = found.dim().0;
        let shape: [usize; 3] = found.shape()[1..].try_into().expect("four axes");
        if shape != images.shape() {
            bail!("{}: `images`: expected {:?} a piece, found {shape:?}", path.display(), images.shape());
        }
        let indices: Vec<usize> = if npz.has("indices") {
            npz.integers::<usize, Ix1>("indices", "whole numbers from 0, N")?.to_vec()
        } else {
            (0..count).collect()
        };
        let has_eps = npz.has("eps");
        let eps = if has_eps {
            npz.integers::<u8, Ix1>("eps", "whole numbers of 0 to 255, N")?.to_vec()
        } else {
            vec![eps; count]
        };
        let runs = if npz.has("runs") {
            npz.integers::<usize, Ix1>("runs", "whole numbers from 0, N")?.to_vec()
        } else {
            vec![]
        };
        let norms = if npz.has("norms") {
            npz.integers::<u8, Ix1>("norms", "0 or 2, N")?.to_vec()
        } else {
            vec![LINF; count]
        };
        if let Some(other) = norms.iter().find(|norm| ![LINF, L2].contains(norm)) {
            bail!(
                "{}: `norms`: expected 0 (largest difference) or 2 (Euclidean), found {other}",
                path.display()
            );
        }
        for (name, length) in [("indices", indices.len()), ("eps", eps.len()), ("norms", norms.len())] {
            if length != count {
                bail!(
                    "{}: `{name}`: expected {count} elements as `images` has, found {length}",
                    path.display()
                );
            }
        }
        if let Some(far) = indices.iter().find(|&&i| i >= images.len()) {
            bail!(
                "{}: `indices`: expected below {} (the images of the test set), found {far}",
                path.display(),
                images.len()
            );
        }
        check_labels(npz, images, &indices)?;
        let norms = norms.into_iter().map(|norm| if norm == L2 { Norm::L2 } else { Norm::Linf }).collect();
        Ok(Read { images: found, indices, norms, eps, has_eps, runs })
    }

    /// Refuses adversaries, read from `path`, with levels that `input` has not.
    pub fn fitting(self, path: &Path, input: Input) -> Result<Read> {
        match input.check_images(self.images.view()) {
            Ok(()) => Ok(self),
            Err(fault) => bail!("{}: {fault}", path.display()),
        }
    }

    /// Asks `target` about each adversary.
    pub fn judge(&self, target: &dyn Judge, images: &Images) -> Judged {
        let originals = images.pixels.select(Axis(0), &self.indices);
        let (clean, found) = (target.judge(originals.view()), target.judge(self.images.view()));
        let mut judged = Judged {
            adversaries: self.indices.len(),
            images: self.indices.iter().collect::<BTreeSet<_>>().len(),
            outside: 0,
            broken: 0,
            resisted: 0,
            first_failed: None,
            verdicts: String::new(),
            labels: found.iter().map(|verdict| verdict.label).collect(),
        };
        for (n, &index) in self.indices.iter().enumerate() {
            let label = usize::from(images.labels[index]);
            let (image, original) = (self.images.index_axis(Axis(0), n), originals.index_axis(Axis(0), n));
            let outside = !self.norms[n].holds(image, original, self.eps[n]);
            let resisted = !outside && found[n].label == label;
            judged.verdicts.push(if outside {
                'o'
            } else if resisted {
                '.'
            } else {
                'x'
            });
            judged.outside += usize::from(outside);
            judged.broken += usize::from(!outside && found[n].label != label);
            judged.resisted += usize::from(resisted && clean[n].label == label);
            if (outside || resisted) && judged.first_failed.is_none() {
                judged.first_failed = Some(n);
            }
        }
        judged
    }
}

/// Checks the true labels, where the file has them: those of another test set differ.
fn check_labels(npz: &mut Npz, images: &Images, indices: &[usize]) -> Result<()> {
    if !npz.has("labels") {
        return Ok(());
    }
    let labels = npz.integers::<u64, Ix1>("labels", "whole numbers from 0, N")?;
    let place = format!("{}: `labels`", npz.path().display());
    if labels.len() != indices.len() {
        bail!("{place}: expected {} elements as `images` has, found {}", indices.len(), labels.len());
    }
    for (&label, &index) in labels.iter().zip(indices) {
        let expected = images.labels[index];
        if label != u64::from(expected) {
            bail!(
                "{place}: expected {expected}, the label of image {index} of {}, found {label}",
                images.name
            );
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::Adversaries;
    use super::*;
    use dq_net::random::{self, Options};
    use dq_sim::attack::suite::Adversary;
    use dq_sim::{Engine, WhiteBox};
    use ndarray::Array1;
    use ndarray_npy::NpzWriter;
    use std::fs::File;

    fn images(network: &dq_net::Network, count: usize) -> Images {
        let (height, width, channels) = network.input_shape().dim();
        let pixels = Array4::from_shape_fn((count, height, width, channels), |(n, y, x, c)| {
            (n * 31 + y * 7 + x + c) as u8
        });
        let labels: Vec<u8> =
            Engine::new(network).labels(pixels.view()).iter().map(|&label| label as u8).collect();
        let classes = (0..network.classes()).map(|class| class.to_string()).collect();
        Images { name: "test".into(), pixels, labels, classes }
    }

    #[test]
    fn adversaries_are_read_as_they_were_written_and_judged_anew() {
        let network = random::network(3, &Options::default());
        let images = images(&network, 4);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("adv.npz");
        let mut kept = Adversaries::default();
        let moved = images.pixels.mapv(|pixel| pixel.saturating_add(3));
        for (index, image) in moved.outer_iter().enumerate() {
            let eps = if index == 2 { 2 } else { 3 };
            kept.push(
                Adversary { attack: "x", norm: Norm::Linf, eps, run: 0, index, image },
                images.labels[index],
            );
        }
        kept.write(&path, images.shape()).unwrap();
        let read = Read::open(&path, &images, 0).unwrap();
        assert_eq!(
            (&read.images, &read.indices[..], &read.eps[..]),
            (&moved, &[0, 1, 2, 3][..], &[3, 3, 2, 3][..])
        );
        let engine = Engine::new(&network);
        let judged = read.judge(&WhiteBox::new(&network), &images);
        let found = engine.labels(moved.view());
        let wrong = found.iter().zip(&images.labels).enumerate();
        let wrong = wrong.filter(|(n, (a, b))| *n != 2 && **a != usize::from(**b)).count();
        assert_eq!(
            (judged.adversaries, judged.outside, judged.broken, judged.resisted),
            (4, 1, wrong, 3 - wrong)
        );
        assert!(read.has_eps && judged.images == 4);
        // Those of a test set of other labels are not of this one.
        let mut other = images.clone();
        other.labels[2] += 1;
        let error = Read::open(&path, &other, 0).unwrap_err().to_string();
        let expected = format!("the label of image 2 of test, found {}", images.labels[2]);
        assert!(error.contains("`labels`: expected ") && error.contains(&expected), "{error}");
        // The error names what does not fit.
        let error = Read::open(&path, &images.take(2), 0).unwrap_err().to_string();
        assert!(error.contains("`indices`: expected below 2"), "{error}");
        std::fs::write(&path, b"PK no").unwrap();
        let error = Read::open(&path, &images, 0).unwrap_err().to_string();
        assert!(error.contains("expected an npz file"), "{error}");
    }

    /// Adversaries as other tools write them: NumPy's default integers, big-endian, channels slowest in
    /// memory.
    #[test]
    fn arrays_of_other_integers_and_layouts_are_read() {
        let network = random::network(3, &Options::default());
        let images = images(&network, 4);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("foreign.npz");
        let moved = images.pixels.mapv(|pixel| pixel / 2);
        let write = |pixels: &Array4<u8>, indices: &[i64], eps: &[i64]| {
            let mut npz = NpzWriter::new(File::create(&path).unwrap());
            let mut fortran = Array4::from_elem(ndarray::ShapeBuilder::f(pixels.dim()), 0);
            fortran.assign(pixels);
            npz.add_array("images", &fortran).unwrap();
            npz.add_array("indices", &Array1::from(indices.to_vec())).unwrap();
            npz.add_array("eps", &Array1::from(eps.to_vec())).unwrap();
            npz.finish().unwrap();
        };
        let error = || Read::open(&path, &images, 0).unwrap_err();
        write(&moved, &[3, 2, 1, 0], &[255; 4]);
        let read = Read::open(&path, &images, 0).unwrap();
        assert_eq!((&read.images, &read.indices[..], read.eps[0]), (&moved, &[3, 2, 1, 0][..], 255));
        // Copies of one image count once.
        write(&moved, &[3, 3, 3, 0], &[255; 4]);
        let copies = Read::open(&path, &images, 0).unwrap().judge(&WhiteBox::new(&network), &images);
        assert_eq!((copies.adversaries, copies.images), (4, 2));
        assert!(read.images.is_standard_layout());
        assert_eq!(read.judge(&WhiteBox::new(&network), &images).adversaries, 4);
        // The error names what is out of range, of another type, or missing.
        write(&moved, &[3, 2, -1, 0], &[255; 4]);
        assert!(format!("{:#}", error()).contains("`indices`: expected whole numbers from 0, N: found -1"));
        write(&moved, &[3, 2, 1, 0], &[256; 4]);
        assert!(format!("{:#}", error()).contains("`eps`: expected whole numbers of 0 to 255, N: found 256"));
        write(&moved.slice(ndarray::s![..0, .., .., ..]).to_owned(), &[], &[]);
        assert!(error().to_string().contains("expected at least one adversary, found none"));
        let mut npz = NpzWriter::new(File::create(&path).unwrap());
        npz.add_array("images", &moved.mapv(f64::from)).unwrap();
        npz.finish().unwrap();
        assert!(error().to_string().contains("N × H × W × C, found numbers of another type"));
    }
}
