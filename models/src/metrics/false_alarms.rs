//! How often a model cries wolf where there is none.

use serde::{Deserialize, Serialize};

use super::{Interval, MetricsError, check, poisson_interval};
use crate::head::argmax;

/// Seconds in an hour.
const HOUR_S: f64 = 3600.0;

/// Alarms over a stretch of audio.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmRate {
    /// Number of alarms.
    pub count: u64,
    /// Alarms in an hour of audio.
    pub per_hour: f64,
    /// Exact 95 % interval of the alarms in an hour, taking alarms as independent ([`poisson_interval`]). Neighbouring
    /// windows of one sound are not; give clips, or windows that were merged to events, where that matters.
    pub ci95: Interval,
}

impl AlarmRate {
    fn new(count: u64, hours: f64) -> Self {
        let Interval { low, high } = poisson_interval(count);
        let ci95 = Interval { low: low / hours, high: high / hours };
        Self { count, per_hour: count as f64 / hours, ci95 }
    }
}

/// Alarms on audio that holds none of the sounds that are looked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FalseAlarms {
    /// Length of the audio, s.
    pub seconds: f64,
    /// Of all classes.
    pub overall: AlarmRate,
    /// Of each class, in index order; the background class gives none.
    pub per_class: Vec<AlarmRate>,
}

/// Counts the alarms on clips or windows of background, `probabilities` `[n, classes]` row-major, of `seconds` in all.
///
/// An alarm is a row whose most probable class is not `background` and reaches its threshold (`thresholds`, `[classes]`;
/// infinite for a class that is never believed).
pub fn false_alarms_per_hour(
    probabilities: &[f32],
    thresholds: &[f32],
    seconds: f64,
    background: Option<usize>,
) -> Result<FalseAlarms, MetricsError> {
    let classes = thresholds.len();
    check::unlabelled(probabilities, classes)?;
    check::thresholds(thresholds, classes)?;
    if !(seconds > 0.0 && seconds.is_finite()) {
        return Err(MetricsError::Range { what: "the length in seconds", value: seconds, range: "finite and above 0" });
    }
    if let Some(class) = background.filter(|&class| class >= classes) {
        let range = "the index of one of the classes";
        return Err(MetricsError::Range { what: "the background class", value: class as f64, range });
    }
    let mut counts = vec![0_u64; classes];
    for row in probabilities.chunks_exact(classes) {
        let class = argmax(row);
        counts[class] += u64::from(background != Some(class) && row[class] >= thresholds[class]);
    }
    let hours = seconds / HOUR_S;
    Ok(FalseAlarms {
        seconds,
        overall: AlarmRate::new(counts.iter().sum(), hours),
        per_class: counts.iter().map(|&count| AlarmRate::new(count, hours)).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROWS: [f32; 12] = [0.9, 0.1, 0.0, 0.6, 0.3, 0.1, 0.1, 0.8, 0.1, 0.0, 0.1, 0.9];

    fn counts(thresholds: [f32; 3], background: Option<usize>) -> Vec<u64> {
        let found = false_alarms_per_hour(&ROWS, &thresholds, 40.0, background).unwrap();
        assert_eq!(found.overall.count, found.per_class.iter().map(|class| class.count).sum::<u64>());
        found.per_class.iter().map(|class| class.count).collect()
    }

    #[test]
    fn only_the_most_probable_class_can_alarm_and_the_background_never() {
        assert_eq!(counts([0.0; 3], None), [2, 1, 1]);
        assert_eq!(counts([0.0; 3], Some(2)), [2, 1, 0]);
        assert_eq!(counts([0.6, 0.81, 0.0], Some(2)), [2, 0, 0]);
        assert_eq!(counts([f32::INFINITY; 3], None), [0, 0, 0]);
    }

    #[test]
    fn no_alarm_in_an_hour_is_no_promise_of_none() {
        let found = false_alarms_per_hour(&ROWS, &[1.0; 3], 7200.0, None).unwrap().overall;
        assert_eq!((found.count, found.per_hour, found.ci95.low), (0, 0.0, 0.0));
        // −ln 0.025 events in two hours.
        assert!((found.ci95.high - 3.688_879_454 / 2.0).abs() < 1e-8, "{found:?}");
    }

    #[test]
    fn what_has_no_rate_is_named() {
        let rate = |p: &[f32], thresholds: &[f32], s| false_alarms_per_hour(p, thresholds, s, None).map(|_| ());
        assert_eq!(rate(&[], &[0.5; 3], 10.0), Err(MetricsError::NoRows));
        assert!(rate(&ROWS, &[0.5; 3], 0.0).is_err() && rate(&ROWS, &[0.5; 3], f64::NAN).is_err());
        assert!(rate(&ROWS, &[0.5, f32::NAN, 0.5], 10.0).is_err() && rate(&ROWS, &[], 10.0).is_err());
        assert!(false_alarms_per_hour(&ROWS, &[0.5; 3], 10.0, Some(3)).is_err());
        assert_eq!(rate(&[f32::NAN, 0.0], &[0.5; 2], 1.0), Err(MetricsError::NotANumber { row: 0 }));
    }
}
