//! `ecosight init`: a pipeline file to start from. It shows every stage and parameter, and changes nothing until a line is uncommented.
//!
//! The file is made from the text of the built-in one: its prose stays (`# text`), its values become `#key = value`, and the headers
//! of its stages stay live, so that one uncommented line stands in the right table.

use ecosight_datasets::files::write_atomic;

use super::args::InitArgs;
use super::error::CliError;
use super::printer::Printer;
use super::session::USER_FILE;
use crate::ExitStatus;
use crate::engine::BUILT_IN;

/// What the file is and how it is used.
const HEADER: &str = "\
# What is set here is laid over the pipeline that is built into `ecosight`, and `--set KEY=VALUE` over both.
#
# This file shows every stage and parameter with its built-in value, and changes nothing as it is. To change one, remove the `#` in
# front of it: `#variants = 5` becomes `variants = 8`. The headers in brackets stay as they are.
#
# `ecosight.toml` is read by every command that is run in its folder, a file of another name where `--config FILE` names it.
# `ecosight config --show` prints what is in force and where it comes from; `ecosight graph` draws the stages.

";

/// Stands above a table that [`merge`](crate::engine::merge) replaces as a whole.
const REPLACED: &str = "# These are replaced as a whole: uncomment the next line and all that you want.\n";

/// A worked example of what is not built in.
const OWN_STAGE: &str = r#"
# A stage of your own: any command that reads tables and writes Parquet. `{inputs}` stands for the tables that it needs, `{output}` for
# what it writes; it is computed again when its command, a file that it depends on, or a table that it needs has changed.
#[stages.my_features]
#command = "python my.py {inputs} {output}"
#needs = ["manifest", "embed"]
#depends = ["my.py"]
"#;

/// Runs the verb.
pub(crate) fn init(args: &InitArgs, printer: &Printer) -> Result<ExitStatus, CliError> {
    let shown = args.file.display();
    // A dangling link is something, too.
    if args.file.symlink_metadata().is_ok() && !args.force {
        return Err(CliError::usage(
            format!("`{shown}` is there already"),
            "replace it with `--force`, or name another file: `ecosight init FILE`",
        ));
    }
    write_atomic(&args.file, template(BUILT_IN).as_bytes())?;
    if printer.json {
        printer.document(&serde_json::json!({ "file": args.file }))?;
    } else if args.file.ends_with(USER_FILE) {
        printer.note(&format!("wrote {shown}; commands that are run in its folder read it"));
    } else {
        printer.note(&format!("wrote {shown}; use it with `--config {shown}`"));
    }
    Ok(ExitStatus::Ok)
}

/// The file, from the text of the built-in one.
fn template(built_in: &str) -> String {
    let mut text = HEADER.to_owned();
    // What stands above the first value describes the built-in file.
    for line in built_in.lines().skip_while(|line| line.is_empty() || line.starts_with('#')) {
        let is_header = line.starts_with('[');
        let is_stage = is_header && line.matches('.').count() < 2;
        if is_header && !is_stage {
            text.push_str(REPLACED);
        }
        if !(line.is_empty() || line.starts_with('#') || is_stage) {
            text.push('#');
        }
        text.push_str(line);
        text.push('\n');
    }
    text.push_str(OWN_STAGE);
    text
}

#[cfg(test)]
mod tests {
    use toml::Table;

    use super::*;
    use crate::engine::{merge, parse};

    /// The text without the `#` in front of values and headers.
    fn uncommented(text: &str) -> String {
        let is_value = |line: &str| line.starts_with('#') && line.len() > 1 && !line.starts_with("# ");
        text.lines().map(|line| format!("{}\n", if is_value(line) { &line[1..] } else { line })).collect()
    }

    #[test]
    fn uncommented_it_is_the_built_in_file() {
        let text = template(BUILT_IN);
        let (shown, own) = text.split_at(text.find(OWN_STAGE).unwrap());
        let built_in: Table = BUILT_IN.parse().unwrap();
        assert_eq!(uncommented(shown).parse::<Table>().unwrap(), built_in);
        let own: Table = uncommented(own).parse().unwrap();
        assert_eq!(own["stages"]["my_features"]["needs"].as_array().unwrap().len(), 2);
    }

    #[test]
    fn as_it_is_it_changes_nothing() {
        let built_in: Table = BUILT_IN.parse().unwrap();
        let mut table = built_in.clone();
        merge(&mut table, &template(BUILT_IN).parse().unwrap());
        assert_eq!(table, built_in);
    }

    #[test]
    fn one_uncommented_line_changes_one_value() {
        let text = template(BUILT_IN).replace("#l2 = \"auto\"", "l2 = 0.5").replace("#max_failed", "max_failed");
        let mut table: Table = BUILT_IN.parse().unwrap();
        merge(&mut table, &text.parse().unwrap());
        assert_eq!(table["stages"]["train"]["l2"].as_float(), Some(0.5));
        assert!(parse(table, std::path::Path::new(".")).is_ok());
    }
}
