//! Average precision of one class.

use super::Ranking;

impl Ranking {
    /// `Σ (Rₙ − Rₙ₋₁) · Pₙ` over the distinct scores, from the highest down (scikit-learn `average_precision_score`).
    ///
    /// None when no row is positive.
    pub fn average_precision(&self) -> Option<f64> {
        let positives = f64::from(self.positives());
        let (mut before, mut area) = (0, 0.0);
        for step in &self.steps {
            area += f64::from(step.hits - before) / positives * step.precision();
            before = step.hits;
        }
        (positives > 0.0).then_some(area)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn average_precision(scored: &[(f32, bool)]) -> Option<f64> {
        Ranking::new(scored.to_vec()).average_precision()
    }

    #[test]
    fn the_example_of_the_scikit_learn_manual_gives_its_answer() {
        let area = average_precision(&[(0.1, false), (0.4, false), (0.35, true), (0.8, true)]).unwrap();
        assert!((area - 0.833_333_333_333).abs() < 1e-9);
    }

    #[test]
    fn tied_scores_count_the_same_in_any_order() {
        let area = average_precision(&[(0.5, true), (0.5, false), (0.2, true)]);
        assert_eq!(area, average_precision(&[(0.2, true), (0.5, false), (0.5, true)]));
        assert!((area.unwrap() - (0.5 * 0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn without_positives_there_is_no_answer() {
        assert_eq!(average_precision(&[(0.3, false)]), None);
    }
}
