//! Which stages of a pipeline a command is about.

use ecosight_stages::params::unknown;

use super::{Pipeline, PlannedStage, RunError, When};

/// What was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// All stages.
    #[default]
    All,
    /// A stage and everything that it needs.
    To(String),
    /// One stage alone, on tables that were made as declared.
    Only(String),
    /// One stage alone, on the tables as they are.
    OnTables(String),
}

/// Which stages are to do all of their work, whatever is there.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Force {
    /// None.
    #[default]
    None,
    /// All that are selected.
    All,
    /// One.
    Stage(String),
}

/// The stages that are to be brought up to date, in order.
pub struct Selection<'a> {
    /// The stages.
    pub stages: Vec<&'a PlannedStage>,
    pipeline: &'a Pipeline,
    scope: Scope,
    force: Force,
}

impl<'a> Selection<'a> {
    /// The stages of `pipeline` that are asked for.
    pub fn of(pipeline: &'a Pipeline, scope: Scope, force: Force) -> Result<Self, RunError> {
        let find = |name: &str| {
            let names = pipeline.stages.iter().map(|stage| stage.name);
            let unknown = || RunError::NoSuchStage(unknown("stage", name, names.clone()));
            names.clone().position(|known| known == name).ok_or_else(unknown)
        };
        if let Force::Stage(name) = &force {
            find(name)?;
        }
        let stages = match &scope {
            // What is named runs, whatever it says of itself.
            Scope::Only(name) | Scope::OnTables(name) => vec![&pipeline.stages[find(name)?]],
            Scope::All => pipeline.stages.iter().filter(|stage| stage.when != When::Never).collect(),
            Scope::To(name) => {
                let last = find(name)?;
                let mut wanted = vec![false; pipeline.stages.len()];
                wanted[last] = true;
                for index in (0..=last).rev() {
                    if wanted[index] {
                        for need in &pipeline.stages[index].needs {
                            wanted[find(need)?] = true;
                        }
                    }
                }
                let is_wanted = |(index, stage): &(usize, &PlannedStage)| {
                    wanted[*index] && (*index == last || stage.when != When::Never)
                };
                pipeline.stages.iter().enumerate().filter(is_wanted).map(|(_, stage)| stage).collect()
            }
        };
        if let Force::Stage(name) = &force
            && !stages.iter().any(|stage| stage.name == *name)
        {
            return Err(RunError::NotSelected { name: name.clone() });
        }
        Ok(Self { stages, pipeline, scope, force })
    }

    /// Whether the stage `name` is selected.
    pub fn contains(&self, name: &str) -> bool {
        self.stages.iter().any(|stage| stage.name == name)
    }

    /// Why the stage `name` is to do all of its work, if it is.
    pub fn forced(&self, name: &str) -> Option<&'static str> {
        let is_named = match &self.force {
            Force::None => false,
            Force::All => true,
            Force::Stage(forced) => forced == name,
        };
        let is_always = || self.stages.iter().any(|stage| stage.name == name && stage.when == When::Always);
        if is_named { Some("asked for with `--force`") } else { is_always().then_some("`when = \"always\"`") }
    }

    /// The stages before the one that runs alone, whose tables must have been made as declared.
    pub(super) fn checked_inputs(&self) -> Vec<&'a PlannedStage> {
        let (Scope::Only(_), Some(only)) = (&self.scope, self.stages.first()) else { return Vec::new() };
        let mut open: Vec<&str> = only.needs.iter().map(String::as_str).collect();
        let mut found: Vec<&'a PlannedStage> = Vec::new();
        while let Some(name) = open.pop() {
            let stage = self.pipeline.stages.iter().find(|stage| stage.name == name);
            if let Some(stage) = stage.filter(|stage| !found.iter().any(|known| known.name == stage.name)) {
                found.push(stage);
                open.extend(stage.needs.iter().map(String::as_str));
            }
        }
        found.reverse();
        found
    }
}
