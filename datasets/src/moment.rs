//! When something was recorded, as people and recorders write it.

use std::fmt;

use chrono::{DateTime, Datelike, NaiveDate, NaiveDateTime, NaiveTime, Utc};

/// A point in time, and the day that it was on where it was written down.
///
/// Times with an offset count as UTC, times without one as they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment {
    at: NaiveDateTime,
    day: NaiveDate,
}

/// Date-times of ISO 8601 without an offset, and how Polars writes them.
const FORMATS: [&str; 4] = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];

impl Moment {
    /// The date or date-time of ISO 8601 that `text` is; a date alone is its midnight.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let with_offset = DateTime::parse_from_rfc3339(text).or_else(|_| {
            let basic = DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f%z");
            basic.or_else(|_| DateTime::parse_from_str(text, "%Y-%m-%dT%H:%M%:z"))
        });
        if let Ok(time) = with_offset {
            return Some(Self { at: time.naive_utc(), day: time.date_naive() });
        }
        let text = text.trim_end_matches(" UTC").trim_end_matches('Z');
        let time = FORMATS.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
        let of_time = time.map(|at| Self { at, day: at.date() });
        of_time
            .or_else(|| NaiveDate::parse_from_str(text, "%Y-%m-%d").ok().map(Self::of_day))
            .or_else(|| Self::stamp(text).filter(|_| text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'T')))
    }

    /// The last date in the name of the file at `path`, with the time of day that follows it: `20260301_070509.WAV` of an audio moth,
    /// `SM4_20260301_070509.wav`, `2026-03-01_owl.flac`. The last, because `ingest` puts the time of the upload before the name.
    pub fn in_name(path: &str) -> Option<Self> {
        let name = path.rsplit(['/', '\\']).next().unwrap_or_default();
        let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
        let is_digit = |at: usize| stem.as_bytes()[at].is_ascii_digit();
        let mut starts = (0..stem.len()).rev().filter(|&at| is_digit(at) && (at == 0 || !is_digit(at - 1)));
        starts.find_map(|at| Self::stamp(&stem[at..]))
    }

    /// The date at the beginning of `text`, in digits, with the time of day that follows it.
    fn stamp(text: &str) -> Option<Self> {
        let runs = runs(text);
        let lengths: Vec<usize> = runs.iter().map(|run| run.len()).collect();
        let (date, time) = match lengths[..] {
            [14, ..] => (runs[0][..8].to_owned(), runs[0][8..].to_owned()),
            [8, 4 | 6, ..] => (runs[0].to_owned(), runs[1].to_owned()),
            [8, 2, 2, 2, ..] => (runs[0].to_owned(), runs[1..4].concat()),
            [8, ..] => (runs[0].to_owned(), String::new()),
            [4, 2, 2, 4 | 6, ..] => (runs[..3].concat(), runs[3].to_owned()),
            [4, 2, 2, 2, 2, 2, ..] => (runs[..3].concat(), runs[3..6].concat()),
            [4, 2, 2, ..] => (runs[..3].concat(), String::new()),
            _ => return None,
        };
        // Other numbers of eight digits are seldom of our time.
        let day = NaiveDate::parse_from_str(&date, "%Y%m%d").ok().filter(|day| (1970..2100).contains(&day.year()))?;
        let time = if time.len() == 4 { time + "00" } else { time };
        let time = NaiveTime::parse_from_str(&time, "%H%M%S").ok();
        Some(time.map_or_else(|| Self::of_day(day), |time| Self { at: day.and_time(time), day }))
    }

    fn of_day(day: NaiveDate) -> Self {
        Self { at: day.and_time(NaiveTime::MIN), day }
    }

    /// The year of the day.
    pub fn year(&self) -> i32 {
        self.day.year()
    }

    /// Whether it is later than `time`.
    pub fn is_after(&self, time: DateTime<Utc>) -> bool {
        self.at > time.naive_utc()
    }

    /// The day, `2026-03-01`.
    pub fn day(&self) -> String {
        self.day.to_string()
    }
}

impl fmt::Display for Moment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.at.format("%Y-%m-%d %H:%M:%S").fmt(f)
    }
}

/// The digits at the beginning, in runs with one sign between them.
fn runs(text: &str) -> Vec<&str> {
    let (mut runs, mut rest) = (Vec::new(), text);
    loop {
        let end = rest.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(rest.len());
        if end == 0 {
            return runs;
        }
        runs.push(&rest[..end]);
        match rest[end..].strip_prefix(['-', '_', '.', ':', 'T', ' ']) {
            Some(after) => rest = after,
            None => return runs,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(found: Option<Moment>) -> Option<(String, String)> {
        found.map(|moment| (moment.to_string(), moment.day()))
    }

    fn as_told(at: &str, day: &str) -> (String, String) {
        (at.to_owned(), day.to_owned())
    }

    #[test]
    fn dates_and_times_of_iso_8601_are_understood_and_nothing_else_is() {
        let morning = Some(as_told("2026-03-01 07:05:09", "2026-03-01"));
        for text in ["2026-03-01T07:05:09", "2026-03-01 07:05:09.000000", "20260301T070509", "2026-03-01T07:05:09Z"] {
            assert_eq!(told(Moment::parse(text)), morning, "{text}");
        }
        // The day is that of the place.
        let late = Some(as_told("2026-03-02 03:30:00", "2026-03-01"));
        assert_eq!(told(Moment::parse("2026-03-01T22:30:00-05:00")), late);
        assert_eq!(told(Moment::parse("2026-03-01T22:30-05:00")), late);
        assert_eq!(told(Moment::parse(" 2026-03-01 ")), Some(as_told("2026-03-01 00:00:00", "2026-03-01")));
        for text in ["", "soon", "2026-13-01", "1.3.2026", "2026-03-01 owl", "12345678"] {
            assert_eq!(Moment::parse(text), None, "{text}");
        }
    }

    #[test]
    fn recorders_put_the_time_into_the_name_of_the_file() {
        let morning = Some(as_told("2026-03-01 07:05:09", "2026-03-01"));
        for name in [
            "owl/20260301_070509.WAV",
            "SM4_20260301_070509.wav",
            "20261122_031923_20260301_070509.wav",
            "a/2026-03-01_07-05-09-north.flac",
            "20260301070509",
            "x.2026.03.01T070509.ogg",
        ] {
            assert_eq!(told(Moment::in_name(name)), morning, "{name}");
        }
        let day = Some(as_told("2026-03-01 00:00:00", "2026-03-01"));
        for name in ["2026-03-01_owl.flac", "20260301_9999.wav", "20260301.wav", "north20260301-2.wav"] {
            assert_eq!(told(Moment::in_name(name)), day, "{name}");
        }
        for name in ["20260301/owl.wav", "1-116765-A.ogg", "100032-3-0-0.wav", "20261301.wav", "99999999.wav", "ü.wav"]
        {
            assert_eq!(Moment::in_name(name), None, "{name}");
        }
    }
}
