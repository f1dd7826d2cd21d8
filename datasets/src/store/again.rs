//! Asking again. The client of a bucket repeats by itself what a server refuses for the moment or what never reached it; what broke off in the
//! middle is repeated here, because only here it is known that this does no harm.

use std::error::Error;
use std::time::Duration;

use object_store::client::HttpError;
use tokio::time::Instant;

use super::Store;

/// Pause before the first repetition; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

impl Store {
    /// What `ask` gets, asked again for as long as requests are tried if it broke off on its way. Nothing that is asked for may be worse for
    /// being done twice.
    pub(super) async fn again<T, F>(&self, mut ask: impl FnMut() -> F) -> object_store::Result<T>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let retry_for = self.access.as_ref().map_or(Duration::ZERO, |access| access.settings.retry_for);
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            match ask().await {
                Err(error) if broke_off(&error) && began.elapsed() + pause < retry_for => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                result => return result,
            }
        }
    }
}

/// Whether the connection is to blame, not what the server said.
fn broke_off(error: &object_store::Error) -> bool {
    let first: &(dyn Error + 'static) = error;
    std::iter::successors(Some(first), |error| (*error).source()).any(<dyn Error>::is::<HttpError>)
}
