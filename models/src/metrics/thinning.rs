//! Curves with few points and the same shape.

/// Distances that are nothing but rounding, of coordinates from 0 to 1.
const ROUNDING: f64 = 1e-12;

/// A stretch of the curve that is drawn as a straight line.
struct Chord {
    from: usize,
    to: usize,
    /// The point between them that is farthest from the line.
    farthest: usize,
    distance: f64,
}

impl Chord {
    fn new(points: &[(f64, f64)], from: usize, to: usize) -> Self {
        let (x, y) = points[from];
        let (dx, dy) = (points[to].0 - x, points[to].1 - y);
        let length = dx.hypot(dy);
        let mut chord = Self { from, to, farthest: from, distance: 0.0 };
        for (index, point) in points.iter().enumerate().take(to).skip(from + 1) {
            let (px, py) = (point.0 - x, point.1 - y);
            let distance = if length > 0.0 { (dx * py - dy * px).abs() / length } else { px.hypot(py) };
            if distance > chord.distance + ROUNDING {
                chord.farthest = index;
                chord.distance = distance;
            }
        }
        chord
    }
}

/// Indices, ascending, of at most `at_most` (at least 2) points that keep the shape of the curve.
///
/// Starts from its ends and adds the point farthest from the line so far, again and again (Ramer 1972; Douglas and Peucker
/// 1973, bounded by the number of points instead of the distance). Points on a straight line are left out.
pub(super) fn thin(points: &[(f64, f64)], at_most: usize) -> Vec<usize> {
    if points.len() < 3 {
        return (0..points.len()).collect();
    }
    let last = points.len() - 1;
    let mut kept = vec![0, last];
    let mut chords = vec![Chord::new(points, 0, last)];
    while kept.len() < at_most {
        let worst = (0..chords.len()).max_by(|&a, &b| chords[a].distance.total_cmp(&chords[b].distance));
        let Some(chord) = worst.map(|at| chords.swap_remove(at)).filter(|chord| chord.distance > 0.0) else { break };
        kept.push(chord.farthest);
        chords.push(Chord::new(points, chord.from, chord.farthest));
        chords.push(Chord::new(points, chord.farthest, chord.to));
    }
    kept.sort_unstable();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn corners_stay_and_straight_stretches_need_no_points() {
        let corner: Vec<(f64, f64)> =
            (0..=8).map(|i| (0.0, f64::from(i) / 8.0)).chain((1..=8).map(|i| (f64::from(i) / 8.0, 1.0))).collect();
        assert_eq!(thin(&corner, 200), [0, 8, 16]);
        assert_eq!(thin(&corner[..2], 200), [0, 1]);
        assert!(thin(&[], 200).is_empty());
    }

    #[test]
    fn two_hundred_points_of_a_circle_are_a_circle() {
        let circle: Vec<(f64, f64)> = (0..=100_000).map(|i| (f64::from(i) * 1.57e-5).sin_cos()).collect();
        let kept = thin(&circle, 200);
        assert_eq!(kept.len(), 200);
        for ends in kept.windows(2) {
            assert!(Chord::new(&circle, ends[0], ends[1]).distance < 2e-5);
        }
    }

    #[test]
    fn a_curve_that_ends_where_it_began_keeps_its_far_point() {
        assert_eq!(thin(&[(0.0, 0.0), (1.0, 0.0), (0.0, 0.0)], 200), [0, 1, 2]);
    }
}
