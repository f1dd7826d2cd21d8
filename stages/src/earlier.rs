//! Whether the model that was trained last stays: because another would be equal to it, or because there is too little that is new.

use std::collections::BTreeMap;

use ecosight_datasets::key::Key;
use ecosight_datasets::tables::Side;
use ecosight_models::ModelError;
use ecosight_models::artefact::Artefact;
use ecosight_models::head::TrainConfig;

use crate::StageErrorKind;
use crate::evaluate::candidate;
use crate::labels::Labels;
use crate::search::Searched;
use crate::stage::{Context, Event, Output, RowCounts};
use crate::train::output;
use crate::waiting::Waiting;

/// Word of the stage that this is a part of.
const NAME: &str = "train";

/// The model trained last as the output, where there is not enough new to train on.
pub(crate) fn wait(
    config: &TrainConfig,
    context: &Context<'_>,
    labels: &Labels,
) -> Result<Option<Output>, StageErrorKind> {
    let Ok(version) = candidate(context) else { return Ok(None) };
    let artefact = Artefact::load(&context.layout.model(&version));
    let Some(artefact) = artefact.ok().filter(|_| !context.forced) else { return Ok(None) };
    let Some(waiting) = Waiting::find(context, config, labels, &version, &artefact)? else { return Ok(None) };
    let Ok(key) = artefact.meta.digest.parse::<Key>() else { return Ok(None) };
    waiting.write(context.layout)?;
    context.emit(Event::Skipped { stage: NAME, why: waiting.told() });
    let reused = artefact.meta.counts.get(Side::Train.word()).copied().unwrap_or(0);
    output(context, &version, key, RowCounts { reused, ..RowCounts::default() }).map(Some)
}

/// The model trained last, if it was made from the same rows with the same settings (`key`), searched for or not: another would be equal to it.
pub(crate) fn trained_before(context: &Context<'_>, config: &TrainConfig, key: Key) -> Option<(String, Artefact)> {
    let version = candidate(context).ok()?;
    let folder = context.layout.model(&version);
    let artefact = Artefact::load(&folder).ok()?;
    let is_same = if config.search.is_on() {
        Searched::read(&folder).is_some_and(|searched| searched.is(Searched::key(key, config.search)))
    } else {
        artefact.meta.digest == key.to_string()
    };
    is_same.then_some((version, artefact))
}

/// Puts right how many rows there are: those of the test side do not make another model.
pub(crate) fn recount(
    context: &Context<'_>,
    version: &str,
    mut artefact: Artefact,
    counts: BTreeMap<String, u64>,
) -> Result<(), StageErrorKind> {
    if artefact.meta.counts != counts {
        artefact.meta.counts = counts;
        artefact.save_meta(&context.layout.model(version)).map_err(ModelError::from)?;
    }
    let message = format!("the rows are those that model `{version}` was trained on; it stays");
    context.emit(Event::Printed { stage: NAME, line: message });
    Ok(())
}
