//! Defines the shapes that products are made of: what a micro-kernel of any instruction set reads and writes.
//! Holds no loop and no instruction.

/// Number of outputs in a panel: an AVX-512 register holds as many accumulators.
pub(crate) const LANES: usize = 16;

/// Locates the elements of one window of a feature map, which are runs of consecutive elements.
#[derive(Clone, Debug)]
pub(crate) struct Runs {
    /// Where each run begins, from the window's start.
    pub starts: Vec<usize>,
    /// Number of elements in a run.
    pub length: usize,
}

/// Says where the sums of a product go: those of row `r` begin at `r·stride`.
pub(crate) struct Rows<'a, T> {
    pub sums: &'a mut [T],
    pub stride: usize,
}

impl<T> Rows<'_, T> {
    /// Returns the place of the first sum of row `r`.
    ///
    /// # Safety
    /// Row `r` lies within the sums.
    #[inline(always)]
    pub(super) unsafe fn row(&mut self, r: usize) -> *mut T {
        // SAFETY: the caller's promise.
        unsafe { self.sums.as_mut_ptr().add(r * self.stride) }
    }
}

/// Holds what an integer micro-kernel reads: windows at `rows` of `input`, each made of the runs at `runs`,
/// and packed panels.
#[derive(Clone, Copy)]
pub(super) struct IntTile<'a> {
    pub input: &'a [u8],
    pub rows: &'a [usize],
    pub runs: &'a [usize],
    /// Number of groups of four taps in a run.
    pub quads: usize,
    /// One panel or two, each of runs × quads × 16 outputs × 4 taps.
    pub panels: &'a [i8],
    /// Initial value of the panels' sums on NEON, one per output.
    pub offsets: &'a [i32],
    /// How sums of the panel stay within an i16 on AVX2.
    pub widening: &'a Widening,
}

/// Says how the products of a panel, which AVX2 computes as sums of 16 bits, become sums of 32 bits.
#[derive(Debug, PartialEq)]
pub(super) enum Widening {
    /// Products are summed in 16 bits over each of these chunks of the window.
    Chunks(Vec<Chunk>),
    /// Two products are summed in 16 bits.
    Pairs,
    /// Two products may leave an i16: the levels' top bit is multiplied separately.
    Split,
}

/// Lists the parts of a window whose products are summed in 16 bits: consecutive quads of taps, of one run
/// each.
pub(super) type Chunk = Vec<Stretch>;

/// Locates consecutive quads of taps of one run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stretch {
    /// Where it begins, from the window's start.
    pub start: usize,
    pub quads: usize,
}

/// Holds what a micro-kernel of real numbers reads: windows at `rows` of `input`, each made of the runs at
/// `runs`, and packed panels.
#[derive(Clone, Copy)]
pub(crate) struct RealTile<'a, T> {
    pub input: &'a [T],
    pub rows: &'a [usize],
    pub runs: &'a [usize],
    /// Number of groups of taps in a run.
    pub groups: usize,
    /// One panel or two, each of runs × groups × 16 × taps of a group.
    pub panels: &'a [T],
}

/// Most rows whose bits are counted together.
pub(super) const BIT_ROWS: usize = 4;

/// Holds what the bit-counting kernel reads: windows at `rows` of `input`, each made of the runs at `runs`,
/// of `run` words.
pub(super) struct BitJob<'a> {
    pub input: &'a [u64],
    pub rows: &'a [usize],
    pub runs: &'a [usize],
    pub run: usize,
}

/// Rows of a tile: windows in the left one, groups of four taps in the right one.
pub(super) const TILE_ROWS: usize = 16;
/// Bytes of a tile's row.
pub(super) const TILE_ROW: usize = 64;
/// Bytes of a tile.
pub(super) const TILE: usize = TILE_ROWS * TILE_ROW;

/// Holds the sums of up to two tiles of windows by two of outputs: window × output.
#[repr(C, align(64))]
pub(super) struct TileSums(pub [[i32; 2 * LANES]; 2 * TILE_ROWS]);

/// Holds one or two tiles of windows, and one or two panels of weights to multiply them with.
pub(super) struct TileJob<'a> {
    pub input: &'a [u8],
    /// Offset in bytes of each tile's first window.
    pub starts: &'a [usize],
    /// Bytes from one window of a tile to the next.
    pub apart: usize,
    /// Offset in bytes of each slab within a window.
    pub slabs: &'a [usize],
    /// Weights as tiles: slab × panel.
    pub weights: &'a [i8],
    pub panels: usize,
    /// Whether the input's bytes are signed.
    pub signed: bool,
}

impl TileJob<'_> {
    /// Checks that every tile lies within the input and the weights.
    ///
    /// # Panics
    /// If one does not.
    pub fn check(&self) {
        let last = self.starts.iter().max().expect("a tile") + self.slabs.iter().max().expect("a slab");
        assert!(
            last + (TILE_ROWS - 1) * self.apart + TILE_ROW <= self.input.len(),
            "a tile leaves the feature map"
        );
        assert_eq!(self.weights.len(), self.panels * self.slabs.len() * TILE);
        assert!(matches!(self.starts.len(), 1 | 2) && matches!(self.panels, 1 | 2));
    }
}
