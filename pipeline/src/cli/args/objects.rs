//! The words of the verbs on the objects of a store.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args as ClapArgs;

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage ls                            what lies at the top
  ecosight storage ls extracted_audio/dog
  ecosight storage ls -r s3://bucket/extracted_audio --json | jq -r '.objects[].name'

A name is one below the configured bucket, or below the data root where no bucket is configured.")]
pub(crate) struct LsArgs {
    /// Folder or object: `s3://…`, or a name below the configured store
    #[arg(value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(crate) place: String,
    /// Everything below, not only what lies in the folder itself
    #[arg(long, short)]
    pub(crate) recursive: bool,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage du
  ecosight storage du extracted_audio --json | jq .bytes")]
pub(crate) struct DuArgs {
    /// Folder: `s3://…`, or a name below the configured store
    #[arg(value_name = "NAME", default_value = "", hide_default_value = true)]
    pub(crate) place: String,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage get extracted_audio/dog/20260102_030405_a.wav
  ecosight storage get models/production.json model.json
  ecosight storage get --recursive extracted_audio/dog dogs/

What is there already with the same content is not fetched again, so that the same command goes on where it was stopped.")]
pub(crate) struct GetArgs {
    /// Object or folder: `s3://…`, or a name below the configured store
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// File or folder to write [default: its own name, in this folder]
    #[arg(value_name = "DEST")]
    pub(crate) destination: Option<PathBuf>,
    /// Get all that lies in the folder
    #[arg(long, short)]
    pub(crate) recursive: bool,
    /// Replace files that hold something else
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Show what would be fetched, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage put report.html runs/20260301/report.html
  ecosight storage put a.wav b.wav temp/
  ecosight storage put a.wav s3://bucket/temp/a.wav --metadata site=ridge

The last word is where they go: a folder if it ends in `/` or there are several files. Recordings that are to be trained on go in with
`ecosight ingest`, which checks and names them.")]
pub(crate) struct PutArgs {
    /// Files, then the name or the folder they get: `s3://…`, or a name below the configured store
    #[arg(value_name = "FILE… NAME", required = true, num_args = 2..)]
    pub(crate) words: Vec<String>,
    /// Say something of the objects: a name in lower case and a value in ASCII
    #[arg(long, value_name = "KEY=VALUE", value_parser = pair)]
    pub(crate) metadata: Vec<(String, String)>,
    /// Replace objects that hold something else
    #[arg(long)]
    pub(crate) overwrite: bool,
    /// Show what would be stored, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage rm temp/a.wav --dry-run
  ecosight storage rm --recursive temp/probe --yes
  ecosight storage rm extracted_audio/dog/20260102_030405_a.wav --yes
  ecosight storage rm --ingest 20260102-030405-1a2b --dry-run

What is not there counts as removed. A recording is removed on both sides, in the bucket and in the data root, and from the index and the cache of this
machine. That is noted in both (`journal/removals/`): copies elsewhere are not uploaded again, a retrain leaves them out of all tables, and
`ecosight ingest` passes them over unless `--restore` is given. Models that were trained on it stay what they are until the next `ecosight retrain`; its
rows that are retired then do not come back, and `ecosight gc --yes` deletes them.")]
pub(crate) struct RmArgs {
    /// Objects or folders: `s3://…`, or names below the configured store
    #[arg(value_name = "NAME", required_unless_present = "ingest")]
    pub(crate) names: Vec<String>,
    /// Remove the recordings that this call of `ecosight ingest` stored
    #[arg(long, value_name = "ID", conflicts_with_all = ["names", "recursive"])]
    pub(crate) ingest: Option<String>,
    /// Remove all that lies in a folder
    #[arg(long, short)]
    pub(crate) recursive: bool,
    #[command(flatten)]
    pub(crate) consent: Consent,
}

/// Whether something is changed, or only shown.
#[derive(ClapArgs, Debug)]
pub(crate) struct Consent {
    /// Show what would be done, and do nothing
    #[arg(long, conflicts_with = "yes")]
    pub(crate) dry_run: bool,
    /// Do it
    #[arg(long)]
    pub(crate) yes: bool,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage url extracted_audio/dog/20260102_030405_a.wav
  ecosight storage url temp/upload.wav --put --expires 15m
  curl -T upload.wav \"$(ecosight storage url temp/upload.wav --put)\"

With CLOUDFRONT_DOMAIN it is the URL of the distribution, which is signed (and so expires) where CLOUDFRONT_KEY_PAIR_ID and
CLOUDFRONT_PRIVATE_KEY are given. Whether the object is there is not asked.")]
pub(crate) struct UrlArgs {
    /// Object: `s3://…`, or a name below the configured store
    #[arg(value_name = "NAME")]
    pub(crate) name: String,
    /// A URL to write the object instead of one to read it
    #[arg(long)]
    pub(crate) put: bool,
    /// How long it is good: seconds, or a number with `s`, `m`, `h` or `d`; at most 7d
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = time)]
    pub(crate) expires: Duration,
    /// The bucket's own URL even where a distribution serves it
    #[arg(long)]
    pub(crate) s3: bool,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage verify
  ecosight storage verify --deep       read every object back
  ecosight storage verify --json | jq -r '.missing[]'

The same content under another name of its class counts as the same. Exit code 1 if a recording of this data root is missing in the bucket,
different there, or (unless `ingest.keep_local` is false) gone here. What is in the bucket alone, such as recordings of other data roots that
share it, is counted, and is a failure with `--all` only; files that `migrate` would leave are only told. Nothing is changed.")]
pub(crate) struct StorageVerifyArgs {
    /// Read the content of every object instead of trusting its checksum
    #[arg(long)]
    pub(crate) deep: bool,
    /// Compare the whole bucket: what is there alone is named, and is a failure, too
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage migrate --dry-run
  ecosight storage migrate
  ecosight storage migrate --delete-local        and drop here what is verified there

What is in the bucket already, with the same content, is skipped: run it again to go on after an interruption. Keys are the paths below the
data root. Files that `ecosight ingest` would reject are skipped, too, and told with the reason; those with labels that lie beside a recording
go with it. Exit code 1 if any file failed, 6 if the bucket cannot be reached.")]
pub(crate) struct MigrateArgs {
    /// Show what would be uploaded, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Remove local files once they are verified in the bucket
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) delete_local: bool,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage fix-keys            what is called wrongly, and how it should be called
  ecosight storage fix-keys --yes
  ecosight storage fix-keys s3://old-bucket

Where a bucket is configured beside a data root, both are put right, so that a recording is called the same on both sides. Each is copied, the
copy is compared, and only then the old one is removed. Keys that no path can be, with `..`, `//` or control characters, are left out by all other
verbs; recordings among them are moved like any other. Exit code 1 if anything could not be mended.")]
pub(crate) struct FixKeysArgs {
    /// Bucket, prefix or folder [default: the configured bucket and the data root]
    #[arg(value_name = "PLACE", default_value = "", hide_default_value = true)]
    pub(crate) place: String,
    #[command(flatten)]
    pub(crate) consent: Consent,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight storage gc                  what is left over, and why
  ecosight storage gc --yes            remove what is certainly garbage

Removed are temporary files of writers that died, objects below `temp/` that are older than a day, uploads in parts that were begun more than a
day ago and never completed, and of recordings that are in a class of the bucket twice, all but the one with the first name, once both were read
and compared. What index, data root and bucket say differently is told and kept. `-v` names each item, and so does `--json`.")]
pub(crate) struct StorageGcArgs {
    #[command(flatten)]
    pub(crate) consent: Consent,
}

/// `key=value`, fit to be a header.
fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("it does not look like `key=value`")?;
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '-' | '_');
    if name.is_empty() || !name.chars().all(is_plain) {
        return Err("a key has the characters a-z, 0-9, `-` and `_`".to_owned());
    }
    if !value.chars().all(|c| c.is_ascii_graphic() || c == ' ') {
        return Err("a value is plain ASCII".to_owned());
    }
    Ok((name.to_owned(), value.to_owned()))
}

/// `90`, `90s`, `15m`, `2h`, `7d`.
fn time(text: &str) -> Result<Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let seconds = match &text[digits.len()..] {
        "" | "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 86_400,
        _ => return Err("the unit is one of `s`, `m`, `h` and `d`".to_owned()),
    };
    let number: u64 = digits.parse().map_err(|_| "it is no whole number with a unit, such as `1h`".to_owned())?;
    number.checked_mul(seconds).map(Duration::from_secs).ok_or_else(|| "that is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_pairs_are_read() {
        for (text, seconds) in [("90", 90), ("90s", 90), ("15m", 900), ("2h", 7200), ("7d", 604_800)] {
            assert_eq!(time(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for text in ["", "h", "1.5h", "1w", "-1h", "99999999999999999999d", "9999999999999999999d"] {
            assert!(time(text).is_err(), "{text}");
        }
        assert_eq!(pair("site=a=b c"), Ok(("site".to_owned(), "a=b c".to_owned())));
        for text in ["site", "=x", "Site=x", "site=ü", "a b=c", "a=b\nc"] {
            assert!(pair(text).is_err(), "{text:?}");
        }
    }
}
