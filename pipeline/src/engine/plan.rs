//! Planning: which stages would run, and why. A pure function of what is declared, what is known, and what stages foresee.

use std::collections::BTreeMap;

use ecosight_datasets::tables::Digests;
use ecosight_stages::{Forecast, Input, KeyPart, RowCounts};
use serde::Serialize;

use super::state::{State, hash};

/// What decides whether a stage runs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Its word.
    pub name: String,
    /// The parts of its key that do not come from other stages.
    pub own: Vec<KeyPart>,
    /// What it reads of other stages.
    pub reads: Vec<Input>,
    /// What is known of it.
    pub state: Option<State>,
    /// What is not as it was among its files.
    pub damage: Option<String>,
    /// Why it is to run whatever is there, if it is.
    pub forced: Option<&'static str>,
}

/// Digests of what the stages have made, or would make; none where that cannot be told.
pub type Made = BTreeMap<String, Option<Digests>>;

/// Whether a stage has to run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything that it would make is there.
    Fresh,
    /// It never ran, or nothing of it is left.
    Missing,
    /// What it made is not what it would make now.
    Stale {
        /// The first thing that is different.
        why: String,
    },
}

impl Verdict {
    /// As one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Fresh => "fresh",
            Self::Missing => "missing",
            Self::Stale { .. } => "stale",
        }
    }

    /// The reason, in words.
    pub fn why(&self) -> &str {
        match self {
            Self::Fresh => "",
            Self::Missing => "there is no record of it",
            Self::Stale { why } => why,
        }
    }
}

/// The key of a stage in parts: its own, and the digests of what it reads. None where a digest cannot be told.
pub fn key_parts(facts: &Facts, made: &Made) -> Option<Vec<KeyPart>> {
    let mut parts = facts.own.clone();
    for input in &facts.reads {
        let digests = made.get(&input.stage)?.as_ref()?;
        let wanted = |column: &String| input.columns.is_empty() || input.columns.contains(&column.as_str());
        for (column, digest) in digests.iter().filter(|(column, _)| wanted(column)) {
            parts.push(KeyPart::new(format!("{}.{column}", input.stage), digest.to_string()));
        }
    }
    Some(parts)
}

/// Whether the stage has to run, given what those before it have made.
pub fn judge(facts: &Facts, made: &Made) -> Verdict {
    let Some(state) = &facts.state else { return Verdict::Missing };
    let stale = |why: String| Verdict::Stale { why };
    if let Some(why) = facts.forced {
        return stale(why.to_owned());
    }
    if let Some(damage) = &facts.damage {
        return stale(damage.clone());
    }
    let Some(parts) = key_parts(facts, made) else {
        let unknown = facts.reads.iter().find(|input| made.get(&input.stage).is_none_or(Option::is_none));
        return stale(unknown.map_or_else(String::new, |input| format!("`{}` will be made again", input.stage)));
    };
    if hash(&facts.name, &parts) != state.key {
        return stale(difference(&state.parts, &parts));
    }
    if state.is_provisional {
        return stale("something could not be read the last time".to_owned());
    }
    Verdict::Fresh
}

/// The first part that differs, as `name: old → new`.
pub fn difference(old: &[KeyPart], new: &[KeyPart]) -> String {
    // What a person has set comes before what follows from it.
    let is_derived = |value: &str| value.len() == 64 && value.chars().all(|c| c.is_ascii_hexdigit());
    let value =
        |parts: &[KeyPart], name: &str| parts.iter().find(|part| part.name == name).map(|part| part.value.clone());
    let mut names: Vec<&str> = new.iter().chain(old).map(|part| part.name.as_str()).collect();
    let mut seen = std::collections::BTreeSet::new();
    names.retain(|name| seen.insert(*name));
    let short = |value: Option<String>| match value {
        None => "nothing".to_owned(),
        Some(value) if is_derived(&value) => value[..8].to_owned(),
        Some(value) => value,
    };
    let differing = names.into_iter().find(|name| value(old, name) != value(new, name));
    differing.map_or_else(
        || "the order of its inputs".to_owned(),
        |name| format!("{name}: {} → {}", short(value(old, name)), short(value(new, name))),
    )
}

/// What a stage would do.
#[derive(Clone, Debug, Serialize)]
pub struct PlannedWork {
    /// Its word.
    pub stage: String,
    /// Whether it would run, and why.
    pub verdict: Verdict,
    /// What would become of its rows; of a fresh stage, what is there.
    pub rows: Option<RowCounts>,
    /// Expected wall time in seconds, by the pace of earlier runs.
    pub expected_s: Option<f64>,
    /// Whatever else is worth knowing.
    pub notes: Vec<String>,
    /// Examples of what would be computed, and how many there are in all.
    pub examples: Vec<String>,
    /// Number of all that `examples` are taken from.
    pub affected: usize,
}

/// Examples that are named.
const EXAMPLES: usize = 5;

/// What the stages would do, in their order. `made` holds what the stages that are not among them have made; `forecast` is asked, by
/// the stage's position, for every stage that would run.
pub fn plan<E>(
    facts: &[Facts],
    mut made: Made,
    mut forecast: impl FnMut(usize) -> Result<Forecast, E>,
) -> Result<Vec<PlannedWork>, E> {
    let mut works = Vec::with_capacity(facts.len());
    for (position, facts) in facts.iter().enumerate() {
        let verdict = judge(facts, &made);
        let state = facts.state.as_ref();
        let mut work = PlannedWork {
            stage: facts.name.clone(),
            rows: None,
            expected_s: None,
            notes: Vec::new(),
            examples: Vec::new(),
            affected: 0,
            verdict,
        };
        if let (Verdict::Fresh, Some(state)) = (&work.verdict, state) {
            work.rows = Some(at_rest(state.rows));
            work.expected_s = Some(0.0);
            made.insert(facts.name.clone(), Some(state.columns.clone()));
        } else {
            let Forecast { rows, columns, notes, mut examples } = forecast(position)?;
            work.affected = examples.len();
            examples.truncate(EXAMPLES);
            (work.rows, work.notes, work.examples) = (rows, notes, examples);
            work.expected_s = state.and_then(|state| match rows {
                Some(rows) => state.pace.expect(rows.new + rows.changed),
                None => state.pace.expect(state.pace.rows),
            });
            made.insert(facts.name.clone(), columns);
        }
        works.push(work);
    }
    Ok(works)
}

/// The rows of a stage that need not run: all that were there when it ran last are reused.
pub(super) fn at_rest(rows: RowCounts) -> RowCounts {
    RowCounts { reused: rows.new + rows.changed + rows.reused, failed: rows.failed, ..RowCounts::default() }
}

#[cfg(test)]
#[path = "plan_tests.rs"]
mod tests;
