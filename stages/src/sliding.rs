//! Windows of some patches that slide over a clip while its patches come by.

use std::collections::VecDeque;

use ecosight_datasets::tables::Patches;

/// Windows of `size` patches that overlap by half, the last one ending with the clip. Holds the patches of one window.
pub(crate) struct Sliding {
    size: usize,
    /// Start of each patch that is held, and their values.
    start_s: VecDeque<f64>,
    rows: VecDeque<f32>,
    /// Number of the first patch that is held, and of the one where the next window starts.
    first: usize,
    next: usize,
}

/// Gets the starts of the first and the last patch of a window, seconds, and the values of all, `[size, dim]`.
pub(crate) type Each<'a> = dyn FnMut(f64, f64, &[f32]) + 'a;

impl Sliding {
    /// Windows of `size` patches, at least one.
    pub(crate) fn new(size: usize) -> Self {
        Self { size, start_s: VecDeque::new(), rows: VecDeque::new(), first: 0, next: 0 }
    }

    /// Takes the next patches; `each` gets the windows that they complete.
    pub(crate) fn push(&mut self, patches: &Patches, each: &mut Each<'_>) {
        let dim = patches.embeddings.len() / patches.len().max(1);
        for (start_s, row) in patches.start_s.iter().zip(patches.embeddings.chunks_exact(dim.max(1))) {
            if self.start_s.len() == self.size {
                self.start_s.pop_front();
                self.rows.drain(..dim);
                self.first += 1;
            }
            self.start_s.push_back(*start_s);
            self.rows.extend(row);
            if self.start_s.len() == self.size && self.first == self.next {
                self.hand_over(each);
                self.next += self.step();
            }
        }
    }

    /// Ends the clip; `each` gets the last window if it is not out yet. A clip shorter than a window has none.
    pub(crate) fn finish(mut self, each: &mut Each<'_>) {
        let is_out = self.next == self.first + self.step();
        if self.start_s.len() == self.size && !is_out {
            self.hand_over(each);
        }
    }

    fn step(&self) -> usize {
        self.size.div_ceil(2)
    }

    fn hand_over(&mut self, each: &mut Each<'_>) {
        if let (Some(first_s), Some(last_s)) = (self.start_s.front(), self.start_s.back()) {
            each(*first_s, *last_s, self.rows.make_contiguous());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn patches(first: usize, count: usize) -> Patches {
        let start_s = (first..first + count).map(|k| k as f64 * 0.5).collect();
        let embeddings = (first..first + count).flat_map(|k| [k as f32, -(k as f32)]).collect();
        Patches { first: first as u32, start_s, embeddings }
    }

    proptest! {
        #[test]
        fn windows_are_those_of_the_whole_clip_however_its_patches_come(
            size in 1_usize..12, runs in prop::collection::vec(0_usize..20, 0..8)
        ) {
            let mut found = Vec::new();
            let mut each = |first_s: f64, last_s: f64, rows: &[f32]| found.push((first_s, last_s, rows.to_vec()));
            let (mut sliding, mut n) = (Sliding::new(size), 0);
            for count in runs {
                sliding.push(&patches(n, count), &mut each);
                n += count;
            }
            sliding.finish(&mut each);
            let mut firsts: Vec<usize> = (0..n).step_by(size.div_ceil(2)).filter(|first| first + size <= n).collect();
            if n >= size && firsts.last() != Some(&(n - size)) {
                firsts.push(n - size);
            }
            let window = |first: usize| {
                let Patches { start_s, embeddings, .. } = patches(first, size);
                (start_s[0], start_s[size - 1], embeddings)
            };
            prop_assert_eq!(found, firsts.into_iter().map(window).collect::<Vec<_>>());
        }
    }
}
