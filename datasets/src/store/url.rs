//! URLs with which others read or write an object without keys of their own, for a while.

use std::time::Duration;

use base64::Engine;
use http::Method;
use rsa::RsaPrivateKey;
use rsa::pkcs1::DecodeRsaPrivateKey;
use rsa::pkcs1v15::SigningKey;
use rsa::pkcs8::DecodePrivateKey;
use rsa::signature::{SignatureEncoding, Signer};
use sha1::Sha1;

use super::{CloudFront, Store};
use crate::DatasetError;

/// For how long a URL is good where nobody says otherwise.
pub const DEFAULT_EXPIRY: Duration = Duration::from_hours(1);

/// For how long a URL may be good at most: seven days, the limit of S3.
pub const MAX_EXPIRY: Duration = Duration::from_hours(7 * 24);

/// What a URL lets its holder do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Permission {
    /// Read the object.
    Get,
    /// Write the object.
    Put,
}

impl Store {
    /// Whether it signs URLs.
    pub fn can_sign(&self) -> bool {
        self.signer.is_some()
    }

    /// A URL that lets whoever has it read or write `name` until it expires. Whether the object is there is not asked.
    pub async fn presigned(&self, name: &str, may: Permission, expiry: Duration) -> Result<String, DatasetError> {
        let Some(signer) = &self.signer else {
            let why = "only objects in a bucket of S3 have URLs that can be signed";
            return Err(DatasetError::invalid("sign URL of", self.address(name), why));
        };
        if expiry.is_zero() || expiry > MAX_EXPIRY {
            let why = "a URL is good for at least a second and at most seven days";
            return Err(DatasetError::invalid("sign URL of", self.address(name), why));
        }
        let method = match may {
            Permission::Get => Method::GET,
            Permission::Put => Method::PUT,
        };
        let url = signer.signed_url(method, &self.location(name)?, expiry).await;
        url.map(String::from).map_err(|error| DatasetError::new("sign URL of", self.address(name), error))
    }

    /// The URL of `name` in a CloudFront distribution, signed where there is a key pair; then it is good until `expires_at` (seconds since
    /// 1970).
    pub fn served(&self, name: &str, distribution: &CloudFront, expires_at: i64) -> Result<String, DatasetError> {
        let invalid = |why: String| DatasetError::invalid("sign URL of", self.address(name), why);
        let mut url = ::url::Url::parse(&format!("https://{}/", distribution.domain))
            .map_err(|error| invalid(format!("`CLOUDFRONT_DOMAIN` is no domain: {error}")))?;
        url.set_path(self.location(name)?.as_ref());
        let Some((id, key)) = &distribution.key_pair else { return Ok(url.into()) };
        // The canned policy of the CloudFront developer guide, "Creating a signed URL using a canned policy".
        let policy = format!(
            r#"{{"Statement":[{{"Resource":"{url}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{expires_at}}}}}}}]}}"#
        );
        let key = RsaPrivateKey::from_pkcs1_pem(key)
            .ok()
            .or_else(|| RsaPrivateKey::from_pkcs8_pem(key).ok())
            .ok_or_else(|| invalid("`CLOUDFRONT_PRIVATE_KEY` is no RSA key in PEM".to_owned()))?;
        let signature = SigningKey::<Sha1>::new(key).sign(policy.as_bytes()).to_bytes();
        // The three characters of Base64 that mean something in a URL, as the same guide replaces them.
        let signature: String = base64::engine::general_purpose::STANDARD
            .encode(signature)
            .chars()
            .map(|c| match c {
                '+' => '-',
                '=' => '_',
                '/' => '~',
                c => c,
            })
            .collect();
        Ok(format!("{url}?Expires={expires_at}&Signature={signature}&Key-Pair-Id={id}"))
    }
}
