//! The summary of a run, and tables of figures.

use comfy_table::{CellAlignment, Table, presets};
use ecosight_datasets::audio::SAMPLE_RATE_HZ;
use ecosight_datasets::layout::{Layout, SNAPSHOT};
use ecosight_datasets::tables::SliceRow;
use ecosight_models::decision::Labelling;
use ecosight_models::metrics::{Interval, Metrics};
use ecosight_stages::RowCounts;
use ecosight_stages::publish::Gate;
use ecosight_stages::timings::{StageTime, StepTime};

use super::escape::one_line;
use super::run_report::PAGE;
use crate::engine::{RunOutcome, StageRecord};

/// A table with a header and columns aligned left (the first) and right (the rest). Cells are escaped and have one line each.
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = laid_out(header, rows);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}\n", table.trim_fmt())
}

/// A table with a header and all columns aligned left: for words. Cells are escaped and have one line each.
pub(crate) fn listing(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    format!("{}\n", laid_out(header, rows).trim_fmt())
}

fn laid_out(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Table {
    let shown = |cell: &str| one_line(cell).into_owned();
    let rows = rows.into_iter().map(|row| row.iter().map(|cell| shown(cell)).collect::<Vec<_>>());
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header.iter().map(|cell| shown(cell))).add_rows(rows);
    table
}

/// What was done, what was reused, what failed, how good the model is and where everything lies.
pub(crate) fn summary(outcome: &RunOutcome, layout: &Layout) -> String {
    let (mut text, root) = (String::new(), layout.place());
    let path = |place: &dyn std::fmt::Display| one_line(&place.to_string()).into_owned();
    if let Some(test) = outcome.metrics.get("test") {
        let unseen = if test.is_leaky { "" } else { " that the model has not seen" };
        // Figures that were not measured now say when they were.
        let earlier = outcome.measured.as_ref().map_or(String::new(), |measured| {
            format!(", as measured by run {} on {} clips", measured.run_id, measured.clips)
        });
        text.push_str(&format!("\nOn {} test clips{unseen}{earlier}:\n\n{}", test.n, figures(test)));
    }
    if let Some(gate) = &outcome.gate {
        text.push_str(&format!("\n{}", self::gate(gate)));
    }
    if outcome.was_idle() {
        let is_all = outcome.stages.len() >= outcome.stage_versions.len();
        let names: Vec<_> = outcome.stages.iter().map(|stage| format!("`{}`", stage.stage)).collect();
        let what = if is_all { "everything".to_owned() } else { names.join(", ") };
        let verb = if is_all || names.len() == 1 { "is" } else { "are" };
        text.push_str(&format!("\n{what} {verb} up to date ({:.1} s)\n", outcome.seconds));
    } else {
        text.push_str(&format!("\n{}", stages(&outcome.stages)));
        text.push_str(&format!("\ndone in {:.1} s\n", outcome.seconds));
    }
    for (stage, why) in &outcome.skipped {
        text.push_str(&format!("skipped {stage}: {}\n", one_line(why)));
    }
    if outcome.failed() > 0 {
        let listed = "`ecosight failed` lists them with the reason";
        text.push_str(&format!("failed  {} clip(s) or variants cannot be used; {listed}\n", outcome.failed()));
    }
    let corrected = outcome.counts.get("manifest").and_then(|counts| counts.get("corrected")).copied().unwrap_or(0);
    if corrected > 0 {
        text.push_str(&format!("labels  {corrected} corrected by `ecosight review --import`\n"));
    }
    if let Some(model) = &outcome.model {
        let state = if outcome.published { "in production" } else { "not published" };
        text.push_str(&format!("model   {} ({state})\n", path(&root.join("models").join(model))));
    }
    // In a bucket, no folder is the tables.
    let tables = if root.local().is_some() { "tables" } else { SNAPSHOT };
    text.push_str(&format!("tables  {}\n", path(&root.join(tables))));
    if !outcome.is_recorded {
        text.push_str("run     not recorded, as nothing was done\n");
        return text;
    }
    let run = root.join("runs").join(&outcome.run_id);
    text.push_str(&format!("run     {}\n", path(&run)));
    if layout.run(&outcome.run_id).join(PAGE).is_file() {
        text.push_str(&format!("report  {}\n", path(&run.join(PAGE))));
    }
    text
}

/// What the gate found of a model.
pub(crate) fn gate(gate: &Gate) -> String {
    let verdict = match (gate.passed, gate.forced) {
        (true, _) => "passed",
        (false, true) => "refused, and published all the same",
        (false, false) => "refused",
    };
    let rows = gate
        .criteria
        .iter()
        .map(|criterion| vec![criterion.name.clone(), criterion.result.word().to_owned(), criterion.words.clone()]);
    listing(&["gate", verdict, ""], rows)
}

/// What became of the rows of each stage.
fn stages(stages: &[StageRecord]) -> String {
    let rows = stages.iter().map(|stage| {
        let RowCounts { new, changed, reused, retired, failed } = stage.rows;
        let counts = [new, changed, reused, retired, failed].map(count);
        let seconds = if stage.status == "fresh" { "–".to_owned() } else { format!("{:.1} s", stage.seconds) };
        [vec![stage.stage.clone()], counts.to_vec(), vec![seconds]].concat()
    });
    table(&["stage", "new", "changed", "reused", "retired", "failed", "time"], rows)
}

/// A number, or a dot for nothing.
pub(crate) fn count(n: u64) -> String {
    if n == 0 { "·".to_owned() } else { n.to_string() }
}

/// Seconds for people.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => "< 1 s".to_owned(),
        s if s < 120.0 => format!("{s:.0} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s => format!("{:.1} h", s / 3600.0),
    }
}

/// Where the processor time went: the steps of stages that tell them apart, and the other stages as a whole.
pub(crate) fn timings(stages: &[StageTime]) -> String {
    let total: f64 = stages.iter().map(|stage| stage.cpu_s).sum();
    let mut rows = Vec::new();
    let mut row = |name: &str, amount: Option<(f64, &str)>, cpu_s: f64| {
        let [amount, rate] = amount.map_or([String::new(), String::new()], |(items, unit)| {
            let rate = if cpu_s > 0.0 { format!("{:.0}", items / cpu_s) } else { "–".to_owned() };
            [format!("{items:.0} {unit}"), rate]
        });
        let share = format!("{:.1} %", 100.0 * cpu_s / total.max(f64::MIN_POSITIVE));
        rows.push(vec![name.to_owned(), amount, rate, format!("{cpu_s:.2}"), share]);
    };
    for stage in stages {
        for step in &stage.steps {
            row(step.step, Some(amount(step)), step.cpu_s);
        }
        let rest = stage.cpu_s - stage.steps.iter().map(|step| step.cpu_s).sum::<f64>();
        let name = if stage.steps.is_empty() { stage.stage.clone() } else { format!("{}, else", stage.stage) };
        row(&name, None, rest.max(0.0));
    }
    row("all", None, total);
    table(&["step", "amount", "per CPU second", "CPU seconds", "share"], rows)
}

/// Items of a step in a unit for people.
fn amount(step: &StepTime) -> (f64, &'static str) {
    match step.unit {
        "bytes" => (step.items as f64 / 1e6, "MB"),
        "samples" => (step.items as f64 / f64::from(SAMPLE_RATE_HZ), "s of audio"),
        unit => (step.items as f64, unit),
    }
}

/// A share for people.
pub(crate) fn percent(share: f64) -> String {
    format!("{:.1} %", 100.0 * share)
}

/// Accuracy of parts of the test side; nothing where there are none.
pub(crate) fn slices(slices: &[SliceRow], labelling: Labelling) -> String {
    if slices.is_empty() {
        return String::new();
    }
    let ends = |row: &SliceRow| match (row.accuracy_low, row.accuracy_high) {
        (Some(low), Some(high)) => format!("{} – {}", percent(low), percent(high)),
        _ => "–".to_owned(),
    };
    let row = |row: &SliceRow| {
        vec![format!("{}: {}", row.by, row.slice), row.clips.to_string(), percent(row.accuracy), ends(row)]
    };
    format!("\n{}", table(&["slice", "clips", labelling.accuracy_name(), "95 %"], slices.iter().map(row)))
}

/// Overall and per-class figures, and the confusion matrix.
pub(crate) fn figures(metrics: &Metrics) -> String {
    let leaky = if metrics.is_leaky {
        "LEAKY: copies of these clips were trained on, the figures are too good to be true\n"
    } else {
        ""
    };
    let ci95 = metrics.ci95.as_ref().map_or(String::new(), |ci95| {
        let Interval { low, high } = ci95.accuracy;
        format!(" (95 %: {:.1}–{:.1}, {})", 100.0 * low, 100.0 * high, ci95.by())
    });
    let selected = if metrics.selected_on { "thresholds and temperature were chosen on these clips\n" } else { "" };
    let ece = metrics.ece.map_or(String::new(), |ece| format!(" · ECE ({} bins) {ece:.3}", metrics.ece_bins()));
    let mut text = format!(
        "{leaky}{selected}{} {}{ci95} · {} {} · macro F1 {:.3}{ece}\n\n",
        metrics.labelling.accuracy_name(),
        percent(metrics.accuracy),
        metrics.labelling.balanced_accuracy_name(),
        percent(metrics.balanced_accuracy),
        metrics.macro_f1
    );
    if metrics.corrected_labels > 0 {
        text.push_str(&format!(
            "the labels of {} of these clips were corrected by review\n\n",
            metrics.corrected_labels
        ));
    }
    let rows = metrics.per_class.iter().map(|class| {
        let average = class.average_precision.map_or("–".to_owned(), |ap| format!("{ap:.3}"));
        let ratios = class.ratios().map(|ratio| ratio.map_or("n/a".to_owned(), |ratio| format!("{ratio:.3}")));
        [vec![class.class.clone(), class.support.to_string()], ratios.to_vec(), vec![average]].concat()
    });
    text.push_str(&table(&["class", "clips", "precision", "recall", "F1", "AP"], rows));
    if metrics.confusion_matrix.is_empty() {
        return text;
    }
    text.push('\n');
    text.push_str(&confusions(metrics));
    text
}

/// The confusion matrix, with a column of its own for rows that were answered `unknown`, where there are any.
fn confusions(metrics: &Metrics) -> String {
    let unknown = metrics.unknown_rows();
    let has_unknown = unknown.iter().any(|rows| *rows > 0);
    let names: Vec<&str> = metrics.per_class.iter().map(|class| class.class.as_str()).collect();
    let last: &[&str] = if has_unknown { &["(unknown)"] } else { &[] };
    let header = [&["true \\ predicted"], names.as_slice(), last].concat();
    let rows = names.iter().zip(&metrics.confusion_matrix).zip(&unknown).map(|((name, row), unknown)| {
        let last = has_unknown.then(|| count(*unknown));
        std::iter::once((*name).to_owned()).chain(row.iter().map(|n| count(*n))).chain(last).collect()
    });
    table(&header, rows)
}
