//! What `embed` is to compute: the units that are wanted, their keys, and which clips are known to fail.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use ecosight_datasets::audio::Span;
use ecosight_datasets::effects::Effect;
use ecosight_datasets::key::{ClipId, KeyHasher, UnitKey};
use ecosight_datasets::store::{CHANGED, FORBIDDEN, Version};
use ecosight_datasets::tables::{ClipRow, QuarantineRow, RecipeRow, Unit, UnitEntry};
use ecosight_models::embedder::EmbedderId;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};

use crate::StageErrorKind;
use crate::clip::{ClipError, Recipe};
use crate::embed::VERSION;
use crate::rows::read_before;
use crate::stage::{Context, RowCounts};

/// The word of the stage in quarantine rows and keys.
const NAME: &str = "embed";

/// Codes of failures that another try may mend: they are about the store, not about the clip.
const PASSING: [&str; 5] = ["io", "missing", FORBIDDEN, "not_a_file", CHANGED];

/// Whether another try may mend a failure with this code.
pub(crate) fn is_passing(code: &str) -> bool {
    PASSING.contains(&code)
}

/// A unit that is wanted.
#[derive(Clone, Debug)]
pub(crate) struct Wanted {
    pub(crate) entry: UnitEntry,
    pub(crate) recipe: Recipe,
}

/// The key of the rows that `embedder` makes of a clip by a recipe. In it: word and version of the stage, the embedder's identity (name,
/// version with the front end's, weights, precision, dtype), the clip, and the recipe (variant, seed, each step with its version and parameter).
pub fn unit_key(embedder: &EmbedderId, clip_id: ClipId, recipe: &Recipe) -> UnitKey {
    let key = KeyHasher::new(NAME).u64(VERSION.into());
    let key = key.str(&embedder.name).u64(embedder.version.into());
    let key = match &embedder.weights {
        Some(weights) => key.str(weights),
        None => key.null(),
    };
    let key = key.str(&embedder.precision.to_string()).str(embedder.dtype.word());
    let key = key.str(&clip_id.to_string()).u64(recipe.variant.into()).u64(recipe.seed);
    let key = match &recipe.effect {
        Some(effect) => effect.add_to(key),
        None => key.null(),
    };
    UnitKey::of(key.finish())
}

/// The units of each clip, in the order of `clips`.
pub(crate) fn wanted<'a>(
    embedder: &EmbedderId,
    recipes: Vec<RecipeRow>,
    clips: &'a [ClipRow],
) -> Result<Vec<(&'a ClipRow, Vec<Wanted>)>, StageErrorKind> {
    // There are millions of recipes and a handful of effects.
    let mut texts: HashMap<(String, String), (Option<Effect>, Arc<str>)> = HashMap::new();
    let mut by_clip: HashMap<ClipId, Vec<(Recipe, Arc<str>)>> = HashMap::new();
    for row in recipes {
        let unreadable = |error: serde_json::Error| {
            let message = format!("the recipe of `{}` variant {} is unreadable: {error}", row.clip_id, row.variant);
            StageErrorKind::data(message, "make it again: `ecosight retrain --force=augment`")
        };
        let name = (row.effect.clone(), row.parameters.clone());
        if !texts.contains_key(&name) {
            let effect: Effect = serde_json::from_str(&row.parameters).map_err(unreadable)?;
            let text = if row.variant == 0 { row.effect } else { format!("{} {}", row.effect, row.parameters) };
            texts.insert(name.clone(), ((row.variant > 0).then_some(effect), Arc::from(text)));
        }
        let (effect, text) = texts[&name].clone();
        by_clip.entry(row.clip_id).or_default().push((Recipe { variant: row.variant, effect, seed: row.seed }, text));
    }
    let wanted = |clip: &'a ClipRow| {
        let recipes = by_clip.get(&clip.clip_id).ok_or_else(|| {
            let message = format!("`augment` has no recipe for `{}`: the manifest has changed since", clip.uri);
            StageErrorKind::data(message, "run `ecosight retrain --to augment` first, or all of `ecosight retrain`")
        })?;
        let wanted = |(recipe, text): &(Recipe, Arc<str>)| {
            let unit = Unit { clip_id: clip.clip_id, variant: recipe.variant };
            let key = unit_key(embedder, clip.clip_id, recipe);
            Wanted { entry: UnitEntry { unit, key, recipe: text.clone() }, recipe: recipe.clone() }
        };
        Ok((clip, recipes.iter().map(wanted).collect()))
    };
    clips.par_iter().map(wanted).collect()
}

/// What becomes of the units: `present` are the keys of the rows that are there, `live` the units of the table with their keys.
pub(crate) fn account(
    wanted: &[(&ClipRow, Vec<Wanted>)],
    present: &HashSet<UnitKey>,
    live: &HashMap<Unit, UnitKey>,
    is_failed: &dyn Fn(ClipId) -> bool,
) -> RowCounts {
    let (mut counts, mut stay) = (RowCounts::default(), 0);
    for (clip, units) in wanted {
        if is_failed(clip.clip_id) {
            counts.failed += units.len() as u64;
            continue;
        }
        for Wanted { entry, .. } in units {
            let was_there = live.contains_key(&entry.unit);
            stay += u64::from(was_there);
            let count = match (present.contains(&entry.key), was_there) {
                (true, _) => &mut counts.reused,
                (false, true) => &mut counts.changed,
                (false, false) => &mut counts.new,
            };
            *count += 1;
        }
    }
    counts.retired = live.len() as u64 - stay;
    counts
}

/// A clip with everything that is to be made of it.
#[derive(Clone, Debug)]
pub struct Work {
    /// The clip.
    pub clip_id: ClipId,
    /// Its path below the source.
    pub uri: String,
    /// What the file was when it was listed.
    pub version: Option<Version>,
    /// Its part of the file.
    pub span: Option<Span>,
    /// How its variants are made.
    pub recipes: Vec<Recipe>,
    /// The units that these give, in their order.
    pub units: Vec<UnitEntry>,
}

impl Work {
    /// What is missing of a clip, if anything is.
    pub(crate) fn missing(clip: &ClipRow, units: &[Wanted], present: &HashSet<UnitKey>) -> Option<Self> {
        let missing: Vec<&Wanted> = units.iter().filter(|unit| !present.contains(&unit.entry.key)).collect();
        let (recipes, units) = missing.into_iter().map(|unit| (unit.recipe.clone(), unit.entry.clone())).unzip();
        let work = Self {
            clip_id: clip.clip_id,
            uri: clip.uri.clone(),
            version: clip.version(),
            span: clip.span,
            recipes,
            units,
        };
        (!work.units.is_empty()).then_some(work)
    }

    /// The row that says why this clip cannot be used.
    pub(crate) fn quarantined(&self, error: &ClipError, embedder: &EmbedderId) -> QuarantineRow {
        let (clip_id, uri, stage) = (Some(self.clip_id), self.uri.clone(), NAME.to_owned());
        let key = (!is_passing(&error.code)).then(|| failure_key(embedder, self.clip_id));
        QuarantineRow { clip_id, uri, stage, code: error.code.clone(), message: error.message.clone(), key }
    }
}

/// Clips that have failed before, and would fail again.
#[derive(Default)]
pub(crate) struct Failures {
    rows: HashMap<ClipId, QuarantineRow>,
}

impl Failures {
    /// Those that a run need not try again; one that does all of its work anew tries them all.
    pub(crate) fn of_run(context: &Context<'_>, embedder: &EmbedderId) -> Self {
        if context.forced {
            return Self::default();
        }
        let rows: Vec<QuarantineRow> = read_before(context.layout);
        let known = rows.into_iter().filter(|row| row.stage == NAME).filter_map(|row| {
            let clip_id = row.clip_id?;
            (row.key == Some(failure_key(embedder, clip_id))).then_some((clip_id, row))
        });
        Self { rows: known.collect() }
    }

    pub(crate) fn is_known(&self, clip_id: ClipId) -> bool {
        self.rows.contains_key(&clip_id)
    }

    /// Those among the clips that are wanted, under the paths that they have now.
    pub(crate) fn of(&self, wanted: &[(&ClipRow, Vec<Wanted>)]) -> Vec<QuarantineRow> {
        let row = |(clip, _): &(&ClipRow, Vec<Wanted>)| {
            let row = self.rows.get(&clip.clip_id)?;
            Some(QuarantineRow { uri: clip.uri.clone(), ..row.clone() })
        };
        wanted.iter().filter_map(row).collect()
    }
}

/// A clip that failed with this is not tried again: the audio, the stage, the embedder and the program are the same.
fn failure_key(embedder: &EmbedderId, clip_id: ClipId) -> UnitKey {
    let key = KeyHasher::new("failed").str(env!("CARGO_PKG_VERSION")).str(&embedder.slug());
    UnitKey::of(key.u64(VERSION.into()).str(&clip_id.to_string()).finish())
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecosight_datasets::effects::Step;
    use ecosight_datasets::key::ContentHash;
    use ecosight_models::embedder::{Dtype, Precision};

    #[test]
    fn keys_are_the_same_on_every_machine_and_differ_by_everything_that_decides_a_row() {
        let clip_id = ClipId::of_file(&ContentHash::of_reader(&b"abc"[..]).unwrap());
        let (precision, dtype) = (Precision::F32, Dtype::F32);
        let id = EmbedderId { name: "yamnet".into(), version: 1, weights: Some("12ab".into()), precision, dtype };
        let effect = |rate| Some(Effect(vec![Step::TimeStretch { rate }, Step::Gain { factor: 0.5 }]));
        let recipe = Recipe { variant: 2, effect: effect(1.1), seed: 7 };
        assert_eq!(unit_key(&id, clip_id, &Recipe::ORIGINAL).to_string(), "641a262ee8022883521e202fb5c8c41d");
        assert_eq!(unit_key(&id, clip_id, &recipe).to_string(), "b1908b82f1662130d9db6f5cab1aa54c");
        let others = [
            unit_key(&EmbedderId { version: 2, ..id.clone() }, clip_id, &recipe),
            unit_key(&EmbedderId { weights: None, ..id.clone() }, clip_id, &recipe),
            unit_key(&EmbedderId { dtype: Dtype::F16, ..id.clone() }, clip_id, &recipe),
            unit_key(&EmbedderId { precision: Precision::Bf16Amx, ..id.clone() }, clip_id, &recipe),
            unit_key(&id, clip_id, &Recipe { variant: 3, ..recipe.clone() }),
            unit_key(&id, clip_id, &Recipe { seed: 8, ..recipe.clone() }),
            unit_key(&id, clip_id, &Recipe { effect: effect(1.2), ..recipe.clone() }),
            unit_key(&id, clip_id, &recipe),
        ];
        assert_eq!(others.iter().collect::<HashSet<_>>().len(), others.len());
    }
}
