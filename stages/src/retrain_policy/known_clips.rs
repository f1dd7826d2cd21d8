//! What a model was trained beside: the clips that the source held, and the settings of all stages that decide a model.
//!
//! Format: `models/<version>/recordings.parquet`, a row for each clip, and `models/<version>/settings.json`, version 1. Models of earlier versions have no
//! settings, and no labels in their rows.

use std::collections::HashMap;

use ecosight_datasets::files::write_atomic;
use ecosight_datasets::key::ClipId;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{ClipRow, KnownClipRow, Row, read_file, read_rows};
use serde::{Deserialize, Serialize};

use crate::StageErrorKind;
use crate::labels::{Labelled, Labels};
use crate::stage::{Context, KeyPart};
use crate::train::write_file;

const CLIPS_FILE: &str = "recordings.parquet";
const SETTINGS_FILE: &str = "settings.json";
const SCHEMA_VERSION: u32 = 1;

/// Stages behind the training: their settings do not change a model.
const AFTER_TRAINING: [&str; 2] = ["evaluate", "publish"];

/// When to train, not how.
const MIN_SAMPLES: &str = "train.min_samples";

/// What a model was trained beside.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct KnownClips {
    /// The clips, by identity.
    pub(crate) clips: Vec<KnownClipRow>,
    /// The settings that decide a model; none where they were not recorded.
    pub(crate) settings: Option<Vec<KeyPart>>,
}

#[derive(Serialize, Deserialize)]
struct SettingsFile {
    schema_version: u32,
    settings: Vec<KeyPart>,
}

impl KnownClips {
    /// What the tables hold and the pipeline declares now.
    pub(crate) fn now(context: &Context<'_>, labels: &Labels) -> Result<Self, StageErrorKind> {
        let listed: Vec<ClipRow> = read_rows(&context.layout.table(ClipRow::TABLE.name))?;
        Ok(Self::of(&listed, labels, context.settings))
    }

    /// What these clips and settings are.
    pub(crate) fn of(listed: &[ClipRow], labels: &Labels, settings: &[KeyPart]) -> Self {
        let uris: HashMap<ClipId, &String> = listed.iter().map(|clip| (clip.clip_id, &clip.uri)).collect();
        let row = |(id, clip): (&ClipId, &Labelled)| KnownClipRow {
            clip_id: *id,
            uri: uris.get(id).map(|uri| (*uri).clone()),
            label: Some(labels.names[clip.label].clone()),
            recording_id: clip.split.recording_id.clone(),
            group_id: clip.split.group_id.clone(),
            side: clip.split.side,
        };
        let mut clips: Vec<KnownClipRow> = labels.clips.iter().map(row).collect();
        clips.sort_by_key(|row| row.clip_id);
        Self { clips, settings: Some(deciding(settings)) }
    }

    /// What the model `version` was trained beside; none where that cannot be read.
    pub(crate) fn read(layout: &Layout, version: &str) -> Option<Self> {
        let folder = layout.model(version);
        let clips = read_file(&folder.join(CLIPS_FILE)).ok()?;
        let file = std::fs::read(folder.join(SETTINGS_FILE)).ok();
        let file: Option<SettingsFile> = file.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let settings = file.filter(|file| file.schema_version == SCHEMA_VERSION).map(|file| file.settings);
        Some(Self { clips, settings })
    }

    /// Records it beside the model `version`.
    pub(crate) fn write(&self, layout: &Layout, version: &str) -> Result<(), StageErrorKind> {
        let folder = layout.model(version);
        let settings = self.settings.clone().unwrap_or_default();
        let file = SettingsFile { schema_version: SCHEMA_VERSION, settings };
        let json = serde_json::to_vec_pretty(&file).expect("settings are plain data");
        write_atomic(&folder.join(SETTINGS_FILE), &json)?;
        write_file(&folder.join(CLIPS_FILE), &self.clips)
    }
}

/// The settings that decide which model is trained.
fn deciding(settings: &[KeyPart]) -> Vec<KeyPart> {
    let stage = |part: &KeyPart| part.name.split(['.', ' ']).next().unwrap_or_default().to_owned();
    let has_search = settings.iter().any(|part| part.name == "train.search.trials" && part.value != "0");
    let decides = |part: &&KeyPart| {
        !AFTER_TRAINING.contains(&stage(part).as_str())
            && part.name != MIN_SAMPLES
            && (has_search || !part.name.starts_with("train.search."))
    };
    settings.iter().filter(decides).cloned().collect()
}
