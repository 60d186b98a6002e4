//! Tests boards with the tools that make bitstreams: what `bitstreams/` stores belongs together, and the long
//! suite builds a small network for every board, and a stored bitstream once more.

use crate::run::{json, root};
use dq_hdl::board::{BUILT_IN, Board};
use dq_hdl::flow::Record;
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Returns every stored record's path without `.record.json`, of the board called `name`.
fn stored(name: &str) -> Vec<PathBuf> {
    let files = fs::read_dir(root().join("bitstreams").join(name)).unwrap();
    let names = files.map(|file| file.unwrap().path().display().to_string());
    names.filter_map(|name| Some(name.strip_suffix(".record.json")?.into())).collect()
}

fn read(stem: &Path, suffix: &str) -> Vec<u8> {
    let path = format!("{}.{suffix}", stem.display());
    fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Returns a stored bitstream, which is compressed where it is text.
fn bitstream(stem: &Path, suffix: &str) -> Vec<u8> {
    if suffix != "fs" {
        return read(stem, suffix);
    }
    let path = format!("{}.fs.gz", stem.display());
    let output = Command::new("gzip").args(["-dc", &path]).output().expect("gzip starts");
    assert!(output.status.success(), "{path}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

/// Returns the model that a stored bitstream is of.
fn model(network: &str) -> PathBuf {
    let models = root().join("models");
    let file = models.join(format!("{network}.json"));
    if file.is_file() { file } else { models.join(network).join("model.json") }
}

/// Every board has a bitstream; it is the one of its record, which is of a shipped network, and the whole
/// board answered 20 images as the simulator does.
#[test]
fn stored_bitstreams_are_those_of_their_records() {
    for (name, _) in BUILT_IN {
        let stems = stored(name);
        assert!(!stems.is_empty(), "{name}");
        for stem in stems {
            let record: Record = serde_json::from_slice(&read(&stem, "record.json")).unwrap();
            let board = Board::find(name).unwrap();
            let at = stem.display();
            assert_eq!((&record.board, record.timing_met), (&board.name, true), "{at}");
            let bytes = bitstream(&stem, board.suffix());
            assert_eq!(dq_net::sha256(&bytes), record.bitstream_sha256, "{at}");
            let network = dq_net::read_network(&model(&record.network)).unwrap();
            assert_eq!(dq_net::content_hash(&network), record.hash, "{at}");
            let said: Value = serde_json::from_slice(&read(&stem, "simulated.json")).unwrap();
            assert_eq!(
                (said["hash"].as_str(), said["simulated"].as_str()),
                (Some(&*record.hash), Some(*name))
            );
            assert_eq!((said["images"].as_u64(), said["mismatches"].as_u64()), (Some(20), Some(0)), "{at}");
        }
    }
}

/// Pins, clock and cells are such that place and route takes them.
#[test]
#[ignore = "takes minutes"]
fn every_board_gets_a_bitstream() {
    for (name, _) in BUILT_IN {
        let scratch = tempfile::tempdir().unwrap();
        let said = json(scratch.path(), &["build", "lenet@1/4", "--board", name, "-o", "out"]);
        assert_eq!(said["record"]["timing_met"], true, "{name}: {said}");
        let bitstream = scratch.path().join(said["bitstream"].as_str().unwrap());
        assert!(fs::metadata(bitstream).unwrap().len() > 20_000, "{name}");
    }
}

/// The same tools make the same bytes of the same network under the same plan.
#[test]
#[ignore = "takes minutes"]
fn a_stored_bitstream_is_built_again() {
    let stem = stored("icebreaker").remove(0);
    let record: Record = serde_json::from_slice(&read(&stem, "record.json")).unwrap();
    let scratch = tempfile::tempdir().unwrap();
    record.plan.write(&scratch.path().join("plan.json")).unwrap();
    let model = model(&record.network).display().to_string();
    let args = ["build", &model, "--board", "icebreaker", "--plan", "plan.json", "-o", "out"];
    let said = json(scratch.path(), &args);
    assert_eq!(said["record"]["tools"], serde_json::to_value(&record.tools).unwrap());
    let bitstream = fs::read(scratch.path().join(said["bitstream"].as_str().unwrap())).unwrap();
    assert!(bitstream == read(&stem, "bin"), "other bytes than those of {}", stem.display());
}
