//! The words of the verb that takes recordings in.

use std::path::PathBuf;

use clap::Args as ClapArgs;

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight ingest clip.wav --class chainsaw
  ecosight ingest /media/card/ --class tree_frog --new-class
  ecosight ingest /media/card/ --class tree_frog --dry-run
  ecosight ingest *.flac --class gunshot --json | jq '.files[] | select(.status == \"rejected\")'

Each recording is checked and stored as `extracted_audio/<class>/<YYYYMMDD_HHMMSS>_<name>` in the data root; once that is told, it is safe
there. With a bucket (`ecosight storage status`) it is uploaded as well; if that fails it waits in the outbox (`ecosight storage outbox`)
for the next `ecosight ingest` or `ecosight storage sync`. The same bytes under the same class are stored once, whoever takes them in;
`ecosight storage gc` finds what two machines have uploaded at the same moment.

A recording that was removed (`ecosight storage rm`) is passed over unless `--restore` asks for it, and so are files of the data root itself. Each call has
an id, which it prints: `ecosight storage rm --ingest ID` removes all that it stored.

Exit code 1 if any file was rejected; the others are stored all the same. Exit code 6 if the bucket got none of the recordings.")]
pub(crate) struct IngestArgs {
    /// Audio files, or folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) paths: Vec<PathBuf>,
    /// What can be heard in them: letters a to z, digits, `_` and `-`
    #[arg(long, value_name = "NAME")]
    pub(crate) class: String,
    /// Take a class that has no recording yet
    #[arg(long)]
    pub(crate) new_class: bool,
    /// Take recordings in again that were removed with `ecosight storage rm`
    #[arg(long)]
    pub(crate) restore: bool,
    /// Show what would be stored under which key, and store nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}
