//! The words of `ecosight models`.

use std::path::PathBuf;

use clap::{Args as ClapArgs, Subcommand};

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight models list
  ecosight models show                 the model in production
  ecosight models diff 20260301 20260308
  ecosight models rollback             let `predict` use the model before it again
  ecosight models pin --reason 'field test until May'   publish nothing over the model in production
  ecosight models history              which model was in production when, by whom and why
  ecosight models verify
  ecosight models export production --onnx model.onnx --with-embedder

A model is named by its version, by how that begins, or as `production` or `candidate` (the one trained last).")]
pub(crate) struct ModelsArgs {
    #[command(subcommand)]
    pub(crate) verb: ModelsVerb,
}

/// Why the pointer to the model in production is moved.
#[derive(ClapArgs, Debug)]
pub(crate) struct Why {
    /// The reason, kept in the history of models with the user's name (`ECOSIGHT_USER`, else that of the login)
    #[arg(long, value_name = "TEXT")]
    pub(crate) reason: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum ModelsVerb {
    /// All models, the newest first
    #[command(after_help = "Examples:
  ecosight models list
  ecosight models list --json | jq -r '.[] | select(.state == \"refused\") | .version'

States: production (`predict` uses it), candidate (trained last), refused (by the gate), former (was in production), damaged, kept.")]
    List,
    /// What a model is, how it was chosen, how good it is, and what the gate found
    #[command(after_help = "Examples:
  ecosight models show
  ecosight models show candidate
  ecosight models show 20260301-07 --json | jq .gate")]
    Show {
        /// The model
        #[arg(value_name = "VERSION", default_value = "production")]
        version: String,
    },
    /// Settings, classes and figures of two models side by side
    #[command(after_help = "Examples:
  ecosight models diff production candidate
  ecosight models diff 20260301 20260308 --json

Their figures were taken on the test clips of each; the gate compares models on the test clips of both: `ecosight models show`.")]
    Diff {
        /// The model to compare with
        #[arg(value_name = "A")]
        before: String,
        /// The model that is compared
        #[arg(value_name = "B")]
        after: String,
    },
    /// Let `predict` use this model; the gate is not asked
    #[command(after_help = "Example:
  ecosight models promote candidate

A damaged model is refused. `ecosight models history` tells what was moved when.")]
    Promote {
        /// The model
        #[arg(value_name = "VERSION")]
        version: String,
        #[command(flatten)]
        why: Why,
    },
    /// Let `predict` use the model that was in production before
    #[command(after_help = "Examples:
  ecosight models rollback --reason 'rain is called gunshot' && ecosight models list
  ecosight models rollback && ecosight models pin      no retrain publishes over it until `models unpin`")]
    Rollback {
        #[command(flatten)]
        why: Why,
    },
    /// Keep the model in production there: retrains go on, but publish nothing over it
    #[command(after_help = "Example:
  ecosight models pin --reason 'field test until May'

A retrain trains, evaluates and judges as ever, says that its model is not published, and ends with exit code 0.
`promote` and `rollback` are refused until `ecosight models unpin`.")]
    Pin {
        #[command(flatten)]
        why: Why,
    },
    /// Let retrains publish again; the next one publishes what was trained meanwhile, if it passes the gate
    #[command(after_help = "Example:
  ecosight models unpin && ecosight retrain")]
    Unpin {
        #[command(flatten)]
        why: Why,
    },
    /// Which model was in production when, by whom and why, the last change first
    #[command(after_help = "Examples:
  ecosight models history
  ecosight models history --json | jq '.[] | select(.by == \"rollback\")'")]
    History,
    /// Compare the files of models with their checksums
    #[command(after_help = "Examples:
  ecosight models verify
  ecosight models verify production

Exit code 1 if anything is damaged.")]
    Verify {
        /// The model [default: all]
        #[arg(value_name = "VERSION")]
        version: Option<String>,
    },
    /// Write a model for programs that run it without EcoSight
    #[command(after_help = "Examples:
  ecosight models export production --onnx head.onnx                   from pooled embeddings to probabilities
  ecosight models export production --onnx model.onnx --with-embedder  from 16 kHz samples to probabilities

Labels, thresholds, and what the model was trained with are inside, as metadata.")]
    Export {
        /// The model
        #[arg(value_name = "VERSION")]
        version: String,
        /// The ONNX file to write
        #[arg(long, value_name = "FILE")]
        onnx: PathBuf,
        /// Put YAMNet in front of the head
        #[arg(long)]
        with_embedder: bool,
    },
}
