//! Reads CIFAR-10, binary version (Krizhevsky 2009): five training batches and a test batch of 10,000 records
//! each.
//!
//! One record is a label byte and 3,072 pixel bytes: red, green and blue planes of 32×32, row-major.
//! Never reads the Python or MATLAB versions.

use std::path::Path;

use ndarray::Array4;

use crate::files::Place;
use crate::{DataError, Images, Split};

const SET: &str = "cifar10";
const SIDE: usize = 32;
const PLANE: usize = SIDE * SIDE;
const RECORD: usize = 1 + 3 * PLANE;
const RECORDS: usize = 10_000;
const CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];
const TRAIN: [&str; 5] =
    ["data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"];
const TEST: [&str; 1] = ["test_batch.bin"];

/// Reads a split from `dir`, or from the folder `cifar-10-batches-bin` in it, as the published archive
/// unpacks.
pub(super) fn load(dir: &Path, split: Split) -> Result<Images, DataError> {
    let unpacked = dir.join("cifar-10-batches-bin");
    let dir = if unpacked.is_dir() { unpacked } else { dir.to_owned() };
    let files: &[&str] = match split {
        Split::Train => &TRAIN,
        Split::Test => &TEST,
    };
    let mut pixels = Vec::with_capacity(files.len() * RECORDS * 3 * PLANE);
    let mut labels = Vec::with_capacity(files.len() * RECORDS);
    for file in files {
        let path = dir.join(file);
        let place = Place { set: SET, path: &path };
        let batch = place.read_exactly(RECORDS * RECORD)?;
        let start = labels.len();
        for record in batch.chunks_exact(RECORD) {
            labels.push(record[0]);
            let (red, rest) = record[1..].split_at(PLANE);
            let (green, blue) = rest.split_at(PLANE);
            for ((&r, &g), &b) in red.iter().zip(green).zip(blue) {
                pixels.extend([r, g, b]);
            }
        }
        place.check_labels(&labels[start..], CLASSES.len())?;
    }
    Ok(Images {
        name: SET.to_owned(),
        pixels: Array4::from_shape_vec((labels.len(), SIDE, SIDE, 3), pixels)
            .expect("three bytes were pushed for each pixel of each record"),
        labels,
        classes: CLASSES.map(str::to_owned).to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::files::data_dir;

    fn batch(label_at: impl Fn(usize) -> u8) -> Vec<u8> {
        let mut bytes = vec![0; RECORDS * RECORD];
        for (i, record) in bytes.chunks_exact_mut(RECORD).enumerate() {
            record[0] = label_at(i);
            record[1] = 10; // red, first pixel
            record[1 + PLANE + 1] = 20; // green, second pixel of the first row
            record[1 + 2 * PLANE + SIDE] = 30; // blue, first pixel of the second row
        }
        bytes
    }

    #[test]
    fn planes_become_channels() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("cifar-10-batches-bin")).unwrap();
        fs::write(dir.path().join("cifar-10-batches-bin/test_batch.bin"), batch(|i| (i % 10) as u8)).unwrap();
        let images = load(dir.path(), Split::Test).unwrap();
        assert_eq!((images.len(), images.shape()), (RECORDS, [32, 32, 3]));
        assert_eq!(images.labels[..12], [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1]);
        for n in [0, RECORDS - 1] {
            assert_eq!(images.pixels[[n, 0, 0, 0]], 10);
            assert_eq!(images.pixels[[n, 0, 1, 1]], 20);
            assert_eq!(images.pixels[[n, 1, 0, 2]], 30);
        }
        assert_eq!(images.pixels.iter().map(|&p| u64::from(p)).sum::<u64>(), 60 * RECORDS as u64);
    }

    #[test]
    fn wrong_files_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("test_batch.bin");
        let error = || load(dir.path(), Split::Test).unwrap_err().to_string();

        assert!(error().contains("cannot read") && error().contains("test_batch.bin"), "{}", error());
        fs::write(&file, &batch(|_| 0)[1..]).unwrap();
        assert!(error().contains("expected 30730000 bytes, found 30729999 bytes"), "{}", error());
        let mut long = batch(|_| 0);
        long.extend([0; 100]);
        fs::write(&file, long).unwrap();
        assert!(error().contains("expected 30730000 bytes, found 30730100 bytes"), "{}", error());
        fs::write(&file, batch(|i| if i == 7_000 { 10 } else { 0 })).unwrap();
        assert!(error().contains("label of image 7000: expected 0 to 9, found 10"), "{}", error());
        fs::remove_file(&file).unwrap();
        fs::create_dir(&file).unwrap();
        assert!(error().contains("cannot read") && error().contains("test_batch.bin"), "{}", error());
    }

    #[test]
    fn published_files_load() {
        let Some(dir) = data_dir("cifar-10") else { return };
        let train = load(&dir, Split::Train).unwrap();
        let test = load(&dir, Split::Test).unwrap();
        for (images, each) in [(&train, 5_000), (&test, 1_000)] {
            for class in 0..10 {
                assert_eq!(images.labels.iter().filter(|&&label| label == class).count(), each);
            }
        }
        // The published channel means over the training images.
        for (channel, mean) in [0.4914, 0.4822, 0.4465].into_iter().enumerate() {
            let plane = train.pixels.slice(ndarray::s![.., .., .., channel]);
            let sum: u64 = plane.iter().map(|&p| u64::from(p)).sum();
            let found = sum as f64 / plane.len() as f64 / 255.0;
            assert!((found - mean).abs() < 5e-5, "channel {channel}: {found}");
        }
    }
}
