//! Where a store is: a folder on this machine, or a prefix in a bucket.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::DatasetError;

/// A folder, a file, or a prefix in a bucket. Written and read as one string: a path, or `s3://bucket/prefix`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum Place {
    /// A path on this machine.
    Local(PathBuf),
    /// A prefix in a bucket.
    Bucket(BucketPlace),
}

/// A prefix in a bucket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BucketPlace {
    /// Whose bucket it is.
    pub scheme: Scheme,
    /// Name of the bucket, alias or ARN of an access point; of Azure, `account/container` or the container alone.
    pub bucket: String,
    /// Keys begin with this; no slash at either end, empty for the whole bucket.
    pub prefix: String,
}

/// What kind of server has the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scheme {
    /// Amazon S3 and all that speak as it does.
    S3,
    /// Google Cloud Storage.
    Gcs,
    /// Azure Blob Storage.
    Azure,
}

impl Scheme {
    const ALL: [(&'static str, Self); 6] = [
        ("s3", Self::S3),
        ("s3a", Self::S3),
        ("gs", Self::Gcs),
        ("az", Self::Azure),
        ("azure", Self::Azure),
        ("abfs", Self::Azure),
    ];

    /// As it stands before `://`.
    pub fn name(self) -> &'static str {
        match self {
            Self::S3 => "s3",
            Self::Gcs => "gs",
            Self::Azure => "az",
        }
    }
}

impl Place {
    /// What `text` names: a bucket where it has a scheme, else a path.
    pub fn parse(text: &str) -> Result<Self, DatasetError> {
        let invalid = |why: &str| DatasetError::invalid("understand address", text, why);
        let Some((scheme, rest)) = text.split_once("://") else {
            return if text.is_empty() { Err(invalid("it is empty")) } else { Ok(Self::Local(PathBuf::from(text))) };
        };
        if scheme == "file" {
            return Ok(Self::Local(PathBuf::from(rest)));
        }
        let known = Scheme::ALL.iter().find(|(name, _)| *name == scheme);
        let Some(&(_, scheme)) = known else {
            return Err(invalid("an address begins with `s3://`, `gs://` or `az://`; anything else is a path"));
        };
        Self::in_bucket(scheme, rest).map_err(|why| invalid(&why))
    }

    /// The place `bucket/prefix` of a kind of server; the bucket of S3 may be the ARN of an access point, which has a slash itself.
    fn in_bucket(scheme: Scheme, text: &str) -> Result<Self, String> {
        let of_bucket = if text.starts_with("arn:") { text.find('/').map_or(0, |slash| slash + 1) } else { 0 };
        let end = text[of_bucket..].find('/').map_or(text.len(), |slash| of_bucket + slash);
        let (bucket, prefix) = (&text[..end], text[end..].trim_matches('/'));
        if bucket.is_empty() {
            return Err("it names no bucket".to_owned());
        }
        if bucket.contains(|c: char| c.is_whitespace() || c.is_control()) {
            return Err("the name of a bucket has no spaces".to_owned());
        }
        let prefix = object_store::path::Path::parse(prefix).map_err(|error| error.to_string())?;
        Ok(Self::Bucket(BucketPlace { scheme, bucket: bucket.to_owned(), prefix: prefix.to_string() }))
    }

    /// What a variable such as `S3_BUCKET` says: the name of a bucket, `bucket/prefix`, or a whole address.
    pub fn parse_bucket(text: &str) -> Result<Self, DatasetError> {
        if text.contains("://") {
            return Self::parse(text);
        }
        Self::in_bucket(Scheme::S3, text).map_err(|why| DatasetError::invalid("understand bucket", text, why))
    }

    /// The path, where it is on this machine.
    pub fn local(&self) -> Option<&Path> {
        match self {
            Self::Local(path) => Some(path),
            Self::Bucket(_) => None,
        }
    }

    /// The bucket, where it is in one.
    pub fn bucket(&self) -> Option<&BucketPlace> {
        match self {
            Self::Local(_) => None,
            Self::Bucket(bucket) => Some(bucket),
        }
    }

    /// The place called `name` in it; `name` may have several parts with `/` between them.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        match self {
            Self::Local(path) => Self::Local(path.join(name)),
            Self::Bucket(place) => Self::Bucket(place.join(name)),
        }
    }

    /// What [`join`](Self::join) makes this place of `folder`; none where it does not lie below it, or has a name that is no text.
    pub fn below(&self, folder: &Self) -> Option<String> {
        let name = match (self, folder) {
            (Self::Local(path), Self::Local(folder)) => path.strip_prefix(folder).ok()?.to_str()?,
            (Self::Bucket(place), Self::Bucket(folder)) => {
                let is_same = place.scheme == folder.scheme && place.bucket == folder.bucket;
                let rest = place.prefix.strip_prefix(&folder.prefix).filter(|_| is_same)?;
                if folder.prefix.is_empty() { rest } else { rest.strip_prefix('/')? }
            }
            _ => return None,
        };
        (!name.is_empty()).then(|| name.to_owned())
    }

    /// The place it lies in, and its name there.
    pub fn split(&self) -> (Self, String) {
        match self {
            Self::Local(path) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                (Self::Local(crate::files::folder_of(path).to_owned()), name)
            }
            Self::Bucket(place) => {
                let (prefix, name) = place.prefix.rsplit_once('/').unwrap_or(("", &place.prefix));
                (Self::Bucket(BucketPlace { prefix: prefix.to_owned(), ..place.clone() }), name.to_owned())
            }
        }
    }

    /// What stands behind the last dot of its name, in lower case.
    pub fn extension(&self) -> Option<String> {
        let (_, name) = self.split();
        name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()).map(|(_, extension)| extension.to_ascii_lowercase())
    }
}

impl BucketPlace {
    /// The place called `name` below this one.
    #[must_use]
    pub fn join(&self, name: &str) -> Self {
        let prefix = [self.prefix.as_str(), name.trim_matches('/')];
        let prefix = prefix.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
        Self { prefix, ..self.clone() }
    }
}

impl fmt::Display for BucketPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { scheme, bucket, prefix } = self;
        write!(f, "{}://{bucket}", scheme.name())?;
        if prefix.is_empty() { Ok(()) } else { write!(f, "/{prefix}") }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Local(path) => path.display().fmt(f),
            Self::Bucket(place) => place.fmt(f),
        }
    }
}

impl From<Place> for String {
    fn from(place: Place) -> Self {
        place.to_string()
    }
}

impl TryFrom<String> for Place {
    type Error = DatasetError;

    fn try_from(text: String) -> Result<Self, DatasetError> {
        Self::parse(&text)
    }
}

impl From<PathBuf> for Place {
    fn from(path: PathBuf) -> Self {
        Self::Local(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_and_written_alike() {
        for (text, written) in [
            ("s3://bucket", "s3://bucket"),
            ("s3://bucket/", "s3://bucket"),
            ("s3a://bucket/a/b/", "s3://bucket/a/b"),
            ("gs://bucket/a", "gs://bucket/a"),
            ("abfs://container/a", "az://container/a"),
            ("s3://arn:aws:s3:eu-west-1:1:accesspoint/name/a", "s3://arn:aws:s3:eu-west-1:1:accesspoint/name/a"),
            ("./folder", "./folder"),
            ("file:///folder/a", "/folder/a"),
        ] {
            assert_eq!(Place::parse(text).unwrap().to_string(), written, "{text}");
        }
        let Place::Bucket(place) = Place::parse("s3://arn:aws:s3:eu-west-1:1:accesspoint/name/a/b").unwrap() else {
            panic!("a bucket");
        };
        assert_eq!((place.bucket.as_str(), place.prefix.as_str()), ("arn:aws:s3:eu-west-1:1:accesspoint/name", "a/b"));
        assert_eq!(Place::parse_bucket("name/a").unwrap().to_string(), "s3://name/a");
    }

    #[test]
    fn what_lies_below_a_place_is_named_relative_to_it() {
        let below = |place: &str, folder: &str| Place::parse(place).unwrap().below(&Place::parse(folder).unwrap());
        for (place, folder, expected) in [
            ("/station/a/b", "/station", Some("a/b")),
            ("/station", "/station", None),
            ("/stations/a", "/station", None),
            ("s3://bucket/station/a/b", "s3://bucket/station", Some("a/b")),
            ("s3://bucket/a", "s3://bucket", Some("a")),
            ("s3://bucket/stations", "s3://bucket/station", None),
            ("gs://bucket/station/a", "s3://bucket/station", None),
            ("/station/a", "s3://bucket/station", None),
        ] {
            assert_eq!(below(place, folder).as_deref(), expected, "{place} below {folder}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for text in ["", "s3://", "s3:///a", "ftp://host/a", "s3://a b", "s3://bucket/a//b", "s3://bucket/../b"] {
            assert!(Place::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn places_are_joined_and_split() {
        let place = Place::parse("s3://bucket").unwrap().join("a/b.CSV");
        assert_eq!((place.to_string().as_str(), place.extension().as_deref()), ("s3://bucket/a/b.CSV", Some("csv")));
        assert_eq!(place.split(), (Place::parse("s3://bucket/a").unwrap(), "b.CSV".to_owned()));
    }
}
