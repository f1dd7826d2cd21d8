//! Which bucket to use and how to reach it, as the environment says.

use std::path::Path;
use std::time::Duration;

use super::credentials::Credentials;
use super::environment::{Environment, Setting};
use super::place::Place;
use crate::DatasetError;
use crate::files::read_regular_text;

/// Variable that says for how many seconds a request is tried.
pub(super) const RETRY_SECONDS: &str = "S3_RETRY_SECONDS";

/// Variables that name the bucket, the first first.
pub const BUCKET_VARIABLES: [&str; 3] = ["S3_BUCKET", "AWS_S3_BUCKET", "S3_BUCKET_NAME"];

/// Variables that name the region, the first first.
pub const REGION_VARIABLES: [&str; 3] = ["AWS_REGION", "S3_REGION", "AWS_DEFAULT_REGION"];

/// Variables that name another server than Amazon's, the first first.
pub const ENDPOINT_VARIABLES: [&str; 3] = ["S3_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL"];

/// The region where nothing names one.
pub const DEFAULT_REGION: &str = "us-east-1";

/// How buckets are reached.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The bucket that is configured, and what names it.
    pub bucket: Option<(Place, String)>,
    /// Region of the bucket.
    pub region: Setting,
    /// Another server than Amazon's.
    pub endpoint: Option<Setting>,
    /// What signs requests.
    pub credentials: Option<Credentials>,
    /// How objects are encrypted at rest, where that is not left to the bucket.
    pub encryption: Option<Encryption>,
    /// A distribution that serves the bucket.
    pub cloudfront: Option<CloudFront>,
    /// For how long a request is tried again.
    pub retry_for: Duration,
    /// All variables, for servers that read their own.
    pub environment: Environment,
}

/// How the server encrypts objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Encryption {
    /// With keys of S3.
    Aes256,
    /// With a key of the Key Management Service; the account's own where none is named.
    Kms(Option<String>),
}

/// A CloudFront distribution.
#[derive(Clone, PartialEq, Eq)]
pub struct CloudFront {
    /// `d111111abcdef8.cloudfront.net`, or a domain of one's own.
    pub domain: String,
    /// What signs its URLs: the id of the key pair, and the private key as PEM.
    pub key_pair: Option<(String, String)>,
}

impl std::fmt::Debug for CloudFront {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let key_pair = self.key_pair.as_ref().map(|(id, _)| id);
        f.debug_struct("CloudFront").field("domain", &self.domain).field("key_pair", &key_pair).finish()
    }
}

impl Settings {
    /// What `environment` says. A variable that makes no sense is an error; one that is missing is not.
    pub fn read(environment: &Environment) -> Result<Self, DatasetError> {
        let bucket = match environment.first(&BUCKET_VARIABLES) {
            Some(Setting { value, origin }) => {
                let place = Place::parse_bucket(&value)
                    .map_err(|error| DatasetError::invalid("read variable", &origin, format!("{}", error.kind)))?;
                Some((place, origin))
            }
            None => None,
        };
        let credentials = Credentials::find(environment)?;
        let region = environment.first(&REGION_VARIABLES);
        let region = region.or_else(|| region_of(bucket.as_ref().map(|(place, _)| place)));
        let region = region.or_else(|| credentials.as_ref().and_then(Credentials::region));
        let region =
            region.unwrap_or_else(|| Setting { value: DEFAULT_REGION.to_owned(), origin: "default".to_owned() });
        Ok(Self {
            bucket,
            region,
            endpoint: endpoint(environment)?,
            credentials,
            encryption: encryption(environment)?,
            cloudfront: cloudfront(environment)?,
            retry_for: Duration::from_secs(seconds(environment, RETRY_SECONDS, 30)?),
            environment: environment.clone(),
        })
    }

    /// The bucket, where it and credentials are there; else why it cannot be used.
    pub fn configured(&self) -> Result<&Place, &'static str> {
        match (&self.bucket, &self.credentials) {
            (None, _) => Err("no bucket is named: set `S3_BUCKET`"),
            // Other servers than those of S3 find their credentials by themselves.
            (Some((place @ Place::Bucket(bucket), _)), _) if bucket.scheme != super::Scheme::S3 => Ok(place),
            (Some((place, _)), Some(_)) => Ok(place),
            (Some(_), None) => Err(
                "a bucket is named, but there are no credentials: set `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`, or `AWS_PROFILE`",
            ),
        }
    }
}

impl Settings {
    /// What tells `place` from every other: its address, and the server where that is not the usual one.
    pub fn identity(&self, place: &Place) -> String {
        let server = self.endpoint.as_ref().filter(|_| place.bucket().is_some_and(|b| b.scheme == super::Scheme::S3));
        server.map_or_else(|| place.to_string(), |server| format!("{place} at {}", server.value))
    }

    /// What is missing where a bucket is named that cannot be used, so that what is meant for it stays on this machine.
    pub fn half_configured(&self) -> Option<&'static str> {
        self.configured().err().filter(|_| self.bucket.is_some())
    }
}

/// The region that the ARN of an access point names.
fn region_of(place: Option<&Place>) -> Option<Setting> {
    let value = place?.bucket()?.bucket.strip_prefix("arn:")?.split(':').nth(2)?.to_owned();
    (!value.is_empty()).then(|| Setting { value, origin: "the access point's ARN".to_owned() })
}

fn endpoint(environment: &Environment) -> Result<Option<Setting>, DatasetError> {
    let Some(mut setting) = environment.first(&ENDPOINT_VARIABLES) else { return Ok(None) };
    let invalid = |why: String| DatasetError::invalid("read variable", &setting.origin, why);
    if !setting.value.contains("://") {
        let host = Some(&setting.value).filter(|value| !value.contains(['@', '?', '#']));
        let write = host.map_or_else(String::new, |host| format!(": write `http://{host}` or `https://{host}`"));
        return Err(invalid(format!("it lacks its beginning, `http://` or `https://`{write}")));
    }
    let url = ::url::Url::parse(&setting.value).map_err(|error| invalid(format!("it is no URL: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err(invalid("it does not look like `https://host:port`".to_owned()));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(invalid("it holds a user or a password, which belong into variables of their own".to_owned()));
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(invalid(
            "it holds a `?` or a `#`, which no endpoint has: keys belong into variables of their own".to_owned(),
        ));
    }
    setting.value.truncate(setting.value.trim_end_matches('/').len());
    Ok(Some(setting))
}

fn encryption(environment: &Environment) -> Result<Option<Encryption>, DatasetError> {
    let key = environment.first(&["S3_SSE_KMS_KEY_ID"]).map(|setting| setting.value);
    let Some(setting) = environment.first(&["S3_SSE"]) else { return Ok(key.map(|key| Encryption::Kms(Some(key)))) };
    match setting.value.to_ascii_lowercase().as_str() {
        "aes256" => Ok(Some(Encryption::Aes256)),
        "aws:kms" | "kms" => Ok(Some(Encryption::Kms(key))),
        _ => Err(DatasetError::invalid("read variable", setting.origin, "it is `AES256` or `aws:kms`")),
    }
}

fn cloudfront(environment: &Environment) -> Result<Option<CloudFront>, DatasetError> {
    let Some(domain) = environment.get("CLOUDFRONT_DOMAIN") else { return Ok(None) };
    let domain = domain.trim_start_matches("https://").trim_end_matches('/').to_owned();
    let key_pair = match (environment.get("CLOUDFRONT_KEY_PAIR_ID"), environment.get("CLOUDFRONT_PRIVATE_KEY")) {
        (Some(id), Some(key)) if key.contains("-----BEGIN") => Some((id.to_owned(), key.replace("\\n", "\n"))),
        (Some(id), Some(path)) => {
            let key = read_regular_text(Path::new(path))
                .map_err(|error| DatasetError::invalid("read variable", "CLOUDFRONT_PRIVATE_KEY", error.to_string()))?;
            Some((id.to_owned(), key))
        }
        (None, None) => None,
        _ => {
            let why = "`CLOUDFRONT_KEY_PAIR_ID` and `CLOUDFRONT_PRIVATE_KEY` go together";
            return Err(DatasetError::invalid("read variable", "CLOUDFRONT_KEY_PAIR_ID", why));
        }
    };
    Ok(Some(CloudFront { domain, key_pair }))
}

fn seconds(environment: &Environment, name: &str, default: u64) -> Result<u64, DatasetError> {
    let Some(text) = environment.get(name) else { return Ok(default) };
    text.parse().map_err(|_| DatasetError::invalid("read variable", name, "it is no whole number of seconds"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 2] = [("AWS_ACCESS_KEY_ID", "id"), ("AWS_SECRET_ACCESS_KEY", "hidden")];

    fn read(variables: &[(&str, &str)]) -> Result<Settings, DatasetError> {
        // No profile of the machine that runs the tests is to be found.
        let nowhere = [
            ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere"),
            ("AWS_CONFIG_FILE", "/nowhere"),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        Settings::read(&Environment::of(variables.iter().copied().chain(nowhere)))
    }

    #[test]
    fn a_bucket_counts_once_there_are_credentials() {
        assert!(read(&[]).unwrap().configured().unwrap_err().contains("S3_BUCKET"));
        assert!(read(&[("S3_BUCKET_NAME", "b")]).unwrap().configured().unwrap_err().contains("credentials"));
        let settings = read(&[&KEYS[..], &[("AWS_S3_BUCKET", "b"), ("S3_BUCKET_NAME", "c")]].concat()).unwrap();
        assert_eq!(settings.configured().unwrap().to_string(), "s3://b");
        assert!(!format!("{settings:?}").contains("hidden"));
    }

    #[test]
    fn a_region_comes_from_a_variable_or_from_the_access_point() {
        let arn = ("S3_BUCKET", "arn:aws:s3:eu-west-1:123:accesspoint/name");
        assert_eq!(read(&[arn]).unwrap().region.value, "eu-west-1");
        assert_eq!(read(&[arn, ("S3_REGION", "eu-north-1")]).unwrap().region.value, "eu-north-1");
        assert_eq!(read(&[]).unwrap().region.value, DEFAULT_REGION);
    }

    #[test]
    fn a_variable_that_makes_no_sense_is_named() {
        for (name, value) in [
            ("S3_BUCKET", "a b"),
            ("S3_ENDPOINT_URL", "localhost:9000"),
            ("S3_ENDPOINT_URL", "http://user:hidden@host"),
            ("S3_ENDPOINT_URL", "user:hidden@host"),
            ("S3_ENDPOINT_URL", "http://host/?token=hidden"),
            ("S3_SSE", "rot13"),
            ("S3_RETRY_SECONDS", "soon"),
        ] {
            let error = read(&[(name, value)]).unwrap_err();
            assert!(error.at.contains(name) && !error.to_string().contains("hidden"), "{error}");
        }
        for host in ["127.0.0.1:5000", "localhost:9000", "minio"] {
            let why = read(&[("S3_ENDPOINT_URL", host)]).unwrap_err().kind.to_string();
            assert!(why.contains(&format!("write `http://{host}` or `https://{host}`")), "{why}");
        }
        assert!(read(&[("CLOUDFRONT_DOMAIN", "d"), ("CLOUDFRONT_KEY_PAIR_ID", "k")]).is_err());
    }
}
