//! What a patch has in common with the one before it, which started half a patch earlier.
//!
//! The lines of an image that see no padding, in either patch, depend on the frames that both share: they are copied instead
//! of computed, with the same bits. Padding comes one line further with each convolution, so this serves the first layers.

use std::ops::Range;

use crate::frontend::Window;
use crate::frontend::params::{PATCH_FRAMES, PATCH_HOP_FRAMES};

const _: () = assert!(2 * PATCH_HOP_FRAMES == PATCH_FRAMES, "lines are shared half an image apart");

/// How many lines of an image see the padding above and below the patch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Padded {
    height: usize,
    above: usize,
    below: usize,
}

impl Padded {
    /// The patch itself.
    pub(super) const PATCH: Self = Self { height: PATCH_FRAMES, above: 0, below: 0 };

    /// The image that a 3×3 convolution makes of this one. With stride 1 it pads on both sides, with stride 2 below only.
    pub(super) fn convolved(self, stride: usize) -> Self {
        let Self { height, above, below } = self;
        if stride == 1 {
            Self { height, above: above + 1, below: below + 1 }
        } else {
            Self { height: height / 2, above: above.div_ceil(2), below: below / 2 + 1 }
        }
    }

    /// The lines of the first half that see none, here and half an image further down.
    pub(super) fn shared(self) -> Range<usize> {
        let end = (self.height / 2).saturating_sub(self.below);
        self.above.min(end)..end
    }
}

/// Whether `window` starts half a patch after `before` with the same frames, to the bit.
pub(super) fn continues(before: &Window, window: &Window) -> bool {
    let (earlier, later) = (&before.logmel, &window.logmel);
    let half = earlier.len() / 2;
    earlier.len() == later.len() && earlier[half..].iter().zip(later).all(|(a, b)| a.to_bits() == b.to_bits())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_lines_are_those_whose_field_of_view_has_no_padding() {
        let mut padded = Padded::PATCH;
        // First and last frame that a line sees, counted from the start of the patch; beyond it there is padding.
        let mut views: Vec<(isize, isize)> = (0..PATCH_FRAMES as isize).map(|t| (t, t)).collect();
        for stride in [2, 1, 2, 1, 2, 1, 2, 1, 1] {
            padded = padded.convolved(stride);
            let height = views.len() as isize;
            // A view of padding is one beyond the patch, for good.
            let view = |line: isize| match usize::try_from(line).ok().and_then(|line| views.get(line)) {
                Some(view) => *view,
                None if line < 0 => (-1000, 0),
                None => (0, 1000),
            };
            let first = |line: isize| if stride == 1 { line - 1 } else { 2 * line };
            let union = |line: isize| {
                let three = [0, 1, 2].map(|dy| view(first(line) + dy));
                (three.map(|v| v.0).into_iter().min().unwrap(), three.map(|v| v.1).into_iter().max().unwrap())
            };
            views = (0..height / stride as isize).map(union).collect();
            let half = PATCH_HOP_FRAMES as isize;
            let is_shared = |line: &usize| views[*line].0 >= 0 && views[*line].1 < half;
            let expected: Vec<usize> = (0..views.len()).filter(is_shared).collect();
            assert_eq!(padded.shared().collect::<Vec<_>>(), expected, "{padded:?}");
        }
    }
}
