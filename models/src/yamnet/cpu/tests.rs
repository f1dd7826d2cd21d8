//! Every kernel against the portable one, bit for bit, on made-up shapes; the portable one against sums in double precision.

use proptest::prelude::*;

use super::aligned::{Aligned, Plain};
use super::check::{Numbers, rows};
use super::depthwise::Depthwise;
use super::element::{Bf16, Element};
use super::kernels::{self, Kernels};
use super::rows::{PADDING, Rows};
use super::stem::Stem;
use super::{Isa, fastest_bf16};
use crate::embedder::Precision;

fn numbers(seed: u64, count: usize) -> Vec<f32> {
    let mut numbers = Numbers(seed | 1);
    (0..count).map(|_| numbers.next()).collect()
}

fn aligned(values: &[f32]) -> Aligned<f32> {
    Aligned::of(values.iter().copied())
}

fn others() -> impl Iterator<Item = Isa> {
    Isa::ALL.into_iter().skip(1).filter(|isa| isa.is_available())
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| x.to_bits()).collect()
}

fn product<T: Element + Plain>(kernels: &Kernels<T>, shape: [usize; 3], seed: u64) -> Vec<f32> {
    let [count, inputs, outputs] = shape;
    let layer = kernels.pointwise(&numbers(seed, inputs * outputs), &numbers(seed + 2, outputs));
    let mut values = numbers(seed + 4, count * inputs).into_iter();
    let rows = rows(count, inputs, || values.next().unwrap());
    let mut out = vec![f32::NAN; count * outputs];
    kernels.product(&layer, &rows, &mut out);
    out
}

fn same_products<T: Element + Plain>(of: fn(Isa) -> Kernels<T>, shape: [usize; 3], seed: u64) {
    let expected = bits(&product(&of(Isa::Portable), shape, seed));
    for isa in others() {
        assert!(bits(&product(&of(isa), shape, seed)) == expected, "{isa} on {shape:?}");
    }
}

fn depthwise_layer([height, width, channels, stride]: [usize; 4], seed: u64) -> Depthwise {
    let kernel = aligned(&numbers(seed, 9 * channels));
    Depthwise::new(kernel, aligned(&numbers(seed + 2, channels)), [height, width], channels, stride)
}

fn convolved<T: Element + Plain>(kernels: &Kernels<T>, shape: [usize; 4], seed: u64) -> (Vec<T>, Vec<u64>) {
    let layer = depthwise_layer(shape, seed);
    let images = numbers(seed + 4, 2 * layer.image_len());
    let [height, width] = layer.extents_out();
    // Across the border of two images, and not from the beginning.
    let lines = height / 2..2 * height - height / 3;
    let count = lines.len() * width;
    let mut rows = Rows::with_capacity(count.next_multiple_of(PADDING) * layer.channels);
    kernels.depthwise(&layer, &images, lines, &mut rows);
    let words = rows.words();
    (rows.values[..count * layer.channels].to_vec(), rows.nonzero[..count * words].to_vec())
}

/// One output of a depthwise convolution, from the definition.
fn definition(layer: &Depthwise, image: &[f32], [y, x, channel]: [usize; 3]) -> f64 {
    let before = usize::from(layer.stride == 1);
    let mut sum = f64::from(layer.bias[channel]);
    for (dy, dx) in (0..3).flat_map(|dy| (0..3).map(move |dx| (dy, dx))) {
        let (row, column) =
            ((y * layer.stride + dy).wrapping_sub(before), (x * layer.stride + dx).wrapping_sub(before));
        if row < layer.height && column < layer.width {
            let value = image[(row * layer.width + column) * layer.channels + channel];
            sum += f64::from(value) * f64::from(layer.kernel[(dy * 3 + dx) * layer.channels + channel]);
        }
    }
    sum.max(0.0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn products_have_the_bits_of_the_portable_kernel(
        count in 1usize..70,
        inputs in 1usize..9,
        outputs in 0usize..4,
        seed in 0u64..1_000_000,
    ) {
        let shape = [count, inputs * 32, if outputs == 0 { 64 } else { outputs * 128 }];
        same_products(kernels::single, shape, seed);
        same_products(kernels::pairs, shape, seed);
        same_products(kernels::tiles, shape, seed);
    }

    #[test]
    fn depthwise_convolutions_have_the_bits_of_the_portable_kernel(
        height in 1usize..9,
        width in 1usize..9,
        channels in 1usize..4,
        stride in 1usize..3,
        seed in 0u64..1_000_000,
    ) {
        let shape = [2 * height, 2 * width, 32 * channels, stride];
        let single = convolved(&kernels::single(Isa::Portable), shape, seed);
        let half = convolved(&kernels::pairs(Isa::Portable), shape, seed);
        for isa in others() {
            prop_assert!(convolved(&kernels::single(isa), shape, seed) == single, "{} on {:?}", isa, shape);
            prop_assert!(convolved(&kernels::pairs(isa), shape, seed) == half, "{} on {:?}", isa, shape);
            prop_assert!(convolved(&kernels::tiles(isa), shape, seed) == half, "{} on {:?}", isa, shape);
        }
    }
}

#[test]
fn the_portable_product_is_the_product() {
    let [count, inputs, outputs] = [9, 96, 128];
    let out = product(&kernels::single(Isa::Portable), [count, inputs, outputs], 7);
    let (matrix, bias, values) = (numbers(7, inputs * outputs), numbers(9, outputs), numbers(11, count * inputs));
    for (at, found) in out.iter().enumerate() {
        let (row, column) = (at / outputs, at % outputs);
        let term = |k: usize| f64::from(values[row * inputs + k].max(0.0)) * f64::from(matrix[k * outputs + column]);
        let expected = (f64::from(bias[column]) + (0..inputs).map(term).sum::<f64>()).max(0.0);
        assert!((f64::from(*found) - expected).abs() < 1e-3, "{found} for {expected}");
    }
}

#[test]
fn bfloat16_products_are_near_and_differ_only_in_order() {
    let shape = [40, 256, 128];
    let exact = product(&kernels::single(Isa::Portable), shape, 3);
    let (pairs, tiles) =
        (product(&kernels::pairs(Isa::Portable), shape, 3), product(&kernels::tiles(Isa::Portable), shape, 3));
    let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    let largest = exact.iter().copied().fold(0.0, f32::max);
    assert!(distance(&pairs, &exact) < largest / 100.0, "{}", distance(&pairs, &exact));
    assert!(distance(&pairs, &tiles) < largest * 1e-5, "{}", distance(&pairs, &tiles));
    assert!(pairs != tiles, "the two arithmetics are told apart by the identity because they differ");
}

#[test]
fn the_portable_depthwise_convolution_is_the_convolution() {
    for shape in [[6, 4, 32, 1], [6, 4, 64, 2], [3, 2, 32, 1], [2, 2, 32, 2]] {
        let layer = depthwise_layer(shape, 5);
        let image = numbers(9, layer.image_len());
        let [height, width] = layer.extents_out();
        let mut rows = Rows::<f32>::with_capacity(height * width * layer.channels);
        kernels::single(Isa::Portable).depthwise(&layer, &image, 0..height, &mut rows);
        for at in 0..height * width * layer.channels {
            let (pixel, channel) = (at / layer.channels, at % layer.channels);
            let expected = definition(&layer, &image, [pixel / width, pixel % width, channel]);
            assert!((f64::from(rows.values[at]) - expected).abs() < 1e-3, "{shape:?} at {at}");
            let word = u64::from_le(rows.nonzero[pixel * rows.words() + channel / 64]);
            assert_eq!(word >> (channel % 64) & 1 == 1, rows.values[at] != 0.0, "{shape:?} at {at}");
        }
    }
}

#[test]
fn the_stem_has_the_same_bits_everywhere() {
    let stem = Stem { kernel: aligned(&numbers(1, 9 * 32)), bias: aligned(&numbers(3, 32)) };
    let patch = numbers(5, 96 * 64);
    let run = |isa| {
        let mut out = vec![f32::NAN; 48 * 32 * 32];
        kernels::single(isa).stem(&stem, &patch, 0..48, &mut out);
        out
    };
    let expected = run(Isa::Portable);
    // The last pixel lacks a row and a column.
    let tap = |dy: usize, dx: usize| patch[(94 + dy) * 64 + 62 + dx] * stem.kernel[(dy * 3 + dx) * 32 + 31];
    let last = stem.bias[31] + tap(0, 0) + tap(0, 1) + tap(1, 0) + tap(1, 1);
    assert!((expected[expected.len() - 1] - last.max(0.0)).abs() < 1e-4);
    for isa in others() {
        assert!(bits(&run(isa)) == bits(&expected), "{isa}");
    }
}

#[test]
fn rounding_to_bfloat16_is_to_nearest_even_and_flushes_what_is_tiny() {
    let becomes = |x: f32, y: f32| assert_eq!(Bf16::round(x).to_f32().to_bits(), y.to_bits(), "{x}");
    becomes(1.0, 1.0);
    // A tie goes to the even neighbour, below or above.
    becomes(1.0 + 1.0 / 256.0, 1.0);
    becomes(1.0 + 3.0 / 256.0, 1.0 + 4.0 / 256.0);
    becomes(-1.005, -1.0 - 1.0 / 128.0);
    becomes(Bf16::SMALLEST, Bf16::SMALLEST);
    becomes(Bf16::SMALLEST * 0.99, 0.0);
    assert_eq!(Bf16::rectified(-3.0), Bf16(0));
    assert_eq!(Bf16::rectified(f32::NAN), Bf16(0));
}

#[test]
fn the_fastest_bfloat16_is_one_of_the_two() {
    assert_ne!(fastest_bf16(), Precision::F32);
    assert_eq!(fastest_bf16() == Precision::Bf16Amx, Isa::Amx.is_available());
}

#[test]
fn there_are_no_kernels_for_an_instruction_set_that_this_cpu_does_not_have() {
    for isa in Isa::ALL {
        let made = [
            std::panic::catch_unwind(|| kernels::single(isa).isa).is_ok(),
            std::panic::catch_unwind(|| kernels::pairs(isa).isa).is_ok(),
            std::panic::catch_unwind(|| kernels::tiles(isa).isa).is_ok(),
        ];
        assert_eq!(made, [isa.is_available(); 3], "{isa}");
    }
}
