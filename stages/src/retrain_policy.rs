//! When a retrain trains, and when it must not go on: new recordings alone are held back until there are enough of them ([`HeldBack`]), and a source that has
//! lost recordings or a class of the model in production stops the run before anything is trained ([`Loss`]).
//!
//! Both compare the source with what a model was trained beside (`known_clips.rs`).

mod hold_back;
mod known_clips;
mod loss;
mod reuse;

pub use hold_back::HeldBack;
pub(crate) use hold_back::hold_back;
pub(crate) use known_clips::KnownClips;
pub use loss::Loss;
pub(crate) use reuse::{recount, trained_before};
