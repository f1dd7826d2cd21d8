//! Units of rows: what `embed` computes as one, and how a part says which it holds.

use std::collections::HashMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::key::{ClipId, UnitKey};

/// A clip and the number of its variant: what `embed` computes as one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Unit {
    /// The clip.
    pub clip_id: ClipId,
    /// 0 for the original.
    pub variant: u32,
}

/// A unit with what it is made from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnitEntry {
    /// Which one.
    pub unit: Unit,
    /// Hash of everything that decides its rows.
    pub key: UnitKey,
    /// How the variant is made, as text, to explain what has changed; shared by all units that are made so.
    pub recipe: Arc<str>,
}

/// Name of the list of units in the footer of a part.
pub(super) const UNITS_KEY: &str = "ecosight.units";

/// The units of a part as they stand in its footer: a part says itself what it holds, so none is ever lost.
#[derive(Serialize, Deserialize)]
struct Footer {
    recipes: Vec<String>,
    /// Clip, variant, key, index into `recipes`.
    units: Vec<(ClipId, u32, UnitKey, usize)>,
}

/// The footer of a part with these units.
pub(super) fn to_footer(units: &[UnitEntry]) -> String {
    let mut footer = Footer { recipes: Vec::new(), units: Vec::with_capacity(units.len()) };
    let mut numbers: HashMap<&str, usize> = HashMap::new();
    for entry in units {
        let number = *numbers.entry(&entry.recipe).or_insert_with(|| {
            footer.recipes.push(entry.recipe.to_string());
            footer.recipes.len() - 1
        });
        footer.units.push((entry.unit.clip_id, entry.unit.variant, entry.key, number));
    }
    serde_json::to_string(&footer).expect("a footer is plain data")
}

/// The units that a footer lists; nothing where it is none of ours.
pub(super) fn of_footer(text: &str) -> Option<Vec<UnitEntry>> {
    let footer: Footer = serde_json::from_str(text).ok()?;
    let recipes: Vec<Arc<str>> = footer.recipes.into_iter().map(Arc::from).collect();
    let entry = |(clip_id, variant, key, recipe): (ClipId, u32, UnitKey, usize)| {
        Some(UnitEntry { unit: Unit { clip_id, variant }, key, recipe: recipes.get(recipe)?.clone() })
    };
    footer.units.into_iter().map(entry).collect()
}
