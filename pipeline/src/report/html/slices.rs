//! Parts of the test side that have something in common.

use maud::{Markup, html};

use super::super::ReportData;
use super::super::words;
use super::{name, part, scroll};

/// Longer tables are folded.
const LONG: usize = 24;

pub(super) fn section(data: &ReportData) -> Option<Markup> {
    let table = scroll("Accuracy by slice", &table(data));
    (!data.slices.is_empty()).then(|| html! {
        @if data.slices.len() > LONG { details { summary { (data.slices.len()) " slices" } (table) } } @else { (table) }
    })
}

fn table(data: &ReportData) -> Markup {
    html! {
        table.figures.worded {
            caption { "Accuracy on parts of the test side. Intervals of small slices are wide." }
            thead { tr { @for word in ["by", "slice", "clips", data.accuracy_name(), "95 % interval"] { th scope="col" { (word) } } } }
            tbody {
                @for slice in &data.slices {
                    tr {
                        td.word { (name(&slice.by)) }
                        th scope="row" { (name(&slice.name)) }
                        td { (words::count(slice.clips)) }
                        td.bar style={ "--share:" (part(slice.accuracy.value)) } { (words::accuracy(slice)) }
                        td { @if slice.accuracy.ci95.is_some() { (words::ends(&slice.accuracy)) } @else { (words::NONE) } }
                    }
                }
            }
        }
    }
}
