//! Writes files of TensorBoard events: its protobuf messages by their field numbers, each as a record of
//! TensorFlow's `TFRecord` format (length, checksum, message, checksum).

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use crc::{CRC_32_ISCSI, Crc};
use prost::Message;

/// The checksum of `TFRecord`, which is known as CRC-32C too.
const CRC: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);
/// The first event of a file names its format.
const VERSION: &str = "brain.Event:2";

/// An event: the file's version, or scalars of a step.
#[derive(Clone, PartialEq, Message)]
struct Event {
    /// Seconds since 1970.
    #[prost(double, tag = "1")]
    wall_time: f64,
    #[prost(int64, tag = "2")]
    step: i64,
    #[prost(string, optional, tag = "3")]
    file_version: Option<String>,
    #[prost(message, optional, tag = "5")]
    summary: Option<Summary>,
}

#[derive(Clone, PartialEq, Message)]
struct Summary {
    #[prost(message, repeated, tag = "1")]
    value: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    tag: String,
    /// It is optional here so that a 0 is written too.
    #[prost(float, optional, tag = "2")]
    simple_value: Option<f32>,
}

/// A file of events, open to append.
pub struct EventFile(File);

impl EventFile {
    /// Makes a file in `folder`, which is made where it is missing. TensorBoard knows its files by `tfevents`
    /// in their names, and reads those of one folder in the order of their names.
    pub fn create(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        let micros = since_1970().as_micros();
        let name = format!("dq.out.tfevents.{micros}.{}", std::process::id());
        let mut file = EventFile(File::create_new(folder.join(name))?);
        file.append(&version(since_1970().as_secs_f64()))?;
        Ok(file)
    }

    /// Appends scalars of a step, all in one record.
    pub fn write(&mut self, step: i64, scalars: &[(String, f64)]) -> io::Result<()> {
        self.append(&event(since_1970().as_secs_f64(), step, scalars))
    }

    fn append(&mut self, event: &Event) -> io::Result<()> {
        // A single call: what a killed process leaves is whole records.
        self.0.write_all(&record(&event.encode_to_vec()))
    }
}

fn since_1970() -> std::time::Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn version(wall_time: f64) -> Event {
    Event { wall_time, step: 0, file_version: Some(VERSION.into()), summary: None }
}

fn event(wall_time: f64, step: i64, scalars: &[(String, f64)]) -> Event {
    let value = |(tag, value): &(String, f64)| Value { tag: tag.clone(), simple_value: Some(*value as f32) };
    let summary = Summary { value: scalars.iter().map(value).collect() };
    Event { wall_time, step, file_version: None, summary: Some(summary) }
}

/// Returns `message` as a record.
fn record(message: &[u8]) -> Vec<u8> {
    let length = (message.len() as u64).to_le_bytes();
    [&length, &masked(&length)[..], message, &masked(message)].concat()
}

/// Returns the checksum of `bytes` as records hold it: rotated, and a constant added, so that the checksum of
/// bytes that hold checksums is as good as any.
fn masked(bytes: &[u8]) -> [u8; 4] {
    CRC.checksum(bytes).rotate_right(15).wrapping_add(0xa282_ead8).to_le_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What TensorFlow itself writes for these events.
    #[rustfmt::skip]
    const OF_TENSORFLOW: [u8; 126] = [
        24, 0, 0, 0, 0, 0, 0, 0, 163, 127, 75, 34, 9, 0, 0, 128, 54, 111, 246, 215, 65, 26, 13, 98, 114, 97,
        105, 110, 46, 69, 118, 101, 110, 116, 58, 50, 136, 162, 101, 134, 27, 0, 0, 0, 0, 0, 0, 0, 26, 13,
        158, 19, 9, 188, 119, 164, 54, 111, 246, 215, 65, 16, 10, 42, 14, 10, 12, 10, 5, 104, 101, 108, 108,
        111, 21, 0, 0, 40, 66, 93, 240, 111, 128, 27, 0, 0, 0, 0, 0, 0, 0, 26, 13, 158, 19, 9, 48, 127, 164,
        54, 111, 246, 215, 65, 16, 20, 42, 14, 10, 12, 10, 5, 119, 111, 114, 108, 100, 21, 0, 0, 128, 63, 5,
        210, 83, 151,
    ];

    #[test]
    fn events_are_those_of_tensorflow_to_the_byte() {
        let events = [
            version(1608105178.0),
            event(1608105178.569808, 10, &[("hello".into(), 42.0)]),
            event(1608105178.570263, 20, &[("world".into(), 1.0)]),
        ];
        let written: Vec<u8> = events.iter().flat_map(|event| record(&event.encode_to_vec())).collect();
        assert_eq!(written, OF_TENSORFLOW);
    }
}
