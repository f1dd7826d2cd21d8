//! False-alarm rate on background, per hour.

use serde::{Deserialize, Serialize};

use super::{Interval, MetricsError, poisson_interval};

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
    /// Of each class, in index order.
    pub per_class: Vec<AlarmRate>,
}

/// Counts the alarms on clips or windows of background, of `seconds` in all.
///
/// `alarms`, `[n]`, holds the class that an alarm is raised for, as [`Decision::alarm`](crate::decision::Decision::alarm) says; none for no alarm.
pub fn false_alarms_per_hour(
    alarms: &[Option<usize>],
    classes: usize,
    seconds: f64,
) -> Result<FalseAlarms, MetricsError> {
    if alarms.is_empty() {
        return Err(MetricsError::NoRows);
    }
    if !(seconds > 0.0 && seconds.is_finite()) {
        return Err(MetricsError::Range { what: "the length in seconds", value: seconds, range: "finite and above 0" });
    }
    let mut counts = vec![0_u64; classes];
    for (row, class) in alarms.iter().enumerate().filter_map(|(row, class)| Some((row, (*class)?))) {
        *counts.get_mut(class).ok_or(MetricsError::Predicted { row, class, classes })? += 1;
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

    const ALARMS: [Option<usize>; 4] = [Some(0), None, Some(1), Some(0)];

    #[test]
    fn each_row_with_an_alarm_counts_once() {
        let found = false_alarms_per_hour(&ALARMS, 3, 40.0).unwrap();
        let counts: Vec<u64> = found.per_class.iter().map(|class| class.count).collect();
        assert_eq!((counts, found.overall.count), (vec![2, 1, 0], 3));
        assert!((found.overall.per_hour - 270.0).abs() < 1e-9, "{found:?}");
    }

    #[test]
    fn no_alarm_in_an_hour_is_no_promise_of_none() {
        let found = false_alarms_per_hour(&[None; 4], 3, 7200.0).unwrap().overall;
        assert_eq!((found.count, found.per_hour, found.ci95.low), (0, 0.0, 0.0));
        // −ln 0.025 events in two hours.
        assert!((found.ci95.high - 3.688_879_454 / 2.0).abs() < 1e-8, "{found:?}");
    }

    #[test]
    fn what_has_no_rate_is_named() {
        assert_eq!(false_alarms_per_hour(&[], 3, 10.0).map(|_| ()), Err(MetricsError::NoRows));
        assert!(
            false_alarms_per_hour(&ALARMS, 3, 0.0).is_err() && false_alarms_per_hour(&ALARMS, 3, f64::NAN).is_err()
        );
        let outside = MetricsError::Predicted { row: 2, class: 1, classes: 1 };
        assert_eq!(false_alarms_per_hour(&ALARMS, 1, 10.0), Err(outside));
    }
}
