//! Objects are encrypted at rest, whatever the request that writes them says.

use aws_sdk_s3::types::{
    ServerSideEncryption, ServerSideEncryptionByDefault, ServerSideEncryptionConfiguration, ServerSideEncryptionRule,
};

use super::{Admin, Look};
use crate::store::Encryption;
use crate::{DatasetError, DatasetErrorKind};

impl Admin {
    pub(super) async fn look_at_encryption(&self) -> Result<Look, DatasetError> {
        Ok(judged(self.wishes.encryption.as_ref(), self.encryption_rule().await?.as_ref()))
    }

    /// Takes the key that the bucket encrypts with as the one that the program's keys must be allowed to use, where nobody asked for another.
    pub async fn adopt_key(&mut self) -> Result<(), DatasetError> {
        if self.wishes.encryption.is_none() {
            let default = self.encryption_rule().await?.and_then(|rule| rule.apply_server_side_encryption_by_default);
            let of_kms = default.filter(|found| found.sse_algorithm.as_str().starts_with("aws:kms"));
            self.wishes.encryption = of_kms.map(|found| Encryption::Kms(found.kms_master_key_id));
        }
        Ok(())
    }

    async fn encryption_rule(&self) -> Result<Option<ServerSideEncryptionRule>, DatasetError> {
        let answer = self.s3.get_bucket_encryption().bucket(self.bucket()).send().await;
        let found = self.unless("ServerSideEncryptionConfigurationNotFoundError", "look at encryption of", answer)?;
        let rules = found.and_then(|answer| answer.server_side_encryption_configuration).map(|found| found.rules);
        Ok(rules.unwrap_or_default().into_iter().next())
    }

    pub(super) async fn encrypt(&self) -> Result<(), DatasetError> {
        let built = |error| DatasetError::new("encrypt", self.bucket(), DatasetErrorKind::Server(format!("{error}")));
        let old = self.encryption_rule().await?.and_then(|rule| rule.apply_server_side_encryption_by_default);
        let default = match (&self.wishes.encryption, old) {
            (None, Some(old)) if old.sse_algorithm.as_str().starts_with("aws:kms") => old,
            (None | Some(Encryption::Aes256), _) => ServerSideEncryptionByDefault::builder()
                .sse_algorithm(ServerSideEncryption::Aes256)
                .build()
                .map_err(built)?,
            (Some(Encryption::Kms(key)), _) => ServerSideEncryptionByDefault::builder()
                .sse_algorithm(ServerSideEncryption::AwsKms)
                .set_kms_master_key_id(key.clone())
                .build()
                .map_err(built)?,
        };
        let rule = ServerSideEncryptionRule::builder()
            .apply_server_side_encryption_by_default(default)
            .bucket_key_enabled(true)
            .build();
        let configuration = ServerSideEncryptionConfiguration::builder().rules(rule).build().map_err(built)?;
        let request = self.s3.put_bucket_encryption().bucket(self.bucket());
        let answer = request.server_side_encryption_configuration(configuration).send().await;
        answer.map(drop).map_err(self.refused("encrypt"))
    }
}

/// What the bucket's rule means beside what is wanted.
fn judged(wanted: Option<&Encryption>, rule: Option<&ServerSideEncryptionRule>) -> Look {
    let Some(rule) = rule else { return Look::Wrong(told(wanted)) };
    let default = rule.apply_server_side_encryption_by_default();
    let (algorithm, key) =
        default.map_or(("none", None), |found| (found.sse_algorithm().as_str(), found.kms_master_key_id()));
    let is_kms = algorithm.starts_with("aws:kms");
    let is_wanted = match wanted {
        // Nobody asked for one kind: a key of the account is no worse.
        None => algorithm == "AES256" || is_kms,
        Some(Encryption::Aes256) => algorithm == "AES256",
        Some(Encryption::Kms(wanted)) => is_kms && wanted.as_deref().is_none_or(|wanted| key == Some(wanted)),
    };
    // Without a bucket key each object costs a request to the Key Management Service. The keys of S3 itself know no such thing.
    let is_cheap = !is_kms || rule.bucket_key_enabled() == Some(true);
    let shown = key.map_or_else(|| algorithm.to_owned(), |key| format!("{algorithm} with key {key}"));
    match (is_wanted, is_cheap) {
        (true, true) => Look::Right(shown),
        (true, false) => Look::Wrong(format!("{shown}: turn on the bucket key")),
        (false, _) => Look::Wrong(format!("{} instead of {shown}", told(wanted))),
    }
}

/// What is wanted, for people.
fn told(wanted: Option<&Encryption>) -> String {
    match wanted {
        None | Some(Encryption::Aes256) => "AES256".to_owned(),
        Some(Encryption::Kms(None)) => "aws:kms with a bucket key".to_owned(),
        Some(Encryption::Kms(Some(key))) => format!("aws:kms with key {key} and a bucket key"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(algorithm: ServerSideEncryption, key: Option<&str>, bucket_key: bool) -> ServerSideEncryptionRule {
        let default = ServerSideEncryptionByDefault::builder().sse_algorithm(algorithm);
        let default = default.set_kms_master_key_id(key.map(str::to_owned)).build().unwrap();
        let rule = ServerSideEncryptionRule::builder().apply_server_side_encryption_by_default(default);
        rule.bucket_key_enabled(bucket_key).build()
    }

    #[test]
    fn a_key_of_kms_must_be_the_one_that_is_named_and_have_a_bucket_key() {
        let aes = rule(ServerSideEncryption::Aes256, None, false);
        let kms = |key, bucket_key| rule(ServerSideEncryption::AwsKms, key, bucket_key);
        let named = Encryption::Kms(Some("K1".to_owned()));
        let is_right = |wanted: Option<&Encryption>, rule: &_| matches!(judged(wanted, Some(rule)), Look::Right(_));
        assert!(is_right(None, &aes) && is_right(None, &kms(Some("K1"), true)), "what nobody asked for stays");
        assert!(
            is_right(Some(&Encryption::Kms(None)), &kms(Some("K2"), true))
                && is_right(Some(&named), &kms(Some("K1"), true))
        );
        for (wanted, found) in [
            (&named, kms(Some("K2"), true)),
            (&named, kms(None, true)),
            (&named, kms(Some("K1"), false)),
            (&named, aes),
            (&Encryption::Aes256, kms(Some("K1"), true)),
        ] {
            assert!(matches!(judged(Some(wanted), Some(&found)), Look::Wrong(_)), "{wanted:?} {found:?}");
        }
        assert_eq!(judged(Some(&named), None), Look::Wrong("aws:kms with key K1 and a bucket key".to_owned()));
    }
}
