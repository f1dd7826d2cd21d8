//! Memory that begins at a cache line, which loads of a whole line want.

use std::ops::{Deref, DerefMut};

use super::element::{Bf16, Element};

/// Bytes of a cache line, and of the widest register.
const LINE: usize = 64;

#[derive(Clone, Copy)]
#[repr(C, align(64))]
struct Line([u8; LINE]);

/// A vector of fixed length, zero at first.
#[derive(Clone)]
pub(super) struct Aligned<T> {
    lines: Vec<Line>,
    len: usize,
    element: std::marker::PhantomData<T>,
}

/// Types for which all bytes, zero among them, are values.
///
/// # Safety
/// Implementations promise just that, and an alignment of at most a cache line.
pub(super) unsafe trait Plain: Copy {}

// SAFETY: a number, all of whose bytes may have any value.
unsafe impl Plain for f32 {}
// SAFETY: as above.
unsafe impl Plain for u64 {}
// SAFETY: as above; `Bf16` is a `u16`.
unsafe impl Plain for Bf16 {}

impl<T: Plain> Aligned<T> {
    /// `len` zeros.
    pub(super) fn zeroed(len: usize) -> Self {
        let lines = vec![Line([0; LINE]); (len * size_of::<T>()).div_ceil(LINE)];
        Self { lines, len, element: std::marker::PhantomData }
    }
}

impl<T: Plain + Element> Aligned<T> {
    /// The values, rounded to `T`.
    pub(super) fn of(values: impl ExactSizeIterator<Item = f32>) -> Self {
        let mut aligned = Self::zeroed(values.len());
        aligned.iter_mut().zip(values).for_each(|(slot, value)| *slot = T::from_f32(value));
        aligned
    }
}

impl<T: Plain> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the lines hold at least `len` values of `T`, are aligned for it, and any bytes are a `T`.
        unsafe { std::slice::from_raw_parts(self.lines.as_ptr().cast::<T>(), self.len) }
    }
}

impl<T: Plain> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as above, and `self` is borrowed for as long as the slice lives.
        unsafe { std::slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast::<T>(), self.len) }
    }
}
