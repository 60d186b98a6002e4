//! Reads bytes as a file of a data set. The result is images whose labels are classes, or an error.
#![no_main]

use dq_data::{Split, load};
use libfuzzer_sys::fuzz_target;
use std::fs;

/// A set, the file that the bytes become, and files beside it.
type Case = (&'static str, &'static str, &'static [(&'static str, &'static [u8])]);

const TWO_LABELS: &[u8] = &[0, 0, 8, 1, 0, 0, 0, 2, 3, 1];
const CASES: [Case; 4] = [
    ("svhn", "test_32x32.mat", &[]),
    ("mnist", "t10k-images-idx3-ubyte.gz", &[("t10k-labels-idx1-ubyte", TWO_LABELS)]),
    ("idx", "t10k-images-idx4-ubyte", &[("t10k-labels-idx1-ubyte", TWO_LABELS)]),
    (
        "idx",
        "t10k-labels-idx1-ubyte",
        &[("t10k-images-idx3-ubyte", &[0, 0, 8, 3, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 1, 9])],
    ),
];

fuzz_target!(|data: &[u8]| {
    let [case, bytes @ ..] = data else { return };
    let number = usize::from(*case) % CASES.len();
    let (set, file, others) = CASES[number];
    let folder = std::env::temp_dir().join(format!("dq-fuzz-{}-{number}", std::process::id()));
    fs::create_dir_all(&folder).expect("a temporary folder");
    for (name, contents) in others.iter().copied().chain([(file, bytes)]) {
        fs::write(folder.join(name), contents).expect("a temporary file");
    }
    if let Ok(images) = load(set, Some(&folder), Split::Test) {
        assert!(!images.is_empty() && images.pixels.dim().0 == images.len());
        assert!(images.labels.iter().all(|&label| usize::from(label) < images.classes.len()));
    }
});
