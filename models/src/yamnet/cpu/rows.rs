//! What lies between a depthwise convolution and the product behind it.

use super::aligned::{Aligned, Plain};
use super::element::Element;

/// Channels whose bits share a word of [`Rows::nonzero`].
pub(super) const WORD: usize = 64;

/// [`Rows`] have room for a multiple of this many rows, which some kernels read.
pub(super) const PADDING: usize = 32;

/// Rows of rectified activations, `[rows, channels]`, and which of them are not zero.
pub(super) struct Rows<T> {
    /// `[rows, channels]`.
    pub(super) values: Aligned<T>,
    /// `[rows, words]`: channel `c` is bit `c % 64` of word `c / 64`, and the words are little-endian.
    pub(super) nonzero: Aligned<u64>,
    /// Rows in use.
    pub(super) count: usize,
    /// Channels in use.
    pub(super) channels: usize,
}

impl<T: Element + Plain> Rows<T> {
    /// Room for `values` values.
    pub(super) fn with_capacity(values: usize) -> Self {
        // The fewest channels are half a word.
        Self { values: Aligned::zeroed(values), nonzero: Aligned::zeroed(values * 2 / WORD), count: 0, channels: 0 }
    }

    /// Words of a row.
    pub(super) fn words(&self) -> usize {
        self.channels.div_ceil(WORD)
    }

    /// Makes it `[count, channels]`; what it holds is left from before, except that bits beyond the channels are zero.
    pub(super) fn reshape(&mut self, count: usize, channels: usize) {
        (self.count, self.channels) = (count, channels);
        let words = self.words();
        if !channels.is_multiple_of(WORD) {
            self.nonzero[..count * words].fill(0);
        }
    }
}
