//! Figures in words, alike on the page and in the model card.

use super::{ClassCount, Interval, Outcome, ReportData, Side, Slice, Verdict};

/// What stands for a figure that there is none of.
pub(super) const NONE: &str = "n/a";

/// A share as a percentage.
pub(super) fn percent(share: f64) -> String {
    if share.is_finite() { format!("{:.1} %", 100.0 * share) } else { NONE.to_owned() }
}

/// A figure with three places.
pub(super) fn decimal(value: f64) -> String {
    if value.is_finite() { format!("{value:.3}") } else { NONE.to_owned() }
}

/// What the expected calibration error is called, with its number of bins.
pub(super) fn calibration_error(bins: usize) -> String {
    let bins = if bins > 0 { format!(" ({bins} bins)") } else { String::new() };
    format!("expected calibration error{bins}")
}

/// A rate or a length with two places.
pub(super) fn rate(value: f64) -> String {
    if value.is_finite() { format!("{value:.2}") } else { NONE.to_owned() }
}

/// A figure with three places, where there is one.
pub(super) fn maybe(value: Option<f64>) -> String {
    value.map_or_else(|| NONE.to_owned(), decimal)
}

/// A number of things, where they were counted.
pub(super) fn maybe_count(n: Option<u64>) -> String {
    n.map_or_else(|| NONE.to_owned(), count)
}

/// The ends of an interval as percentages; empty where there is none.
pub(super) fn ends(interval: &Interval) -> String {
    interval.ci95.map_or_else(String::new, |[low, high]| {
        format!("{:.1}–{:.1} %", 100.0 * low, 100.0 * high).replace("NaN", NONE)
    })
}

/// A percentage with its interval.
pub(super) fn with_ends(interval: &Interval) -> String {
    match interval.ci95 {
        Some(_) => format!("{} ({})", percent(interval.value), ends(interval)),
        None => percent(interval.value),
    }
}

/// The accuracy of a slice; there is none of no clips.
pub(super) fn accuracy(slice: &Slice) -> String {
    if slice.clips > 0 { percent(slice.accuracy.value) } else { NONE.to_owned() }
}

/// A difference of shares in percentage points, with its sign.
pub(super) fn points(difference: f64) -> String {
    if difference.is_finite() { signed(100.0 * difference) + " points" } else { NONE.to_owned() }
}

/// A difference with its interval.
pub(super) fn points_with_ends(difference: &Interval) -> String {
    let ends = difference.ci95.map(|[low, high]| format!(" ({} to {})", signed(100.0 * low), signed(100.0 * high)));
    points(difference.value) + &ends.unwrap_or_default()
}

/// One place, with a true minus sign; zero has no sign.
fn signed(value: f64) -> String {
    let digits = format!("{:.1}", value.abs());
    match value {
        _ if digits == "0.0" => digits,
        v if v < 0.0 => format!("−{digits}"),
        _ => format!("+{digits}"),
    }
}

/// Seconds for people.
pub(super) fn duration(seconds: f64) -> String {
    match seconds {
        s if !s.is_finite() => NONE.to_owned(),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.1} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// A count with thin spaces between thousands.
pub(super) fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// What became of the model.
pub(super) const fn verdict(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Published => "in production",
        Verdict::Forced => "in production against the gate",
        Verdict::Refused => "refused by the gate",
        Verdict::Undecided => "not published",
    }
}

/// Outcome of a criterion.
pub(super) const fn outcome(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "pass",
        Outcome::Fail => "fail",
        Outcome::NotAvailable => NONE,
    }
}

/// A side of the split.
pub(super) const fn side(side: Side) -> &'static str {
    match side {
        Side::Train => "train",
        Side::Val => "val",
        Side::Test => "test",
    }
}

/// What a class with one recording means for its figures, and the names of such classes.
pub(super) fn single_recordings(data: &ReportData) -> Vec<(&'static str, Vec<&str>)> {
    let of = |recordings: fn(&ClassCount) -> Option<u64>| -> Vec<&str> {
        let classes = data.classes.iter().zip(&data.counts);
        classes.filter(|(_, count)| recordings(count) == Some(1)).map(|(class, _)| class.as_str()).collect()
    };
    let found = [
        (
            "Classes with 1 recording on the train and val sides, which settings, temperature and thresholds were chosen without",
            of(|count| count.recordings),
        ),
        (
            "Classes with 1 recording on the test side, whose figures say nothing of other recordings",
            of(|count| count.test_recordings),
        ),
    ];
    found.into_iter().filter(|(_, classes)| !classes.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_read_well() {
        assert_eq!(percent(0.9345), "93.5 %");
        assert_eq!(percent(f64::NAN), "n/a");
        assert_eq!(with_ends(&Interval { value: 0.95, ci95: Some([0.912, 0.98]) }), "95.0 % (91.2–98.0 %)");
        let difference = Interval { value: -0.012, ci95: Some([-0.03, 0.000_01]) };
        assert_eq!(points_with_ends(&difference), "−1.2 points (−3.0 to 0.0)");
        assert_eq!([count(0), count(999), count(1_234_567)], ["0", "999", "1\u{202f}234\u{202f}567"]);
        assert_eq!([duration(3.21), duration(600.0), duration(36_000.0)], ["3.2 s", "10.0 min", "10.0 h"]);
    }
}
