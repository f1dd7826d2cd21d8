//! The words of the command line.

mod bucket;
mod evaluate;
mod ingest;
mod models;
mod objects;
mod storage;
mod trust;
mod upkeep;

use std::path::PathBuf;

use clap::{Args as ClapArgs, Parser, Subcommand, ValueEnum};

use super::csv_file::Cells;
use crate::engine::GraphFormat;
pub(crate) use bucket::{BucketDoctorArgs, CostArgs, PolicyArgs, SetupArgs, WishArgs};
pub(crate) use evaluate::EvaluateArgs;
pub(crate) use ingest::IngestArgs;
pub(crate) use models::{ModelsArgs, ModelsVerb, Why};
pub(crate) use objects::{
    DuArgs, FixKeysArgs, GetArgs, LsArgs, MigrateArgs, PutArgs, RmArgs, StorageGcArgs, StorageVerifyArgs, UrlArgs,
};
pub(crate) use storage::{StorageArgs, StorageVerb};
pub(crate) use trust::{AuditArgs, AuditVerb, ReviewArgs, ReviewFormat};
pub(crate) use upkeep::{DiffFormat, FailedArgs, GcArgs, RunsArgs, RunsVerb, VerifyArgs};

/// Keep a wildlife-sound classifier up to date: labelled recordings in, a trained and evaluated model out.
#[derive(Parser, Debug)]
#[command(name = "ecosight", version, propagate_version = true, disable_help_subcommand = true)]
#[command(after_help = "Examples:
  ecosight demo                                   try everything offline, on synthetic clips
  ecosight weights fetch                          get YAMNet's weights, once per user
  ecosight retrain --source recordings            train on recordings/<class>/…
  ecosight predict clip.wav                       use the model

Exit codes: 0 ok · 1 failed · 2 usage · 3 stale · 4 model refused · 5 too many bad clips · 6 store or lock · 70 bug · 130 interrupted")]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(ClapArgs, Debug, Clone)]
pub(crate) struct GlobalArgs {
    /// Folder, or `s3://bucket/prefix`, that holds tables, runs and models
    #[arg(long, global = true, env = "ECOSIGHT_DATA_ROOT", default_value = "ecosight-data", value_name = "DIR|s3://…")]
    pub(crate) data_root: String,
    /// Pipeline file laid over the built-in one [default: ./ecosight.toml where it exists]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Threads, at most 1024 or 4 per core, whichever is more [default: one per core]
    #[arg(long, short, global = true, value_name = "N")]
    pub(crate) jobs: Option<std::num::NonZeroUsize>,
    /// Print one JSON document on stdout
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Print only what was changed or asked for, warnings and errors: nothing where there is nothing to do
    #[arg(long, short, global = true)]
    pub(crate) quiet: bool,
    /// Print every warning and the time of each stage; `retrain` and `embed` end with where the processor time went
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Verb {
    /// Try everything offline: make labelled clips, train, evaluate, predict
    Demo(DemoArgs),
    /// Bring tables and model up to date with the labelled recordings
    Retrain(RetrainArgs),
    /// Tell what a retrain would do, and why
    Status(StatusArgs),
    /// Measure how well the declared pipeline classifies recordings it has not seen
    Evaluate(EvaluateArgs),
    /// List labels that are probably wrong, and copies on different sides of the split
    Audit(AuditArgs),
    /// Choose the clips most worth labelling next, and take corrected labels
    Review(ReviewArgs),
    /// Classify clips with the model in production
    Predict(PredictArgs),
    /// Take labelled recordings in, into the data root and the bucket
    Ingest(IngestArgs),
    /// Write the embeddings of any audio to a Parquet file
    Embed(EmbedArgs),
    /// Draw the declared pipeline
    Graph(GraphArgs),
    /// Fetch, import or list the weights of YAMNet
    Weights(WeightsArgs),
    /// Write a pipeline file that shows everything and changes nothing yet
    Init(InitArgs),
    /// Print every value of the pipeline and where it comes from
    Config(ConfigArgs),
    /// Check this machine, the configuration and the data, and say how to mend what is wrong
    Doctor(DoctorArgs),
    /// List the runs of this data root, show one, or compare two
    Runs(RunsArgs),
    /// List the models, compare them, choose which one `predict` uses, check them, export them
    Models(ModelsArgs),
    /// List the clips that could not be used, and why
    Failed(FailedArgs),
    /// Show what can be removed from the data root, or remove it
    Gc(GcArgs),
    /// Read everything that was written, and say what is damaged or missing
    Verify(VerifyArgs),
    /// Look after the bucket, or the folder, that holds the recordings
    Storage(StorageArgs),
    /// Print what lets a shell complete the command line
    Completions(CompletionsArgs),
}

#[derive(ClapArgs, Debug, Clone, Default)]
pub(crate) struct PipelineArgs {
    /// Folder or `s3://bucket/prefix` with one folder per class, or a .csv or .parquet manifest with the columns `uri` and `label`, and if wanted
    /// `start_s`, `end_s`, `recording_id`, `fold`, `site`, `device`, `recorded_at`. In a folder, spans that Audacity (a.txt) or Raven (a.selections.txt,
    /// a.Table.1.selections.txt) marked in a.wav beside it are the clips, whatever the folder is called
    /// [default: that of the last run, else `extracted_audio/` in the data root]
    #[arg(long, value_name = "DIR|FILE|s3://…")]
    pub(crate) source: Option<String>,
    /// Change one parameter, such as train.l2=0.01 or embed.embedder=logmel
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

#[derive(ClapArgs, Debug, Clone, Default)]
pub(crate) struct CsvArgs {
    /// Write and read CSV cells as they are: without it, text that a spreadsheet would compute (it begins with = + - @) has a ' before it
    #[arg(long)]
    raw_csv: bool,
}

impl CsvArgs {
    /// How cells are written and read.
    pub(crate) fn cells(&self) -> Cells {
        if self.raw_csv { Cells::Raw } else { Cells::Guarded }
    }
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Example:
  ecosight demo && ecosight predict --data-root ecosight-demo my-clip.wav")]
pub(crate) struct DemoArgs {
    /// Where clips, tables and the model go
    #[arg(long, default_value = "ecosight-demo", value_name = "DIR")]
    pub(crate) out: PathBuf,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight retrain --source recordings
  ecosight retrain --source s3://bucket/extracted_audio --drop-cache
  ecosight retrain --source recordings --set 'split.pattern=(?<fold>\\d)-(?<recording>\\d+)-'
  ecosight retrain --set embed.embedder=logmel --set train.head=mlp
  ecosight retrain --set embed.precision=bf16 --set embed.dtype=f16
  ecosight retrain --only train
  ecosight retrain --dry-run
  ecosight retrain --force=embed
  ecosight retrain --set publish.margin=0.1 --set publish.min_balanced_accuracy=0.8
  ecosight retrain --force-publish
  ecosight retrain --wait --on-finish 'notify.sh'

The new model goes into production only if it passes the gate: it is compared with the model in production on the test clips of both. If
it does not pass, the exit code is 4, the model is kept, and `predict` uses the same model as before.

A run that finds nothing to do leaves no record in `runs/`.")]
#[expect(clippy::struct_excessive_bools, reason = "flags of the command line")]
pub(crate) struct RetrainArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Show what would run, and do nothing
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Run everything up to this stage
    #[arg(long, value_name = "STAGE", conflicts_with = "only")]
    pub(crate) to: Option<String>,
    /// Run this stage alone, on the tables that are there
    #[arg(long, value_name = "STAGE")]
    pub(crate) only: Option<String>,
    /// Seed of the training (the split has its own: --set split.seed=N)
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// Do all of the work again, or all of one stage, whatever is there
    #[arg(long, value_name = "STAGE", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    pub(crate) force: Option<String>,
    /// Publish the new model although the gate refuses it; that is recorded
    #[arg(long)]
    pub(crate) force_publish: bool,
    /// Go on although copies of clips lie on different sides of the split, without joining them; figures are marked as leaky then
    #[arg(long)]
    pub(crate) allow_leak: bool,
    /// Train although the source has lost a class, or more than `publish.max_loss` of the recordings, of the model in production
    #[arg(long)]
    pub(crate) allow_loss: bool,
    /// Why it is run, for the history of models (with the user's name, or `ECOSIGHT_USER`)
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
    /// Wait while another run writes this data root
    #[arg(long)]
    pub(crate) wait: bool,
    /// Remove audio that was fetched from buckets when the run is over, well or not; else the last 2 GB (`ECOSIGHT_CACHE_MB`) stay
    /// for the next
    #[arg(long)]
    pub(crate) drop_cache: bool,
    /// Stream what happens as lines of JSON, each with its time, to this file, or to stdout: `-`. The last line, `ended`, has the
    /// exit code; a run that cannot begin adds only this line
    #[arg(long, value_name = "FILE")]
    pub(crate) events: Option<String>,
    /// Command to run when everything is over, well or not, also where the run could not begin. Its last word is the path of the record
    /// (run.json); of a run without one, of a temporary file with the same fields. `ECOSIGHT_EXIT_CODE` and `ECOSIGHT_STATUS` (`ok`,
    /// `refused`, `usage`, `store`, …) say how it ended
    #[arg(long, value_name = "CMD")]
    pub(crate) on_finish: Option<String>,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight status
  ecosight status --why --set augment.variants=6
  ecosight status --json | jq '.stages[] | select(.status != \"fresh\")'

Exit code 0: everything is up to date; 3: something is to be done.")]
pub(crate) struct StatusArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Give the reason for each stage: the first thing that has changed, old and new
    #[arg(long)]
    pub(crate) why: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Table,
    Json,
    Csv,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight predict clip.wav night/
  ecosight predict night/ --windows --format csv > windows.csv
  ecosight predict night/ --out scores.parquet
  ecosight predict s3://bucket/extracted_audio/dog

Exit code 1 if any clip could not be used; the others are still printed.")]
pub(crate) struct PredictArgs {
    /// Audio files, or folders of them, here or in a bucket
    #[arg(required = true, value_name = "FILE|DIR|s3://…")]
    pub(crate) paths: Vec<PathBuf>,
    /// One row per window within the clip instead of one per clip
    #[arg(long)]
    pub(crate) windows: bool,
    /// How to print
    #[arg(long, value_enum, default_value = "table")]
    pub(crate) format: Format,
    /// Write to this .csv, .json or .parquet file instead
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) csv: CsvArgs,
    /// Model to use instead of the one in production
    #[arg(long, value_name = "VERSION")]
    pub(crate) model: Option<String>,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight embed night/ --out night.parquet
  ecosight embed night/ --precision bf16 --dtype f16 --out smaller.parquet
  ecosight embed clip.wav --embedder logmel --out clip.parquet")]
pub(crate) struct EmbedArgs {
    /// Audio files, or folders of them
    #[arg(required = true, value_name = "FILE|DIR")]
    pub(crate) paths: Vec<PathBuf>,
    /// Parquet file to write
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// What turns audio into numbers [default: as the pipeline file says, else yamnet]
    #[arg(long, value_name = "NAME", value_parser = ["yamnet", "logmel"])]
    pub(crate) embedder: Option<String>,
    /// What the numbers are kept in: f16 takes about 0.6 of the space [default: as the pipeline file says, else f32]
    #[arg(long, value_name = "TYPE", value_parser = ["f32", "f16"])]
    pub(crate) dtype: Option<String>,
    /// What the network computes in: bf16 is faster where the processor has it, and a little less exact
    /// [default: as the pipeline file says, else f32]
    #[arg(long, value_name = "TYPE", value_parser = ["f32", "bf16"])]
    pub(crate) precision: Option<String>,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Example:
  ecosight graph --format mermaid")]
pub(crate) struct GraphArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Language of the picture
    #[arg(long, value_enum, default_value = "text")]
    pub(crate) format: GraphFormat,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight weights fetch
  ecosight weights import ~/Downloads/yamnet.h5
  ecosight weights list")]
pub(crate) struct WeightsArgs {
    #[command(subcommand)]
    pub(crate) verb: WeightsVerb,
}

#[derive(Subcommand, Debug)]
pub(crate) enum WeightsVerb {
    /// Download the official weights (15 MB); goes on where it stopped, and accepts only the published file
    Fetch {
        /// A mirror of the official file
        #[arg(long, value_name = "URL")]
        url: Option<String>,
    },
    /// Take a local file: Keras .h5, or .safetensors
    Import {
        /// The file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
    /// Say what is there, from where, with which hash
    List,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight init                        write ./ecosight.toml, which every command in this folder reads
  ecosight init bats.toml && ecosight retrain --config bats.toml")]
pub(crate) struct InitArgs {
    /// File to write
    #[arg(value_name = "FILE", default_value = super::session::USER_FILE)]
    pub(crate) file: PathBuf,
    /// Replace a file that is there
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight config --show
  ecosight config --show --set train.l2=0.01 --json

Exit code 2 if the values make no pipeline; they are still printed.")]
pub(crate) struct ConfigArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Print every value and where it comes from, which is also what happens without it
    #[arg(long)]
    pub(crate) show: bool,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight doctor
  ecosight doctor --data-root /mnt/recorders --source recordings

Exit code 1 if anything fails; warnings are no failures. Nothing is changed.")]
pub(crate) struct DoctorArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
}

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight completions bash > ~/.local/share/bash-completion/completions/ecosight
  ecosight completions fish > ~/.config/fish/completions/ecosight.fish
  ecosight completions zsh > ~/.zfunc/_ecosight        with `fpath+=~/.zfunc` before `compinit` in ~/.zshrc")]
pub(crate) struct CompletionsArgs {
    /// Shell that is to complete
    #[arg(value_enum, value_name = "SHELL")]
    pub(crate) shell: clap_complete::Shell,
}
