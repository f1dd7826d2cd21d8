//! `ecosight config`: every value of the pipeline, and where it comes from.

use ecosight_stages::ALL;

use super::args::ConfigArgs;
use super::error::CliError;
use super::printer::Printer;
use super::session::Globals;
use crate::ExitStatus;
use crate::engine::{Effective, effective, parse, stack};

/// Longer values are not what the origins of all others line up behind.
const WIDEST: usize = 56;

/// Runs the verb. `--show` is what it always does.
pub(crate) fn config(args: &ConfigArgs, globals: &Globals, printer: &Printer) -> Result<ExitStatus, CliError> {
    let layers = globals.layers(&args.pipeline, &[])?;
    let mut values = effective(&layers);
    values.sort_by_key(|value| rank(&value.key));
    if printer.json {
        printer.document(&values)?;
    } else {
        printer.result(&text(&values))?;
    }
    // Where mistakes come from is what the values above tell.
    parse(stack(&layers), &globals.config_folder())?;
    Ok(ExitStatus::Ok)
}

/// Position of a key: what is no stage's first, then the stages in the order of the dataflow, then stages of the user's own.
fn rank(key: &str) -> usize {
    let Some(rest) = key.strip_prefix("stages.") else { return 0 };
    let stage = rest.split('.').next().unwrap_or(rest);
    1 + ALL.iter().position(|definition| definition.name == stage).unwrap_or(ALL.len())
}

/// A line for each value.
fn text(values: &[Effective]) -> String {
    let lines: Vec<_> = values.iter().map(|v| (format!("{} = {}", v.key, v.value), v.from.as_str())).collect();
    let lengths = lines.iter().map(|(line, _)| line.chars().count());
    let width = lengths.filter(|length| *length <= WIDEST).max().unwrap_or(0);
    lines.iter().map(|(line, from)| format!("{line:<width$}   ({from})\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stages_are_told_in_the_order_of_the_dataflow() {
        let mut keys = ["stages.train.l2", "stages.mine.x", "version", "stages.embed.dtype", "stages.manifest"];
        keys.sort_by_key(|key| rank(key));
        assert_eq!(keys, ["version", "stages.manifest", "stages.embed.dtype", "stages.train.l2", "stages.mine.x"]);
    }
}
