//! Where things lie. Every path of the project's own files, and every key in a bucket, is made here: code, lifecycle rules, permissions and
//! documentation all ask this module.
//!
//! ```text
//! extracted_audio/<class>/<YYYYMMDD_HHMMSS>_<name>   originals
//! tables/<stage>/…/part-*.parquet       one folder per stage, exactly the live rows
//! retired/<stage>/…/part-*.parquet      rows that are not expected any more; `gc` removes them
//! index/                                what the engine knows of each stage, of each file of the source and of each row of `embed`
//! runs/<run id>/                        run.json, events.jsonl, metrics.json, report.html
//! models/<version>/                     the artefact; production.json and candidate.json point to one
//! journal/<kind>/                       corrected labels, history of models, uses of the test side, removals: one file per entry, only added
//! temp/                                 what is gone after a day
//! processed/<job>/                      results of a job, gone after thirty days
//! ```

mod area;
mod audio;
mod mend;
mod root;

pub use area::Area;
pub use audio::{AudioKey, ClassName, NameProblem, RESERVED_CLASS, sanitised};
pub use mend::{Meant, Mended, meant, mended};
pub use root::{CORRECTIONS, LAST_RUN, LEASE, Layout, SNAPSHOT};
