//! The official clients of S3 and IAM, set up as the rest of the program reaches its bucket.

use std::time::Duration;

use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region, SharedHttpClient};
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::Builder;
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};

use super::Wishes;
use crate::store::{HTML, Settings, keys};
use crate::{DatasetError, DatasetErrorKind};

/// A request that takes longer is given up, and tried again.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(20);

/// How often a request is tried.
const ATTEMPTS: u32 = 4;

/// Variables that name another server of IAM than Amazon's, the first first.
const IAM_ENDPOINT_VARIABLES: [&str; 2] = ["AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL"];

/// What looks at a bucket and changes it.
pub struct Admin {
    pub(super) s3: aws_sdk_s3::Client,
    pub(super) iam: aws_sdk_iam::Client,
    pub(super) wishes: Wishes,
}

impl Admin {
    /// Connects with the credentials of `settings`, which are asked for now; nothing else is sent.
    pub async fn connect(settings: &Settings, wishes: Wishes) -> Result<Self, DatasetError> {
        let found = keys(settings).await?;
        let credentials = Credentials::new(&found.key_id, &found.secret_key, found.token.clone(), None, "ecosight");
        let region = Region::new(wishes.region.clone());
        let timeouts = TimeoutConfig::builder()
            .connect_timeout(Duration::from_secs(5))
            .operation_attempt_timeout(ATTEMPT_TIMEOUT)
            .operation_timeout(settings.retry_for.max(ATTEMPT_TIMEOUT))
            .build();
        let retries = RetryConfig::standard().with_max_attempts(ATTEMPTS);
        let mut s3 = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(http_client())
            .credentials_provider(credentials.clone())
            .region(region.clone())
            .timeout_config(timeouts.clone())
            .retry_config(retries.clone());
        if let Some(endpoint) = &settings.endpoint {
            s3 = s3.endpoint_url(&endpoint.value).force_path_style(true);
        }
        let mut iam = aws_sdk_iam::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .http_client(http_client())
            .credentials_provider(credentials)
            .region(region)
            .timeout_config(timeouts)
            .retry_config(retries);
        if let Some(endpoint) = settings.environment.first(&IAM_ENDPOINT_VARIABLES) {
            iam = iam.endpoint_url(endpoint.value);
        }
        Ok(Self {
            s3: aws_sdk_s3::Client::from_conf(s3.build()),
            iam: aws_sdk_iam::Client::from_conf(iam.build()),
            wishes,
        })
    }

    /// Whether users would be made on the server that the bucket is on; another one's keys are nothing to Amazon.
    pub fn knows_iam(settings: &Settings) -> bool {
        settings.endpoint.is_none() || settings.environment.first(&IAM_ENDPOINT_VARIABLES).is_some()
    }

    /// Whether `error` says that the server, which is not Amazon's, knows no such configuration.
    pub fn is_unknown(error: &DatasetError) -> bool {
        let DatasetErrorKind::Server(said) = &error.kind else { return false };
        ["NotImplemented", "MethodNotAllowed", "the server answered 501"].iter().any(|word| said.starts_with(word))
    }

    /// What is wanted.
    pub fn wishes(&self) -> &Wishes {
        &self.wishes
    }

    /// The name of the bucket.
    pub(super) fn bucket(&self) -> &str {
        &self.wishes.place.bucket
    }

    /// The answer, or none where it is a refusal with this code, which says that there is no such thing.
    pub(super) fn unless<T, E>(
        &self,
        code: &str,
        action: &'static str,
        answer: Result<T, SdkError<E>>,
    ) -> Result<Option<T>, DatasetError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        unless(code, action, &self.wishes.place.to_string(), answer)
    }

    /// For `map_err`: the server's words about a failed `action` on the bucket.
    pub(super) fn refused<E>(&self, action: &'static str) -> impl FnOnce(SdkError<E>) -> DatasetError
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        refused(action, self.wishes.place.to_string())
    }
}

/// The answer about `at`, or none where it is a refusal with this code, which says that there is no such thing.
pub(super) fn unless<T, E>(
    code: &str,
    action: &'static str,
    at: &str,
    answer: Result<T, SdkError<E>>,
) -> Result<Option<T>, DatasetError>
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    match answer {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.code() == Some(code) => Ok(None),
        Err(error) => Err(server_error(action, at.to_owned(), &error)),
    }
}

/// For `map_err`: the server's words about a failed `action` on `at`.
pub(super) fn refused<E>(action: &'static str, at: impl Into<String>) -> impl FnOnce(SdkError<E>) -> DatasetError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let at = at.into();
    move |error| server_error(action, at, &error)
}

/// The code and the words of a server, or what went wrong on the way.
pub(super) fn server_error<E>(action: &'static str, at: String, error: &SdkError<E>) -> DatasetError
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let body = error.raw_response().and_then(|response| response.body().bytes());
    let is_html = body.is_some_and(|body| {
        let begin = String::from_utf8_lossy(&body[..body.len().min(400)]).trim_start().to_ascii_lowercase();
        begin.starts_with("<!doctype html") || begin.starts_with("<html")
    });
    let text = match (error.code(), error.raw_response()) {
        (None, Some(response)) if is_html && response.status().as_u16() < 500 => {
            format!("{HTML}: the server answered {}", response.status())
        }
        (Some(code), _) => format!("{code}: {}", error.message().unwrap_or("no more was said")),
        // The answer to a HEAD has no words.
        (None, Some(response)) if response.status().as_u16() == 403 => "AccessDenied: 403 Forbidden".to_owned(),
        (None, Some(response)) if response.status().is_success() => {
            format!("the answer is not understood: {}", chain(error))
        }
        (None, Some(response)) => format!("the server answered {}", response.status()),
        (None, None) => chain(error),
    };
    DatasetError::new(action, at, DatasetErrorKind::Server(text))
}

fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| (*error).source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

fn http_client() -> SharedHttpClient {
    Builder::new().tls_provider(Provider::Rustls(CryptoMode::Ring)).build_https()
}
