//! Parameters of stages: parsed from TOML so that every mistake is reported, not just the first.

mod words;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use toml::Table;

/// A mistake in the pipeline file.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// Where, as a dotted key: `stages.split.train`; relative to the stage when it comes from one.
    pub at: String,
    /// What is wrong.
    pub message: String,
}

impl Problem {
    /// A mistake at the dotted key `at`.
    pub fn new(at: impl Into<String>, message: impl Into<String>) -> Self {
        Self { at: at.into(), message: message.into() }
    }
}

/// Parameters of a stage.
pub trait Params: DeserializeOwned + Default {
    /// All keys.
    const KEYS: &'static [&'static str];

    /// Values that have the right type but make no sense.
    fn problems(&self) -> Vec<Problem>;
}

/// The parameters of a stage that has none.
#[derive(Deserialize, Default)]
#[serde(default, deny_unknown_fields)]
pub struct NoParams {}

impl Params for NoParams {
    const KEYS: &'static [&'static str] = &[];

    fn problems(&self) -> Vec<Problem> {
        Vec::new()
    }
}

/// Parses `table`, each key for itself, so that one wrong key does not hide another; then checks ranges.
pub fn parse<P: Params>(table: &Table) -> Result<P, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut sound = Table::new();
    for (key, value) in table {
        if !P::KEYS.contains(&key.as_str()) {
            problems.push(Problem::new(key, unknown("parameter", key, P::KEYS.iter().copied())));
            continue;
        }
        let single = Table::from_iter([(key.clone(), value.clone())]);
        match P::deserialize(single) {
            Ok(_) => drop(sound.insert(key.clone(), value.clone())),
            Err(error) => problems.push(Problem::new(key, words::plain(error.message()))),
        }
    }
    match P::deserialize(sound) {
        Ok(params) => {
            problems.extend(params.problems());
            if problems.is_empty() {
                return Ok(params);
            }
        }
        Err(error) => problems.push(Problem::new("", words::plain(error.message()))),
    }
    Err(problems)
}

/// Says that the `what` called `name` is unknown, with the name it was probably meant to be.
pub fn unknown<'a>(what: &str, name: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let close = known
        .clone()
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .min()
        .filter(|(distance, candidate)| *distance <= 2.max(candidate.len() / 3));
    if let Some((_, candidate)) = close {
        return format!("unknown {what} `{name}`; did you mean `{candidate}`?");
    }
    let all: Vec<_> = known.map(|name| format!("`{name}`")).collect();
    let there_are = if all.is_empty() { "none".to_owned() } else { all.join(", ") };
    format!("unknown {what} `{name}`; there are {there_are}")
}

/// A mistake at `at` unless `value` lies between `low` and `high`, both included.
pub fn within(at: &str, value: f64, low: f64, high: f64) -> Option<Problem> {
    // Written so that NaN is out of range.
    let inside = value >= low && value <= high;
    (!inside).then(|| Problem::new(at, format!("{value} is out of range; it must be between {low} and {high}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Deserialize, Debug)]
    #[serde(default, deny_unknown_fields)]
    struct Two {
        share: f64,
        name: String,
    }

    impl Default for Two {
        fn default() -> Self {
            Self { share: 0.5, name: "x".into() }
        }
    }

    impl Params for Two {
        const KEYS: &'static [&'static str] = &["share", "name"];

        fn problems(&self) -> Vec<Problem> {
            within("share", self.share, 0.0, 1.0).into_iter().collect()
        }
    }

    #[test]
    fn all_mistakes_are_reported_at_once() {
        let table = "share = 3.0\nname = 4\nnme = 1\nzebra = 2".parse().unwrap();
        let problems = parse::<Two>(&table).unwrap_err();
        let at: Vec<_> = problems.iter().map(|p| p.at.as_str()).collect();
        assert_eq!(at, ["name", "nme", "zebra", "share"]);
        assert!(problems[1].message.contains("did you mean `name`?"));
        assert!(problems[2].message.contains("there are `share`, `name`"));
        assert!(problems[3].message.contains("between 0 and 1"));
    }

    #[test]
    fn not_a_number_is_out_of_range() {
        assert!(within("x", f64::NAN, 0.0, 1.0).is_some());
    }
}
