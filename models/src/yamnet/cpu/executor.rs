//! The network, layer by layer, on the calling thread.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use super::aligned::{Aligned, Plain};
use super::depthwise::Depthwise;
use super::element::Element;
use super::isa::Isa;
use super::kernels::Kernels;
use super::overlap::{Padded, continues};
use super::product::Pointwise;
use super::rows::{PADDING, Rows};
use super::stem::{self, Stem};
use crate::frontend::params::PATCH_FRAMES;
use crate::frontend::{MEL_BANDS, Window};
use crate::weights::YamnetWeights;
use crate::yamnet::architecture::{BLOCKS, EMBEDDING_DIM, STEM_CHANNELS};
use crate::yamnet::folding::Folded;

/// The first layers work on one patch after the other, while its image is large and fits the second-level cache, and take
/// from the patch before what they have in common; the rest on a batch of patches, while the weights are large and want to
/// be used often.
const PATCHWISE_LAYERS: usize = 4;

/// Patches of a batch, at most.
const BATCH: usize = 24;

/// Values between a depthwise and a pointwise convolution, about: they stay in the second-level cache.
const BLOCK_VALUES: usize = 96 * 1024;

/// YAMNet with packed weights.
pub(super) struct Executor<T> {
    kernels: Kernels<T>,
    stem: Stem,
    /// Lines of the stem's image that are shared with the patch before.
    stem_shared: Range<usize>,
    layers: Vec<Layer<T>>,
    /// Buffers of calls that have ended, for calls to come.
    idle: Mutex<Vec<Buffers<T>>>,
}

struct Layer<T> {
    depthwise: Depthwise,
    pointwise: Pointwise<T>,
    /// Lines of its image that are shared with the patch before.
    shared: Range<usize>,
}

/// All memory of a call.
struct Buffers<T> {
    /// The images of one patch: the stem's and those of the patchwise layers.
    patch: Vec<Aligned<f32>>,
    /// Images of a batch.
    batch: [Aligned<f32>; 2],
    rows: Rows<T>,
}

impl<T: Element + Plain> Executor<T> {
    /// Packs `weights` for `kernels`.
    pub(super) fn new(weights: &YamnetWeights, kernels: Kernels<T>) -> Self {
        let stem = Folded::stem(weights);
        let stem = Stem { kernel: taps_first(&stem), bias: Aligned::of(stem.bias.iter().copied()) };
        let (mut extents, mut channels) = ([stem::HEIGHT, stem::WIDTH], STEM_CHANNELS);
        let mut padded = Padded::PATCH.convolved(2);
        let stem_shared = padded.shared();
        let mut layers = Vec::with_capacity(BLOCKS.len());
        for (number, block) in (2..).zip(BLOCKS) {
            let folded = Folded::depthwise(weights, number);
            let bias = Aligned::of(folded.bias.iter().copied());
            let depthwise = Depthwise::new(taps_first(&folded), bias, extents, channels, block.stride);
            let folded = Folded::pointwise(weights, number, channels);
            let pointwise = kernels.pointwise(&transposed(&folded.kernel, channels), &folded.bias);
            (extents, channels) = (depthwise.extents_out(), block.channels);
            padded = padded.convolved(block.stride);
            layers.push(Layer { depthwise, pointwise, shared: padded.shared() });
        }
        Self { kernels, stem, stem_shared, layers, idle: Mutex::new(Vec::new()) }
    }

    /// The instruction set of its products.
    pub(super) fn isa(&self) -> Isa {
        self.kernels.isa
    }

    /// Embeddings `[windows, 1024]` of windows of one patch each.
    pub(super) fn embed(&self, windows: &[Window]) -> Vec<f32> {
        let mut embeddings = vec![0.0; windows.len() * EMBEDDING_DIM];
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let mut buffers = idle().pop().unwrap_or_else(|| self.buffers());
        // Batches of even size: a small last one would use the weights badly.
        let size = windows.len().div_ceil(windows.len().div_ceil(BATCH).max(1)).max(1);
        let mut before = None;
        for (windows, out) in windows.chunks(size).zip(embeddings.chunks_mut(size * EMBEDDING_DIM)) {
            self.embed_batch(before, windows, &mut buffers, out);
            before = windows.last();
        }
        idle().push(buffers);
        embeddings
    }

    fn buffers(&self) -> Buffers<T> {
        let batched = &self.layers[PATCHWISE_LAYERS..];
        let largest = batched.iter().map(|layer| layer.depthwise.image_len()).max().unwrap_or(0);
        // One image more than there are patchwise layers: the first is the stem's.
        let patch =
            || self.layers[..=PATCHWISE_LAYERS].iter().map(|layer| Aligned::zeroed(layer.depthwise.image_len()));
        let batch = || Aligned::zeroed(largest * BATCH);
        let rows = self.layers.iter().map(Layer::room).max().unwrap_or(0);
        Buffers { patch: patch().collect(), batch: [batch(), batch()], rows: Rows::with_capacity(rows) }
    }

    /// `before` is the window whose images the buffers hold.
    fn embed_batch<'w>(
        &self,
        mut before: Option<&'w Window>,
        windows: &'w [Window],
        buffers: &mut Buffers<T>,
        embeddings: &mut [f32],
    ) {
        let Buffers { patch, batch: [batch, batch_out], rows } = buffers;
        let image = patch[PATCHWISE_LAYERS].len();
        for (window, out) in windows.iter().zip(batch.chunks_exact_mut(image)) {
            debug_assert_eq!(window.logmel.len(), PATCH_FRAMES * MEL_BANDS);
            self.patchwise(before, window, patch, rows);
            out.copy_from_slice(&patch[PATCHWISE_LAYERS]);
            before = Some(window);
        }
        for layer in &self.layers[PATCHWISE_LAYERS..] {
            let [height, _] = layer.depthwise.extents_out();
            self.run(layer, batch, 0..windows.len() * height, rows, batch_out);
            std::mem::swap(batch, batch_out);
        }
        self.pool(batch, windows, embeddings);
    }

    /// The first layers of a patch; the last of `images`, which hold those of the window `before`, is the result.
    fn patchwise(&self, before: Option<&Window>, window: &Window, images: &mut [Aligned<f32>], rows: &mut Rows<T>) {
        let continues = before.is_some_and(|before| continues(before, window));
        let shared = |image: &mut [f32], height, shared: &Range<usize>| {
            if continues { take_shared(image, height, shared) } else { 0..0 }
        };
        let kept = shared(&mut images[0], stem::HEIGHT, &self.stem_shared);
        for lines in [0..kept.start, kept.end..stem::HEIGHT] {
            self.kernels.stem(&self.stem, &window.logmel, lines, &mut images[0]);
        }
        for (at, layer) in self.layers[..PATCHWISE_LAYERS].iter().enumerate() {
            let [height, _] = layer.depthwise.extents_out();
            let (before, out) = images.split_at_mut(at + 1);
            let kept = shared(&mut out[0], height, &layer.shared);
            for lines in [0..kept.start, kept.end..height] {
                self.run(layer, &before[at], lines, rows, &mut out[0]);
            }
        }
    }

    /// Some lines of a layer's images, counted through all of them, a block at a time.
    fn run(&self, layer: &Layer<T>, images: &[f32], lines: Range<usize>, rows: &mut Rows<T>, out: &mut [f32]) {
        let Layer { depthwise, pointwise, .. } = layer;
        let line_len = depthwise.extents_out()[1] * pointwise.outputs;
        for start in lines.clone().step_by(layer.lines()) {
            let end = lines.end.min(start + layer.lines());
            self.kernels.depthwise(depthwise, images, start..end, rows);
            self.kernels.product(pointwise, rows, &mut out[start * line_len..end * line_len]);
        }
    }

    /// The mean of each image over its pixels; not a number for a patch that holds such, which rectifiers would hide.
    fn pool(&self, images: &[f32], windows: &[Window], embeddings: &mut [f32]) {
        let [height, width] = self.layers[self.layers.len() - 1].depthwise.extents_out();
        let image = height * width * EMBEDDING_DIM;
        for ((window, image), embedding) in
            windows.iter().zip(images.chunks_exact(image)).zip(embeddings.chunks_exact_mut(EMBEDDING_DIM))
        {
            if !window.logmel.iter().all(|x| x.is_finite()) {
                embedding.fill(f32::NAN);
                continue;
            }
            for pixel in image.chunks_exact(EMBEDDING_DIM) {
                embedding.iter_mut().zip(pixel).for_each(|(sum, x)| *sum += x);
            }
            for sum in embedding {
                *sum /= (height * width) as f32;
            }
        }
    }
}

/// Brings the `shared` lines of an image of `height` lines up from half an image further down, where the patch before left
/// them; returns them.
fn take_shared(image: &mut [f32], height: usize, shared: &Range<usize>) -> Range<usize> {
    let line = image.len() / height;
    let from = (shared.start + height / 2) * line..(shared.end + height / 2) * line;
    image.copy_within(from, shared.start * line);
    shared.clone()
}

impl<T> Layer<T> {
    /// Lines of the output images that are computed at once.
    fn lines(&self) -> usize {
        let [_, width] = self.depthwise.extents_out();
        (BLOCK_VALUES / self.depthwise.channels / width).max(1)
    }

    /// Values that its rows need room for.
    fn room(&self) -> usize {
        let [_, width] = self.depthwise.extents_out();
        (self.lines() * width).next_multiple_of(PADDING) * self.depthwise.channels
    }
}

/// A mirrored kernel `[channels, 9]` as `[9, channels]`, not mirrored.
fn taps_first(folded: &Folded) -> Aligned<f32> {
    let channels = folded.bias.len();
    Aligned::of((0..9 * channels).map(|at| folded.kernel[at % channels * 9 + 8 - at / channels]))
}

/// A matrix `[outputs, inputs]` as `[inputs, outputs]`.
fn transposed(matrix: &[f32], inputs: usize) -> Vec<f32> {
    let outputs = matrix.len() / inputs;
    (0..matrix.len()).map(|at| matrix[at % outputs * inputs + at / outputs]).collect()
}
