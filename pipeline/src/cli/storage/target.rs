//! What a word of the command line names: an address, or a name below the configured store.

use ecosight_datasets::layout::Area;
use ecosight_datasets::store::{BucketPlace, Place, Store};

use crate::cli::error::CliError;
use crate::cli::session::{Globals, absolute};

/// A store and a name in it.
pub(super) struct Target {
    pub(super) store: Store,
    /// Name of an object or a folder; empty for the whole store.
    pub(super) name: String,
    pub(super) named: Named,
}

/// How a user has named something.
pub(super) enum Named {
    /// By a name below the configured store.
    Below,
    /// By its whole address.
    Address,
}

impl Target {
    /// What `text` names. Nothing is asked of a server.
    pub(super) fn of(text: &str, globals: &Globals) -> Result<Self, CliError> {
        let root = root(globals)?;
        let Some((place, name)) = address(text, &root)? else {
            let name = text.trim_matches('/').to_owned();
            return Ok(Self { store: connect(&root, globals)?, name, named: Named::Below });
        };
        Ok(Self { store: connect(&place, globals)?, name, named: Named::Address })
    }

    /// Its address, for people.
    pub(super) fn address(&self) -> String {
        if self.name.is_empty() { self.store.place().to_string() } else { self.store.address(&self.name) }
    }

    /// The last part of its name.
    pub(super) fn last(&self) -> &str {
        self.name.rsplit('/').next().unwrap_or_default()
    }
}

/// The store that is configured: the bucket, else the data root.
pub(super) fn root(globals: &Globals) -> Result<Place, CliError> {
    match globals.access()?.settings.configured() {
        Ok(place) => Ok(place.clone()),
        Err(_) => Ok(match globals.root() {
            Place::Local(folder) => Place::Local(absolute(folder)?),
            bucket @ Place::Bucket(_) => bucket.clone(),
        }),
    }
}

/// The bucket that is configured beside a local data root; where there is none, that is a mistake.
pub(super) fn bucket(globals: &Globals) -> Result<Place, CliError> {
    if globals.root().bucket().is_some() {
        let error = format!("the data root `{}` is in a bucket itself", globals.root());
        return Err(CliError::usage(error, "name the folder with the local recordings: `--data-root DIR`"));
    }
    let configured = globals.access()?.settings.configured();
    configured.cloned().map_err(|why| CliError::usage(why, "`ecosight storage status` shows what is configured"))
}

/// The name in the bucket that is configured, of the object at `address`; nothing where it lies elsewhere.
pub(super) fn name_in_bucket(address: &str, globals: &Globals) -> Result<Option<String>, CliError> {
    let Ok(bucket) = globals.access()?.settings.configured() else { return Ok(None) };
    let below = address.strip_prefix(&bucket.to_string()).and_then(|rest| rest.strip_prefix('/'));
    Ok(below.map(str::to_owned))
}

/// The store at `place`, which gives up when the user asks for that.
pub(super) fn connect(place: &Place, globals: &Globals) -> Result<Store, CliError> {
    if place.local().is_some_and(|folder| !folder.is_dir()) {
        let message = format!("there is no data root `{place}`, and no bucket is configured");
        return Err(CliError::usage(message, "name one with `--data-root`, or a bucket with `S3_BUCKET`"));
    }
    Ok(Store::connect(place, globals.access()?)?.until(&globals.cancelled))
}

/// The store and the name in it that an address means; nothing where `text` is no address. A store begins where its layout does, so that its
/// names say area and class.
fn address(text: &str, configured: &Place) -> Result<Option<(Place, String)>, CliError> {
    if !text.contains("://") {
        return Ok(None);
    }
    let Place::Bucket(named) = Place::parse(text)? else {
        return Err(CliError::usage(
            format!("`{text}` is no address of a bucket"),
            "type `s3://bucket/name`, or a name below the configured store",
        ));
    };
    let root = match configured.bucket() {
        Some(known) if is_below(&named, known) => known.prefix.clone(),
        _ => {
            let parts: Vec<_> = named.prefix.split('/').collect();
            let is_area = |part: &&str| Area::ALL.iter().any(|area| area.name() == *part);
            parts.iter().position(is_area).map_or(String::new(), |at| parts[..at].join("/"))
        }
    };
    let name = named.prefix[root.len()..].trim_start_matches('/').to_owned();
    Ok(Some((Place::Bucket(BucketPlace { prefix: root, ..named }), name)))
}

fn is_below(named: &BucketPlace, known: &BucketPlace) -> bool {
    let is_same = named.scheme == known.scheme && named.bucket == known.bucket;
    let rest = named.prefix.strip_prefix(known.prefix.as_str());
    is_same && rest.is_some_and(|rest| known.prefix.is_empty() || rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_parted_where_its_layout_begins() {
        let configured = Place::parse("s3://bucket/team").unwrap();
        for (text, place, name) in [
            ("s3://bucket/team/extracted_audio/dog", "s3://bucket/team", "extracted_audio/dog"),
            ("s3://bucket/team", "s3://bucket/team", ""),
            ("s3://bucket/teams/a b/ü.wav", "s3://bucket", "teams/a b/ü.wav"),
            ("s3://other/deep/extracted_audio/dog", "s3://other/deep", "extracted_audio/dog"),
            ("s3://other/x/y.wav", "s3://other", "x/y.wav"),
        ] {
            let (found, rest) = address(text, &configured).unwrap().unwrap();
            assert_eq!((found.to_string().as_str(), rest.as_str()), (place, name), "{text}");
        }
        assert!(address("extracted_audio/dog", &configured).unwrap().is_none());
        assert!(address("file:///etc", &configured).is_err());
    }
}
