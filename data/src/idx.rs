//! Reads IDX files, gzipped or not: MNIST (LeCun and Cortes) and Fashion-MNIST (Zalando SE), which are grey
//! images of 28×28 pixels, and the user's own images, of any size and with up to 256 classes.
//!
//! An IDX file is big-endian: a magic number, one u32 per dimension, then bytes. No header is
//! trusted: memory grows with the bytes that are really there.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ndarray::Array4;

use crate::files::Place;
use crate::gzip::Gzip;
use crate::{DataError, Images, Split};

/// Name of the set that holds the user's own images.
pub(crate) const OWN: &str = "idx";
const SIDE: usize = 28;
/// Magic numbers of files of unsigned bytes with one, three and four dimensions.
const LABELS: u32 = 0x0801;
const GREY: u32 = 0x0803;
const CHANNELS: u32 = 0x0804;
/// Most images that a file may hold. No published file of this family has more (EMNIST ByClass has 814,255).
const MOST: usize = 1_000_000;
/// Most pixels of an image. No network here takes a larger one.
const MOST_PIXELS: usize = 1 << 26;

const DIGITS: [&str; 10] = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];
const CLOTHES: [&str; 10] = [
    "T-shirt/top",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle boot",
];

/// Loads MNIST: handwritten digits.
pub(super) fn mnist(dir: &Path, split: Split) -> Result<Images, DataError> {
    published("mnist", DIGITS, dir, split)
}

/// Loads Fashion-MNIST: articles of clothing.
pub(super) fn fashion_mnist(dir: &Path, split: Split) -> Result<Images, DataError> {
    published("fashion-mnist", CLOTHES, dir, split)
}

fn published(set: &'static str, classes: [&str; 10], dir: &Path, split: Split) -> Result<Images, DataError> {
    let check = |place: &Place, sizes: &[usize]| match sizes {
        [SIDE, SIDE] => Ok(()),
        _ => Err(place.malformed("image size", format!("{SIDE}×{SIDE}"), times(sizes))),
    };
    let images = read(&find(set, dir, split, "images-idx3-ubyte")?, GREY, check)?;
    load(images, find(set, dir, split, "labels-idx1-ubyte")?, &classes)
}

/// Loads the user's own images, from files that are named like MNIST's. Images with several channels have a
/// fourth dimension (the channels, which vary fastest) and `idx4` in their file's name. The largest label of
/// both splits determines the number of classes.
pub(super) fn own(dir: &Path, split: Split) -> Result<Images, DataError> {
    let check = |place: &Place, sizes: &[usize]| {
        let pixels = sizes.iter().try_fold(1_usize, |product, &size| product.checked_mul(size));
        match pixels {
            Some(1..=MOST_PIXELS) => Ok(()),
            _ => Err(place.malformed("image size", "1 to 2^26 pixels", times(sizes))),
        }
    };
    let images = match find(OWN, dir, split, "images-idx4-ubyte") {
        Ok(colour) => read(&colour, CHANNELS, check)?,
        Err(_) => read(&find(OWN, dir, split, "images-idx3-ubyte")?, GREY, check)?,
    };
    let mut largest = 0;
    for split in [Split::Train, Split::Test] {
        if let Ok(file) = find(OWN, dir, split, "labels-idx1-ubyte") {
            largest = read(&file, LABELS, |_, _| Ok(()))?.content.into_iter().fold(largest, u8::max);
        }
    }
    let classes: Vec<String> = (0..=largest).map(|class| class.to_string()).collect();
    let names: Vec<&str> = classes.iter().map(String::as_str).collect();
    load(images, find(OWN, dir, split, "labels-idx1-ubyte")?, &names)
}

/// Puts images and their labels together.
fn load(images: Idx, labels: Found, classes: &[&str]) -> Result<Images, DataError> {
    let Idx { dims, content: pixels } = images;
    let content = read(&labels, LABELS, |_, _| Ok(()))?.content;
    let place = labels.place();
    if content.len() != dims[0] {
        let expected = format!("{}, one per image", dims[0]);
        return Err(place.malformed("number of labels", expected, content.len()));
    }
    place.check_labels(&content, classes.len())?;
    let channels = dims.get(3).copied().unwrap_or(1);
    Ok(Images {
        name: labels.set.to_owned(),
        pixels: Array4::from_shape_vec((dims[0], dims[1], dims[2], channels), pixels)
            .expect("the length of the pixels was compared with the header"),
        labels: content,
        classes: classes.iter().map(|&class| class.to_owned()).collect(),
    })
}

/// Names a file that exists.
struct Found {
    set: &'static str,
    path: PathBuf,
}

impl Found {
    fn place(&self) -> Place<'_> {
        Place { set: self.set, path: &self.path }
    }
}

/// Finds the file `PART-NAME` of a split in `dir`, or `PART-NAME.gz` where there is no plain one.
fn find(set: &'static str, dir: &Path, split: Split, name: &str) -> Result<Found, DataError> {
    let part = match split {
        Split::Train => "train",
        Split::Test => "t10k",
    };
    let name = format!("{part}-{name}");
    let plain = dir.join(&name);
    let path = if plain.exists() { plain } else { dir.join(format!("{name}.gz")) };
    let found = Found { set, path };
    match found.path.metadata() {
        Ok(_) => Ok(found),
        Err(source) => Err(found.place().unreadable(format!("an IDX file, `{name}` or `{name}.gz`"), source)),
    }
}

/// Holds the dimensions and the content of an IDX file.
struct Idx {
    dims: Vec<usize>,
    content: Vec<u8>,
}

/// Reads an IDX file; `check` judges all dimensions but the first before their content is read.
fn read(
    file: &Found,
    magic: u32,
    check: impl FnOnce(&Place, &[usize]) -> Result<(), DataError>,
) -> Result<Idx, DataError> {
    let place = file.place();
    let unreadable = |source| place.unreadable("an IDX file", source);
    let opened = File::open(&file.path).map_err(unreadable)?;
    let mut reader: Box<dyn Read> = match file.path.extension() {
        Some(gz) if gz == "gz" => Box::new(Gzip::new(opened)),
        _ => Box::new(opened),
    };

    let mut header = Vec::new();
    let dimensions = (magic & 0xff) as usize;
    reader.by_ref().take(4 + 4 * dimensions as u64).read_to_end(&mut header).map_err(unreadable)?;
    if header.len() != 4 + 4 * dimensions {
        return Err(place.malformed("header", format!("{} bytes", 4 + 4 * dimensions), header.len()));
    }
    let mut words =
        header.chunks_exact(4).map(|word| u32::from_be_bytes(word.try_into().expect("chunks of four bytes")));
    let found = words.next().expect("the header holds at least the magic number");
    if found != magic {
        return Err(place.malformed("magic number", magic, found));
    }
    let dims: Vec<usize> = words.map(|size| size as usize).collect();
    if dims[0] > MOST {
        return Err(place.malformed("number of images", format!("at most {MOST}"), dims[0]));
    }
    check(&place, &dims[1..])?;

    let size: usize = dims.iter().product();
    let mut content = Vec::new();
    reader.take(size as u64 + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() != size {
        let found = if content.len() > size { "more".to_owned() } else { content.len().to_string() };
        return Err(place.malformed("bytes after the header", size, found));
    }
    Ok(Idx { dims, content })
}

fn times(sizes: &[usize]) -> String {
    sizes.iter().map(usize::to_string).collect::<Vec<_>>().join("×")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Write;

    use super::*;
    use crate::files::data_dir;

    fn idx(magic: u32, dims: &[u32], content: &[u8]) -> Vec<u8> {
        let mut bytes = magic.to_be_bytes().to_vec();
        dims.iter().for_each(|size| bytes.extend(size.to_be_bytes()));
        bytes.extend(content);
        bytes
    }

    fn pixels() -> Vec<u8> {
        (0..3 * SIDE * SIDE).map(|i| (i % 251) as u8).collect()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    /// Returns a folder with a sound test split of three images.
    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("t10k-images-idx3-ubyte"), idx(GREY, &[3, 28, 28], &pixels())).unwrap();
        fs::write(dir.path().join("t10k-labels-idx1-ubyte.gz"), gzip(&idx(LABELS, &[3], &[4, 0, 9])))
            .unwrap();
        dir
    }

    #[test]
    fn gzipped_or_not() {
        let dir = folder();
        let images = mnist(dir.path(), Split::Test).unwrap();
        assert_eq!((images.shape(), images.labels.as_slice()), ([28, 28, 1], &[4, 0, 9][..]));
        assert_eq!(images.pixels.as_slice().unwrap(), pixels());
    }

    /// Returns a folder with a test split of the user's own images.
    fn own_folder(images: &str, magic: u32, dims: &[u32], labels: &[u8]) -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        let size: u32 = dims.iter().product();
        let content: Vec<u8> = (0..size).map(|i| i as u8).collect();
        fs::write(dir.path().join(images), idx(magic, dims, &content)).unwrap();
        let count = labels.len() as u32;
        fs::write(dir.path().join("t10k-labels-idx1-ubyte"), idx(LABELS, &[count], labels)).unwrap();
        dir
    }

    #[test]
    fn images_of_any_size_with_any_number_of_classes() {
        let dir = own_folder("t10k-images-idx3-ubyte", GREY, &[3, 5, 7], &[1, 0, 2]);
        let images = own(dir.path(), Split::Test).unwrap();
        assert_eq!((images.shape(), images.classes.len()), ([5, 7, 1], 3));
        assert_eq!(images.pixels[[2, 4, 6, 0]], 3 * 5 * 7 - 1);
        let dir = own_folder("t10k-images-idx4-ubyte", CHANNELS, &[2, 4, 3, 3], &[0, 1]);
        let images = own(dir.path(), Split::Test).unwrap();
        assert_eq!((images.shape(), images.pixels[[1, 0, 0, 2]]), ([4, 3, 3], 4 * 3 * 3 + 2));
        // The other split's labels count as well, so that both have the same classes.
        fs::write(dir.path().join("train-labels-idx1-ubyte"), idx(LABELS, &[1], &[255])).unwrap();
        assert_eq!(own(dir.path(), Split::Test).unwrap().classes.len(), 256);
        for dims in [[2, 0, 3, 3], [2, u32::MAX, u32::MAX, u32::MAX]] {
            let bytes = idx(CHANNELS, &dims, &[]);
            fs::write(dir.path().join("t10k-images-idx4-ubyte"), bytes).unwrap();
            let error = own(dir.path(), Split::Test).unwrap_err().to_string();
            assert!(error.contains("image size: expected 1 to 2^26 pixels"), "{error}");
        }
    }

    #[test]
    fn zeros_after_a_gzip_stream_are_padding_and_streams_follow_each_other() {
        let labels = idx(LABELS, &[3], &[4, 0, 9]);
        let padded = [gzip(&labels), vec![0; 1_000]].concat();
        let parted = [gzip(&labels[..7]), gzip(&labels[7..])].concat();
        let spoilt = [gzip(&labels), b"\0\0x".to_vec()].concat();
        for (bytes, sound) in [(&padded, true), (&parted, true), (&spoilt, false)] {
            let dir = folder();
            fs::write(dir.path().join("t10k-labels-idx1-ubyte.gz"), bytes).unwrap();
            match mnist(dir.path(), Split::Test) {
                Ok(images) => assert!(sound && images.labels == [4, 0, 9]),
                Err(error) => assert!(!sound && error.to_string().contains("cannot read"), "{error}"),
            }
        }
    }

    #[test]
    fn wrong_files_are_named() {
        let refused = |images: &[u8], said: &str| {
            let dir = folder();
            fs::write(dir.path().join("t10k-images-idx3-ubyte"), images).unwrap();
            let error = mnist(dir.path(), Split::Test).unwrap_err().to_string();
            assert!(error.contains("t10k-images-idx3-ubyte") && error.contains(said), "{error}");
        };
        let all = pixels();
        refused(b"", "header: expected 16 bytes, found 0");
        refused(&idx(GREY, &[3, 28, 28], &all)[..15], "header: expected 16 bytes, found 15");
        refused(&idx(LABELS, &[3, 28, 28], &all), "magic number: expected 2051, found 2049");
        refused(&idx(GREY, &[3, 27, 28], &all), "image size: expected 28×28, found 27×28");
        refused(&idx(GREY, &[3, 28, 28], &all[1..]), "expected 2352, found 2351");
        refused(&idx(GREY, &[2, 28, 28], &all), "expected 1568, found more");
        refused(&idx(GREY, &[u32::MAX; 3], &[]), "number of images: expected at most 1000000");
        refused(&idx(GREY, &[1_000_000, 28, 28], &[1]), "expected 784000000, found 1");
    }

    #[test]
    fn wrong_labels_are_named() {
        let dir = folder();
        let file = dir.path().join("t10k-labels-idx1-ubyte");
        let error = || mnist(dir.path(), Split::Test).unwrap_err().to_string();
        fs::write(&file, idx(LABELS, &[3], &[0, 10, 2])).unwrap();
        assert!(error().contains("label of image 1: expected 0 to 9, found 10"), "{}", error());
        fs::write(&file, idx(LABELS, &[2], &[0, 1])).unwrap();
        assert!(error().contains("number of labels: expected 3, one per image, found 2"), "{}", error());
        fs::remove_file(&file).unwrap();
        let gz = dir.path().join("t10k-labels-idx1-ubyte.gz");
        let sound = fs::read(&gz).unwrap();
        fs::write(&gz, &sound[..sound.len() - 9]).unwrap();
        assert!(error().contains("cannot read"), "{}", error());
        fs::write(&gz, b"not gzip at all").unwrap();
        assert!(error().contains("cannot read"), "{}", error());
        fs::remove_file(&gz).unwrap();
        assert!(error().contains("t10k-labels-idx1-ubyte.gz: expected an IDX file"), "{}", error());
        fs::create_dir(&file).unwrap();
        assert!(error().contains("cannot read"), "{}", error());
    }

    #[test]
    fn published_files_load() {
        for (folder, load) in [("mnist", mnist as fn(&Path, Split) -> _), ("fashion-mnist", fashion_mnist)] {
            let Some(dir) = data_dir(folder) else { return };
            let [train, test] = [Split::Train, Split::Test].map(|split| load(&dir, split).unwrap());
            assert_eq!((train.len(), test.len()), (60_000, 10_000));
            // These are the first training images by the data sets' own pages: a five and an ankle boot.
            assert_eq!(train.labels[0], if folder == "mnist" { 5 } else { 9 });
            let ones = test.labels.iter().filter(|&&label| label == 1).count();
            assert_eq!(ones, if folder == "mnist" { 1_135 } else { 1_000 });
        }
    }
}
