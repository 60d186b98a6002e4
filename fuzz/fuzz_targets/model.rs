//! Reads bytes as a model file. If it is accepted, every value lies in its wire's range, and the engine
//! agrees with the reference.
#![no_main]

use dq_net::{AnyNetwork, random, read_any};
use dq_sim::{Engine, FloatEngine, GradientSource};
use libfuzzer_sys::fuzz_target;
use ndarray::Axis;

/// Larger ones take too long here.
const PIXELS: usize = 4_000;
const MACS: u64 = 2_000_000;

fuzz_target!(|data: &[u8]| {
    let path = std::env::temp_dir().join(format!("dq-fuzz-{}.json", std::process::id()));
    std::fs::write(&path, data).expect("a temporary file");
    let mut found = read_any(&path);
    // A wrong checksum would hide all that is behind it; the error names the right one.
    if let Err(error) = &found
        && let Some(rest) = error.to_string().split("checksum: expected ").nth(1)
        && let Some(right) = rest.split(' ').next()
        && let Ok(mut value) = serde_json::from_slice::<serde_json::Value>(data)
    {
        value["checksum"] = right.into();
        std::fs::write(&path, value.to_string()).expect("a temporary file");
        found = read_any(&path);
    }
    match found {
        Ok(AnyNetwork::Integer(network)) if network.input_shape().len() <= PIXELS => {
            if (0..network.nodes().len()).map(|i| network.macs(i)).sum::<u64>() > MACS {
                return;
            }
            let image = random::image(data.len() as u64, network.input());
            let values = network.eval_nodes(image.view());
            for (i, value) in values.iter().enumerate() {
                assert!(value.iter().all(|&v| network.wire(i).range.contains(v.into())), "node {i}");
            }
            let scores = Engine::new(&network).scores(image.view().insert_axis(Axis(0)));
            assert!(scores.iter().eq(values.last().expect("a network has nodes")));
        }
        Ok(AnyNetwork::Float(network)) if network.input_shape().len() <= 256 => {
            let image = random::image(data.len() as u64, network.input());
            FloatEngine::new(&network).real_logits(image.view().insert_axis(Axis(0)));
        }
        _ => (),
    }
});
