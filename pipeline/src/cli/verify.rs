//! `ecosight verify`: reads everything that was written, and says what is damaged, missing or unknown.

use std::collections::BTreeMap;

use ecosight_stages::Event;
use serde_json::json;

use super::args::VerifyArgs;
use super::error::CliError;
use super::printer::Printer;
use super::progress::Progress;
use super::report::{count, table};
use super::root::{lock, must_exist, size};
use super::session::Globals;
use crate::ExitStatus;
use crate::engine::holder;
use crate::engine::verify::{Checked, Health, repair, verify as check};

/// Runs the verb.
pub(crate) fn verify(args: &VerifyArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    must_exist(globals)?;
    let lock = if args.repair { Some(lock(globals)?) } else { None };
    if lock.is_none()
        && let Ok(Some(holder)) = holder(&globals.layout.lock())
    {
        printer.warning(&format!("{holder} is writing this data root: what it replaces may look wrong now"));
    }
    let progress = Progress::new(printer);
    let show = |done, total| progress.show(&Event::Progress { stage: "verify", done, total, unit: "files" });
    let checked = check(&globals.layout, &show, &globals.cancelled);
    progress.clear();
    let checked = checked?;
    if globals.is_cancelled() {
        return Err(CliError::interrupted("nothing was changed; run the same command again"));
    }
    let moved = lock.map_or(Ok(Vec::new()), |lock| repair(&globals.layout, &checked, &lock))?;
    let wrong: Vec<&Checked> = checked.iter().filter(|checked| checked.health != Health::Ok).collect();
    let by_part = by_part(&checked);
    if printer.json {
        printer
            .document(&json!({ "checked": checked.len(), "by_part": by_part, "wrong": wrong, "set_aside": moved }))?;
    } else {
        print(&by_part, &wrong, &moved, printer)?;
    }
    Ok(if wrong.is_empty() || args.repair { ExitStatus::Ok } else { ExitStatus::Failed })
}

/// How many of each health there are in each part of the data root, and their bytes.
fn by_part(checked: &[Checked]) -> BTreeMap<&str, BTreeMap<&'static str, u64>> {
    let mut parts: BTreeMap<&str, BTreeMap<&'static str, u64>> = BTreeMap::new();
    for checked in checked {
        let part = parts.entry(&checked.part_of).or_default();
        for health in [Health::Ok, Health::Damaged, Health::Missing, Health::Unknown] {
            *part.entry(word(health)).or_default() += u64::from(checked.health == health);
        }
        *part.entry("bytes").or_default() += checked.bytes;
    }
    parts
}

fn word(health: Health) -> &'static str {
    match health {
        Health::Ok => "ok",
        Health::Damaged => "damaged",
        Health::Missing => "missing",
        Health::Unknown => "unknown",
    }
}

fn print(
    by_part: &BTreeMap<&str, BTreeMap<&'static str, u64>>,
    wrong: &[&Checked],
    moved: &[String],
    printer: &Printer,
) -> Result<(), CliError> {
    let row = |(part, counts): (&&str, &BTreeMap<&'static str, u64>)| {
        let cells = ["ok", "damaged", "missing", "unknown"].map(|health| count(counts[health]));
        [vec![(*part).to_owned()], cells.to_vec(), vec![size(counts["bytes"])]].concat()
    };
    printer.result(&table(&["part", "ok", "damaged", "missing", "unknown", "size"], by_part.iter().map(row)))?;
    if wrong.is_empty() {
        printer.note("everything is as it was written");
        return Ok(());
    }
    let lines = wrong.iter().map(|checked| format!("{:<8} {}: {}\n", word(checked.health), checked.path, checked.why));
    printer.result(&format!("\n{}", lines.collect::<String>()))?;
    for path in moved {
        printer.note(&format!("set aside: {path}"));
    }
    let is_missing = |checked: &&&Checked| checked.health == Health::Missing;
    let hint = if !moved.is_empty() || wrong.iter().all(|checked| is_missing(&checked)) {
        "`ecosight retrain` computes again what it needs"
    } else {
        "`ecosight verify --repair` sets aside what is damaged or unknown; then `ecosight retrain` computes it again"
    };
    printer.note(&format!("hint: {hint}"));
    Ok(())
}
