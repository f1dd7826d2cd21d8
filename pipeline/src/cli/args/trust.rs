//! The words of the verbs that look for mistakes in labels and splits.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand, ValueEnum};

use super::CsvArgs;

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight audit labels
  ecosight audit labels --top 100 --out suspects.csv
  ecosight audit leaks --json | jq '.leaks[] | select(.kind == \"near\")'")]
pub(crate) struct AuditArgs {
    #[command(subcommand)]
    pub(crate) verb: AuditVerb,
}

#[derive(Subcommand, Debug)]
pub(crate) enum AuditVerb {
    /// Clips that are probably labelled wrongly, the likeliest first
    #[command(after_help = "Examples:
  ecosight audit labels
  ecosight audit labels --top 100 --out suspects.csv

Each clip is judged by a head that was trained without its recording. Listed are those for which it says another class, by the
probability of the given label: the lower, the sooner. To correct them: `ecosight review --help`.")]
    Labels {
        /// How many
        #[arg(long, value_name = "N", default_value = "20")]
        top: NonZeroUsize,
        /// Write them to this .csv file
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
        #[command(flatten)]
        csv: CsvArgs,
    },
    /// Pairs of clips of which one is a copy of the other: those that are known, and those on different sides of the split
    #[command(after_help = "Examples:
  ecosight audit leaks
  ecosight audit leaks --json | jq '.copies[] | select(.is_joined | not)'

Copies that a run has found are kept, and their recordings joined into one group (`split.copies`), which is always on one side. Leaks are copies on
different sides: there are some after a run that was let go on with them (`--allow-leak`), or that stopped at them (`split.copies = \"stop\"`).

Kinds: `file` (spans of one file), `audio` (equal sound), `near` (cut, shifted, encoded again or scaled).")]
    Leaks,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight review --out next.csv                       50 clips of the tables, to be filled in
  ecosight review --import next.csv && ecosight retrain
  ecosight review night/ --n 20 --out next.csv         of a folder that nobody has labelled
  ecosight review --format audacity --out next/        a file of labels for each recording

Chosen are clips that the model is unsure of and that differ from each other. In the CSV, write the right class into `corrected_label`
where it is known; empty ones are passed over, and `-` withdraws an earlier correction. `--import` keeps what was written in a file of its own below
`journal/corrections/` of the data root, with who and when; it lies over what the source says from the next retrain on, and the newest correction of a
clip counts. Raven's and Audacity's files, corrected and moved beside their recordings, are read from there.")]
pub(crate) struct ReviewArgs {
    /// Folder of audio to choose from, scored by the model in production [default: the clips of the last retrain]
    #[arg(value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// File to write; a folder for Raven and Audacity
    #[arg(long, value_name = "FILE|DIR", required_unless_present = "import")]
    pub(crate) out: Option<PathBuf>,
    /// How many clips
    #[arg(long, value_name = "N", default_value = "50")]
    pub(crate) n: NonZeroUsize,
    /// What to write
    #[arg(long, value_enum, default_value = "csv")]
    pub(crate) format: ReviewFormat,
    /// Take this corrected CSV file
    #[arg(long, value_name = "FILE", conflicts_with_all = ["dir", "out", "n", "format"])]
    pub(crate) import: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) csv: CsvArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ReviewFormat {
    /// One table, to be filled in and imported
    Csv,
    /// A selection table for each recording
    Raven,
    /// A file of labels for each recording
    Audacity,
}
