//! Imports an ONNX file and prints, as JSON, the report and the real scores of random images with their
//! pixels: for judges in other languages, which run the same file.
//!
//!     scores MODEL.onnx IMAGES [unit|uint8]

use dq_net::random;
use dq_onnx::{Normalization, Options};

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, count, rest @ ..] = &arguments[..] else {
        panic!("usage: scores MODEL.onnx IMAGES [unit|uint8]")
    };
    let raw = rest.first().map(|range| range == "uint8");
    let options =
        Options { normalization: Normalization { raw, ..Default::default() }, ..Default::default() };
    let import = match dq_onnx::import(path.as_ref(), &options) {
        Ok(import) => import,
        Err(error) => {
            eprintln!("{error}");
            std::process::exit(1);
        }
    };
    let (network, report) = (&import.network, &import.report);
    let images: u64 = count.parse().expect("a number of images");
    let mut frames = vec![];
    for seed in 0..images {
        let image = random::image(seed, network.input_shape());
        let scores = network.eval(image.view());
        frames.push(serde_json::json!({"pixels": image.iter().collect::<Vec<_>>(), "scores": scores}));
    }
    let shape = network.input_shape();
    let text = serde_json::json!({
        "report": report, "proof": network.proof, "nodes": network.nodes().len(), "scale": report.scale,
        "offset": import.report.offset, "shape": [shape.height, shape.width, shape.channels], "frames": frames,
        "hash": dq_net::content_hash(network),
    });
    println!("{text}");
}
