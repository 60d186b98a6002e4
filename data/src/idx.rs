//! MNIST (LeCun and Cortes) and Fashion-MNIST (Zalando SE): grey 28×28 images in IDX files, gzipped or not.
//!
//! An IDX file is big-endian: a magic number, one u32 a dimension, then bytes. Never believes a header: memory grows
//! with the bytes that are really there.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;
use ndarray::Array4;

use crate::files::Place;
use crate::{DataError, Images, Split};

const SIDE: usize = 28;
const CLASSES: usize = 10;
/// Magic number of a file of unsigned bytes with one dimension.
const LABELS: u32 = 0x0801;
/// Magic number of a file of unsigned bytes with three dimensions.
const IMAGES: u32 = 0x0803;
/// No published file of this family has more images (EMNIST ByClass has 814,255).
const MOST: usize = 1_000_000;

/// MNIST: handwritten digits.
pub(super) fn mnist(dir: &Path, split: Split) -> Result<Images, DataError> {
    load("mnist", ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"], dir, split)
}

/// Fashion-MNIST: articles of clothing.
pub(super) fn fashion_mnist(dir: &Path, split: Split) -> Result<Images, DataError> {
    let classes = [
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
    load("fashion-mnist", classes, dir, split)
}

fn load(set: &'static str, classes: [&str; CLASSES], dir: &Path, split: Split) -> Result<Images, DataError> {
    let part = match split {
        Split::Train => "train",
        Split::Test => "t10k",
    };
    let (dims, pixels) = read(set, dir, &format!("{part}-images-idx3-ubyte"), IMAGES)?;
    let (_, labels) = read(set, dir, &format!("{part}-labels-idx1-ubyte"), LABELS)?;
    let path = dir.join(format!("{part}-labels-idx1-ubyte"));
    let place = Place { set, path: &path };
    if labels.len() != dims[0] {
        return Err(place.malformed("number of labels", format!("{}, one an image", dims[0]), labels.len()));
    }
    place.check_labels(&labels, CLASSES)?;
    Ok(Images {
        name: set.to_owned(),
        pixels: Array4::from_shape_vec((dims[0], SIDE, SIDE, 1), pixels)
            .expect("the length of the pixels was held against the header"),
        labels,
        classes: classes.map(str::to_owned).to_vec(),
    })
}

/// Dimensions and content of the IDX file `name` in `dir`, or of `name.gz` where there is no plain one.
fn read(set: &'static str, dir: &Path, name: &str, magic: u32) -> Result<(Vec<usize>, Vec<u8>), DataError> {
    let plain = dir.join(name);
    let path = if plain.exists() { plain } else { dir.join(format!("{name}.gz")) };
    let place = Place { set, path: &path };
    let expected = format!("an IDX file, `{name}` or `{name}.gz`");
    let unreadable = |source| place.unreadable(&expected, source);
    let file = File::open(&path).map_err(unreadable)?;
    let mut reader: Box<dyn Read> = match path.extension() {
        Some(gz) if gz == "gz" => Box::new(MultiGzDecoder::new(file)),
        _ => Box::new(file),
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
    if dims[1..].iter().any(|&side| side != SIDE) {
        return Err(place.malformed(
            "image size",
            format!("{SIDE}×{SIDE}"),
            format!("{}×{}", dims[1], dims[2]),
        ));
    }

    let size: usize = dims.iter().product();
    let mut content = Vec::new();
    reader.take(size as u64 + 1).read_to_end(&mut content).map_err(unreadable)?;
    if content.len() != size {
        let found = if content.len() > size { "more".to_owned() } else { content.len().to_string() };
        return Err(place.malformed("bytes after the header", size, found));
    }
    Ok((dims, content))
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

    /// A folder with a sound test split of three images.
    fn folder() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("t10k-images-idx3-ubyte"), idx(IMAGES, &[3, 28, 28], &pixels())).unwrap();
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
        refused(&idx(IMAGES, &[3, 28, 28], &all)[..15], "header: expected 16 bytes, found 15");
        refused(&idx(LABELS, &[3, 28, 28], &all), "magic number: expected 2051, found 2049");
        refused(&idx(IMAGES, &[3, 27, 28], &all), "image size: expected 28×28, found 27×28");
        refused(&idx(IMAGES, &[3, 28, 28], &all[1..]), "expected 2352, found 2351");
        refused(&idx(IMAGES, &[2, 28, 28], &all), "expected 1568, found more");
        refused(&idx(IMAGES, &[u32::MAX; 3], &[]), "number of images: expected at most 1000000");
        refused(&idx(IMAGES, &[1_000_000, 28, 28], &[1]), "expected 784000000, found 1");
    }

    #[test]
    fn wrong_labels_are_named() {
        let dir = folder();
        let file = dir.path().join("t10k-labels-idx1-ubyte");
        let error = || mnist(dir.path(), Split::Test).unwrap_err().to_string();
        fs::write(&file, idx(LABELS, &[3], &[0, 10, 2])).unwrap();
        assert!(error().contains("label of image 1: expected 0 to 9, found 10"), "{}", error());
        fs::write(&file, idx(LABELS, &[2], &[0, 1])).unwrap();
        assert!(error().contains("number of labels: expected 3, one an image, found 2"), "{}", error());
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
            // What the data sets' own pages say of their first training images: a five, an ankle boot.
            assert_eq!(train.labels[0], if folder == "mnist" { 5 } else { 9 });
            let ones = test.labels.iter().filter(|&&label| label == 1).count();
            assert_eq!(ones, if folder == "mnist" { 1_135 } else { 1_000 });
        }
    }
}
