//! The embeddings of a clip to one row, in double precision as [`Pooler`](crate::head::Pooler) computes it.

use super::graph::{Element, Graph, Value, int, ints};
use crate::head::Pooling;

/// A row `[1, pooled]` of `embeddings`, `[patches, dim]`.
pub(super) fn add_pooling(graph: &mut Graph, pooling: Pooling, embeddings: &Value) -> Value {
    let over_patches = [ints("axes", &[0]), int("keepdims", 1)];
    let x = graph.cast("pooling.wide", embeddings, Element::F64);
    let mean = graph.node("ReduceMean", "pooling.mean", &[&x], &over_patches);
    let row = match pooling {
        Pooling::Mean => mean,
        Pooling::MeanStd => {
            let centred = graph.node("Sub", "pooling.centred", &[&x, &mean], &[]);
            let squares = graph.node("Mul", "pooling.squares", &[&centred, &centred], &[]);
            let variance = graph.node("ReduceMean", "pooling.variance", &[&squares], &over_patches);
            let deviation = graph.node("Sqrt", "pooling.std", &[&variance], &[]);
            graph.node("Concat", "pooling.mean_std", &[&mean, &deviation], &[int("axis", 1)])
        }
    };
    graph.cast("pooled", &row, Element::F32)
}
