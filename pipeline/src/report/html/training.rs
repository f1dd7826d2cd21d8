//! Loss and accuracy while the head was fitted.

use maud::{Markup, html};

use super::super::words;
use super::super::{Epoch, ReportData};
use super::plot::{Axis, Ink, Line, Stroke, plot};
use super::scroll;

type Get = fn(&Epoch) -> Option<f64>;

pub(super) fn section(data: &ReportData) -> Option<Markup> {
    let epochs = data.learning.as_slice();
    let plots = [
        curves(epochs, "loss", |epoch| Some(epoch.loss), |epoch| epoch.val_loss),
        curves(epochs, "accuracy", |epoch| epoch.accuracy, |epoch| epoch.val_accuracy),
    ];
    (!epochs.is_empty()).then(|| html! {
        figure {
            div.plots { @for plot in plots.into_iter().flatten() { (plot) } }
            figcaption {
                ul.key {
                    li { span.stroke.main {} "train: rows that are fitted" }
                    @if epochs.iter().any(|epoch| epoch.val_loss.is_some()) { li { span.stroke.dashed.other {} "val: rows that are selected on" } }
                }
            }
        }
        details { summary { "Figures of all " (epochs.len()) " epochs" } (table(epochs)) }
    })
}

/// A figure on both sides over the epochs; none where it was not taken.
fn curves(epochs: &[Epoch], label: &'static str, train: Get, val: Get) -> Option<Markup> {
    let points = |get: Get| -> Vec<(f64, f64)> {
        epochs.iter().filter_map(|epoch| Some((epoch.epoch as f64, get(epoch).filter(|y| y.is_finite())?))).collect()
    };
    let lines = [
        Line { ink: Ink::Main, points: points(train), stroke: Stroke::Solid },
        Line { ink: Ink::Other, points: points(val), stroke: Stroke::Dashed },
    ];
    let all = || lines.iter().flat_map(|line| &line.points);
    let (x, y) = (range(all().map(|point| point.0))?, range(all().map(|point| point.1))?);
    let last = |line: &Line| words::maybe(line.points.last().map(|point| point.1));
    let about = format!("{label} over epochs, at the end {} on train and {} on val", last(&lines[0]), last(&lines[1]));
    Some(plot(&about, (420, 300), [Axis { label: "epoch", range: x }, Axis { label, range: y }], &lines))
}

/// From the smallest to the largest with a little room; none of nothing.
fn range(values: impl Iterator<Item = f64>) -> Option<std::ops::Range<f64>> {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    let room = if high > low { 0.04 * (high - low) } else { 0.5 };
    (low <= high).then_some(low - room..high + room)
}

fn table(epochs: &[Epoch]) -> Markup {
    let table = html! {
        table.figures {
            caption { "Training, epoch by epoch." }
            thead { tr { @for word in ["epoch", "loss", "accuracy", "val loss", "val accuracy"] { th scope="col" { (word) } } } }
            tbody {
                @for epoch in epochs {
                    tr {
                        th scope="row" { (epoch.epoch) }
                        @for value in [Some(epoch.loss), epoch.accuracy, epoch.val_loss, epoch.val_accuracy] { td { (words::maybe(value)) } }
                    }
                }
            }
        }
    };
    scroll("Training, epoch by epoch", &table)
}
