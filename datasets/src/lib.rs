//! Everything that touches bytes at rest: where audio and tables lie, how they are read, and what their rows mean.
//!
//! The way of one clip through this crate: [`store`] lists it, [`manifest`] gives it an identity, [`audio`] turns its bytes into
//! 16 kHz mono samples, [`effects`] makes variants of it, and [`tables`] writes what others computed from it.
//!
//! Neither tensors nor the engine are known here.

pub mod admin;
pub mod audio;
pub mod clip_values;
pub mod download;
pub mod effects;
mod error;
pub mod files;
pub mod journal;
pub mod key;
pub mod layout;
pub mod lease;
pub mod manifest;
pub mod mirror;
pub mod moment;
pub mod removals;
pub mod runtime;
pub mod snapshot;
pub mod store;
pub mod synth;
pub mod tables;
pub mod tracks;

pub use error::{DatasetError, DatasetErrorKind};
