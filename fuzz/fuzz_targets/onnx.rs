//! Imports bytes as an ONNX file: an error, or a network that is proved to be the file's graph, threshold by
//! threshold and on one image.
#![no_main]

use dq_onnx::{ImportError, Options, Part, Progress, Watch};
use libfuzzer_sys::fuzz_target;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

/// More channels than these take too long here.
const CHANNELS: u64 = 200;

fuzz_target!(|data: &[u8]| {
    let path = std::env::temp_dir().join(format!("dq-fuzz-{}.onnx", std::process::id()));
    std::fs::write(&path, data).expect("a temporary file");
    let (stop, now) = (AtomicBool::new(false), Mutex::new(Part::Operators));
    let progress = |progress| {
        let mut now = now.lock().expect("nothing panics while it is held");
        let enough = match progress {
            Progress::Begins(part, count) => {
                *now = part;
                part == Part::Channels && count > CHANNELS
            }
            Progress::Done => *now == Part::Images,
        };
        stop.fetch_or(enough, Ordering::Relaxed);
    };
    let watch = Watch { progress: &progress, stop: &stop };
    if let Err(error @ ImportError::Proof { .. }) = dq_onnx::import_watched(&path, &Options::default(), watch) {
        panic!("{error}");
    }
});
