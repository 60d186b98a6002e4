//! Bit vectors as little-endian `u64` words: the arithmetic of literals and of nets wider than 64 bits.
//!
//! A value of `width` bits takes `width.div_ceil(64)` words and its unused high bits are zero ("canonical").
//! Every function keeps that, and none allocates but those that return a `Vec`. Never knows of nets or
//! kernels.

use std::cmp::Ordering;

/// Returns the words needed for `width` bits; at least one.
pub fn words_for(width: usize) -> usize {
    width.div_ceil(64).max(1)
}

/// Returns a word with its low `width` bits set; all of them from 64 up.
#[inline]
pub fn mask(width: usize) -> u64 {
    if width >= 64 { !0 } else { (1 << width) - 1 }
}

/// Returns the mask of the highest word of a value of `width` bits.
#[inline]
pub fn top_mask(width: usize) -> u64 {
    mask(if width.is_multiple_of(64) { 64 } else { width % 64 })
}

/// Returns `value` as `width` bits, two's complement: sign-extended beyond 64 bits, cut below.
pub fn from_i64(value: i64, width: usize) -> Vec<u64> {
    let mut out = vec![if value < 0 { !0 } else { 0 }; words_for(width)];
    out[0] = value as u64;
    canonical(&mut out, width);
    out
}

/// Clears the bits above `width`.
pub fn canonical(value: &mut [u64], width: usize) {
    debug_assert_eq!(value.len(), words_for(width));
    if let Some(top) = value.last_mut() {
        *top &= top_mask(width);
    }
}

/// Returns bit `index` of `value`.
pub fn bit(value: &[u64], index: usize) -> bool {
    value[index / 64] >> (index % 64) & 1 == 1
}

/// Returns up to 64 bits from bit `offset` on; bits beyond the last word read as zero.
#[inline]
pub fn extract(value: &[u64], offset: usize, width: usize) -> u64 {
    let (word, shift) = (offset / 64, offset % 64);
    let mut out = value[word] >> shift;
    if shift != 0 && shift + width > 64 && word + 1 < value.len() {
        out |= value[word + 1] << (64 - shift);
    }
    out & mask(width)
}

/// Sets `out` to `out_width` bits of `value` from bit `offset` on.
pub fn slice_into(out: &mut [u64], value: &[u64], offset: usize, out_width: usize) {
    for (index, word) in out.iter_mut().enumerate() {
        let left = out_width - 64 * index;
        *word = extract(value, offset + 64 * index, left.min(64));
    }
}

/// Returns, from words of `width` bits one after another, `out_width` bits of each from bit `offset` on.
pub fn columns(data: &[u64], width: usize, offset: usize, out_width: usize) -> Vec<u64> {
    let mut out = vec![0; words_for(out_width) * (data.len() / words_for(width))];
    for (to, word) in out.chunks_mut(words_for(out_width)).zip(data.chunks(words_for(width))) {
        slice_into(to, word, offset, out_width);
    }
    out
}

/// ORs `value` of `width` bits into `out` at bit `offset`; the place must be zero.
pub fn or_at(out: &mut [u64], offset: usize, value: &[u64], width: usize) {
    let shift = offset % 64;
    for (index, &word) in value.iter().enumerate().take(width.div_ceil(64)) {
        let at = offset / 64 + index;
        out[at] |= word << shift;
        if shift != 0 {
            let high = word >> (64 - shift);
            if high != 0 {
                out[at + 1] |= high;
            }
        }
    }
}

/// Sets `out` to `value` of `from` bits, extended to `to` bits with zeros or its sign.
pub fn extend_into(out: &mut [u64], value: &[u64], from: usize, to: usize, signed: bool) {
    let negative = signed && bit(value, from - 1);
    for (index, word) in out.iter_mut().enumerate() {
        *word = value.get(index).copied().unwrap_or(0);
        if negative {
            let low = from.saturating_sub(64 * index).min(64);
            *word |= !mask(low);
        }
    }
    canonical(out, to);
}

/// Sets `out` to `a + b` modulo 2^width.
pub fn add_into(out: &mut [u64], a: &[u64], b: &[u64], width: usize) {
    let mut carry = false;
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        let (sum, over) = a.overflowing_add(b);
        let (sum, more) = sum.overflowing_add(carry as u64);
        *out = sum;
        carry = over | more;
    }
    canonical(out, width);
}

/// Sets `out` to `a - b` modulo 2^width.
pub fn sub_into(out: &mut [u64], a: &[u64], b: &[u64], width: usize) {
    let mut borrow = false;
    for ((out, &a), &b) in out.iter_mut().zip(a).zip(b) {
        let (rest, under) = a.overflowing_sub(b);
        let (rest, more) = rest.overflowing_sub(borrow as u64);
        *out = rest;
        borrow = under | more;
    }
    canonical(out, width);
}

/// Sets `out` to `a · b` modulo 2^width (schoolbook); `a` and `b` are already extended to `width` bits.
pub fn mul_into(out: &mut [u64], a: &[u64], b: &[u64], width: usize) {
    out.fill(0);
    let words = out.len();
    for (i, &x) in a.iter().enumerate() {
        let mut carry = 0u128;
        for j in 0..words - i {
            let sum = x as u128 * b[j] as u128 + out[i + j] as u128 + carry;
            out[i + j] = sum as u64;
            carry = sum >> 64;
        }
    }
    canonical(out, width);
}

/// Orders two values of the same width, as unsigned or as two's complement.
pub fn compare(a: &[u64], b: &[u64], width: usize, signed: bool) -> Ordering {
    if signed {
        match (bit(a, width - 1), bit(b, width - 1)) {
            (true, false) => return Ordering::Less,
            (false, true) => return Ordering::Greater,
            _ => {}
        }
    }
    a.iter().rev().cmp(b.iter().rev())
}

/// Packs signed or unsigned lanes of `lane_bits` each (1–64), lane 0 in the low bits: one memory word or one
/// beat.
///
/// # Panics
/// Panics if a lane does not fit `lane_bits` bits, read either as unsigned or as two's complement.
pub fn pack(lanes: &[i64], lane_bits: usize) -> Vec<u64> {
    assert!((1..=64).contains(&lane_bits), "lanes of {lane_bits} bits");
    let mut out = vec![0; words_for(lanes.len() * lane_bits)];
    for (index, &lane) in lanes.iter().enumerate() {
        let unsigned = lane >= 0 && lane as u64 <= mask(lane_bits);
        let fits = unsigned || sign_extend(lane as u64, lane_bits) == lane;
        assert!(fits, "lane {index}: {lane} does not fit {lane_bits} bits");
        or_at(&mut out, index * lane_bits, &[lane as u64 & mask(lane_bits)], lane_bits);
    }
    out
}

/// Returns lane `index` of a packed value, unsigned.
pub fn lane(value: &[u64], index: usize, lane_bits: usize) -> u64 {
    extract(value, index * lane_bits, lane_bits)
}

/// Returns lane `index` of a packed value, as two's complement.
pub fn lane_signed(value: &[u64], index: usize, lane_bits: usize) -> i64 {
    sign_extend(lane(value, index, lane_bits), lane_bits)
}

/// Returns the low `width` bits (1–64) of `value` as two's complement.
#[inline]
pub fn sign_extend(value: u64, width: usize) -> i64 {
    let shift = 64 - width;
    ((value << shift) as i64) >> shift
}

/// Returns the hexadecimal digits of a value, `width.div_ceil(4)` of them.
pub fn to_hex(value: &[u64], width: usize) -> String {
    (0..width.div_ceil(4))
        .rev()
        .map(|digit| {
            let nibble = extract(value, 4 * digit, 4.min(width - 4 * digit));
            char::from_digit(nibble as u32, 16).expect("a nibble is below 16")
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lanes_pack_from_the_low_bits() {
        assert_eq!(pack(&[1, -1, 0, 2], 3), vec![0b010_000_111_001]);
        assert_eq!(lane_signed(&pack(&[1, -1, 0, 2], 3), 1, 3), -1);
        assert_eq!(pack(&[-1; 13], 5), vec![!0, 1]);
        assert_eq!(to_hex(&[!0, 1], 65), "1ffffffffffffffff");
    }

    #[test]
    #[should_panic(expected = "does not fit")]
    fn a_lane_that_does_not_fit_is_refused() {
        pack(&[8], 3);
    }

    proptest! {
        #[test]
        fn two_words_agree_with_u128(a: u128, b: u128, width in 65usize..=128, offset in 0usize..64) {
            let keep = if width == 128 { !0 } else { (1u128 << width) - 1 };
            let split = |x: u128| vec![x as u64, (x >> 64) as u64];
            let (a, b) = (a & keep, b & keep);
            let (x, y) = (split(a), split(b));
            let mut out = vec![0; 2];
            add_into(&mut out, &x, &y, width);
            prop_assert_eq!(&out, &split(a.wrapping_add(b) & keep));
            sub_into(&mut out, &x, &y, width);
            prop_assert_eq!(&out, &split(a.wrapping_sub(b) & keep));
            mul_into(&mut out, &x, &y, width);
            prop_assert_eq!(&out, &split(a.wrapping_mul(b) & keep));
            prop_assert_eq!(compare(&x, &y, width, false), a.cmp(&b));
            let signed = |v: u128| ((v << (128 - width)) as i128) >> (128 - width);
            prop_assert_eq!(compare(&x, &y, width, true), signed(a).cmp(&signed(b)));
            let left = width - offset;
            let mut cut = vec![0; words_for(left)];
            slice_into(&mut cut, &x, offset, left);
            prop_assert_eq!(cut[0], (a >> offset) as u64 & mask(left));
            let mut wide = vec![0; 4];
            extend_into(&mut wide, &x, width, 200, true);
            prop_assert_eq!(wide[1], (signed(a) >> 64) as u64);
            prop_assert_eq!(wide[3], if signed(a) < 0 { mask(8) } else { 0 });
        }
    }
}
