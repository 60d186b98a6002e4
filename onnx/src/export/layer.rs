//! Writes each kind of layer as operators. The tensor that a node makes bears the node's name; what lies
//! between is called `<node>_<what>`. Maps are batch × channels × height × width, vectors after a dense layer
//! batch × channels.

use super::place::Place;
use super::write::{DOUBLE, FLOAT, Tensor, Writer, datatype, float, int, ints, text, weight_type};
use dq_net::layer::{BitDepth, Conv, Dense, Layer, Logits, Mix, Rescale, Step};
use dq_net::{Network, Shape};

/// Writes node `i` of `network`.
pub fn write(w: &mut Writer, network: &Network, i: usize) {
    let node = &network.nodes()[i];
    let place = Place::new(w, network, i);
    match &node.layer {
        Layer::Input(_) => {}
        Layer::Conv(layer) => conv(w, &place, layer),
        Layer::Dense(layer) => dense(w, &place, layer),
        Layer::Step(layer) => step(w, &place, layer),
        Layer::MaxPool(layer) => {
            let window = vec![ints("kernel_shape", &layer.window), ints("strides", &layer.stride)];
            w.op("MaxPool", &[&place.inputs[0]], &place.made, window);
        }
        Layer::SumPool(layer) => sum_pool(w, &place, layer.window, layer.stride),
        Layer::GlobalSum(_) => {
            let axes = w.integers(place.named("axes"), &[2, 3]);
            w.op("ReduceSum", &[&place.inputs[0], &axes], &place.made, vec![int("keepdims", 1)]);
        }
        Layer::Mix(layer) => mix(w, &place, layer),
        Layer::Sum(layer) => sum(w, &place, layer.factors),
        Layer::Concat(_) => {
            w.op("Concat", &[&place.inputs[0], &place.inputs[1]], &place.made, vec![int("axis", 1)]);
        }
        Layer::Rescale(layer) => rescale(w, &place, layer),
        Layer::BitDepth(layer) => bit_depth(w, &place, *layer),
        Layer::Median(_) => median(w, &place),
        Layer::Logits(layer) => logits(w, &place, layer),
    }
    let weights = node.layer.weight_bits().map(weight_type);
    weights.into_iter().for_each(|datatype| w.annotate(&place.named("weights"), datatype));
    w.annotate(place.name, datatype(network.wire(i).range));
}

fn conv(w: &mut Writer, place: &Place, layer: &Conv) {
    let (outputs, rows, columns, inputs) = layer.weights.dim();
    let order = layer.weights.view().permuted_axes([0, 3, 1, 2]);
    let weights = w.floats(
        place.named("weights"),
        &[outputs, inputs, rows, columns],
        order.iter().map(|&weight| f32::from(weight)),
    );
    let [mut top, mut bottom, mut left, mut right] = layer.pad;
    let mut from = place.inputs[0].clone();
    if layer.pad_level != 0 {
        // A convolution pads with 0 alone.
        let pads = w.integers(place.named("pads"), &[0, 0, top, left, 0, 0, bottom, right].map(|n| n as i64));
        let level = w.floats(place.named("pad_level"), &[], std::iter::once(layer.pad_level as f32));
        let Shape { height, width, .. } = place.from;
        let dims = [1, inputs * layer.groups, top + height + bottom, left + width + right];
        let padded = place.floats("padded", &dims);
        w.op("Pad", &[&from, &pads, &level], &padded, vec![text("mode", "constant")]);
        (from, [top, bottom, left, right]) = (padded.name, [0; 4]);
    }
    let attributes = vec![
        ints("kernel_shape", &[rows, columns]),
        ints("strides", &layer.stride),
        ints("pads", &[top, left, bottom, right]),
        int("group", layer.groups as i64),
    ];
    w.op("Conv", &[&from, &weights], &place.made, attributes);
}

fn dense(w: &mut Writer, place: &Place, layer: &Dense) {
    let (outputs, elements) = layer.weights.dim();
    let mut from = place.inputs[0].clone();
    if !place.is_vector {
        if place.from.height * place.from.width > 1 {
            // The weights follow the network's order of elements, channels fastest.
            let Shape { height, width, channels } = place.from;
            let turned = place.floats("channels_last", &[1, height, width, channels]);
            w.op("Transpose", &[&from], &turned, vec![ints("perm", &[0, 2, 3, 1])]);
            from = turned.name;
        }
        let flat = place.floats("flat", &[1, place.from.len()]);
        w.op("Flatten", &[&from], &flat, vec![int("axis", 1)]);
        from = flat.name;
    }
    let columns = layer.weights.t();
    let weights = w.floats(
        place.named("weights"),
        &[elements, outputs],
        columns.iter().map(|&weight| f32::from(weight)),
    );
    w.op("MatMul", &[&from, &weights], &place.made, vec![]);
}

fn step(w: &mut Writer, place: &Place, layer: &Step) {
    let (channels, count) = layer.thresholds.dim();
    let mut from = place.inputs[0].clone();
    if layer.dir.contains(&-1) {
        let signs = layer.dir.iter().map(|&dir| f32::from(dir));
        let signs = w.floats(place.named("dir"), &place.per_channel(channels), signs);
        let turned = place.part("turned");
        w.op("Mul", &[&from, &signs], &turned, vec![]);
        from = turned.name;
    }
    let values = layer.thresholds.iter().map(|&t| t as f32);
    let thresholds = w.floats(place.named("thresholds"), &[channels, count], values);
    let layout = if place.is_vector { "NC" } else { "NCHW" };
    threshold(w, [&from, &thresholds], &place.made, (layout, layer.bits));
}

/// Counts the thresholds that are reached.
fn threshold(w: &mut Writer, inputs: [&str; 2], to: &Tensor, (layout, bits): (&str, u8)) {
    let attributes = vec![
        text("out_dtype", &format!("UINT{bits}")),
        float("out_scale", 1.0),
        float("out_bias", 0.0),
        text("data_layout", layout),
    ];
    w.qonnx("MultiThreshold", &inputs, to, attributes);
}

/// A sum is a convolution with ones: a mean times the number of its elements would round.
fn sum_pool(w: &mut Writer, place: &Place, window: [usize; 2], stride: [usize; 2]) {
    let channels = place.from.channels;
    let ones = vec![1.0; channels * window[0] * window[1]];
    let ones = w.floats(place.named("ones"), &[channels, 1, window[0], window[1]], ones.into_iter());
    let attributes = vec![
        ints("kernel_shape", &window),
        ints("strides", &stride),
        ints("pads", &[0; 4]),
        int("group", channels as i64),
    ];
    w.op("Conv", &[&place.inputs[0], &ones], &place.made, attributes);
}

/// Divides by 2^`shift`, rounds down and clips to `bits` bits, in float64, which holds every sum.
fn shifted(w: &mut Writer, place: &Place, sum: &str, (shift, bits): (u8, u8)) {
    let scalar =
        |w: &mut Writer, what: &str, value: f64| w.doubles(place.named(what), &[], std::iter::once(value));
    let unit = scalar(w, "unit", (-f64::from(shift)).exp2());
    let top = f64::from(bits - 1).exp2();
    let (least, most) = (scalar(w, "least", -top), scalar(w, "most", top - 1.0));
    let [divided, floor, clipped] = ["divided", "floor", "clipped"].map(|what| place.wide(what));
    w.op("Mul", &[sum, &unit], &divided, vec![]);
    w.op("Floor", &[&divided.name], &floor, vec![]);
    w.op("Clip", &[&floor.name, &least, &most], &clipped, vec![]);
    w.op("Cast", &[&clipped.name], &place.made, vec![int("to", FLOAT.into())]);
}

fn rescale(w: &mut Writer, place: &Place, layer: &Rescale) {
    let shape = place.per_channel(layer.mul.len());
    let mul = w.doubles(place.named("mul"), &shape, layer.mul.iter().map(|&mul| f64::from(mul)));
    let add = w.doubles(place.named("add"), &shape, layer.add.iter().map(|&add| add as f64));
    let [wide, product, sum] = ["wide", "product", "sum"].map(|what| place.wide(what));
    w.op("Cast", &[&place.inputs[0]], &wide, vec![int("to", DOUBLE.into())]);
    w.op("Mul", &[&wide.name, &mul], &product, vec![]);
    w.op("Add", &[&product.name, &add], &sum, vec![]);
    shifted(w, place, &sum.name, (layer.shift, layer.bits));
}

fn mix(w: &mut Writer, place: &Place, layer: &Mix) {
    let mut parts = vec![];
    for (input, (what, share)) in place.inputs.iter().zip([("x", layer.a), ("y", layer.b)]) {
        let share = w.doubles(place.named(&format!("{what}_share")), &[], std::iter::once(share.into()));
        let [wide, part] = ["wide", "part"].map(|part| place.wide(&format!("{what}_{part}")));
        w.op("Cast", &[input], &wide, vec![int("to", DOUBLE.into())]);
        w.op("Mul", &[&wide.name, &share], &part, vec![]);
        parts.push(part.name);
    }
    let half = w.doubles(place.named("half"), &[], std::iter::once(layer.half() as f64));
    let [mixed, sum] = ["mixed", "sum"].map(|what| place.wide(what));
    w.op("Add", &[&parts[0], &parts[1]], &mixed, vec![]);
    w.op("Add", &[&mixed.name, &half], &sum, vec![]);
    shifted(w, place, &sum.name, (layer.shift, layer.bits));
}

fn sum(w: &mut Writer, place: &Place, factors: [i32; 2]) {
    let mut parts = vec![];
    for (input, (what, factor)) in place.inputs.iter().zip([("x", factors[0]), ("y", factors[1])]) {
        let factor = w.floats(place.named(&format!("{what}_factor")), &[], std::iter::once(factor as f32));
        let part = place.part(&format!("{what}_part"));
        w.op("Mul", &[input, &factor], &part, vec![]);
        parts.push(part.name);
    }
    w.op("Add", &[&parts[0], &parts[1]], &place.made, vec![]);
}

/// Coarser colours are a staircase of the pixel.
fn bit_depth(w: &mut Writer, place: &Place, layer: BitDepth) {
    let first = |level: i32| (0..=255).find(|&pixel| layer.level(pixel) >= level).unwrap_or(256);
    let levels = 1..1 << layer.bits;
    let thresholds =
        w.floats(place.named("thresholds"), &[1, levels.len()], levels.map(|level| first(level) as f32));
    let layout = if place.is_vector { "NC" } else { "NCHW" };
    threshold(w, [&place.inputs[0], &thresholds], &place.made, (layout, layer.bits));
}

/// The lower middle of four values: the least of the largest of either pair's, and of the larger of both
/// pairs' smallest.
fn median(w: &mut Writer, place: &Place) {
    let pads = w.integers(place.named("pads"), &[0, 0, 1, 1, 0, 0, 0, 0]);
    let Shape { height, width, channels } = place.from;
    let padded = place.floats("padded", &[1, channels, height + 1, width + 1]);
    w.op("Pad", &[&place.inputs[0], &pads], &padded, vec![text("mode", "edge")]);
    let axes = w.integers(place.named("axes"), &[2, 3]);
    let (height, width) = (height as i64, width as i64);
    let corners = [("a", 0, 0), ("b", 0, 1), ("c", 1, 0), ("d", 1, 1)].map(|(name, y, x)| {
        let from = w.integers(place.named(&format!("{name}_from")), &[y, x]);
        let to = w.integers(place.named(&format!("{name}_to")), &[y + height, x + width]);
        let corner = place.part(name);
        w.op("Slice", &[&padded.name, &from, &to, &axes], &corner, vec![]);
        corner
    });
    let [a, b, c, d] = corners.each_ref().map(|corner| corner.name.as_str());
    let [low, low2, high, high2, lows] =
        ["low", "low2", "high", "high2", "lows"].map(|what| place.part(what));
    w.op("Min", &[a, b], &low, vec![]);
    w.op("Min", &[c, d], &low2, vec![]);
    w.op("Max", &[a, b], &high, vec![]);
    w.op("Max", &[c, d], &high2, vec![]);
    w.op("Max", &[&low.name, &low2.name], &lows, vec![]);
    w.op("Min", &[&lows.name, &high.name, &high2.name], &place.made, vec![]);
}

fn logits(w: &mut Writer, place: &Place, layer: &Logits) {
    let mut from = place.inputs[0].clone();
    if !place.is_vector {
        let flat = place.floats("flat", &[1, place.from.len()]);
        w.op("Flatten", &[&from], &flat, vec![int("axis", 1)]);
        from = flat.name;
    }
    let bias = w.floats(place.named("bias"), &[layer.bias.len()], layer.bias.iter().map(|&bias| bias as f32));
    w.op("Add", &[&from, &bias], &place.made, vec![]);
}
