//! Objects are read and written by plain HTTP, with URLs that were signed. A store that signs none passes.

use std::time::Duration;

use super::Ground;
use crate::DatasetError;
use crate::runtime::{block_on, choose_cryptography};
use crate::store::Permission;

/// For how long the URLs are good.
const EXPIRY: Duration = Duration::from_mins(5);

pub(super) fn get(ground: &Ground<'_>) -> Result<(), DatasetError> {
    if !ground.store.can_sign() {
        return Ok(());
    }
    let name = ground.put("read ü+.wav", b"content")?;
    let url = block_on(ground.store.presigned(&name, Permission::Get, EXPIRY))?;
    let failed = |error| DatasetError::new("read by signed URL", ground.store.address(&name), error);
    let body = agent().get(&url).call().and_then(|mut answer| answer.body_mut().read_to_vec()).map_err(failed)?;
    ground.same("content", &body, &b"content".to_vec())
}

pub(super) fn put(ground: &Ground<'_>) -> Result<(), DatasetError> {
    if !ground.store.can_sign() {
        return Ok(());
    }
    let name = ground.name("written ü+.wav");
    let url = block_on(ground.store.presigned(&name, Permission::Put, EXPIRY))?;
    let failed = |error| DatasetError::new("write by signed URL", ground.store.address(&name), error);
    agent().put(&url).send(b"content".as_slice()).map_err(failed)?;
    ground.same("content", &ground.read(&name)?, &Some(b"content".to_vec()))
}

fn agent() -> ureq::Agent {
    choose_cryptography();
    let config = ureq::Agent::config_builder().timeout_global(Some(Duration::from_secs(30)));
    ureq::Agent::new_with_config(config.build())
}
