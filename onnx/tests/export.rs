//! Networks as QONNX and back.

use dq_net::{Network, content_hash, random};
use dq_onnx::proto::ModelProto;
use dq_onnx::{Options, export, import};
use prost::Message;
use std::fs;
use std::path::{Path, PathBuf};

fn there_and_back(network: &Network, folder: &Path) -> Network {
    let path = folder.join("network.onnx");
    fs::write(&path, export(network).bytes).unwrap();
    let imported = import(&path, &Options::default()).unwrap();
    assert!(imported.report.as_written);
    imported.network
}

/// Draws every other network with residuals and all that comes with them.
pub fn options(seed: u64) -> random::Options {
    random::Options { residuals: seed % 2 == 1, ..Default::default() }
}

#[test]
fn every_network_comes_back_whole() {
    let scratch = tempfile::tempdir().unwrap();
    for seed in 0..40 {
        let network = random::network(seed, &options(seed));
        assert_eq!(there_and_back(&network, scratch.path()), network, "seed {seed}");
    }
}

/// Returns every network in `models/`, with its file.
pub fn shipped() -> Vec<(PathBuf, Network)> {
    let (mut folders, mut found) = (vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("../models")], vec![]);
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "json") {
                found.push((path.clone(), dq_net::read_network(&path).unwrap()));
            }
        }
    }
    assert!(found.len() >= 9, "{} networks", found.len());
    found
}

#[test]
fn every_shipped_network_comes_back_with_its_hash() {
    let scratch = tempfile::tempdir().unwrap();
    for (path, network) in shipped() {
        let back = there_and_back(&network, scratch.path());
        assert_eq!(content_hash(&back), content_hash(&network), "{}", path.display());
        assert_eq!(dq_net::to_json(&back), fs::read_to_string(&path).unwrap());
    }
}

/// Each tensor between input and output has its type and shape, once; they are notes: without them the file is
/// the same network.
#[test]
fn every_tensor_has_its_shape() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("network.onnx");
    for seed in 0..20 {
        let network = random::network(seed, &random::Options::default());
        let mut file = ModelProto::decode(export(&network).bytes.as_slice()).unwrap();
        let graph = file.graph.as_mut().unwrap();
        let made: Vec<&String> = graph.node.iter().map(|node| &node.output[0]).collect();
        let noted: Vec<&String> = graph.value_info.iter().map(|value| &value.name).collect();
        assert_eq!(noted, made[..made.len() - 1], "seed {seed}");
        for (i, node) in network.nodes().iter().enumerate() {
            let Some(value) = graph.value_info.iter().find(|value| value.name == node.name) else { continue };
            let tensor = value.r#type.as_ref().unwrap().tensor_type.as_ref().unwrap();
            let dims = tensor.shape.as_ref().unwrap().dim.iter().map(|dim| dim.dim_value.unwrap() as usize);
            assert_eq!(dims.product::<usize>(), network.wire(i).shape.len(), "seed {seed}, {}", node.name);
        }
        graph.value_info.clear();
        fs::write(&path, file.encode_to_vec()).unwrap();
        let imported = import(&path, &Options::default()).unwrap();
        assert!(imported.report.as_written && imported.network == network, "seed {seed}");
    }
}

/// A file whose graph was edited is not the network in its metadata: it is imported by its graph.
#[test]
fn an_edited_file_is_what_its_graph_says() {
    let scratch = tempfile::tempdir().unwrap();
    let path: PathBuf = scratch.path().join("edited.onnx");
    let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models/mnist-mlp-certified.json");
    let network = dq_net::read_network(&model).unwrap();
    let mut file = ModelProto::decode(export(&network).bytes.as_slice()).unwrap();
    let graph = file.graph.as_mut().unwrap();
    let weights = graph.initializer.iter_mut().find(|tensor| tensor.name.ends_with("_weights")).unwrap();
    let first = f32::from_le_bytes(weights.raw_data[..4].try_into().unwrap());
    let other = if first > 0.0 { first - 1.0 } else { first + 1.0 };
    weights.raw_data[..4].copy_from_slice(&other.to_le_bytes());
    fs::write(&path, file.encode_to_vec()).unwrap();
    let imported = import(&path, &Options::default()).unwrap();
    assert!(!imported.report.as_written);
    assert_ne!(content_hash(&imported.network), content_hash(&network));
    // Its graph gives what it says: the weight of one pixel moves the first layer's sum.
    let mut differs = 0;
    for seed in 0..50 {
        let image = random::image(seed, network.input());
        differs += usize::from(imported.network.eval(image.view()) != network.eval(image.view()));
    }
    assert!(differs > 0, "no score changed");
}
