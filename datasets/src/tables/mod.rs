//! The tables: their columns, and how rows become Parquet parts and back.
//!
//! Format: one folder per table holding `part-*.parquet`, zstd, written by [`PartWriter`]; [`schema`] is the one place where columns
//! are named and documented.

mod docs;
mod embed;
mod out;
mod patches;
mod read;
mod rows;
pub mod schema;
mod units;
mod write;

pub use docs::markdown;
pub use embed::{EmbedWriter, Unit};
pub use out::{FileEmbeddings, OutColumn, write_columns};
pub use patches::Patches;
pub(crate) use read::Columns;
pub use read::{read_metadata, read_rows};
pub use rows::{ClipRow, EpochRow, QuarantineRow, RecipeRow, Row, Side, SplitRow};
pub use units::EmbedReader;
pub use write::{PartWriter, write_rows};
