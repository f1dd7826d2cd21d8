//! Where the network is computed, decided by the features of the build.

use burn::tensor::Device;

/// Whether this build computes the network on a GPU.
pub(super) const IS_FOR_GPU: bool = cfg!(any(feature = "cuda", feature = "wgpu"));

/// Patches that burn computes together. A fixed number, filled up with zeros, because the kernels of matrix products choose
/// their blocks, and with them the order of additions, by the size of the matrices: the bits of a row must not depend on
/// how many rows there are. A GPU wants much work at once.
pub(super) const BATCH: usize = 128;

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
