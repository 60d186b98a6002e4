//! Lends out buffers that were used before, so that what is written as a whole is neither zeroed first nor
//! asked of the system each time. Every thread has its own.

use std::cell::RefCell;

/// Most buffers of one type that a thread keeps.
const MOST: usize = 64;
/// Most bytes of one type that a thread keeps.
const MOST_BYTES: usize = 32 << 20;

/// Is a type of numbers whose buffers are lent out.
pub(crate) trait Reused: Copy + Default + 'static {
    /// What tests find where nobody wrote.
    const POISON: Self;

    /// Calls `act` with what this thread keeps, the buffer that came back last at the end.
    fn kept<R>(act: impl FnOnce(&mut Vec<Vec<Self>>) -> R) -> R;
}

macro_rules! reused {
    ($($element:ty: $poison:expr),+) => {$(
        impl Reused for $element {
            const POISON: Self = $poison;

            fn kept<R>(act: impl FnOnce(&mut Vec<Vec<Self>>) -> R) -> R {
                thread_local! {
                    static KEPT: RefCell<Vec<Vec<$element>>> = const { RefCell::new(Vec::new()) };
                }
                KEPT.with_borrow_mut(act)
            }
        }
    )+};
}

reused!(u8: 0x55, i16: 0x5555, i32: 0x5555_5555, f32: f32::NAN, f64: f64::NAN);

/// Returns `length` numbers, whatever they are.
pub(crate) fn stale<T: Reused>(length: usize) -> Vec<T> {
    // One that is longer stays for those who need it: passes ask for the same lengths again and again.
    let found = T::kept(|kept| {
        let place = kept.iter().rposition(|buffer| buffer.len() == length);
        place.map(|place| kept.remove(place))
    });
    let mut buffer = found.unwrap_or_else(|| vec![T::default(); length]);
    if cfg!(debug_assertions) {
        buffer.fill(T::POISON);
    }
    buffer
}

/// Takes a buffer back.
pub(crate) fn give<T: Reused>(buffer: Vec<T>) {
    if buffer.is_empty() {
        return;
    }
    T::kept(|kept| {
        kept.push(buffer);
        let bytes = |kept: &[Vec<T>]| kept.iter().map(|b| b.capacity() * size_of::<T>()).sum::<usize>();
        while kept.len() > MOST || bytes(kept) > MOST_BYTES {
            kept.remove(0);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_buffer_comes_back_and_few_are_kept() {
        let buffer = vec![1i16; 1000];
        let place = buffer.as_ptr();
        give(buffer);
        let (shorter, same) = (stale::<i16>(700), stale::<i16>(1000));
        assert_eq!((shorter.as_ptr() == place, same.as_ptr() == place), (false, true));
        (0..100).for_each(|n| give(vec![0i16; 10 + n]));
        assert_eq!(i16::kept(|kept| kept.len()), MOST);
        give(vec![0i16; MOST_BYTES]);
        assert!(i16::kept(|kept| kept.is_empty()), "what is too large is not kept");
        assert_eq!(stale::<i16>(5).len(), 5);
    }
}
