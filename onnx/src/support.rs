//! Lists the operators that are imported, by domain, and says of others what to do instead.

use crate::error::shown;
use crate::graph::Op;

/// Operators of ONNX itself.
const ONNX: &[&str] = &[
    "Abs",
    "Add",
    "ArgMax",
    "AveragePool",
    "BatchNormalization",
    "Cast",
    "Ceil",
    "Clip",
    "Concat",
    "ConstantOfShape",
    "Conv",
    "DequantizeLinear",
    "Div",
    "Dropout",
    "Flatten",
    "Floor",
    "Gather",
    "Gemm",
    "GlobalAveragePool",
    "GlobalMaxPool",
    "HardSigmoid",
    "Hardmax",
    "Identity",
    "LeakyRelu",
    "LogSoftmax",
    "MatMul",
    "Max",
    "MaxPool",
    "Min",
    "Mul",
    "Neg",
    "PRelu",
    "Pad",
    "Pow",
    "QuantizeLinear",
    "Reciprocal",
    "ReduceMean",
    "Relu",
    "Reshape",
    "Round",
    "Shape",
    "Sign",
    "Slice",
    "Softmax",
    "Split",
    "Sqrt",
    "Squeeze",
    "Sub",
    "TopK",
    "Transpose",
    "Unsqueeze",
];

/// Quantizers of QONNX and FINN.
const QONNX: &[&str] = &["Quant", "IntQuant", "BipolarQuant", "Trunc", "MultiThreshold"];

/// Domains that the operators of QONNX stand in.
pub const QONNX_DOMAINS: &[&str] =
    &["", "onnx.brevitas", "finn.custom_op.general", "qonnx.custom_op.general", "finn", "qonnx"];

/// Domain of ONNX's operators with the channels last.
pub const CHANNELS_LAST_DOMAIN: &str = "qonnx.custom_op.channels_last";

/// Returns why an operator is not imported, and what to do instead; `None` where it is.
pub fn refusal(op: &Op) -> Option<String> {
    let (kind, domain) = (op.kind.as_str(), op.domain.as_str());
    let known =
        QONNX.contains(&kind) && QONNX_DOMAINS.contains(&domain) || ONNX.contains(&kind) && domain.is_empty();
    let normalized = kind == "BatchNormalization" && domain == CHANNELS_LAST_DOMAIN;
    if known || normalized {
        return None;
    }
    Some(match kind {
        "FloatQuant" => "minifloats have no integer network: quantize with Quant (whole numbers)".into(),
        "DynamicQuantizeLinear" | "ConvInteger" | "MatMulInteger" | "DynamicQuantizeMatMul" => {
            "scales that depend on the image have no fixed circuit: use static quantization with calibration"
                .into()
        }
        "If" | "Loop" | "Scan" => {
            "expected no control flow: export the model by tracing it in evaluation mode".into()
        }
        "Sigmoid" | "Tanh" | "Gelu" | "Erf" | "Exp" | "Log" | "Elu" | "Selu" | "Softplus" | "HardSwish"
        | "Mish" | "Silu" | "Swish" => {
            "no exact rational value or not monotone: use Relu, Clip or HardSigmoid before the quantizer"
                .into()
        }
        "LSTM" | "GRU" | "RNN" | "QuantLSTMCell" => "expected no recurrent layers".into(),
        "ConvTranspose" | "Resize" | "Upsample" | "DepthToSpace" => {
            "a circuit's maps shrink and never grow: use a network without enlarged maps, or choose a tensor \
             before it with --output-tensor"
                .into()
        }
        _ => format!(
            "unknown operator{}: expected QONNX, QDQ or the convolutional operators of ONNX; simplify the model, or \
             replace the node",
            if domain.is_empty() { String::new() } else { format!(" of domain `{}`", shown(domain)) }
        ),
    })
}
