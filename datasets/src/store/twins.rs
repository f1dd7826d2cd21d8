//! The same content under two names of one folder.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use super::Object;
use super::sum::{Sum, is_sum};
use crate::DatasetError;

/// Objects, to be found by their content. Going by size and entity tag, which were listed, it asks nobody; content whose tags are no checksums
/// is not recognised.
#[derive(Debug, Default)]
pub struct Twins {
    /// By folder and size, then by tag; in the order of their names.
    objects: HashMap<(String, u64), BTreeMap<String, Vec<Object>>>,
}

impl Twins {
    /// These objects.
    pub fn of<'a>(objects: impl IntoIterator<Item = &'a Object>) -> Self {
        let mut twins = Self::default();
        for object in objects {
            let Some(tag) = object.etag.as_deref().filter(|tag| is_sum(tag)) else { continue };
            let group = twins.objects.entry((folder(&object.uri).to_owned(), object.size_bytes)).or_default();
            group.entry(tag.trim_matches('"').to_owned()).or_default().push(object.clone());
        }
        let lists = twins.objects.values_mut().flat_map(BTreeMap::values_mut);
        lists.for_each(|list| list.sort_by(|a, b| a.uri.cmp(&b.uri)));
        twins
    }

    /// The object with the content of the file at `path`, in the folder that `name` lies in; `name` itself before any other.
    pub fn find(&self, name: &str, path: &Path) -> Result<Option<&Object>, DatasetError> {
        let failed = DatasetError::at("read file", path);
        let look = || -> std::io::Result<Option<&Object>> {
            let Some(group) = self.objects.get(&(folder(name).to_owned(), path.metadata()?.len())) else {
                return Ok(None);
            };
            let sum = Sum::of_file(path)?;
            let found = group.iter().find(|(tag, _)| sum.has_tag(Some(tag))).map(|(_, objects)| objects);
            Ok(found.and_then(|objects| objects.iter().find(|object| object.uri == name).or_else(|| objects.first())))
        };
        look().map_err(failed)
    }

    /// Objects that look like another one of their folder: the one that has the first name, and the others.
    pub fn repeated(&self) -> Vec<(&Object, &[Object])> {
        let lists = self.objects.values().flat_map(BTreeMap::values);
        let mut found: Vec<_> = lists.filter_map(|list| list.split_first()).collect();
        found.retain(|(_, others)| !others.is_empty());
        found.sort_by(|a, b| a.0.uri.cmp(&b.0.uri));
        found
    }
}

fn folder(name: &str) -> &str {
    name.rsplit_once('/').map_or("", |(folder, _)| folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_found_under_another_name_of_its_folder_alone() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "hello").unwrap();
        let object = |uri: &str, tag: &str| Object {
            uri: uri.to_owned(),
            size_bytes: 5,
            etag: Some(format!("\"{tag}\"")),
            modified_ms: 0,
        };
        let md5 = "5d41402abc4b2a76b9719d911017c592";
        let objects = [object("x/c", md5), object("x/b", md5), object("y/d", &"0".repeat(32)), object("y/e", "opaque")];
        let twins = Twins::of(&objects);
        let find = |name: &str| twins.find(name, &path).unwrap().map(|object| object.uri.as_str());
        assert_eq!((find("x/a"), find("x/c"), find("y/a"), find("z/a")), (Some("x/b"), Some("x/c"), None, None));
        let repeated: Vec<_> = twins.repeated().into_iter().map(|(kept, gone)| (&kept.uri, gone.len())).collect();
        assert_eq!(repeated, [(&"x/b".to_owned(), 1)]);
    }
}
