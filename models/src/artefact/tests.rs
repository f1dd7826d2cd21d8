//! The folder, seen from outside.

use std::collections::BTreeMap;
use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use proptest::prelude::*;

use super::checksums::NEXT_CHECKSUMS_FILE;
use super::*;
use crate::decision::{Decision, Labelling, classes_of};
use crate::embedder::{Dtype, EmbedderId, Precision};
use crate::head::{
    Examples, HeadError, HeadKind, HeadRecord, Scored, Scores, ThresholdWish, TrainConfig, UnknownLimit, train,
};
use crate::metrics::Metrics;

pub(super) fn artefact(kind: HeadKind) -> Artefact {
    let x: Vec<f32> = (0..40 * 4).map(|i| (i * 29 % 31) as f32 / 7.0).collect();
    let y: Vec<usize> = (0..40).map(|row| row % 3).collect();
    let config = TrainConfig { head: kind, max_epochs: 2, ..TrainConfig::default() };
    let groups: Vec<u32> = (0..40).collect();
    let examples = Examples { x: (&x).into(), y: &y, groups: &groups, is_original: &[true; 40], dim: 4 };
    let head = train(examples.clone(), None, 3, &config, &mut |_| ControlFlow::Continue(())).unwrap().head;
    let classes: Vec<String> = ["elephant", "gunshot", "rain"].map(str::to_owned).into();
    let decision = Decision::plain(Labelling::Single, &classes, &[]);
    let Scored { logits, probabilities } = head.scored(&x);
    let predicted = classes_of(&decision.answers(&probabilities, &logits));
    let metrics = Metrics::compute(&probabilities, &y, &predicted, &classes).unwrap();
    let (precision, dtype) = (Precision::F32, Dtype::F32);
    let embedder = EmbedderId { name: "logmel".to_owned(), version: 1, weights: None, precision, dtype };
    let meta = ModelMeta {
        schema_version: SCHEMA_VERSION,
        digest: "m-1".to_owned(),
        classes,
        embedder,
        train: config,
        seeds: BTreeMap::from([("split".to_owned(), u64::MAX)]),
        decision: Some(decision),
        selection: None,
        is_leaky: false,
        data_fingerprint: "00ff".to_owned(),
        counts: BTreeMap::from([("train".to_owned(), 40)]),
        metrics: BTreeMap::from([("train".to_owned(), metrics)]),
    };
    Artefact { meta, head }
}

fn saved(kind: HeadKind) -> (tempfile::TempDir, std::path::PathBuf, Artefact) {
    let root = tempfile::tempdir().unwrap();
    let dir = root.path().join("models").join("m-1");
    let artefact = artefact(kind);
    artefact.save(&dir).unwrap();
    (root, dir, artefact)
}

fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{from} is not in {text}");
    fs::write(path, text.replacen(from, to, 1)).unwrap();
}

#[test]
fn a_model_comes_back_with_the_same_bits() {
    let x: Vec<f32> = (0..50 * 4).map(|i| (i * 13 % 17) as f32 - 8.0).collect();
    for kind in [HeadKind::Linear, HeadKind::Mlp] {
        let (_root, dir, before) = saved(kind);
        let after = Artefact::load(&dir).unwrap();
        let bits =
            |artefact: &Artefact| -> Vec<u32> { artefact.head.probabilities(&x).iter().map(|p| p.to_bits()).collect() };
        assert_eq!(bits(&before), bits(&after), "{kind:?}");
        assert_eq!(before.meta, after.meta);
        assert_eq!(before.digest().unwrap(), after.digest().unwrap());
    }
}

#[test]
fn two_trainings_make_the_same_files_and_leave_nothing_else_behind() {
    let ((root, one, artefact), (_other_root, other, _)) = (saved(HeadKind::Mlp), saved(HeadKind::Mlp));
    for name in [WEIGHTS_FILE, MODEL_FILE, CLASS_NAMES_FILE, CHECKSUMS_FILE] {
        assert_eq!(fs::read(one.join(name)).unwrap(), fs::read(other.join(name)).unwrap(), "{name}");
    }
    assert_eq!(fs::read_dir(&one).unwrap().count(), 4);
    assert_eq!(fs::read_dir(root.path().join("models")).unwrap().count(), 1);
    let mut changed = artefact.clone();
    changed.meta.seeds.clear();
    assert_ne!(artefact.digest().unwrap(), changed.digest().unwrap());
}

#[test]
fn a_version_is_written_once_and_may_be_saved_again_unchanged() {
    let (_root, dir, artefact) = saved(HeadKind::Linear);
    artefact.save(&dir).unwrap();
    let mut changed = artefact.clone();
    changed.meta.data_fingerprint = "11".to_owned();
    assert!(matches!(changed.save(&dir).unwrap_err().kind, ArtefactErrorKind::Exists));
    assert_eq!(Artefact::load(&dir).unwrap().meta, artefact.meta);
}

#[test]
fn metadata_that_does_not_fit_the_head_is_not_saved() {
    let root = tempfile::tempdir().unwrap();
    let mut artefact = artefact(HeadKind::Linear);
    artefact.meta.train.head = HeadKind::Mlp;
    let error = artefact.save(&root.path().join("m")).unwrap_err();
    assert!(matches!(error.kind, ArtefactErrorKind::Inconsistent(_)));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}

#[test]
fn a_model_of_the_first_version_is_read() {
    let (_root, dir, artefact) = saved(HeadKind::Linear);
    let path = dir.join(MODEL_FILE);
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let fields = json.as_object_mut().unwrap();
    fields.insert("schema_version".to_owned(), 1.into());
    fields.remove("is_leaky").unwrap();
    fields.remove("decision").unwrap();
    let train = fields["train"].as_object_mut().unwrap();
    train.insert("l2".to_owned(), 1.0.into());
    train.retain(|key, _| key != "class_weights" && key != "thresholds");
    let metrics = fields["metrics"]["train"].as_object_mut().unwrap();
    metrics.retain(|key, _| !["weighted_f1", "log_loss", "ece"].contains(&key.as_str()));
    for class in metrics["per_class"].as_array_mut().unwrap() {
        class.as_object_mut().unwrap().remove("auroc");
    }
    fs::write(&path, json.to_string()).unwrap();
    let old = Artefact::load(&dir).unwrap();
    assert_eq!(old.meta.decision(), artefact.meta.decision());
    assert_eq!((old.meta.schema_version, old.meta.classes), (1, artefact.meta.classes));
}

/// `model.json` as schema 2 wrote it, with thresholds that single-label models did not apply.
fn make_schema_2(dir: &Path) {
    let path = dir.join(MODEL_FILE);
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    let fields = json.as_object_mut().unwrap();
    fields.insert("schema_version".to_owned(), 2.into());
    fields.remove("decision").unwrap();
    let selection = serde_json::json!({
        "l2": 1.0, "tried": [], "fitted_on": ["train", "val"], "temperature": 1.5,
        "thresholds": [{ "threshold": 0.75, "precision": 1.0, "recall": 0.5 }, null, null],
        "calibrated_on": 40, "unknown": { "probability": 0.4 },
    });
    fields.insert("selection".to_owned(), selection);
    fields["train"]["thresholds"] = "best_f1".into();
    fields["metrics"]["train"].as_object_mut().unwrap().remove("ece_bins").unwrap();
    fs::write(&path, json.to_string()).unwrap();
}

#[test]
fn a_model_of_schema_2_answers_the_most_probable_class_as_it_always_did() {
    let (_root, dir, artefact) = saved(HeadKind::Linear);
    make_schema_2(&dir);
    let old = Artefact::load(&dir).unwrap();
    let expected = Decision { unknown: Some(UnknownLimit::Probability(0.4)), ..artefact.meta.decision() };
    assert_eq!((old.meta.schema_version, old.meta.decision()), (2, expected.clone()));
    assert_eq!(old.meta.metrics["train"].ece_bins(), 15);
    assert_eq!(old.meta.unmet_thresholds(), [] as [&str; 0]);
    // Written again it is a model of the current schema with the same answers.
    old.save_meta(&dir).unwrap();
    let again = Artefact::load(&dir).unwrap();
    assert_eq!((again.meta.schema_version, again.meta.decision), (SCHEMA_VERSION, Some(expected)));
    let json: serde_json::Value = serde_json::from_slice(&fs::read(dir.join(MODEL_FILE)).unwrap()).unwrap();
    let selection = &json["selection"];
    assert_eq!((&selection["fitted_temperature"], selection.get("temperature")), (&1.5.into(), None));
    Artefact::verify(&dir).unwrap();
}

#[test]
fn a_precision_that_cannot_be_shown_is_told_with_the_number_of_clips() {
    let mut meta = artefact(HeadKind::Linear).meta;
    meta.train.thresholds = ThresholdWish::Precision(0.95);
    let thresholds = vec![Some(0.5), None, Some(0.0)];
    meta.decision = Some(Decision { thresholds, ..meta.decision() });
    let positives = |clips, groups| Positives { clips, groups, unit: "recording".to_owned() };
    meta.selection = Some(Selection {
        l2: None,
        tried: Vec::new(),
        fitted_on: Vec::new(),
        fitted_temperature: 1.0,
        thresholds: vec![None; 3],
        calibrated_on: 40,
        positives: vec![positives(20, 20), positives(12, 9), positives(8, 1)],
        unknown: None,
    });
    let expected = "precision 0.95 of `gunshot` cannot be shown with 12 clips of 9 recordings: it is never answered";
    assert_eq!(meta.unmet_thresholds(), [expected]);
}

#[test]
fn a_decision_that_does_not_fit_is_refused() {
    let refused = |change: fn(&mut Decision)| {
        let (_root, dir, mut artefact) = saved(HeadKind::Linear);
        let mut decision = artefact.meta.decision();
        change(&mut decision);
        artefact.meta.decision = Some(decision);
        artefact.save_meta(&dir).unwrap_err().kind.to_string()
    };
    assert!(refused(|decision| decision.thresholds.truncate(1)).contains("`thresholds`"));
    assert!(refused(|decision| decision.classes[0] = "cat".to_owned()).contains("other classes"));
    assert!(refused(|decision| decision.labelling = Labelling::Multi).contains("other classes"));
}

#[test]
fn figures_are_added_in_steps_that_a_crash_may_part() {
    let (_root, dir, mut artefact) = saved(HeadKind::Linear);
    let folder = |names: &[&str]| names.iter().map(|name| fs::read(dir.join(name)).unwrap()).collect::<Vec<_>>();
    let before = folder(&[MODEL_FILE, CHECKSUMS_FILE]);
    artefact.meta.seeds.insert("split".to_owned(), 7);
    artefact.save_meta(&dir).unwrap();
    let after = folder(&[MODEL_FILE, CHECKSUMS_FILE]);
    assert!(!dir.join(NEXT_CHECKSUMS_FILE).exists());
    // Before `model.json` was replaced, and after that.
    fs::write(dir.join(CHECKSUMS_FILE), &before[1]).unwrap();
    fs::write(dir.join(NEXT_CHECKSUMS_FILE), &after[1]).unwrap();
    for model in [&before[0], &after[0]] {
        fs::write(dir.join(MODEL_FILE), model).unwrap();
        Artefact::verify(&dir).unwrap();
    }
    edit(&dir.join(MODEL_FILE), "00ff", "00fe");
    assert!(Artefact::verify(&dir).unwrap_err().path.ends_with(MODEL_FILE));
}

#[test]
fn a_model_predicts_though_no_training_would_accept_its_settings_today() {
    let (_root, dir, mut old) = saved(HeadKind::Linear);
    old.meta.train.max_epochs = 0;
    old.save_meta(&dir).unwrap();
    assert_eq!(Artefact::load(&dir).unwrap().meta.train.max_epochs, 0);
    let refused = old.save(&dir.with_extension("new")).unwrap_err();
    assert!(refused.kind.to_string().contains("`max_epochs` is 0"), "{refused:?}");
}

#[test]
fn an_unknown_schema_version_is_named_even_when_the_fields_differ() {
    let (_root, dir, _) = saved(HeadKind::Linear);
    fs::write(dir.join(MODEL_FILE), r#"{"schema_version": 7, "new": true}"#).unwrap();
    let error = Artefact::load(&dir).unwrap_err();
    assert!(error.path.ends_with(MODEL_FILE));
    assert_eq!(error.kind.to_string(), "schema version 7 is unknown; this program reads version 3");
}

#[test]
fn each_contradiction_names_its_file() {
    let spoil = |spoil: &dyn Fn(&Path)| {
        let (_root, dir, _) = saved(HeadKind::Linear);
        spoil(&dir);
        Artefact::load(&dir).unwrap_err()
    };
    for name in [WEIGHTS_FILE, MODEL_FILE, CLASS_NAMES_FILE] {
        let error = spoil(&|dir| fs::remove_file(dir.join(name)).unwrap());
        assert!(error.path.ends_with(name) && matches!(error.kind, ArtefactErrorKind::Io(_)), "{error:?}");
    }
    let error = spoil(&|dir| edit(&dir.join(CLASS_NAMES_FILE), "rain", "hail"));
    assert!(error.path.ends_with(CLASS_NAMES_FILE), "{error:?}");
    let error = spoil(&|dir| edit(&dir.join(MODEL_FILE), "\"linear\"", "\"mlp\""));
    assert!(matches!(error.kind, ArtefactErrorKind::Head(HeadError::TensorMissing(_))), "{error:?}");
    let error = spoil(&|dir| edit(&dir.join(MODEL_FILE), "\"rain\"", "\"gunshot\""));
    assert!(matches!(error.kind, ArtefactErrorKind::Inconsistent(_)), "{error:?}");
    let error = spoil(&|dir| edit(&dir.join(MODEL_FILE), "\"seeds\"", "\"sedes\""));
    assert!(matches!(error.kind, ArtefactErrorKind::Json(_)), "{error:?}");
}

#[test]
fn a_changed_weight_is_noticed() {
    let (_root, dir, _) = saved(HeadKind::Linear);
    let path = dir.join(WEIGHTS_FILE);
    let mut bytes = fs::read(&path).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&path, bytes).unwrap();
    let error = Artefact::load(&dir).unwrap_err();
    assert!(matches!(&error.kind, ArtefactErrorKind::Safetensors(why) if why.contains("damaged")), "{error:?}");
}

#[test]
fn a_change_that_can_be_read_is_noticed_by_its_checksum() {
    let (_root, dir, artefact) = saved(HeadKind::Linear);
    let (_, checksums) = Artefact::verify(&dir).unwrap();
    assert_eq!(checksums.unwrap().digest, artefact.digest().unwrap());
    edit(&dir.join(MODEL_FILE), "00ff", "00fe");
    Artefact::load(&dir).unwrap();
    let error = Artefact::verify(&dir).unwrap_err();
    assert!(error.path.ends_with(MODEL_FILE) && matches!(error.kind, ArtefactErrorKind::Changed), "{error:?}");
    artefact.save_meta(&dir).unwrap();
    edit(&dir.join(CHECKSUMS_FILE), "\"digest\": \"", "\"digest\": \"0");
    let error = Artefact::verify(&dir).unwrap_err();
    assert!(error.path.ends_with(CHECKSUMS_FILE), "{error:?}");
    fs::remove_file(dir.join(CHECKSUMS_FILE)).unwrap();
    assert_eq!(Artefact::verify(&dir).unwrap().1, None);
}

#[test]
fn weights_that_are_not_numbers_are_refused() {
    let artefact = artefact(HeadKind::Linear);
    let mut record = HeadRecord::from(&artefact.head);
    for tensor in record.0.values_mut() {
        tensor.values[0] = f32::NAN;
    }
    let error = record.into_head(HeadKind::Linear, Scores::Softmax, 3).unwrap_err();
    assert!(matches!(error, HeadError::TensorValues(_)), "{error:?}");
}

#[test]
fn every_truncation_of_every_file_is_an_error() {
    let (_root, dir, _) = saved(HeadKind::Linear);
    for name in [WEIGHTS_FILE, MODEL_FILE, CLASS_NAMES_FILE] {
        let path = dir.join(name);
        let whole = fs::read(&path).unwrap();
        // The last byte of a JSON file is its newline.
        let ends = if name == WEIGHTS_FILE { whole.len() } else { whole.len() - 1 };
        for end in (0..ends).step_by(3) {
            fs::write(&path, &whole[..end]).unwrap();
            assert!(Artefact::load(&dir).is_err(), "{name} cut at {end}");
        }
        fs::write(&path, &whole).unwrap();
    }
    assert!(Artefact::load(&dir).is_ok());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn no_change_of_a_byte_makes_loading_panic(at in any::<prop::sample::Index>(), changes in any::<[u8; 32]>()) {
        let (_root, dir, _) = saved(HeadKind::Linear);
        for name in [WEIGHTS_FILE, MODEL_FILE, CLASS_NAMES_FILE] {
            let path = dir.join(name);
            let whole = fs::read(&path).unwrap();
            for (offset, change) in changes.into_iter().enumerate() {
                let mut bytes = whole.clone();
                let position = (at.index(bytes.len()) + offset) % bytes.len();
                bytes[position] ^= change;
                fs::write(&path, bytes).unwrap();
                if let Ok(artefact) = Artefact::load(&dir) {
                    artefact.head.probabilities(&[0.5; 4]);
                }
            }
            fs::write(&path, whole).unwrap();
        }
    }
}
