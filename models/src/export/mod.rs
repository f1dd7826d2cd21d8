//! Models in ONNX, for programs that run them without EcoSight.
//!
//! [`head_onnx`] writes the head alone, for pooled embeddings; [`yamnet_onnx`] everything from samples to probabilities.
//!
//! Guarantees: the graph needs nothing but operators of ONNX itself (opset 17, IR version 8); its probabilities are those of this
//! program to 1e-4; the output `label` follows the model's decision, `unknown` included (of windows, each for itself); labels, thresholds and what the model was trained with are inside, as `metadata_props`; equal models are
//! equal bytes.
//!
//! | key | value |
//! |---|---|
//! | `labels` | JSON list of the class names, in index order |
//! | `thresholds` | JSON list of the lowest probability at which each class is answered; `null` for a class that is never answered |
//! | `decision` | JSON object, the rule of [`decision`](crate::decision): `rule` is `most_probable` (the most probable class if it reaches its threshold, else the `fallback`) or `each_class` (all classes that reach their thresholds, the `fallback` if there is none); `background` lists what is no alarm |
//! | `unknown` | JSON object: the label is `unknown` below this `probability` of the most probable class, or above this `energy` (−log Σ exp of the logits); missing where that is not tested |
//! | `temperature` | what the graph divides the logits by: 1 |
//! | `fitted_temperature` | the temperature that was fitted; it is folded into the weights, so nothing is to be divided by it; missing where none was fitted |
//! | `scores` | `softmax` (one label for a clip) or `sigmoid` (any number of labels) |
//! | `pooling` | `mean` or `mean_std` (means, then population standard deviations) |
//! | `features` | `contrast` where each embedding is followed by its difference from the mean of its neighbours (two on each side); else missing |
//! | `embedder` | JSON object: the identity of the embedder |
//! | `leaky` | `true` where copies of test clips were trained on; else missing |
//! | `version`, `digest` | of the model |
//! | `sample_rate_hz` | of the waveform, where that is the input |

mod error;
mod frontend;
mod graph;
mod head;
mod metadata;
mod mobilenet;
mod pooling;
mod proto;
mod spec;
#[cfg(test)]
mod tests;
mod yamnet;

pub use error::ExportError;
pub use head::head_onnx;
pub use spec::HeadSpec;
pub use yamnet::yamnet_onnx;
