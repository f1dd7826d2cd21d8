//! What people decided is kept: corrected labels and the history of models, on several machines and in data roots of earlier versions.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ecosight_datasets::journal::Journal;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{ClipRow, read_rows};

use crate::clips::recordings;
use crate::roots::as_the_snapshot_says;
use crate::s3::{BUCKET, Server, State};
use crate::support::{Ran, Sandbox};

const RETRAIN: &str = "retrain --set embed.embedder=logmel --set augment.variants=1";

/// One more machine with the data root in the bucket, and a person at it.
fn machine(server: &Server, person: &str) -> Sandbox {
    let mut sandbox = Sandbox::with_env(server.env());
    sandbox.set("ECOSIGHT_DATA_ROOT", &format!("s3://{BUCKET}/root"));
    sandbox.set("ECOSIGHT_USER", person);
    sandbox.set("S3_RETRY_SECONDS", "1");
    sandbox
}

/// Imports one label.
fn import(sandbox: &Sandbox, uri: &str, label: &str) -> Ran {
    fs::write(sandbox.path().join("back.csv"), format!("uri,corrected_label\n{uri},{label}\n")).unwrap();
    sandbox.run("review --import back.csv")
}

/// The imports in the bucket, and who made them.
fn imports(server: &Server) -> Vec<String> {
    let entries = Journal::Corrections.read(&Layout::new(server.bucket_folder().join("root"))).unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().lines().nth(1).unwrap().to_owned();
    entries.into_iter().map(|entry| text(entry.bytes)).collect()
}

/// The label of each recording in the table of a data root.
fn labels(root: &Path) -> BTreeMap<String, String> {
    let rows: Vec<ClipRow> = read_rows(&Layout::new(root).table("manifest")).unwrap();
    rows.into_iter().map(|row| (row.uri, row.label)).collect()
}

#[test]
fn corrected_labels_of_two_reviewers_are_merged_whatever_becomes_of_an_upload() {
    let server = Server::start();
    let (ann, ben) = (machine(&server, "ann"), machine(&server, "ben"));
    recordings(&ann, 8);
    server.put_folder(&ann.path().join("recordings"), "root/extracted_audio");
    let retrain = format!("{RETRAIN} -q --to manifest");
    ann.ok(&retrain);
    let found = || labels(as_the_snapshot_says(&server.bucket_folder().join("root")).path());
    let low = || found().into_iter().filter(|(_, label)| label == "low");
    let corrected = || low().map(|(uri, _)| uri).filter(|uri| uri.starts_with("high")).collect::<Vec<_>>();
    assert_eq!(import(&ben, "high/0.wav", "low").code, 0);
    assert_eq!(import(&ann, "high/1.wav", "low").code, 0);
    server.seen();
    assert_eq!(import(&ann, "high/4.wav", "low").code, 0);
    let before_upload = server.seen().iter().position(|seen| seen.method == "PUT" && seen.key.contains("journal/"));

    // The bucket fails when the import is to be sent; another machine writes before it is sent after all.
    server.after(before_upload.unwrap(), State::Down);
    let ran = import(&ann, "high/2.wav", "low");
    assert_eq!(ran.code, 6, "{}", ran.stderr);
    server.state(State::Up);
    let _ = fs::remove_file(server.bucket_folder().join("root/.lease.json"));
    assert_eq!(import(&ben, "high/3.wav", "low").code, 0);
    ben.ok(&retrain);
    assert_eq!(imports(&server).len(), 4);
    assert_eq!(corrected(), ["high/0.wav", "high/1.wav", "high/3.wav", "high/4.wav"]);

    ann.ok(&retrain);
    let of = |person: &str| imports(&server).iter().filter(|line| line.ends_with(&format!(",{person}"))).count();
    assert_eq!((of("ann"), of("ben")), (3, 2), "{:?}", imports(&server));
    assert_eq!(corrected(), ["high/0.wav", "high/1.wav", "high/2.wav", "high/3.wav", "high/4.wav"]);

    // The newest counts, whoever it is from.
    assert_eq!(import(&ben, "high/1.wav", "high").code, 0);
    ann.ok(&retrain);
    assert_eq!(corrected(), ["high/0.wav", "high/2.wav", "high/3.wav", "high/4.wav"]);
    assert_eq!(ben.run("verify").code, 0);
}

#[test]
fn a_data_root_of_the_version_before_is_read_and_a_correction_can_be_withdrawn() {
    let sandbox = Sandbox::new();
    recordings(&sandbox, 6);
    let retrain = format!("{RETRAIN} --source recordings");
    let model = sandbox.json(&retrain)["model"].as_str().unwrap().to_owned();
    // What earlier versions wrote: one file with a line for each entry.
    let root = sandbox.path().join("ecosight-data");
    let layout = Layout::new(&root);
    for (journal, old) in [
        (Journal::History, layout.history()),
        (Journal::TestUses(&model), layout.model(&model).join("test_uses.jsonl")),
    ] {
        let entries = journal.read(&layout).unwrap();
        assert_eq!(entries.len(), 1, "{journal:?}");
        fs::write(old, [entries[0].bytes.as_slice(), b"\n"].concat()).unwrap();
    }
    fs::remove_dir_all(layout.journal()).unwrap();
    let rows: Vec<ClipRow> = read_rows(&layout.table("manifest")).unwrap();
    let id = rows.iter().find(|row| row.uri == "high/0.wav").unwrap().clip_id;
    let old = format!("clip_id,label,uri\n{id},low,high/0.wav\n");
    fs::write(layout.corrections(), &old).unwrap();

    assert_eq!(sandbox.json("models show production")["test_uses"].as_array().unwrap().len(), 1);
    assert_eq!(sandbox.json("models history")[0]["version"], model.as_str());
    sandbox.ok("models pin");
    assert_eq!(sandbox.json("models history").as_array().unwrap().len(), 2);
    sandbox.ok("models unpin");

    // The table still has the label of the source.
    assert_eq!(import(&sandbox, "high/1.wav", "low").code, 0);
    sandbox.ok(&retrain);
    assert_eq!((labels(&root)["high/0.wav"].as_str(), labels(&root)["high/1.wav"].as_str()), ("low", "low"));
    let ran = import(&sandbox, "high/0.wav", "-");
    assert!(ran.stderr.contains("0 corrected, 0 confirmed, 1 withdrawn"), "{}", ran.stderr);
    assert!(import(&sandbox, "high/0.wav", "-").stderr.contains("0 corrected, 1 confirmed"));
    sandbox.ok(&retrain);
    assert_eq!((labels(&root)["high/0.wav"].as_str(), labels(&root)["high/1.wav"].as_str()), ("high", "low"));
    assert_eq!(fs::read_to_string(layout.corrections()).unwrap(), old, "what is old stays as it is");
    assert_eq!(sandbox.run("verify").code, 0);

    // What was changed in place is found, and set aside.
    let import = Journal::Corrections.read(&layout).unwrap().remove(0).path;
    fs::write(&import, "clip_id,label,uri,at,by\n").unwrap();
    let refused = sandbox.run(&retrain);
    assert!(refused.code != 0 && refused.stderr.contains("it is not what was written"), "{}", refused.stderr);
    assert_eq!(sandbox.run("verify").code, 1);
    sandbox.run("verify --repair");
    sandbox.ok(&retrain);
    assert_eq!(labels(&root)["high/1.wav"], "high");
}
