//! What every store must do, as checks that can be run on any of them: on those of the tests, and on a bucket that somebody has just set up.
//!
//! A check writes below its own part of one folder and leaves nothing there.

mod conditions;
mod objects;
mod urls;

use futures::StreamExt;

use super::{Labels, MAX_REQUESTS, Store};
use crate::DatasetError;
use crate::runtime::block_on;

/// Something that a store must do.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// One word for it, for tables and programs.
    pub name: &'static str,
    /// What is checked, for people.
    pub about: &'static str,
    /// Runs the check; an error says what the store did instead.
    pub run: fn(&Ground<'_>) -> Result<(), DatasetError>,
}

/// Where checks are run.
#[derive(Clone, Copy, Debug)]
pub struct Ground<'a> {
    /// The store.
    pub store: &'a Store,
    /// A folder in it that holds nothing else.
    pub folder: &'a str,
    /// How many objects are listed; a thousand and some need several pages.
    pub listed: usize,
}

/// All checks. Each can be run by itself.
pub const ALL: [Check; 15] = [
    Check { name: "put_get", about: "what is written is read back", run: objects::put_and_read },
    Check { name: "range", about: "parts of an object are read", run: objects::read_ranges },
    Check { name: "empty", about: "an object without content is kept", run: objects::keep_empty },
    Check { name: "names", about: "names in any script are kept", run: objects::keep_names },
    Check { name: "list", about: "all objects are listed, page by page", run: objects::list_all },
    Check { name: "overwrite", about: "the last write counts", run: objects::overwrite },
    Check { name: "large", about: "large files are written in parts", run: objects::write_parts },
    Check { name: "labels", about: "content type and metadata are kept", run: objects::keep_labels },
    Check { name: "copy", about: "an object is copied, but not over another", run: objects::copy },
    Check { name: "delete", about: "what is deleted is gone", run: objects::delete_twice },
    Check { name: "create", about: "what is there is not overwritten", run: conditions::create },
    Check {
        name: "create_large",
        about: "a large file that is there is not overwritten",
        run: conditions::create_in_parts,
    },
    Check { name: "update", about: "only the version that was read is replaced", run: conditions::update },
    Check { name: "presigned_get", about: "a signed URL lets anybody read", run: urls::get },
    Check { name: "presigned_put", about: "a signed URL lets anybody write", run: urls::put },
];

impl Check {
    /// Runs the check, and removes what it has written.
    pub fn run(&self, ground: &Ground<'_>) -> Result<(), DatasetError> {
        let folder = format!("{}/{}", ground.folder, self.name);
        let ground = Ground { folder: &folder, ..*ground };
        let result = (self.run)(&ground);
        let cleaned = ground.clean();
        result.and(cleaned)
    }
}

impl Ground<'_> {
    fn name(&self, name: &str) -> String {
        format!("{}/{name}", self.folder)
    }

    fn put(&self, name: &str, bytes: &[u8]) -> Result<String, DatasetError> {
        let name = self.name(name);
        block_on(self.store.put(&name, bytes.to_vec(), &Labels::default()))?;
        Ok(name)
    }

    fn read(&self, name: &str) -> Result<Option<Vec<u8>>, DatasetError> {
        block_on(self.store.read(name, None))
    }

    /// That what was found is what was expected.
    fn same<T: PartialEq + std::fmt::Debug>(&self, what: &str, found: &T, expected: &T) -> Result<(), DatasetError> {
        if found == expected { Ok(()) } else { Err(self.wrong(format!("{what}: {found:?} instead of {expected:?}"))) }
    }

    fn wrong(&self, why: String) -> DatasetError {
        DatasetError::invalid("check", self.store.address(self.folder), why)
    }

    /// Deletes all that is below its folder.
    fn clean(&self) -> Result<(), DatasetError> {
        block_on(async {
            let listing = self.store.list_below(self.folder).await?;
            let deletions = listing.objects.iter().map(|object| self.store.delete(&object.uri));
            let mut deletions = futures::stream::iter(deletions).buffer_unordered(MAX_REQUESTS);
            while let Some(deleted) = deletions.next().await {
                deleted?;
            }
            Ok(())
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::store::Place;

    fn check(store: &Store) {
        let ground = Ground { store, folder: "temp/checks", listed: 1100 };
        for check in ALL {
            check.run(&ground).unwrap_or_else(|error| panic!("{}: {error}: {}", check.name, error.kind));
        }
        assert_eq!(block_on(store.list()).unwrap().objects, []);
    }

    #[test]
    fn a_store_in_memory_does_all_that_a_store_must() {
        let memory = Arc::new(object_store::memory::InMemory::new());
        check(&Store::over(Place::parse("s3://memory").unwrap(), memory));
    }

    #[test]
    fn a_folder_does_all_that_a_store_must() {
        let dir = tempfile::tempdir().unwrap();
        check(&Store::folder(dir.path()).unwrap());
    }
}
