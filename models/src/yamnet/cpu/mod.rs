//! YAMNet on the CPU: packed weights, kernels for what the CPU has, and nothing allocated per batch but the result.
//!
//! Activations lie as `[pixels, channels]`. A layer is computed some lines at a time: depthwise convolution, rectifier and
//! a bit for each value that is not zero, then the pointwise product, which skips the zeros. What a patch has in common
//! with the one before it is computed once. At a given precision all instruction sets give the same bits, whatever the
//! batch: every sum has its fixed order and fused multiply-adds.
//!
//! This is the only place with `unsafe` code: instructions of particular CPUs, and memory aligned for them.

mod aligned;
#[cfg(target_arch = "x86_64")]
mod amx;
#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(target_arch = "x86_64")]
mod avx512_bf16;
mod bf16;
mod check;
mod depthwise;
mod element;
mod executor;
mod isa;
mod kernels;
mod lanes;
mod network;
mod overlap;
mod portable;
mod product;
mod rows;
mod stem;
#[cfg(test)]
mod tests;

pub use isa::Isa;
pub use network::fastest_bf16;
pub(super) use network::{CpuNetwork, isa_for};
