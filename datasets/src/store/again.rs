//! Asking again. The client of a bucket repeats by itself what a server refuses for the moment or what never reached it; what broke off in the
//! middle is repeated here, because only here it is known that this does no harm.

use std::error::Error;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use object_store::client::HttpError;
use tokio::time::Instant;

use super::Store;
use super::response_check::UnexpectedResponse;

/// Pause before the first repetition; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// No pause is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How often it is looked whether to leave off.
const LOOK: Duration = Duration::from_millis(100);

/// The user has asked to stop while a server was being asked.
#[derive(Debug, thiserror::Error)]
#[error("interrupted")]
pub(crate) struct Stopped;

impl Store {
    /// What `ask` gets, asked again for as long as requests are tried if it broke off on its way, or until the store is stopped. Nothing that is
    /// asked for may be worse for being done twice, or for being left off.
    pub(super) async fn again<T, F>(&self, mut ask: impl FnMut() -> F) -> object_store::Result<T>
    where
        F: Future<Output = object_store::Result<T>>,
    {
        let retry_for = self.access.as_ref().map_or(Duration::ZERO, |access| access.settings.retry_for);
        let (began, mut pause) = (Instant::now(), FIRST_PAUSE);
        loop {
            let asked = match &self.stop {
                None => ask().await,
                Some(stop) => tokio::select! {
                    asked = ask() => asked,
                    () = set(stop) => Err(object_store::Error::Generic { store: "bucket", source: Box::new(Stopped) }),
                },
            };
            match asked {
                Err(error) if broke_off(&error) && began.elapsed() + pause < retry_for => {
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(LONGEST_PAUSE);
                }
                result => return result,
            }
        }
    }
}

/// Comes back once `stop` is set.
async fn set(stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        tokio::time::sleep(LOOK).await;
    }
}

/// Whether the connection is to blame, not what the server said.
fn broke_off(error: &object_store::Error) -> bool {
    let first: &(dyn Error + 'static) = error;
    let causes = || std::iter::successors(Some(first), |error| (*error).source());
    causes().any(<dyn Error>::is::<HttpError>) && !causes().any(<dyn Error>::is::<UnexpectedResponse>)
}
