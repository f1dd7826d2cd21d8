//! `publish`: the gate between a new model and production. A model that passes is what `predict` uses from now on; one that does not is kept, and the
//! pointer stays where it is.

mod comparison;
mod criteria;
mod gate;
mod history;
mod parity;
mod pin;
mod restore;

use ecosight_datasets::files::FileStamp;
use ecosight_datasets::key::KeyHasher;
use ecosight_datasets::tables::Digests;
use ecosight_models::ModelError;
use ecosight_models::artefact::{Artefact, CLASS_NAMES_FILE, WEIGHTS_FILE};
use serde::Deserialize;

use crate::error::InStage;
use crate::evaluate::{candidate, candidate_part};
use crate::foresee::Foreseen;
use crate::params::{Params, Problem, parse, within};
use crate::retrain_policy::Loss;
use crate::stage::{Context, Definition, Event, Forecast, Input, KeyPart, Output, RowCounts, Stage};
use crate::train::Pointer;
use crate::{StageError, StageErrorKind};

pub use comparison::Comparison;
pub use criteria::{Criterion, Finding};
pub use gate::{GATE_FILE, Gate};
pub use history::{Author, By, Move, Moves, before, current, move_to};
pub use pin::Pin;
pub use restore::{PointerProblem, pointer_problem, restore_pointer};

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 3,
    about: "judge the new model by the one in production, and let predict use it if it passes",
    inputs: &["manifest", "split", "embed", "train", "evaluate"],
    parameters: Publish::KEYS,
    configure: |table| Ok(Box::new(parse::<Publish>(table)?)),
};

const NAME: &str = "publish";

/// Parameters of the gate.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Publish {
    /// Recall that a class may lose against the model in production.
    pub margin: f64,
    /// Balanced accuracy that a model needs where there is none to compare it with.
    pub min_balanced_accuracy: f64,
    /// Alarms in an hour of background that are put up with; none: any number.
    pub max_false_alarms_per_hour: Option<f64>,
    /// Test clips that are scored once more, from their audio.
    pub parity_clips: usize,
    /// Share of the recordings of the model in production that the source may lose before a run stops; a lost class always stops it.
    pub max_loss: f64,
}

impl Default for Publish {
    fn default() -> Self {
        Self {
            margin: 0.05,
            min_balanced_accuracy: 0.6,
            max_false_alarms_per_hour: None,
            parity_clips: 20,
            max_loss: 0.1,
        }
    }
}

impl Params for Publish {
    const KEYS: &'static [&'static str] =
        &["margin", "min_balanced_accuracy", "max_false_alarms_per_hour", "parity_clips", "max_loss"];

    fn problems(&self) -> Vec<Problem> {
        let alarms = self.max_false_alarms_per_hour.and_then(|n| within("max_false_alarms_per_hour", n, 0.0, 1e6));
        let shares = [
            ("margin", self.margin),
            ("min_balanced_accuracy", self.min_balanced_accuracy),
            ("max_loss", self.max_loss),
        ];
        let shares = shares.into_iter().filter_map(|(at, value)| within(at, value, 0.0, 1.0));
        shares.chain(alarms).chain(within("parity_clips", self.parity_clips as f64, 0.0, 1e6)).collect()
    }
}

impl Stage for Publish {
    fn reads(&self) -> Vec<Input> {
        vec![Input::of("train", &["model"]), Input::of("evaluate", &["metrics"])]
    }

    fn identity(&self, context: &Context<'_>) -> Result<Vec<KeyPart>, StageErrorKind> {
        // Once a model is no longer pinned, what was trained meanwhile is published.
        let pin = Pin::read(context.layout)?.map(|pin| KeyPart::new("pinned", pin.version));
        Ok(std::iter::once(candidate_part(context)).chain(pin).collect())
    }

    fn admit(&self, context: &Context<'_>) -> Result<(), StageErrorKind> {
        let Some(loss) = Loss::find(context)?.filter(|loss| loss.lost > 0 || !loss.classes.is_empty()) else {
            return Ok(());
        };
        let loss = Box::new(loss);
        context.emit(Event::Lost(loss.clone()));
        if loss.exceeds(self.max_loss) && !context.allow_loss {
            return Err(StageErrorKind::Lost { loss });
        }
        Ok(())
    }

    fn foresee(&self, context: &Context<'_>, foreseen: &mut Foreseen) -> Result<Forecast, StageErrorKind> {
        let loss = Loss::of(context, foreseen.clips(context.layout)?)?.filter(|loss| loss.exceeds(self.max_loss));
        let note =
            |loss: Loss| format!("the run would stop before it trains (`--allow-loss` goes on): {}", loss.words());
        Ok(Forecast { notes: loss.map(note).into_iter().collect(), ..Forecast::default() })
    }

    fn look(&self, context: &Context<'_>) -> Result<(), String> {
        // People move the pointer, too (`ecosight models promote`), so it may name another model than this stage has made it name.
        history::look(context.layout)
    }

    fn recall(&self, context: &Context<'_>) -> Result<(), StageErrorKind> {
        if let Ok(Some(gate)) = Gate::read(&context.layout.model(&candidate(context)?)) {
            context.emit(Event::Judged(Box::new(gate)));
        }
        let (pin, candidate) = (Pin::read(context.layout)?, candidate(context)?);
        if let Some(pin) = pin.filter(|pin| pin.version != candidate) {
            context.emit(Event::Skipped { stage: NAME, why: pin.keeps_out(&candidate) });
        }
        if let Some(Pointer { version: model, previous, .. }) = Pointer::read(&context.layout.production())? {
            context.emit(Event::Published { model, previous });
        }
        Ok(())
    }

    fn run(&self, context: &Context<'_>) -> Result<Output, StageError> {
        let version = candidate(context).in_stage(NAME)?;
        let folder = context.layout.model(&version);
        // What cannot be read back, or was not judged, is not put into production.
        let artefact = Artefact::load(&folder).map_err(ModelError::from).in_stage(NAME)?;
        if !artefact.meta.metrics.contains_key("test") {
            let message = format!("model `{version}` was not evaluated");
            return Err(StageErrorKind::data(message, "evaluate it first: `ecosight retrain --to publish`"))
                .in_stage(NAME);
        }
        let gate = self.judge(context, &version, &artefact).in_stage(NAME)?;
        gate.write(&folder).in_stage(NAME)?;
        let refusal = gate.refusal();
        let by = By::Publish { forced: gate.forced && !gate.passed };
        context.emit(Event::Judged(Box::new(gate)));
        if let Some(refusal) = refusal {
            return Err(refusal).in_stage(NAME);
        }
        if let Some(pin) = Pin::read(context.layout).in_stage(NAME)?.filter(|pin| pin.version != version) {
            context.emit(Event::Skipped { stage: NAME, why: pin.keeps_out(&version) });
        } else {
            let author = Author { at: context.started_at, user: context.user, reason: context.reason };
            let pointer = move_to(context.layout, &version, author, by).in_stage(NAME)?;
            context.emit(Event::Published { model: version.clone(), previous: pointer.previous });
        }
        // What `predict` loads belongs to what must be there; but `model.json` takes up new figures.
        let files = [WEIGHTS_FILE, CLASS_NAMES_FILE].map(|name| folder.join(name));
        let files = files.iter().map(|path| FileStamp::take(context.layout.root(), path));
        let files = files.collect::<Result<_, _>>().in_stage(NAME)?;
        let key = KeyHasher::new("published").str(&artefact.meta.digest).finish();
        let (columns, rows) =
            (Digests::from([("pointer".to_owned(), key)]), RowCounts { new: 1, ..RowCounts::default() });
        Ok(Output { columns, files, rows, is_provisional: false })
    }
}
