//! `evaluate`: figures of the model trained last, on recordings that nothing was fitted or selected on.

use ecosight_models::ModelError;
use ecosight_models::artefact::Artefact;
use ecosight_models::metrics::Metrics;
use serde::Deserialize;

use crate::error::InStage;
use crate::params::{Params, Problem, parse};
use crate::pooled::{Labels, read_sides};
use crate::stage::{Context, Definition, Event, Stage};
use crate::train::Pointer;
use crate::{StageError, StageErrorKind};

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 1,
    about: "measure the model on the val and test recordings",
    inputs: &["manifest", "split", "embed", "train"],
    parameters: Evaluate::KEYS,
    configure: |table| Ok(Box::new(parse::<Evaluate>(table)?)),
};

const NAME: &str = "evaluate";

/// The stage; it has no parameters.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct Evaluate {}

impl Params for Evaluate {
    const KEYS: &'static [&'static str] = &[];

    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }
}

impl Stage for Evaluate {
    fn run(&self, context: &Context<'_>) -> Result<(), StageError> {
        let version = candidate(context).in_stage(NAME)?;
        let folder = context.layout.model(&version);
        let mut artefact = Artefact::load(&folder).map_err(ModelError::from).in_stage(NAME)?;
        let labels = Labels::read(context).in_stage(NAME)?;
        let (sides, embedder) = read_sides(context, artefact.meta.train.pooling, &labels).in_stage(NAME)?;
        if labels.classes != artefact.meta.classes || embedder != artefact.meta.embedder {
            return Err(StageErrorKind::data(
                "the tables have changed since the model was trained: other classes or another embedder",
                "run `ecosight retrain`, which trains on them",
            ))
            .in_stage(NAME);
        }
        for (on, rows) in [("val", &sides.val), ("test", &sides.test)] {
            let probabilities = artefact.head.probabilities(&rows.x);
            let metrics =
                Metrics::compute(&probabilities, &rows.y, &labels.classes).map_err(ModelError::from).in_stage(NAME)?;
            artefact.meta.metrics.insert(on.to_owned(), metrics.clone());
            context.emit(Event::Evaluated { model: version.clone(), on: on.to_owned(), metrics });
        }
        artefact.save_meta(&folder).map_err(ModelError::from).in_stage(NAME)
    }
}

/// Version of the model trained last.
pub(crate) fn candidate(context: &Context<'_>) -> Result<String, StageErrorKind> {
    let pointer = Pointer::read(&context.layout.candidate())?;
    let none = || StageErrorKind::data("no model was trained in this data root", "run `ecosight retrain`");
    Ok(pointer.ok_or_else(none)?.version)
}
