//! Builds networks of residual blocks. Two streams meet in a Mix, in fixed point; what enters the stream is
//! normalized, so that its range is known.

use anyhow::{Result, ensure};

use super::{Graph, Place};
use crate::node::mix::Shares;
use crate::node::norm::Norm;
use crate::recipe::{Model, Residual};

/// Appends a WideResNet: a convolution, three groups of (depth − 4)/6 pre-activation blocks of 16, 32 and 64
/// channels times the width, a last activation, global sum. Each branch ends in a batch norm of its own,
/// which the published network has not: it keeps the stream within its bits.
pub fn wrn(graph: &mut Graph, model: &Model) -> Result<()> {
    ensure!(
        model.depth >= 10 && (model.depth - 4).is_multiple_of(6),
        "`model.depth`: expected 6n + 4 for a wrn, from 10, found {}",
        model.depth
    );
    graph.conv("conv1".to_owned(), 16, [3, 1, 1])?;
    let mut stream = graph.rescale("stream1".to_owned(), graph.norm());
    let mut terms = 1;
    for (group, channels) in [16, 32, 64].into_iter().enumerate() {
        for block in 0..(model.depth - 4) / 6 {
            let name = |part: &str| format!("{part}{}_{}", group + 2, block + 1);
            let stride = if group > 0 && block == 0 { 2 } else { 1 };
            let channels = graph.scaled(channels);
            let shaped = stride == 1 && stream.channels == channels;
            graph.at = stream;
            let inner = graph.step(name("act_a"), graph.stream_norm());
            graph.conv(name("conv_a"), channels, [3, stride, 1])?;
            graph.step(name("act_b"), graph.norm());
            graph.conv(name("conv_b"), channels, [3, 1, 1])?;
            let branch = graph.rescale(name("scale"), graph.norm());
            let skip = if shaped {
                stream
            } else {
                terms = 1;
                graph.at = inner;
                graph.conv(name("conv_skip"), channels, [1, stride, 0])?;
                graph.rescale(name("scale_skip"), graph.norm())
            };
            graph.at = branch;
            stream = graph.mix(name("mix"), skip, shares(model, &mut terms));
        }
    }
    graph.step("act_out".to_owned(), graph.stream_norm());
    graph.global_sum();
    Ok(())
}

/// Appends a ResNet: depth 18 has four groups of two blocks of 64 to 512 channels, depth 6n + 2 three groups
/// of n of 16 to 64. The activation stands after the addition and reads its real value.
pub fn resnet(graph: &mut Graph, model: &Model) -> Result<()> {
    let (groups, blocks): (&[usize], usize) = match model.depth {
        18 => (&[64, 128, 256, 512], 2),
        depth => {
            ensure!(
                depth >= 8 && (depth - 2).is_multiple_of(6),
                "`model.depth`: expected 18 or 6n + 2 for a resnet, from 8, found {depth}"
            );
            (&[16, 32, 64], (depth - 2) / 6)
        }
    };
    let first = graph.scaled(groups[0]);
    graph.conv("conv1".to_owned(), first, [3, 1, 1])?;
    let mut input = graph.step("act1".to_owned(), graph.norm());
    for (group, &channels) in groups.iter().enumerate() {
        for block in 0..blocks {
            let name = |part: &str| format!("{part}{}_{}", group + 2, block + 1);
            let stride = if group > 0 && block == 0 { 2 } else { 1 };
            let channels = graph.scaled(channels);
            graph.at = input;
            graph.conv(name("conv_a"), channels, [3, stride, 1])?;
            graph.step(name("act_a"), graph.norm());
            graph.conv(name("conv_b"), channels, [3, 1, 1])?;
            let branch = graph.rescale(name("scale"), graph.norm());
            let skip = skip(graph, input, &name, channels, stride)?;
            graph.at = branch;
            graph.mix(name("mix"), skip, shares(model, &mut 1));
            input = graph.step(name("act_b"), Norm::None);
        }
    }
    graph.global_sum();
    Ok(())
}

/// Returns the input itself, or a strided 1×1 convolution of it where its shape differs.
fn skip(
    graph: &mut Graph,
    input: Place,
    name: &impl Fn(&str) -> String,
    channels: usize,
    stride: usize,
) -> Result<Place> {
    graph.at = input;
    if stride == 1 && input.channels == channels {
        return Ok(graph.rescale(name("scale_skip"), Norm::None));
    }
    graph.conv(name("conv_skip"), channels, [1, stride, 0])?;
    Ok(graph.rescale(name("scale_skip"), graph.norm()))
}

/// Returns the shares of a Mix whose skip is of so many terms, which then are one more.
fn shares(model: &Model, terms: &mut usize) -> Shares {
    match model.residual {
        Residual::Convex => Shares::Learned,
        Residual::Add => {
            *terms += 1;
            Shares::Sum { terms: *terms - 1 }
        }
    }
}
