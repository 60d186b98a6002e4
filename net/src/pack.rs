//! Packs integers at their own width, for files: little-endian bit order, base64 text.

use crate::error::Fault;
use crate::shape::MAX_ELEMENTS;
use base64::{Engine, engine::general_purpose::STANDARD};
use bitvec::prelude::*;
use serde::{Deserialize, Serialize};

/// Most bits of a packed word.
const MAX_BITS: u8 = 32;

/// Holds a tensor of integers: element `i` is `offset + word[i]`, words of `bits` bits, first index slowest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedInts {
    shape: Vec<usize>,
    bits: u8,
    offset: i64,
    data: String,
}

impl PackedInts {
    /// Packs `values` of shape `shape`, which all lie in `offset ..= offset + 2^bits − 1`.
    ///
    /// # Panics
    /// If a value does not, their number is not that of the shape, or `bits` is not 1 to 32.
    pub fn pack(shape: &[usize], bits: u8, offset: i64, values: impl IntoIterator<Item = i64>) -> Self {
        assert!((1..=MAX_BITS).contains(&bits), "words of {bits} bits");
        let elements = shape.iter().product::<usize>();
        let mut words = bitvec![u8, Lsb0; 0; elements * usize::from(bits)];
        let mut values = values.into_iter();
        for group in words.chunks_mut(grouped(bits)) {
            let mut packed = 0;
            for start in (0..group.len()).step_by(bits.into()) {
                let value = values.next().expect("one value per element");
                let word = (value - offset) as u64;
                assert!(word >> bits == 0, "{value} needs more than {bits} bits above {offset}");
                packed |= word << start;
            }
            group.store_le(packed);
        }
        assert_eq!(values.next(), None, "one value per element");
        Self { shape: shape.to_vec(), bits, offset, data: STANDARD.encode(words.as_raw_slice()) }
    }

    /// Unpacks a tensor of `rank` dimensions. Nothing is allocated before size and data agree.
    pub fn unpack(&self, field: &str, rank: usize) -> Result<(Vec<usize>, Vec<i64>), Fault> {
        let count = elements(&self.shape, field, rank)?;
        if !(1..=MAX_BITS).contains(&self.bits) {
            return Err(Fault::new(format!("{field}.bits"), "1 to 32", self.bits));
        }
        if self.offset.unsigned_abs() > 1 << 40 {
            return Err(Fault::new(format!("{field}.offset"), "at most 2^40 in magnitude", self.offset));
        }
        let bytes = decode(&self.data, (count * usize::from(self.bits)).div_ceil(8), field)?;
        let words = BitSlice::<u8, Lsb0>::from_slice(&bytes);
        let (elements, rest) = words.split_at(count * usize::from(self.bits));
        if rest.any() {
            return Err(Fault::new(format!("{field}.data"), "zero bits after the last element", "others"));
        }
        let mask = u64::MAX >> (64 - self.bits);
        let mut values = Vec::with_capacity(count);
        for group in elements.chunks(grouped(self.bits)) {
            let packed: u64 = group.load_le();
            let starts = (0..group.len()).step_by(self.bits.into());
            values.extend(starts.map(|start| self.offset + ((packed >> start) & mask) as i64));
        }
        Ok((self.shape.clone(), values))
    }
}

/// Returns how many bits are loaded and stored at once: those of as many words of `bits` bits as 64 bits hold.
fn grouped(bits: u8) -> usize {
    usize::from(64 / bits * bits)
}

/// Holds a tensor of `f32`, little-endian, as base64.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackedFloats {
    shape: Vec<usize>,
    data: String,
}

impl PackedFloats {
    /// Packs `values` of shape `shape`.
    pub fn pack(shape: &[usize], values: impl IntoIterator<Item = f32>) -> Self {
        let bytes: Vec<u8> = values.into_iter().flat_map(f32::to_le_bytes).collect();
        assert_eq!(bytes.len(), 4 * shape.iter().product::<usize>());
        Self { shape: shape.to_vec(), data: STANDARD.encode(bytes) }
    }

    /// Unpacks a tensor of `rank` dimensions; every element is finite.
    pub fn unpack(&self, field: &str, rank: usize) -> Result<(Vec<usize>, Vec<f32>), Fault> {
        let count = elements(&self.shape, field, rank)?;
        let bytes = decode(&self.data, 4 * count, field)?;
        let values: Vec<f32> =
            bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        match values.iter().position(|v| !v.is_finite()) {
            Some(i) => Err(Fault::new(format!("{field}[{i}]"), "a finite number", values[i])),
            None => Ok((self.shape.clone(), values)),
        }
    }
}

/// Stands in the file for a kind of layer without fields: `{}`.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NoFields {}

/// Returns the number of elements of a shape of `rank` dimensions, if it is one that may be allocated.
fn elements(shape: &[usize], field: &str, rank: usize) -> Result<usize, Fault> {
    if shape.len() != rank {
        return Err(Fault::new(format!("{field}.shape"), format!("{rank} dimensions"), shape.len()));
    }
    let count = shape.iter().try_fold(1usize, |n, &d| n.checked_mul(d)).filter(|&n| n <= MAX_ELEMENTS);
    count.ok_or_else(|| {
        let rule = format!("at most {MAX_ELEMENTS} elements");
        Fault::new(format!("{field}.shape"), rule, format!("{shape:?}"))
    })
}

/// Decodes base64 text of exactly `length` bytes; the text's length is checked before it is decoded.
fn decode(text: &str, length: usize, field: &str) -> Result<Vec<u8>, Fault> {
    let wanted = length.div_ceil(3) * 4;
    if text.len() != wanted {
        let expected = format!("{wanted} base64 characters for its shape");
        return Err(Fault::new(format!("{field}.data"), expected, text.len()));
    }
    let bytes = STANDARD
        .decode(text)
        .map_err(|e| Fault::new(format!("{field}.data"), "base64 (RFC 4648, padded)", e.to_string()))?;
    if bytes.len() == length {
        Ok(bytes)
    } else {
        Err(Fault::new(format!("{field}.data"), format!("{length} bytes"), bytes.len()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_was_packed_is_unpacked(
            (bits, words) in (1..=MAX_BITS)
                .prop_flat_map(|b| (Just(b), prop::collection::vec(0u64..1 << b, 0..200))),
            offset in -1000i64..1000,
        ) {
            let values: Vec<i64> = words.iter().map(|&w| w as i64 + offset).collect();
            let packed = PackedInts::pack(&[values.len()], bits, offset, values.iter().copied());
            prop_assert_eq!(packed.unpack("t", 1).unwrap().1, values);
        }
    }

    #[test]
    fn words_lie_in_the_file_from_the_lowest_bit_on() {
        let packed = PackedInts::pack(&[3], 5, -4, [-4 + 0b10110, -4 + 0b00001, 27]);
        assert_eq!(packed.data, STANDARD.encode([0b0011_0110, 0b0111_1100]));
        let whole = PackedInts::pack(&[2], 32, 0, [0xffff_ffff, 0x8000_0001]);
        assert_eq!(whole.unpack("t", 1).unwrap().1, [0xffff_ffff, 0x8000_0001]);
        assert!(PackedInts::pack(&[0], 4, 0, []).unpack("t", 1).unwrap().1.is_empty());
        let damaged = PackedInts { shape: vec![1], bits: 5, offset: 0, data: STANDARD.encode([0b0011_0110]) };
        assert_eq!(damaged.unpack("t", 1).unwrap_err().expected, "zero bits after the last element");
    }

    #[test]
    fn sizes_are_checked_before_anything_is_allocated() {
        let huge = PackedInts { shape: vec![1 << 31, 1 << 31], bits: 8, offset: 0, data: String::new() };
        assert_eq!(huge.unpack("weights", 2).unwrap_err().field, "weights.shape");
        let short = PackedInts { shape: vec![1 << 20], bits: 8, offset: 0, data: "AAAA".into() };
        assert_eq!(short.unpack("weights", 1).unwrap_err().field, "weights.data");
        let wide = PackedInts { shape: vec![1], bits: 33, offset: 0, data: String::new() };
        assert_eq!(wide.unpack("weights", 1).unwrap_err().field, "weights.bits");
    }
}
