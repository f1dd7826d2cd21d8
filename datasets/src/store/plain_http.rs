//! Requests without keys, as those make who were given a URL.

use std::time::Duration;

use reqwest::Client;

use super::Permission;
use crate::runtime::choose_cryptography;
use crate::{DatasetError, DatasetErrorKind};

/// Nobody waits longer for a few bytes.
const TIMEOUT: Duration = Duration::from_secs(20);

/// What a server answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Its status: 200 is fine.
    pub status: u16,
    /// When it says that it answered.
    pub date: Option<String>,
    /// What it sent.
    pub body: Vec<u8>,
}

/// Asks for what is at `url`, or puts `body` there.
pub async fn ask(url: &str, to: Permission, body: Vec<u8>) -> Result<Answer, DatasetError> {
    choose_cryptography();
    // What stands behind the question mark of a signed URL is a key.
    let shown = url.split('?').next().unwrap_or_default().to_owned();
    let failed = |error: reqwest::Error| {
        let error = error.without_url();
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        let text = causes.map(ToString::to_string).collect::<Vec<_>>().join(": ");
        DatasetError::new("ask", shown.clone(), DatasetErrorKind::Server(text))
    };
    let client = Client::builder().timeout(TIMEOUT).build().map_err(failed)?;
    let request = match to {
        Permission::Get => client.get(url),
        Permission::Put => client.put(url),
    };
    let answer = request.body(body).send().await.map_err(failed)?;
    let date = answer.headers().get("date").and_then(|date| date.to_str().ok()).map(str::to_owned);
    Ok(Answer { status: answer.status().as_u16(), date, body: answer.bytes().await.map_err(failed)?.to_vec() })
}
