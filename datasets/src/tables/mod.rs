//! The tables: their columns, and how rows become Parquet parts and back.
//!
//! Format: one folder per table holding `part-*.parquet`, zstd, written by [`PartWriter`]; [`schema`] is the one place where columns
//! are named and documented.

mod copies;
mod digest;
mod docs;
mod embed;
mod index;
mod index_rows;
mod known_clips;
mod live;
mod out;
mod part;
mod patches;
mod read;
mod rows;
pub mod schema;
mod slices;
mod unit;
mod units;
mod write;

pub use copies::CopyRow;
pub use digest::{Digests, column_digests};
pub use docs::markdown;
pub use embed::{EmbedFormat, EmbedWriter};
pub use index::{EmbedParts, PartStamp};
pub use index_rows::FileRow;
pub use known_clips::KnownClipRow;
pub use live::{Committed, EmbedTable, digest};
pub use out::{FileEmbeddings, OutColumn, write_columns};
pub use patches::Patches;
pub(crate) use read::Columns;
pub use read::{decode, read_file, read_metadata, read_rows, row_count as table_rows};
pub use rows::{ClipRow, EpochRow, LeakRow, PredictionRow, QuarantineRow, RecipeRow, Row, Side, SplitRow};
pub use slices::{SliceRow, SoundRow};
pub use unit::{Unit, UnitEntry};
pub use units::EmbedReader;
pub use write::{PartWriter, Written, put_part, read_files_index, write_files_index, write_rows};
