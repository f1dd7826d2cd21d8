//! Whether a file that was read is the one that the manifest tells of. Rows are kept by what they were made of, for good: those of
//! another recording that took the file's place in between must not pass for them.

use std::collections::HashMap;

use ecosight_datasets::key::{ClipId, ContentHash};
use ecosight_datasets::runtime;
use ecosight_datasets::store::{CHANGED, Store};
use ecosight_datasets::tables::ClipRow;

use crate::StageErrorKind;
use crate::clip::ClipError;
use crate::stage::Context;
use crate::stream::{Outcome, Piece};
use crate::units::Work;

/// The files as the manifest knows them.
pub(crate) struct Originals<'a> {
    store: Store,
    by_uri: HashMap<&'a str, &'a ClipRow>,
}

impl<'a> Originals<'a> {
    /// The files of `clips`.
    pub(crate) fn of(context: &Context<'_>, clips: &'a [ClipRow]) -> Result<Self, StageErrorKind> {
        let by_uri = clips.iter().map(|clip| (clip.uri.as_str(), clip)).collect();
        Ok(Self { store: context.store()?, by_uri })
    }

    /// The piece, or the failure of its clip where the file has changed since it was listed. Asked when everything was read, this is
    /// about all that was read.
    pub(crate) fn confirm(&self, piece: Piece, work: &[Work]) -> Piece {
        let Piece::Done(number, outcome) = piece else { return piece };
        // What could not be opened says so.
        let is_told = matches!(&outcome, Outcome::Failed(error) if crate::units::is_passing(&error.code));
        let clip = self.by_uri.get(work[number].uri.as_str());
        if is_told || clip.is_none_or(|clip| self.is_same(clip)) {
            return Piece::Done(number, outcome);
        }
        let message = "the file has changed since it was listed; the next run takes it as it is now";
        Piece::Done(number, Outcome::Failed(ClipError::new(CHANGED, &message)))
    }

    /// The content is looked at only where the entity tag is another one.
    fn is_same(&self, clip: &ClipRow) -> bool {
        if clip.etag.is_none() || self.store.keeps_versions() {
            return true;
        }
        match runtime::block_on(self.store.head(&clip.uri)) {
            Ok(now) if now.etag == clip.etag => true,
            Ok(_) => self.hash(&clip.uri).is_some_and(|hash| ClipId::of_file(&hash) == clip.file_id),
            Err(_) => false,
        }
    }

    fn hash(&self, uri: &str) -> Option<ContentHash> {
        ContentHash::of_reader(runtime::block_on(self.store.open(uri, None)).ok()?).ok()
    }
}
