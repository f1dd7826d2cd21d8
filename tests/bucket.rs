//! Sources in a bucket, as people use them.

use std::collections::BTreeMap;
use std::path::Path;

use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::{ClipRow, Row, column_digests, read_rows};

use crate::clips::recordings;
use crate::roots::{Contents, contents};
use crate::s3::{BUCKET, Server};
use crate::support::Sandbox;

const SETTINGS: &str = "--set embed.embedder=logmel --set augment.variants=1";

/// The contents of a data root without entity tags, which are the store's own.
fn made(root: &Path) -> Contents {
    let mut contents = contents(root);
    let rows: Vec<ClipRow> = read_rows(&Layout::new(root).table("manifest")).unwrap();
    let columns: BTreeMap<_, _> = column_digests(&ClipRow::batch(&rows).unwrap()).into_iter().collect();
    let others: BTreeMap<_, _> = columns.into_iter().filter(|(name, _)| name != "etag").collect();
    contents.insert("manifest".to_owned(), format!("{others:?}"));
    contents
}

#[test]
fn what_is_in_a_bucket_is_what_is_in_a_folder() {
    let server = Server::start();
    let sandbox = Sandbox::with_env(server.env());
    recordings(&sandbox, 6);
    server.put_folder(&sandbox.path().join("recordings"), "clips");
    sandbox.ok(&format!("retrain -q --data-root a --source recordings {SETTINGS}"));
    sandbox.ok(&format!("retrain -q --data-root b --source s3://{BUCKET}/clips {SETTINGS}"));
    let [a, b] = ["a", "b"].map(|root| made(&sandbox.path().join(root)));
    assert_eq!(a, b);
}
