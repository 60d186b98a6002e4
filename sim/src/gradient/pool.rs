//! Backward passes of the pools, for one image each. MaxPool ties go to the first in row-major order.

use dq_net::Shape;

/// Gradient of a MaxPool's input. `value(i)`: input element `i`.
pub(crate) fn max<T: PartialOrd>(
    value: impl Fn(usize) -> T,
    slopes: &[f32],
    input: Shape,
    output: Shape,
    window: [usize; 2],
    stride: [usize; 2],
    into: &mut [f32],
) {
    for (i, &slope) in slopes.iter().enumerate() {
        let mut taps = taps(i, input, output, window, stride);
        let first = taps.next().expect("checked: a window is not empty");
        let best = taps.fold(first, |best, tap| if value(tap) > value(best) { tap } else { best });
        into[best] += slope;
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
