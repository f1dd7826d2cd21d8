//! `ecosight evaluate`: figures of the model trained last, or of the declared pipeline by cross-validation.

use ecosight_datasets::tables::{SliceRow, read_file};
use ecosight_models::decision::Labelling;
use ecosight_models::metrics::{Difference, Intervals};
use ecosight_stages::crossval::{CrossValidation, Folds, Settings, cross_validate};
use ecosight_stages::replaced::{Replaced, compare};
use ecosight_stages::slices::SLICES_FILE;

use super::args::EvaluateArgs;
use super::error::CliError;
use super::execute::{Sinks, execute};
use super::listeners::Listeners;
use super::printer::Printer;
use super::progress::Progress;
use super::report;
use super::session::{Globals, parameters};
use crate::ExitStatus;
use crate::engine::{Force, Scope, Selection};

/// Runs the verb.
pub(crate) fn evaluate(args: &EvaluateArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let pipeline = globals.pipeline(&args.pipeline, &[])?;
    let source = globals.source(&args.pipeline)?;
    if let Some(file) = &args.keras {
        let name = globals.run_name();
        let found = compare(&globals.context(&source, &name, (&pipeline).into(), &|_| ()), file)?;
        if printer.json {
            printer.document(&found)?;
        } else {
            printer.result(&beside(&found))?;
        }
        return Ok(ExitStatus::Ok);
    }
    if !args.cv {
        let selection = Selection::of(&pipeline, Scope::OnTables("evaluate".to_owned()), Force::None)?;
        let outcome = execute(&selection, &pipeline, &source, globals, &Sinks::plain(&Listeners::default()), printer)?;
        let slices = outcome.model.as_ref().map(|model| globals.layout.model(model).join(SLICES_FILE));
        // Models of earlier versions have none.
        let slices: Vec<SliceRow> = slices.and_then(|path| read_file(&path).ok()).unwrap_or_default();
        if printer.json {
            let mut document = serde_json::json!(outcome.metrics);
            let labelling = outcome.metrics.get("test").map(|test| test.labelling).unwrap_or_default();
            document["slices"] = slices.iter().map(|slice| of_slice(slice, labelling)).collect();
            printer.document(&document)?;
        } else if let Some(test) = outcome.metrics.get("test") {
            let model = outcome.model.as_deref().unwrap_or("?");
            let figures = report::figures(test);
            let earlier = outcome.measured.as_ref().map_or(String::new(), |measured| {
                format!(", as measured by run {} (`ecosight retrain --force=evaluate` measures again)", measured.run_id)
            });
            printer.result(&format!(
                "model {model} on {} test clips{earlier}\n\n{figures}{}",
                test.n,
                report::slices(&slices, test.labelling)
            ))?;
        }
        return Ok(ExitStatus::Ok);
    }
    let settings = Settings {
        split: parameters(&pipeline, "split")?,
        augment: parameters(&pipeline, "augment")?,
        embed: parameters(&pipeline, "embed")?,
        train: parameters(&pipeline, "train")?,
        folds: args.groups.map_or(Folds::Given, Folds::from),
    };
    globals.warn_of_changes(&pipeline, &source, printer);
    let progress = Progress::new(printer);
    let name = globals.run_name();
    let events = |event| progress.show(&event);
    let result = cross_validate(&globals.context(&source, &name, (&pipeline).into(), &events), &settings);
    progress.clear();
    let result = result?;
    if printer.json {
        printer.document(&document(&result))?;
    } else {
        printer.result(&text(&result))?;
    }
    Ok(ExitStatus::Ok)
}

/// The figures of a slice under the names that they have for such a model.
fn of_slice(slice: &SliceRow, labelling: Labelling) -> serde_json::Value {
    let named = |(name, value): (String, serde_json::Value)| {
        let name = match name.as_str() {
            "balanced_accuracy" => labelling.balanced_accuracy_key().to_owned(),
            name => name.replace("accuracy", labelling.accuracy_key()),
        };
        (name, value)
    };
    match serde_json::json!(slice) {
        serde_json::Value::Object(fields) => fields.into_iter().map(named).collect(),
        other => other,
    }
}

/// Both classifiers, figure by figure.
fn beside(found: &Replaced) -> String {
    let row = |name: &str, difference: &Difference| {
        let interval = difference
            .ci95
            .map_or("–".to_owned(), |ci95| format!("{:+.1} to {:+.1}", 100.0 * ci95.low, 100.0 * ci95.high));
        let percent = [difference.a, difference.b].map(report::percent);
        [vec![name.to_owned()], percent.to_vec(), vec![format!("{:+.1}", 100.0 * difference.difference), interval]]
            .concat()
    };
    let differences = &found.differences;
    let overall = [
        ("accuracy", &differences.accuracy),
        ("balanced accuracy", &differences.balanced_accuracy),
        ("macro F1", &differences.macro_f1),
    ];
    let recalls = found.classes.iter().zip(&differences.recall);
    let recalls =
        recalls.filter_map(|(class, difference)| Some(row(&format!("recall of {class}"), difference.as_ref()?)));
    let rows: Vec<Vec<String>> =
        overall.iter().map(|(name, difference)| row(name, difference)).chain(recalls).collect();
    let left_out = if found.left_out > 0 {
        format!("; {} more are of classes that the replaced one does not know", found.left_out)
    } else {
        String::new()
    };
    let header = ["figure", "replaced", "this model", "difference", "95 %"];
    let by = differences.by();
    let told = format!("model {} on {} test clips{left_out}; intervals {by}", found.model, found.clips);
    format!("{told}\n\n{}", report::table(&header, rows))
}

/// The result with the overall accuracy at the top.
fn document(result: &CrossValidation) -> serde_json::Value {
    let labelling = result.metrics.labelling;
    let (accuracy, balanced) = (labelling.accuracy_key(), labelling.balanced_accuracy_key());
    serde_json::json!({
        accuracy: result.metrics.accuracy,
        format!("{accuracy}_ci95"): result.metrics.ci95.as_ref().map(|ci95| [ci95.accuracy.low, ci95.accuracy.high]),
        "ci95_by": result.metrics.ci95.as_ref().map(Intervals::by),
        "is_leaky": result.metrics.is_leaky,
        balanced: result.metrics.balanced_accuracy,
        "macro_f1": result.metrics.macro_f1,
        "embedder": result.embedder,
        "folds": result.folds,
        "fold_clips": result.fold_clips,
        "metrics": result.metrics,
        "reused": result.reused,
        "computed": result.computed,
        "quarantined": result.quarantined,
    })
}

fn text(result: &CrossValidation) -> String {
    let folds: Vec<_> =
        result.folds.iter().map(|(name, accuracy)| format!("{name}: {:.1} %", 100.0 * accuracy)).collect();
    format!(
        "{}-fold cross-validation of {} original clips with {}\n{} by fold: {}\n\n{}",
        result.folds.len(),
        result.metrics.n,
        result.embedder,
        result.metrics.labelling.accuracy_name(),
        folds.join(" · "),
        report::figures(&result.metrics)
    )
}
