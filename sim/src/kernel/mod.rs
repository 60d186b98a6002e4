//! Instruction sets: which inner loops run. Never changes a result: integer kernels agree exactly, and float kernels
//! bit for bit, because every one of them sums in the same order with fused multiply-adds.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
pub(crate) mod bit;
pub(crate) mod int;
pub(crate) mod real;

/// The instruction set of the inner loops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kernel {
    /// Plain loops: every machine.
    Portable,
    /// x86-64 with AVX2 and FMA.
    Avx2,
    /// x86-64 with AVX-512 F, BW, VL and VNNI.
    Avx512,
}

impl Kernel {
    /// What this machine can run, slowest first. Never empty.
    pub fn available() -> Vec<Kernel> {
        let mut found = vec![Kernel::Portable];
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
            }
        }
        found
    }

    /// The fastest of [`Kernel::available`].
    pub fn best() -> Kernel {
        *Self::available().last().expect("never empty")
    }

    /// Its name in tables and reports.
    pub fn name(self) -> &'static str {
        match self {
            Kernel::Portable => "portable",
            Kernel::Avx2 => "avx2",
            Kernel::Avx512 => "avx512-vnni",
        }
    }
}

/// Compiles `$body`, an `#[inline(always)]` function, once for each instruction set, and calls the one for `kernel`.
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
            match kernel {
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
