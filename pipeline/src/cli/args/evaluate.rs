//! The words of `evaluate`.

use std::path::PathBuf;

use clap::Args as ClapArgs;
use ecosight_stages::crossval::Folds;

use super::PipelineArgs;

#[derive(ClapArgs, Debug)]
#[command(after_help = "Examples:
  ecosight evaluate                    figures of the model trained last
  ecosight evaluate --cv               cross-validate over the given folds, or over five groups
  ecosight evaluate --cv --groups 10 --source recordings
  ecosight evaluate --cv --groups each --set split.group_by=site     how it does at a site that it does not know
  ecosight evaluate --keras old/yamnet_classifier_v2.keras           beside the classifier of the replaced system")]
pub(crate) struct EvaluateArgs {
    #[command(flatten)]
    pub(crate) pipeline: PipelineArgs,
    /// Cross-validate: each recording is scored by a head that was chosen, trained (on originals and variants) and calibrated on the others, as `retrain`
    /// does it
    #[arg(long)]
    pub(crate) cv: bool,
    /// Deal the recordings (or what `split.group_by` keeps together: sites, devices, days) to this many groups instead of using the given folds;
    /// `each`: leave each of them out in turn, with as many trainings
    #[arg(long, requires = "cv", value_name = "K|each")]
    pub(crate) groups: Option<CvGroups>,
    /// Compare the model trained last with a classifier of the replaced system, on the same test clips; `class_names.json` lies beside the file
    #[arg(long, conflicts_with = "cv", value_name = "FILE")]
    pub(crate) keras: Option<PathBuf>,
}

/// What is held out in turn.
#[derive(Clone, Copy, Debug)]
pub(crate) enum CvGroups {
    /// So many groups.
    Number(u32),
    /// Each recording, site, device or day.
    Each,
}

impl std::str::FromStr for CvGroups {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.parse().ok().filter(|k| (2..=1000).contains(k));
        match text {
            "each" => Ok(Self::Each),
            _ => number.map(Self::Number).ok_or_else(|| "it is neither a number from 2 to 1000 nor `each`".to_owned()),
        }
    }
}

impl From<CvGroups> for Folds {
    fn from(groups: CvGroups) -> Self {
        match groups {
            CvGroups::Number(k) => Self::Number(k as usize),
            CvGroups::Each => Self::Each,
        }
    }
}
