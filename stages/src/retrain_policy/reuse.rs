//! Whether the model that was trained last stays because another one would be equal to it.

use std::collections::BTreeMap;

use ecosight_datasets::key::Key;
use ecosight_models::ModelError;
use ecosight_models::artefact::Artefact;
use ecosight_models::head::TrainConfig;

use crate::StageErrorKind;
use crate::evaluate::candidate;
use crate::search::Searched;
use crate::stage::{Context, Event};

/// Word of the stage that this is a part of.
const NAME: &str = "train";

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
