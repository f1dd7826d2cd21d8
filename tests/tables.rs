//! The tables as data scientists open them: in Python, with Polars, DuckDB and pandas, and in the notebooks.

use std::process::Command;

use crate::python::{python, run};
use crate::s3::{BUCKET, Server};
use crate::support::{Sandbox, repository};

/// A finished demo.
fn demo() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.ok("demo -q");
    sandbox
}

#[test]
fn polars_duckdb_and_pandas_read_every_table() {
    let Some(python) = python() else { return };
    let sandbox = demo();
    let script = repository().join("tests/read_tables.py");
    let root = sandbox.path().join("ecosight-demo");
    let printed = run(Command::new(python).arg(script).arg(root)).unwrap_or_else(|why| panic!("{why}"));
    assert!(printed.contains("all tables agree"), "{printed}");
}

#[test]
fn the_notebooks_run() {
    let Some(python) = python() else { return };
    let sandbox = demo();
    for entry in std::fs::read_dir(repository().join("notebooks")).unwrap() {
        let notebook = entry.unwrap().path();
        if notebook.extension().is_some_and(|e| e == "ipynb") {
            let mut command = Command::new(python);
            command.args(["-m", "nbclient.cli", "--timeout=120"]).arg(&notebook);
            command.current_dir(sandbox.path()).env("ECOSIGHT_DATA_ROOT", sandbox.path().join("ecosight-demo"));
            run(&mut command).unwrap_or_else(|why| panic!("{}: {why}", notebook.display()));
        }
    }
}

#[test]
fn polars_scans_tables_straight_from_a_bucket() {
    let Some(python) = python() else { return };
    let (server, sandbox) = (Server::start(), demo());
    server.put_folder(&sandbox.path().join("ecosight-demo/snapshots"), "data/snapshots");
    let script = repository().join("tests/scan_from_s3.py");
    let mut command = Command::new(python);
    command.arg(script).arg(format!("s3://{BUCKET}/data")).envs(server.env());
    let printed = run(&mut command).unwrap_or_else(|why| panic!("{why}"));
    assert!(printed.contains("chainsaw="), "{printed}");
}
