//! The words of the verb that takes recordings in.

use std::path::PathBuf;

use clap::Args as ClapArgs;

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight ingest clip.wav --class chainsaw
  ecosight ingest /media/card/ --class tree_frog --new-class
  ecosight ingest *.flac --class gunshot --json | jq '.files[] | select(.status == \"rejected\")'

Each recording is checked and stored as `extracted_audio/<class>/<YYYYMMDD_HHMMSS>_<name>` in the data root; once that is told, it is safe
there. With a bucket (`ecosight storage status`) it is uploaded as well; if that fails it waits in the outbox (`ecosight storage outbox`)
for the next `ecosight ingest` or `ecosight storage sync`. The same bytes under the same class are stored once, whoever takes them in;
`ecosight storage gc` finds what two machines have uploaded at the same moment.

Exit code 1 if any file was rejected; the others are stored all the same.")]
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
}
