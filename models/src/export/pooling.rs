//! The embeddings of a clip to one row, in double precision as [`Pooler`](crate::head::Pooler) computes it.

use super::graph::{Element, Graph, Value, int, ints};
use crate::head::{Features, Pooling, REACH, Summary};

/// A row `[1, pooled]` of `embeddings`, `[patches, dim]`.
pub(super) fn add_pooling(graph: &mut Graph, summary: Summary, embeddings: &Value) -> Value {
    let over_patches = [ints("axes", &[0]), int("keepdims", 1)];
    let x = graph.cast("pooling.wide", embeddings, Element::F64);
    let x = match summary.features {
        Features::Embedding => x,
        Features::Contrast => add_contrast(graph, &x),
    };
    let mean = graph.node("ReduceMean", "pooling.mean", &[&x], &over_patches);
    let row = match summary.pooling {
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

/// `[e, e − mean of its neighbours]`, `[patches, 2 · dim]`, of the embeddings `e`, `[patches, dim]`.
fn add_contrast(graph: &mut Graph, e: &Value) -> Value {
    let reach = REACH as i64;
    // Beyond the ends of the clip lie rows of zeros. A column of ones tells how many neighbours there are.
    let (zero, one) = (graph.f64s("contrast.zero", &[], &[0.0]), graph.f64s("contrast.one", &[], &[1.0]));
    let first = slice(graph, "contrast.first", e, 1, (0, 1));
    let nothing = graph.node("Mul", "contrast.nothing", &[&first, &zero], &[]);
    let ones = graph.node("Add", "contrast.ones", &[&nothing, &one], &[]);
    let counted = graph.node("Concat", "contrast.counted", &[e, &ones], &[int("axis", 1)]);
    let pads = graph.i64s("contrast.pads", &[4], &[reach, 0, reach, 0]);
    let padded = graph.node("Pad", "contrast.padded", &[&counted, &pads], &[]);
    let neighbours: Vec<Value> = (0..=2 * reach)
        .filter(|&offset| offset != reach)
        .map(|offset| {
            let end = if offset == 2 * reach { i64::MAX } else { offset - 2 * reach };
            slice(graph, &format!("contrast.neighbours.{offset}"), &padded, 0, (offset, end))
        })
        .collect();
    let sums = graph.node("Sum", "contrast.sums", &neighbours.iter().collect::<Vec<_>>(), &[]);
    let sum = slice(graph, "contrast.sum", &sums, 1, (0, -1));
    let count = slice(graph, "contrast.count", &sums, 1, (-1, i64::MAX));
    // (n · e − sum) / n, which is 0 where a patch is alone.
    let times = graph.node("Mul", "contrast.times", &[e, &count], &[]);
    let apart = graph.node("Sub", "contrast.apart", &[&times, &sum], &[]);
    let divisor = graph.node("Max", "contrast.divisor", &[&count, &one], &[]);
    let contrast = graph.node("Div", "contrast", &[&apart, &divisor], &[]);
    graph.node("Concat", "contrast.described", &[e, &contrast], &[int("axis", 1)])
}

/// A part of `x` along an axis; negative ends count from the back.
fn slice(graph: &mut Graph, name: &str, x: &Value, axis: i64, (start, end): (i64, i64)) -> Value {
    let starts = graph.i64s(&format!("{name}.start"), &[1], &[start]);
    let ends = graph.i64s(&format!("{name}.end"), &[1], &[end]);
    let axes = graph.i64s(&format!("{name}.axis"), &[1], &[axis]);
    graph.node("Slice", name, &[x, &starts, &ends, &axes], &[])
}
