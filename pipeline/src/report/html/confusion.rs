//! What is taken for what.

use maud::{Markup, html};

use super::super::ReportData;
use super::super::words;
use super::{name, scroll};

/// A matrix of more classes than this is folded.
const WIDE: usize = 20;
/// Confusions that are listed in words.
const LISTED: usize = 6;

pub(super) fn section(data: &ReportData) -> Option<Markup> {
    if data.confusion.is_empty() {
        return None;
    }
    let matrix = matrix(data);
    Some(html! {
        (most_frequent(data))
        @if data.classes.len() > WIDE { details { summary { "Matrix of " (data.classes.len()) " classes" } (matrix) } }
        @else { (matrix) }
    })
}

fn most_frequent(data: &ReportData) -> Markup {
    let mut pairs: Vec<(u64, usize, usize)> = Vec::new();
    for (label, row) in data.confusion.iter().enumerate() {
        let wrong = row.iter().enumerate().filter(|(predicted, clips)| *predicted != label && **clips > 0);
        pairs.extend(wrong.map(|(predicted, clips)| (*clips, label, predicted)));
    }
    pairs.sort_by(|a, b| b.0.cmp(&a.0).then(a.cmp(b)));
    let unknown: u64 = data.unknown.iter().sum();
    html! {
        @if unknown > 0 {
            p { (words::count(unknown)) " test clips were answered unknown: they count as wrong, and are in the column of no class." }
        }
        @if pairs.is_empty() { p { "No test clip was taken for another class." } } @else {
            ul.pairs {
                @for (clips, label, predicted) in pairs.iter().take(LISTED) {
                    li {
                        strong { (name(&data.classes[*label])) } " taken for " strong { (name(&data.classes[*predicted])) }
                        ": " (words::count(*clips)) " of " (words::count(clips_of(data, *label)))
                    }
                }
            }
        }
    }
}

/// Test clips of a class, those that were answered unknown included.
fn clips_of(data: &ReportData, class: usize) -> u64 {
    data.confusion[class].iter().sum::<u64>() + data.unknown.get(class).copied().unwrap_or(0)
}

fn matrix(data: &ReportData) -> Markup {
    let has_unknown = data.unknown.iter().any(|clips| *clips > 0);
    let table = html! {
        table.confusion {
            caption { "Test clips by true class (row) and predicted class (column). The deeper the colour, the larger the share of the row." }
            thead {
                tr {
                    th scope="col" { "true \\ predicted" }
                    @for class in &data.classes { th.turned scope="col" { span { (name(class)) } } }
                    @if has_unknown { th.turned scope="col" { span { "(unknown)" } } }
                }
            }
            tbody {
                @for (label, row) in data.confusion.iter().enumerate() {
                    tr {
                        th scope="row" { (name(&data.classes[label])) }
                        @for (predicted, clips) in row.iter().enumerate() {
                            td class=(if label == predicted { "right" } else { "wrong" }) style={ "--heat:" (heat(*clips, clips_of(data, label))) } {
                                @if *clips == 0 { span.zero { "·" } } @else { (words::count(*clips)) }
                            }
                        }
                        @if has_unknown { td { (words::count(data.unknown[label])) } }
                    }
                }
            }
        }
    };
    scroll("Confusion matrix", &table)
}

/// Depth of a cell's colour. The cube root, since a few per cent should be seen; not above 42 %, where text would fade.
fn heat(clips: u64, of: u64) -> String {
    let share = clips as f64 / of.max(1) as f64;
    format!("{:.0}%", 42.0 * share.cbrt())
}
