//! Whether this machine and the server agree on the time: signatures carry it.

use chrono::{DateTime, Utc};
use ecosight_datasets::store::{Place, Scheme, Settings, date_of_server};

use crate::cli::finding::Finding;
use crate::cli::session::now;

const CHECK: &str = "clock";

/// S3 refuses requests whose time differs by more than a quarter of an hour.
const REFUSED_S: i64 = 15 * 60;

/// As much is the network's.
const NOTICED_S: i64 = 60;

/// Asks the server what time it is; nothing where no server of S3 is used.
pub(super) fn clock(place: &Place, settings: &Settings) -> Option<Finding> {
    place.bucket().filter(|bucket| bucket.scheme == Scheme::S3)?;
    let amazon = || format!("https://s3.{}.amazonaws.com", settings.region.value);
    let url = settings.endpoint.as_ref().map_or_else(amazon, |endpoint| endpoint.value.clone());
    Some(match date_of_server(&url) {
        Ok(date) => date.and_then(|date| DateTime::parse_from_rfc2822(&date).ok()).map_or_else(
            || Finding::ok(CHECK, "the server does not say what time it is"),
            |date| judged(date.into(), now()),
        ),
        Err(error) => Finding::error(CHECK, &error.into()),
    })
}

fn judged(server: DateTime<Utc>, own: DateTime<Utc>) -> Finding {
    let seconds = (own - server).num_seconds();
    let direction = if seconds < 0 { "behind" } else { "ahead of" };
    let found = format!("this machine is {} s {direction} the server", seconds.abs());
    let fix = "set it, for instance with `timedatectl set-ntp true`";
    match seconds.abs() {
        REFUSED_S.. => Finding::fail(CHECK, found, fix),
        NOTICED_S.. => Finding::warn(CHECK, found, fix),
        _ => Finding::ok(CHECK, found),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::finding::State;

    #[test]
    fn a_clock_is_judged_by_what_servers_refuse() {
        let at = |seconds: i64| DateTime::from_timestamp(1_800_000_000 + seconds, 0).unwrap();
        let states = [0, -30, 61, -899, 900].map(|seconds| judged(at(0), at(seconds)).state);
        assert_eq!(states, [State::Ok, State::Ok, State::Warn, State::Warn, State::Fail]);
    }
}
