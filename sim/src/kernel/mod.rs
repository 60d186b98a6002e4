//! Chooses which inner loops run. Never changes a result: integer kernels agree exactly, and float kernels
//! bit for bit, because every one of them sums in the same order with fused multiply-adds.
//!
//! Kernels are chosen at run time. A product goes by panels of 16 outputs (`int`), on AMX by tiles
//! (`tile`), which a session sets up for as long as a layer runs. Tests carry out AMX's instructions
//! themselves where the processor traps them (`emulate`). 1-bit layers are counted, 64 products per word
//! (`bit`), where the processor counts bits in vectors; elsewhere they go through the uint8 kernels like
//! all others.

#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod bit;
#[cfg(all(feature = "emulate-amx", target_arch = "x86_64", target_os = "linux"))]
mod emulate;
pub(crate) mod int;
mod lanes;
mod narrow;
#[cfg(target_arch = "aarch64")]
mod neon;
mod panels;
pub(crate) mod real;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "bits and tiles are x86-64's"))]
mod shape;
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "tiles are x86-64's"))]
pub(crate) mod tile;
pub(crate) mod winograd;

pub(crate) use shape::{LANES, Rows, Runs};

/// Names the instruction set of the inner loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Plain loops, for every machine.
    Portable,
    /// AArch64 with dot products (about every core since 2018).
    Neon,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, VL and VNNI.
    Avx512,
    /// The same, with AMX's int8 tiles for the layers on which they are faster.
    Amx,
}

impl Kernel {
    /// Lists what this machine can run, the slowest first. Never empty.
    pub fn available() -> Vec<Kernel> {
        let mut found = vec![Kernel::Portable];
        #[cfg(target_arch = "aarch64")]
        if std::arch::is_aarch64_feature_detected!("dotprod") {
            found.push(Kernel::Neon);
        }
        #[cfg(target_arch = "x86_64")]
        {
            let avx2 = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
            let avx512 = is_x86_feature_detected!("avx512f")
                && is_x86_feature_detected!("avx512bw")
                && is_x86_feature_detected!("avx512vl")
                && is_x86_feature_detected!("avx512vnni");
            if avx2 {
                found.push(Kernel::Avx2);
            }
            if avx2 && avx512 {
                found.push(Kernel::Avx512);
                if amx::is_available() {
                    found.push(Kernel::Amx);
                }
            }
        }
        found
    }

    /// Returns the fastest of [`Kernel::available`] that is not emulated.
    pub fn best() -> Kernel {
        Self::available().into_iter().rfind(|kernel| !kernel.is_emulated()).expect("plain loops are not")
    }

    /// Returns whether tests carry out the instructions in place of the processor.
    fn is_emulated(self) -> bool {
        #[cfg(target_arch = "x86_64")]
        if self == Kernel::Amx {
            return !amx::is_native();
        }
        false
    }

    /// Returns its name in tables and reports.
    pub fn name(self) -> &'static str {
        match self {
            Kernel::Portable => "portable",
            Kernel::Neon => "neon-dotprod",
            Kernel::Avx2 => "avx2",
            Kernel::Avx512 => "avx512-vnni",
            Kernel::Amx => "amx-int8",
        }
    }

    /// Returns the kernel that runs everything but products of tiles.
    pub(crate) fn vectors(self) -> Kernel {
        if self == Kernel::Amx { Kernel::Avx512 } else { self }
    }

    /// Returns how many panels of `bytes` bytes a micro-kernel takes at a time.
    fn panels(self, bytes: usize) -> usize {
        match self.vectors() {
            // Four are read again for every 6 rows, two for every 12: they are to leave room in the
            // first-level cache.
            Kernel::Avx512 if panels::WIDEST * bytes <= 16 << 10 => panels::WIDEST,
            Kernel::Avx512 => 2,
            _ => 1,
        }
    }

    /// Returns how many windows' sums are computed at a time: few enough to stay in the first-level cache.
    pub(crate) fn windows(self) -> usize {
        if self == Kernel::Amx { 64 } else { 48 }
    }

    /// Returns how many tiles of Winograd's go through all points at a time, by measurement: a multiple of the
    /// rows of a micro-kernel.
    pub(crate) fn tiles(self) -> usize {
        if self.vectors() == Kernel::Avx512 { 24 } else { 12 }
    }
}

/// A session is a thread's use of a kernel, which its products need. It should be short: the system saves the
/// tiles for as long as they are set up.
pub(crate) struct Session {
    kernel: Kernel,
    #[cfg(target_arch = "x86_64")]
    tiles: Option<(amx::Tiles, Box<tile::Scratch>)>,
}

impl Session {
    /// Sets up what `kernel` needs.
    ///
    /// # Panics
    /// If the machine cannot run `kernel`'s tiles.
    pub fn new(kernel: Kernel) -> Self {
        Self {
            kernel,
            #[cfg(target_arch = "x86_64")]
            tiles: (kernel == Kernel::Amx).then(|| (amx::Tiles::new(), Box::default())),
        }
    }

    /// Returns the kernel.
    pub fn kernel(&self) -> Kernel {
        self.kernel
    }
}

/// Compiles `$body`, an `#[inline(always)]` function, once per instruction set, and calls the one for
/// `kernel`.
macro_rules! multiversion {
    ($(#[$meta:meta])* $vis:vis fn $name:ident = $body:ident($($arg:ident: $ty:ty),* $(,)?)) => {
        $(#[$meta])*
        $vis fn $name(kernel: $crate::kernel::Kernel, $($arg: $ty),*) {
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            fn avx2($($arg: $ty),*) {
                $body($($arg),*)
            }
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma")]
            fn avx512($($arg: $ty),*) {
                $body($($arg),*)
            }
            match kernel.vectors() {
                // SAFETY: engines are only built with a kernel of `Kernel::available`.
                #[cfg(target_arch = "x86_64")]
                $crate::kernel::Kernel::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                $crate::kernel::Kernel::Avx512 => unsafe { avx512($($arg),*) },
                _ => $body($($arg),*),
            }
        }
    };
}
pub(crate) use multiversion;
