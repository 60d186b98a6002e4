//! Computes products by tiles: 16 windows of 64 bytes times 64 taps of 16 outputs at a time, which AMX
//! multiplies in one instruction. Windows are read where they lie if they are equally far apart, and gathered
//! if not.

use super::Session;
use super::shape::{LANES, Rows, Runs, TILE, TILE_ROW, TILE_ROWS, TileJob, TileSums};

/// Holds a thread's working memory: sums and gathered windows of each plane.
pub(super) struct Scratch {
    sums: [TileSums; 2],
    rows: [Vec<u8>; 2],
}

impl Default for Scratch {
    fn default() -> Self {
        let sums = [const { TileSums([[0; 2 * LANES]; 2 * TILE_ROWS]) }; 2];
        Self { sums, rows: [vec![], vec![]] }
    }
}

/// Holds weights as tiles.
pub(crate) struct TiledWeights {
    /// Weights: pair of panels × slab of 64 taps × panel × group of four taps × 16 outputs × 4 taps; zeros at
    /// the edges.
    data: Vec<i8>,
    outputs: usize,
    runs: Runs,
    /// Offset in bytes of each slab of a window that is read where it lies, with slabs of its own for each
    /// run. `None` if runs are too short for that.
    in_place: Option<Vec<usize>>,
    /// Offset in bytes of each slab in a gathered row.
    gathered: Vec<usize>,
}

/// Describes the windows of one tile.
struct Group {
    /// Place of the first window among the rows.
    first: usize,
    count: usize,
    /// The row of the tile at which each window lies.
    slots: [usize; TILE_ROWS],
    in_place: bool,
}

impl TiledWeights {
    /// Packs `weight(output, run, tap)`.
    pub fn new(outputs: usize, runs: Runs, weight: impl Fn(usize, usize, usize) -> i8) -> Self {
        let (starts, run) = (&runs.starts, runs.length);
        let by_run = run.div_ceil(TILE_ROW);
        let in_place = (!is_gathered(&runs)).then(|| {
            starts.iter().flat_map(|start| (0..by_run).map(move |at| start + at * TILE_ROW)).collect()
        });
        // This is the distance in taps from one run to the next.
        let apart = if in_place.is_some() { by_run * TILE_ROW } else { run };
        let slabs = (starts.len() * apart).div_ceil(TILE_ROW);
        let panels = outputs.div_ceil(LANES);
        let mut data = vec![0; panels * slabs * TILE];
        for (i, tile) in data.chunks_exact_mut(TILE).enumerate() {
            let pair = i / (2 * slabs);
            let (width, within) = ((panels - 2 * pair).min(2), i - pair * 2 * slabs);
            let (slab, panel) = (within / width, 2 * pair + within % width);
            for (j, slot) in tile.iter_mut().enumerate() {
                let (output, tap) =
                    (panel * LANES + j % TILE_ROW / 4, slab * TILE_ROW + j / TILE_ROW * 4 + j % 4);
                let (s, k) = (tap / apart, tap % apart);
                if output < outputs && s < starts.len() && k < run {
                    *slot = weight(output, s, k);
                }
            }
        }
        Self { data, outputs, runs, in_place, gathered: (0..slabs).map(|slab| slab * TILE_ROW).collect() }
    }

    /// Returns whether tiles take fewer cycles than vectors of four taps and 16 outputs, by count: a tile
    /// takes 16 cycles, a vector half a cycle, and gathering a window one or two cycles per run and 64 bytes
    /// of it.
    pub fn pay(outputs: usize, runs: &Runs) -> bool {
        let is_gathered = is_gathered(runs);
        let (runs, run) = (runs.starts.len(), runs.length);
        let panels = outputs.div_ceil(LANES);
        let (slabs, gather) = if is_gathered {
            ((runs * run).div_ceil(TILE_ROW), runs * (run.div_ceil(TILE_ROW) + 1))
        } else {
            (runs * run.div_ceil(TILE_ROW), 0)
        };
        2 * (slabs * panels + gather) < runs * run.div_ceil(4) * panels
    }

    /// Returns the bytes of a gathered row: a run is copied up to 63 bytes past its end.
    fn row(&self) -> usize {
        (self.gathered.len() + 1) * TILE_ROW
    }

    /// Copies the windows at `rows` to the rows of `scratch`.
    fn gather(&self, input: &[u8], rows: &[usize], scratch: &mut [u8]) {
        let run = self.runs.length;
        let apart = if self.in_place.is_some() { run.next_multiple_of(TILE_ROW) } else { run };
        for (&start, row) in rows.iter().zip(scratch.chunks_exact_mut(self.row())) {
            for (s, first) in self.runs.starts.iter().enumerate() {
                for at in (0..run).step_by(TILE_ROW) {
                    let from = input[start + first + at..].first_chunk::<TILE_ROW>();
                    let to = row[s * apart + at..].first_chunk_mut::<TILE_ROW>();
                    *to.expect("a row has room") = *from.expect("a map has slack");
                }
            }
        }
    }

    /// Finds the windows of `rows` that make a tile, from the `first` on: `apart` bytes or a multiple of that
    /// from each other.
    fn group(&self, input: &[u8], rows: &[usize], first: usize, apart: usize) -> Group {
        let rows = &rows[first..];
        let mut slots = std::array::from_fn(|slot| slot);
        let last = self.in_place.as_ref().and_then(|slabs| slabs.iter().max());
        let end =
            last.map(|last| (rows[0] + last + TILE_ROW).saturating_add(apart.saturating_mul(TILE_ROWS - 1)));
        if end.is_none_or(|end| end > input.len()) {
            return Group { first, count: rows.len().min(TILE_ROWS), slots, in_place: false };
        }
        let (mut count, mut slot, mut position) = (0, 0, rows[0]);
        for &row in rows.iter().take(TILE_ROWS) {
            while position < row && slot < TILE_ROWS {
                (position, slot) = (position + apart, slot + 1);
            }
            if position != row || slot == TILE_ROWS {
                break;
            }
            slots[count] = slot;
            count += 1;
        }
        Group { first, count, slots, in_place: true }
    }
}

/// Returns whether short runs are gathered one behind another, which they are where that saves a third of the
/// slabs.
fn is_gathered(runs: &Runs) -> bool {
    let (runs, run) = (runs.starts.len(), runs.length);
    3 * (runs * run).div_ceil(TILE_ROW) <= 2 * runs * run.div_ceil(TILE_ROW)
}

/// Holds levels of 8 bits, or whole numbers of 16 bits as two planes of bytes.
#[derive(Clone, Copy)]
pub(crate) struct Planes<'a> {
    pub low: &'a [u8],
    /// The higher bytes, which are signed; `None` for levels of 8 bits.
    pub high: Option<&'a [u8]>,
}

/// Computes `out[r·stride + o] = Σ input[rows[r] + runs[s] + k] · weight(o, s, k)`, modulo 2³².
///
/// # Panics
/// If a window would leave `input`, or a row `out`; if the session's kernel has no tiles.
pub(crate) fn product(
    session: &mut Session,
    input: Planes,
    rows: &[usize],
    weights: &TiledWeights,
    out: Rows<i32>,
) {
    #[cfg(target_arch = "x86_64")]
    if let Some((tiles, scratch)) = &mut session.tiles {
        let windows = Windows { input, rows };
        return by(|job, sums| tiles.multiply(job, sums), scratch, windows, weights, out);
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (input, rows, weights, out);
    panic!("the {} kernel has no tiles", session.kernel.name());
}

/// Says where each window of a product begins in the input.
struct Windows<'a> {
    input: Planes<'a>,
    rows: &'a [usize],
}

/// Cuts a product into jobs of one or two tiles by one or two panels, and hands each to `multiply`.
fn by(
    multiply: impl Fn(&TileJob, &mut TileSums),
    scratch: &mut Scratch,
    Windows { input, rows }: Windows,
    weights: &TiledWeights,
    out: Rows<i32>,
) {
    let between = rows.windows(2).map(|pair| pair[1].wrapping_sub(pair[0])).min().unwrap_or(TILE_ROW);
    let (outputs, row, slabs) = (weights.outputs, weights.row(), weights.gathered.len());
    let planes = [Some(input.low), input.high];
    let Scratch { sums, rows: gathered } = scratch;
    let mut done = 0;
    while done < rows.len() {
        let first = weights.group(input.low, rows, done, between);
        let next = done + first.count;
        let second = (next < rows.len()).then(|| weights.group(input.low, rows, next, between));
        let second = second.filter(|second| second.in_place == first.in_place);
        let groups = || [Some(&first), second.as_ref()].into_iter().flatten();
        let (planes, starts, apart, at) = match &weights.in_place {
            Some(at) if first.in_place => {
                (planes, [rows[done], second.as_ref().map_or(0, |second| rows[second.first])], between, at)
            }
            _ => {
                for (plane, scratch) in planes.iter().flatten().zip(&mut *gathered) {
                    scratch.resize(2 * TILE_ROWS * row, 0);
                    for (group, to) in groups().zip(scratch.chunks_exact_mut(TILE_ROWS * row)) {
                        weights.gather(plane, &rows[group.first..][..group.count], to);
                    }
                }
                let [low, high] = &*gathered;
                (
                    [Some(&low[..]), input.high.map(|_| &high[..])],
                    [0, TILE_ROWS * row],
                    row,
                    &weights.gathered,
                )
            }
        };
        let starts = &starts[..groups().count()];
        for (pair, weights) in weights.data.chunks(2 * slabs * TILE).enumerate() {
            let panels = weights.len() / (slabs * TILE);
            for (signed, (plane, sums)) in [false, true].into_iter().zip(planes.iter().zip(&mut *sums)) {
                if let Some(input) = plane {
                    multiply(&TileJob { input, starts, apart, slabs: at, weights, panels, signed }, sums);
                }
            }
            let first = pair * 2 * LANES;
            let columns = first..first + (outputs - first).min(2 * LANES);
            for (t, group) in groups().enumerate() {
                for (i, slot) in group.slots[..group.count].iter().enumerate() {
                    let [mut sum, high] = [0, 1].map(|plane: usize| sums[plane].0[t * TILE_ROWS + slot]);
                    if input.high.is_some() {
                        sum.iter_mut().zip(high).for_each(|(sum, high)| *sum = sum.wrapping_add(high << 8));
                    }
                    copy(&sum, &mut out.sums[(group.first + i) * out.stride..][columns.clone()]);
                }
            }
        }
        done = next + second.map_or(0, |second| second.count);
    }
}

/// Copies the first of `sums`, by moves of a known length where there are many.
#[inline(always)]
fn copy(sums: &[i32; 2 * LANES], out: &mut [i32]) {
    match out.len() {
        32 => *out.first_chunk_mut::<32>().expect("32") = *sums,
        16 => *out.first_chunk_mut::<16>().expect("16") = *sums.first_chunk().expect("32"),
        columns => out.copy_from_slice(&sums[..columns]),
    }
}

#[cfg(test)]
mod tests {
    use super::super::Kernel;
    use super::*;

    /// Does what a processor's tiles do, in plain loops.
    fn plain(job: &TileJob, sums: &mut TileSums) {
        job.check();
        for (t, start) in job.starts.iter().enumerate() {
            for (row, sums) in sums.0[t * TILE_ROWS..][..TILE_ROWS].iter_mut().enumerate() {
                for (o, sum) in sums[..job.panels * LANES].iter_mut().enumerate() {
                    let tap = |slab: usize, k: usize| {
                        let level = job.input[start + row * job.apart + job.slabs[slab] + k];
                        let level = if job.signed { i32::from(level as i8) } else { level.into() };
                        let tile = &job.weights[(slab * job.panels + o / LANES) * TILE..];
                        level * i32::from(tile[k / 4 * TILE_ROW + o % LANES * 4 + k % 4])
                    };
                    let taps = (0..job.slabs.len()).flat_map(|slab| (0..TILE_ROW).map(move |k| (slab, k)));
                    *sum = taps.map(|(slab, k)| tap(slab, k)).sum();
                }
            }
        }
    }

    /// Windows lie as in convolutions (a stride, rows of a map, maps, the last of them at the buffer's end),
    /// and runs have many lengths; plain loops multiply them, and this machine's tiles if it has them.
    #[test]
    fn tiles_sum_what_windows_hold_wherever_they_lie() {
        let (width, channels) = (10, 3);
        for (run, runs) in [(1, 1), (9, 3), (24, 3), (48, 3), (64, 2), (96, 3), (150, 1), (200, 2)] {
            for (across, columns, outputs) in [(1, 8, 16), (2, 4, 33), (1, 1, 70), (1, 9, 10)] {
                let offsets: Vec<usize> = (0..runs).map(|s| s * width * channels).collect();
                let starts: Vec<usize> = (0..3)
                    .flat_map(|image| (0..7).map(move |y| (image, y)))
                    .flat_map(|(image, y)| (0..columns).map(move |x| (image, y, x)))
                    .map(|(image, y, x)| ((image * 9 + y) * width + x * across) * channels)
                    .collect();
                let length = starts.last().unwrap() + offsets.last().unwrap() + run + TILE_ROW;
                let input: Vec<u8> = (0..length).map(|i| (i * 7_919 % 251) as u8 + 5).collect();
                let weight = |o: usize, s: usize, k: usize| ((o * 31 + s * 57 + k * 101) % 256) as u8 as i8;
                let weights =
                    TiledWeights::new(outputs, Runs { starts: offsets.clone(), length: run }, weight);
                let stride = outputs + 3;
                let high: Vec<u8> = input.iter().map(|level| level.wrapping_mul(37)).collect();
                for high in [None, Some(&high[..])] {
                    let mut wanted = vec![-1; starts.len() * stride];
                    for (start, row) in starts.iter().zip(wanted.chunks_exact_mut(stride)) {
                        for (o, wanted) in row[..outputs].iter_mut().enumerate() {
                            let taps = (0..runs).flat_map(|s| (0..run).map(move |k| (s, k)));
                            let products = taps.map(|(s, k)| {
                                let at = start + offsets[s] + k;
                                let above = high.map_or(0, |high| i32::from(high[at] as i8));
                                (i32::from(input[at]) + 256 * above) * i32::from(weight(o, s, k))
                            });
                            *wanted = products.sum();
                        }
                    }
                    let case = format!("{runs} x {run}, {outputs} outputs, {across} x {columns}");
                    let planes = Planes { low: &input, high };
                    let mut out = vec![-1; wanted.len()];
                    let windows = Windows { input: planes, rows: &starts };
                    let rows = Rows { sums: &mut out, stride };
                    by(plain, &mut Scratch::default(), windows, &weights, rows);
                    assert_eq!(out, wanted, "{case}");
                    if Kernel::available().contains(&Kernel::Amx) {
                        out.fill(-1);
                        let mut session = Session::new(Kernel::Amx);
                        let rows = Rows { sums: &mut out, stride };
                        product(&mut session, planes, &starts, &weights, rows);
                        assert_eq!(out, wanted, "by AMX: {case}");
                    }
                }
            }
        }
    }
}
