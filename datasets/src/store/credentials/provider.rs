//! Keys that are got when they are needed, and anew before they expire.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Duration, Utc};
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, AwsCredential, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpConnector, ReqwestConnector};
use object_store::{ClientOptions, CredentialProvider, StaticCredentialProvider};

use super::Credentials;
use super::fetch::{Fetch, Fetched, client};
use crate::store::connect::retry;
use crate::store::settings::Settings;
use crate::{DatasetError, DatasetErrorKind};

/// Keys that expire sooner are got anew, unless they were good for less than four times as long.
const AHEAD_OF_EXPIRY: Duration = Duration::minutes(5);

/// Variable that names another server of the Security Token Service than Amazon's.
const STS_ENDPOINT: &str = "AWS_ENDPOINT_URL_STS";

/// Variable that names another portal of single sign-on than Amazon's.
const PORTAL_ENDPOINT: &str = "AWS_ENDPOINT_URL_SSO";

/// What gets the keys of `credentials`. Nothing is asked yet.
pub(in crate::store) fn provider(
    credentials: &Credentials,
    settings: &Settings,
) -> Result<AwsCredentialProvider, DatasetError> {
    let region = settings.region.value.clone();
    let named = |name: &str| settings.environment.get(name).map(|url| url.trim_end_matches('/').to_owned());
    let client = || client().map_err(|error| DatasetError::new("get credentials of", credentials.origin(), error));
    let fetch = match credentials {
        Credentials::Keys { key_id, secret, token, .. } => {
            let (key_id, secret_key, token) = (key_id.clone(), secret.clone(), token.clone());
            return Ok(Arc::new(StaticCredentialProvider::new(AwsCredential { key_id, secret_key, token })));
        }
        Credentials::Instance | Credentials::WebIdentity { .. } => return of_client(credentials, settings),
        Credentials::Process { command, .. } => Fetch::Process { command: command.clone() },
        Credentials::Container => Fetch::container(&settings.environment, client()?)
            .map_err(|why| DatasetError::invalid("get credentials of", credentials.origin(), why))?,
        Credentials::SignOn { token_file, portal_region, account, role, profile, .. } => Fetch::SignOn {
            client: client()?,
            endpoint: named(PORTAL_ENDPOINT)
                .unwrap_or_else(|| format!("https://portal.sso.{portal_region}.amazonaws.com")),
            token_file: token_file.clone(),
            account: account.clone(),
            role: role.clone(),
            profile: profile.clone(),
        },
        Credentials::AssumedRole { role, source, external_id, session, duration_s, .. } => Fetch::Role {
            client: client()?,
            endpoint: named(STS_ENDPOINT).unwrap_or_else(|| format!("https://sts.{region}.amazonaws.com")),
            region,
            source: provider(source, settings)?,
            role: role.clone(),
            session: session.clone(),
            external_id: external_id.clone(),
            duration_s: *duration_s,
        },
    };
    Ok(Arc::new(Refreshing { origin: credentials.origin(), fetch, cached: tokio::sync::Mutex::default() }))
}

/// What the client of S3 brings along: the role of the virtual machine, and web identities.
fn of_client(credentials: &Credentials, settings: &Settings) -> Result<AwsCredentialProvider, DatasetError> {
    let mut builder = AmazonS3Builder::new().with_region(&settings.region.value).with_bucket_name("any");
    builder = builder.with_retry(retry(settings));
    let mut set = |key: AmazonS3ConfigKey, value: &str| builder = std::mem::take(&mut builder).with_config(key, value);
    if let Credentials::WebIdentity { token_file, role, session, .. } = credentials {
        set(AmazonS3ConfigKey::WebIdentityTokenFile, token_file);
        set(AmazonS3ConfigKey::RoleArn, role);
        set(AmazonS3ConfigKey::RoleSessionName, session.as_deref().unwrap_or("ecosight"));
    }
    let endpoint = settings.environment.get(STS_ENDPOINT);
    if let Some(endpoint) = endpoint {
        set(AmazonS3ConfigKey::StsEndpoint, endpoint);
    }
    if let Some(endpoint) = settings.environment.get("AWS_METADATA_ENDPOINT") {
        set(AmazonS3ConfigKey::MetadataEndpoint, endpoint);
    }
    if endpoint.is_some_and(|endpoint| endpoint.starts_with("http://")) {
        builder = builder.with_http_connector(PlainConnector);
    }
    let failed = |error| DatasetError::new("get credentials of", credentials.origin(), DatasetErrorKind::Store(error));
    Ok(builder.build().map_err(failed)?.credentials().clone())
}

/// Makes clients that use plain HTTP where an address says so.
#[derive(Debug)]
struct PlainConnector;

impl HttpConnector for PlainConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        ReqwestConnector::default().connect(&options.clone().with_allow_http(true))
    }
}

/// Keys that expire.
#[derive(Debug)]
struct Refreshing {
    origin: String,
    fetch: Fetch,
    cached: tokio::sync::Mutex<Option<Cached>>,
}

#[derive(Debug)]
struct Cached {
    keys: Fetched,
    since: DateTime<Utc>,
}

impl Cached {
    fn is_fresh(&self, now: DateTime<Utc>) -> bool {
        self.keys.expires.is_none_or(|expires| expires - now > AHEAD_OF_EXPIRY.min((expires - self.since) / 4))
    }

    fn is_valid(&self, now: DateTime<Utc>) -> bool {
        self.keys.expires.is_none_or(|expires| expires > now)
    }
}

/// Why there are no keys.
#[derive(Debug, thiserror::Error)]
#[error("there are no credentials of {origin}: {why}")]
struct NoCredentials {
    origin: String,
    why: String,
}

#[async_trait]
impl CredentialProvider for Refreshing {
    type Credential = AwsCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<AwsCredential>> {
        let mut cached = self.cached.lock().await;
        let now = now();
        if let Some(cached) = cached.as_ref().filter(|cached| cached.is_fresh(now)) {
            return Ok(cached.keys.credential.clone());
        }
        match self.fetch.fetch().await {
            Ok(keys) => {
                let credential = keys.credential.clone();
                *cached = Some(Cached { keys, since: now });
                Ok(credential)
            }
            Err(why) => {
                // Those that are there may still do.
                let valid = cached.as_ref().filter(|cached| cached.is_valid(now));
                valid.map(|cached| cached.keys.credential.clone()).ok_or_else(|| {
                    let source = Box::new(NoCredentials { origin: self.origin.clone(), why });
                    object_store::Error::Generic { store: "S3", source }
                })
            }
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "whether keys have expired depends on the time; no result does")]
fn now() -> DateTime<Utc> {
    DateTime::from(std::time::SystemTime::now())
}

#[cfg(test)]
mod tests;
