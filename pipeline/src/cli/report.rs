//! The summary of a run, and tables of figures.

use std::path::Path;

use comfy_table::{CellAlignment, Table, presets};
use ecosight_datasets::audio::SAMPLE_RATE_HZ;
use ecosight_models::metrics::Metrics;
use ecosight_stages::timings::{StageTime, StepTime};

use crate::engine::RunOutcome;

/// A table with a header and columns aligned left (the first) and right (the rest).
pub(crate) fn table(header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut table = Table::new();
    table.load_preset(presets::NOTHING).set_header(header);
    for row in rows {
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    format!("{}\n", table.trim_fmt())
}

/// What was done, what failed, how good the model is and where everything lies.
pub(crate) fn summary(outcome: &RunOutcome, root: &Path) -> String {
    let mut text = String::new();
    if let Some(test) = outcome.metrics.get("test") {
        text.push_str(&format!("\nOn {} test clips that the model has not seen:\n\n{}", test.n, figures(test)));
    }
    let quarantined = outcome.quarantined.len();
    text.push_str(&format!("\ndone in {:.1} s", outcome.seconds));
    if quarantined > 0 {
        text.push_str(&format!(
            " · {quarantined} clip(s) quarantined, with reasons in {}",
            root.join("tables/quarantine").display()
        ));
    }
    text.push('\n');
    if let Some(model) = &outcome.model {
        let state = if outcome.published { "in production" } else { "not published" };
        text.push_str(&format!("model   {} ({state})\n", root.join("models").join(model).display()));
    }
    text.push_str(&format!("tables  {}\n", root.join("tables").display()));
    text.push_str(&format!("run     {}\n", root.join("runs").join(&outcome.run_id).display()));
    text
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

/// Overall and per-class figures, and the confusion matrix.
pub(crate) fn figures(metrics: &Metrics) -> String {
    let percent = |x: f64| format!("{:.1} %", 100.0 * x);
    let mut text = format!(
        "accuracy {} · balanced accuracy {} · macro F1 {:.3}\n\n",
        percent(metrics.accuracy),
        percent(metrics.balanced_accuracy),
        metrics.macro_f1
    );
    let rows = metrics.per_class.iter().map(|class| {
        let average = class.average_precision.map_or("–".to_owned(), |ap| format!("{ap:.3}"));
        let ratios = [class.precision, class.recall, class.f1].map(|x| format!("{x:.3}"));
        [vec![class.class.clone(), class.support.to_string()], ratios.to_vec(), vec![average]].concat()
    });
    text.push_str(&table(&["class", "clips", "precision", "recall", "F1", "AP"], rows));
    let names: Vec<&str> = metrics.per_class.iter().map(|class| class.class.as_str()).collect();
    let header = [&["true \\ predicted"], names.as_slice()].concat();
    let rows = names.iter().zip(&metrics.confusion_matrix).map(|(name, row)| {
        let cell = |n: &u64| if *n == 0 { "·".to_owned() } else { n.to_string() };
        [vec![(*name).to_owned()], row.iter().map(cell).collect()].concat()
    });
    text.push('\n');
    text.push_str(&table(&header, rows));
    text
}
