//! The stages of the pipeline, one file each, named by their word in `retrain.toml`.
//!
//! A stage reads tables (and audio) and writes one table or artefact; see [`stage`] for the contract. Stages print nothing: they
//! emit [`Event`]s.

pub mod acoustics;
pub mod audit;
pub mod augment;
pub mod behind;
pub mod bridge;
mod calibration;
mod checkpoint;
pub mod clip;
pub mod command;
mod copies;
pub mod crossval;
pub mod embed;
mod error;
pub mod evaluate;
pub mod figures;
mod files;
pub mod foresee;
pub mod ingest;
mod intake;
pub mod labels;
mod leaks;
pub mod manifest;
mod originals;
pub mod params;
mod pass;
mod pointer;
pub mod pooled;
pub mod predict;
mod procedure;
pub mod publish;
mod recording;
pub mod replaced;
pub mod retrain_policy;
mod rows;
mod search;
pub mod slices;
mod sliding;
mod sounds;
pub mod split;
pub mod stage;
pub mod stream;
pub mod test_uses;
pub mod timings;
pub mod train;
pub mod units;

pub use error::{StageError, StageErrorKind};
pub use stage::{Context, Definition, Event, Forecast, Input, KeyPart, Output, RowCounts, Stage};

/// All built-in stages, in the order of the dataflow.
pub const ALL: [Definition; 8] = [
    manifest::DEFINITION,
    split::DEFINITION,
    augment::DEFINITION,
    embed::DEFINITION,
    audit::DEFINITION,
    train::DEFINITION,
    evaluate::DEFINITION,
    publish::DEFINITION,
];
