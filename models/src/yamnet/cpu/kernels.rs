//! The kernels of one instruction set and arithmetic, as a table.

use std::ops::Range;

use super::aligned::{Aligned, Plain};
use super::bf16::{Pairs, Tiles};
use super::depthwise::{Depthwise, depthwise};
use super::element::{Bf16, Element};
use super::isa::Isa;
use super::lanes::Lanes;
use super::portable::Portable;
use super::product::{InOrder, Pointwise, pack, panel_width, product};
use super::rows::{PADDING, Rows};
use super::stem::{self, Stem, stem};
#[cfg(target_arch = "x86_64")]
use super::{amx, avx2::Avx2, avx512::Avx512, avx512_bf16};
use crate::frontend::MEL_BANDS;
use crate::frontend::params::PATCH_FRAMES;
use crate::yamnet::architecture::STEM_CHANNELS;

type StemKernel = unsafe fn(&Stem, &[f32], Range<usize>, &mut [f32]);
type DepthwiseKernel<T> = unsafe fn(&Depthwise, &[f32], Range<usize>, &mut Rows<T>);
type ProductKernel<T> = unsafe fn(&Pointwise<T>, &Rows<T>, &mut [f32]);
type Pack<T> = fn(&[f32], usize, usize) -> Aligned<T>;

/// What computes the network with factors of type `T`. Made by [`single`], [`pairs`] and [`tiles`] alone, which refuse an instruction set that this CPU does
/// not have: so the kernels may be called.
pub(super) struct Kernels<T> {
    /// The instruction set of the products.
    pub(super) isa: Isa,
    stem: StemKernel,
    depthwise: DepthwiseKernel<T>,
    product: ProductKernel<T>,
    pack: Pack<T>,
}

impl<T: Element + Plain> Kernels<T> {
    /// The `lines` of the first convolution of `patch` `[96, 64]` to `out` `[48, 32, 32]`.
    pub(super) fn stem(&self, weights: &Stem, patch: &[f32], lines: Range<usize>, out: &mut [f32]) {
        assert_eq!(patch.len(), PATCH_FRAMES * MEL_BANDS);
        assert!(lines.end <= stem::HEIGHT);
        assert_eq!(out.len(), stem::HEIGHT * stem::WIDTH * STEM_CHANNELS);
        // SAFETY: the CPU has the instruction set, the lengths are right.
        unsafe { (self.stem)(weights, patch, lines, out) };
    }

    /// The `lines` of the depthwise convolution of `images`, counted through all images.
    pub(super) fn depthwise(&self, layer: &Depthwise, images: &[f32], lines: Range<usize>, out: &mut Rows<T>) {
        let [height_out, width_out] = layer.extents_out();
        assert!(lines.end.div_ceil(height_out) * layer.image_len() <= images.len());
        out.reshape(lines.len() * width_out, layer.channels);
        assert!(out.count * out.channels <= out.values.len() && out.count * out.words() <= out.nonzero.len());
        // SAFETY: the CPU has the instruction set, images and room are there.
        unsafe { (self.depthwise)(layer, images, lines, out) };
    }

    /// The pointwise convolution of `rows` to `out` `[rows, outputs]`.
    pub(super) fn product(&self, layer: &Pointwise<T>, rows: &Rows<T>, out: &mut [f32]) {
        assert_eq!(rows.channels, layer.inputs);
        assert_eq!(out.len(), rows.count * layer.outputs);
        assert!(rows.count.next_multiple_of(PADDING) * layer.inputs <= rows.values.len());
        // SAFETY: the CPU has the instruction set, the lengths are right, and `pack` has packed for it.
        unsafe { (self.product)(layer, rows, out) };
    }

    /// The pointwise convolution by `matrix` `[inputs, outputs]`.
    pub(super) fn pointwise(&self, matrix: &[f32], bias: &[f32]) -> Pointwise<T> {
        let outputs = bias.len();
        let inputs = matrix.len() / outputs;
        // What the panels and tiles of all kernels divide.
        assert!(inputs.is_multiple_of(32) && (outputs == 64 || outputs.is_multiple_of(128)));
        let packed = (self.pack)(matrix, inputs, outputs);
        // Some instructions take a subnormal number for zero, so all do.
        let bias = Aligned::of(bias.iter().map(|b| if b.is_subnormal() { 0.0 } else { *b }));
        Pointwise { matrix: packed, bias, inputs, outputs }
    }
}

/// The kernels that are written once, for `L`, under the features that it needs.
macro_rules! kernels_for {
    ($module:ident, $lanes:ty $(, $features:literal)?) => {
        mod $module {
            use super::*;

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn stem_kernel(weights: &Stem, patch: &[f32], lines: Range<usize>, out: &mut [f32]) {
                // SAFETY: as the caller says.
                unsafe { stem::<$lanes>(weights, patch, lines, out) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn depthwise_kernel<T: Element + Plain>(
                layer: &Depthwise,
                images: &[f32],
                lines: Range<usize>,
                out: &mut Rows<T>,
            ) {
                // SAFETY: as the caller says.
                unsafe { depthwise::<$lanes, T>(layer, images, lines, out) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn in_order(layer: &Pointwise<f32>, rows: &Rows<f32>, out: &mut [f32]) {
                // SAFETY: as the caller says.
                unsafe { product::<$lanes, f32, InOrder>(layer, rows, out) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn pairs(layer: &Pointwise<Bf16>, rows: &Rows<Bf16>, out: &mut [f32]) {
                // SAFETY: as the caller says.
                unsafe { product::<$lanes, Bf16, Pairs>(layer, rows, out) }
            }

            $(#[target_feature(enable = $features)])?
            pub(super) unsafe fn tiles(layer: &Pointwise<Bf16>, rows: &Rows<Bf16>, out: &mut [f32]) {
                // SAFETY: as the caller says.
                unsafe { product::<$lanes, Bf16, Tiles>(layer, rows, out) }
            }

            pub(super) fn pack_panels<T: Element + Plain>(
                matrix: &[f32],
                inputs: usize,
                outputs: usize,
            ) -> Aligned<T> {
                pack(matrix, inputs, outputs, panel_width(outputs, <$lanes>::COUNT))
            }

            /// The table with `product` for its products.
            pub(super) fn table<T: Element + Plain>(isa: Isa, product: ProductKernel<T>) -> Kernels<T> {
                Kernels { isa, stem: stem_kernel, depthwise: depthwise_kernel::<T>, product, pack: pack_panels::<T> }
            }
        }
    };
}

kernels_for!(portable, Portable);
#[cfg(target_arch = "x86_64")]
kernels_for!(avx2, Avx2, "avx2,fma");
#[cfg(target_arch = "x86_64")]
kernels_for!(avx512, Avx512, "avx512f");

/// Products by the instructions of AVX-512 BF16.
///
/// # Safety
/// As for [`product`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn avx512_bf16_pairs(layer: &Pointwise<Bf16>, rows: &Rows<Bf16>, out: &mut [f32]) {
    // SAFETY: as the caller says.
    unsafe { product::<Avx512, Bf16, avx512_bf16::Native>(layer, rows, out) }
}

/// The depthwise convolution with the conversions of AVX-512 BF16.
///
/// # Safety
/// As for [`depthwise`].
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512bf16")]
unsafe fn avx512_bf16_depthwise(layer: &Depthwise, images: &[f32], lines: Range<usize>, out: &mut Rows<Bf16>) {
    // SAFETY: as the caller says.
    unsafe { depthwise::<Avx512<true>, Bf16>(layer, images, lines, out) }
}

/// The kernels for single precision; never better than `isa`.
///
/// # Panics
/// When this CPU does not have `isa`.
pub(super) fn single(isa: Isa) -> Kernels<f32> {
    assert_available(isa);
    match isa {
        Isa::Portable => portable::table(isa, portable::in_order),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2::table(isa, avx2::in_order),
        #[cfg(target_arch = "x86_64")]
        _ => avx512::table(Isa::Avx512, avx512::in_order),
        #[cfg(not(target_arch = "x86_64"))]
        _ => single(Isa::Portable),
    }
}

/// The kernels for products as `VDPBF16PS` adds them: the CPU's own, or bit-identical ones in single precision.
///
/// # Panics
/// When this CPU does not have `isa`.
pub(super) fn pairs(isa: Isa) -> Kernels<Bf16> {
    assert_available(isa);
    match isa {
        Isa::Portable => portable::table(isa, portable::pairs),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2::table(isa, avx2::pairs),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 => avx512::table(isa, avx512::pairs),
        #[cfg(target_arch = "x86_64")]
        _ => Kernels {
            pack: avx512_bf16::pack,
            depthwise: avx512_bf16_depthwise,
            ..avx512::table(Isa::Avx512Bf16, avx512_bf16_pairs)
        },
        #[cfg(not(target_arch = "x86_64"))]
        _ => pairs(Isa::Portable),
    }
}

/// The kernels for products as `TDPBF16PS` adds them: the CPU's own, or bit-identical ones in single precision.
///
/// # Panics
/// When this CPU does not have `isa`.
pub(super) fn tiles(isa: Isa) -> Kernels<Bf16> {
    assert_available(isa);
    match isa {
        Isa::Portable => portable::table(isa, portable::tiles),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx2 => avx2::table(isa, avx2::tiles),
        #[cfg(target_arch = "x86_64")]
        Isa::Avx512 | Isa::Avx512Bf16 => avx512::table(Isa::Avx512, avx512::tiles),
        #[cfg(target_arch = "x86_64")]
        Isa::Amx => Kernels { pack: amx::pack, depthwise: avx512_bf16_depthwise, ..avx512::table(isa, amx::product) },
        #[cfg(not(target_arch = "x86_64"))]
        _ => tiles(Isa::Portable),
    }
}

fn assert_available(isa: Isa) {
    assert!(isa.is_available(), "this CPU has no {isa}");
}
