//! What these keys may do, tried with a few bytes below `temp/`.

use ecosight_datasets::layout::Area;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::plain_http::ask;
use ecosight_datasets::store::{Created, DEFAULT_EXPIRY, Labels, Permission, Scheme, Store};
use ecosight_datasets::{DatasetError, DatasetErrorKind};

use crate::cli::finding::Finding;
use crate::cli::session::now;

/// What is written.
const BYTES: &[u8] = b"EcoSight was here";

/// Tries everything in turn. Where nothing can be written, the rest is not tried.
pub(super) fn probes(store: &Store) -> Vec<Finding> {
    let stamp = now().timestamp_nanos_opt().unwrap_or_default();
    let [name, sent] =
        ["probe", "sent"].map(|what| Area::Temp.key(&format!("doctor-{stamp}-{}-{what}", std::process::id())));
    block_on(async {
        let mut findings = vec![found("write", store.put(&name, BYTES.to_vec(), &Labels::default()).await.map(drop))];
        if findings[0].fix.is_none() {
            findings.push(found("read", read(store, &name).await));
            findings.push(found("list", list(store, &name).await));
            findings.push(found("write if new", conditional(store, &name).await));
            if store.place().bucket().is_some_and(|place| place.scheme == Scheme::S3) {
                findings.push(found("URL to read", signed_read(store, &name).await));
                findings.push(found("URL to write", signed_write(store, &sent).await));
            }
        } else {
            findings.push(found("list", store.list_below(Area::Temp.name()).await.map(drop)));
        }
        findings.push(found("delete", delete(store, &[&name, &sent]).await));
        findings
    })
}

fn found(check: &'static str, tried: Result<(), DatasetError>) -> Finding {
    match tried {
        Ok(()) => Finding::ok(check, "works"),
        Err(error) => {
            let finding = Finding::error(check, &error.into());
            let fix = "the message is the server's own; `ecosight storage status` shows which server that is";
            Finding { fix: finding.fix.or_else(|| Some(fix.to_owned())), ..finding }
        }
    }
}

async fn read(store: &Store, name: &str) -> Result<(), DatasetError> {
    let bytes = store.read(name, None).await?;
    same(&bytes.unwrap_or_default(), store, name)
}

fn same(bytes: &[u8], store: &Store, name: &str) -> Result<(), DatasetError> {
    if bytes == BYTES { Ok(()) } else { Err(wrong("read object", store, name, "other bytes came back than were sent")) }
}

async fn list(store: &Store, name: &str) -> Result<(), DatasetError> {
    let listing = store.list_below(Area::Temp.name()).await?;
    let is_listed = listing.objects.iter().any(|object| object.uri == name);
    if is_listed { Ok(()) } else { Err(wrong("list", store, name, "what was written is not in the list")) }
}

/// Two writers must not overwrite each other: creations and updates have to be conditional.
async fn conditional(store: &Store, name: &str) -> Result<(), DatasetError> {
    let other = b"somebody else".to_vec();
    let conflicts = |result: Result<(), DatasetError>| match result {
        Err(error) if matches!(error.kind, DatasetErrorKind::Conflict) => Ok(()),
        Err(error) => Err(error),
        Ok(()) => Err(wrong("write object", store, name, "the server ignores conditions: two writers would lose data")),
    };
    conflicts(store.create(name, other.clone(), &Labels::default()).await.map(drop))?;
    if !matches!(store.create(name, BYTES.to_vec(), &Labels::default()).await?, Created::Same(_)) {
        return Err(wrong("create object", store, name, "the server ignores conditions: two writers would lose data"));
    }
    conflicts(store.update(name, other, "\"0123456789abcdef0123456789abcdef\"").await.map(drop))
}

async fn signed_read(store: &Store, name: &str) -> Result<(), DatasetError> {
    let url = store.presigned(name, Permission::Get, DEFAULT_EXPIRY).await?;
    let answer = ask(&url, Permission::Get, Vec::new()).await?;
    refused("read by URL", store, name, answer.status, &answer.body)?;
    same(&answer.body, store, name)
}

async fn signed_write(store: &Store, name: &str) -> Result<(), DatasetError> {
    let url = store.presigned(name, Permission::Put, DEFAULT_EXPIRY).await?;
    let answer = ask(&url, Permission::Put, BYTES.to_vec()).await?;
    refused("write by URL", store, name, answer.status, &answer.body)?;
    read(store, name).await
}

fn refused(action: &'static str, store: &Store, name: &str, status: u16, body: &[u8]) -> Result<(), DatasetError> {
    if status < 300 {
        return Ok(());
    }
    let words = String::from_utf8_lossy(body).chars().take(300).collect::<String>();
    Err(DatasetError::new(action, store.address(name), DatasetErrorKind::Server(format!("{status}: {words}"))))
}

async fn delete(store: &Store, names: &[&str]) -> Result<(), DatasetError> {
    for name in names {
        store.delete(name).await?;
    }
    let left = store.list_below(Area::Temp.name()).await?;
    let is_left = left.objects.iter().any(|object| names.contains(&object.uri.as_str()));
    if is_left { Err(wrong("delete", store, names[0], "it is still in the list")) } else { Ok(()) }
}

fn wrong(action: &'static str, store: &Store, name: &str, why: &str) -> DatasetError {
    DatasetError::invalid(action, store.address(name), why)
}
