//! `augment`: recipes for variants of the train clips; audio is only made when it is embedded.
//!
//! The effects are ranked for each clip by a hash of (clip, effect name) and variant v takes rank v, so one more variant or one
//! changed effect touches only its own rows.

use std::collections::{BTreeMap, HashMap};

use ecosight_datasets::effects::{Effect, Step, catalogue};
use ecosight_datasets::key::{ClipId, Key, KeyHasher};
use ecosight_datasets::tables::{ClipRow, RecipeRow, Row, Side, SplitRow, Unit, column_digests, read_rows};
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use serde::Deserialize;

use crate::error::InStage;
use crate::foresee::Foreseen;
use crate::params::{Params, Problem, parse};
use crate::rows::{read_before, replace};
use crate::stage::{Context, Definition, Event, Forecast, Input, Output, RowCounts, Stage};
use crate::{StageError, StageErrorKind};

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 1,
    about: "choose effects for variants of the train clips",
    inputs: &["manifest", "split"],
    parameters: Augment::KEYS,
    configure: |table| Ok(Box::new(parse::<Augment>(table)?)),
};

const NAME: &str = "augment";

/// Name of variant 0.
pub const ORIGINAL: &str = "original";

/// The stage's parameters.
#[derive(Deserialize, Clone, Debug)]
#[serde(default, deny_unknown_fields)]
pub struct Augment {
    /// Variants of each train clip beside the original, each with another effect.
    pub variants: u32,
    /// The effects to draw from.
    pub effects: BTreeMap<String, Effect>,
}

impl Default for Augment {
    fn default() -> Self {
        let effects = catalogue().into_iter().map(|(name, effect)| (name.to_owned(), effect)).collect();
        Self { variants: 5, effects }
    }
}

impl Params for Augment {
    const KEYS: &'static [&'static str] = &["variants", "effects"];

    fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.variants as usize > self.effects.len() {
            let message = format!("{} variants need as many effects, there are {}", self.variants, self.effects.len());
            problems.push(Problem::new("variants", message));
        }
        for (name, effect) in &self.effects {
            let at = format!("effects.{name}");
            if name == ORIGINAL || name.is_empty() {
                problems.push(Problem::new(&at, format!("an effect cannot be called `{name}`")));
            }
            if effect.0.is_empty() {
                problems.push(Problem::new(&at, "it has no steps"));
            }
            problems.extend(effect.0.iter().filter_map(Step::problem).map(|message| Problem::new(&at, message)));
        }
        problems
    }
}

impl Stage for Augment {
    fn reads(&self) -> Vec<Input> {
        vec![Input::of("manifest", &["clip_id"]), Input::of("split", &["clip_id", "split"])]
    }

    fn foresee(&self, context: &Context<'_>, foreseen: &mut Foreseen) -> Result<Forecast, StageErrorKind> {
        let sides = sides(foreseen.split(context.layout)?);
        let rows = self.all_recipes(foreseen.clips(context.layout)?, &sides);
        let counts = RowCounts::between(&read_before(context.layout), &rows, identity);
        let columns = Some(column_digests(&RecipeRow::batch(&rows)?));
        foreseen.recipes = Some(rows);
        Ok(Forecast { rows: Some(counts), columns, ..Forecast::default() })
    }

    fn run(&self, context: &Context<'_>) -> Result<Output, StageError> {
        let clips: Vec<ClipRow> = read_rows(&context.layout.table("manifest")).in_stage(NAME)?;
        let split: Vec<SplitRow> = read_rows(&context.layout.table("split")).in_stage(NAME)?;
        let rows = self.all_recipes(&clips, &sides(&split));
        let counts = [("originals", clips.len()), ("variants", rows.len() - clips.len())];
        context.emit(Event::counted(NAME, counts));
        replace(context.layout, &rows, identity).in_stage(NAME)
    }
}

fn identity(row: &RecipeRow) -> Unit {
    Unit { clip_id: row.clip_id, variant: row.variant }
}

fn sides(split: &[SplitRow]) -> HashMap<ClipId, Side> {
    split.iter().map(|row| (row.clip_id, row.side)).collect()
}

impl Augment {
    /// The recipes of all clips: variants of those on the train side only. Pure.
    pub fn all_recipes(&self, clips: &[ClipRow], sides: &HashMap<ClipId, Side>) -> Vec<RecipeRow> {
        let variants = |clip_id| if sides.get(&clip_id) == Some(&Side::Train) { self.variants } else { 0 };
        clips.par_iter().flat_map_iter(|clip| self.recipes(clip.clip_id, variants(clip.clip_id))).collect()
    }

    /// The original and the first `variants` variants of a clip. Pure.
    pub fn recipes(&self, clip_id: ClipId, variants: u32) -> Vec<RecipeRow> {
        let key = |domain, name: &str| -> Key { KeyHasher::new(domain).str(&clip_id.to_string()).str(name).finish() };
        let mut ranked: Vec<_> =
            self.effects.iter().map(|(name, effect)| (key("augment-rank", name), name, effect)).collect();
        ranked.sort_by_key(|(rank, ..)| *rank);
        let original =
            RecipeRow { clip_id, variant: 0, effect: ORIGINAL.to_owned(), parameters: "[]".to_owned(), seed: 0 };
        let recipe = |(variant, (_, name, effect)): (u32, (Key, &String, &Effect))| RecipeRow {
            clip_id,
            variant,
            effect: name.clone(),
            parameters: serde_json::to_string(effect).expect("an effect is plain data"),
            seed: key("augment-seed", name).to_u64(),
        };
        std::iter::once(original).chain((1..=variants).zip(ranked).map(recipe)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ecosight_datasets::key::ContentHash;

    fn id(n: u8) -> ClipId {
        ClipId::of_file(&ContentHash::of_reader(&[n][..]).unwrap())
    }

    #[test]
    fn five_distinct_effects_are_drawn_and_they_differ_between_clips() {
        let augment = Augment::default();
        let mut draws = std::collections::BTreeSet::new();
        for n in 0..20 {
            let recipes = augment.recipes(id(n), 5);
            assert_eq!(recipes.iter().map(|r| r.variant).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5]);
            let effects: std::collections::BTreeSet<_> = recipes.iter().map(|r| r.effect.clone()).collect();
            assert_eq!(effects.len(), 6);
            draws.insert(effects);
        }
        assert!(draws.len() > 10);
    }

    #[test]
    fn one_more_variant_or_a_changed_effect_touches_only_its_own_rows() {
        let mut augment = Augment::default();
        let (five, six) = (augment.recipes(id(1), 5), augment.recipes(id(1), 6));
        assert_eq!(five[..], six[..6]);
        let gain = "volume_up = [{ step = \"gain\", factor = 1.3 }]";
        augment.effects.extend(toml::from_str::<BTreeMap<String, Effect>>(gain).unwrap());
        for (old, new) in augment.recipes(id(1), 11).iter().zip(Augment::default().recipes(id(1), 11)) {
            assert_eq!(*old == new, old.effect != "volume_up", "{}", old.effect);
        }
    }

    #[test]
    fn mistakes_in_effects_are_named() {
        let table =
            "variants = 3\n[effects]\noriginal = []\nx = [{ step = \"time_stretch\", rate = 99.0 }]".parse().unwrap();
        let at: Vec<_> = parse::<Augment>(&table).unwrap_err().into_iter().map(|p| p.at).collect();
        assert_eq!(at, ["variants", "effects.original", "effects.original", "effects.x"]);
    }
}
