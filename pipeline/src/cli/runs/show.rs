//! What one run did.

use ecosight_models::metrics::Metrics;
use serde_json::Value;

use super::record::{RunFile, number};
use crate::ExitStatus;
use crate::cli::error::CliError;
use crate::cli::escape::one_line;
use crate::cli::printer::Printer;
use crate::cli::report::{count, figures, gate, table};

/// Fields that are told in another way, or belong to a machine.
const TOLD: [&str; 8] = ["schema_version", "run_id", "started_at", "seconds", "exit", "model", "published", "pipeline"];

/// Prints the record of `run`.
pub(super) fn show(run: &RunFile, printer: &Printer) -> Result<ExitStatus, CliError> {
    if printer.json {
        let mut document = run.record.clone();
        if let Some(fields) = document.as_object_mut() {
            fields.entry("run_id").or_insert_with(|| run.id.clone().into());
            fields.entry("started_at").or_insert_with(|| run.started().into());
        }
        printer.document(&document)?;
    } else {
        printer.result(&text(run))?;
    }
    Ok(ExitStatus::Ok)
}

fn text(run: &RunFile) -> String {
    let mut lines = vec![("run".to_owned(), run.id.clone()), ("started".to_owned(), run.started())];
    lines.extend(run.seconds().map(|seconds| ("time".to_owned(), format!("{seconds:.1} s"))));
    lines.push(("exit".to_owned(), run.exit().to_owned()));
    if let Some(model) = run.text("model") {
        let is_published = run.record["published"].as_bool() == Some(true);
        let state = if is_published { "in production" } else { "not published" };
        lines.push(("model".to_owned(), format!("{model} ({state})")));
    }
    let others = run.record.as_object().into_iter().flatten();
    others.filter(|(name, _)| !TOLD.contains(&name.as_str())).for_each(|(name, value)| facts(name, value, &mut lines));
    lines.push(("quarantined".to_owned(), format!("{} clip(s)", run.list("quarantined").len())));
    let width = lines.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
    let mut text: String = lines.iter().map(|(name, value)| format!("{name:<width$}  {}\n", one_line(value))).collect();
    stages(run, &mut text);
    metrics(run, &mut text);
    if let Ok(found) = serde_json::from_value(run.record["gate"].clone()) {
        text.push_str(&format!("\n{}", gate(&found)));
    }
    timings(run, &mut text);
    if !run.list("warnings").is_empty() {
        text.push('\n');
    }
    for warning in run.list("warnings") {
        let message = format!("warning: {}: {}", plain(&warning[0]), plain(&warning[1]));
        text.push_str(&format!("{}\n", one_line(&message)));
    }
    text
}

/// Versions and whatever else a record has that is one value, or named single values.
fn facts(name: &str, value: &Value, lines: &mut Vec<(String, String)>) {
    const TABLES: [&str; 6] = ["stages", "timings", "counts", "warnings", "metrics", "gate"];
    match value {
        Value::Object(fields) if !TABLES.contains(&name) => {
            for (inner, value) in fields {
                facts(&format!("{name}.{inner}"), value, lines);
            }
        }
        Value::Object(_) | Value::Array(_) | Value::Null => {}
        value => lines.push((name.to_owned(), plain(value))),
    }
}

/// What became of the rows of each stage, and why it ran.
fn stages(run: &RunFile, text: &mut String) {
    const COUNTS: [&str; 5] = ["new", "changed", "reused", "retired", "failed"];
    if run.list("stages").is_empty() {
        return;
    }
    let rows = run.list("stages").iter().map(|stage| {
        let counts = COUNTS.map(|name| stage.get("rows").map_or("?".to_owned(), |rows| count(number(rows, name))));
        let seconds = stage["seconds"].as_f64().filter(|_| stage["status"] != "fresh");
        let seconds = seconds.map_or("–".to_owned(), |seconds| format!("{seconds:.1} s"));
        let name = format!("{:<9} {}", plain(&stage["stage"]), plain(&stage["status"]));
        [vec![name], counts.to_vec(), vec![seconds]].concat()
    });
    let header: Vec<&str> = ["stage"].into_iter().chain(COUNTS).chain(["time"]).collect();
    text.push_str(&format!("\n{}\n", table(&header, rows)));
    for stage in run.list("stages") {
        if let Some(why) = stage["why"].as_str().filter(|why| !why.is_empty()) {
            text.push_str(&format!("{} ran because {}\n", plain(&stage["stage"]), one_line(why)));
        }
    }
}

fn metrics(run: &RunFile, text: &mut String) {
    let earlier = run.record.pointer("/measured/run_id").and_then(Value::as_str);
    let earlier = earlier.map_or(String::new(), |run| format!(" (not measured in this run, but in {run})"));
    for (on, value) in run.named("metrics") {
        if let Ok(metrics) = serde_json::from_value::<Metrics>(value.clone()) {
            text.push_str(&format!("\non {} {on} clips{earlier}: {}", metrics.n, figures(&metrics)));
        } else if let Some(accuracy) = value["accuracy"].as_f64() {
            text.push_str(&format!("\non {on} clips: accuracy {:.1} %\n", 100.0 * accuracy));
        }
    }
}

/// Processor time of each stage and of its steps.
fn timings(run: &RunFile, text: &mut String) {
    let mut rows = Vec::new();
    for stage in run.list("timings") {
        let mut row =
            |name: String, of: &Value| rows.push(vec![name, format!("{:.2}", of["cpu_s"].as_f64().unwrap_or(0.0))]);
        row(plain(&stage["stage"]), stage);
        for step in stage["steps"].as_array().into_iter().flatten() {
            row(format!("  {}", plain(&step["step"])), step);
        }
    }
    if !rows.is_empty() {
        text.push_str(&format!("\n{}", table(&["stage and step", "CPU seconds"], rows)));
    }
}

/// A value as a person writes it.
pub(super) fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}
