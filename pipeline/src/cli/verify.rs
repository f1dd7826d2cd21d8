//! `ecosight verify`: reads everything that was written, and says what is damaged, missing or unknown.

use std::collections::BTreeMap;

use ecosight_stages::Event;
use serde_json::json;

use super::args::VerifyArgs;
use super::error::CliError;
use super::escape::one_line;
use super::last_run::LastRun;
use super::printer::Printer;
use super::progress::Progress;
use super::report::{count, table};
use super::root::{lock, must_exist, size};
use super::session::Globals;
use crate::ExitStatus;
use crate::engine::holder;
use crate::engine::verify::{Checked, Depth, Health, Remedy, Repaired, Verified, repair, verify as check};

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
    let depth = if args.deep { Depth::Deep } else { Depth::Quick };
    let verified = check(&globals.layout, depth, &show, &globals.cancelled);
    progress.clear();
    let Verified { mut checked, left_out } = verified?;
    if globals.is_cancelled() {
        return Err(CliError::interrupted("nothing was changed; run the same command again"));
    }
    checked.extend(last_run(globals));
    let repaired = lock.map_or(Ok(Repaired::default()), |lock| repair(&globals.layout, &checked, &lock))?;
    let wrong: Vec<&Checked> = checked.iter().filter(|checked| checked.health != Health::Ok).collect();
    let is_open = |checked: &&&Checked| checked.health.is_wrong() && (!args.repair || checked.remedy == Remedy::ByHand);
    let open = wrong.iter().filter(is_open).count();
    for why in &left_out {
        printer.warning(why);
    }
    if printer.json {
        let (wrong, notes): (Vec<&Checked>, Vec<&Checked>) =
            wrong.iter().partition(|checked| checked.health.is_wrong());
        printer.document(&json!({
            "checked": checked.len(), "by_part": by_part(&checked), "wrong": wrong, "unfinished": notes, "left_out": left_out,
            "set_aside": repaired.set_aside, "restored": repaired.restored, "left_to_do": open,
        }))?;
    } else {
        print(&checked, &wrong, &repaired, args.repair, printer)?;
    }
    Ok(if open == 0 { ExitStatus::Ok } else { ExitStatus::Failed })
}

/// Whether what the last run read can be read; nothing where there was none.
fn last_run(globals: &Globals) -> Option<Checked> {
    let path = globals.layout.last_run();
    let bytes = path.metadata().ok()?.len();
    let (health, why) = match LastRun::read(&globals.layout) {
        Ok(_) => (Health::Ok, String::new()),
        Err(error) => {
            let why =
                format!("{}; without it the source has to be named once more: `--source`", error.chain().join(": "));
            (Health::Damaged, why)
        }
    };
    let name = path.file_name()?.to_string_lossy().into_owned();
    Some(Checked { part_of: "runs".to_owned(), path: name, health, bytes, why, remedy: Remedy::SetAside })
}

/// How many of each health there are in each part of the data root, and their bytes.
fn by_part(checked: &[Checked]) -> BTreeMap<&str, BTreeMap<&'static str, u64>> {
    let mut parts: BTreeMap<&str, BTreeMap<&'static str, u64>> = BTreeMap::new();
    for checked in checked {
        let part = parts.entry(&checked.part_of).or_default();
        for health in Health::ALL {
            *part.entry(health.word()).or_default() += u64::from(checked.health == health);
        }
        *part.entry("bytes").or_default() += checked.bytes;
    }
    parts
}

fn print(
    checked: &[Checked],
    wrong: &[&Checked],
    repaired: &Repaired,
    is_repair: bool,
    printer: &Printer,
) -> Result<(), CliError> {
    let row = |(part, counts): (&str, BTreeMap<&'static str, u64>)| {
        let cells = Health::ALL.map(|health| count(counts[health.word()]));
        [vec![part.to_owned()], cells.to_vec(), vec![size(counts["bytes"])]].concat()
    };
    let header = [&["part"][..], &Health::ALL.map(Health::word), &["size"]].concat();
    printer.outcome(false, &table(&header, by_part(checked).into_iter().map(row)))?;
    let is_wrong = wrong.iter().any(|checked| checked.health.is_wrong());
    if !wrong.is_empty() {
        let line = |checked: &&Checked| {
            let said = format!("{:<10} {}: {}", checked.health.word(), checked.path, checked.why);
            format!("{}\n", one_line(&said))
        };
        printer.outcome(is_wrong, &format!("\n{}", wrong.iter().map(line).collect::<String>()))?;
    }
    if !is_wrong {
        printer.note("everything is as it was written");
        return Ok(());
    }
    let Repaired { set_aside, restored } = repaired;
    for path in set_aside {
        printer.note(&format!("set aside: {path}"));
    }
    for path in restored {
        printer.note(&format!("written again: {path}"));
    }
    let by_hand = |checked: &&&Checked| checked.health.is_wrong() && checked.remedy == Remedy::ByHand;
    for checked in wrong.iter().filter(by_hand).filter(|_| is_repair) {
        printer.alert(&format!("cannot be made again: {}", checked.path));
    }
    let mut others =
        wrong.iter().filter(|checked| checked.health.is_wrong() && checked.remedy != Remedy::ByHand).peekable();
    let needs_repair = |checked: &&Checked| checked.health != Health::Missing || checked.remedy == Remedy::Restore;
    if others.peek().is_some() {
        printer.note(if !is_repair && others.any(needs_repair) {
            "hint: `ecosight verify --repair` sets aside what is damaged or unknown; then `ecosight retrain` computes it again"
        } else {
            "hint: `ecosight retrain` computes again what it needs"
        });
    }
    Ok(())
}
