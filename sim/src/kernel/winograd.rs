//! Transforms maps to the 16 points of Winograd's F(2×2, 3×3) and back (Lavin, Gray, CVPR 2016): a 3×3
//! convolution at 2×2 pixels is, at each point, one product of a transformed 4×4 tile with transformed
//! weights.
//!
//! With B and A of the paper, a tile d becomes Bᵀ·d·B, and its products m become Aᵀ·m·A. Both only add and
//! subtract, in a fixed order. A sum of reals that is zero but for rounding becomes zero: attacks read signs,
//! and a pixel without a slope has none.

use super::Kernel;
use super::lanes::{Lanes, Plain, Sums};
#[cfg(target_arch = "x86_64")]
use super::lanes::{x256, x512};
use super::shape::LANES;
use crate::buffers::Reused;

/// Number of points of a tile.
pub(crate) const POINTS: usize = 16;
/// The point that is a sum of four pixels; every other point is a difference.
pub(crate) const SUM: usize = 5;
/// Most outputs whose products are transformed together.
pub(crate) const OUTPUTS: usize = 2 * LANES;

/// Locates tiles of 4×4 pixels in a map.
pub(crate) struct Tiles<'a, T> {
    pub map: &'a [T],
    /// Where the first pixel of each tile begins.
    pub starts: &'a [usize],
    /// Elements of a row of the map.
    pub row: usize,
    /// Elements of a pixel.
    pub channels: usize,
    /// What is added to every point but [`SUM`], so that no transformed level is negative.
    pub offset: T,
    /// Elements of a tile's point in the output; those above the tile's channels are arbitrary.
    pub stride: usize,
    /// Elements from one point of all tiles to the next.
    pub apart: usize,
}

/// Holds the products of tiles at all points: point × tile × [`OUTPUTS`].
pub(crate) struct Products<'a, T> {
    pub sums: &'a [T],
    pub tiles: usize,
    /// What is added to each of the four pixels before they are scaled: pixel × [`OUTPUTS`].
    pub constants: &'a [T; 4 * OUTPUTS],
}

/// Says where pixels go: pixel (y, x) of tile `t` to `places[t] + y·row + x·stride`.
pub(crate) struct Pixels<'a, T> {
    pub map: &'a mut [T],
    pub places: &'a [usize],
    pub row: usize,
    pub stride: usize,
    /// Number of outputs that are written: at most [`OUTPUTS`].
    pub outputs: usize,
}

/// Is a type of values that can be transformed.
pub(crate) trait Spread: Reused {
    /// Returns how many elements `kernel` transforms at a time, in a map of so many `channels`.
    fn vector(kernel: Kernel, channels: usize) -> usize;

    /// Writes the points of each tile: those of a point lie `stride` elements from each other, and the next
    /// point's `apart` from them.
    ///
    /// # Panics
    /// If a tile leaves the map by more than a vector, or the points leave `out`.
    fn spread(kernel: Kernel, tiles: &Tiles<Self>, out: &mut [Self]);
}

/// Is a type of sums of products that can be transformed.
pub(crate) trait Gather: Reused {
    /// Writes the 2×2 pixels of each tile: integers over 4, which divides them, and reals as they are.
    ///
    /// # Panics
    /// If products are missing or pixels leave `out`.
    fn gather(kernel: Kernel, products: &Products<Self>, out: &mut Pixels<Self>);
}

/// Implements [`Spread`] in the vectors of each kernel.
macro_rules! spread {
    ($element:ident: $lanes:ident) => {
        impl Spread for $element {
            fn vector(kernel: Kernel, channels: usize) -> usize {
                match kernel.vectors() {
                    #[cfg(target_arch = "x86_64")]
                    Kernel::Avx512 if channels.is_multiple_of(x512::$lanes::COUNT) => x512::$lanes::COUNT,
                    #[cfg(target_arch = "x86_64")]
                    Kernel::Avx512 | Kernel::Avx2 => x256::$lanes::COUNT,
                    _ => Plain::<$element>::COUNT,
                }
            }

            fn spread(kernel: Kernel, tiles: &Tiles<$element>, out: &mut [$element]) {
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx512f,avx512bw")]
                unsafe fn avx512(tiles: &Tiles<$element>, out: &mut [$element]) {
                    // SAFETY: as the caller promises.
                    unsafe { spread_by::<x512::$lanes>(tiles, out) }
                }
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2")]
                unsafe fn avx2(tiles: &Tiles<$element>, out: &mut [$element]) {
                    // SAFETY: as the caller promises.
                    unsafe { spread_by::<x256::$lanes>(tiles, out) }
                }
                let vector = Self::vector(kernel, tiles.channels);
                tiles.check(vector, out.len());
                // SAFETY: tiles and points were checked; engines are only built with a kernel of
                // `Kernel::available`.
                unsafe {
                    match kernel.vectors() {
                        #[cfg(target_arch = "x86_64")]
                        Kernel::Avx512 if vector == x512::$lanes::COUNT => avx512(tiles, out),
                        #[cfg(target_arch = "x86_64")]
                        Kernel::Avx512 | Kernel::Avx2 => avx2(tiles, out),
                        _ => spread_by::<Plain<$element>>(tiles, out),
                    }
                }
            }
        }
    };
}

/// Implements [`Gather`] in the vectors of each kernel.
macro_rules! gather {
    ($element:ident: $lanes:ident) => {
        impl Gather for $element {
            fn gather(kernel: Kernel, products: &Products<$element>, out: &mut Pixels<$element>) {
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx512f,avx512bw")]
                unsafe fn avx512(products: &Products<$element>, out: &mut Pixels<$element>) {
                    // SAFETY: as the caller promises.
                    unsafe { gather_by::<x512::$lanes>(products, out) }
                }
                #[cfg(target_arch = "x86_64")]
                #[target_feature(enable = "avx2")]
                unsafe fn avx2(products: &Products<$element>, out: &mut Pixels<$element>) {
                    // SAFETY: as the caller promises.
                    unsafe { gather_by::<x256::$lanes>(products, out) }
                }
                products.check(out);
                // SAFETY: products and pixels were checked; engines are only built with a kernel of
                // `Kernel::available`.
                unsafe {
                    match kernel.vectors() {
                        #[cfg(target_arch = "x86_64")]
                        Kernel::Avx512 => avx512(products, out),
                        #[cfg(target_arch = "x86_64")]
                        Kernel::Avx2 => avx2(products, out),
                        _ => gather_by::<Plain<$element>>(products, out),
                    }
                }
            }
        }
    };
}

spread!(u8: Bytes);
spread!(i16: Halves);
spread!(f32: Reals);
spread!(f64: Doubles);
gather!(i32: Words);
gather!(f32: Reals);
gather!(f64: Doubles);

impl<T> Tiles<'_, T> {
    fn check(&self, vector: usize, room: usize) {
        let channels = self.channels.next_multiple_of(vector);
        let last = self.starts.iter().max().map_or(0, |start| start + 3 * (self.row + self.channels));
        assert!(last + channels <= self.map.len(), "a tile leaves the map");
        assert!(channels <= self.stride, "a point is narrower than its channels");
        assert!(self.starts.len() * self.stride <= self.apart, "points overlap");
        assert!(POINTS * self.apart <= room, "points leave their buffer");
    }
}

impl<T> Products<'_, T> {
    fn check(&self, out: &Pixels<T>) {
        assert!(POINTS * self.tiles * OUTPUTS <= self.sums.len(), "products are missing");
        assert!(out.outputs <= OUTPUTS, "more outputs than products");
        assert_eq!(out.places.len(), self.tiles, "one place a tile");
        let last = out.places.iter().max().map_or(0, |place| place + out.row + out.stride + out.outputs);
        assert!(last <= out.map.len(), "pixels leave their buffer");
    }
}

/// Computes Bᵀ·d·B of each tile: by columns first, which tiles that overlap share.
///
/// # Safety
/// The machine has the vectors' instructions; tiles and points were checked.
#[inline(always)]
unsafe fn spread_by<V: Lanes>(tiles: &Tiles<V::Element>, out: &mut [V::Element]) {
    let Tiles { map, starts, row, channels, offset, stride, apart } = *tiles;
    // SAFETY: every pixel of a tile lies within the map, and every point within `out` (promised).
    unsafe {
        let lift = V::splat(offset);
        for c in (0..channels).step_by(V::COUNT) {
            let from = map.as_ptr().add(c);
            let (mut first, mut second) = ([lift; 4], [lift; 4]);
            let mut next = usize::MAX;
            for (t, &start) in starts.iter().enumerate() {
                if start != next {
                    first = column::<V>(from.add(start), row);
                    second = column::<V>(from.add(start + channels), row);
                }
                next = start + 2 * channels;
                let third = column::<V>(from.add(next), row);
                let fourth = column::<V>(from.add(next + channels), row);
                let to = out.as_mut_ptr().add(t * stride + c);
                for y in 0..4 {
                    let to = to.add(4 * y * apart);
                    let (lifted, sum) = (second[y].add(lift), second[y].add(third[y]));
                    first[y].sub(third[y]).add(lift).store(to);
                    if 4 * y + 1 == SUM { sum } else { lifted.add(third[y]) }.store(to.add(apart));
                    third[y].sub(second[y]).add(lift).store(to.add(2 * apart));
                    lifted.sub(fourth[y]).store(to.add(3 * apart));
                }
                (first, second) = (third, fourth);
            }
        }
    }
}

/// Loads a column of a tile and computes Bᵀ·d of it.
///
/// # Safety
/// The machine has the vectors' instructions, and four rows can be read from `from` on.
#[inline(always)]
unsafe fn column<V: Lanes>(from: *const V::Element, row: usize) -> [V; 4] {
    // SAFETY: as promised.
    unsafe {
        let (a, b) = (V::load(from), V::load(from.add(row)));
        let (c, d) = (V::load(from.add(2 * row)), V::load(from.add(3 * row)));
        [a.sub(c), b.add(c), c.sub(b), b.sub(d)]
    }
}

/// Computes Aᵀ·m·A of each tile.
///
/// # Safety
/// The machine has the vectors' instructions; products and pixels were checked.
#[inline(always)]
unsafe fn gather_by<V: Sums>(products: &Products<V::Element>, out: &mut Pixels<V::Element>) {
    let &Products { sums, tiles, constants } = products;
    let mut part = [V::Element::default(); LANES];
    let apart = tiles * OUTPUTS;
    for c in (0..out.outputs).step_by(V::COUNT) {
        let columns = (out.outputs - c).min(V::COUNT);
        // SAFETY: products, constants and pixels are there, and `part` holds a vector (promised).
        unsafe {
            let constants = constants.as_ptr().add(c);
            for t in 0..tiles {
                let from = sums.as_ptr().add(t * OUTPUTS + c);
                let zero = V::splat(V::Element::default());
                let (mut left, mut right) = ([zero; 4], [zero; 4]);
                let (mut of_left, mut of_right) = ([zero; 4], [zero; 4]);
                for y in 0..4 {
                    let from = from.add(4 * y * apart);
                    let (a, b) = (V::load(from), V::load(from.add(apart)));
                    let (c, d) = (V::load(from.add(2 * apart)), V::load(from.add(3 * apart)));
                    left[y] = a.add(b).add(c);
                    right[y] = b.sub(c).sub(d);
                    let shared = b.magnitude().add(c.magnitude());
                    of_left[y] = shared.add(a.magnitude());
                    of_right[y] = shared.add(d.magnitude());
                }
                for (x, ([a, b, c_, d], of)) in [(left, of_left), (right, of_right)].into_iter().enumerate() {
                    let (top, bottom) = (a.add(b).add(c_), b.sub(c_).sub(d));
                    let shared = of[1].add(of[2]);
                    let pixels = [top.settled(shared.add(of[0])), bottom.settled(shared.add(of[3]))];
                    for (y, pixel) in pixels.into_iter().enumerate() {
                        let pixel = pixel.add(V::load(constants.add((2 * y + x) * OUTPUTS))).quarter();
                        let to = out.places.get_unchecked(t) + y * out.row + x * out.stride + c;
                        let to = out.map.as_mut_ptr().add(to);
                        if columns == V::COUNT {
                            pixel.store(to);
                        } else {
                            pixel.store(part.as_mut_ptr());
                            to.copy_from_nonoverlapping(part.as_ptr(), columns);
                        }
                    }
                }
            }
        }
    }
}
