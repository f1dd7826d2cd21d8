//! The log-mel front end: samples to patches, padded and cut as [`Windowing::YAMNET`](crate::frontend::Windowing::YAMNET) says.
//!
//! The Fourier transform is a product with its matrix in double precision, for the reason given at
//! [`LogMel`](crate::frontend::LogMel): in single precision the noise of a loud tone is not small beside the offset of the logarithm in
//! quiet bands (measured: 6e-4 in the log-mel of a chirp, 4e-6 in that of rain).

use std::f64::consts::TAU;

use super::graph::{Element, Graph, Value, int};
use crate::frontend::params::{
    FFT_SIZE, FRAME_HOP_SAMPLES, FRAME_SAMPLES, LOG_OFFSET, MEL_BANDS, PATCH_FRAMES, PATCH_HOP_FRAMES, SPECTRUM_BINS,
    samples_under,
};
use crate::frontend::{LANES, MelFilterbank};

/// Patches `[patches, 1, 96, 64]` of a waveform `[samples]`.
pub(super) fn add_frontend(graph: &mut Graph, waveform: &Value) -> Value {
    let (padded, hops) = add_padding(graph, waveform);
    let frames = add_framing(graph, &padded, &hops);
    let log_mel = add_log_mel(graph, &frames);
    add_patches(graph, &log_mel, &hops)
}

/// Zeros behind the samples, up to one patch and then to whole hops; and the number of hops, `[1]`.
fn add_padding(graph: &mut Graph, waveform: &Value) -> (Value, Value) {
    let (shortest, hop) = (samples_under(PATCH_FRAMES) as i64, (PATCH_HOP_FRAMES * FRAME_HOP_SAMPLES) as i64);
    let zero = graph.i64s("zero", &[1], &[0]);
    let shortest = graph.i64s("shortest", &[1], &[shortest]);
    let hop_less_one = graph.i64s("hop_less_one", &[1], &[hop - 1]);
    let hop = graph.i64s("hop", &[1], &[hop]);

    let samples = graph.node("Shape", "samples", &[waveform], &[]);
    let more = graph.node("Sub", "samples_over_shortest", &[&samples, &shortest], &[]);
    let more = graph.node("Max", "samples_beyond", &[&more, &zero], &[]);
    let up = graph.node("Add", "samples_beyond_up", &[&more, &hop_less_one], &[]);
    let hops = graph.node("Div", "hops", &[&up, &hop], &[]);
    let beyond = graph.node("Mul", "whole_hops", &[&hops, &hop], &[]);
    let length = graph.node("Add", "length", &[&beyond, &shortest], &[]);
    let missing = graph.node("Sub", "missing", &[&length, &samples], &[]);
    let pads = graph.node("Concat", "pads", &[&zero, &missing], &[int("axis", 0)]);
    (graph.node("Pad", "padded", &[waveform, &pads], &[]), hops)
}

/// Short-time frames under the window, `[frames, 400]` in f32.
fn add_framing(graph: &mut Graph, padded: &Value, hops: &Value) -> Value {
    let hann = |i: usize| (0.5 - 0.5 * (TAU * i as f64 / FRAME_SAMPLES as f64).cos()) as f32;
    let patch_hop = graph.i64s("patch_hop_frames", &[1], &[PATCH_HOP_FRAMES as i64]);
    let patch_frames = graph.i64s("patch_frames", &[1], &[PATCH_FRAMES as i64]);
    let beyond = graph.node("Mul", "frames_beyond", &[hops, &patch_hop], &[]);
    let count = graph.node("Add", "frame_count", &[&beyond, &patch_frames], &[]);
    let index = add_index(graph, "frames", &count, FRAME_HOP_SAMPLES, FRAME_SAMPLES);
    let frames = graph.node("Gather", "frames", &[padded, &index], &[int("axis", 0)]);
    let window = graph.f32s("hann", &[FRAME_SAMPLES], &(0..FRAME_SAMPLES).map(hann).collect::<Vec<_>>());
    graph.node("Mul", "frames.windowed", &[&frames, &window], &[])
}

/// Logarithms of mel magnitudes, `[frames, 64]`.
fn add_log_mel(graph: &mut Graph, frames: &Value) -> Value {
    let frames = graph.cast("frames.wide", frames, Element::F64);
    let mut power_of = |name: &str, wave: fn(f64) -> f64| {
        // The product of sample and bin wraps exactly, so that the angle is as good for the last bin as for the first.
        let turn = |i: usize| (i / SPECTRUM_BINS) * (i % SPECTRUM_BINS) % FFT_SIZE;
        let matrix: Vec<f64> =
            (0..FRAME_SAMPLES * SPECTRUM_BINS).map(|i| wave(TAU * turn(i) as f64 / FFT_SIZE as f64)).collect();
        let matrix = graph.f64s(&format!("fourier.{name}"), &[FRAME_SAMPLES, SPECTRUM_BINS], &matrix);
        let part = graph.node("MatMul", &format!("spectrum.{name}"), &[&frames, &matrix], &[]);
        graph.node("Mul", &format!("power.{name}"), &[&part, &part], &[])
    };
    let (cosines, sines) = (power_of("cos", f64::cos), power_of("sin", f64::sin));
    let power = graph.node("Add", "power", &[&cosines, &sines], &[]);
    let power = graph.cast("power.narrow", &power, Element::F32);
    let magnitude = graph.node("Sqrt", "magnitude", &[&power], &[]);
    let filters = graph.f32s("mel.filters", &[SPECTRUM_BINS, MEL_BANDS], &mel_matrix());
    let mel = graph.node("MatMul", "mel", &[&magnitude, &filters], &[]);
    let offset = graph.f32s("log_offset", &[], &[LOG_OFFSET]);
    let mel = graph.node("Add", "mel.offset", &[&mel, &offset], &[]);
    graph.node("Log", "log_mel", &[&mel], &[])
}

/// Overlapping patches `[patches, 1, 96, 64]` of rows `[frames, 64]`.
fn add_patches(graph: &mut Graph, log_mel: &Value, hops: &Value) -> Value {
    let one = graph.i64s("one", &[1], &[1]);
    let count = graph.node("Add", "patch_count", &[hops, &one], &[]);
    let index = add_index(graph, "patches", &count, PATCH_HOP_FRAMES, PATCH_FRAMES);
    let patches = graph.node("Gather", "patches", &[log_mel, &index], &[int("axis", 0)]);
    graph.node("Unsqueeze", "patches.image", &[&patches, &one], &[])
}

/// Indices `[count, length]` of `length` neighbours every `hop`, for a `count` of shape `[1]`.
fn add_index(graph: &mut Graph, name: &str, count: &Value, hop: usize, length: usize) -> Value {
    let named = |what: &str| format!("{name}.{what}");
    let zero = graph.i64s(&named("first"), &[], &[0]);
    let step = graph.i64s(&named("hop"), &[], &[hop as i64]);
    let axes = graph.i64s(&named("axis"), &[1], &[1]);
    let offsets = graph.i64s(&named("offsets"), &[1, length], &(0..length as i64).collect::<Vec<_>>());
    let count = graph.node("Squeeze", &named("count"), &[count], &[]);
    let end = graph.node("Mul", &named("end"), &[&count, &step], &[]);
    let starts = graph.node("Range", &named("starts"), &[&zero, &end, &step], &[]);
    let starts = graph.node("Unsqueeze", &named("starts.column"), &[&starts, &axes], &[]);
    graph.node("Add", &named("index"), &[&starts, &offsets], &[])
}

/// The filterbank as a matrix, `[257, 64]`: what it makes of spectra with a one in a single bin.
fn mel_matrix() -> Vec<f32> {
    let filterbank = MelFilterbank::new();
    let mut matrix = vec![0.0; SPECTRUM_BINS * MEL_BANDS];
    for (bin, row) in matrix.chunks_exact_mut(MEL_BANDS).enumerate() {
        let mut spectra = [[0.0; LANES]; SPECTRUM_BINS];
        spectra[bin][0] = 1.0;
        let mut mel = [[0.0; LANES]; MEL_BANDS];
        filterbank.apply(&spectra, &mut mel);
        for (weight, band) in row.iter_mut().zip(&mel) {
            *weight = band[0];
        }
    }
    matrix
}
