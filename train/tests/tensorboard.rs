//! Tests the events for TensorBoard with a reader that shares nothing with the writer.

use std::path::Path;

use crate::common::{fit, images, metrics, recipe};

/// The checksum of the Castagnoli polynomial, bit by bit, masked as records have it.
fn masked(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
    let crc = !bytes.iter().fold(!0, |crc, &byte| (0..8).fold(crc ^ u32::from(byte), step));
    crc.rotate_right(15).wrapping_add(0xa282_ead8)
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, rest) = bytes.split_at(count);
    *bytes = rest;
    taken
}

fn number(bytes: &mut &[u8]) -> u64 {
    let mut value = 0;
    for shift in (0..).step_by(7) {
        let byte = take(bytes, 1)[0];
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            break;
        }
    }
    value
}

/// Gives the fields of a message: number, and value as bytes (a whole number as its 8 bytes).
fn fields(mut bytes: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut fields = vec![];
    while !bytes.is_empty() {
        let key = number(&mut bytes);
        let value = match key & 7 {
            0 => number(&mut bytes).to_le_bytes().to_vec(),
            1 => take(&mut bytes, 8).to_vec(),
            2 => {
                let length = number(&mut bytes) as usize;
                take(&mut bytes, length).to_vec()
            }
            5 => take(&mut bytes, 4).to_vec(),
            other => panic!("wire type {other}"),
        };
        fields.push((key >> 3, value));
    }
    fields
}

/// Reads step, tag and value of all scalars of a file.
fn scalars(path: &Path) -> Vec<(u64, String, f32)> {
    let bytes = std::fs::read(path).unwrap();
    let (mut bytes, mut found, mut events) = (&bytes[..], vec![], 0);
    while !bytes.is_empty() {
        let mut checked = |count| {
            let taken = take(&mut bytes, count);
            assert_eq!(take(&mut bytes, 4), masked(taken).to_le_bytes());
            taken.to_vec()
        };
        let length = u64::from_le_bytes(checked(8).try_into().unwrap());
        let event = fields(&checked(length as usize));
        let get = |field| event.iter().find(|(number, _)| *number == field).map(|(_, value)| &value[..]);
        assert!(f64::from_le_bytes(get(1).unwrap().try_into().unwrap()) > 1.7e9);
        assert_eq!(get(3), (events == 0).then_some(&b"brain.Event:2"[..]));
        events += 1;
        let step = get(2).map_or(0, |step| u64::from_le_bytes(step.try_into().unwrap()));
        for (_, value) in get(5).map(fields).unwrap_or_default() {
            let [(1, tag), (2, value)] = &fields(&value)[..] else { panic!("tag and value") };
            let value = f32::from_le_bytes(value[..].try_into().unwrap());
            found.push((step, String::from_utf8(tag.clone()).unwrap(), value));
        }
    }
    found
}

/// Each process of a run writes a file of its own, and together they are the metrics.
#[test]
fn events_are_the_metrics_of_every_epoch() {
    let folder = tempfile::tempdir().unwrap();
    let data = images(200, [8, 8, 3], 4);
    let run = folder.path().join("run");
    // Too strong an attack: zeros are written too.
    for (epochs, goes_on) in [("train.epochs=2", false), ("train.epochs=3", true)] {
        fit(&recipe(&[epochs, "attacked.attack=\"fgsm\"", "attacked.eps=128"]), &data, &run, goes_on)
            .unwrap();
    }
    let mut files: Vec<_> =
        std::fs::read_dir(run.join("tensorboard")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert_eq!(files.len(), 2);
    assert!(files.iter().all(|file| file.to_str().unwrap().contains("tfevents")));
    let found: Vec<_> = files.iter().flat_map(|file| scalars(file)).collect();
    let lines = metrics(&run);
    assert_eq!(lines.len(), 3);
    let mut wanted = vec![];
    for line in &lines {
        let mut scalar = |tag: String, value: f64| wanted.push((line.epoch as u64, tag, value as f32));
        scalar("loss/total".into(), line.loss);
        scalar("loss/cross_entropy".into(), line.ce);
        scalar("accuracy/train".into(), line.train_accuracy);
        scalar("accuracy/holdout".into(), line.holdout_accuracy);
        scalar("rate/lr".into(), line.lr);
        scalar("rate/images_per_second".into(), line.images_per_second);
        scalar("accuracy/holdout_attacked".into(), line.holdout_attacked.unwrap());
        line.penalty.iter().for_each(|(node, value)| scalar(format!("penalty/{node}"), *value));
        line.norm.iter().for_each(|(node, value)| scalar(format!("norm/{node}"), *value));
    }
    assert!(wanted.iter().any(|(_, tag, _)| tag.starts_with("norm/")));
    assert!(wanted.iter().any(|&(_, _, value)| value == 0.0));
    assert_eq!(found, wanted);
}
