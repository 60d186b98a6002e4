//! Backward passes of the pools, for one image each. MaxPool ties go to the first in row-major order.

use dq_net::Shape;

/// Gradient of a MaxPool's input, whose elements are `values`.
pub(crate) fn max<T: Copy + PartialOrd>(
    values: &[T],
    slopes: &[f32],
    input: Shape,
    output: Shape,
    window: [usize; 2],
    stride: [usize; 2],
    into: &mut [f32],
) {
    let channels = output.channels;
    let mut best = vec![values[0]; channels];
    let mut at = vec![0u32; channels];
    for (pixel, slopes) in slopes.chunks_exact(channels).enumerate() {
        let mut taps = taps(pixel * channels, input, output, window, stride);
        let first = taps.next().expect("checked: a window is not empty");
        best.copy_from_slice(&values[first..first + channels]);
        at.fill(first as u32);
        for tap in taps {
            let values = &values[tap..tap + channels];
            for ((best, at), &value) in best.iter_mut().zip(&mut at).zip(values) {
                let more = value > *best;
                *best = if more { value } else { *best };
                *at = if more { tap as u32 } else { *at };
            }
        }
        for (c, (&at, slope)) in at.iter().zip(slopes).enumerate() {
            into[at as usize + c] += slope;
        }
    }
}

/// Gradient of a SumPool's input.
pub(crate) fn sum(
    slopes: &[f32],
    input: Shape,
    output: Shape,
    window: [usize; 2],
    stride: [usize; 2],
    into: &mut [f32],
) {
    for (i, &slope) in slopes.iter().enumerate() {
        taps(i, input, output, window, stride).for_each(|tap| into[tap] += slope);
    }
}

/// Input elements under output element `i`, in row-major order.
fn taps(
    i: usize,
    input: Shape,
    output: Shape,
    window: [usize; 2],
    stride: [usize; 2],
) -> impl Iterator<Item = usize> {
    let c = i % output.channels;
    let (y, x) = (i / output.channels / output.width, i / output.channels % output.width);
    let tap = move |dy: usize, dx: usize| {
        ((y * stride[0] + dy) * input.width + x * stride[1] + dx) * input.channels + c
    };
    (0..window[0]).flat_map(move |dy| (0..window[1]).map(move |dx| tap(dy, dx)))
}
