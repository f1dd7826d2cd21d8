//! The table of clips that could not be used, kept up to date while a run goes on.
//!
//! Guarantee: the rows of a stage are on disk before its state is. A run that is killed after that loses none of them, although the next
//! run finds the stage up to date and does not look at its clips again.

use std::collections::{BTreeSet, HashSet};

use ecosight_datasets::DatasetError;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{QuarantineRow, read_rows, write_rows};

/// The rows that the stages of a run have reported.
#[derive(Default)]
pub(super) struct Quarantine {
    rows: Vec<QuarantineRow>,
    seen: HashSet<QuarantineRow>,
    /// Stages that ran to their end.
    complete: BTreeSet<&'static str>,
}

impl Quarantine {
    /// Adds a row; whether it was not reported before in this run.
    pub(super) fn report(&mut self, row: &QuarantineRow) -> bool {
        let is_new = self.seen.insert(row.clone());
        if is_new {
            self.rows.push(row.clone());
        }
        is_new
    }

    /// Whether `stage` has run to its end in this run.
    pub(super) fn is_complete(&self, stage: &str) -> bool {
        self.complete.contains(stage)
    }

    /// Notes that `stage` has run to its end, and writes the table: rows of earlier runs of the stage are replaced.
    pub(super) fn complete(&mut self, stage: &'static str, layout: &Layout) -> Result<(), DatasetError> {
        self.complete.insert(stage);
        self.write(layout)
    }

    /// Writes the table: the rows of this run, and those of earlier runs except of stages that have run to their end and of files that
    /// the same stage has reported again. Where nothing has changed, nothing is written.
    pub(super) fn write(&self, layout: &Layout) -> Result<(), DatasetError> {
        let folder = layout.table("quarantine");
        // A damaged table is replaced: its rows are found again.
        let found: Option<Vec<QuarantineRow>> = read_rows(&folder).ok();
        let old = found.as_deref().unwrap_or_default();
        let named: HashSet<(&str, &str)> = self.rows.iter().map(|row| (row.stage.as_str(), row.uri.as_str())).collect();
        let stays = |row: &&QuarantineRow| {
            !self.is_complete(&row.stage) && !named.contains(&(row.stage.as_str(), row.uri.as_str()))
        };
        let mut rows: Vec<_> = old.iter().filter(stays).chain(&self.rows).cloned().collect();
        rows.sort_by(|a, b| (&a.stage, &a.uri, a.clip_id).cmp(&(&b.stage, &b.uri, b.clip_id)));
        rows.dedup();
        // A folder alone, as a killed run may leave it, is no table.
        if found.as_deref() != Some(&rows) {
            write_rows(layout, &rows)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(stage: &str, uri: &str, code: &str) -> QuarantineRow {
        let [uri, stage, code] = [uri, stage, code].map(str::to_owned);
        QuarantineRow { clip_id: None, uri, stage, code, message: String::new(), key: None }
    }

    #[test]
    fn rows_of_a_stage_that_ran_to_its_end_replace_those_of_before_and_those_of_one_that_stopped_are_added() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let on_disk = || {
            let rows: Vec<QuarantineRow> = read_rows(&layout.table("quarantine")).unwrap();
            rows.into_iter().map(|row| format!("{} {} {}", row.stage, row.uri, row.code)).collect::<Vec<_>>()
        };
        let before = [row("embed", "a", "old"), row("embed", "b", "old"), row("manifest", "c", "old")];
        write_rows(&layout, &before).unwrap();

        let mut run = Quarantine::default();
        assert!(run.report(&row("manifest", "d", "new")) && !run.report(&row("manifest", "d", "new")));
        run.complete("manifest", &layout).unwrap();
        assert_eq!(on_disk(), ["embed a old", "embed b old", "manifest d new"]);
        // `embed` stops after it has found one of its files wanting, for another reason.
        run.report(&row("embed", "a", "new"));
        run.write(&layout).unwrap();
        assert_eq!(on_disk(), ["embed a new", "embed b old", "manifest d new"]);
        // It comes to its end in a second pass, and reports the same.
        assert!(!run.report(&row("embed", "a", "new")));
        run.complete("embed", &layout).unwrap();
        assert_eq!(on_disk(), ["embed a new", "manifest d new"]);
        assert!(run.is_complete("embed") && !run.is_complete("train"));
    }

    #[test]
    fn a_table_that_a_killed_run_was_about_to_write_is_written_though_it_has_no_rows() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        std::fs::create_dir_all(layout.table("quarantine")).unwrap();
        Quarantine::default().write(&layout).unwrap();
        assert_eq!(read_rows::<QuarantineRow>(&layout.table("quarantine")).unwrap(), []);
    }
}
