//! `publish`: from now on `predict` uses the model trained last. The pointer moves atomically.

use ecosight_models::ModelError;
use ecosight_models::artefact::Artefact;

use crate::StageError;
use crate::error::InStage;
use crate::evaluate::candidate;
use crate::params::{NoParams, parse};
use crate::stage::{Context, Definition, Event, Stage};
use crate::train::Pointer;

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 1,
    about: "let predict use the new model",
    inputs: &["train", "evaluate"],
    parameters: &[],
    configure: |table| parse::<NoParams>(table).map(|_| Box::new(Publish) as Box<dyn Stage>),
};

const NAME: &str = "publish";

/// The stage; it has no parameters.
pub struct Publish;

impl Stage for Publish {
    fn run(&self, context: &Context<'_>) -> Result<(), StageError> {
        let version = candidate(context).in_stage(NAME)?;
        // What cannot be read back is not put into production.
        Artefact::load(&context.layout.model(&version)).map_err(ModelError::from).in_stage(NAME)?;
        let pointer = Pointer::write(&context.layout.production(), &version, context.started_at).in_stage(NAME)?;
        context.emit(Event::Published { model: version, previous: pointer.previous });
        Ok(())
    }
}
