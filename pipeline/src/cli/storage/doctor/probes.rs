//! What these keys may do, and whether the server does what a store must, tried below `temp/`.

use ecosight_datasets::DatasetError;
use ecosight_datasets::layout::Area;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::checks::{ALL, Check, Ground};
use ecosight_datasets::store::{Scheme, Store, Trouble};

use crate::cli::finding::{Finding, State};
use crate::cli::session::now;

/// Objects that are listed: enough to see that they are, and quickly written.
const LISTED: usize = 12;

/// Runs all checks of a store. Where nothing can be written, only the list is tried beside.
pub(super) fn probes(store: &Store) -> Vec<Finding> {
    let stamp = now().timestamp_nanos_opt().unwrap_or_default();
    let folder = Area::Temp.key(&format!("doctor-{stamp}-{}", std::process::id()));
    let ground = Ground { store, folder: &folder, listed: LISTED };
    let is_s3 = store.place().bucket().is_some_and(|place| place.scheme == Scheme::S3);
    let is_known = |check: &&Check| is_s3 || !check.name.starts_with("presigned");
    let mut findings: Vec<Finding> = Vec::new();
    for check in ALL.iter().filter(is_known) {
        findings.push(found(check.name, check.about, check.run(&ground)));
        if findings.len() == 1 && findings[0].state == State::Fail {
            let about = "all objects are listed; nothing else was tried, as nothing can be written";
            findings.push(found("list", about, block_on(store.list_below(Area::Temp.name())).map(drop)));
            break;
        }
    }
    findings
}

fn found(check: &'static str, about: &str, tried: Result<(), DatasetError>) -> Finding {
    match tried {
        Ok(()) => Finding::ok(check, about),
        Err(error) => {
            let fix = match Trouble::of(&error) {
                Some(trouble) => trouble.hint(error.action),
                None => "the server does otherwise than S3; see its manual, or use another version of it".to_owned(),
            };
            Finding { fix: Some(fix), ..Finding::error(check, &error.into()) }
        }
    }
}
