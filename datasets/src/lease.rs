//! One writer of a data root in a bucket at a time: an object that says who writes, and until when if it is not renewed.
//!
//! It is taken, renewed and given back under conditions, so that of two who come at once one is turned away. Who is cut off loses it when its
//! time is over; what it writes after that is refused, because all that matters is written under a condition too.

use std::sync::Arc;

use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde::{Deserialize, Serialize};

use crate::key::KeyHasher;
use crate::store::{Labels, Store};
use crate::{DatasetError, DatasetErrorKind};

/// Name of the object below the data root.
const NAME: &str = crate::layout::LEASE;

/// For how long it is good without being renewed.
const GOOD_FOR: TimeDelta = TimeDelta::seconds(120);

/// How often it is to be renewed.
pub const RENEW_EVERY: std::time::Duration = std::time::Duration::from_secs(20);

/// How far the clocks of two machines may be apart.
const CLOCKS: TimeDelta = TimeDelta::seconds(30);

/// A lease that is held.
pub struct Lease {
    store: Arc<Store>,
    content: Content,
    etag: String,
}

/// Who wants a data root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// For people: process and machine.
    pub name: String,
    /// Tells the working copies of all machines apart. Only one process at a time uses one, so that a lease which this very copy holds was
    /// left by one that is dead.
    pub copy: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Content {
    format: u32,
    holder: Holder,
    since: String,
    expires_at: DateTime<Utc>,
    /// Tells two contents of one second apart.
    nonce: String,
}

/// The lease cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// Another process has it.
    #[error("another run is writing this data root: {holder} since {since}")]
    Held {
        /// Who.
        holder: String,
        /// Since when, in UTC.
        since: String,
    },
    /// It was held and is another's now.
    #[error("the data root was taken over by {0}")]
    Lost(String),
    /// The store fails.
    #[error(transparent)]
    Store(#[from] DatasetError),
}

impl Lease {
    /// Takes the lease of the data root in `store`, or says who has it.
    pub async fn take(store: Arc<Store>, holder: &Holder, now: DateTime<Utc>) -> Result<Self, LeaseError> {
        let content = Content::new(holder, now, now);
        let written = match read(&store).await? {
            None => store.create(NAME, content.bytes(), &Labels::default()).await.map(crate::store::Created::written),
            Some((there, etag)) if there.holder.copy == holder.copy || there.expires_at + CLOCKS < now => {
                store.update(NAME, content.bytes(), &etag).await
            }
            Some((there, _)) => return Err(there.held()),
        };
        match written {
            Ok(written) => Ok(Self { store, content, etag: written.etag.unwrap_or_default() }),
            // Somebody was quicker.
            Err(DatasetError { kind: DatasetErrorKind::Conflict, .. }) => match read(&store).await? {
                Some((there, _)) => Err(there.held()),
                None => Err(LeaseError::Held { holder: "another process".to_owned(), since: content.since }),
            },
            Err(error) => Err(error.into()),
        }
    }

    /// Who has the lease of the data root in `store` at `now`, and since when.
    pub async fn holder(store: &Store, now: DateTime<Utc>) -> Result<Option<(String, String)>, DatasetError> {
        let there = read(store).await?.map(|(there, _)| there).filter(|there| there.expires_at > now);
        Ok(there.map(|there| (there.holder.name, there.since)))
    }

    /// Keeps it for some more time.
    pub async fn renew(&mut self, now: DateTime<Utc>) -> Result<(), LeaseError> {
        let since = self.content.expires_at - GOOD_FOR;
        let content = Content { since: self.content.since.clone(), ..Content::new(&self.content.holder, since, now) };
        match self.store.update(NAME, content.bytes(), &self.etag).await {
            Ok(written) => {
                (self.content, self.etag) = (content, written.etag.unwrap_or_default());
                Ok(())
            }
            Err(DatasetError { kind: DatasetErrorKind::Conflict, .. }) => {
                let holder = read(&self.store).await?.map(|(there, _)| there.holder.name);
                Err(LeaseError::Lost(holder.unwrap_or_else(|| "another process".to_owned())))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Until when it is good.
    pub fn expires_at(&self) -> DateTime<Utc> {
        self.content.expires_at
    }

    /// Gives it back. Left to itself it expires.
    pub async fn release(self) -> Result<(), DatasetError> {
        match read(&self.store).await? {
            Some((there, _)) if there.nonce == self.content.nonce => self.store.delete(NAME).await,
            _ => Ok(()),
        }
    }
}

/// Who has the lease of the data root in `store`, and since when; nobody whose time is over.
pub async fn holder(store: &Store, now: DateTime<Utc>) -> Result<Option<(String, String)>, DatasetError> {
    let there = read(store).await?.map(|(there, _)| there);
    Ok(there.filter(|there| there.expires_at + CLOCKS >= now).map(|there| (there.holder.name, there.since)))
}

impl Content {
    fn new(holder: &Holder, since: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let nanoseconds = now.timestamp_nanos_opt().unwrap_or_default() as u64;
        let nonce = KeyHasher::new("lease").str(&holder.copy).str(&holder.name).u64(nanoseconds).finish().to_string();
        Self {
            format: 1,
            holder: holder.clone(),
            since: since.to_rfc3339_opts(SecondsFormat::Secs, true),
            expires_at: now + GOOD_FOR,
            nonce,
        }
    }

    fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(self).expect("text and numbers can be written as JSON")
    }

    fn held(self) -> LeaseError {
        LeaseError::Held { holder: self.holder.name, since: self.since }
    }
}

async fn read(store: &Store) -> Result<Option<(Content, String)>, DatasetError> {
    let Some((bytes, etag)) = store.read_tagged(NAME, None).await? else { return Ok(None) };
    let content =
        serde_json::from_slice(&bytes).map_err(|error| DatasetError::new("read lease", store.address(NAME), error))?;
    Ok(Some((content, etag.unwrap_or_default())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::block_on;
    use crate::store::Place;

    fn holder_called(name: &str) -> Holder {
        Holder { name: format!("process {name}"), copy: name.to_owned() }
    }

    #[test]
    fn of_two_writers_one_waits_until_the_other_is_done_or_dead() {
        let place = Place::parse("s3://memory").unwrap();
        let store = Arc::new(Store::over(place, Arc::new(object_store::memory::InMemory::new())));
        let noon: DateTime<Utc> = "2026-01-01T12:00:00Z".parse().unwrap();
        let take = |name: &str, seconds: i64| {
            block_on(Lease::take(store.clone(), &holder_called(name), noon + TimeDelta::seconds(seconds)))
        };
        let mut first = take("a", 0).unwrap();
        let error = take("b", 1).err().unwrap().to_string();
        assert_eq!(error, "another run is writing this data root: process a since 2026-01-01T12:00:00Z");
        block_on(first.renew(noon + TimeDelta::seconds(100))).unwrap();
        assert!(take("b", 200).is_err());
        // Renewed last after 100 s, good for 120 s, and 30 s for the clocks.
        let second = take("b", 251).unwrap();
        assert!(
            matches!(block_on(first.renew(noon + TimeDelta::seconds(252))), Err(LeaseError::Lost(name)) if name == "process b")
        );
        block_on(first.release()).unwrap();
        assert!(block_on(holder(&store, noon)).unwrap().is_some(), "what is another's is not given back");
        // The same working copy has no other living user.
        let third = take("b", 252).unwrap();
        block_on(third.release()).unwrap();
        block_on(second.release()).unwrap();
        take("a", 253).unwrap();
    }
}
