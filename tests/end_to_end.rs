//! The real binary, used as people use it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod admin;
mod browser;
mod bucket;
mod cli;
mod clips;
mod copies;
mod damage;
#[cfg(unix)]
mod data_root;
mod demo;
mod esc10;
#[cfg(unix)]
mod faults;
mod fuzz_smoke;
mod gate;
mod golden_stages;
mod heads;
#[cfg(unix)]
mod hostile_names;
mod incremental;
mod ingest;
#[cfg(unix)]
mod ingest_bucket;
#[cfg(unix)]
mod ingest_kill;
#[cfg(unix)]
mod interrupt;
mod journal;
#[cfg(unix)]
mod kill;
mod labels;
mod listeners;
mod models;
mod moto;
#[cfg(unix)]
mod own_stage;
#[cfg(unix)]
mod peers;
mod proxies;
mod python;
mod remote;
mod removals;
mod report;
mod retrain;
mod retrain_policy;
mod review;
mod roots;
mod s3;
mod setup;
mod splits;
mod storage;
mod stores;
mod support;
mod tables;
#[cfg(unix)]
mod trouble;
mod upkeep;
mod verify;
mod windows;
