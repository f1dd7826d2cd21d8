//! What a run came to, for people: `report.html` and `MODEL_CARD.md`, from plain data.
//!
//! [`ReportData`] holds figures and words, nothing that has to be looked up. [`page`] makes one file that needs no network, no script
//! and no other file; [`card`] makes Markdown. Whatever is in names and paths comes out as text: neither can be broken by them.
//! The same data give the same bytes.

mod card;
mod check;
mod data;
mod html;
mod projection;
mod sample;
mod words;

pub use card::card;
pub use check::ReportError;
pub use data::*;
pub use html::page;
pub use projection::{Projection, project};
pub use sample::stratified;
