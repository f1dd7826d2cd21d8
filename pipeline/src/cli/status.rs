//! `ecosight status`: what a retrain would do, and why. Nothing is written.

use ecosight_datasets::manifest::Source;
use ecosight_stages::RowCounts;
use ecosight_stages::retrain_policy::HeldBack;
use serde_json::{Value, json};

use super::args::StatusArgs;
use super::error::CliError;
use super::escape::one_line;
use super::printer::Printer;
use super::report::{count, duration, table};
use super::session::Globals;
use crate::ExitStatus;
use crate::engine::{Force, PlannedWork, Scope, Selection, Verdict, foresee};

/// How much is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Detail {
    /// A row for each stage.
    Rows,
    /// The reasons, too.
    Why,
}

/// Runs the verb.
pub(crate) fn status(args: &StatusArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let pipeline = globals.pipeline(&args.pipeline, &[])?;
    let source = globals.source(&args.pipeline)?;
    let selection = Selection::of(&pipeline, Scope::All, Force::None)?;
    let name = globals.run_name();
    let works = foresee(&selection, &globals.context(&source, &name, (&pipeline).into(), &|_| {}))?;
    let detail = if args.why { Detail::Why } else { Detail::Rows };
    if printer.json {
        printer.document(&document(&works, &source, globals))?;
    } else {
        printer.result(&text(&works, &source, globals, detail))?;
    }
    Ok(if is_fresh(&works) { ExitStatus::Ok } else { ExitStatus::Stale })
}

fn is_fresh(works: &[PlannedWork]) -> bool {
    works.iter().all(|work| work.verdict == Verdict::Fresh)
}

/// The plan as one document.
pub(crate) fn document(works: &[PlannedWork], source: &Source, globals: &Globals) -> Value {
    let stage = |work: &PlannedWork| {
        json!({
            "stage": work.stage,
            "status": work.verdict.word(),
            "why": work.verdict.why(),
            "rows": work.rows,
            "expected_s": work.expected_s,
            "notes": work.notes,
            "examples": work.examples,
        })
    };
    let stages: Vec<Value> = works.iter().map(stage).collect();
    let held_back = HeldBack::read(&globals.layout).filter(|_| is_fresh(works));
    json!({
        "source": source.to_string(),
        "data_root": globals.root(),
        "fresh": is_fresh(works),
        "held_back": held_back,
        "stages": stages,
    })
}

/// The plan for people.
pub(crate) fn text(works: &[PlannedWork], source: &Source, globals: &Globals, detail: Detail) -> String {
    let mut text = format!("{}\n\n", one_line(&format!("{source} ► {}", globals.root())));
    let rows = works.iter().map(|work| {
        let counts = work.rows.map_or_else(
            || vec!["?".to_owned(); 5],
            |RowCounts { new, changed, reused, retired, failed }| {
                [new, changed, reused, retired, failed].map(count).to_vec()
            },
        );
        let expected = match (&work.verdict, work.expected_s) {
            (Verdict::Fresh, _) => "·".to_owned(),
            (_, None) => "?".to_owned(),
            (_, Some(seconds)) => duration(seconds),
        };
        [vec![format!("{:<9} {}", work.stage, work.verdict.word())], counts, vec![expected]].concat()
    });
    text.push_str(&table(&["stage", "new", "changed", "reused", "retired", "failed", "expected"], rows));
    if detail == Detail::Why {
        for work in works.iter().filter(|work| work.verdict != Verdict::Fresh) {
            text.push_str(&format!("\n{}: {}\n", work.stage, one_line(work.verdict.why())));
            for note in &work.notes {
                text.push_str(&format!("  {}\n", one_line(note)));
            }
            for example in &work.examples {
                text.push_str(&format!("  {}\n", one_line(example)));
            }
            if work.affected > work.examples.len() {
                text.push_str(&format!("  … and {} more\n", work.affected - work.examples.len()));
            }
        }
    }
    let held_back = HeldBack::read(&globals.layout).filter(|_| is_fresh(works));
    if let Some(held_back) = held_back {
        text.push_str(&format!("\nnothing is done: {}\n", one_line(&held_back.words())));
        return text;
    }
    let closing = if is_fresh(works) {
        "\neverything is up to date\n"
    } else if detail == Detail::Why {
        "\n`ecosight retrain` with the same options does it\n"
    } else {
        "\n`ecosight retrain` with the same options does it; `ecosight status --why` gives the reasons\n"
    };
    text.push_str(closing);
    text
}
