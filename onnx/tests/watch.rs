//! Who follows an import: the parts come in order and whole, and the flag ends each of them soon.

use crate::build::{Attr, Builder};
use dq_onnx::{ImportError, Options, Part, Progress, Watch, import_watched};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

const PARTS: [Part; 3] = [Part::Operators, Part::Channels, Part::Images];

/// Imports a network of 5 operators with a Step of 100 channels; gives the parts with their size and with how
/// much was done, and whether the import came to its end. The flag is set when the first of `stop` is done.
fn follow(stop: Option<Part>) -> (Vec<(Part, u64, u64)>, bool) {
    let mut b = Builder::new(1, &[1, 3, 8, 8]);
    let x = b.quant("x", 1.0 / 255.0, 8, false);
    let w = b.floats(&[100, 3, 3, 3], &(0..2700).map(|i| (i % 3) as f32 - 1.0).collect::<Vec<_>>());
    let x = b.node("Conv", &[&x, &w], &[]);
    let x = b.quant(&x, 0.3, 4, false);
    let x = b.node("GlobalAveragePool", &[&x], &[]);
    let y = b.node("Flatten", &[&x], &[("axis", Attr::Int(1))]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.onnx");
    std::fs::write(&path, b.bytes(&y)).unwrap();
    let (parts, flag) = (Mutex::new(vec![]), AtomicBool::new(false));
    let progress = |progress| {
        let mut parts = parts.lock().unwrap();
        match progress {
            Progress::Begins(part, count) => parts.push((part, count, 0)),
            Progress::Done => {
                let (part, _, done) = parts.last_mut().unwrap();
                *done += 1;
                if stop == Some(*part) {
                    flag.store(true, Ordering::Relaxed);
                }
            }
        }
    };
    let found = import_watched(&path, &Options::default(), Watch { progress: &progress, stop: &flag });
    let ended = match found {
        Ok(_) => true,
        Err(ImportError::Stopped { path: named }) if named == path => false,
        Err(other) => panic!("{other}"),
    };
    (parts.into_inner().unwrap(), ended)
}

#[test]
fn parts_come_in_order_and_end_whole() {
    let (parts, ended) = follow(None);
    assert!(ended);
    assert_eq!(parts.iter().map(|(part, ..)| *part).collect::<Vec<_>>(), PARTS);
    assert!(parts.iter().all(|(_, count, done)| count == done), "{parts:?}");
    assert_eq!(parts.iter().map(|(_, count, _)| *count).collect::<Vec<_>>()[..2], [5, 100]);
}

#[test]
fn the_flag_ends_each_part_soon() {
    for (i, part) in PARTS.into_iter().enumerate() {
        let (parts, ended) = follow(Some(part));
        assert!(!ended && parts.len() == i + 1, "{parts:?}");
        let (_, count, done) = parts[i];
        // Each thread ends what it was at.
        let most = if part == Part::Operators { 1 } else { rayon::current_num_threads() as u64 };
        assert!(done <= most && (done < count || most >= count), "{parts:?}");
    }
}
