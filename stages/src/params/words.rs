//! What serde says about a value, in words that people know who write no Rust.

use super::unknown;

/// `message`, one of serde's, in the words of the pipeline file; what is not recognised stays as it is.
pub(super) fn plain(message: &str) -> String {
    let message = message.trim_end().replace('\n', " ");
    reworded(&message).unwrap_or(message)
}

/// Serde's messages have fixed beginnings: see `serde::de::Error`.
fn reworded(message: &str) -> Option<String> {
    if let Some(name) = message.strip_prefix("missing field ") {
        return Some(format!("{name} is missing"));
    }
    for (beginning, what) in [("unknown variant `", "value"), ("unknown field `", "key")] {
        if let Some(rest) = message.strip_prefix(beginning) {
            let (name, known) = rest.split_once("`, ")?;
            // Every other part is between backticks.
            let known: Vec<&str> = known.split('`').skip(1).step_by(2).collect();
            return Some(unknown(what, name, known.into_iter()));
        }
    }
    let rest = message.strip_prefix("invalid type: ").or_else(|| message.strip_prefix("invalid value: "))?;
    // The value that was found may hold the word between the two.
    let (found, expected) = rest.rsplit_once(", expected ")?;
    // Of what stands in the place of a word, TOML's reader says only that it is none.
    if found == "unit variant" {
        return Some("expected a text".to_owned());
    }
    Some(format!("expected {}, found {}", wanted(expected), seen(found)))
}

/// What a type is for those who write the file.
fn wanted(expected: &str) -> String {
    let word = match expected {
        "f32" | "f64" => "a number",
        "u8" => "a whole number from 0 to 255",
        "u16" => "a whole number from 0 to 65535",
        "u32" => "a whole number from 0 to 4294967295",
        "u64" | "usize" => "a whole number, 0 or more",
        "i8" | "i16" | "i32" | "i64" | "isize" => "a whole number",
        "a nonzero u32" | "a nonzero u64" | "a nonzero usize" => "a whole number, 1 or more",
        "a boolean" => "`true` or `false`",
        "a string" | "string" | "str" => "a text",
        "a sequence" => "a list",
        "a map" => "a table",
        _ if expected.starts_with("struct ") || expected.contains("enum ") => "a table",
        _ => expected,
    };
    word.to_owned()
}

/// A value as it stands in the file.
fn seen(found: &str) -> String {
    if let Some(text) = found.strip_prefix("string ") {
        return format!("the text {text}");
    }
    for kind in ["integer ", "floating point "] {
        if let Some(number) = found.strip_prefix(kind) {
            return format!("the number {}", number.trim_matches('`'));
        }
    }
    match found {
        "sequence" => "a list".to_owned(),
        "map" => "a table".to_owned(),
        other => other.strip_prefix("boolean ").unwrap_or(other).to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use toml::Table;

    use super::*;
    use crate::augment::Augment;
    use crate::embed::Embed;
    use crate::params::{NoParams, Params, parse};
    use crate::split::Split;

    fn message<P: Params>(line: &str) -> String {
        let mut problems = parse::<P>(&line.parse().unwrap()).err().unwrap();
        assert_eq!(problems.len(), 1, "{line}: {problems:?}");
        problems.remove(0).message
    }

    #[test]
    fn mistakes_are_told_without_the_words_of_rust() {
        let expected = [
            (message::<Split>("train = 'x'"), "expected a number, found the text \"x\""),
            (message::<Split>("train = [1]"), "expected a number, found a list"),
            (message::<Split>("seed = -1"), "expected a whole number, 0 or more, found the number -1"),
            (message::<Split>("seed = 1.5"), "expected a whole number, 0 or more, found the number 1.5"),
            (message::<Split>("pattern = 4"), "expected a text, found the number 4"),
            (message::<Split>("pattern = true"), "expected a text, found `true`"),
            (message::<Split>("val_folds = 'a'"), "expected a list, found the text \"a\""),
            (message::<Split>("val_folds = [1]"), "expected a text, found the number 1"),
            (message::<Augment>("variants = -1"), "expected a whole number from 0 to 4294967295, found the number -1"),
            (message::<Augment>("effects = 3"), "expected a table, found the number 3"),
            (message::<Augment>("[effects]\nx = 3"), "expected a list, found the number 3"),
            (
                message::<Augment>("effects.x = [{ step = 'noise', amplitude = 'x' }]"),
                "expected a number, found the text \"x\"",
            ),
            (message::<Augment>("effects.x = [{ step = 'noise' }]"), "`amplitude` is missing"),
            (message::<Augment>("effects.x = [{ step = 'nois' }]"), "unknown value `nois`; did you mean `noise`?"),
            (
                message::<Augment>("effects.x = [{ step = 'gain', factor = 1.0, amplitude = 1.0 }]"),
                "unknown key `amplitude`; there are `factor`",
            ),
            (message::<Embed>("embedder = 'yamnett'"), "unknown value `yamnett`; did you mean `yamnet`?"),
            (message::<Embed>("dtype = 'half'"), "unknown value `half`; there are `f32`, `f16`"),
            (message::<Embed>("dtype = 16"), "expected a text"),
        ];
        for (told, expected) in expected {
            assert_eq!(told, expected);
        }
        assert!(message::<NoParams>("x = 1").contains("unknown parameter"));
    }

    #[test]
    fn a_text_that_looks_like_the_message_itself_is_told_whole() {
        #[derive(Deserialize, Debug)]
        struct One {
            #[expect(dead_code, reason = "only its type matters")]
            x: f64,
        }
        let table: Table = "x = 'invalid type: a, expected b'".parse().unwrap();
        let told = plain(One::deserialize(table).unwrap_err().message());
        assert_eq!(told, "expected a number, found the text \"invalid type: a, expected b\"");
    }

    #[test]
    fn what_is_not_known_stays() {
        assert_eq!(plain("something\nelse\n"), "something else");
    }
}
