//! The words of the verbs that look after a data root.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::CsvArgs;

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight runs list
  ecosight runs show                   the last run that has a record
  ecosight runs show 20260301-07       a run by the beginning of its name
  ecosight runs diff last~1 last       what the last run has changed
  ecosight runs diff last~1 last --format md
  ecosight runs report                 write the report of the last run again")]
pub(crate) struct RunsArgs {
    #[command(subcommand)]
    pub(crate) verb: RunsVerb,
}

#[derive(Subcommand, Debug)]
pub(crate) enum RunsVerb {
    /// All runs that did something, warned newly or failed, the newest first
    List,
    /// What a run did, why, how long it took and what came of it
    #[command(after_help = "Examples:
  ecosight runs show
  ecosight runs show last~1
  ecosight runs show 20260301-07 --json | jq .pipeline")]
    Show {
        /// Name of the run, or how it begins; `last`, `last~1` for the one before it
        #[arg(value_name = "RUN", default_value = "last")]
        run: String,
    },
    /// Write the report of a run, and the card of its model, as `retrain` does when it has evaluated one
    #[command(after_help = "Examples:
  ecosight runs report && xdg-open ecosight-data/runs/*/report.html
  ecosight runs report last~1

Where the tables have changed since the model was evaluated, curves, map, mistakes and slices are left out.")]
    Report {
        /// Name of the run, or how it begins; `last`, `last~1` for the one before it
        #[arg(value_name = "RUN", default_value = "last")]
        run: String,
    },
    /// Parameters, rows and metrics of two runs side by side
    #[command(after_help = "Examples:
  ecosight runs diff last~1 last
  ecosight runs diff 20260301 20260308 --format md | pbcopy")]
    Diff {
        /// The run to compare with
        #[arg(value_name = "A")]
        before: String,
        /// The run that is compared
        #[arg(value_name = "B")]
        after: String,
        /// How to print
        #[arg(long, value_enum, default_value = "text")]
        format: DiffFormat,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// For reading in a terminal
    Text,
    /// A Markdown table, to be pasted
    Md,
    /// One JSON document
    Json,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight failed
  ecosight failed --export failed.csv
  ecosight failed --json | jq -r '.failed[] | select(.code == \"truncated\") | .uri'
  ecosight failed --retry && ecosight retrain

A clip that failed is not tried again as long as it, the embedder and this program are the same.")]
pub(crate) struct FailedArgs {
    /// Let the next `ecosight retrain` try them again
    #[arg(long)]
    pub(crate) retry: bool,
    /// Write them to this .csv, .json or .parquet file
    #[arg(long, value_name = "FILE")]
    pub(crate) export: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) csv: CsvArgs,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight gc                          show what can be removed, and why
  ecosight gc --yes                    remove it
  ecosight gc --keep 20 --keep-runs 1000

Removed are retired rows, left-overs of runs that were killed, and old models and run records. Recordings, tables, the models in
production, before it and trained last, the records of runs that made or measured a model that stays, and the finished work of an
interrupted run stay. Symbolic links are not followed.")]
pub(crate) struct GcArgs {
    /// Remove it
    #[arg(long)]
    pub(crate) yes: bool,
    /// Newest models to keep, beside those in use
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) keep: usize,
    /// Newest run records to keep
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) keep_runs: usize,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight verify
  ecosight verify --deep               read every recording, too
  ecosight verify --repair && ecosight retrain

Of the recordings that `ecosight ingest` has stored here, existence and size are compared with the index of tracks, and with `--deep` their
content. Exit code 1 if anything is damaged, missing or unknown, and is not set aside or written again by `--repair`: recordings,
`corrections.csv`, the index of tracks and the lesser files of a model are left as they are, and named. What a run was writing that did not
come to its end is shown as `unfinished`, and is no failure. Nothing is deleted.")]
pub(crate) struct VerifyArgs {
    /// Move what is damaged or unknown to `retired/`, so that the next `ecosight retrain` computes it again; write the pointer to the model
    /// in production, and the readable lines of its history, again
    #[arg(long)]
    pub(crate) repair: bool,
    /// Read the recordings and compare them with their hashes in the index of tracks, instead of their sizes alone
    #[arg(long)]
    pub(crate) deep: bool,
}
