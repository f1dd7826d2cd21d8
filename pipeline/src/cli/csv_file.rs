//! CSV files for people, whose cells no spreadsheet takes for formulas.
//!
//! A spreadsheet computes a cell that begins with `=`, `+`, `-`, `@`, a tab or a line break, and a formula in a file name or a label could fetch an
//! address or start a program. Such a cell is written with a `'` before it ("CSV Injection", OWASP Foundation), unless it is a number. A cell
//! that begins with `'` itself gets another one where the first would otherwise be taken off by [`unguarded`], so that what is read back is what was
//! written. Parquet and JSON files are never changed in this way.

use std::borrow::Cow;

use super::error::CliError;

/// How cells that a spreadsheet would take for formulas are written and read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cells {
    /// With a `'` before them.
    Guarded,
    /// As they are.
    Raw,
}

impl Cells {
    /// The content of a cell that was written in this way.
    pub(crate) fn read(self, cell: &str) -> &str {
        if self == Self::Raw { cell } else { unguarded(cell) }
    }

    fn write(self, cell: &str) -> Cow<'_, str> {
        if self == Self::Raw { Cow::Borrowed(cell) } else { guarded(cell) }
    }
}

/// The bytes of a CSV file.
pub(crate) fn csv_bytes<T: AsRef<str>>(
    header: &[T],
    rows: impl IntoIterator<Item = Vec<String>>,
    cells: Cells,
) -> Result<Vec<u8>, CliError> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    let write = || {
        writer.write_record(header.iter().map(|name| cells.write(name.as_ref()).into_owned()))?;
        rows.into_iter().try_for_each(|row| writer.write_record(row.iter().map(|cell| cells.write(cell).into_owned())))
    };
    write().map_err(std::io::Error::from)?;
    Ok(writer.into_inner().map_err(csv::IntoInnerError::into_error)?)
}

/// The cell with a `'` before it, where a spreadsheet would compute it or [`unguarded`] would change it.
fn guarded(cell: &str) -> Cow<'_, str> {
    if is_formula(cell.trim_start_matches('\'')) { Cow::Owned(format!("'{cell}")) } else { Cow::Borrowed(cell) }
}

/// The cell without the `'` that [`guarded`] puts before it.
fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(rest) if is_formula(rest.trim_start_matches('\'')) => rest,
        _ => cell,
    }
}

/// Whether a spreadsheet computes the cell. A number is no formula, whatever its sign.
fn is_formula(cell: &str) -> bool {
    cell.starts_with(['=', '+', '-', '@', '\t', '\r', '\n']) && cell.parse::<f64>().is_err()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::{any, prop_oneof, proptest};

    #[test]
    fn formulas_get_a_quote_and_numbers_stay_numbers() {
        for (cell, written) in [
            ("=HYPERLINK(\"http://x\")", "'=HYPERLINK(\"http://x\")"),
            ("+1+cmd|' /C calc'!A0", "'+1+cmd|' /C calc'!A0"),
            ("-x", "'-x"),
            ("@SUM(A1)", "'@SUM(A1)"),
            ("\t=1", "'\t=1"),
            ("\r=1", "'\r=1"),
            ("'=1", "''=1"),
            ("-1.5", "-1.5"),
            ("+2e3", "+2e3"),
            ("'tis", "'tis"),
            ("dog/a.wav", "dog/a.wav"),
            ("", ""),
        ] {
            assert_eq!(guarded(cell), written);
            assert_eq!(Cells::Raw.write(cell), cell);
        }
    }

    proptest! {
        #[test]
        fn what_is_read_back_is_what_was_written(cell in prop_oneof![any::<String>(), "['=+@\t\r\n0-9.-]{0,6}"]) {
            for cells in [Cells::Guarded, Cells::Raw] {
                assert_eq!(cells.read(&cells.write(&cell)), cell);
            }
            assert!(!is_formula(&guarded(&cell)), "{cell:?}");
        }
    }
}
