//! YAMNet: the network as a burn module, and the embedder on top of it.

mod architecture;
#[expect(
    unsafe_code,
    clippy::inline_always,
    clippy::cast_ptr_alignment,
    reason = "kernels for particular CPUs: generic code must be inlined where their instructions are enabled"
)]
mod cpu;
mod device;
mod embedder;
mod folding;
mod network;

pub use architecture::{BLOCKS, Block, CLASSES, EMBEDDING_DIM, STEM_CHANNELS};
pub use cpu::{Isa, fastest_bf16};
pub use device::device;
pub(crate) use embedder::identity;
pub use embedder::single_precision;
pub use embedder::{Kernel, YamnetEmbedder};
pub(crate) use folding::{Folded, TAPS};
pub use network::{Yamnet, YamnetOutput};
