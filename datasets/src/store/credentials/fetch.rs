//! The requests that get keys: from a program, a container, the portal of single sign-on, and the Security Token Service.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use object_store::ClientOptions;
use object_store::aws::{AwsAuthorizer, AwsCredential, AwsCredentialProvider};
use object_store::client::{HttpClient, HttpConnector, HttpRequest, HttpRequestBody, ReqwestConnector};
use serde::Deserialize;

use super::CONTAINER;
use crate::files::read_regular_text;
use crate::runtime::choose_cryptography;
use crate::store::{Environment, without_markup};

/// How often a request is tried, and how long it waits in between.
const TRIES: (usize, Duration) = (3, Duration::from_millis(200));

/// Keys, and until when they are good.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) credential: Arc<AwsCredential>,
    pub(super) expires: Option<DateTime<Utc>>,
}

/// A way to get keys.
#[derive(Debug)]
pub(super) enum Fetch {
    /// A program prints them (`credential_process`).
    Process { command: String },
    /// The agent of a container has them.
    Container { client: HttpClient, url: String, token: Option<Token> },
    /// The portal gives those of a role to who has signed on (`GetRoleCredentials`).
    SignOn { client: HttpClient, endpoint: String, token_file: PathBuf, account: String, role: String, profile: String },
    /// A role is assumed (`AssumeRole`).
    Role {
        client: HttpClient,
        endpoint: String,
        region: String,
        source: AwsCredentialProvider,
        role: String,
        session: Option<String>,
        external_id: Option<String>,
        duration_s: Option<u32>,
    },
}

/// Where the token that the agent of a container wants is.
pub(super) enum Token {
    Value(String),
    File(PathBuf),
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Value(_) => f.write_str("Value"),
            Self::File(path) => f.debug_tuple("File").field(path).finish(),
        }
    }
}

/// A client for such requests.
pub(super) fn client() -> object_store::Result<HttpClient> {
    choose_cryptography();
    let options = ClientOptions::new().with_allow_http(true).with_connect_timeout(Duration::from_secs(5));
    ReqwestConnector::default().connect(&options.with_timeout(Duration::from_secs(20)))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    access_key_id: String,
    secret_access_key: String,
    #[serde(alias = "Token")]
    session_token: Option<String>,
    expiration: Option<DateTime<Utc>>,
}

impl From<Printed> for Fetched {
    fn from(printed: Printed) -> Self {
        let Printed { access_key_id: key_id, secret_access_key: secret_key, session_token: token, expiration } =
            printed;
        Self { credential: Arc::new(AwsCredential { key_id, secret_key, token }), expires: expiration }
    }
}

impl Fetch {
    /// The agent that variables name. Only addresses of this machine and those of the agents get its token over plain HTTP.
    pub(super) fn container(environment: &Environment, client: HttpClient) -> Result<Self, String> {
        let url = match (environment.get(CONTAINER[0]), environment.get(CONTAINER[1])) {
            (Some(relative), _) => format!("http://169.254.170.2{relative}"),
            (None, full) => full.unwrap_or_default().to_owned(),
        };
        let parsed = url::Url::parse(&url).map_err(|error| format!("`{}` is no URL: {error}", CONTAINER[1]))?;
        let is_near = match parsed.host() {
            Some(url::Host::Ipv4(ip)) => ip.is_loopback() || matches!(ip.octets(), [169, 254, 170, 2 | 23]),
            Some(url::Host::Ipv6(ip)) => ip.is_loopback() || ip.segments() == [0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23],
            Some(url::Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if parsed.scheme() != "https" && !is_near {
            return Err(format!(
                "`{}` is neither `https://` nor an address of this machine or of an agent",
                CONTAINER[1]
            ));
        }
        let file = environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE").map(|path| Token::File(path.into()));
        let value = || environment.get("AWS_CONTAINER_AUTHORIZATION_TOKEN").map(|token| Token::Value(token.to_owned()));
        Ok(Self::Container { client, url, token: file.or_else(value) })
    }

    /// Gets the keys; why there are none, for people.
    pub(super) async fn fetch(&self) -> Result<Fetched, String> {
        match self {
            Self::Process { command } => {
                let command = command.clone();
                let printed = tokio::task::spawn_blocking(move || printed_by(&command)).await;
                printed.map_err(|_| "`credential_process` could not be run".to_owned())?
            }
            Self::Container { client, url, token } => {
                let mut request = http::Request::get(url.as_str());
                match token {
                    Some(Token::Value(token)) => request = request.header(AUTHORIZATION, secret(token)?),
                    Some(Token::File(path)) => request = request.header(AUTHORIZATION, secret(&text_of(path)?)?),
                    None => {}
                }
                let body = ask(client, &built(request, String::new())?).await?;
                let printed: Printed =
                    serde_json::from_slice(&body).map_err(|_| "the agent answered no credentials".to_owned())?;
                Ok(printed.into())
            }
            Self::SignOn { client, endpoint, token_file, account, role, profile } => {
                let token = sign_on_token(token_file, profile)?;
                let query: String = url::form_urlencoded::Serializer::new(String::new())
                    .extend_pairs([("account_id", account), ("role_name", role)])
                    .finish();
                let request = http::Request::get(format!("{endpoint}/federation/credentials?{query}"));
                let request = request.header("x-amz-sso_bearer_token", secret(&token)?);
                let body = ask(client, &built(request, String::new())?).await?;
                role_credentials(&body)
            }
            Self::Role { .. } => self.assume().await,
        }
    }

    async fn assume(&self) -> Result<Fetched, String> {
        let Self::Role { client, endpoint, region, source, role, session, external_id, duration_s } = self else {
            return Err("it is no role".to_owned());
        };
        let credential = source.get_credential().await.map_err(|error| error.to_string())?;
        let mut fields = vec![("Action", "AssumeRole"), ("Version", "2011-06-15"), ("RoleArn", role)];
        fields.push(("RoleSessionName", session.as_deref().unwrap_or("ecosight")));
        let seconds = duration_s.map(|seconds| seconds.to_string());
        fields.extend(external_id.as_deref().map(|id| ("ExternalId", id)));
        fields.extend(seconds.as_deref().map(|seconds| ("DurationSeconds", seconds)));
        let form = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
        let request = http::Request::post(format!("{endpoint}/"));
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").header(ACCEPT, "text/xml");
        let mut request = built(request, form)?;
        AwsAuthorizer::new(&credential, "sts", region)
            .try_authorize(&mut request, None)
            .map_err(|error| error.to_string())?;
        let body = ask(client, &request).await?;
        let text = String::from_utf8_lossy(&body);
        let answer: RoleAnswer =
            quick_xml::de::from_str(&text).map_err(|_| "the server answered no credentials".to_owned())?;
        Ok(answer.assume_role_result.credentials.into())
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleAnswer {
    assume_role_result: RoleResult,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RoleResult {
    credentials: Printed,
}

fn role_credentials(body: &[u8]) -> Result<Fetched, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Answer {
        role_credentials: Keys,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Keys {
        access_key_id: String,
        secret_access_key: String,
        session_token: String,
        /// In milliseconds since 1970.
        expiration: i64,
    }
    let answer: Answer = serde_json::from_slice(body).map_err(|_| "the portal answered no credentials".to_owned())?;
    let Keys { access_key_id: key_id, secret_access_key: secret_key, session_token, expiration } =
        answer.role_credentials;
    let credential = Arc::new(AwsCredential { key_id, secret_key, token: Some(session_token) });
    Ok(Fetched { credential, expires: DateTime::from_timestamp_millis(expiration) })
}

/// The token of whoever has signed on. Whether it has expired, the portal says.
fn sign_on_token(path: &Path, profile: &str) -> Result<String, String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Cached {
        access_token: String,
    }
    let again = format!("sign on with `aws sso login --profile {profile}`");
    let text = text_of(path).map_err(|_| format!("nobody has signed on: {again}"))?;
    let cached: Cached =
        serde_json::from_str(&text).map_err(|_| format!("`{}` holds no token: {again}", path.display()))?;
    Ok(cached.access_token)
}

fn text_of(path: &Path) -> Result<String, String> {
    let text = read_regular_text(path).map_err(|error| format!("`{}`: {error}", path.display()))?;
    Ok(text.trim().to_owned())
}

/// A value of a header that is not shown.
fn secret(text: &str) -> Result<HeaderValue, String> {
    let mut value = HeaderValue::from_str(text).map_err(|_| "its token has characters that no token has".to_owned())?;
    value.set_sensitive(true);
    Ok(value)
}

fn built(request: http::request::Builder, body: String) -> Result<HttpRequest, String> {
    request.body(HttpRequestBody::from(body)).map_err(|error| error.to_string())
}

/// The body of a successful answer. What fails on the way or in the server is tried again.
async fn ask(client: &HttpClient, request: &HttpRequest) -> Result<Bytes, String> {
    let mut why = String::new();
    for number in 0..TRIES.0 {
        if number > 0 {
            tokio::time::sleep(TRIES.1).await;
        }
        let response = match client.execute(request.clone()).await {
            Ok(response) => response,
            Err(error) => {
                let first: &(dyn std::error::Error + 'static) = &error;
                let causes = std::iter::successors(Some(first), |error| (*error).source());
                why = causes.last().map_or_else(|| error.to_string(), ToString::to_string);
                continue;
            }
        };
        let status = response.status();
        let body = response.into_body().bytes().await.map_err(|error| error.to_string())?;
        if status.is_success() {
            return Ok(body);
        }
        let said = without_markup(&String::from_utf8_lossy(&body[..body.len().min(2000)]));
        let host = request.uri().host().unwrap_or_default();
        why = format!("{host} answered {status}: {}", said.trim().escape_debug());
        if !status.is_server_error() {
            break;
        }
    }
    Err(why)
}

/// Runs a profile's `credential_process`.
fn printed_by(command: &str) -> Result<Fetched, String> {
    #[cfg(unix)]
    let output = std::process::Command::new("sh").arg("-c").arg(command).output();
    #[cfg(not(unix))]
    let output = std::process::Command::new("cmd").arg("/C").arg(command).output();
    let output = output.map_err(|error| format!("`credential_process` does not start: {error}"))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        return Err(format!("`credential_process` failed: {said}"));
    }
    let printed: Printed =
        serde_json::from_slice(&output.stdout).map_err(|_| "`credential_process` printed no credentials".to_owned())?;
    Ok(printed.into())
}
