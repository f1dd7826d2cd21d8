//! Objects are written, read, listed, copied and deleted.

use std::io::Write;

use futures::{StreamExt, TryStreamExt};

use super::Ground;
use crate::runtime::block_on;
use crate::store::write::HASH;
use crate::store::{Labels, MAX_REQUESTS, PART_BYTES};
use crate::{DatasetError, DatasetErrorKind};

pub(super) fn put_and_read(ground: &Ground<'_>) -> Result<(), DatasetError> {
    let name = ground.name("a/b.wav");
    let written = block_on(ground.store.put(&name, b"content".to_vec(), &Labels::default()))?;
    ground.same("size of what was written", &written.size_bytes, &7)?;
    ground.same("content", &ground.read(&name)?, &Some(b"content".to_vec()))?;
    let object = block_on(ground.store.look(&name))?.ok_or_else(|| ground.wrong("it is not there".to_owned()))?;
    ground.same("name and size", &(object.uri, object.size_bytes), &(name.clone(), 7))?;
    ground.same("entity tag", &object.etag, &written.etag)?;
    let nothing = ground.name("nothing.wav");
    ground.same("what was never written", &ground.read(&nothing)?, &None)?;
    ground.same("what was never written", &block_on(ground.store.look(&nothing))?, &None)
}

pub(super) fn read_ranges(ground: &Ground<'_>) -> Result<(), DatasetError> {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let name = ground.put("range", &bytes)?;
    for (from, to) in [(0, 1), (70_000, 70_010), (99_999, 100_000), (0, 100_000)] {
        let found = block_on(ground.store.read(&name, Some(from..to)))?;
        ground.same("range", &found.as_deref(), &Some(&bytes[from as usize..to as usize]))?;
    }
    Ok(())
}

pub(super) fn keep_empty(ground: &Ground<'_>) -> Result<(), DatasetError> {
    let name = ground.put("empty", b"")?;
    ground.same("content", &ground.read(&name)?, &Some(Vec::new()))?;
    let sizes: Vec<u64> =
        block_on(ground.store.list_below(ground.folder))?.objects.iter().map(|o| o.size_bytes).collect();
    ground.same("listed sizes", &sizes, &vec![0])
}

/// Names that mean something to a URL, to XML, to a shell or to a signature, or are not in ASCII.
const NAMES: [&str; 8] = [
    "with space.wav",
    "ü/日本語.wav",
    "plus+and&amp;.wav",
    "percent%20%zz.wav",
    "quote'\"<tag>.wav",
    "(a)=b,c;d!@$.wav",
    "question?x=1#y.wav",
    "emoji🐸~[1].wav",
];

pub(super) fn keep_names(ground: &Ground<'_>) -> Result<(), DatasetError> {
    let mut names = Vec::new();
    for name in NAMES {
        names.push(ground.put(name, name.as_bytes())?);
    }
    for (name, content) in names.iter().zip(NAMES) {
        ground.same(content, &ground.read(name)?, &Some(content.into()))?;
    }
    names.sort();
    let listing = block_on(ground.store.list_below(ground.folder))?;
    let listed: Vec<String> = listing.objects.into_iter().map(|object| object.uri).collect();
    ground.same("listed names", &listed, &names)?;
    ground.same("names that cannot be read", &listing.unreadable, &Vec::new())
}

pub(super) fn list_all(ground: &Ground<'_>) -> Result<(), DatasetError> {
    let name = |number: usize| ground.name(&format!("{}/{number:06}", number % 3));
    let put = |number: usize| async move {
        ground.store.put(&name(number), number.to_string().into_bytes(), &Labels::default()).await
    };
    let written =
        futures::stream::iter(0..ground.listed).map(put).buffer_unordered(MAX_REQUESTS).try_collect::<Vec<_>>();
    block_on(written)?;
    let mut names: Vec<String> = (0..ground.listed).map(name).collect();
    names.sort();
    let objects = block_on(ground.store.list_below(ground.folder))?.objects;
    let listed: Vec<String> = objects.iter().map(|object| object.uri.clone()).collect();
    ground.same("number of names", &listed.len(), &names.len())?;
    ground.same("names", &listed, &names)?;
    for object in objects.iter().take(3) {
        let looked = block_on(ground.store.look(&object.uri))?;
        let state = |object: &crate::store::Object| (object.size_bytes, object.etag.clone());
        ground.same("what a list says of it", &Some(state(object)), &looked.as_ref().map(state))?;
    }
    let mut folders = block_on(ground.store.folders(ground.folder))?;
    folders.sort();
    let expected: Vec<String> = (0..ground.listed.min(3)).map(|number| number.to_string()).collect();
    ground.same("folders", &folders, &expected)
}

pub(super) fn overwrite(ground: &Ground<'_>) -> Result<(), DatasetError> {
    let name = ground.put("twice", b"first")?;
    let before = block_on(ground.store.look(&name))?;
    ground.put("twice", b"other")?;
    ground.same("content", &ground.read(&name)?, &Some(b"other".to_vec()))?;
    let after = block_on(ground.store.look(&name))?;
    if before.and_then(|object| object.etag) == after.and_then(|object| object.etag) {
        return Err(ground.wrong("other content has the same entity tag".to_owned()));
    }
    Ok(())
}

pub(super) fn write_parts(ground: &Ground<'_>) -> Result<(), DatasetError> {
    let local = |error: std::io::Error| DatasetError::new("write file", "temporary file", error);
    let bytes: Vec<u8> = (0..=250).cycle().take(2 * PART_BYTES + 1000).collect();
    let mut file = tempfile::NamedTempFile::new().map_err(local)?;
    file.write_all(&bytes).map_err(local)?;
    let name = ground.name("large.wav");
    let labels = Labels { content_type: Some("audio/wav".to_owned()), ..Labels::default() };
    let written = block_on(ground.store.upload(file.path(), &name, &labels, &|_| {}))?;
    ground.same("size of what was written", &written.size_bytes, &(bytes.len() as u64))?;
    let copy = file.path().with_extension("copy");
    let found = block_on(ground.store.download(&name, &copy, &|_| {}));
    let read = std::fs::read(&copy);
    let _ = std::fs::remove_file(&copy);
    ground.same("whether it was found", &found?, &true)?;
    if read.map_err(local)? != bytes {
        return Err(ground.wrong("other bytes come back than were sent".to_owned()));
    }
    let is_copy = block_on(ground.store.is_copy_of(&name, file.path()))?;
    ground.same("whether it is a copy of what was sent", &is_copy, &true)?;
    ground.same("an upload over another object is refused", &is_conflict(block_on(upload_other(ground, &name))), &true)
}

/// Uploads another file under the same name, as if nothing were there.
async fn upload_other(ground: &Ground<'_>, name: &str) -> Result<(), DatasetError> {
    let local = |error: std::io::Error| DatasetError::new("write file", "temporary file", error);
    let mut file = tempfile::NamedTempFile::new().map_err(local)?;
    file.write_all(b"other").map_err(local)?;
    ground.store.upload_new(file.path(), name, &Labels::default(), &|_| {}).await.map(drop)
}

pub(super) fn keep_labels(ground: &Ground<'_>) -> Result<(), DatasetError> {
    let name = ground.name("labelled.wav");
    let metadata = [("class", "dog"), ("sha256", "00ff")].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let labels = Labels { content_type: Some("audio/wav".to_owned()), metadata: metadata.into() };
    block_on(ground.store.put(&name, b"content".to_vec(), &labels))?;
    let expected = if ground.store.place().local().is_some() { Labels::default() } else { labels };
    let mut found = block_on(ground.store.labels(&name))?;
    if let Some(labels) = &mut found {
        // The store adds it.
        labels.metadata.remove(HASH);
    }
    ground.same("labels", &found, &Some(expected))?;
    ground.same("labels of nothing", &block_on(ground.store.labels(&ground.name("nothing")))?, &None)
}

pub(super) fn copy(ground: &Ground<'_>) -> Result<(), DatasetError> {
    let (from, to) = (ground.put("from ü.wav", b"content")?, ground.name("to.wav"));
    block_on(ground.store.copy(&from, &to))?;
    ground.same("content of the copy", &ground.read(&to)?, &Some(b"content".to_vec()))?;
    let other = ground.put("other.wav", b"other")?;
    ground.same("a copy over another object fails", &is_conflict(block_on(ground.store.copy(&other, &to))), &true)?;
    ground.same("content of the copy", &ground.read(&to)?, &Some(b"content".to_vec()))?;
    if block_on(ground.store.copy(&ground.name("nothing"), &ground.name("new"))).is_ok() {
        return Err(ground.wrong("a copy of nothing is said to be made".to_owned()));
    }
    Ok(())
}

pub(super) fn delete_twice(ground: &Ground<'_>) -> Result<(), DatasetError> {
    let name = ground.put("gone.wav", b"content")?;
    for _ in 0..2 {
        block_on(ground.store.delete(&name))?;
        ground.same("content of what was deleted", &ground.read(&name)?, &None)?;
    }
    Ok(())
}

/// Whether something else was there.
pub(super) fn is_conflict<T>(result: Result<T, DatasetError>) -> bool {
    result.is_err_and(|error| matches!(error.kind, DatasetErrorKind::Conflict))
}
