//! `publish`: from now on `predict` uses the model trained last. The pointer moves atomically.

use ecosight_datasets::files::FileStamp;
use ecosight_datasets::key::KeyHasher;
use ecosight_datasets::tables::Digests;
use ecosight_models::ModelError;
use ecosight_models::artefact::{Artefact, CLASS_NAMES_FILE, WEIGHTS_FILE};

use crate::error::InStage;
use crate::evaluate::{candidate, candidate_part};
use crate::params::{NoParams, parse};
use crate::stage::{Context, Definition, Event, Input, KeyPart, Output, RowCounts, Stage};
use crate::train::Pointer;
use crate::{StageError, StageErrorKind};

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
    fn reads(&self) -> Vec<Input> {
        vec![Input::of("train", &["model"]), Input::of("evaluate", &["metrics"])]
    }

    fn identity(&self, context: &Context<'_>) -> Result<Vec<KeyPart>, StageErrorKind> {
        Ok(vec![candidate_part(context)])
    }

    fn recall(&self, context: &Context<'_>) -> Result<(), StageErrorKind> {
        if let Some(Pointer { version: model, previous, .. }) = Pointer::read(&context.layout.production())? {
            context.emit(Event::Published { model, previous });
        }
        Ok(())
    }

    fn run(&self, context: &Context<'_>) -> Result<Output, StageError> {
        let version = candidate(context).in_stage(NAME)?;
        // What cannot be read back, or was not judged, is not put into production.
        let artefact = Artefact::load(&context.layout.model(&version)).map_err(ModelError::from).in_stage(NAME)?;
        if !artefact.meta.metrics.contains_key("test") {
            let message = format!("model `{version}` was not evaluated");
            return Err(StageErrorKind::data(message, "evaluate it first: `ecosight retrain --to publish`"))
                .in_stage(NAME);
        }
        let path = context.layout.production();
        let pointer = Pointer::write(&path, &version, context.started_at).in_stage(NAME)?;
        context.emit(Event::Published { model: version.clone(), previous: pointer.previous });
        // What `predict` loads belongs to what must be there; but `model.json` takes up new figures.
        let parts = [WEIGHTS_FILE, CLASS_NAMES_FILE].map(|name| context.layout.model(&version).join(name));
        let files = parts.iter().chain([&path]).map(|path| FileStamp::take(context.layout.root(), path));
        let files = files.collect::<Result<_, _>>().in_stage(NAME)?;
        let key = KeyHasher::new("published").str(&artefact.meta.digest).finish();
        let (columns, rows) =
            (Digests::from([("pointer".to_owned(), key)]), RowCounts { new: 1, ..RowCounts::default() });
        Ok(Output { columns, files, rows, is_provisional: false })
    }
}
