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

#[test]
fn every_network_comes_back_whole() {
    let scratch = tempfile::tempdir().unwrap();
    for seed in 0..40 {
        let network = random::network(seed, &random::Options::default());
        assert_eq!(there_and_back(&network, scratch.path()), network, "seed {seed}");
    }
    let models = Path::new(env!("CARGO_MANIFEST_DIR")).join("../models");
    let shipped = ["mnist-mlp-certified.json", "signs-tiny-dq/model.json", "controls/signs-tiny-fgsm.json"];
    for path in shipped.map(|name| models.join(name)) {
        let network = dq_net::read_network(&path).unwrap();
        let back = there_and_back(&network, scratch.path());
        assert_eq!(content_hash(&back), content_hash(&network), "{}", path.display());
        assert_eq!(dq_net::to_json(&back), fs::read_to_string(&path).unwrap());
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
        let image = random::image(seed, network.input_shape());
        differs += usize::from(imported.network.eval(image.view()) != network.eval(image.view()));
    }
    assert!(differs > 0, "no score changed");
}
