//! Plans how AVX2 sums the products of a panel. Its instructions sum in 16 bits: the window is divided into
//! chunks, each as long as the weights that are there and the largest level allow. Never assumes a range of
//! weights.

use super::shape::{Chunk, LANES, Stretch, Widening};

/// Number of sums of 16 bits: two pairs of taps for each output.
const SUMS: usize = 2 * LANES;

/// Plans the sums of `panel` (run × quad × 16 outputs × 4 taps) for levels of at most `level_hi` and runs that
/// begin at `runs`.
pub(super) fn plan(panel: &[i8], runs: &[usize], level_hi: i64) -> Widening {
    let steps: Vec<&[i8]> = panel.chunks_exact(LANES * 4).collect();
    let quads = steps.len() / runs.len();
    let mut chunks: Vec<Chunk> = vec![];
    let mut ranges = [[0; 2]; SUMS];
    for (i, step) in steps.iter().enumerate() {
        if !add(&mut ranges, step, level_hi) {
            ranges = [[0; 2]; SUMS];
            if !add(&mut ranges, step, level_hi) {
                return Widening::Split;
            }
            chunks.push(vec![]);
        } else if i == 0 {
            chunks.push(vec![]);
        }
        let chunk = chunks.last_mut().expect("the first step begins a chunk");
        match chunk.last_mut() {
            Some(stretch) if i % quads > 0 => stretch.quads += 1,
            _ => chunk.push(Stretch { start: runs[i / quads] + i % quads * 4, quads: 1 }),
        }
    }
    if pays(steps.len(), chunks.len()) { Widening::Chunks(chunks) } else { Widening::Pairs }
}

/// Widens `ranges`, the least and the largest value of each sum, by the products of one more quad of taps;
/// returns whether all of them are still those of an i16.
fn add(ranges: &mut [[i64; 2]; SUMS], step: &[i8], level_hi: i64) -> bool {
    let mut fits = true;
    for ([least, largest], pair) in ranges.iter_mut().zip(step.chunks_exact(2)) {
        for &weight in pair {
            let product = i64::from(weight) * level_hi;
            *least += product.min(0);
            *largest += product.max(0);
        }
        fits &= *least >= i64::from(i16::MIN) && *largest <= i64::from(i16::MAX);
    }
    fits
}

/// Returns whether a window of `quads` takes fewer instructions in `chunks` than by pairs, by count, in tenths
/// for each row: a quad takes 6 in chunks and 8.4 by pairs, and sums take 13 to begin and to end.
fn pays(quads: usize, chunks: usize) -> bool {
    60 * quads + 130 * chunks < 84 * quads + 135
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns a panel of two runs of four quads, where the weights of each sum of 16 bits add up to `total`
    /// for one output and are zero for the others.
    fn panel(total: i64) -> Vec<i8> {
        let weight = |at: i64| (total * (at + 1) / 16 - total * at / 16) as i8;
        (0..8 * LANES * 4)
            .map(|i| {
                let (quad, output, tap) = (i / (LANES * 4), i / 4 % LANES, i % 4);
                if output == 9 { weight((quad * 2 + tap % 2) as i64) } else { 0 }
            })
            .collect()
    }

    #[test]
    fn a_chunk_ends_where_a_sum_could_leave_16_bits() {
        let stretch = |start, quads| Stretch { start, quads };
        for (level_hi, total, fits) in [
            (217, 151, true),
            (128, 256, false),
            (128, -256, true),
            (99, -331, false),
            (31, 1057, true),
            (32, 1024, false),
        ] {
            let wanted = if fits {
                vec![vec![stretch(100, 4), stretch(500, 4)]]
            } else {
                vec![vec![stretch(100, 4), stretch(500, 3)], vec![stretch(512, 1)]]
            };
            assert_eq!(
                plan(&panel(total), &[100, 500], level_hi),
                Widening::Chunks(wanted),
                "{level_hi} × {total}"
            );
        }
    }

    #[test]
    fn wide_products_are_not_summed_in_16_bits() {
        // Each quad adds 128 · 255 to a sum: two leave an i16.
        assert_eq!(plan(&panel(128 * 8), &[0, 16], 255), Widening::Pairs);
        assert_eq!(plan(&panel(130 * 8), &[0, 16], 255), Widening::Split);
        assert_eq!(plan(&panel(-130 * 8), &[0, 16], 255), Widening::Split);
    }
}
