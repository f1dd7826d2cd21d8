//! Where the network is computed, decided by the features of the build.

use burn::tensor::Device;

/// Patches that are computed together. A fixed number, filled up with zeros, because the kernels of matrix products
/// choose their blocks, and with them the order of additions, by the size of the matrices: the bits of a row must not
/// depend on how many rows there are. Sixteen keep the activations of a batch near the caches of a CPU core; a GPU wants
/// more work at once.
pub(super) const BATCH: usize = if cfg!(any(feature = "cuda", feature = "wgpu")) { 128 } else { 16 };

/// The first of these that is built in: CUDA (feature `cuda`), WGPU (feature `wgpu`), burn's CPU backend Flex.
///
/// # Panics
/// When first used, if a GPU backend is built in and the machine has no such GPU.
pub fn device() -> Device {
    #[cfg(feature = "cuda")]
    return Device::cuda(burn::tensor::DeviceIndex::Default);
    #[cfg(all(feature = "wgpu", not(feature = "cuda")))]
    return Device::wgpu(burn::tensor::DeviceKind::DefaultDevice);
    #[cfg(not(any(feature = "cuda", feature = "wgpu")))]
    Device::flex()
}
