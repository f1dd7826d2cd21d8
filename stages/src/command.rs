//! A stage of the user's own: a command that reads tables and writes Parquet.
//!
//! `{inputs}` in the command becomes one argument for each stage that it needs: the folder of its table, whose rows
//! `read_parquet("<folder>/**/*.parquet")` gives, or the folder of the model that was trained last. `{output}` becomes the file to write.
//! The command is split into words as a shell would, but runs without one. It runs again when its words, a file that it depends on (one
//! that `depends` or a word of the command names), or what it reads has changed.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::time::{Duration, Instant};

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::FileStamp;
use ecosight_datasets::key::KeyHasher;
use ecosight_datasets::tables::{Digests, put_part, table_rows};
use toml::{Table, Value};

use crate::error::InStage;
use crate::evaluate::candidate;
use crate::params::{Problem, unknown};
use crate::stage::{Context, Input, KeyPart, Output, RowCounts, Stage};
use crate::{StageError, StageErrorKind};

/// Keys below `[stages.<name>]`, beside `needs` and `when`.
const KEYS: [&str; 2] = ["command", "depends"];

/// Lines of what a failing command has printed that are told.
const LINES: usize = 20;

/// Bytes of a line that are kept.
const LINE_BYTES: usize = 4096;

/// How often the loop looks whether the user wants to stop.
const LOOK: Duration = Duration::from_millis(50);

/// How long a command and what it has started may take to end once they were sent `SIGTERM`.
const GRACE: Duration = Duration::from_secs(5);

/// A command as a stage.
#[derive(Debug)]
pub struct Command {
    name: &'static str,
    words: Vec<String>,
    depends: Vec<PathBuf>,
    needs: Vec<String>,
    folder: PathBuf,
}

/// The name of a stage for the rest of the program: there are few, and they live as long as it does.
pub fn stage_name(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

impl Command {
    /// The stage `name` with the parameters of its table; files are looked for in `folder`.
    pub fn configure(name: &str, params: &Table, needs: &[String], folder: &Path) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let is_name = !name.is_empty()
            && name.len() <= 64
            && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
        if !is_name || name == "quarantine" {
            problems.push(Problem::new(
                "",
                "the name of a stage has letters a to z, digits and `_`, and is not `quarantine`",
            ));
        }
        for key in params.keys().filter(|key| !KEYS.contains(&key.as_str())) {
            problems.push(Problem::new(key, unknown("parameter", key, KEYS.into_iter())));
        }
        let words = params.get("command").and_then(Value::as_str).and_then(shlex::split).unwrap_or_default();
        if words.is_empty() {
            problems.push(Problem::new("command", "expected a command, such as \"python my.py {inputs} {output}\""));
        } else if !words.iter().any(|word| word.contains("{output}")) {
            problems.push(Problem::new("command", "it says nowhere `{output}`, the file that it has to write"));
        }
        for word in &words {
            if word.contains("{inputs}") && word != "{inputs}" {
                problems.push(Problem::new("command", format!("`{{inputs}}` must stand alone, not within `{word}`")));
            } else if let Some(name) = placeholder(word) {
                problems.push(Problem::new("command", unknown("place", name, ["{inputs}", "{output}"].into_iter())));
            }
        }
        let depends: Option<Vec<PathBuf>> = match params.get("depends") {
            None => Some(Vec::new()),
            Some(Value::Array(files)) => files.iter().map(|file| Some(folder.join(file.as_str()?))).collect(),
            Some(_) => None,
        };
        if depends.is_none() {
            problems.push(Problem::new("depends", "expected a list of files"));
        }
        if needs.is_empty() {
            problems.push(Problem::new("needs", "expected the stages whose tables it reads, such as [\"embed\"]"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let (depends, folder) = (depends.unwrap_or_default(), folder.to_owned());
        Ok(Self { name: stage_name(name), words, depends, needs: needs.to_vec(), folder })
    }

    /// The words with their places filled.
    fn filled(&self, context: &Context<'_>, output: &Path) -> Result<Vec<String>, StageErrorKind> {
        let mut words = Vec::new();
        for word in &self.words {
            if word == "{inputs}" {
                for need in &self.needs {
                    words.push(input(need, context)?.display().to_string());
                }
            } else {
                words.push(word.replace("{output}", &output.display().to_string()));
            }
        }
        Ok(words)
    }

    /// Runs the command to its end.
    fn execute(&self, context: &Context<'_>, output: &Path) -> Result<(), StageErrorKind> {
        let words = self.filled(context, output)?;
        let shown = words.join(" ");
        let mut command = std::process::Command::new(&words[0]);
        command.args(&words[1..]).current_dir(&self.folder).stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        // What it starts belongs to its group, and ends with it.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(|error| {
            let hint = format!(
                "is `{}` installed, and on the PATH? Files are looked for in `{}`",
                words[0],
                self.folder.display()
            );
            StageErrorKind::data(format!("cannot run `{shown}`: {error}"), hint)
        })?;
        let (sender, lines) = sync_channel(LINES);
        let streams: [Option<Box<dyn Read + Send>>; 2] =
            [child.stdout.take().map(|s| Box::new(s) as _), child.stderr.take().map(|s| Box::new(s) as _)];
        for stream in streams.into_iter().flatten() {
            let sender = sender.clone();
            std::thread::spawn(move || {
                // Whoever listened may have gone.
                let _ = each_line(BufReader::new(stream), &mut |line| sender.send(line).is_ok());
            });
        }
        drop(sender);
        let mut last: Vec<String> = Vec::new();
        loop {
            match lines.recv_timeout(LOOK) {
                Ok(line) => {
                    context.emit(crate::Event::Printed { stage: self.name, line: line.clone() });
                    last.push(line);
                    last.drain(..last.len().saturating_sub(LINES));
                }
                // Something that the command has started in the background may hold its output open for long.
                Err(RecvTimeoutError::Timeout) if child.try_wait().is_ok_and(|status| status.is_some()) => break,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            stop_if_asked(context, &mut child)?;
        }
        let status = child.wait().map_err(|e| StageErrorKind::from(DatasetError::new("run", shown.clone(), e)))?;
        if status.success() {
            return Ok(());
        }
        if was_interrupted(status) {
            // Somebody may have sent it to both; the one gets it a moment before the other.
            for _ in 0..10 {
                context.check_cancelled()?;
                std::thread::sleep(LOOK);
            }
        }
        let printed = if last.is_empty() { String::new() } else { format!(":\n{}", last.join("\n")) };
        let hint = "mend the command, and run the same again: what is done stays done";
        Err(StageErrorKind::data(format!("`{shown}` ended with {status}{printed}"), hint))
    }
}

/// A word in braces that stands for nothing here.
fn placeholder(word: &str) -> Option<&str> {
    let name = word.strip_prefix('{')?.strip_suffix('}')?;
    let is_name = !name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    (is_name && !["inputs", "output"].contains(&name)).then_some(word)
}

/// Calls `each` with every line that is not empty, however it ends (progress bars begin anew with a carriage return), cut off where it is
/// long, until that says no.
fn each_line(mut stream: impl BufRead, each: &mut dyn FnMut(String) -> bool) -> std::io::Result<()> {
    let mut line = Vec::new();
    loop {
        let bytes = stream.fill_buf()?;
        let is_end = bytes.is_empty();
        let (count, is_complete) = match bytes.iter().position(|byte| [b'\n', b'\r'].contains(byte)) {
            Some(end) => (end + 1, true),
            None => (bytes.len(), is_end),
        };
        let room = LINE_BYTES.saturating_sub(line.len());
        line.extend(bytes[..count].iter().take(room));
        stream.consume(count);
        if is_complete {
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            line.clear();
            if !text.is_empty() && !each(text) || is_end {
                return Ok(());
            }
        }
    }
}

/// The folder that holds what the stage `need` has made.
fn input(need: &str, context: &Context<'_>) -> Result<PathBuf, StageErrorKind> {
    let is_model = ["train", "evaluate", "publish"].contains(&need);
    let path = if is_model { context.layout.model(&candidate(context)?) } else { context.layout.table(need) };
    Ok(std::path::absolute(&path).map_err(DatasetError::at("find", &path))?)
}

/// Whether Ctrl-C ended the command.
#[cfg(unix)]
fn was_interrupted(status: std::process::ExitStatus) -> bool {
    use std::os::unix::process::ExitStatusExt;
    status.signal() == Some(2) || status.code() == Some(130)
}

/// Whether Ctrl-C ended the command.
#[cfg(not(unix))]
fn was_interrupted(status: std::process::ExitStatus) -> bool {
    status.code() == Some(130)
}

/// Ends the command, and what it has started, when the user asks to stop.
fn stop_if_asked(context: &Context<'_>, child: &mut Child) -> Result<(), StageErrorKind> {
    context.check_cancelled().inspect_err(|_| end(child))
}

/// Sends `SIGTERM` to the process group of the command, and `SIGKILL` to what is left of it after [`GRACE`].
#[cfg(unix)]
fn end(child: &mut Child) {
    use rustix::process::{Pid, Signal, kill_process_group, test_kill_process_group};
    let group = Pid::from_child(child);
    // Errors say that nothing of the group is left.
    let _ = kill_process_group(group, Signal::TERM);
    let begun = Instant::now();
    while begun.elapsed() < GRACE {
        // Once its end was taken note of, the command itself is not in the group any more.
        let has_ended = child.try_wait().map_or(true, |status| status.is_some());
        if has_ended && test_kill_process_group(group).is_err() {
            return;
        }
        std::thread::sleep(LOOK);
    }
    let _ = kill_process_group(group, Signal::KILL);
    let _ = child.wait();
}

/// Ends the command.
#[cfg(not(unix))]
fn end(child: &mut Child) {
    // It may have ended by itself.
    let _ = child.kill();
    let _ = child.wait();
}

impl Stage for Command {
    fn reads(&self) -> Vec<Input> {
        self.needs.iter().map(|need| Input::of(need, &[])).collect()
    }

    fn check(&self, _context: &Context<'_>) -> Result<(), StageError> {
        for file in &self.depends {
            if !file.is_file() {
                let message = format!("it depends on `{}`, which is not there", file.display());
                return Err(StageErrorKind::data(message, "check `depends` in the pipeline file")).in_stage(self.name);
            }
        }
        Ok(())
    }

    fn identity(&self, _context: &Context<'_>) -> Result<Vec<KeyPart>, StageErrorKind> {
        let part = |file: &PathBuf| {
            let stamp = FileStamp::take(&self.folder, file)?;
            Ok(KeyPart::new(stamp.path, stamp.blake3.to_string()))
        };
        let named = self.words.iter().map(|word| self.folder.join(word));
        let files: BTreeSet<PathBuf> =
            named.filter(|path| path.is_file()).chain(self.depends.iter().cloned()).collect();
        files.iter().map(part).collect()
    }

    fn run(&self, context: &Context<'_>) -> Result<Output, StageError> {
        let folder = context.layout.staging(self.name);
        // A command of a run that was killed may still be at work: it must not write what is taken for the output of this one.
        let staged = folder.join(format!("output-{}-{}.parquet", context.run_id, std::process::id()));
        let staged = std::path::absolute(&staged).map_err(DatasetError::at("find", &staged)).in_stage(self.name)?;
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(DatasetError::at("create folder", &folder)).in_stage(self.name)?;
        self.execute(context, &staged).in_stage(self.name)?;
        let rows = table_rows(&staged).map_err(|error| {
            let message = format!("the command has written no Parquet to `{{output}}`: {}", error.kind);
            StageErrorKind::data(message, "write a Parquet file to the path that stands for `{output}`")
        });
        let rows = RowCounts { new: rows.in_stage(self.name)?, ..RowCounts::default() };
        let stamp = put_part(context.layout, self.name, &staged).in_stage(self.name)?;
        let key = KeyHasher::new("content").str(&stamp.blake3.to_string()).finish();
        context.emit(crate::Event::counted(self.name, [("rows", rows.new as usize)]));
        Ok(Output {
            columns: Digests::from([("content".to_owned(), key)]),
            files: vec![stamp],
            rows,
            is_provisional: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_end_in_many_ways_and_long_ones_are_cut_off() {
        let text = format!("one\n\ntwo\r\n10 %\r20 %\rlast {}", "x".repeat(10_000));
        let mut lines = Vec::new();
        each_line(BufReader::with_capacity(7, text.as_bytes()), &mut |line| {
            lines.push(line);
            true
        })
        .unwrap();
        assert_eq!(lines[..4], ["one", "two", "10 %", "20 %"]);
        assert_eq!((lines.len(), lines[4].len()), (5, LINE_BYTES));
    }
}
