//! MaxPool, SumPool and GlobalSum over blocks of images.

use dq_net::Shape;

/// Largest value of each window of each image.
pub(super) fn max<T: Copy + Ord>(
    values: &[T],
    input: Shape,
    output: Shape,
    window: [usize; 2],
    stride: [usize; 2],
) -> Vec<T> {
    fold(values, input, output, window, stride, |v| v, |a, b| a.max(b))
}

/// Sum of each window of each image.
pub(super) fn sum<T: Copy + Into<i32>>(
    values: &[T],
    input: Shape,
    output: Shape,
    window: [usize; 2],
    stride: [usize; 2],
) -> Vec<i32> {
    fold(values, input, output, window, stride, |v| v.into(), |a, b| a + b)
}

/// `join` over the elements of each window of each image, from `first` of its first.
pub(crate) fn fold<T: Copy, U: Copy>(
    values: &[T],
    input: Shape,
    output: Shape,
    window: [usize; 2],
    stride: [usize; 2],
    first: impl Fn(T) -> U,
    join: impl Fn(U, U) -> U,
) -> Vec<U> {
    let channels = input.channels;
    let mut out: Vec<U> = Vec::with_capacity(values.len() / input.len() * output.len());
    for image in values.chunks_exact(input.len()) {
        for y in 0..output.height {
            for x in 0..output.width {
                let pixel = |i: usize, j: usize| {
                    let at = ((y * stride[0] + i) * input.width + x * stride[1] + j) * channels;
                    &image[at..at + channels]
                };
                let start = out.len();
                out.extend(pixel(0, 0).iter().map(|&v| first(v)));
                for (i, j) in (0..window[0]).flat_map(|i| (0..window[1]).map(move |j| (i, j))).skip(1) {
                    let joined = out[start..].iter_mut().zip(pixel(i, j));
                    joined.for_each(|(to, &v)| *to = join(*to, first(v)));
                }
            }
        }
    }
    out
}
