//! Uses AMX: tiles of 16 rows of 64 bytes, set up once for a thread's products, and the product of such
//! tiles.

use super::shape::{TILE_ROW, TILE_ROWS, TileJob, TileSums};
use std::arch::asm;
use std::arch::x86_64::{__cpuid_count, CpuidResult};
use std::cell::Cell;
use std::marker::PhantomData;
use std::sync::OnceLock;

/// Number of the component "tile data" among the processor states that the kernel saves.
const TILE_DATA: u32 = 18;

/// Returns whether the processor and the system have int8 tiles, and let this process use them.
pub(super) fn is_native() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| has_int8() && saves_tiles() && is_permitted())
}

/// Returns whether int8 tiles are there, or tests emulate them.
pub(super) fn is_available() -> bool {
    #[cfg(all(feature = "emulate-amx", target_os = "linux"))]
    if !is_native() {
        super::emulate::install();
        return true;
    }
    is_native()
}

fn has_int8() -> bool {
    const TILE: u32 = 1 << 24;
    const INT8: u32 = 1 << 25;
    cpuid(0).eax >= 7 && cpuid(7).edx & (TILE | INT8) == TILE | INT8
}

/// Returns whether the system saves the configuration and the data of tiles (Intel's manual, volume 1, 13.3).
fn saves_tiles() -> bool {
    const OS_SAVES: u32 = 1 << 27;
    if cpuid(1).ecx & OS_SAVES == 0 {
        return false;
    }
    let low: u32;
    // SAFETY: the system has enabled XGETBV, as was just asked.
    unsafe {
        asm!("xgetbv", in("ecx") 0, out("eax") low, out("edx") _, options(nomem, nostack, preserves_flags));
    }
    low >> (TILE_DATA - 1) & 3 == 3
}

#[allow(unused_unsafe, reason = "newer compilers know that it is safe")]
fn cpuid(leaf: u32) -> CpuidResult {
    // SAFETY: every x86-64 processor has the instruction.
    unsafe { __cpuid_count(leaf, 0) }
}

/// Asks Linux for tile data, which it gives to a process that asks (Documentation/arch/x86/xstate.rst).
#[cfg(target_os = "linux")]
fn is_permitted() -> bool {
    const ARCH_REQ_XCOMP_PERM: libc::c_long = 0x1023;
    // SAFETY: the call takes two numbers and touches no memory of the process.
    unsafe { libc::syscall(libc::SYS_arch_prctl, ARCH_REQ_XCOMP_PERM, libc::c_long::from(TILE_DATA)) == 0 }
}

#[cfg(not(target_os = "linux"))]
fn is_permitted() -> bool {
    false
}

/// Holds what `ldtilecfg` reads.
#[repr(C, align(64))]
struct Configuration {
    palette: u8,
    start_row: u8,
    reserved: [u8; 14],
    row_bytes: [u16; 16],
    rows: [u8; 16],
}

/// Holds this thread's tiles, all of 16 rows of 64 bytes, set up as long as one of these values lives.
pub(super) struct Tiles {
    /// Marker that keeps the value on its thread.
    thread: PhantomData<*const ()>,
}

thread_local! {
    /// Number of [`Tiles`] that this thread has.
    static LIVING: Cell<usize> = const { Cell::new(0) };
}

impl Tiles {
    /// Sets the tiles up.
    ///
    /// # Panics
    /// If they are not available.
    pub fn new() -> Self {
        assert!(is_available(), "this machine has no tiles");
        if LIVING.replace(LIVING.get() + 1) == 0 {
            let eight = |i: usize| if i < 8 { 1 } else { 0 };
            let configuration = Configuration {
                palette: 1,
                start_row: 0,
                reserved: [0; 14],
                row_bytes: std::array::from_fn(|i| eight(i) * TILE_ROW as u16),
                rows: std::array::from_fn(|i| eight(i) as u8 * TILE_ROWS as u8),
            };
            // SAFETY: tiles are available; the configuration is one of palette 1.
            unsafe { asm!("ldtilecfg [{}]", in(reg) &configuration, options(nostack, readonly)) }
        }
        Self { thread: PhantomData }
    }

    /// Multiplies windows by weights, for all of `job`'s tiles, modulo 2³².
    pub fn multiply(&self, job: &TileJob, sums: &mut TileSums) {
        job.check();
        // SAFETY: the job was checked, and this thread's tiles are set up.
        unsafe {
            match (job.starts.len(), job.panels, job.signed) {
                (2, 2, false) => two_by_two(job, sums),
                (2, 2, true) => two_by_two_signed(job, sums),
                (2, _, false) => two_by_one(job, sums),
                (2, _, true) => two_by_one_signed(job, sums),
                (_, 2, false) => one_by_two(job, sums),
                (_, 2, true) => one_by_two_signed(job, sums),
                (_, _, false) => one_by_one(job, sums),
                (_, _, true) => one_by_one_signed(job, sums),
            }
        }
    }
}

impl Drop for Tiles {
    fn drop(&mut self) {
        LIVING.set(LIVING.get() - 1);
        if LIVING.get() == 0 {
            // SAFETY: tiles are available, and nobody on this thread uses them any more.
            unsafe { asm!("tilerelease", options(nomem, nostack)) }
        }
    }
}

/// Writes the product of one or two tiles of windows and one or two panels. TileSums are in tiles 0 to 3,
/// windows in 4 and 5, weights in 6 and 7.
macro_rules! product {
    ($name:ident, $multiply:literal, $tiles:literal by $panels:literal,
     zero $($zero:literal)+, step $($load:literal $([$sum:literal])*)+, store $($store:literal)+) => {
        /// # Safety
        /// `job` has so many tiles and panels and lies within its input and weights, and this thread's tiles
        /// are set up.
        unsafe fn $name(job: &TileJob, sums: &mut TileSums) {
            let first = job.input.as_ptr();
            // SAFETY: every tile that is read lies within the input or the weights, and `sums` has room for
            // all (promised).
            unsafe {
                asm!(
                    $(concat!("tilezero ", $zero),)+
                    "2:",
                    "mov {at}, [{slab}]",
                    "lea {other}, [{second} + {at}]",
                    "add {at}, {first}",
                    $($load, $(concat!($multiply, " ", $sum),)*)+
                    concat!("add {weights}, ", $panels, " * 1024"),
                    "add {slab}, 8",
                    "dec {left}",
                    "jnz 2b",
                    "mov {at}, 128",
                    $(concat!("tilestored [{sums} + {at} + ", $store),)+
                    at = out(reg) _,
                    other = out(reg) _,
                    first = in(reg) first.add(job.starts[0]),
                    second = in(reg) first.add(job.starts[$tiles - 1]),
                    apart = in(reg) job.apart,
                    slab = inout(reg) job.slabs.as_ptr() => _,
                    left = inout(reg) job.slabs.len() => _,
                    weights = inout(reg) job.weights.as_ptr() => _,
                    row = in(reg) TILE_ROW,
                    sums = in(reg) sums,
                    out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                    out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                    options(nostack),
                );
            }
        }
    };
    ($name:ident, $signed:ident, $($body:tt)+) => {
        product!($name, "tdpbusd", $($body)+);
        product!($signed, "tdpbssd", $($body)+);
    };
}

product!(two_by_two, two_by_two_signed, 2 by 2,
    zero "tmm0" "tmm1" "tmm2" "tmm3",
    step
        "tileloadd tmm6, [{weights} + {row}]"
        "tileloadd tmm4, [{at} + {apart}]" ["tmm0, tmm4, tmm6"]
        "tileloadd tmm7, [{weights} + {row} + 1024]" ["tmm1, tmm4, tmm7"]
        "tileloadd tmm5, [{other} + {apart}]" ["tmm2, tmm5, tmm6"] ["tmm3, tmm5, tmm7"],
    store "0], tmm0" "64], tmm1" "2048], tmm2" "2112], tmm3");

product!(two_by_one, two_by_one_signed, 2 by 1,
    zero "tmm0" "tmm2",
    step
        "tileloadd tmm6, [{weights} + {row}]"
        "tileloadd tmm4, [{at} + {apart}]" ["tmm0, tmm4, tmm6"]
        "tileloadd tmm5, [{other} + {apart}]" ["tmm2, tmm5, tmm6"],
    store "0], tmm0" "2048], tmm2");

product!(one_by_two, one_by_two_signed, 1 by 2,
    zero "tmm0" "tmm1",
    step
        "tileloadd tmm4, [{at} + {apart}]"
        "tileloadd tmm6, [{weights} + {row}]" ["tmm0, tmm4, tmm6"]
        "tileloadd tmm7, [{weights} + {row} + 1024]" ["tmm1, tmm4, tmm7"],
    store "0], tmm0" "64], tmm1");

product!(one_by_one, one_by_one_signed, 1 by 1,
    zero "tmm0",
    step
        "tileloadd tmm4, [{at} + {apart}]"
        "tileloadd tmm6, [{weights} + {row}]" ["tmm0, tmm4, tmm6"],
    store "0], tmm0");
