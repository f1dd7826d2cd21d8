//! Average precision of one class.

/// `Σ (Rₙ − Rₙ₋₁) · Pₙ` over the distinct scores, from the highest down (scikit-learn `average_precision_score`).
///
/// Rows with equal scores enter together, so their order does not matter. None when no row is positive.
pub(super) fn average_precision(scored: &mut [(f32, bool)]) -> Option<f64> {
    let positives = scored.iter().filter(|(_, positive)| *positive).count();
    if positives == 0 {
        return None;
    }
    scored.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let (mut seen, mut found, mut area) = (0, 0, 0.0);
    #[expect(clippy::float_cmp, reason = "a tie is an equal score, not a near one")]
    for tied in scored.chunk_by(|a, b| a.0 == b.0) {
        let hits = tied.iter().filter(|(_, positive)| *positive).count();
        seen += tied.len();
        found += hits;
        area += hits as f64 / positives as f64 * (found as f64 / seen as f64);
    }
    Some(area)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_scikit_learn_manual_gives_its_answer() {
        let mut scored = [(0.1, false), (0.4, false), (0.35, true), (0.8, true)];
        let area = average_precision(&mut scored).unwrap();
        assert!((area - 0.833_333_333_333).abs() < 1e-9);
    }

    #[test]
    fn tied_scores_count_the_same_in_any_order() {
        let mut one = [(0.5, true), (0.5, false), (0.2, true)];
        let mut other = [(0.2, true), (0.5, false), (0.5, true)];
        let area = average_precision(&mut one);
        assert_eq!(area, average_precision(&mut other));
        assert!((area.unwrap() - (0.5 * 0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-12);
    }

    #[test]
    fn without_positives_there_is_no_answer() {
        assert_eq!(average_precision(&mut [(0.3, false)]), None);
    }
}
