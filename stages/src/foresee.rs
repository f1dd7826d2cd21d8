//! The tables as they would be after a run that has not happened.

use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{ClipRow, RecipeRow, SplitRow, read_rows};

use crate::StageErrorKind;

/// The small tables, as the stages that would run would make them, and else as they are; read only when somebody asks.
#[derive(Default)]
pub struct Foreseen {
    /// `manifest`.
    pub clips: Option<Vec<ClipRow>>,
    /// `split`, in the order of `clips`.
    pub split: Option<Vec<SplitRow>>,
    /// `augment`.
    pub recipes: Option<Vec<RecipeRow>>,
}

impl Foreseen {
    /// Rows of `manifest`.
    pub fn clips(&mut self, layout: &Layout) -> Result<&[ClipRow], StageErrorKind> {
        if self.clips.is_none() {
            self.clips = Some(read_rows(&layout.table("manifest"))?);
        }
        Ok(self.clips.as_deref().unwrap_or_default())
    }

    /// Rows of `split`.
    pub fn split(&mut self, layout: &Layout) -> Result<&[SplitRow], StageErrorKind> {
        if self.split.is_none() {
            self.split = Some(read_rows(&layout.table("split"))?);
        }
        Ok(self.split.as_deref().unwrap_or_default())
    }

    /// Rows of `augment`.
    pub fn recipes(&mut self, layout: &Layout) -> Result<&[RecipeRow], StageErrorKind> {
        if self.recipes.is_none() {
            self.recipes = Some(read_rows(&layout.table("augment"))?);
        }
        Ok(self.recipes.as_deref().unwrap_or_default())
    }
}
