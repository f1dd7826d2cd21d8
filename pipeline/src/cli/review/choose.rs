//! Which clips to label next: those that the model is unsure of, and among them those that differ from each other.

/// At most `n` indices into `rows`, in the order in which they should be labelled.
///
/// Greedy k-centre (Gonzalez 1985; Sener and Savarese 2018, "Active Learning for Convolutional Neural Networks") in which the distance to what was
/// chosen already counts times the doubt: the most doubtful clip comes first, then always the one whose doubt times distance is
/// largest, the first of equals. Of clips that are alike one is chosen, until only such are left. There is no chance in it.
pub(super) fn choose(rows: &[&[f32]], doubts: &[f64], n: usize) -> Vec<usize> {
    let mut distance = vec![f64::INFINITY; rows.len()];
    let mut chosen: Vec<usize> = Vec::new();
    while chosen.len() < n.min(rows.len()) {
        let worth = |at: usize| {
            // Nothing is chosen yet: all are equally far.
            let far = if chosen.is_empty() { 1.0 } else { distance[at] };
            (far * doubts[at], doubts[at])
        };
        let left = (0..rows.len()).filter(|at| !chosen.contains(at));
        let Some(best) = left.reduce(|a, b| if worth(b) > worth(a) { b } else { a }) else { break };
        chosen.push(best);
        for (at, nearest) in distance.iter_mut().enumerate() {
            *nearest = nearest.min(between(rows[at], rows[best]));
        }
    }
    chosen
}

/// Euclidean distance.
fn between(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(a, b)| f64::from(a - b).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_clips_that_are_alike_one_is_chosen_before_any_other_of_them() {
        let (near, far): ([f32; 2], [f32; 2]) = ([0.0, 0.0], [5.0, 5.0]);
        let rows: Vec<&[f32]> = vec![&near, &near, &far, &near];
        assert_eq!(choose(&rows, &[0.8, 0.9, 0.2, 0.7], 2), [1, 2]);
        assert_eq!(choose(&rows, &[0.8, 0.9, 0.2, 0.7], 9), [1, 2, 0, 3]);
        assert!(choose(&[], &[], 3).is_empty());
    }

    #[test]
    fn of_clips_equally_far_the_most_doubtful_comes_first() {
        let points = [[1.0_f32, 0.0], [0.0, 1.0], [0.0, 0.0]];
        let rows: Vec<&[f32]> = points.iter().map(<[f32; 2]>::as_slice).collect();
        assert_eq!(choose(&rows, &[0.3, 0.4, 0.5], 3), [2, 1, 0]);
    }
}
