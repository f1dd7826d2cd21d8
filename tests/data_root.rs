//! A data root is moved, copied, and opened by other versions than the one that made it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::clips::recordings;
use crate::roots::{busy, copy, document, files, rows};
use crate::support::{Sandbox, repository};

const SETTINGS: &str = "--set embed.embedder=logmel --set augment.variants=1";

/// A data root as version 0.1.0 wrote it: ten clips of each class of [`recordings`] and a file that is no audio, two models, a corrected label and a
/// rollback.
fn of_version_0_1_0(sandbox: &Sandbox) -> PathBuf {
    let root = sandbox.path().join("ecosight-data");
    copy(&repository().join("tests/fixtures/data_root_0.1.0"), &root);
    recordings(sandbox, 10);
    fs::write(sandbox.path().join("recordings/low/broken.wav"), "junk\n").unwrap();
    root
}

/// Every file below a folder, with its content.
fn contents(folder: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    files(folder).into_iter().map(|path| (path.clone(), fs::read(path).unwrap())).collect()
}

#[test]
fn a_copy_of_a_data_root_reads_its_own_recordings() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 10);
    for class in ["high", "low"] {
        sandbox.ok(&format!("ingest recordings/{class} --class {class} --new-class --data-root old"));
    }
    let old = sandbox.json(&format!("retrain {SETTINGS} --data-root old"));
    assert_eq!(rows(&old, "manifest")[0], 20);
    let (old, new) = (sandbox.path().join("old"), sandbox.path().join("new"));
    copy(&old, &new);
    fs::remove_file(fs::read_dir(new.join("extracted_audio/low")).unwrap().next().unwrap().unwrap().path()).unwrap();
    let copied = sandbox.json(&format!("retrain {SETTINGS} --data-root new"));
    assert_eq!((rows(&copied, "manifest")[3], copied["source"].as_str()), (1, new.join("extracted_audio").to_str()));
    // Nor is the old one needed any more.
    fs::remove_dir_all(&old).unwrap();
    sandbox.ok(&format!("status {SETTINGS} --data-root new"));
    fs::rename(&new, sandbox.path().join("moved")).unwrap();
    assert_eq!(busy(&sandbox.json(&format!("retrain {SETTINGS} --data-root moved"))), ["manifest"]);
}

#[test]
fn a_data_root_of_version_0_1_0_goes_on() {
    let sandbox = Sandbox::new();
    let root = of_version_0_1_0(&sandbox);
    let models = sandbox.json("models list");
    assert_eq!(models.as_array().unwrap().len(), 2, "{models:#}");
    sandbox.ok("models show production");
    sandbox.ok("runs list");
    sandbox.ok("runs show");
    let predicted = sandbox.json("predict recordings/high/3.wav recordings/low/3.wav");
    let answers: Vec<&Value> = predicted["rows"].as_array().unwrap().iter().map(|row| &row["predicted"]).collect();
    assert_eq!(answers, ["high", "low"]);
    let failed = sandbox.json("failed");
    assert_eq!(failed["failed"].as_array().map_or(0, Vec::len), 1, "{failed:#}");
    // The pointer goes back to where it was before the rollback.
    let later = "20261130-222840-71b7-4694743f";
    sandbox.ok(&format!("models promote {later}"));
    assert!(fs::read_to_string(root.join("models/production.json")).unwrap().contains(later));

    let line = format!("retrain --source recordings {SETTINGS} --set pipeline.max_failed=0.2");
    let outcome = sandbox.json(&line);
    let [new, changed, reused, ..] = rows(&outcome, "embed");
    // Later versions decode otherwise: the rows of this one are made again, once.
    assert!(new + changed > 20 && reused == 0, "{outcome:#}");
    assert_eq!(busy(&sandbox.json(&line)), [""; 0]);
    sandbox.ok("verify");
}

#[test]
fn what_a_later_version_wrote_is_refused_and_stays_as_it_is() {
    let sandbox = Sandbox::new();
    let root = of_version_0_1_0(&sandbox);
    let model = "models/20261130-222829-eb1b-057494ac";
    let all = ["retrain --source recordings", "status", "models list", "gc"];
    let without_models = ["retrain --source recordings", "status", "gc"];
    // That version had no snapshots.
    let snapshots = ["snapshots/latest.json".to_owned(), format!("{model}/snapshot.json")];
    for name in &snapshots {
        let snapshot = json!({ "schema_version": 1, "version": 1, "created_at": "2026-01-01T00:00:00Z", "tables": {} });
        fs::create_dir_all(root.join(name).parent().unwrap()).unwrap();
        fs::write(root.join(name), snapshot.to_string()).unwrap();
    }
    for (name, lines) in [
        ("index/train.json", &without_models[..]),
        ("models/production.json", &all[..]),
        (&format!("{model}/model.json"), &all[..]),
        (&format!("{model}/checksums.json"), &all[..]),
        (&snapshots[0], &without_models[..]),
        (&snapshots[1], &all[..]),
        (".last_run.json", &["retrain", "status"]),
    ] {
        let path = root.join(name);
        let before = fs::read(&path).unwrap();
        let mut later = document(&path);
        later["schema_version"] = 99.into();
        fs::write(&path, later.to_string()).unwrap();
        let files_before = contents(&root);
        for line in lines {
            let refused = sandbox.run(line);
            assert_eq!(refused.code, 1, "{line} with {name}: {}{}", refused.stdout, refused.stderr);
            let is_told = refused.stderr.contains("was written by a later version of EcoSight (format 99");
            assert!(is_told && refused.stderr.contains("hint: "), "{line} with {name}: {}", refused.stderr);
        }
        assert!(contents(&root) == files_before, "{name}: something was changed");
        fs::write(&path, before).unwrap();
    }
}
