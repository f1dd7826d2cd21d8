//! Which clips of different sides sound alike.

use std::cmp::Ordering;

use ecosight_datasets::tables::Side;
use rayon::prelude::*;

use super::products::products;

/// Rows that are compared with all queries at a time: 8 MB of 1024 values each.
const BLOCK_ROWS: usize = 2048;

/// Queries that one task compares with a block.
const TILE_ROWS: usize = 128;

/// Pooled embeddings of clips, and where each clip belongs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clips<'a> {
    /// Mean embeddings, `[clips, dim]`, row-major.
    pub(crate) rows: &'a [f32],
    /// Length of a row, at least one.
    pub(crate) dim: usize,
    /// Number of the recording of each clip.
    pub(crate) groups: &'a [u32],
    /// Side of each clip.
    pub(crate) sides: &'a [Side],
}

impl<'a> Clips<'a> {
    /// Row of a clip.
    pub(super) fn row(&self, clip: usize) -> &'a [f32] {
        &self.rows[clip * self.dim..(clip + 1) * self.dim]
    }

    /// # Panics
    /// When the parts differ in length.
    pub(super) fn check(&self) {
        let clips = self.sides.len();
        assert!(
            self.dim > 0 && self.groups.len() == clips && self.rows.len() == clips * self.dim,
            "each clip has a group, a side and a row"
        );
    }

    /// Whether a copy of one among the other would be a leak.
    fn are_apart(&self, a: usize, b: usize) -> bool {
        self.sides[a] != self.sides[b] && self.groups[a] != self.groups[b]
    }
}

/// Two clips of different groups on different sides that may be copies.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Pair {
    /// Index of the one clip.
    pub(crate) a: usize,
    /// Index of the other clip, above `a`.
    pub(crate) b: usize,
    /// Cosine of their rows, compressed.
    pub(crate) cosine: f32,
}

/// The `k` clips of other sides and groups that are nearest to each val and test clip by cosine, as pairs in ascending
/// order, each once. Rows with a value that is not finite, and rows of zeros, are in no pair.
///
/// The rows are compressed before: each value is replaced by its fourth root (with its sign). YAMNet's embeddings are
/// non-negative with a few large values; what a codec takes away is in these, while which small ones are not zero stays.
/// On ESC-10, of MP3 copies with 16 kbit/s 87 % are among the 20 nearest in 2,600 rows, with plain cosines 71 %, with
/// centred ones 59 %.
///
/// A copy that is not among the `k` nearest is missed: with 4,300 rows and `k` = 20, 7 % of MP3 copies with 32 kbit/s, 14 % of
/// copies trimmed to 2 s of 5 and 22 % of MP3 copies with 16 kbit/s; with `k` = 100, 1 %, 8 % and 6 %.
///
/// # Panics
/// When the parts of `clips` differ in length.
pub(crate) fn nominate(clips: &Clips<'_>, k: usize) -> Vec<Pair> {
    clips.check();
    let queries: Vec<usize> = (0..clips.sides.len()).filter(|&clip| clips.sides[clip] != Side::Train).collect();
    if k == 0 || queries.is_empty() {
        return Vec::new();
    }
    let left = directions(clips, &queries);
    let mut nearest: Vec<Nearest> = queries.iter().map(|_| Nearest::default()).collect();
    let all: Vec<usize> = (0..clips.sides.len()).collect();
    for block in all.chunks(BLOCK_ROWS) {
        let right = directions(clips, block);
        let tiles = queries.par_chunks(TILE_ROWS).zip(left.par_chunks(TILE_ROWS * clips.dim));
        tiles.zip(nearest.par_chunks_mut(TILE_ROWS)).for_each_init(Vec::new, |cosines, ((queries, left), nearest)| {
            cosines.resize(queries.len() * block.len(), 0.0);
            products(left, &right, clips.dim, cosines);
            for ((&query, cosines), nearest) in queries.iter().zip(cosines.chunks(block.len())).zip(nearest) {
                for (&clip, &cosine) in block.iter().zip(cosines) {
                    if cosine > nearest.floor && clips.are_apart(query, clip) {
                        nearest.offer(clip, cosine, k);
                    }
                }
            }
        });
    }
    pairs(&queries, &nearest)
}

/// The directions of rows: compressed, and of length one or zero, `[clips, dim]`.
fn directions(clips: &Clips<'_>, of: &[usize]) -> Vec<f32> {
    let mut out = vec![0.0; of.len() * clips.dim];
    out.par_chunks_mut(clips.dim).zip(of).for_each(|(out, &clip)| {
        let row = clips.row(clip);
        if row.iter().all(|x| x.is_finite()) {
            for (out, x) in out.iter_mut().zip(row) {
                *out = x.abs().sqrt().sqrt().copysign(*x);
            }
            let length = out.iter().map(|x| x * x).sum::<f32>().sqrt();
            if length > 0.0 {
                for x in out {
                    *x /= length;
                }
            }
        }
    });
    out
}

/// The nearest clips of a query so far, nearest first; of equally near ones, the one with the lower index.
#[derive(Default)]
struct Nearest {
    clips: Vec<(usize, f32)>,
    /// Cosine that a clip must exceed.
    floor: f32,
}

impl Nearest {
    /// Takes a clip that exceeds the floor.
    fn offer(&mut self, clip: usize, cosine: f32, k: usize) {
        let at = self.clips.partition_point(|&(_, other)| other >= cosine);
        self.clips.insert(at, (clip, cosine));
        self.clips.truncate(k);
        if self.clips.len() == k {
            self.floor = self.clips[k - 1].1;
        }
    }
}

/// Each pair once, in ascending order.
fn pairs(queries: &[usize], nearest: &[Nearest]) -> Vec<Pair> {
    let of = |(&query, nearest): (&usize, &Nearest)| -> Vec<Pair> {
        let pair = |&(clip, cosine): &(usize, f32)| Pair { a: query.min(clip), b: query.max(clip), cosine };
        nearest.clips.iter().map(pair).collect()
    };
    let mut pairs: Vec<Pair> = queries.iter().zip(nearest).flat_map(of).collect();
    // The two cosines of a pair that was named from both ends may differ by rounding.
    let order = |x: &Pair, y: &Pair| -> Ordering { (x.a, x.b).cmp(&(y.a, y.b)).then(y.cosine.total_cmp(&x.cosine)) };
    pairs.sort_unstable_by(order);
    pairs.dedup_by_key(|pair| (pair.a, pair.b));
    pairs
}

#[cfg(test)]
mod tests {
    use ecosight_datasets::tables::Side::{Test, Train, Val};
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Rows, groups and sides of clips, with some that are bad.
    fn made(clips: usize, dim: usize) -> (Vec<f32>, Vec<u32>, Vec<Side>) {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut rows: Vec<f32> = (0..clips * dim).map(|_| rng.random_range(-1.0f32..2.0).max(0.0)).collect();
        rows[3 * dim + 1] = f32::NAN;
        rows[5 * dim..6 * dim].fill(0.0);
        let groups = (0..clips as u32).map(|clip| clip / 2).collect();
        let sides = (0..clips).map(|clip| [Train, Train, Val, Test, Train][clip / 3 % 5]).collect();
        (rows, groups, sides)
    }

    /// The pairs by definition, in double precision.
    fn expected(clips: &Clips<'_>, k: usize) -> Vec<(usize, usize)> {
        let n = clips.sides.len();
        let root = |x: f32| f64::from(x).abs().powf(0.25) * f64::from(x).signum();
        let dot = |a: usize, b: usize| -> f64 {
            clips.row(a).iter().zip(clips.row(b)).map(|(&x, &y)| if x == 0.0 { 0.0 } else { root(x) * root(y) }).sum()
        };
        let mut pairs: Vec<(usize, usize)> = (0..n)
            .filter(|&query| clips.sides[query] != Train)
            .flat_map(|query| {
                let apart = (0..n).filter(|&clip| clips.are_apart(query, clip));
                let cosine = |clip| dot(query, clip) / (dot(query, query) * dot(clip, clip)).sqrt();
                let mut near: Vec<(f64, usize)> =
                    apart.map(|clip| (cosine(clip), clip)).filter(|x| x.0 > 0.0).collect();
                near.sort_by(|x, y| y.0.total_cmp(&x.0));
                near.into_iter().take(k).map(move |(_, clip)| (query.min(clip), query.max(clip)))
            })
            .collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs
    }

    #[test]
    fn the_nearest_of_other_sides_and_groups_are_named_by_any_number_of_threads() {
        // More than a block and several tiles.
        let (rows, groups, sides) = made(BLOCK_ROWS + 300, 24);
        let clips = Clips { rows: &rows, dim: 24, groups: &groups, sides: &sides };
        let threads = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads start");
            pool.install(|| nominate(&clips, 3))
        };
        let found = threads(1);
        assert_eq!(found, threads(5));
        assert_eq!(found.iter().map(|pair| (pair.a, pair.b)).collect::<Vec<_>>(), expected(&clips, 3));
        assert!(found.iter().all(|pair| clips.are_apart(pair.a, pair.b) && pair.cosine <= 1.000_001));
        assert!(found.iter().all(|pair| ![3, 5].contains(&pair.a) && ![3, 5].contains(&pair.b)));
    }

    #[test]
    fn a_louder_copy_is_nearest() {
        let (mut rows, groups, sides) = made(200, 32);
        rows.copy_within(20 * 32..21 * 32, 100 * 32);
        rows[100 * 32..101 * 32].iter_mut().for_each(|x| *x *= 7.0);
        assert!(sides[20] != sides[100]);
        let pairs = nominate(&Clips { rows: &rows, dim: 32, groups: &groups, sides: &sides }, 1);
        let copy = pairs.iter().find(|pair| (pair.a, pair.b) == (20, 100)).expect("the copy is named");
        assert!((copy.cosine - 1.0).abs() < 1e-6);
    }

    #[test]
    fn clips_without_a_counterpart_make_no_pair() {
        let rows = [1.0, 2.0, 3.0];
        let pairs = |groups, sides, k| nominate(&Clips { rows: &rows, dim: 1, groups, sides }, k);
        assert!(pairs(&[0, 1, 2], &[Train; 3], 4).is_empty());
        assert!(pairs(&[0, 1, 2], &[Test; 3], 4).is_empty());
        assert!(pairs(&[0, 0, 0], &[Train, Val, Test], 4).is_empty());
        assert!(pairs(&[0, 1, 2], &[Train, Val, Test], 0).is_empty());
        assert_eq!(pairs(&[0, 1, 2], &[Train, Val, Test], 9).len(), 3);
        assert!(nominate(&Clips { rows: &[], dim: 1, groups: &[], sides: &[] }, 4).is_empty());
    }
}
