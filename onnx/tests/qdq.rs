//! QDQ and QOperator networks, with zero points anywhere, and real files of others.

use crate::build::{Attr, Builder, Random};

/// A tensor's scale and zero point.
pub struct Linear {
    scale: String,
    zero: String,
}

impl Linear {
    /// Adds them as constants.
    pub fn new(b: &mut Builder, scale: f32, element: i32, zero: i64) -> Self {
        Linear { scale: b.float(scale), zero: b.ints(element, &[], &[zero]) }
    }

    /// Quantizes and dequantizes.
    pub fn both(&self, b: &mut Builder, x: &str) -> String {
        let levels = b.node("QuantizeLinear", &[x, &self.scale, &self.zero], &[]);
        b.node("DequantizeLinear", &[&levels, &self.scale, &self.zero], &[])
    }
}

#[test]
pub fn an_activation_of_levels_takes_levels() {
    let mut b = Builder::new(1, &[1, 1, 4, 4]);
    let signed = Linear::new(&mut b, 1.0 / 128.0, 3, -20);
    let x = signed.both(&mut b, "x");
    let x = b.node("Relu", &[&x], &[]);
    let x = b.node("AveragePool", &[&x], &[("kernel_shape", Attr::Ints(&[4, 4]))]);
    let w = b.floats(&[2, 1, 1, 1], &[1.0, -2.0]);
    let y = b.node("Conv", &[&x, &w], &[]);
    b.import(&y).unwrap();
}

#[test]
fn files_of_others_are_imported() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files");
    for (name, boundaries, differs) in [
        ("brevitas_per_channel", 240, 0),
        ("ort_mobilenet_qdq", 27_030, 26),
        ("ort_mobilenet_qoperator", 33_483, 15),
        ("ort_resnet_qdq", 31_110, 14),
    ] {
        let path = folder.join(name).with_extension("onnx");
        let import = dq_onnx::import(&path, &Default::default()).unwrap_or_else(|e| panic!("{name}: {e}"));
        let proof = import.network.proof.unwrap();
        assert_eq!((proof.boundaries, import.report.float32_differs), (boundaries, differs), "{name}");
    }
}

/// int8 weights with a scale per output.
pub fn weights(b: &mut Builder, random: &mut Random, dims: &[i64]) -> String {
    let count = dims.iter().product::<i64>() as usize;
    let values: Vec<i64> = (0..count).map(|_| random.below(255) as i64 - 127).collect();
    let ints = b.ints(3, dims, &values);
    let scales: Vec<f32> = (0..dims[0]).map(|_| 0.002 + random.below(1000) as f32 * 1e-5).collect();
    let scale = b.floats(&[dims[0]], &scales);
    let zero = b.ints(3, &[dims[0]], &vec![0; dims[0] as usize]);
    b.node("DequantizeLinear", &[&ints, &scale, &zero], &[("axis", Attr::Int(0))])
}
