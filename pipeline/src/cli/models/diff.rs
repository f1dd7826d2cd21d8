//! Two models side by side.

use std::collections::BTreeMap;

use ecosight_models::ModelError;
use ecosight_models::artefact::{Artefact, ModelMeta};
use serde_json::json;

use super::show::facts;
use crate::ExitStatus;
use crate::cli::error::CliError;
use crate::cli::printer::Printer;
use crate::cli::report::{listing, table};
use crate::cli::session::Globals;

/// Prints what differs between the models `before` and `after`, and the figures of both.
pub(super) fn diff(globals: &Globals, before: &str, after: &str, printer: &Printer) -> Result<ExitStatus, CliError> {
    let meta = |version: &str| -> Result<ModelMeta, CliError> {
        Ok(Artefact::load(&globals.layout.model(version)).map_err(ModelError::from)?.meta)
    };
    let (a, b) = (meta(before)?, meta(after)?);
    let mut settings = paired(facts(&a), facts(&b));
    settings.retain(|_, (a, b)| a != b);
    let gone: Vec<&String> = a.classes.iter().filter(|class| !b.classes.contains(class)).collect();
    let new: Vec<&String> = b.classes.iter().filter(|class| !a.classes.contains(class)).collect();
    let figures = paired(figures(&a), figures(&b));
    if printer.json {
        let pair =
            |(name, (a, b)): (&String, &(Option<String>, Option<String>))| (name.clone(), json!({ "a": a, "b": b }));
        let number = |(name, (a, b)): (&String, &(Option<f64>, Option<f64>))| {
            let difference = a.zip(*b).map(|(a, b)| b - a);
            (name.clone(), json!({ "a": a, "b": b, "difference": difference }))
        };
        printer.document(&json!({
            "a": before, "b": after,
            "settings": settings.iter().map(pair).collect::<BTreeMap<_, _>>(),
            "classes": { "gone": gone, "new": new },
            "figures": figures.iter().map(number).collect::<BTreeMap<_, _>>(),
        }))?;
        return Ok(ExitStatus::Ok);
    }
    let or_dash = |value: Option<String>| value.unwrap_or("–".to_owned());
    let mut text = String::new();
    if !settings.is_empty() {
        let rows = settings.into_iter().map(|(name, (a, b))| vec![name, or_dash(a), or_dash(b)]);
        text.push_str(&listing(&["differing", before, after], rows));
        text.push('\n');
    }
    let rows = figures.into_iter().map(|(name, (a, b))| {
        let told = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.3}"));
        let difference = a.zip(b).map_or(String::new(), |(a, b)| format!("{:+.3}", b - a));
        vec![name, told(a), told(b), difference]
    });
    text.push_str(&table(&["figure", before, after, "difference"], rows));
    text.push_str("\neach on its own test clips; `ecosight models show` tells what the gate found on those of both\n");
    printer.result(&text)?;
    Ok(ExitStatus::Ok)
}

/// The values of both under each name.
fn paired<T>(a: Vec<(String, T)>, b: Vec<(String, T)>) -> BTreeMap<String, (Option<T>, Option<T>)> {
    let mut pairs: BTreeMap<String, (Option<T>, Option<T>)> = BTreeMap::new();
    for (name, value) in a {
        pairs.entry(name).or_insert((None, None)).0 = Some(value);
    }
    for (name, value) in b {
        pairs.entry(name).or_insert((None, None)).1 = Some(value);
    }
    pairs
}

/// Figures on the test clips, by name.
fn figures(meta: &ModelMeta) -> Vec<(String, f64)> {
    let Some(test) = meta.metrics.get("test") else { return Vec::new() };
    let (accuracy, balanced) = (test.labelling.accuracy_name(), test.labelling.balanced_accuracy_name());
    let overall = [(accuracy, test.accuracy), (balanced, test.balanced_accuracy), ("macro F1", test.macro_f1)];
    let overall = overall.map(|(name, value)| (name.to_owned(), value)).into_iter();
    let overall = overall.chain(test.ece.map(|ece| (format!("ECE ({} bins)", test.ece_bins()), ece)));
    let recall =
        test.per_class.iter().filter_map(|class| Some((format!("recall of {}", class.class), class.ratios()[1]?)));
    overall.chain(recall).collect()
}
