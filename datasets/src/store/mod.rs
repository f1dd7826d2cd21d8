//! Where bytes lie: a folder on this machine or a prefix in a bucket, behind one interface.
//!
//! A [`Place`] says where, [`Settings`] how to get there, and a [`Store`] reads and writes. Names in a store are paths below its place with
//! `/` between their parts.
//!
//! * Listing reads names, sizes and entity tags, never content. A name that cannot be addressed is left out and reported.
//! * A success status alone is not believed: what is no listing or no object is an error, not an empty bucket.
//! * What is written appears whole or not at all, and was compared with what was sent before it counts as written.
//! * A creation whose answer was lost is read back before it is called a conflict.
//! * Requests that fail are tried again with a growing, random pause; a server that is gone is an error after some time, never a hang.

mod again;
pub mod cache;
pub mod checks;
mod clock;
mod compare;
mod connect;
mod credentials;
mod entries;
mod environment;
mod many;
mod media;
mod open;
mod overruled;
mod parts;
mod place;
mod read;
mod response_check;
mod settings;
mod sum;
mod trouble;
mod twins;
mod url;
mod write;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Location;
use object_store::signer::Signer;

pub use self::url::{DEFAULT_EXPIRY, MAX_EXPIRY, Permission};
pub(crate) use again::Stopped;
pub use cache::AudioCache;
pub use clock::date_of_server;
pub use compare::Depth;
pub use connect::{MAX_REQUESTS, keys};
pub use credentials::Credentials;
pub use entries::Entries;
pub use environment::{Environment, Setting};
pub use many::{AT_A_TIME, Room, each};
pub use media::media_type;
pub use open::{CHANGED, FORBIDDEN, OpenError, Version};
pub use overruled::Overruled;
pub use place::{BucketPlace, Place, Scheme};
pub use read::{Listing, Object, describe_loops};
pub use response_check::is_path;
pub use settings::{
    BUCKET_VARIABLES, CloudFront, DEFAULT_REGION, ENDPOINT_VARIABLES, Encryption, REGION_VARIABLES, Settings,
};
#[cfg(feature = "aws-admin")]
pub(crate) use trouble::HTML;
pub use trouble::{Trouble, without_markup};
pub use twins::Twins;
pub use write::{Created, Labels, PART_BYTES, Written};

use crate::DatasetError;

/// How to get at places: the settings, and where fetched audio is kept.
#[derive(Clone, Debug)]
pub struct Access {
    /// How buckets are reached.
    pub settings: Arc<Settings>,
    /// Keeps audio from buckets on this machine.
    pub cache: Arc<AudioCache>,
}

impl Access {
    /// The same for somebody who waits: requests are tried for `patience`, unless `S3_RETRY_SECONDS` says for how long.
    #[must_use]
    pub fn patient_for(&self, patience: Duration) -> Self {
        let mut settings = Settings::clone(&self.settings);
        if settings.environment.get(settings::RETRY_SECONDS).is_none() {
            settings.retry_for = patience;
        }
        Self { settings: settings.into(), cache: self.cache.clone() }
    }
}

/// A collection of files below one place.
pub struct Store {
    place: Place,
    files: Arc<dyn ObjectStore>,
    /// The same, for requests that carry content.
    sender: Arc<dyn ObjectStore>,
    /// The same, for uploads in parts that fail where an object is; none where that takes a copy.
    creator: Option<Arc<dyn ObjectStore>>,
    /// Keys of the bucket that no path can be, as they were left out of listings.
    skipped: response_check::SkippedKeys,
    /// Below which names are; empty for a folder, whose store begins there.
    prefix: Location,
    signer: Option<Arc<dyn Signer>>,
    access: Option<Access>,
    /// Stores of other buckets that a manifest names.
    others: Mutex<BTreeMap<String, Arc<Store>>>,
    /// Set when large objects that are under way are to be given up.
    stop: Option<Arc<AtomicBool>>,
}

/// Why a name is none of an object.
const UNUSABLE: &str = "a part of it is empty, `.` or `..`, or has a character that cannot be printed";

impl Store {
    /// The store at `place`. A folder must exist; a bucket is not asked yet.
    pub fn connect(place: &Place, access: &Access) -> Result<Self, DatasetError> {
        match place {
            Place::Local(folder) => Ok(Self { access: Some(access.clone()), ..Self::folder(folder)? }),
            Place::Bucket(bucket) => {
                let connect::Connection { files, sender, creator, signer, skipped } =
                    connect::connect(bucket, &access.settings)?;
                let prefix = Location::parse(&bucket.prefix)
                    .map_err(|error| DatasetError::invalid("connect to", place.to_string(), error.to_string()))?;
                let access = Some(access.clone());
                Ok(Self {
                    place: place.clone(),
                    files,
                    sender,
                    creator,
                    skipped,
                    prefix,
                    signer,
                    access,
                    others: Mutex::default(),
                    stop: None,
                })
            }
        }
    }

    /// The local folder `root`, which must exist.
    pub fn folder(root: &Path) -> Result<Self, DatasetError> {
        if !root.is_dir() {
            let why = if root.exists() { "it is a file, not a folder" } else { "there is no such folder" };
            return Err(DatasetError::invalid("open source folder", root.display().to_string(), why));
        }
        let files = LocalFileSystem::new_with_prefix(root).map_err(DatasetError::at("open source folder", root))?;
        Ok(Self::over(Place::Local(root.to_owned()), Arc::new(files)))
    }

    /// Any store of objects that begins at `place`.
    pub fn over(place: Place, files: Arc<dyn ObjectStore>) -> Self {
        let prefix = Location::default();
        Self {
            place,
            sender: files.clone(),
            files,
            creator: None,
            skipped: response_check::SkippedKeys::default(),
            prefix,
            signer: None,
            access: None,
            others: Mutex::default(),
            stop: None,
        }
    }

    /// The same store, which gives up what it sends or fetches once `stop` is set: nothing half-written stays.
    #[must_use]
    pub fn until(self, stop: &Arc<AtomicBool>) -> Self {
        Self { stop: Some(stop.clone()), ..self }
    }

    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(|stop| stop.load(Ordering::Relaxed))
    }

    /// Where it is.
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What tells this store from every other: its place, and the server where that is not the usual one.
    pub fn identity(&self) -> String {
        match &self.access {
            Some(access) => access.settings.identity(&self.place),
            None => self.place.to_string(),
        }
    }

    /// The address of `name` in it, for people.
    pub fn address(&self, name: &str) -> String {
        self.place.join(name).to_string()
    }

    /// Where the object called `name` lies.
    fn location(&self, name: &str) -> Result<Location, DatasetError> {
        let below = Location::parse(name)
            .map_err(|_| DatasetError::invalid("understand the name", format!("{name:?}"), UNUSABLE))?;
        if self.prefix.as_ref().is_empty() {
            return Ok(below);
        }
        Ok(self.prefix.parts().chain(below.parts()).collect())
    }

    /// The name of the object at `location`.
    fn name(&self, location: &Location) -> String {
        let full = location.as_ref();
        let below = full.strip_prefix(self.prefix.as_ref()).unwrap_or(full);
        below.trim_start_matches('/').to_owned()
    }
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Store").field(&self.place).finish()
    }
}
