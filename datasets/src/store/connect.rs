//! How a bucket is reached: which server, with which credentials, how long to wait and how often to try again.

use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AwsCredential, Checksum, S3ConditionalPut};
use object_store::azure::MicrosoftAzureBuilder;
use object_store::gcp::GoogleCloudStorageBuilder;
use object_store::limit::LimitStore;
use object_store::signer::Signer;
use object_store::{BackoffConfig, ClientOptions, ObjectStore, RetryConfig};

use super::credentials::provider;
use super::place::{BucketPlace, Scheme};
use super::response_check::{CheckingConnector, Completion, Signing, SkippedKeys};
use super::settings::{Encryption, Settings};
use crate::runtime::choose_cryptography;
use crate::{DatasetError, DatasetErrorKind};

/// Requests that may be under way at a time.
pub const MAX_REQUESTS: usize = 64;

/// Within this time an answer begins, and goes on.
const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Within this time a part is sent and answered: 8 MiB at 75 kbit/s.
const SENT_WITHIN: Duration = Duration::from_mins(15);

/// A bucket that can be read and written, and what signs URLs for it.
pub(super) struct Connection {
    pub(super) files: Arc<dyn ObjectStore>,
    /// The same for requests that carry content, which may take their time on a slow line.
    pub(super) sender: Arc<dyn ObjectStore>,
    /// The same for uploads in parts that fail where an object is; none where the server has no such uploads.
    pub(super) creator: Option<Arc<dyn ObjectStore>>,
    pub(super) signer: Option<Arc<dyn Signer>>,
    /// Keys that no path can be, which are left out of listings.
    pub(super) skipped: SkippedKeys,
}

/// Connects to the bucket of `place`. Nothing is sent yet.
pub(super) fn connect(place: &BucketPlace, settings: &Settings) -> Result<Connection, DatasetError> {
    let failed = |error| DatasetError::new("connect to", place.to_string(), DatasetErrorKind::Store(error));
    let skipped = SkippedKeys::default();
    if place.scheme == Scheme::S3 {
        let signing = if settings.credentials.is_some() { Signing::Aws } else { Signing::Anonymous };
        let credentials = settings.credentials.as_ref().map(|found| provider(found, settings)).transpose()?;
        let build = |patience, completion| {
            let connector = CheckingConnector { signing, completion, skipped: skipped.clone() };
            let builder = s3(&place.bucket, settings, patience)?.with_http_connector(connector);
            let builder = match &credentials {
                Some(credentials) => builder.with_credentials(credentials.clone()),
                None => builder.with_skip_signature(true),
            };
            builder.build().map_err(failed)
        };
        let s3 = Arc::new(build(ANSWER_WITHIN, Completion::Overwrite)?);
        let files = Arc::new(LimitStore::new(s3.clone(), MAX_REQUESTS));
        let sender = Arc::new(LimitStore::new(build(SENT_WITHIN, Completion::Overwrite)?, MAX_REQUESTS));
        let creator = Arc::new(LimitStore::new(build(SENT_WITHIN, Completion::CreateOnly)?, MAX_REQUESTS));
        return Ok(Connection { files, sender, creator: Some(creator), signer: Some(s3), skipped });
    }
    choose_cryptography();
    let address = BucketPlace { prefix: String::new(), ..place.clone() }.to_string();
    let connector =
        CheckingConnector { signing: Signing::Header, completion: Completion::Overwrite, skipped: skipped.clone() };
    let variables = settings.environment.all().map(|(name, value)| (name.to_ascii_lowercase(), value));
    let files: Arc<dyn ObjectStore> = if place.scheme == Scheme::Gcs {
        let known = variables.filter_map(|(name, value)| Some((name.parse().ok()?, value)));
        let builder = GoogleCloudStorageBuilder::new().with_url(address).with_http_connector(connector);
        let store = known.fold(builder, |builder, (key, value)| builder.with_config(key, value)).build();
        Arc::new(LimitStore::new(store.map_err(failed)?, MAX_REQUESTS))
    } else {
        let known = variables.filter_map(|(name, value)| Some((name.parse().ok()?, value)));
        let builder = MicrosoftAzureBuilder::new().with_url(address).with_http_connector(connector);
        let store = known.fold(builder, |builder, (key, value)| builder.with_config(key, value)).build();
        Arc::new(LimitStore::new(store.map_err(failed)?, MAX_REQUESTS))
    };
    Ok(Connection { sender: files.clone(), files, creator: None, signer: None, skipped })
}

/// The keys that requests are signed with, now.
pub async fn keys(settings: &Settings) -> Result<Arc<AwsCredential>, DatasetError> {
    let failed = |error| DatasetError::new("get credentials of", "S3", DatasetErrorKind::Store(error));
    let Some(credentials) = &settings.credentials else {
        return Err(DatasetError::invalid("get credentials of", "S3", "there are none"));
    };
    provider(credentials, settings)?.get_credential().await.map_err(failed)
}

fn s3(bucket: &str, settings: &Settings, patience: Duration) -> Result<AmazonS3Builder, DatasetError> {
    choose_cryptography();
    let region = settings.region.value.as_str();
    let mut builder = AmazonS3Builder::new()
        .with_region(region)
        .with_retry(retry(settings))
        .with_client_options(client(patience))
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        // The server compares what arrived with what was sent.
        .with_checksum_algorithm(Checksum::SHA256);
    builder = match (&settings.endpoint, access_point(bucket)) {
        (Some(endpoint), _) => builder
            .with_bucket_name(bucket)
            .with_endpoint(&endpoint.value)
            .with_allow_http(endpoint.value.starts_with("http://")),
        (None, Some((name, account))) => builder
            .with_bucket_name(bucket)
            .with_virtual_hosted_style_request(true)
            .with_endpoint(format!("https://{name}-{account}.s3-accesspoint.{region}.amazonaws.com")),
        // A certificate of S3 is good for one label below the region's name.
        (None, None) => builder.with_bucket_name(bucket).with_virtual_hosted_style_request(!bucket.contains('.')),
    };
    if let Some(encryption) = &settings.encryption {
        let set = |builder: AmazonS3Builder, name: &str, value: &str| {
            let key =
                name.parse().map_err(|error| DatasetError::new("set up", bucket, DatasetErrorKind::Store(error)))?;
            Ok::<_, DatasetError>(builder.with_config(key, value))
        };
        builder = match encryption {
            Encryption::Aes256 => set(builder, "aws_server_side_encryption", "AES256")?,
            Encryption::Kms(None) => set(builder, "aws_server_side_encryption", "aws:kms")?,
            Encryption::Kms(Some(key)) => builder.with_sse_kms_encryption(key),
        };
    }
    Ok(builder)
}

/// The name and the account of an access point that is named by its ARN.
fn access_point(bucket: &str) -> Option<(&str, &str)> {
    let (front, name) = bucket.strip_prefix("arn:")?.split_once(":accesspoint/")?;
    Some((name, front.rsplit(':').next()?))
}

pub(super) fn retry(settings: &Settings) -> RetryConfig {
    RetryConfig {
        backoff: BackoffConfig {
            init_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_secs(10),
            base: 2.0,
        },
        max_retries: 12,
        retry_timeout: settings.retry_for,
    }
}

/// A large object may take long, but never stands still: `patience` is how long nothing may arrive. It begins with the request, so that sending
/// counts as well.
fn client(patience: Duration) -> ClientOptions {
    ClientOptions::new()
        .with_connect_timeout(Duration::from_secs(5))
        .with_read_timeout(patience)
        .with_timeout_disabled()
}
