//! The bucket's own policy, in which others may have statements, too.

use serde_json::Value;

use super::client::{refused, unless};
use super::step::policy_of;
use super::{Admin, Look, policy};
use crate::DatasetError;

impl Admin {
    pub(super) async fn look_at_statements(&self) -> Result<Look, DatasetError> {
        let wanted = policy::bucket_statements(&self.wishes);
        if wanted.is_empty() {
            let why = "the server is reached over http://, where a policy that demands TLS would lock everybody out";
            return Ok(Look::Warning(why.to_owned()));
        }
        let without =
            if self.wishes.is_plain_http { " (nothing about TLS, as the server is reached over http://)" } else { "" };
        let names: Vec<_> = wanted.iter().filter_map(|one| one["Sid"].as_str()).collect();
        let names = names.join(", ") + without;
        Ok(match merged(self.policy_of_bucket(self.bucket()).await?.as_ref(), &wanted) {
            None => Look::Right(names),
            Some(_) => Look::Wrong(format!("add {names}")),
        })
    }

    /// The policy of a bucket; none where it has none.
    pub(super) async fn policy_of_bucket(&self, bucket: &str) -> Result<Option<Value>, DatasetError> {
        let answer = self.s3.get_bucket_policy().bucket(bucket).send().await;
        let found = unless("NoSuchBucketPolicy", "read policy of", &address(bucket), answer)?;
        policy_of(found.and_then(|found| found.policy))
    }

    pub(super) async fn put_statements(&self) -> Result<(), DatasetError> {
        self.add_statements(self.bucket(), &policy::bucket_statements(&self.wishes)).await
    }

    /// Writes `wanted` into the policy of a bucket, beside what is there.
    pub(super) async fn add_statements(&self, bucket: &str, wanted: &[Value]) -> Result<(), DatasetError> {
        let Some(merged) = merged(self.policy_of_bucket(bucket).await?.as_ref(), wanted) else { return Ok(()) };
        let answer = self.s3.put_bucket_policy().bucket(bucket).policy(merged.to_string()).send().await;
        answer.map(drop).map_err(refused("set policy of", address(bucket)))
    }

    /// Whether the distribution that is named may read recordings; where none is named, which ones may.
    pub async fn look_at_distribution(&self) -> Result<Look, DatasetError> {
        let policy = self.policy_of_bucket(self.bucket()).await?;
        Ok(match (&self.wishes.distribution, policy::served(&self.wishes)) {
            (Some(arn), Some(statement)) => match merged(policy.as_ref(), &[statement]) {
                None => Look::Right(format!("{arn} may read recordings")),
                Some(_) => Look::Wrong(format!("let {arn} read recordings")),
            },
            _ => match policy.as_ref().map(readers).unwrap_or_default() {
                none if none.is_empty() => Look::LeftOut("no distribution is named, and none may read".to_owned()),
                readers => Look::Right(format!("{} may read", readers.join(", "))),
            },
        })
    }
}

/// The address of a bucket, for people.
pub(super) fn address(bucket: &str) -> String {
    format!("s3://{bucket}")
}

/// The distributions of CloudFront that a policy lets read, by their ARN; old ones by the identity that they read with.
fn readers(policy: &Value) -> Vec<String> {
    let texts = |value: &Value| match value {
        Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        other => other.as_str().map(str::to_owned).into_iter().collect::<Vec<_>>(),
    };
    let of_statement = |statement: &Value| {
        let principals = statement["Principal"].as_object().into_iter().flatten().flat_map(|(_, value)| texts(value));
        let principals: Vec<_> = principals.filter(|principal| principal.contains("cloudfront")).collect();
        let conditions = statement["Condition"].as_object().into_iter().flatten();
        let sources = conditions.flat_map(|(_, keys)| keys.as_object().into_iter().flatten());
        let sources = sources.filter(|(key, _)| key.eq_ignore_ascii_case("aws:SourceArn"));
        let sources: Vec<_> = sources.flat_map(|(_, value)| texts(value)).collect();
        if principals.is_empty() || sources.is_empty() { principals } else { sources }
    };
    statements_of(policy).iter().filter(|one| one["Effect"] == "Allow").flat_map(of_statement).collect()
}

/// The statements of a policy; a single one need not be a list.
fn statements_of(policy: &Value) -> Vec<Value> {
    match &policy["Statement"] {
        Value::Array(statements) => statements.clone(),
        Value::Null => Vec::new(),
        one => vec![one.clone()],
    }
}

/// `policy` with each of `wanted` in it, in the place of the statement with the same `Sid`; none where that is so already.
pub(super) fn merged(policy: Option<&Value>, wanted: &[Value]) -> Option<Value> {
    let empty = policy::document(&[]);
    let mut merged = policy.unwrap_or(&empty).clone();
    let mut statements = statements_of(&merged);
    let before = statements.clone();
    for statement in wanted {
        match statements.iter_mut().find(|old| old["Sid"] == statement["Sid"]) {
            Some(old) if plain(old) == plain(statement) => {}
            Some(old) => *old = statement.clone(),
            None => statements.push(statement.clone()),
        }
    }
    if statements == before {
        return None;
    }
    merged["Statement"] = Value::Array(statements);
    Some(merged)
}

/// A statement as servers may give it back: lists of one as the one, lists without order.
fn plain(value: &Value) -> Value {
    match value {
        Value::Array(items) if items.len() == 1 => plain(&items[0]),
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(plain).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(fields) => {
            Value::Object(fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect())
        }
        other => other.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::admin::wishes::tests::wishes;

    #[test]
    fn statements_of_others_stay_and_ours_are_replaced() {
        let foreign = json!({ "Sid": "Theirs", "Effect": "Deny" });
        let old = json!({ "Sid": "EcoSightTlsOnly", "Effect": "Allow" });
        let wanted = policy::bucket_statements(&wishes("clips"));
        let once = merged(Some(&policy::document(&[foreign.clone(), old])), &wanted).unwrap();
        assert_eq!(once["Statement"], json!([foreign, wanted[0]]));
        assert_eq!(merged(Some(&once), &wanted), None);
        let single = json!({ "Version": "2012-10-17", "Statement": foreign });
        assert_eq!(merged(Some(&single), &wanted).unwrap()["Statement"][0], foreign);
    }

    #[test]
    fn distributions_that_may_read_are_found_however_they_are_named() {
        let arn = "arn:aws:cloudfront::123456789012:distribution/E1";
        let ours =
            policy::bucket_statements(&crate::admin::Wishes { distribution: Some(arn.to_owned()), ..wishes("clips") });
        assert_eq!(readers(&policy::document(&ours)), [arn]);
        let identity = "arn:aws:iam::cloudfront:user/CloudFront Origin Access Identity E2";
        let old = json!({ "Effect": "Allow", "Principal": { "AWS": identity }, "Action": "s3:GetObject" });
        assert_eq!(readers(&json!({ "Statement": old })), [identity]);
        assert!(readers(&policy::document(&policy::bucket_statements(&wishes("clips")))).is_empty());
    }

    #[test]
    fn what_a_server_writes_in_another_way_is_the_same() {
        let ours = json!({ "Sid": "EcoSightX", "Action": ["a"], "Resource": ["x", "y"] });
        let theirs = json!({ "Sid": "EcoSightX", "Action": "a", "Resource": ["y", "x"] });
        assert_eq!(merged(Some(&policy::document(&[theirs])), &[ours]), None);
    }
}
