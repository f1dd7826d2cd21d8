//! The built-in pipeline, and mistakes in those of users.

use super::*;
use crate::engine::merge;

fn with(over: &str) -> Result<Vec<&'static str>, Vec<String>> {
    let mut table: Table = BUILT_IN.parse().unwrap();
    merge(&mut table, &over.parse().unwrap());
    let names = |p: Pipeline| p.stages.iter().map(|s| s.name).collect();
    parse(table, Path::new("."))
        .map(names)
        .map_err(|e| e.problems.into_iter().map(|p| format!("{}: {}", p.at, p.message)).collect())
}

#[test]
fn the_built_in_pipeline_is_sound_and_in_the_order_of_the_dataflow() {
    assert_eq!(with("").unwrap(), ["manifest", "split", "augment", "embed", "audit", "train", "evaluate", "publish"]);
}

#[test]
fn the_built_in_file_shows_every_parameter() {
    let table: Table = BUILT_IN.parse().unwrap();
    for definition in &ALL {
        let shown = table["stages"][definition.name].as_table().unwrap();
        for parameter in definition.parameters {
            // What is not set unless the user sets it can only be shown as a comment.
            let is_shown = shown.contains_key(*parameter) || BUILT_IN.contains(&format!("\n# {parameter} = "));
            assert!(is_shown, "stages.{}.{parameter}", definition.name);
        }
    }
}

#[test]
fn the_built_in_file_shows_the_defaults() {
    fn check<P: ecosight_stages::params::Params + std::fmt::Debug>(stage: &str) {
        let table: Table = BUILT_IN.parse().unwrap();
        let mut shown = table["stages"][stage].as_table().unwrap().clone();
        shown.remove("needs");
        let parsed: P = ecosight_stages::params::parse(&shown).unwrap();
        assert_eq!(format!("{parsed:?}"), format!("{:?}", P::default()), "{stage}");
    }
    check::<ecosight_stages::split::Split>("split");
    check::<ecosight_stages::augment::Augment>("augment");
    check::<ecosight_stages::embed::Embed>("embed");
    check::<ecosight_models::head::TrainConfig>("train");
    let table: Table = BUILT_IN.parse().unwrap();
    assert_eq!(ingest_rules(&table).unwrap(), Rules::default());
    assert_eq!(prices(&table).unwrap(), Prices::default());
    let shown: Vec<_> = table["storage"]["prices"].as_table().unwrap().keys().collect();
    assert_eq!(shown.len(), Prices::KEYS.len(), "{shown:?}");
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let problems = with(
        "colour = 1\n[pipeline]\nmax_failed = 2\n[ingest]\nclasses = ['Dog']\nkeep_locl = 1\n[storage]\nprice = 1\n[storage.prices]\nout_bg = 1\nread_1000_requests = -1\n[stages.splitt]\n[stages.split]\ntrain = 'much'\nneeds = ['manifets']\n\
         [stages.train]\nl2 = -1\nlearning_rat = 1\n[stages.manifest]\nneeds = ['publish']",
    )
    .unwrap_err();
    let text = problems.join("\n");
    for expected in [
        "colour: unknown key",
        "pipeline.max_failed: 2 is out of range",
        "ingest.classes: a class is called with",
        "ingest.keep_locl: unknown parameter `keep_locl`; did you mean `keep_local`?",
        "storage.price: unknown key `price`; did you mean `prices`?",
        "storage.prices.out_bg: unknown parameter `out_bg`; did you mean `out_gb`?",
        "storage.prices.read_1000_requests: -1 is out of range",
        "stages.splitt: unknown stage `splitt`; did you mean `split`?",
        "stages.split.train: ",
        "stages.split.needs: unknown stage `manifets`; did you mean `manifest`?",
        "stages.manifest.needs: the stages need each other in a circle: manifest ► publish ► ",
        "stages.train.l2: ",
        "stages.train.learning_rat: unknown parameter `learning_rat`; did you mean `learning_rate`?",
    ] {
        assert!(text.contains(expected), "{expected} is missing in\n{text}");
    }
}

#[test]
fn circles_missing_inputs_and_unknown_needs_are_mistakes() {
    let circle = with("[stages.manifest]\nneeds = ['embed']").unwrap_err().join("\n");
    assert!(
        circle.contains("stages.manifest.needs: the stages need each other in a circle: manifest ► embed"),
        "{circle}"
    );
    let missing = with("[stages.train]\nneeds = ['manifest']").unwrap_err();
    assert!(missing.iter().any(|m| m.contains("`train` reads what `embed` makes")), "{missing:?}");
    let unknown = with("[stages.split]\nneeds = ['manifets']").unwrap_err().join("\n");
    assert!(unknown.contains("did you mean `manifest`?"), "{unknown}");
    assert!(with("version = 2").unwrap_err()[0].contains("this is version 1"));
}
