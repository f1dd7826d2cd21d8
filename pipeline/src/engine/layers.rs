//! Layers of configuration: the built-in pipeline, the user's file over it, single parameters over both.

use serde::Serialize;
use toml::{Table, Value};

/// One layer.
#[derive(Clone, Debug)]
pub struct Layer {
    /// Where it comes from, for messages: a path, `--set`.
    pub name: String,
    /// What it says.
    pub table: Table,
}

/// A layer that is no TOML, or a `--set` that is no `KEY=VALUE`.
#[derive(Debug, thiserror::Error)]
#[error("{name}: {message}")]
pub struct LayerError {
    /// The layer.
    pub name: String,
    /// What is wrong, with line and column where there are any.
    pub message: String,
}

impl Layer {
    /// Parses `text`.
    pub fn parse(name: &str, text: &str) -> Result<Self, LayerError> {
        let error =
            |e: toml::de::Error| LayerError { name: name.to_owned(), message: e.to_string().trim_end().to_owned() };
        Ok(Self { name: name.to_owned(), table: text.parse().map_err(error)? })
    }
}

/// The layer of `--set KEY=VALUE`: `train.l2=0.01` means `stages.train.l2`; `pipeline.max_failed=0.1` is taken as it is.
///
/// The value is TOML; what is no TOML is text, so that `embed.embedder=logmel` needs no quotes within quotes.
pub fn set(assignment: &str) -> Result<Layer, LayerError> {
    let error = |message: &str| LayerError { name: format!("--set {assignment}"), message: message.to_owned() };
    let (key, text) = assignment.split_once('=').ok_or_else(|| error("expected KEY=VALUE, such as train.l2=0.01"))?;
    let parsed = format!("value = {text}").parse::<Table>().ok().filter(|table| table.len() == 1);
    let value = parsed.and_then(|mut table| table.remove("value")).unwrap_or_else(|| Value::String(text.to_owned()));
    let mut path: Vec<&str> = key.trim().split('.').collect();
    if path.iter().any(|part| part.is_empty()) || path.len() < 2 {
        return Err(error("expected STAGE.PARAMETER=VALUE, such as train.l2=0.01"));
    }
    if !["pipeline", "ingest", "storage", "stages"].contains(&path[0]) {
        path.insert(0, "stages");
    }
    let table =
        path.into_iter().rev().fold(value, |inner, part| Value::Table(Table::from_iter([(part.to_owned(), inner)])));
    let Value::Table(table) = table else {
        return Err(error("expected KEY=VALUE"));
    };
    Ok(Layer { name: format!("--set {assignment}"), table })
}

/// Lays `over` over `base`: tables are merged key by key, everything else is replaced. The effects of `augment` are one value: a
/// file that names effects means exactly those.
pub fn merge(base: &mut Table, over: &Table) {
    for (key, value) in over {
        match (base.get_mut(key), value) {
            (Some(Value::Table(base)), Value::Table(over)) if key != "effects" => merge(base, over),
            _ => drop(base.insert(key.clone(), value.clone())),
        }
    }
}

/// All `layers` over each other, the lowest first.
pub fn stack(layers: &[Layer]) -> Table {
    let mut table = Table::new();
    for layer in layers {
        merge(&mut table, &layer.table);
    }
    table
}

/// One value of the effective pipeline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Effective {
    /// Where it stands, as a dotted key: `stages.train.l2`.
    pub key: String,
    /// The value; an empty table where a table is declared and holds nothing.
    pub value: Value,
    /// Name of the layer that it comes from.
    pub from: String,
}

/// Every value that `layers`, the lowest first, come to, and the layer that has the last word on it; in the order of their keys.
pub fn effective(layers: &[Layer]) -> Vec<Effective> {
    let mut found = Vec::new();
    collect(&mut Vec::new(), &stack(layers), layers, &mut found);
    found
}

fn collect<'a>(path: &mut Vec<&'a str>, table: &'a Table, layers: &[Layer], found: &mut Vec<Effective>) {
    for (key, value) in table {
        path.push(key);
        match value {
            Value::Table(inner) if !inner.is_empty() => collect(path, inner, layers, found),
            _ => {
                let from = origin(path, value, layers).map_or_else(String::new, |layer| layer.name.clone());
                found.push(Effective { key: dotted(path), value: value.clone(), from });
            }
        }
        path.pop();
    }
}

/// The uppermost layer that has something at `path`. An empty table over an equal one says nothing new, so it is the lowest for those.
fn origin<'a>(path: &[&str], value: &Value, layers: &'a [Layer]) -> Option<&'a Layer> {
    let mut saying = layers.iter().filter_map(|layer| Some((layer, at(&layer.table, path)?)));
    let is_empty = value.as_table().is_some_and(Table::is_empty);
    let found = if is_empty { saying.find(|(_, said)| *said == value) } else { saying.next_back() };
    found.map(|(layer, _)| layer)
}

fn at<'a>(table: &'a Table, path: &[&str]) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    rest.iter().try_fold(table.get(*first)?, |value, key| value.get(*key))
}

/// The key as it could stand in a file.
fn dotted(path: &[&str]) -> String {
    let is_bare = |key: &str| !key.is_empty() && key.chars().all(|c| c.is_ascii_alphanumeric() || "-_".contains(c));
    let quoted = |key: &&str| if is_bare(key) { (*key).to_owned() } else { Value::from(*key).to_string() };
    path.iter().map(quoted).collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_value_is_toml_or_else_text() {
        let value = |text: &str| set(text).unwrap().table["stages"]["a"]["b"].clone();
        assert_eq!(value("a.b=0.5"), Value::Float(0.5));
        assert_eq!(value("a.b=[1, 2]").as_array().unwrap().len(), 2);
        assert_eq!(value("a.b=logmel"), Value::String("logmel".into()));
        assert_eq!(value(r"a.b=(?<fold>\d)-=x"), Value::String(r"(?<fold>\d)-=x".into()));
        assert_eq!(value("stages.a.b=1"), Value::Integer(1));
        assert_eq!(set("pipeline.max_failed=0.1").unwrap().table["pipeline"]["max_failed"], Value::Float(0.1));
        for bad in ["l2=1", "train.l2", "train.=1", "=1", ""] {
            assert!(set(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_upper_layer_wins_and_the_rest_stays() {
        let mut base = "[stages.a]\nx = 1\ny = 2\n[stages.a.effects]\np = 1\nq = 2".parse().unwrap();
        merge(&mut base, &"[stages.a]\ny = 3\n[stages.a.effects]\nr = 1".parse().unwrap());
        let a = &base["stages"]["a"];
        assert_eq!((a["x"].as_integer(), a["y"].as_integer()), (Some(1), Some(3)));
        assert_eq!(a["effects"].as_table().unwrap().keys().collect::<Vec<_>>(), ["r"]);
    }
    #[test]
    fn each_value_names_the_layer_that_has_the_last_word() {
        let file = |name: &str, text: &str| Layer { name: name.to_owned(), table: text.parse().unwrap() };
        let layers = [
            file("built-in", "version = 1\n[stages.a]\nx = 1\ny = 2\n[stages.a.effects]\np = 1\nq = 2\n[stages.b]"),
            file("mine", "[stages.a]\ny = 3\n[stages.a.effects]\nq = 2\n[stages.b]\n[stages.c]\n'z z' = 0"),
            set("a.y=4").unwrap(),
        ];
        let told: Vec<_> =
            effective(&layers).into_iter().map(|e| format!("{} = {} ({})", e.key, e.value, e.from)).collect();
        let expected = [
            "stages.a.effects.q = 2 (mine)",
            "stages.a.x = 1 (built-in)",
            "stages.a.y = 4 (--set a.y=4)",
            "stages.b = {} (built-in)",
            "stages.c.\"z z\" = 0 (mine)",
            "version = 1 (built-in)",
        ];
        assert_eq!(told, expected);
    }

    #[test]
    fn effects_that_a_layer_empties_are_empty_because_of_it() {
        let file = |name: &str, text: &str| Layer { name: name.to_owned(), table: text.parse().unwrap() };
        let found = effective(&[file("below", "[a.effects]\np = 1"), file("above", "[a.effects]")]);
        assert_eq!((found.len(), found[0].key.as_str(), found[0].from.as_str()), (1, "a.effects", "above"));
    }
}
