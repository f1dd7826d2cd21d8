//! YAMNet: the network as a burn module, and the embedder on top of it.

mod architecture;
mod device;
mod embedder;
mod folding;
mod network;

pub use architecture::{BLOCKS, Block, CLASSES, EMBEDDING_DIM, STEM_CHANNELS};
pub use device::device;
pub use embedder::YamnetEmbedder;
pub use network::{Yamnet, YamnetOutput};
