//! What background sounds cost.

use maud::{Markup, html};

use super::super::words;
use super::super::{FalseAlarms, ReportData};
use super::{name, scroll};

pub(super) fn section(data: &ReportData) -> Option<Markup> {
    let alarms = data.false_alarms.as_ref()?;
    let FalseAlarms { hours, per_hour, per_class } = alarms;
    let table = html! {
        table.figures {
            caption { "Alarms on background clips by class." }
            thead { tr { @for word in ["class", "alarms", "per hour"] { th scope="col" { (word) } } } }
            tbody {
                @for (class, alarms) in data.classes.iter().zip(per_class) {
                    tr { th scope="row" { (name(class)) } td { (words::count(*alarms)) } td { (words::rate(*alarms as f64 / hours)) } }
                }
            }
        }
    };
    Some(html! {
        p {
            strong { (words::rate(per_hour.value)) " false alarms per hour" }
            @if let Some([low, high]) = per_hour.ci95 { " (95 % interval " (words::rate(low)) "–" (words::rate(high)) ")" }
            " on " (words::rate(*hours)) " hours of background, at the thresholds of the classes."
        }
        @if !per_class.is_empty() { details { summary { "By class" } (scroll("False alarms by class", &table)) } }
    })
}
