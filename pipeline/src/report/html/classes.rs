//! Figures of each class.

use maud::{Markup, html};

use super::super::words;
use super::super::{ClassFigures, ReportData};
use super::{name, part, scroll};

/// Tables longer than this show their worst rows and fold the whole.
const LONG: usize = 15;
/// Rows that are shown of a long table.
const SHOWN: usize = 10;

pub(super) fn section(data: &ReportData) -> Option<Markup> {
    let mut rows: Vec<(&str, &ClassFigures)> = data.classes.iter().map(String::as_str).zip(&data.per_class).collect();
    let all = table(
        "Figures of each class on the test side. Precision, recall and F1: each clip counts for what the model answers.",
        &rows,
    );
    let notes = notes(data);
    let n = rows.len();
    if n <= LONG {
        return (n > 0).then(|| html! { (all) (notes) });
    }
    rows.sort_by(|a, b| a.1.f1.unwrap_or(2.0).total_cmp(&b.1.f1.unwrap_or(2.0)));
    let caption = format!(
        "The {SHOWN} classes with the lowest F1 on the test side. Each clip counts for what the model answers."
    );
    Some(html! {
        (table(&caption, &rows[..SHOWN]))
        details { summary { "All " (n) " classes" } (all) }
        (notes)
    })
}

/// The classes with one recording.
fn notes(data: &ReportData) -> Markup {
    html! {
        @for (meaning, classes) in words::single_recordings(data) {
            p { (meaning) ": " @for (at, class) in classes.iter().enumerate() { @if at > 0 { ", " } (name(class)) } "." }
        }
    }
}

fn table(caption: &str, rows: &[(&str, &ClassFigures)]) -> Markup {
    let header = ["precision", "recall", "F1", "AP", "AUROC", "threshold", "clips"];
    let table = html! {
        table.figures {
            caption { (caption) }
            thead { tr { th scope="col" { "class" } @for word in header { th scope="col" { (word) } } } }
            tbody {
                @for (class, figures) in rows {
                    tr {
                        th scope="row" { (name(class)) }
                        @for figure in [figures.precision, figures.recall] { td { (words::maybe(figure)) } }
                        td.bar style={ "--share:" (part(figures.f1.unwrap_or(0.0))) } { (words::maybe(figures.f1)) }
                        @for figure in [figures.ap, figures.auroc, figures.threshold] { td { (words::maybe(figure)) } }
                        td { (words::count(figures.support)) }
                    }
                }
            }
        }
    };
    scroll("Figures of each class", &table)
}
