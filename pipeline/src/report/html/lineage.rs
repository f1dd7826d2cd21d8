//! What the model was made from.

use maud::{Markup, html};

use super::super::ReportData;
use super::{name, scroll};

pub(super) fn section(data: &ReportData) -> Markup {
    let lineage = &data.lineage;
    html! {
        dl.facts {
            div { dt { "Recordings" } dd { code { (name(&lineage.source)) } } }
            div { dt { "Embedder" } dd { code { (name(&lineage.embedder)) } } }
        }
        (pairs("Digests of the tables", "table", "digest", &lineage.tables))
        (pairs("Settings", "setting", "value", &lineage.settings))
    }
}

fn pairs(title: &str, key: &str, value: &str, rows: &[(String, String)]) -> Markup {
    let table = html! {
        table {
            caption { (title) "." }
            thead { tr { th scope="col" { (key) } th scope="col" { (value) } } }
            tbody { @for (key, value) in rows { tr { th scope="row" { (name(key)) } td { code { (name(value)) } } } } }
        }
    };
    html! { @if !rows.is_empty() { details { summary { (title) } (scroll(title, &table)) } } }
}
