//! Resampling of whole groups of rows with replacement.
//!
//! Clips of one recording resemble each other, so drawing single clips would make every interval too narrow (cluster
//! bootstrap; Davison and Hinkley 1997, *Bootstrap Methods and their Application*, section 3.8).

use std::collections::HashMap;

use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use rayon::prelude::*;

/// How often is drawn, and from which seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bootstrap {
    /// Number of resamples, each of as many groups as there are.
    pub resamples: u32,
    /// Seed of the draws; resample `i` has stream `i` of the generator, whichever thread draws it.
    pub seed: u64,
}

impl Default for Bootstrap {
    fn default() -> Self {
        Self { resamples: 2000, seed: 0 }
    }
}

/// Groups of rows, of which only counts are left.
///
/// A *cell* is all that a statistic asks of a row, its true and its predicted class, say; rows in the same cell differ in
/// nothing, and neither do groups with as many rows in each cell. Such groups are of one *kind*. A resample counts how often
/// each kind is drawn and then adds up the cells of the kinds.
pub(super) struct Groups<C> {
    /// The distinct cells.
    cells: Vec<C>,
    /// Kind of each group.
    kinds: Vec<u32>,
    /// For each kind, the indices of its cells and the number of rows in each.
    contents: Vec<Vec<(u32, u32)>>,
}

impl<C: Copy + Ord + Send + Sync> Groups<C> {
    /// Counts the rows of each group; `rows` are their cells, `groups` any number that names the group of each.
    pub(super) fn new(rows: &[C], groups: &[u32]) -> Self {
        let mut cells = rows.to_vec();
        cells.par_sort_unstable();
        cells.dedup();
        let index = |cell: &C| cells.binary_search(cell).expect("the cells are those of the rows") as u32;
        let mut rows: Vec<(u32, u32)> = groups.iter().copied().zip(rows.iter().map(index)).collect();
        rows.par_sort_unstable();
        let mut known = HashMap::new();
        let (mut kinds, mut contents) = (Vec::new(), Vec::new());
        for group in rows.chunk_by(|a, b| a.0 == b.0) {
            let content: Vec<(u32, u32)> =
                group.chunk_by(|a, b| a.1 == b.1).map(|cell| (cell[0].1, cell.len() as u32)).collect();
            kinds.push(*known.entry(content).or_insert_with_key(|content| {
                contents.push(content.clone());
                contents.len() as u32 - 1
            }));
        }
        Self { cells, kinds, contents }
    }

    /// Number of groups.
    pub(super) fn len(&self) -> usize {
        self.kinds.len()
    }

    /// The statistic of each resample, given how many rows fall into each cell; in the order of the resamples.
    ///
    /// Fewer than two groups say nothing of how figures vary: there are no resamples then.
    pub(super) fn resample<T: Send>(
        &self,
        bootstrap: Bootstrap,
        statistic: impl Fn(&mut dyn Iterator<Item = (C, u64)>) -> T + Sync,
    ) -> Vec<T> {
        if self.len() < 2 {
            return Vec::new();
        }
        (0..bootstrap.resamples)
            .into_par_iter()
            .map(|resample| {
                let mut rng = ChaCha8Rng::seed_from_u64(bootstrap.seed);
                rng.set_stream(u64::from(resample));
                statistic(&mut self.cells.iter().copied().zip(self.draw(&mut rng)))
            })
            .collect()
    }

    /// Draws as many groups as there are, with replacement; returns the number of rows in each cell.
    fn draw(&self, rng: &mut ChaCha8Rng) -> Vec<u64> {
        let mut drawn = vec![0_u32; self.contents.len()];
        for _ in 0..self.len() {
            // Multiplied and shifted instead of divided (Lemire 2019). Without his rejection some groups are likelier by at
            // most a share of groups / 2³², which no interval shows.
            let group = (u64::from(rng.next_u32()) * self.len() as u64) >> 32;
            drawn[self.kinds[group as usize] as usize] += 1;
        }
        let mut counts = vec![0; self.cells.len()];
        for (content, &times) in self.contents.iter().zip(&drawn) {
            for &(cell, rows) in content {
                counts[cell as usize] += u64::from(times) * u64::from(rows);
            }
        }
        counts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sums(rows: &[u64], groups: &[u32], bootstrap: Bootstrap) -> Vec<u64> {
        Groups::new(rows, groups).resample(bootstrap, |cells| cells.map(|(cell, rows)| cell * rows).sum())
    }

    #[test]
    fn whole_groups_are_drawn_as_often_as_chance_says() {
        // Two groups: {1, 10} and {100}. Two draws give 22, 111 or 200 with 1/4, 1/2 and 1/4.
        let found = sums(&[1, 100, 10], &[7, 3, 7], Bootstrap { resamples: 20_000, seed: 1 });
        let share = |sum: u64| found.iter().filter(|&&found| found == sum).count() as f64 / found.len() as f64;
        for (sum, expected) in [(22, 0.25), (111, 0.5), (200, 0.25)] {
            assert!((share(sum) - expected).abs() < 0.02, "{sum}: {}", share(sum));
        }
    }

    #[test]
    fn draws_depend_on_the_seed_and_on_no_number_of_threads() {
        let rows: Vec<u64> = (0..100).map(|i| i * i % 17).collect();
        let groups: Vec<u32> = (0..100).map(|i| i / 3).collect();
        let on = |threads: usize, seed: u64| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| sums(&rows, &groups, Bootstrap { resamples: 50, seed }))
        };
        assert_eq!(on(1, 3), on(4, 3));
        assert_ne!(on(1, 3), on(1, 4));
    }

    #[test]
    fn groups_with_equal_rows_are_of_one_kind() {
        let groups = Groups::new(&[5, 6, 6, 5, 5], &[0, 0, 1, 1, 2]);
        assert_eq!(groups.kinds, [0, 0, 1]);
        assert_eq!(groups.contents, [vec![(0, 1), (1, 1)], vec![(0, 1)]]);
    }

    #[test]
    fn one_group_says_nothing() {
        assert!(sums(&[1, 2], &[0, 0], Bootstrap::default()).is_empty());
        assert!(sums(&[], &[], Bootstrap::default()).is_empty());
    }
}
