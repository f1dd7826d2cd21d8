//! This model beside the one in production, figure by figure.

use maud::{Markup, html};

use super::super::words;
use super::super::{Champion, ReportData};
use super::{name, scroll};

/// Longer tables are folded.
const LONG: usize = 24;

pub(super) fn section(data: &ReportData) -> Option<Markup> {
    let champion = data.summary.champion.as_ref().filter(|champion| !champion.figures.is_empty())?;
    let table = scroll("Figures of both models", &table(champion));
    Some(html! {
        @if champion.figures.len() > LONG { details { summary { (champion.figures.len()) " figures" } (table) } } @else { (table) }
    })
}

fn table(champion: &Champion) -> Markup {
    html! {
        table.figures.worded {
            caption {
                "On the " (words::count(champion.clips)) " clips that are test clips of both. Differences have 95 % intervals " (champion.by) ", drawn alike for both models."
            }
            thead { tr { @for word in ["figure", "in production before", "this model", "difference"] { th scope="col" { (word) } } } }
            tbody {
                @for figure in &champion.figures {
                    tr {
                        th scope="row" { (name(&figure.name)) }
                        td { (words::with_ends(&figure.champion)) }
                        td { (words::with_ends(&figure.challenger)) }
                        td { (words::points_with_ends(&figure.difference)) }
                    }
                }
            }
        }
    }
}
