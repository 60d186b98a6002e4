//! Defines vectors of numbers that transforms add and subtract, in the registers of each instruction set.
//! Whole numbers wrap around. Never multiplies.

/// Is a vector of numbers. Its functions must be inlined into one that enables its instructions.
pub(super) trait Lanes: Copy {
    type Element: Copy + Default;

    /// Numbers in a vector.
    const COUNT: usize;

    /// # Safety
    /// The machine has the vector's instructions, and [`Lanes::COUNT`] numbers lie at `from`.
    unsafe fn load(from: *const Self::Element) -> Self;

    /// # Safety
    /// The machine has the vector's instructions, and `to` has room for [`Lanes::COUNT`] numbers.
    unsafe fn store(self, to: *mut Self::Element);

    /// # Safety
    /// The machine has the vector's instructions.
    unsafe fn splat(value: Self::Element) -> Self;

    /// # Safety
    /// The machine has the vector's instructions.
    unsafe fn add(self, other: Self) -> Self;

    /// # Safety
    /// The machine has the vector's instructions.
    unsafe fn sub(self, other: Self) -> Self;
}

/// Is a vector of sums of products.
pub(super) trait Sums: Lanes {
    /// Returns a fourth of whole numbers that four divides. Real numbers stay as they are.
    ///
    /// # Safety
    /// The machine has the vector's instructions.
    unsafe fn quarter(self) -> Self;

    /// Returns the magnitude of real numbers.
    ///
    /// # Safety
    /// The machine has the vector's instructions.
    unsafe fn magnitude(self) -> Self;

    /// Returns real numbers, and zero for those that are no more than the rounding of terms of such
    /// magnitude. Whole numbers stay as they are, and so does what is no number.
    ///
    /// # Safety
    /// The machine has the vector's instructions.
    unsafe fn settled(self, magnitude: Self) -> Self;
}

/// Says what sums of f32 and of f64 are off by, relative to the magnitude of their terms: eight roundings,
/// which is more than was seen.
const ROUNDING: (f32, f64) = (1.0 / (1 << 21) as f32, 1.0 / (1u64 << 50) as f64);

/// Defines vectors in registers of x86-64. What it calls are names, not closures: a closure does not enable
/// the instructions of the function around it.
#[cfg(target_arch = "x86_64")]
macro_rules! registers {
    ($($name:ident: [$element:ty; $count:literal] in $register:ty,
       $load:ident $store:ident $splat:ident $add:ident $sub:ident
       $(sums $quarter:ident $magnitude:ident $settled:ident)?;)+) => {$(
        #[derive(Clone, Copy)]
        pub(in super::super) struct $name($register);

        impl Lanes for $name {
            type Element = $element;
            const COUNT: usize = $count;

            #[inline(always)]
            unsafe fn load(from: *const $element) -> Self {
                // SAFETY: as the caller promises.
                unsafe { Self($load(from.cast())) }
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut $element) {
                // SAFETY: as the caller promises.
                unsafe { $store(to.cast(), self.0) }
            }

            #[inline(always)]
            unsafe fn splat(value: $element) -> Self {
                // SAFETY: as the caller promises.
                unsafe { Self($splat(value as _)) }
            }

            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                // SAFETY: as the caller promises.
                unsafe { Self($add(self.0, other.0)) }
            }

            #[inline(always)]
            unsafe fn sub(self, other: Self) -> Self {
                // SAFETY: as the caller promises.
                unsafe { Self($sub(self.0, other.0)) }
            }
        }

        $(impl Sums for $name {
            #[inline(always)]
            #[allow(unused_unsafe, reason = "of reals nothing is taken")]
            unsafe fn quarter(self) -> Self {
                // SAFETY: as the caller promises.
                unsafe { Self($quarter!(self.0)) }
            }

            #[inline(always)]
            #[allow(unused_unsafe, reason = "whole numbers stay")]
            unsafe fn magnitude(self) -> Self {
                // SAFETY: as the caller promises.
                unsafe { Self($magnitude!(self.0)) }
            }

            #[inline(always)]
            #[allow(unused_unsafe, unused_variables, reason = "whole numbers stay")]
            unsafe fn settled(self, magnitude: Self) -> Self {
                // SAFETY: as the caller promises.
                unsafe { Self($settled!(self.0, magnitude.0)) }
            }
        })?
    )+};
}

/// Leaves numbers as they are.
#[cfg(target_arch = "x86_64")]
macro_rules! same {
    ($value:expr $(, $magnitude:expr)?) => {
        $value
    };
}

/// Has vectors of 512 bits.
#[cfg(target_arch = "x86_64")]
pub(super) mod x512 {
    use super::{Lanes, Sums};
    use std::arch::x86_64::*;

    macro_rules! fourth {
        ($value:expr) => {
            _mm512_srai_epi32::<2>($value)
        };
    }

    macro_rules! real_magnitude {
        ($value:expr) => {
            _mm512_abs_ps($value)
        };
    }

    macro_rules! real_settled {
        ($value:expr, $magnitude:expr) => {{
            let bound = _mm512_mul_ps($magnitude, _mm512_set1_ps(super::ROUNDING.0));
            let stays = _mm512_cmp_ps_mask::<_CMP_NLE_UQ>(_mm512_abs_ps($value), bound);
            _mm512_maskz_mov_ps(stays, $value)
        }};
    }

    macro_rules! double_magnitude {
        ($value:expr) => {
            _mm512_abs_pd($value)
        };
    }

    macro_rules! double_settled {
        ($value:expr, $magnitude:expr) => {{
            let bound = _mm512_mul_pd($magnitude, _mm512_set1_pd(super::ROUNDING.1));
            let stays = _mm512_cmp_pd_mask::<_CMP_NLE_UQ>(_mm512_abs_pd($value), bound);
            _mm512_maskz_mov_pd(stays, $value)
        }};
    }

    registers! {
        Bytes: [u8; 64] in __m512i, _mm512_loadu_si512 _mm512_storeu_si512 _mm512_set1_epi8
            _mm512_add_epi8 _mm512_sub_epi8;
        Halves: [i16; 32] in __m512i, _mm512_loadu_si512 _mm512_storeu_si512 _mm512_set1_epi16
            _mm512_add_epi16 _mm512_sub_epi16;
        Words: [i32; 16] in __m512i, _mm512_loadu_si512 _mm512_storeu_si512 _mm512_set1_epi32
            _mm512_add_epi32 _mm512_sub_epi32 sums fourth same same;
        Reals: [f32; 16] in __m512, _mm512_loadu_ps _mm512_storeu_ps _mm512_set1_ps
            _mm512_add_ps _mm512_sub_ps sums same real_magnitude real_settled;
        Doubles: [f64; 8] in __m512d, _mm512_loadu_pd _mm512_storeu_pd _mm512_set1_pd
            _mm512_add_pd _mm512_sub_pd sums same double_magnitude double_settled;
    }
}

/// Has vectors of 256 bits.
#[cfg(target_arch = "x86_64")]
pub(super) mod x256 {
    use super::{Lanes, Sums};
    use std::arch::x86_64::*;

    macro_rules! fourth {
        ($value:expr) => {
            _mm256_srai_epi32::<2>($value)
        };
    }

    macro_rules! real_magnitude {
        ($value:expr) => {
            _mm256_andnot_ps(_mm256_set1_ps(-0.0), $value)
        };
    }

    macro_rules! real_settled {
        ($value:expr, $magnitude:expr) => {{
            let bound = _mm256_mul_ps($magnitude, _mm256_set1_ps(super::ROUNDING.0));
            let stays = _mm256_cmp_ps::<_CMP_NLE_UQ>(real_magnitude!($value), bound);
            _mm256_and_ps(stays, $value)
        }};
    }

    macro_rules! double_magnitude {
        ($value:expr) => {
            _mm256_andnot_pd(_mm256_set1_pd(-0.0), $value)
        };
    }

    macro_rules! double_settled {
        ($value:expr, $magnitude:expr) => {{
            let bound = _mm256_mul_pd($magnitude, _mm256_set1_pd(super::ROUNDING.1));
            let stays = _mm256_cmp_pd::<_CMP_NLE_UQ>(double_magnitude!($value), bound);
            _mm256_and_pd(stays, $value)
        }};
    }

    registers! {
        Bytes: [u8; 32] in __m256i, _mm256_loadu_si256 _mm256_storeu_si256 _mm256_set1_epi8
            _mm256_add_epi8 _mm256_sub_epi8;
        Halves: [i16; 16] in __m256i, _mm256_loadu_si256 _mm256_storeu_si256 _mm256_set1_epi16
            _mm256_add_epi16 _mm256_sub_epi16;
        Words: [i32; 8] in __m256i, _mm256_loadu_si256 _mm256_storeu_si256 _mm256_set1_epi32
            _mm256_add_epi32 _mm256_sub_epi32 sums fourth same same;
        Reals: [f32; 8] in __m256, _mm256_loadu_ps _mm256_storeu_ps _mm256_set1_ps
            _mm256_add_ps _mm256_sub_ps sums same real_magnitude real_settled;
        Doubles: [f64; 4] in __m256d, _mm256_loadu_pd _mm256_storeu_pd _mm256_set1_pd
            _mm256_add_pd _mm256_sub_pd sums same double_magnitude double_settled;
    }
}

/// Number of elements of a plain vector.
const PLAIN: usize = 8;

/// Holds a vector that the compiler puts where it likes.
#[derive(Clone, Copy)]
pub(super) struct Plain<T>([T; PLAIN]);

/// Defines plain vectors.
macro_rules! plain {
    ($($element:ty: $add:expr, $sub:expr $(, sums $quarter:expr, $magnitude:expr, $settled:expr)?;)+) => {$(
        impl Lanes for Plain<$element> {
            type Element = $element;
            const COUNT: usize = PLAIN;

            #[inline(always)]
            unsafe fn load(from: *const $element) -> Self {
                // SAFETY: as the caller promises.
                Self(unsafe { from.cast::<[$element; PLAIN]>().read_unaligned() })
            }

            #[inline(always)]
            unsafe fn store(self, to: *mut $element) {
                // SAFETY: as the caller promises.
                unsafe { to.cast::<[$element; PLAIN]>().write_unaligned(self.0) }
            }

            #[inline(always)]
            unsafe fn splat(value: $element) -> Self {
                Self([value; PLAIN])
            }

            #[inline(always)]
            unsafe fn add(self, other: Self) -> Self {
                Self(std::array::from_fn(|i| $add(self.0[i], other.0[i])))
            }

            #[inline(always)]
            unsafe fn sub(self, other: Self) -> Self {
                Self(std::array::from_fn(|i| $sub(self.0[i], other.0[i])))
            }
        }

        $(impl Sums for Plain<$element> {
            #[inline(always)]
            unsafe fn quarter(self) -> Self {
                Self(self.0.map($quarter))
            }

            #[inline(always)]
            unsafe fn magnitude(self) -> Self {
                Self(self.0.map($magnitude))
            }

            #[inline(always)]
            unsafe fn settled(self, magnitude: Self) -> Self {
                Self(std::array::from_fn(|i| $settled(self.0[i], magnitude.0[i])))
            }
        })?
    )+};
}

plain! {
    u8: u8::wrapping_add, u8::wrapping_sub;
    i16: i16::wrapping_add, i16::wrapping_sub;
    i32: i32::wrapping_add, i32::wrapping_sub, sums |v| v >> 2, |v| v, |v: i32, _: i32| v;
    f32: |a, b| a + b, |a, b| a - b, sums |v| v, f32::abs,
        |v: f32, m: f32| if v.abs() <= m * ROUNDING.0 { 0.0 } else { v };
    f64: |a, b| a + b, |a, b| a - b, sums |v| v, f64::abs,
        |v: f64, m: f64| if v.abs() <= m * ROUNDING.1 { 0.0 } else { v };
}
