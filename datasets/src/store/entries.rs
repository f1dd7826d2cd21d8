//! Looking into one folder, without what lies deeper.

use object_store::ObjectStore;

use super::read::is_missing;
use super::{Object, Store};
use crate::DatasetError;

/// What lies in a folder.
#[derive(Debug, Default)]
pub struct Entries {
    /// Names of the folders in it, in order.
    pub folders: Vec<String>,
    /// The files in it, ordered by uri.
    pub objects: Vec<Object>,
    /// One message for each entry whose name cannot be addressed.
    pub unreadable: Vec<String>,
}

impl Store {
    /// What lies in the folder `prefix`, hidden names left out; nothing where there is no such folder.
    pub async fn entries(&self, prefix: &str) -> Result<Entries, DatasetError> {
        if self.place.local().is_some_and(|root| !root.join(prefix).is_dir()) {
            return Ok(Entries::default());
        }
        let root = self.location(prefix)?;
        self.forget_skipped(&root);
        let top = Some(&root).filter(|root| !root.as_ref().is_empty());
        let found = match self.again(|| self.files.list_with_delimiter(top)).await {
            Err(error) if is_missing(&error) => return Ok(Entries::default()),
            found => found.map_err(|error| DatasetError::new("list folder", self.address(prefix), error))?,
        };
        let is_shown = |name: &str| !name.is_empty() && !name.starts_with('.');
        let mut objects: Vec<_> = found.objects.into_iter().map(|meta| self.object(meta)).collect();
        objects.retain(|object| is_shown(object.uri.rsplit('/').next().unwrap_or_default()));
        objects.sort_by(|a, b| a.uri.cmp(&b.uri));
        let mut folders: Vec<_> =
            found.common_prefixes.iter().filter_map(|folder| folder.filename().map(str::to_owned)).collect();
        folders.retain(|name| is_shown(name));
        folders.sort();
        Ok(Entries { folders, objects, unreadable: self.skipped_below(&root) })
    }
}
