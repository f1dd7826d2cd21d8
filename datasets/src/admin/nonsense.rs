//! Wishes that no server would grant, found before anything is sent.

use std::net::Ipv4Addr;

use super::{Wishes, lifecycle};

/// A wish that no server would grant.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Nonsense {
    /// What is wrong.
    pub message: String,
    /// What would do instead.
    pub hint: String,
}

/// Beginnings and ends of names that Amazon keeps for itself ("General purpose bucket naming rules" in the user guide of S3).
const RESERVED_FRONTS: [&str; 3] = ["xn--", "sthree-", "amzn-s3-demo-"];
const RESERVED_ENDS: [&str; 5] = ["-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3"];

impl Wishes {
    /// Says what is wrong with them, if anything is.
    pub fn check(&self) -> Result<(), Nonsense> {
        let name_of = if self.is_foreign_server { is_old_bucket_name } else { is_bucket_name };
        let names = [("S3_BUCKET", Some(&self.place.bucket)), ("--log-bucket", self.log_bucket.as_ref())];
        for (option, name) in names.into_iter().filter_map(|(option, name)| Some((option, name?))) {
            if !name_of(name) {
                let hint = "it has 3 to 63 lower-case letters, digits, `-` and `.`, with a letter or digit at both ends; some names are Amazon's own";
                return Err(Nonsense::of(option, name, "is no name of a bucket", hint));
            }
        }
        if let Some(arn) = self.distribution.as_ref().filter(|arn| !is_distribution(arn)) {
            let hint = "it looks like `arn:aws:cloudfront::123456789012:distribution/EDFDVBD6EXAMPLE`; `aws cloudfront list-distributions` shows it";
            return Err(Nonsense::of("--distribution", arn, "is no ARN of a CloudFront distribution", hint));
        }
        if let Some(origin) = self.cors_origins.iter().find(|origin| !is_origin(origin)) {
            let hint = "it is `*` or `https://host`, with a port if need be, without a path and with one `*` at most";
            return Err(Nonsense::of("--cors-origin or S3_CORS_ORIGINS", origin, "is no origin of web pages", hint));
        }
        if let Some(user) = self.iam_user.as_ref().filter(|user| !is_user_name(user)) {
            let hint = "it has 1 to 64 letters, digits and characters of `+=,.@_-`";
            return Err(Nonsense::of("--iam-user", user, "is no name of a user of IAM", hint));
        }
        match lifecycle::too_early(&lifecycle::moves(self)) {
            Some((message, earliest)) => {
                Err(Nonsense { message, hint: format!("`--glacier {earliest}` or later, or only one of both") })
            }
            None => Ok(()),
        }
    }
}

impl Nonsense {
    fn of(option: &str, value: &str, why: &str, hint: &str) -> Self {
        Self { message: format!("{option}: `{value}` {why}"), hint: hint.to_owned() }
    }
}

/// Whether a bucket can be called so today.
fn is_bucket_name(name: &str) -> bool {
    let is_end = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    (3..=63).contains(&name.len())
        && name.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '.' || c == '-')
        && is_end(name.chars().next())
        && is_end(name.chars().next_back())
        && !name.contains("..")
        && name.parse::<Ipv4Addr>().is_err()
        && !RESERVED_FRONTS.iter().any(|front| name.starts_with(front))
        && !RESERVED_ENDS.iter().any(|end| name.ends_with(end))
}

/// Whether a bucket could be called so on Amazon's servers until 2018, and can on some others today.
fn is_old_bucket_name(name: &str) -> bool {
    (3..=255).contains(&name.len()) && name.chars().all(|c| c.is_ascii_alphanumeric() || ".-_".contains(c))
}

fn is_distribution(arn: &str) -> bool {
    let Some((account, id)) = arn.split_once("::").and_then(|(front, rest)| {
        let partition = front.strip_prefix("arn:")?.strip_suffix(":cloudfront")?;
        ["aws", "aws-cn", "aws-us-gov"].contains(&partition).then_some(())?;
        rest.split_once(":distribution/")
    }) else {
        return false;
    };
    let is_id = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit();
    account.len() == 12 && account.chars().all(|c| c.is_ascii_digit()) && !id.is_empty() && id.chars().all(is_id)
}

/// Whether S3 takes it for an origin: a scheme, a host, perhaps a port, and nothing behind them.
fn is_origin(origin: &str) -> bool {
    if origin == "*" {
        return true;
    }
    let Some((scheme, authority)) = origin.split_once("://") else { return false };
    let (host, port) = match authority.rsplit_once(':').filter(|_| !authority.ends_with(']')) {
        Some((host, port)) => (host, Some(port)),
        None => (authority, None),
    };
    let is_of_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.*".contains(c);
    let is_of_host = |c: char| c.is_alphanumeric() || "-._*[:]".contains(c);
    !scheme.is_empty()
        && scheme.chars().all(is_of_scheme)
        && !host.is_empty()
        && host.chars().all(is_of_host)
        && port.is_none_or(|port| port == "*" || port.parse::<u16>().is_ok())
        && origin.matches('*').count() <= 1
}

fn is_user_name(user: &str) -> bool {
    (1..=64).contains(&user.len()) && user.chars().all(|c| c.is_ascii_alphanumeric() || "+=,.@_-".contains(c))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::wishes::tests::wishes;

    /// Splits what is taken from what is not.
    fn sorted<'a>(all: &[&'a str], is_taken: fn(&str) -> bool) -> Vec<&'a str> {
        all.iter().copied().filter(|text| is_taken(text)).collect()
    }

    #[test]
    fn names_follow_the_rules_of_amazon() {
        let long = "a".repeat(64);
        let buckets = [
            "clips",
            "my.clips-1",
            "ab",
            &long,
            "Clips",
            "a_b",
            "-abc",
            "abc.",
            "a..b",
            "10.0.0.1",
            "xn--abc",
            "abc--x-s3",
        ];
        assert_eq!(sorted(&buckets, is_bucket_name), ["clips", "my.clips-1"]);
        let users = ["ecosight", "a+b=c,d.e@f_g-h", "", "a b", "ü", "a/b", &format!("{long}a")];
        assert_eq!(sorted(&users, is_user_name), ["ecosight", "a+b=c,d.e@f_g-h"]);
    }

    #[test]
    fn arns_and_origins_are_looked_at_closely() {
        let arns = [
            "arn:aws:cloudfront::123456789012:distribution/E1",
            "arn:aws:cloudfront::1:distribution/E1",
            "arn:aws:cloudfront::123456789012:distribution/",
            "arn:aws:s3:::clips",
            "E1",
        ];
        assert_eq!(sorted(&arns, is_distribution), arns[..1]);
        let origins = [
            "*",
            "https://a",
            "http://localhost:8080",
            "https://*.example.org",
            "http://[::1]:80",
            "https://a/",
            "https://a/b",
            "a.example.org",
            "https://",
            "https://*.*.org",
            "https://a:port",
            "null",
        ];
        assert_eq!(sorted(&origins, is_origin), origins[..5]);
    }

    #[test]
    fn glacier_comes_thirty_days_behind_standard_ia() {
        let with = |standard_ia: u32, glacier: u32| {
            let wishes = Wishes { standard_ia_days: Some(standard_ia), glacier_days: Some(glacier), ..wishes("clips") };
            wishes.check().map_err(|nonsense| nonsense.hint)
        };
        assert_eq!(with(60, 90), Ok(()));
        assert!(with(60, 89).unwrap_err().contains("--glacier 90"));
    }
}
