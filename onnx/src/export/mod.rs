//! Writes an integer network as QONNX: standard operators and `MultiThreshold`, whole numbers in float32, the
//! shape of every tensor and its finn_datatype beside it.
//!
//! The file's metadata holds the whole model.json. A file whose graph is exactly what is written here for
//! that network *is* that network ([`original`]): so it comes back with its hash, its names and its proof. A
//! file that someone edited is imported by its graph like any other.

mod layer;
mod place;
mod write;

use crate::proto::{ModelProto, OperatorSetIdProto, StringStringEntryProto};
use dq_net::{Network, Range};
use prost::Message;
use write::Writer;

/// Key of the metadata that holds model.json.
const KEY: &str = "dq.model";
/// Largest sum that float32 holds exactly, whatever the order of summation.
const EXACT: i64 = 1 << 24;

/// An exported network.
pub struct Export {
    /// The file's bytes.
    pub bytes: Vec<u8>,
    /// Operators of the graph.
    pub operators: usize,
    /// Nodes whose values leave what float32 holds exactly: there an executor may round.
    pub inexact: Vec<String>,
}

/// Writes `network` as a QONNX file.
pub fn export(network: &Network) -> Export {
    let mut model = model(network);
    let value = dq_net::to_json(network);
    model.metadata_props.push(StringStringEntryProto { key: KEY.into(), value });
    let beyond = |range: Range| range.lo < -EXACT || range.hi > EXACT;
    let nodes = network.nodes().iter().enumerate();
    let inexact = nodes.filter(|&(i, _)| beyond(network.wire(i).range)).map(|(_, node)| node.name.clone());
    Export {
        operators: model.graph.as_ref().map_or(0, |graph| graph.node.len()),
        bytes: model.encode_to_vec(),
        inexact: inexact.collect(),
    }
}

/// Returns the network that `model` was written from, where its graph is exactly what [`export`] writes. The
/// noted shapes may be others, or none: they follow from the graph.
pub fn original(model: &ModelProto) -> Option<Network> {
    let text = &model.metadata_props.iter().find(|entry| entry.key == KEY)?.value;
    let network = dq_net::from_json(text).ok()?;
    let mut written = self::model(&network);
    if let (Some(ours), Some(theirs)) = (&mut written.graph, &model.graph) {
        ours.value_info.clone_from(&theirs.value_info);
    }
    (written.graph == model.graph && written.opset_import == model.opset_import).then_some(network)
}

/// Returns the file without its metadata.
fn model(network: &Network) -> ModelProto {
    let mut writer = Writer::new(network);
    for i in 0..network.nodes().len() {
        layer::write(&mut writer, network, i);
    }
    let set = |domain: &str, version| OperatorSetIdProto { domain: domain.into(), version };
    ModelProto {
        ir_version: 8,
        producer_name: "dq".into(),
        producer_version: env!("CARGO_PKG_VERSION").into(),
        opset_import: vec![set("", 13), set(write::QONNX, 1)],
        graph: Some(writer.finish()),
        metadata_props: vec![],
    }
}
