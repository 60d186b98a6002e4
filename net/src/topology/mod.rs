//! Builds topologies with random weights: shapes on which hardware is planned, timed and benchmarked before
//! anything is trained. Their labels mean nothing. Equal arguments give equal networks, on every machine.
//!
//! A name is `NAME[@N/D][:wWaA]`, such as `cnv`, `cnv@1/2` (half the channels), `wrn-16-4:w4a4` (bits of
//! weights and of levels).

mod builder;

use crate::Network;
use builder::{Builder, Square};
use thiserror::Error;

/// Describes a topology: its name, its bits of weights and levels unless others are asked for, what it is,
/// and how it is built.
pub struct Topology {
    /// Name before any `@` or `:`.
    pub name: &'static str,
    /// Bits of weights and of levels where none are given.
    pub bits: (u8, u8),
    /// One line about it.
    pub about: &'static str,
    build: fn(&mut Builder),
}

/// All built-in topologies.
pub const ALL: &[Topology] = &[
    Topology { name: "cnn10", bits: (4, 4), about: "32x32x3, six 3x3 convolutions, 9.9 MMAC", build: cnn10 },
    Topology {
        name: "cnn60",
        bits: (4, 4),
        about: "32x32x3, eight 3x3 convolutions, 57.5 MMAC",
        build: cnn60,
    },
    Topology { name: "cnv", bits: (2, 2), about: "FINN's CNV: 32x32x3, unpadded, 59.5 MMAC", build: cnv },
    Topology {
        name: "wrn-16-4",
        bits: (4, 4),
        about: "WideResNet-16-4, pre-activation, 32x32x3",
        build: wrn_16_4,
    },
    Topology { name: "mlp", bits: (2, 2), about: "28x28x1, dense 256-256-10", build: mlp },
    Topology {
        name: "lenet",
        bits: (2, 2),
        about: "28x28x1, two convolutions, 0.1 MMAC: fits a UP5K",
        build: lenet,
    },
];

/// Says why a name stands for no network.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("topology `{name}`: {field}: expected {expected}, found {found}")]
pub struct TopologyError {
    name: String,
    field: &'static str,
    expected: String,
    found: String,
}

/// Returns whether `text` begins with the name of a topology.
pub fn is_named(text: &str) -> bool {
    let name = text.split([':', '@']).next().unwrap_or_default();
    ALL.iter().any(|topology| topology.name == name)
}

/// Builds the network called `text`, with weights drawn by `seed`.
pub fn build(text: &str, seed: u64) -> Result<Network, TopologyError> {
    let shown: String = text.chars().take(80).collect();
    let error = |field, expected: &str, found: &str| TopologyError {
        name: shown.clone(),
        field,
        expected: expected.into(),
        found: found.chars().take(120).collect(),
    };
    let (head, bits) = match text.split_once(':') {
        Some((head, bits)) => (head, Some(bits)),
        None => (text, None),
    };
    let (name, width) = match head.split_once('@') {
        Some((name, width)) => (name, Some(width)),
        None => (head, None),
    };
    let Some(topology) = ALL.iter().find(|topology| topology.name == name) else {
        let known: Vec<&str> = ALL.iter().map(|topology| topology.name).collect();
        return Err(error("name", &format!("one of {}", known.join(", ")), name));
    };
    let bits = match bits {
        None => topology.bits,
        Some(text) => {
            let parsed = text.strip_prefix('w').and_then(|rest| rest.split_once('a'));
            let parsed = parsed.and_then(|(w, a)| Some((w.parse().ok()?, a.parse().ok()?)));
            let valid = |&(w, a): &(u8, u8)| (1..=8).contains(&w) && (1..=8).contains(&a);
            parsed.filter(valid).ok_or_else(|| error("bits", "`wWaA` with W and A of 1 to 8", text))?
        }
    };
    let width = match width {
        None => (1, 1),
        Some(text) => {
            let parsed = text.split_once('/').and_then(|(n, d)| Some((n.parse().ok()?, d.parse().ok()?)));
            let valid = |&(n, d): &(usize, usize)| (1..=16).contains(&n) && (1..=16).contains(&d);
            parsed.filter(valid).ok_or_else(|| error("width", "`@N/D` with N and D of 1 to 16", text))?
        }
    };
    let mut builder = Builder::new(seed, bits, width);
    (topology.build)(&mut builder);
    let network = builder.finish(text.replace([':', '@', '/', '-'], "_"));
    network.map_err(|e| error("width", "a width and bits whose network is sound", &e.to_string()))
}

fn cnn10(b: &mut Builder) {
    strided(b, &[(16, 1), (32, 2), (32, 1), (64, 2), (64, 1), (64, 1)]);
}

fn cnn60(b: &mut Builder) {
    strided(b, &[(32, 1), (64, 2), (64, 1), (64, 1), (128, 2), (128, 1), (128, 1), (128, 1)]);
}

/// Builds padded 3 × 3 convolutions with the given channels and strides, the mean of each channel, and 10
/// classes.
fn strided(b: &mut Builder, layers: &[(usize, usize)]) {
    b.input(32, 32, 3);
    for (i, &(channels, stride)) in layers.iter().enumerate() {
        let channels = b.scaled(channels);
        b.conv(&format!("conv{}", i + 1), channels, Square { kernel: 3, stride, pad: 1 });
        b.step(&format!("step{}", i + 1));
    }
    b.global_sum();
    b.classifier(10);
}

/// Builds the network of Umuroglu et al., FPGA 2017: pairs of convolutions without padding, a pool after the
/// first two pairs, dense layers.
fn cnv(b: &mut Builder) {
    b.input(32, 32, 3);
    for (i, channels) in [64, 64, 128, 128, 256, 256].into_iter().enumerate() {
        let channels = b.scaled(channels);
        b.conv(&format!("conv{}", i + 1), channels, Square { kernel: 3, stride: 1, pad: 0 });
        b.step(&format!("step{}", i + 1));
        if i == 1 || i == 3 {
            b.max_pool(&format!("pool{}", i + 1));
        }
    }
    let hidden = b.scaled(512);
    for name in ["1", "2"] {
        b.dense(&format!("dense{name}"), hidden);
        b.step(&format!("dense_step{name}"));
    }
    b.classifier(10);
}

/// Builds the network of Zagoruyko, Komodakis, BMVC 2016: a convolution, three groups of two blocks, each a
/// pair of convolutions beside a skip.
fn wrn_16_4(b: &mut Builder) {
    b.input(32, 32, 3);
    let channels = b.scaled(16);
    b.conv("conv1", channels, Square { kernel: 3, stride: 1, pad: 1 });
    let mut stream = b.rescale("stream1");
    for (group, channels) in [64, 128, 256].into_iter().enumerate() {
        for block in 0..2 {
            let name = |part: &str| format!("{part}{}_{}", group + 2, block + 1);
            let stride = if group > 0 && block == 0 { 2 } else { 1 };
            let channels = b.scaled(channels);
            let shaped = stride == 1 && stream.channels() == channels;
            b.go_on_from(&stream);
            let inner = b.step(&name("act_a"));
            b.conv(&name("conv_a"), channels, Square { kernel: 3, stride, pad: 1 });
            b.step(&name("act_b"));
            b.conv(&name("conv_b"), channels, Square { kernel: 3, stride: 1, pad: 1 });
            let branch = b.rescale(&name("scale"));
            let skip = if shaped {
                stream
            } else {
                b.go_on_from(&inner);
                b.conv(&name("conv_skip"), channels, Square { kernel: 1, stride, pad: 0 });
                b.rescale(&name("scale_skip"))
            };
            stream = b.mix(&name("mix"), &skip, &branch);
        }
    }
    b.step("act_out");
    b.global_sum();
    b.classifier(10);
}

fn mlp(b: &mut Builder) {
    b.input(28, 28, 1);
    for name in ["1", "2"] {
        let hidden = b.scaled(256);
        b.dense(&format!("dense{name}"), hidden);
        b.step(&format!("step{name}"));
    }
    b.classifier(10);
}

fn lenet(b: &mut Builder) {
    b.input(28, 28, 1);
    for (i, channels) in [8, 16, 16].into_iter().enumerate() {
        let channels = b.scaled(channels);
        b.conv(&format!("conv{}", i + 1), channels, Square { kernel: 3, stride: 2, pad: 1 });
        b.step(&format!("step{}", i + 1));
    }
    b.classifier(10);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Layer;
    use crate::random;

    #[test]
    fn topologies_have_the_size_they_say() {
        let mega = |text: &str| {
            let network = build(text, 1).unwrap();
            (0..network.nodes().len()).map(|i| network.macs(i)).sum::<u64>() as f64 / 1e6
        };
        for (text, wanted) in [("cnn10", 9.9), ("cnn60", 57.5), ("cnv", 59.5), ("mlp", 0.27), ("lenet", 0.11)]
        {
            assert!((mega(text) / wanted - 1.0).abs() < 0.05, "{text}: {} MMAC", mega(text));
        }
        assert!(
            mega("cnv@1/2") < 16.0 && mega("wrn-16-4") > 350.0,
            "{} {}",
            mega("cnv@1/2"),
            mega("wrn-16-4")
        );
        assert_eq!(build("cnv:w1a1", 1).unwrap(), build("cnv:w1a1", 1).unwrap());
        assert_ne!(build("lenet", 1).unwrap(), build("lenet", 2).unwrap());
    }

    #[test]
    fn every_step_gives_more_than_one_level() {
        for text in ["lenet", "cnn10@1/4", "cnv@1/8", "wrn-16-4@1/16", "cnn10@1/4:w1a1", "mlp:w3a2"] {
            let network = build(text, 3).unwrap();
            let values = network.eval_nodes(random::image(5, network.input()).view());
            for (node, values) in network.nodes().iter().zip(&values) {
                if let Layer::Step(_) = node.layer {
                    let first = values.first().unwrap();
                    assert!(values.iter().any(|v| v != first), "{text}: {} is constant", node.name);
                }
            }
        }
    }

    #[test]
    fn accumulators_that_grow_too_wide_are_an_error() {
        let mut builder = Builder::new(1, (8, 8), (1, 1));
        builder.input(16, 16, 4096);
        builder.global_sum();
        builder.classifier(10);
        let error = builder.finish("wide".into()).unwrap_err();
        assert_eq!((error.node.as_str(), error.field.as_str()), ("classifier", "range"));
    }

    #[test]
    fn what_is_not_a_topology_is_named() {
        for (text, words) in [
            ("vgg", ["name", "cnn10, cnn60, cnv"]),
            ("cnv:w9a2", ["bits", "found w9a2"]),
            ("cnv:2", ["bits", "`wWaA`"]),
            ("cnv@2", ["width", "`@N/D`"]),
            ("cnv@0/2:w2a2", ["width", "found 0/2"]),
        ] {
            let error = build(text, 1).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{error}");
        }
        assert!(is_named("cnv@1/2:w2a2") && !is_named("model.json"));
    }
}
