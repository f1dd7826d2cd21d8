//! How much there was, and how long it took.

use maud::{Markup, html};

use super::super::words;
use super::super::{ClassCount, ReportData};
use super::{name, part, scroll};

/// Longer tables are folded.
const LONG: usize = 24;

/// Clips of each class by side.
pub(super) fn counts(data: &ReportData) -> Option<Markup> {
    let total = data.counts.iter().fold(ClassCount::default(), |sum, count| ClassCount {
        train: sum.train + count.train,
        val: sum.val + count.val,
        test: sum.test + count.test,
        augmented: sum.augmented + count.augmented,
        ..sum
    });
    let originals = |count: &ClassCount| count.train + count.val + count.test;
    let most = data.counts.iter().map(originals).max()?.max(1) as f64;
    let numbers = |count: &ClassCount| [count.train, count.val, count.test, count.augmented].map(words::count);
    let recordings = |count: &ClassCount| [count.recordings, count.test_recordings].map(words::maybe_count);
    let header =
        ["class", "share", "train", "val", "test", "augmented", "recordings (train, val)", "recordings (test)"];
    let table = html! {
        table.figures.worded {
            caption { "Original clips by class and side; augmented variants are made of train clips only." }
            thead { tr { @for word in header { th scope="col" { (word) } } } }
            tbody {
                @for (class, count) in data.classes.iter().zip(&data.counts) {
                    tr {
                        th scope="row" { (name(class)) }
                        td.stack aria-hidden="true" {
                            span.bars {
                                @for (side, n) in [("train", count.train), ("val", count.val), ("test", count.test)] {
                                    span class=(side) style={ "width:" (part(n as f64 / most)) } {}
                                }
                            }
                        }
                        @for number in numbers(count).into_iter().chain(recordings(count)) { td { (number) } }
                    }
                }
            }
            tfoot { tr { th scope="row" { "all" } td aria-hidden="true" {} @for number in numbers(&total) { td { (number) } } td {} td {} } }
        }
    };
    let table = scroll("Clips by class and side", &table);
    Some(html! {
        p { (words::count(originals(&total))) " original clips of " (data.classes.len()) " classes." }
        @if data.counts.len() > LONG { details { summary { "All classes" } (table) } } @else { (table) }
    })
}

/// Time of each stage.
pub(super) fn timings(data: &ReportData) -> Option<Markup> {
    let all: f64 = data.timings.iter().map(|stage| stage.wall_s).sum();
    let table = html! {
        table.figures.worded {
            caption { "Stages in the order of the dataflow. Fresh: nothing was to be done." }
            thead { tr { @for word in ["stage", "status", "time", "processor time"] { th scope="col" { (word) } } } }
            tbody {
                @for stage in &data.timings {
                    tr {
                        th scope="row" { (name(&stage.stage)) }
                        td.word { (name(&stage.status)) }
                        td.bar style={ "--share:" (part(stage.wall_s / all)) } { (words::duration(stage.wall_s)) }
                        td { (stage.cpu_s.map_or_else(|| words::NONE.to_owned(), words::duration)) }
                    }
                }
            }
            tfoot { tr { th scope="row" { "all" } td {} td { (words::duration(all)) } td {} } }
        }
    };
    (!data.timings.is_empty()).then(|| scroll("Time of each stage", &table))
}
