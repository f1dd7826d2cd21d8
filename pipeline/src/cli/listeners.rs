//! Who is told of a run: a stream of events as it goes on (`--events`), and a command when it is over (`--on-finish`), also where it could
//! not begin.
//!
//! A line of the stream is a JSON object with `event` and `time`. The last one is `ended`, written when the command itself is about to end,
//! with a data root in a bucket after everything was sent: it has the exit code.

use std::fs::File;
use std::io::{LineWriter, Write};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use ecosight_stages::Event;
use serde::Serialize;
use serde_json::{Value, json};

use super::args::Verb;
use super::error::CliError;
use super::printer::Printer;
use super::session::time_of_day;
use crate::ExitStatus;
use crate::engine::{RunOutcome, event_line};

/// Where `--events` writes to stdout.
const STDOUT: &str = "-";

/// The listeners of one command.
#[derive(Default)]
pub(crate) struct Listeners {
    /// Where events go: a file, or `-` for stdout.
    events: Option<String>,
    /// Command that is run at the end.
    on_finish: Option<String>,
    stream: Mutex<Option<Box<dyn Write + Send>>>,
    ran: Mutex<Option<Ran>>,
}

/// A run that has begun and ended.
struct Ran {
    outcome: Value,
    /// Its `run.json`; none where it has no record.
    record: Option<PathBuf>,
}

/// The last line of the stream.
#[derive(Serialize)]
struct Ended<'a> {
    time: &'a str,
    event: &'static str,
    exit_code: u8,
    status: &'static str,
    /// None where no run has begun.
    run_id: Option<&'a str>,
    error: Option<String>,
    hint: Option<&'a str>,
}

impl Listeners {
    /// Those that `verb` names.
    pub(crate) fn of(verb: &Verb) -> Self {
        match verb {
            Verb::Retrain(args) if !args.dry_run => {
                Self { events: args.events.clone(), on_finish: args.on_finish.clone(), ..Self::default() }
            }
            _ => Self::default(),
        }
    }

    /// Whether stdout belongs to the events.
    pub(crate) fn take_stdout(&self) -> bool {
        self.events.as_deref() == Some(STDOUT)
    }

    /// A run begins: opens the stream, whose file is emptied.
    pub(crate) fn begin(&self) -> Result<(), CliError> {
        let Some(to) = &self.events else { return Ok(()) };
        let open = || -> std::io::Result<Box<dyn Write + Send>> {
            if to == STDOUT {
                return Ok(Box::new(LineWriter::new(std::io::stdout())));
            }
            let file = appending(to)?;
            if file.metadata()?.is_file() {
                file.set_len(0)?;
            }
            Ok(Box::new(LineWriter::new(file)))
        };
        let hint = "name a file that can be written, or `-` for stdout: `--events -`";
        let stream =
            open().map_err(|error| CliError::usage(format!("cannot write events to `{to}`: {error}"), hint))?;
        *locked(&self.stream) = Some(stream);
        Ok(())
    }

    /// Something has happened in the run, at `time`.
    pub(crate) fn event(&self, event: &Event, time: &str) {
        if let Some(stream) = &mut *locked(&self.stream)
            && let Ok(line) = event_line(event, time)
        {
            // A reader that has gone away does not stop the run.
            let _ = writeln!(stream, "{line}");
        }
    }

    /// The run is over. `record` is the path of its `run.json`, which counts where the run is recorded.
    pub(crate) fn ran(&self, outcome: &RunOutcome, record: PathBuf) {
        let record = Some(record).filter(|_| outcome.is_recorded);
        *locked(&self.ran) = serde_json::to_value(outcome).ok().map(|outcome| Ran { outcome, record });
    }

    /// The command ends with `status`, because of `error` if there is one: writes the last event and runs the user's command.
    pub(crate) fn finish(&self, status: ExitStatus, error: Option<&CliError>, printer: &Printer) {
        let ran = locked(&self.ran).take();
        self.end_stream(status, error, ran.as_ref(), printer);
        if let Some(command) = &self.on_finish
            && let Err(error) = run_command(command, status, error, ran)
        {
            printer.warning(&error);
        }
    }

    fn end_stream(&self, status: ExitStatus, error: Option<&CliError>, ran: Option<&Ran>, printer: &Printer) {
        let Some(to) = &self.events else { return };
        let ended = Ended {
            time: &time_of_day(),
            event: "ended",
            exit_code: status as u8,
            status: status.word(),
            run_id: ran.and_then(|ran| ran.outcome["run_id"].as_str()),
            error: error.map(|error| error.chain().join(": ")),
            hint: error.and_then(CliError::hint),
        };
        let Ok(line) = serde_json::to_string(&ended) else { return };
        let mut stream = locked(&self.stream);
        let written = match &mut *stream {
            Some(stream) => writeln!(stream, "{line}"),
            None if to == STDOUT => writeln!(std::io::stdout(), "{line}"),
            // Another run may be writing the file: it is not emptied for one that could not begin.
            None => appending(to).and_then(|mut file| writeln!(file, "{line}")),
        };
        if let Err(error) = written {
            printer.warning(&format!("the end cannot be written to `{to}`: {error}"));
        }
    }
}

fn appending(path: &str) -> std::io::Result<File> {
    File::options().create(true).append(true).open(path)
}

/// Runs the user's command; an error in words. Its last word is the path of `run.json`; where the run has no record, of a temporary file with the
/// same fields, as far as they are known. `ECOSIGHT_EXIT_CODE` and `ECOSIGHT_STATUS` say how the run has ended.
fn run_command(command: &str, status: ExitStatus, error: Option<&CliError>, ran: Option<Ran>) -> Result<(), String> {
    let words = shlex::split(command).unwrap_or_default();
    let Some((program, words)) = words.split_first() else { return Err("`--on-finish` names no command".to_owned()) };
    let cannot = |error: &dyn std::fmt::Display| format!("`--on-finish {command}` cannot be run: {error}");
    let mut temporary = None;
    let record = match ran {
        Some(Ran { record: Some(record), .. }) => record,
        other => {
            let document = unrecorded(other.map(|ran| ran.outcome), status, error);
            let file = tempfile::Builder::new().prefix("ecosight-run-").suffix(".json").tempfile();
            let mut file = file.map_err(|error| cannot(&error))?;
            writeln!(file, "{document:#}").map_err(|error| cannot(&error))?;
            temporary.insert(file).path().to_owned()
        }
    };
    // Stdout may hold one JSON document, or events.
    let stdout = std::process::Stdio::from(std::io::stderr());
    let mut process = std::process::Command::new(program);
    process.args(words).arg(record).stdout(stdout);
    process.env("ECOSIGHT_EXIT_CODE", (status as u8).to_string()).env("ECOSIGHT_STATUS", status.word());
    match process.status() {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("`--on-finish {command}` ended with {status}")),
        Err(error) => Err(cannot(&error)),
    }
}

/// What is known of a run without a record: that it did nothing, or why it could not begin.
fn unrecorded(outcome: Option<Value>, status: ExitStatus, error: Option<&CliError>) -> Value {
    let mut document =
        outcome.unwrap_or_else(|| json!({ "schema_version": 1, "run_id": null, "is_recorded": false, "stages": [] }));
    document["exit_code"] = (status as u8).into();
    document["status"] = status.word().into();
    if let Some(error) = error {
        document["exit"] = error.chain().join(": ").into();
        document["hint"] = error.hint().into();
    }
    document
}

/// The value behind a lock; that another thread panicked leaves it as it was.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
