//! Who may do what: the least that the program needs, and what the bucket refuses to everybody.

use serde_json::{Value, json};

use super::Wishes;
use crate::layout::Area;
use crate::store::Encryption;

/// A whole policy of these statements.
pub(super) fn document(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn arn_of_bucket(wishes: &Wishes, bucket: &str) -> String {
    format!("arn:{}:s3:::{bucket}", wishes.partition())
}

/// The permissions of the program's own keys: nothing but the areas of the layout, and nothing that changes the bucket itself.
pub(super) fn least_privilege(wishes: &Wishes) -> Value {
    let bucket = arn_of_bucket(wishes, &wishes.place.bucket);
    let mut list = json!({ "Sid": "EcoSightList", "Effect": "Allow", "Action": "s3:ListBucket", "Resource": bucket });
    if !wishes.place.prefix.is_empty() {
        // A question about an object that is missing has no prefix, and without this permission its answer is that it is forbidden.
        list["Condition"] = json!({ "StringLikeIfExists": { "s3:prefix": format!("{}/*", wishes.place.prefix) } });
    }
    let resources: Vec<String> =
        Area::ALL.iter().map(|area| format!("{bucket}/{}*", wishes.prefix_of(*area))).collect();
    let actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"];
    let objects = json!({ "Sid": "EcoSightObjects", "Effect": "Allow", "Action": actions, "Resource": resources });
    let statements: Vec<Value> = [list, objects].into_iter().chain(of_keys(wishes)).collect();
    document(&statements)
}

/// Permission to use the key that encrypts objects.
fn of_keys(wishes: &Wishes) -> Option<Value> {
    let Some(Encryption::Kms(key)) = &wishes.encryption else { return None };
    let mut statement = json!({
        "Sid": "EcoSightKeys", "Effect": "Allow", "Action": ["kms:GenerateDataKey", "kms:Decrypt"], "Resource": "*",
    });
    match key {
        Some(key) if key.starts_with("arn:") && key.contains(":key/") => statement["Resource"] = json!(key),
        Some(key) if !key.contains("alias/") => {
            let resource = format!("arn:{}:kms:{}:*:key/{key}", wishes.partition(), wishes.region);
            statement["Resource"] = json!(resource);
        }
        // An alias, and the account's own key, have no name that a policy could use; only what S3 asks for is allowed.
        _ => {
            let service = format!("s3.{}.amazonaws.com", wishes.region);
            statement["Condition"] = json!({ "StringEquals": { "kms:ViaService": service } });
        }
    }
    Some(statement)
}

/// What the bucket's own policy says.
pub(super) fn bucket_statements(wishes: &Wishes) -> Vec<Value> {
    let bucket = arn_of_bucket(wishes, &wishes.place.bucket);
    let tls = json!({
        "Sid": "EcoSightTlsOnly",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket, format!("{bucket}/*")],
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    });
    let served = wishes.distribution.as_ref().map(|distribution| {
        json!({
            "Sid": format!("EcoSightCloudFront{}", letters_and_digits(&wishes.place.prefix)),
            "Effect": "Allow",
            "Principal": { "Service": "cloudfront.amazonaws.com" },
            "Action": "s3:GetObject",
            "Resource": format!("{bucket}/{}*", wishes.prefix_of(Area::ExtractedAudio)),
            "Condition": { "StringEquals": { "AWS:SourceArn": distribution } },
        })
    });
    (!wishes.is_plain_http).then_some(tls).into_iter().chain(served).collect()
}

/// What the bucket for access logs must allow.
pub(super) fn log_statement(wishes: &Wishes, log_bucket: &str) -> Value {
    json!({
        "Sid": format!("EcoSightLogsOf{}", letters_and_digits(&wishes.place.bucket)),
        "Effect": "Allow",
        "Principal": { "Service": "logging.s3.amazonaws.com" },
        "Action": "s3:PutObject",
        "Resource": format!("{}/{}*", arn_of_bucket(wishes, log_bucket), wishes.log_prefix()),
        "Condition": { "ArnLike": { "aws:SourceArn": arn_of_bucket(wishes, &wishes.place.bucket) } },
    })
}

/// A `Sid` has no other characters.
fn letters_and_digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_alphanumeric).collect()
}

/// `policy` with each of `wanted` in it, in the place of the statement with the same `Sid`; none where that is so already.
pub(super) fn merged(policy: Option<&Value>, wanted: &[Value]) -> Option<Value> {
    let empty = document(&[]);
    let mut merged = policy.unwrap_or(&empty).clone();
    // A single statement need not be a list.
    let mut statements = match merged["Statement"].take() {
        Value::Array(statements) => statements,
        Value::Null => Vec::new(),
        one => vec![one],
    };
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
    use super::*;
    use crate::admin::wishes::tests::wishes;

    #[test]
    fn nothing_but_areas_of_the_layout_may_be_touched() {
        let policy = least_privilege(&wishes("clips/pre"));
        let objects = &policy["Statement"][1];
        let resources: Vec<_> = objects["Resource"].as_array().unwrap().iter().map(|r| r.as_str().unwrap()).collect();
        assert_eq!(resources.len(), Area::ALL.len());
        assert!(resources.contains(&"arn:aws:s3:::clips/pre/extracted_audio/*"), "{resources:?}");
        assert_eq!(policy["Statement"][0]["Condition"]["StringLikeIfExists"]["s3:prefix"], "pre/*");
        assert!(!policy.to_string().contains("s3:*"));
    }

    #[test]
    fn statements_of_others_stay_and_ours_are_replaced() {
        let foreign = json!({ "Sid": "Theirs", "Effect": "Deny" });
        let old = json!({ "Sid": "EcoSightTlsOnly", "Effect": "Allow" });
        let wanted = bucket_statements(&wishes("clips"));
        let once = merged(Some(&document(&[foreign.clone(), old])), &wanted).unwrap();
        assert_eq!(once["Statement"], json!([foreign, wanted[0]]));
        assert_eq!(merged(Some(&once), &wanted), None);
        let single = json!({ "Version": "2012-10-17", "Statement": foreign });
        assert_eq!(merged(Some(&single), &wanted).unwrap()["Statement"][0], foreign);
    }

    #[test]
    fn what_a_server_writes_in_another_way_is_the_same() {
        let ours = json!({ "Sid": "EcoSightX", "Action": ["a"], "Resource": ["x", "y"] });
        let theirs = json!({ "Sid": "EcoSightX", "Action": "a", "Resource": ["y", "x"] });
        assert_eq!(merged(Some(&document(&[theirs])), &[ours]), None);
    }

    #[test]
    fn a_server_without_encryption_gets_no_policy_that_locks_everybody_out() {
        let wishes = Wishes { is_plain_http: true, ..wishes("clips") };
        assert!(bucket_statements(&wishes).is_empty());
    }
}
