//! Augmentation: effects that turn one training clip into another that deserves the same label.
//!
//! Guarantees: an effect is a pure function of (steps, waveform, seed), the same on every thread; every waveform is 16 kHz
//! mono, of any length, also empty; nothing is ever clipped. Between kinds of CPU the last bits may differ where the Fourier
//! transform takes part, whose library chooses its instructions.

mod catalogue;
mod effect;
mod noise;
mod phasor;
mod pitch;
mod source;
mod spectra;
mod step;
mod stream;
mod stretch;
mod time_shift;
mod transform;

pub use catalogue::catalogue;
pub use effect::Effect;
pub use source::{Analysis, Source};
pub use step::Step;
pub use stream::EffectStream;
