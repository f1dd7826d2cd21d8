//! Mixup: rows between rows, with labels between their labels (Zhang et al. 2018, "mixup: Beyond Empirical Risk Minimization").

use rand::Rng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::score::Score;

/// How the rows of a batch are mixed: each with a partner from the same batch.
pub(super) struct Mix {
    /// How much is the row's own; the rest is its partner's.
    share: f32,
    /// The partner of each row, by its number among all rows.
    pub(super) partners: Vec<usize>,
}

impl Mix {
    /// Draws a share from Beta(α, α), and the partners; nothing, and no random number, where α is 0.
    pub(super) fn draw(alpha: f64, batch: &[usize], rng: &mut ChaCha8Rng) -> Option<Self> {
        (alpha > 0.0).then(|| {
            let mut partners = batch.to_vec();
            partners.shuffle(rng);
            Self { share: beta(alpha, rng) as f32, partners }
        })
    }

    /// Mixes values of the rows with those of their partners.
    pub(super) fn blend(&self, own: &mut [f32], partners: &[f32]) {
        for (own, partner) in own.iter_mut().zip(partners) {
            *own = self.share * *own + (1.0 - self.share) * partner;
        }
    }

    /// The score by the mixed labels, from those by either.
    pub(super) fn score(&self, own: Score, partners: Score) -> Score {
        let share = f64::from(self.share);
        let mixed = |own: f64, partner: f64| share * own + (1.0 - share) * partner;
        Score { loss: mixed(own.loss, partners.loss), accuracy: mixed(own.accuracy, partners.accuracy) }
    }
}

/// A number from Beta(α, α), by the method of Jöhnk (1964): `X / (X + Y)` of `X = U^(1/α)`, `Y = V^(1/α)`, where `X + Y ≤ 1`. In logarithms,
/// since both powers are below any `f64` where α is small.
fn beta(alpha: f64, rng: &mut ChaCha8Rng) -> f64 {
    loop {
        let (x, y) = (rng.random::<f64>().ln() / alpha, rng.random::<f64>().ln() / alpha);
        let highest = x.max(y);
        let sum = highest + ((x - highest).exp() + (y - highest).exp()).ln();
        if sum <= 0.0 {
            return (x - sum).exp();
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn shares_have_the_mean_and_the_variance_of_the_distribution() {
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        for alpha in [0.01, 0.2, 1.0, 2.0] {
            let n = 20_000;
            let shares: Vec<f64> = (0..n).map(|_| beta(alpha, &mut rng)).collect();
            assert!(shares.iter().all(|share| (0.0..=1.0).contains(share)), "{alpha}");
            let mean = shares.iter().sum::<f64>() / f64::from(n);
            let variance = shares.iter().map(|share| (share - mean).powi(2)).sum::<f64>() / f64::from(n);
            let expected = 1.0 / (4.0 * (2.0 * alpha + 1.0));
            assert!(
                (mean - 0.5).abs() < 0.01 && (variance / expected - 1.0).abs() < 0.05,
                "{alpha}: {mean}, {variance}"
            );
        }
    }

    #[test]
    fn rows_and_labels_are_mixed_alike_and_not_at_all_where_it_is_off() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        assert!(Mix::draw(0.0, &[4, 5, 6], &mut rng).is_none());
        assert_eq!(rng.get_word_pos(), 0);
        let mut mix = Mix::draw(0.4, &[4, 5, 6], &mut rng).unwrap();
        mix.partners.sort_unstable();
        assert_eq!(mix.partners, [4, 5, 6]);
        mix.share = 0.75;
        let (mut row, mut label) = ([1.0, 8.0], [1.0, 0.0]);
        mix.blend(&mut row, &[5.0, 0.0]);
        mix.blend(&mut label, &[0.0, 1.0]);
        assert_eq!((row, label), ([2.0, 6.0], [0.75, 0.25]));
    }
}
