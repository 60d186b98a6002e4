//! Defines arithmetic on vectors of single bits, least significant first: slow, plain, and independent of the
//! library's words.

/// Holds a value, least significant bit first.
pub type Bits = Vec<bool>;

/// Turns words, as ports take them, into bits.
pub fn from_words(words: &[u64], width: usize) -> Bits {
    (0..width).map(|bit| words[bit / 64] >> (bit % 64) & 1 == 1).collect()
}

/// Turns bits into the words that ports take.
pub fn to_words(bits: &[bool]) -> Vec<u64> {
    let mut words = vec![0; bits.len().div_ceil(64)];
    for (at, _) in bits.iter().enumerate().filter(|(_, bit)| **bit) {
        words[at / 64] |= 1 << (at % 64);
    }
    words
}

pub fn extend(a: &[bool], width: usize, signed: bool) -> Bits {
    let fill = signed && a[a.len() - 1];
    (0..width).map(|at| a.get(at).copied().unwrap_or(fill)).collect()
}

pub fn add(a: &[bool], b: &[bool]) -> Bits {
    let mut carry = false;
    let full = |(&a, &b): (&bool, &bool)| {
        let ones = a as u8 + b as u8 + carry as u8;
        carry = ones > 1;
        ones % 2 == 1
    };
    a.iter().zip(b).map(full).collect()
}

pub fn not(a: &[bool]) -> Bits {
    a.iter().map(|bit| !bit).collect()
}

pub fn sub(a: &[bool], b: &[bool]) -> Bits {
    let mut one = vec![false; b.len()];
    one[0] = true;
    add(a, &add(&not(b), &one))
}

pub fn mul(a: &[bool], b: &[bool]) -> Bits {
    let mut sum = vec![false; a.len()];
    for shift in (0..b.len()).filter(|&at| b[at]) {
        let shifted: Bits = (0..a.len()).map(|at| at >= shift && a[at - shift]).collect();
        sum = add(&sum, &shifted);
    }
    sum
}

pub fn less(a: &[bool], b: &[bool], signed: bool) -> bool {
    let top = a.len() - 1;
    for at in (0..a.len()).rev() {
        if a[at] != b[at] {
            return b[at] != (signed && at == top);
        }
    }
    false
}
