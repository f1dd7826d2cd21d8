//! What an example of ours and `tests/peers/compare` say to each other, so that the process stays alive between
//! measurements: one line in, one JSON object per line out. The first line out says that it is ready, or why not.

use std::io::{BufRead, Write};
use std::path::Path;
use std::sync::Barrier;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

/// What answers the words of a request.
pub(crate) type Answer = Box<dyn FnMut(&[&str]) -> Result<Value, String>>;

/// What the ready line says, with what answers from then on; or why there is nothing to measure.
pub(crate) type Started = Result<(Value, Answer), String>;

/// What was done in a measurement.
pub(crate) struct Rate {
    items: usize,
    seconds: f64,
}

impl Rate {
    /// The answer to a request, the items under the name `unit`.
    pub(crate) fn answer(&self, unit: &str) -> Value {
        json!({ unit: self.items, "seconds": self.seconds })
    }
}

/// Answers the requests on standard input until it ends.
pub(crate) fn serve(started: Started) -> std::io::Result<()> {
    let say = |line: &Value| {
        let mut out = std::io::stdout().lock();
        writeln!(out, "{line}")?;
        out.flush()
    };
    let mut answer = match started {
        Ok((ready, answer)) => {
            say(&ready)?;
            answer
        }
        Err(reason) => return say(&json!({ "error": reason })),
    };
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        say(&answer(&words).unwrap_or_else(|reason| json!({ "error": reason })))?;
    }
    Ok(())
}

/// Runs `threads` workers side by side for `seconds`. Each is made on its own thread by `worker`, does one unmeasured step,
/// waits for the others, and then steps, counting the items of each step, until the time is over. The time is the mean of
/// the threads' own, because each ends with its last step, not with the slowest thread.
pub(crate) fn rate<Step: FnMut() -> usize>(threads: usize, seconds: f64, worker: impl Fn() -> Step + Sync) -> Rate {
    let (length, barrier) = (Duration::from_secs_f64(seconds), Barrier::new(threads));
    let measure = || {
        let mut step = worker();
        step();
        barrier.wait();
        let (start, mut items) = (Instant::now(), 0);
        while start.elapsed() < length {
            items += step();
        }
        (items, start.elapsed().as_secs_f64())
    };
    let done: Vec<(usize, f64)> = std::thread::scope(|scope| {
        let handles: Vec<_> = (0..threads).map(|_| scope.spawn(measure)).collect();
        handles.into_iter().map(|handle| handle.join().expect("a worker does not panic")).collect()
    });
    let total: f64 = done.iter().map(|(_, seconds)| seconds).sum();
    Rate { items: done.iter().map(|(items, _)| items).sum(), seconds: total / threads as f64 }
}

/// The value of the option `name` of the command line.
pub(crate) fn option(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip(1);
    arguments.find(|argument| argument == name).and_then(|_| arguments.next())
}

/// The value of the option `name`, which has to be given.
pub(crate) fn required(name: &str) -> Result<String, String> {
    option(name).ok_or_else(|| format!("the option `{name}` is missing"))
}

/// The `index`th word of a request as a number that is not zero.
pub(crate) fn number<T: std::str::FromStr + Default + PartialOrd>(words: &[&str], index: usize) -> Result<T, String> {
    let value = words.get(index).and_then(|word| word.parse().ok());
    value.filter(|value| *value > T::default()).ok_or_else(|| format!("word {index} of {words:?} is no number above 0"))
}

/// A file of raw little-endian `f32`.
pub(crate) fn read_f32(path: &str) -> Result<Vec<f32>, String> {
    let bytes = std::fs::read(path).map_err(|error| format!("{path}: {error}"))?;
    let (values, rest) = bytes.as_chunks::<4>();
    if rest.is_empty() && !values.is_empty() {
        Ok(values.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
    } else {
        Err(format!("{path}: {} bytes are no f32 values", bytes.len()))
    }
}

/// The clips of the file `--clips`, `--samples` samples each, at least one.
pub(crate) fn read_clips() -> Result<Vec<Vec<f32>>, String> {
    let samples: usize = required("--samples")?.parse().map_err(|_| "`--samples` is no number".to_owned())?;
    let path = required("--clips")?;
    let clips: Vec<Vec<f32>> = read_f32(&path)?.chunks_exact(samples.max(1)).map(<[f32]>::to_vec).collect();
    if clips.is_empty() { Err(format!("{path}: not one clip of {samples} samples")) } else { Ok(clips) }
}

/// Writes raw little-endian `f32`.
pub(crate) fn write_f32(path: &str, values: &[f32]) -> Result<(), String> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(Path::new(path), bytes).map_err(|error| format!("{path}: {error}"))
}
