//! What time a server thinks it is: signatures carry the time, and one that differs too much is refused.

use std::time::Duration;

use crate::runtime::choose_cryptography;
use crate::{DatasetError, DatasetErrorKind};

/// Nobody waits longer for a few bytes.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The `Date` of a server's answer, whatever else it answers; none where it has none. No keys are sent.
pub fn date_of_server(url: &str) -> Result<Option<String>, DatasetError> {
    choose_cryptography();
    let config = ureq::Agent::config_builder().timeout_global(Some(TIMEOUT)).http_status_as_error(false);
    let agent = ureq::Agent::new_with_config(config.max_redirects(0).build());
    let failed = |error: ureq::Error| DatasetError::new("ask", url, DatasetErrorKind::Server(error.to_string()));
    let answer = agent.get(url).call().map_err(failed)?;
    Ok(answer.headers().get("date").and_then(|date| date.to_str().ok()).map(str::to_owned))
}
