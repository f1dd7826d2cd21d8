//! Two runs side by side.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::record::{RunFile, number};
use super::show::plain;
use crate::ExitStatus;
use crate::cli::args::DiffFormat;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::report::table;

/// A value of each of two runs.
type Pair = (Option<Value>, Option<Value>);

/// What is compared, by name.
type Pairs = BTreeMap<String, Pair>;

/// A part of the comparison.
struct Part {
    what: &'static str,
    pairs: Pairs,
    /// Whether the values were measured, so that their difference says something.
    is_measured: bool,
}

/// Prints what differs between `before` and `after`.
pub(super) fn diff(
    before: &RunFile,
    after: &RunFile,
    format: DiffFormat,
    printer: &Printer,
) -> Result<ExitStatus, CliError> {
    let mut parameters = pairs(before, after, parameters);
    parameters.retain(|_, (before, after)| before != after);
    let mut rows = pairs(before, after, rows);
    let is_nothing = |value: &Option<Value>| value.as_ref().is_none_or(|value| value.as_u64() == Some(0));
    rows.retain(|_, (before, after)| !(is_nothing(before) && is_nothing(after)));
    let metrics = pairs(before, after, metrics);
    if printer.json || format == DiffFormat::Json {
        printer.document(&json!({
            "a": before.summary(),
            "b": after.summary(),
            "parameters": document(&parameters),
            "rows": document(&rows),
            "metrics": document(&metrics),
        }))?;
        return Ok(ExitStatus::Ok);
    }
    let parts = [
        Part { what: "differing parameter", pairs: parameters, is_measured: false },
        Part { what: "rows", pairs: rows, is_measured: true },
        Part { what: "metric", pairs: metrics, is_measured: true },
    ];
    let text = match format {
        DiffFormat::Md => markdown(before, after, &parts),
        DiffFormat::Text | DiffFormat::Json => text(before, after, &parts),
    };
    printer.result(&text)?;
    Ok(ExitStatus::Ok)
}

/// What `of` finds in both runs, by name.
fn pairs(before: &RunFile, after: &RunFile, of: fn(&RunFile) -> BTreeMap<String, Value>) -> Pairs {
    let mut pairs = Pairs::new();
    for (name, value) in of(before) {
        pairs.entry(name).or_default().0 = Some(value);
    }
    for (name, value) in of(after) {
        pairs.entry(name).or_default().1 = Some(value);
    }
    pairs
}

/// The values of the pipeline by their keys, as `--set` takes them, and what else decides a run.
fn parameters(run: &RunFile) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (name, value) in run.named("pipeline") {
        let prefix = if name == "stages" { "" } else { name };
        flatten(prefix, value, &mut found);
    }
    for field in ["source", "ecosight_version"] {
        found.extend(run.record.get(field).map(|value| (field.to_owned(), value.clone())));
    }
    found
}

fn flatten(prefix: &str, value: &Value, found: &mut BTreeMap<String, Value>) {
    match value {
        Value::Object(fields) if !fields.is_empty() => {
            for (name, value) in fields {
                let key = if prefix.is_empty() { name.clone() } else { format!("{prefix}.{name}") };
                flatten(&key, value, found);
            }
        }
        _ => drop(found.insert(prefix.to_owned(), value.clone())),
    }
}

/// Rows of each stage: those that are there, those that were computed, and those that failed.
fn rows(run: &RunFile) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for stage in run.list("stages") {
        let (name, rows) = (plain(&stage["stage"]), &stage["rows"]);
        let computed = number(rows, "new") + number(rows, "changed");
        found.insert(name.clone(), (computed + number(rows, "reused")).into());
        found.insert(format!("{name}, computed"), computed.into());
        found.insert(format!("{name}, failed"), number(rows, "failed").into());
    }
    found
}

/// Figures of the model, by the rows that they were taken on; of the classes, F1.
fn metrics(run: &RunFile) -> BTreeMap<String, Value> {
    let mut found = BTreeMap::new();
    for (on, metrics) in run.named("metrics") {
        // How many bins there are is no figure.
        let is_figure = |(name, value): &(&String, &Value)| value.is_number() && *name != "ece_bins";
        for (name, value) in metrics.as_object().into_iter().flatten().filter(is_figure) {
            found.insert(format!("{on} {name}"), value.clone());
        }
        for class in metrics["per_class"].as_array().into_iter().flatten() {
            found.insert(format!("{on} f1 of {}", plain(&class["class"])), class["f1"].clone());
        }
    }
    found
}

/// `b - a`, where both are numbers.
fn difference((before, after): &Pair) -> Option<Value> {
    let (before, after) = (before.as_ref()?, after.as_ref()?);
    if let (Some(before), Some(after)) = (before.as_i64(), after.as_i64()) {
        return Some((after - before).into());
    }
    Some((after.as_f64()? - before.as_f64()?).into())
}

fn document(pairs: &Pairs) -> Value {
    let entry = |(name, pair): (&String, &Pair)| {
        let mut entry = json!({ "name": name, "a": pair.0, "b": pair.1 });
        if let Some(difference) = difference(pair) {
            entry["difference"] = difference;
        }
        entry
    };
    pairs.iter().map(entry).collect()
}

impl Part {
    /// Name, both values and, of measured ones, the difference.
    fn rows(&self) -> Vec<Vec<String>> {
        let row = |(name, pair): (&String, &Pair)| {
            let difference = difference(pair).filter(|_| self.is_measured);
            let difference = difference.map_or_else(String::new, |value| signed(&value));
            vec![name.clone(), self.shown(pair.0.as_ref()), self.shown(pair.1.as_ref()), difference]
        };
        self.pairs.iter().map(row).collect()
    }

    fn shown(&self, value: Option<&Value>) -> String {
        match value {
            None => "–".to_owned(),
            Some(value) if self.is_measured && value.is_f64() => format!("{:.4}", value.as_f64().unwrap_or_default()),
            Some(value) => plain(value),
        }
    }
}

/// A difference with its sign; a dot where there is none.
fn signed(value: &Value) -> String {
    match (value.as_i64(), value.as_f64()) {
        (Some(0), _) | (_, Some(0.0)) => "·".to_owned(),
        (Some(n), _) => format!("{n:+}"),
        (None, x) => format!("{:+.4}", x.unwrap_or_default()),
    }
}

fn text(before: &RunFile, after: &RunFile, parts: &[Part]) -> String {
    let mut text = String::new();
    for (word, run) in [("A", before), ("B", after)] {
        text.push_str(&format!("{word}  {}  {}  {}\n", run.id, run.started(), run.exit_in_short()));
    }
    for part in parts {
        let what = part.what;
        if part.pairs.is_empty() {
            text.push_str(&format!("\nno {what}\n"));
        } else {
            text.push_str(&format!("\n{}", table(&[what, "A", "B", "difference"], part.rows())));
        }
    }
    text
}

/// One table, so that it can be pasted as it is.
fn markdown(before: &RunFile, after: &RunFile, parts: &[Part]) -> String {
    let mut text = format!("| | {} | {} | difference |\n|---|---:|---:|---:|\n", before.id, after.id);
    let exits = ["exit".to_owned(), before.exit_in_short(), after.exit_in_short(), String::new()];
    for row in std::iter::once(exits.to_vec()).chain(parts.iter().flat_map(Part::rows)) {
        let cells: Vec<_> = row.iter().map(|cell| cell.replace('|', "\\|").replace('\n', " ")).collect();
        text.push_str(&format!("| {} |\n", cells.join(" | ")));
    }
    text
}
