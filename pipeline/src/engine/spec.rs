//! The declared pipeline, checked as a whole: every mistake is reported at once, before anything runs.

use std::path::Path;

use ecosight_stages::command::Command;
use ecosight_stages::ingest::Rules;
use ecosight_stages::params::{Params, Problem, unknown, within};
use ecosight_stages::{ALL, Definition, KeyPart, Stage};
use serde::Deserialize;
use toml::{Table, Value};

use super::needs::{check_needs, order, rank};
use super::prices::Prices;

/// The pipeline that is built in.
pub const BUILT_IN: &str = include_str!("../../retrain.toml");

/// Version of the file's format.
const VERSION: i64 = 1;

/// Keys at the top of the file.
const KEYS: [&str; 5] = ["version", "pipeline", "ingest", "storage", "stages"];

/// A pipeline that can be executed.
pub struct Pipeline {
    /// Share of the clips that may fail.
    pub max_failed: f64,
    /// The stages; each comes after everything it needs, and otherwise in the order of the dataflow.
    pub stages: Vec<PlannedStage>,
    /// Version and parameters of all stages, as in [`Context::settings`](ecosight_stages::Context::settings).
    pub settings: Vec<KeyPart>,
    /// The effective file.
    pub table: Table,
}

/// A configured stage in its place.
pub struct PlannedStage {
    /// Its word.
    pub name: &'static str,
    /// Version of what it makes.
    pub version: u32,
    /// What it does, in one line.
    pub about: String,
    /// Stages that must be done before it.
    pub needs: Vec<String>,
    /// Whether it runs.
    pub when: When,
    /// Its parameters, each as text.
    pub params: Vec<(String, String)>,
    /// The stage.
    pub stage: Box<dyn Stage>,
}

/// Whether a stage runs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum When {
    /// When something that it depends on has changed.
    #[default]
    Stale,
    /// In every run.
    Always,
    /// Only when it is named; stages that need it read what it made before.
    Never,
}

impl PlannedStage {
    /// Names of the stages that it reads, without repetition.
    pub fn inputs(&self) -> Vec<String> {
        let mut names: Vec<String> = self.stage.reads().into_iter().map(|input| input.stage).collect();
        names.dedup();
        names
    }

    /// Its version and its parameters, as parts of a key.
    pub fn settings(&self) -> Vec<KeyPart> {
        let parameter = |(key, value): &(String, String)| KeyPart::new(format!("{}.{key}", self.name), value.clone());
        let version = KeyPart::new(format!("{} version", self.name), self.version.to_string());
        std::iter::once(version).chain(self.params.iter().map(parameter)).collect()
    }

    /// Whether what it makes is a table of rows.
    pub fn is_table(&self) -> bool {
        ecosight_datasets::tables::schema::ALL.iter().any(|table| table.name == self.name)
    }
}

/// Everything that is wrong with a pipeline.
#[derive(Debug, thiserror::Error)]
#[error("{} in the pipeline:{}", count(.problems.len()), list(.problems))]
pub struct SpecError {
    /// In the order of the file's keys.
    pub problems: Vec<Problem>,
}

fn count(n: usize) -> String {
    if n == 1 { "1 mistake".to_owned() } else { format!("{n} mistakes") }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(|problem| format!("\n  {}: {}", problem.at, problem.message)).collect()
}

/// Checks `table` and configures its stages. Files that commands of the user's own name are looked for in `folder`.
pub fn parse(table: Table, folder: &Path) -> Result<Pipeline, SpecError> {
    let mut problems = Vec::new();
    for key in table.keys() {
        if !KEYS.contains(&key.as_str()) {
            let message = if ALL.iter().any(|definition| definition.name == key) {
                format!("unknown key `{key}`; did you mean `[stages.{key}]`?")
            } else {
                unknown("key", key, KEYS.into_iter())
            };
            problems.push(Problem::new(key, message));
        }
    }
    match table.get("version") {
        Some(Value::Integer(VERSION)) => {}
        Some(other) => {
            let message = format!("{other} is not known here; this is version {VERSION}");
            problems.push(Problem::new("version", message));
        }
        None => problems.push(Problem::new("version", format!("is missing; write `version = {VERSION}`"))),
    }
    let max_failed = max_failed(&table, &mut problems);
    for found in [ingest_rules(&table).map(drop), prices(&table).map(drop)] {
        problems.extend(found.err().map(|error| error.problems).unwrap_or_default());
    }
    let declared = declared(&table, folder, &mut problems);
    check_needs(&declared, &mut problems);
    if problems.is_empty() {
        let mut stages: Vec<PlannedStage> = declared.into_iter().filter_map(Declared::planned).collect();
        stages.sort_by_key(|stage| rank(stage.name));
        order(&mut stages);
        let settings = stages.iter().flat_map(PlannedStage::settings).collect();
        return Ok(Pipeline { max_failed, stages, settings, table });
    }
    problems.sort();
    problems.dedup();
    Err(SpecError { problems })
}

/// What `[ingest]` says. Nothing else in the file keeps an upload from being taken in.
pub fn ingest_rules(table: &Table) -> Result<Rules, SpecError> {
    parameters_at("ingest", table.get("ingest"))
}

/// What `[storage.prices]` says. Nothing else in the file keeps a month from being priced.
pub fn prices(table: &Table) -> Result<Prices, SpecError> {
    let none = Table::new();
    let storage = table_at("storage", table.get("storage"), &none)?;
    let known = ["prices"];
    let is_unknown = |key: &&String| !known.contains(&key.as_str());
    let problem = |key: &String| Problem::new(format!("storage.{key}"), unknown("key", key, known.into_iter()));
    let problems: Vec<_> = storage.keys().filter(is_unknown).map(problem).collect();
    let prices = parameters_at("storage.prices", storage.get("prices"));
    match prices {
        Ok(prices) if problems.is_empty() => Ok(prices),
        Ok(_) => Err(SpecError { problems }),
        Err(error) => Err(SpecError { problems: [problems, error.problems].concat() }),
    }
}

/// The table that stands at the dotted key `at`, or the empty one.
fn table_at<'a>(at: &str, value: Option<&'a Value>, none: &'a Table) -> Result<&'a Table, SpecError> {
    match value {
        None => Ok(none),
        Some(Value::Table(table)) => Ok(table),
        Some(_) => Err(SpecError { problems: vec![Problem::new(at, "expected a table")] }),
    }
}

/// The parameters in the table at the dotted key `at`.
fn parameters_at<P: Params>(at: &str, value: Option<&Value>) -> Result<P, SpecError> {
    let none = Table::new();
    let located = |problem: Problem| {
        let at = if problem.at.is_empty() { at.to_owned() } else { format!("{at}.{}", problem.at) };
        Problem::new(at, problem.message)
    };
    let failed = |problems: Vec<Problem>| SpecError { problems: problems.into_iter().map(located).collect() };
    ecosight_stages::params::parse(table_at(at, value, &none)?).map_err(failed)
}

fn max_failed(table: &Table, problems: &mut Vec<Problem>) -> f64 {
    const DEFAULT: f64 = 0.05;
    let Some(pipeline) = table.get("pipeline") else {
        return DEFAULT;
    };
    let Value::Table(pipeline) = pipeline else {
        problems.push(Problem::new("pipeline", "expected a table"));
        return DEFAULT;
    };
    let known = ["max_failed"];
    for key in pipeline.keys().filter(|key| !known.contains(&key.as_str())) {
        problems.push(Problem::new(format!("pipeline.{key}"), unknown("key", key, known.into_iter())));
    }
    match pipeline.get("max_failed").map(|value| value.as_float().or(value.as_integer().map(|n| n as f64))) {
        None => DEFAULT,
        Some(Some(share)) => {
            problems.extend(within("pipeline.max_failed", share, 0.0, 1.0));
            share
        }
        Some(None) => {
            problems.push(Problem::new("pipeline.max_failed", "expected a number"));
            DEFAULT
        }
    }
}

/// A stage that is declared; without a stage where its parameters are wrong, so that its needs are checked all the same.
pub(super) struct Declared {
    pub(super) name: &'static str,
    version: u32,
    about: String,
    /// Stages that it reads: each must be upstream of it.
    pub(super) inputs: Vec<String>,
    pub(super) needs: Vec<String>,
    when: When,
    params: Vec<(String, String)>,
    stage: Option<Box<dyn Stage>>,
}

impl Declared {
    fn planned(self) -> Option<PlannedStage> {
        let Self { name, version, about, needs, when, params, stage, .. } = self;
        Some(PlannedStage { name, version, about, needs, when, params, stage: stage? })
    }
}

/// Configures each stage for itself.
fn declared(table: &Table, folder: &Path, problems: &mut Vec<Problem>) -> Vec<Declared> {
    let stages = match table.get("stages") {
        Some(Value::Table(stages)) if !stages.is_empty() => stages,
        _ => {
            problems.push(Problem::new("stages", "expected at least one table `[stages.<name>]`"));
            return Vec::new();
        }
    };
    let mut declared = Vec::new();
    for (name, value) in stages {
        let at = format!("stages.{name}");
        let built_in = ALL.iter().find(|definition| definition.name == name);
        let Value::Table(params) = value else {
            problems.push(Problem::new(at, "expected a table"));
            continue;
        };
        if built_in.is_none() && !params.contains_key("command") {
            let mut message = unknown("stage", name, ALL.iter().map(|d| d.name));
            message.push_str("; a stage of your own has a `command`");
            problems.push(Problem::new(at, message));
            continue;
        }
        let mut params = params.clone();
        let needs: Vec<String> = take(&mut params, "needs", &at, "a list of stages' names", problems);
        let when = take(&mut params, "when", &at, "`stale`, `always` or `never`", problems);
        let located = |found: Vec<Problem>| {
            let locate = |problem: Problem| {
                let at = if problem.at.is_empty() { at.clone() } else { format!("{at}.{}", problem.at) };
                Problem::new(at, problem.message)
            };
            found.into_iter().map(locate).collect::<Vec<_>>()
        };
        let texts = flatten(&params);
        if let Some(definition) = built_in {
            let stage = (definition.configure)(&params).map_err(|found| problems.extend(located(found))).ok();
            let inputs = definition.inputs.iter().map(|input| (*input).to_owned()).collect();
            let Definition { name, version, about, .. } = *definition;
            declared.push(Declared {
                name,
                version,
                about: about.to_owned(),
                inputs,
                needs,
                when,
                params: texts,
                stage,
            });
        } else {
            let stage =
                Command::configure(name, &params, &needs, folder).map_err(|found| problems.extend(located(found)));
            let command = params.get("command").and_then(Value::as_str).unwrap_or_default();
            let (about, stage) =
                (format!("run `{command}`"), stage.ok().map(|stage| Box::new(stage) as Box<dyn Stage>));
            let name = ecosight_stages::command::stage_name(name);
            declared.push(Declared { name, version: 1, about, inputs: Vec::new(), needs, when, params: texts, stage });
        }
    }
    declared
}

/// The parameters of the stage `name` in a pipeline file, without what every stage may have; none where it does not stand there.
pub fn own_parameters(pipeline: &Table, name: &str) -> Option<Table> {
    let mut params = pipeline.get("stages")?.get(name)?.as_table()?.clone();
    for key in ["needs", "when"] {
        params.remove(key);
    }
    Some(params)
}

/// Takes a key that every stage may have.
fn take<T: serde::de::DeserializeOwned + Default>(
    params: &mut Table,
    key: &str,
    at: &str,
    expected: &str,
    problems: &mut Vec<Problem>,
) -> T {
    params.remove(key).map_or(Ok(T::default()), Value::try_into).unwrap_or_else(|_| {
        problems.push(Problem::new(format!("{at}.{key}"), format!("expected {expected}")));
        T::default()
    })
}

/// Parameters as text, those of tables with dotted keys.
fn flatten(params: &Table) -> Vec<(String, String)> {
    let mut texts = Vec::new();
    for (key, value) in params {
        match value {
            Value::Table(inner) => {
                texts.extend(flatten(inner).into_iter().map(|(inner, value)| (format!("{key}.{inner}"), value)));
            }
            value => texts.push((key.clone(), value.to_string())),
        }
    }
    texts
}

#[cfg(test)]
#[path = "spec_tests.rs"]
mod tests;
