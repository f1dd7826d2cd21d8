//! Objects are written under a condition.

use std::io::Write;

use super::Ground;
use super::objects::is_conflict;
use crate::DatasetError;
use crate::runtime::block_on;
use crate::store::{Created, Labels, PART_BYTES};

pub(super) fn create(ground: &Ground<'_>) -> Result<(), DatasetError> {
    let name = ground.name("new");
    let create = |text: &str| block_on(ground.store.create(&name, text.into(), &Labels::default()));
    let first = create("content")?;
    ground.same("a first creation is one", &matches!(first, Created::New(_)), &true)?;
    let second = create("content")?;
    ground.same("the same bytes are there already", &matches!(second, Created::Same(_)), &true)?;
    ground.same("a creation over other bytes is refused", &is_conflict(create("another")), &true)?;
    ground.same("a creation over bytes of the same size is refused", &is_conflict(create("CONTENT")), &true)?;
    ground.same("content", &ground.read(&name)?, &Some(b"content".to_vec()))
}

pub(super) fn create_in_parts(ground: &Ground<'_>) -> Result<(), DatasetError> {
    let name = ground.name("large");
    let file = |byte: u8| {
        let failed = |error: std::io::Error| DatasetError::new("write file", "temporary file", error);
        let mut file = tempfile::NamedTempFile::new().map_err(failed)?;
        file.write_all(&vec![byte; PART_BYTES + 1000]).map_err(failed)?;
        Ok::<_, DatasetError>(file)
    };
    // Whatever is there is met when the upload is completed, as if somebody had created it meanwhile.
    let create = |byte: u8| {
        let file = file(byte)?;
        block_on(ground.store.create_in_parts(file.path(), &name, &Labels::default(), &|_| ()))
    };
    let first = create(1)?;
    ground.same("a first creation is one", &matches!(first, Created::New(_)), &true)?;
    let second = create(1)?;
    ground.same("the same bytes are there already", &matches!(second, Created::Same(_)), &true)?;
    ground.same("a creation over other bytes is refused", &is_conflict(create(2)), &true)?;
    let there = ground.read(&name)?.unwrap_or_default();
    ground.same("content", &(there.len(), there.first()), &(PART_BYTES + 1000, Some(&1)))
}

pub(super) fn update(ground: &Ground<'_>) -> Result<(), DatasetError> {
    let name = ground.put("pointer.json", b"first")?;
    let tag = |name: &str| {
        let etag = block_on(ground.store.look(name))?.and_then(|object| object.etag);
        etag.ok_or_else(|| ground.wrong("it has no entity tag".to_owned()))
    };
    let first = tag(&name)?;
    let update = |text: &str, etag: &str| block_on(ground.store.update(&name, text.into(), etag));
    let written = update("second", &first)?;
    ground.same("entity tag", &written.etag, &Some(tag(&name)?))?;
    ground.same("an update of an old version is refused", &is_conflict(update("third", &first)), &true)?;
    ground.same("content", &ground.read(&name)?, &Some(b"second".to_vec()))?;
    let missing = ground.name("nothing");
    let made = block_on(ground.store.update(&missing, b"x".to_vec(), &first));
    ground.same("an update of nothing is refused", &is_conflict(made), &true)
}
