//! Augmentation: effects that turn one training clip into another that deserves the same label.
//!
//! Guarantees: an effect is a pure function of (steps, waveform, seed), the same on every thread; every waveform is 16 kHz
//! mono, of any length, also empty; nothing is ever clipped.

mod catalogue;
mod effect;
mod noise;
mod pitch;
mod step;
mod stretch;

pub use catalogue::catalogue;
pub use effect::Effect;
pub use step::Step;
