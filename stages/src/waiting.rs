//! Whether there is enough that is new to train on. Each model costs people a look; a handful of recordings seldom makes another one.
//!
//! `models/<version>/recordings.parquet` tells which recordings a model knows, `models/waiting.json` that the model trained last stays for now.

use std::collections::BTreeSet;
use std::path::PathBuf;

use ecosight_datasets::files::write_atomic;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{SplitRow, read_file};
use ecosight_models::artefact::Artefact;
use ecosight_models::head::TrainConfig;
use serde::{Deserialize, Serialize};

use crate::StageErrorKind;
use crate::labels::Labels;
use crate::publish::current;
use crate::search::Searched;
use crate::stage::Context;
use crate::train::write_file;

/// Name of the file, in a model's folder, of the clips that there were when it was trained.
const RECORDINGS_FILE: &str = "recordings.parquet";

/// There is not enough new: the model trained last stays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// Version of this format.
    schema_version: u32,
    /// The model that stays.
    pub(crate) model: String,
    /// Recordings that the model in production does not know.
    pub(crate) new: u64,
    /// How many are needed.
    pub(crate) needed: u64,
}

impl Waiting {
    /// That `model` stays, if it does: settings and embedder are its own, and the model in production knows all but a few recordings. Where it knows all of them,
    /// somebody has changed something else, and wants to see what comes of it.
    pub(crate) fn find(
        context: &Context<'_>,
        config: &TrainConfig,
        labels: &Labels,
        model: &str,
        artefact: &Artefact,
    ) -> Result<Option<Self>, StageErrorKind> {
        let layout = context.layout;
        let embedder = crate::pooled::embedder_of(&ecosight_datasets::tables::EmbedReader::open(layout)?)?;
        let trained = artefact.meta.train.clone();
        let asked = Searched::read(&layout.model(model)).map_or(trained, Searched::asked);
        let is_same = effective(config) == effective(&asked);
        let Some(production) = current(layout)?.filter(|_| is_same && artefact.meta.embedder == embedder) else {
            return Ok(None);
        };
        // Models of earlier versions do not tell.
        let Ok(known) = read_file::<SplitRow>(&layout.model(&production).join(RECORDINGS_FILE)) else {
            return Ok(None);
        };
        let known: BTreeSet<&str> = known.iter().map(|row| row.recording_id.as_str()).collect();
        let now: BTreeSet<&str> = labels.clips.values().map(|clip| clip.split.recording_id.as_str()).collect();
        let new = now.difference(&known).count() as u64;
        let waits = 0 < new && new < config.min_samples;
        Ok(waits.then(|| Self { schema_version: 1, model: model.to_owned(), new, needed: config.min_samples }))
    }

    /// That `model` stays, as the last run has found; none where it has not, or where nothing can be read.
    pub(crate) fn read(layout: &Layout, model: &str) -> Option<Self> {
        let bytes = std::fs::read(path(layout)).ok()?;
        serde_json::from_slice(&bytes).ok().filter(|waiting: &Self| waiting.model == model)
    }

    /// Keeps it for the stages behind.
    pub(crate) fn write(&self, layout: &Layout) -> Result<(), StageErrorKind> {
        Ok(write_atomic(&path(layout), &serde_json::to_vec_pretty(self).expect("this is plain data"))?)
    }

    /// For people.
    pub(crate) fn told(&self) -> String {
        let Self { new, needed, model, .. } = self;
        let recordings = if *new == 1 { "recording" } else { "recordings" };
        format!(
            "{new} new {recordings} since the model in production, {needed} are needed (`train.min_samples`); model `{model}` stays. \
             `ecosight retrain --force=train` trains all the same"
        )
    }
}

/// Settings without those that have nothing to say about a model.
fn effective(config: &TrainConfig) -> TrainConfig {
    let default = TrainConfig::default();
    let search = if config.search.is_on() { config.search } else { default.search };
    TrainConfig { search, min_samples: default.min_samples, ..config.clone() }
}

/// There is a model of all that there is.
pub(crate) fn clear(layout: &Layout) -> Result<(), StageErrorKind> {
    match std::fs::remove_file(path(layout)) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(ecosight_datasets::DatasetError::at("remove file", &path(layout))(error).into())
        }
        _ => Ok(()),
    }
}

/// Notes which recordings the model `version` knows.
pub(crate) fn note(layout: &Layout, version: &str, labels: &Labels) -> Result<(), StageErrorKind> {
    let mut rows: Vec<SplitRow> = labels.clips.values().map(|clip| clip.split.clone()).collect();
    rows.sort_by_key(|row| row.clip_id);
    write_file(&layout.model(version).join(RECORDINGS_FILE), &rows)
}

fn path(layout: &Layout) -> PathBuf {
    layout.models().join("waiting.json")
}
