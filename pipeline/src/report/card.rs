//! `MODEL_CARD.md`: what a model is for, how good it is and where it must not be trusted, in the sections of Mitchell et al. 2019,
//! "Model Cards for Model Reporting".

mod markdown;
mod tables;

use markdown::{code, text};

use super::check::check;
use super::words;
use super::{ReportData, ReportError};

/// What the model is for where the user says nothing.
const USE: &str = "Finding candidates for the classes below in field recordings, to be confirmed by a person or by repeated detections.";
/// What no such model is for.
const NOT_FOR: &str = "Not meant for: sounds of other classes, which are forced into one of these unless a threshold or a background \
    class rejects them; counting individuals; proof of absence; decisions without a person.";

/// The model card. What is in the data is escaped: it stays text.
pub fn card(data: &ReportData) -> Result<String, ReportError> {
    check(data)?;
    let mut card = format!("# Model card: {}\n", text(&data.title));
    for flag in &data.flags {
        card.push_str(&format!("\n> **{}**: {}\n", text(&flag.word), text(&flag.note)));
    }
    let sections = [
        ("Model details", details(data)),
        ("Intended use", intended_use(data)),
        ("Factors", factors(data)),
        ("Metrics", metrics(data)),
        ("Evaluation data", evaluation_data(data)),
        ("Training data", training_data(data)),
        ("Quantitative analyses", analyses(data)),
        ("Ethical considerations", ETHICS.to_owned()),
        ("Caveats and limits", limits(data)),
        ("Lineage", lineage(data)),
    ];
    for (title, body) in sections {
        card.push_str(&format!("\n## {title}\n\n{}\n", body.trim_end()));
    }
    Ok(card)
}

const ETHICS: &str = "Field recordings may hold human voices; the model stores none, but its training clips and the mistakes in the report \
    may. Places of protected species can be told from detections: think before publishing them.";

fn details(data: &ReportData) -> String {
    let model = &data.model;
    let mut list = format!("- Version: {}\n- Kind: {}\n", code(&model.version), text(&model.about));
    list.push_str(&format!("- Made (UTC): {}\n- Digest: {}\n", text(&model.created_utc), code(&model.digest)));
    list.push_str(&format!("- State: {}\n", words::verdict(data.summary.verdict)));
    list + &format!("- Made by: EcoSight {}, run {}\n", text(&data.lineage.ecosight_version), code(&data.run_id))
}

fn intended_use(data: &ReportData) -> String {
    let what = data.protocol.intended_use.as_deref().map_or_else(|| USE.to_owned(), text);
    let classes: Vec<String> = data.classes.iter().map(|class| text(class)).collect();
    format!("{what}\n\n{NOT_FOR}\n\nClasses ({}): {}.", classes.len(), classes.join(", "))
}

fn factors(data: &ReportData) -> String {
    let mut by: Vec<String> = data.slices.iter().map(|slice| text(&slice.by)).collect();
    by.dedup();
    if by.is_empty() {
        return "No slices were told apart: how the model does at other sites, with other devices or in other noise is unknown.".to_owned();
    }
    format!(
        "Results below are told apart by {}. Other sites, devices and seasons than those of the recordings are unknown.",
        by.join(", ")
    )
}

fn metrics(data: &ReportData) -> String {
    let mut body = format!("Intervals: {}.\n\n", text(&data.protocol.intervals));
    body.push_str(&tables::overall(data));
    body.push_str(&format!("\nThresholds: {}.\n", text(&data.protocol.thresholds)));
    if let Some(calibration) = &data.calibration {
        let [before, after] = [&calibration.before, &calibration.after].map(|side| words::decimal(side.ece));
        let method = text(&calibration.method);
        let error = words::calibration_error(calibration.ece_bins);
        body.push_str(&format!("\nCalibration: {method}; {error} {before} before, {after} after.\n"));
    } else {
        body.push_str("\nCalibration: none; probabilities rank clips and are no frequencies.\n");
    }
    body.push_str(&comparison(data));
    body
}

fn comparison(data: &ReportData) -> String {
    let summary = &data.summary;
    let mut body = match &summary.champion {
        Some(champion) => format!(
            "\nAgainst the model in production before ({}), on {} test clips of both: {} {}, difference {}.\n",
            code(&champion.version),
            words::count(champion.clips),
            text(&summary.metric),
            words::with_ends(&champion.value),
            words::points_with_ends(&champion.difference),
        ),
        None => "\nNothing was there to compare it with.\n".to_owned(),
    };
    if let Some(champion) = summary.champion.as_ref().filter(|champion| !champion.figures.is_empty()) {
        body.push_str(&format!("\n{}", tables::compared(champion)));
    }
    if !summary.criteria.is_empty() {
        body.push_str(&format!("\n{}", tables::gate(data)));
    }
    body
}

fn evaluation_data(data: &ReportData) -> String {
    let test: u64 = data.counts.iter().map(|count| count.test).sum();
    format!("{} test clips, held out. Split: {}.", words::count(test), text(&data.protocol.split))
}

fn training_data(data: &ReportData) -> String {
    let body = format!("{}.\n", text(&data.protocol.fitting));
    let tables = [(data.counts.is_empty(), tables::counts(data)), (data.groups.is_empty(), tables::groups(data))];
    tables.into_iter().filter(|(is_empty, _)| !is_empty).fold(body, |body, (_, table)| format!("{body}\n{table}"))
}

fn analyses(data: &ReportData) -> String {
    let mut parts = Vec::new();
    if !data.per_class.is_empty() {
        parts.push(tables::per_class(data));
    }
    if !data.slices.is_empty() {
        parts.push(tables::slices(data));
    }
    let unknown: u64 = data.unknown.iter().sum();
    if unknown > 0 {
        let unknown = words::count(unknown);
        parts.push(format!("{unknown} test clips were answered `unknown`; they count as wrong for their class.\n"));
    }
    parts.push(match &data.false_alarms {
        Some(alarms) => {
            let ci = alarms.per_hour.ci95;
            let ends = ci.map(|[low, high]| format!(" (95 % interval {}–{})", words::rate(low), words::rate(high)));
            let [per_hour, hours] = [alarms.per_hour.value, alarms.hours].map(words::rate);
            format!("False alarms: {per_hour} per hour{} on {hours} hours of background.\n", ends.unwrap_or_default())
        }
        None => "False alarms per hour: n/a, there were no background clips.\n".to_owned(),
    });
    parts.join("\n")
}

fn limits(data: &ReportData) -> String {
    let mut list = String::new();
    for limit in &data.protocol.limits {
        list.push_str(&format!("- {}\n", text(limit)));
    }
    let few: Vec<String> = data
        .classes
        .iter()
        .zip(&data.per_class)
        .filter(|(_, figures)| figures.support < FEW)
        .map(|(class, figures)| format!("{} ({})", text(class), figures.support))
        .collect();
    if !few.is_empty() {
        list.push_str(&format!(
            "- Classes with fewer than {FEW} test clips, whose figures say little: {}.\n",
            few.join(", ")
        ));
    }
    for (meaning, classes) in words::single_recordings(data) {
        let classes: Vec<String> = classes.into_iter().map(text).collect();
        list.push_str(&format!("- {meaning}: {}.\n", classes.join(", ")));
    }
    list + "- The figures hold for recordings like those of the test side.\n"
}

/// Of fewer clips than this, one more mistake moves recall by more than five points.
const FEW: u64 = 20;

fn lineage(data: &ReportData) -> String {
    let lineage = &data.lineage;
    let mut list = format!("- Recordings: {}\n- Embedder: {}\n", code(&lineage.source), code(&lineage.embedder));
    for (table, digest) in &lineage.tables {
        list.push_str(&format!("- Table {}: {}\n", code(table), code(digest)));
    }
    if !lineage.settings.is_empty() {
        list.push_str(&format!("\n{}", tables::settings(data)));
    }
    list
}

#[cfg(test)]
#[path = "card/card_tests.rs"]
mod tests;
