//! What a reader looks for first: is it good, is it better, is it in use.

use maud::{Markup, html};

use super::super::words;
use super::super::{Interval, Outcome, ReportData, Verdict};
use super::{name, part, scroll};

/// Title, identity, reservations and the main figures.
pub(super) fn header(data: &ReportData) -> Markup {
    let (model, summary) = (&data.model, &data.summary);
    let tone = match summary.verdict {
        Verdict::Published => "good",
        Verdict::Forced | Verdict::Undecided => "warn",
        Verdict::Refused => "bad",
    };
    html! {
        header {
            h1 { (name(&data.title)) }
            p.about {
                strong { (name(&model.version)) } " " span class={ "badge " (tone) } { (words::verdict(summary.verdict)) }
                @for flag in &data.flags { " " span class="badge bad" { (name(&flag.word)) } }
            }
            p.about { (name(&model.about)) }
            @for flag in &data.flags {
                p.flag role="note" { strong { (name(&flag.word)) ": " } (name(&flag.note)) }
            }
            (comparison(data))
            @if !data.overall.is_empty() {
                ul.cards {
                    @for figure in &data.overall {
                        li {
                            span.what { (name(&figure.name)) }
                            span.number { (words::percent(figure.value.value)) }
                            @if figure.value.ci95.is_some() { span.ends { (words::ends(&figure.value)) } }
                        }
                    }
                }
            }
            dl.facts {
                div { dt { "Run" } dd { code { (data.run_id) } } }
                div { dt { "Made (UTC)" } dd { (name(&model.created_utc)) } }
                div { dt { "Digest" } dd { code { (model.digest) } } }
            }
        }
    }
}

/// The challenger and the champion on one scale.
fn comparison(data: &ReportData) -> Markup {
    let summary = &data.summary;
    let mut rows = vec![("this model", data.model.version.as_str(), summary.challenger)];
    if let Some(champion) = &summary.champion {
        rows.push(("in production before", &champion.version, champion.value));
    }
    let (from, to) = scale(&rows.iter().map(|row| row.2).collect::<Vec<_>>());
    let at = |value: f64| part((value - from) / (to - from));
    html! {
        figure.comparison {
            figcaption {
                strong { (name(&summary.metric)) } " with 95 % intervals. "
                @if let Some(champion) = &summary.champion {
                    "Difference on " (words::count(champion.clips)) " test clips of both: "
                    strong { (words::points_with_ends(&champion.difference)) } "."
                } @else { "Nothing was there to compare it with." }
            }
            @for (role, version, value) in &rows {
                div.contender {
                    span.role { (role) br; small { (name(version)) } }
                    span.track aria-hidden="true" {
                        @if let Some([low, high]) = value.ci95 {
                            span.whisker style={ "left:" (at(low)) ";right:" (part(1.0 - (high - from) / (to - from))) } {}
                        }
                        span.dot style={ "left:" (at(value.value)) } {}
                    }
                    span.number { (words::percent(value.value)) }
                    span.ends { (words::ends(value)) }
                }
            }
            div.contender aria-hidden="true" {
                span.role {}
                span.scale { span { (words::percent(from)) } span { (words::percent(to)) } }
            }
        }
    }
}

/// Tenths that hold all figures and their intervals; at least one.
fn scale(values: &[Interval]) -> (f64, f64) {
    let all = values.iter().flat_map(|value| [value.value].into_iter().chain(value.ci95.into_iter().flatten()));
    let (low, high) =
        all.filter(|x| x.is_finite()).fold((1.0_f64, 0.0_f64), |(low, high), x| (low.min(x), high.max(x)));
    let from = ((low.min(high) * 10.0).floor() / 10.0).clamp(0.0, 0.9);
    (from, ((high * 10.0).ceil() / 10.0).clamp(from + 0.1, 1.0))
}

/// The criteria of the gate.
pub(super) fn gate(data: &ReportData) -> Option<Markup> {
    let criteria = &data.summary.criteria;
    let has_limits = criteria.iter().any(|criterion| !criterion.wanted.is_empty());
    let table = html! {
        table {
            caption { "What a model must hold before it is published. n/a: cannot be computed on these data." }
            thead { tr { th scope="col" { "criterion" } @if has_limits { th scope="col" { "wanted" } } th scope="col" { "found" } th scope="col" { "outcome" } } }
            tbody {
                @for criterion in criteria {
                    tr {
                        th scope="row" { (name(&criterion.name)) }
                        @if has_limits { td { (name(&criterion.wanted)) } }
                        td { (name(&criterion.found)) }
                        td { span class={ "badge " (tone(criterion.outcome)) } { (sign(criterion.outcome)) " " (words::outcome(criterion.outcome)) } }
                    }
                }
            }
        }
    };
    (!criteria.is_empty()).then(|| scroll("Criteria of the gate", &table))
}

const fn tone(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "good",
        Outcome::Fail => "bad",
        Outcome::NotAvailable => "none",
    }
}

/// The outcome for those who see no colours.
const fn sign(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Pass => "✓",
        Outcome::Fail => "✗",
        Outcome::NotAvailable => "–",
    }
}
