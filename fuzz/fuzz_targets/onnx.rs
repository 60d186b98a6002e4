//! Imports bytes as an ONNX file: an error, or a network that is proved to be the file's graph.
#![no_main]

use dq_onnx::{ImportError, Options};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let path = std::env::temp_dir().join(format!("dq-fuzz-{}.onnx", std::process::id()));
    std::fs::write(&path, data).expect("a temporary file");
    if let Err(error @ ImportError::Proof { .. }) = dq_onnx::import(&path, &Options::default()) {
        panic!("{error}");
    }
});
