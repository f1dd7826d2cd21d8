//! Who may do what: the least that the program needs, and what the bucket refuses to everybody.

use serde_json::{Value, json};

use super::Wishes;
use super::wishes::told_apart;
use crate::layout::{Area, CORRECTIONS, LAST_RUN, LEASE};
use crate::store::Encryption;

/// A whole policy of these statements.
pub(super) fn document(statements: &[Value]) -> Value {
    json!({ "Version": "2012-10-17", "Statement": statements })
}

fn arn_of_bucket(wishes: &Wishes, bucket: &str) -> String {
    format!("arn:{}:s3:::{bucket}", wishes.partition())
}

/// The permissions of the program's own keys: nothing but the areas and files of the layout, and nothing that changes the bucket itself.
pub(super) fn least_privilege(wishes: &Wishes) -> Value {
    let bucket = arn_of_bucket(wishes, &wishes.place.bucket);
    let actions = ["s3:ListBucket", "s3:ListBucketMultipartUploads"];
    let mut list = json!({ "Sid": "EcoSightList", "Effect": "Allow", "Action": actions, "Resource": bucket });
    if !wishes.place.prefix.is_empty() {
        // A question about an object that is missing has no prefix, and without this permission its answer is that it is forbidden.
        list["Condition"] = json!({ "StringLikeIfExists": { "s3:prefix": format!("{}/*", wishes.place.prefix) } });
    }
    let areas = Area::ALL.iter().map(|area| format!("{bucket}/{}*", wishes.prefix_of(*area)));
    let files = [LEASE, LAST_RUN, CORRECTIONS].map(|name| format!("{bucket}/{}", wishes.place.join(name).prefix));
    let resources: Vec<String> = areas.chain(files).collect();
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
    (!wishes.is_plain_http).then_some(tls).into_iter().chain(served(wishes)).collect()
}

/// What lets the distribution that is named read recordings.
pub(super) fn served(wishes: &Wishes) -> Option<Value> {
    let bucket = arn_of_bucket(wishes, &wishes.place.bucket);
    wishes.distribution.as_ref().map(|distribution| {
        json!({
            "Sid": format!("EcoSightCloudFront{}", letters_and_digits(&wishes.place.prefix)),
            "Effect": "Allow",
            "Principal": { "Service": "cloudfront.amazonaws.com" },
            "Action": "s3:GetObject",
            "Resource": format!("{bucket}/{}*", wishes.prefix_of(Area::ExtractedAudio)),
            "Condition": { "StringEquals": { "AWS:SourceArn": distribution } },
        })
    })
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
    told_apart(text, text.chars().filter(char::is_ascii_alphanumeric).collect(), "")
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
        assert_eq!(resources.len(), Area::ALL.len() + 3);
        assert!(resources.contains(&"arn:aws:s3:::clips/pre/extracted_audio/*"), "{resources:?}");
        assert_eq!(policy["Statement"][0]["Condition"]["StringLikeIfExists"]["s3:prefix"], "pre/*");
        assert!(!policy.to_string().contains("s3:*"));
    }

    #[test]
    fn a_key_of_kms_is_allowed_by_its_name_or_by_the_service_that_asks_for_it() {
        let of = |key: Option<&str>| {
            let key = key.map(str::to_owned);
            of_keys(&Wishes {
                encryption: Some(Encryption::Kms(key)),
                region: "eu-west-1".to_owned(),
                ..wishes("clips")
            })
        };
        let arn = "arn:aws:kms:eu-west-1:123456789012:key/K1";
        assert_eq!(of(Some(arn)).unwrap()["Resource"], arn);
        assert_eq!(of(Some("K1")).unwrap()["Resource"], "arn:aws:kms:eu-west-1:*:key/K1");
        for key in [None, Some("alias/clips"), Some("arn:aws:kms:eu-west-1:123456789012:alias/clips")] {
            let statement = of(key).unwrap();
            assert_eq!(
                statement["Condition"]["StringEquals"]["kms:ViaService"], "s3.eu-west-1.amazonaws.com",
                "{key:?}"
            );
        }
        assert_eq!(of_keys(&wishes("clips")), None);
    }

    #[test]
    fn logs_of_two_buckets_are_two_statements() {
        let sids =
            ["my-clips", "myclips", "my.clips"].map(|bucket| log_statement(&wishes(bucket), "logs")["Sid"].clone());
        assert!(sids[0] != sids[1] && sids[0] != sids[2] && sids[1] == "EcoSightLogsOfmyclips", "{sids:?}");
    }

    #[test]
    fn a_server_without_encryption_gets_no_policy_that_locks_everybody_out() {
        let wishes = Wishes { is_plain_http: true, ..wishes("clips") };
        assert!(bucket_statements(&wishes).is_empty());
    }
}
