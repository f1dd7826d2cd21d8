//! Many clips: files are opened ahead, a sliding window of clips is worked on by all threads, and what comes of them is handed over in
//! order.
//!
//! No worker ever waits for anything: a long clip returns after each batch of rows and is sent on its way again once somebody has taken
//! them. So whoever takes the rows sets the pace, and memory is bounded by the window of clips, not by their number or length.

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::Duration;

use ecosight_datasets::audio::Span;
use ecosight_datasets::store::OpenError;
use ecosight_datasets::tables::Patches;

use crate::StageErrorKind;
use crate::bridge::Opened;
use crate::clip::{Advance, Bench, Clip, ClipEmbeddings, ClipError, Heard, Recipe};

/// Clips on their way at a time, for each thread: enough that no thread waits for the slowest clip.
const CLIPS_PER_THREAD: usize = 4;

/// Bytes of finished rows that wait for their turn before no further clip is begun.
const WAITING_BYTES: usize = 32 << 20;

/// How long the loop sleeps at most before it looks whether the user wants to stop.
const LOOK: Duration = Duration::from_millis(20);

/// What is to be made of one file.
#[derive(Clone, Copy, Debug)]
pub struct Order<'a> {
    /// The part of the file.
    pub span: Option<Span>,
    /// The variants.
    pub recipes: &'a [Recipe],
}

/// What comes out, for the clip with this number.
#[derive(Debug)]
pub enum Piece {
    /// Rows of one recipe of a long clip that is not complete yet, in order within the clip, but amid those of other clips.
    Rows(usize, usize, Patches),
    /// A clip is complete or has failed. These come in the order of the clips.
    Done(usize, Outcome),
}

/// What came of a clip.
#[derive(Debug)]
pub enum Outcome {
    /// All of it.
    Whole(ClipEmbeddings),
    /// Its rows were handed over before.
    Long(Heard),
    /// It cannot be used; rows that were handed over are void.
    Failed(ClipError),
}

/// Takes the pieces.
pub type Receive<'a> = dyn FnMut(Piece) -> Result<(), StageErrorKind> + 'a;

/// What a worker sends back.
enum Report<'a> {
    Rows(usize, Box<Clip<'a>>, Vec<(usize, Patches)>),
    Done(usize, Outcome),
}

/// The state of the loop that hands out clips and takes back what comes of them.
struct Loop<'a, 'e> {
    bench: Bench<'a>,
    orders: &'a [Order<'a>],
    files: &'e Receiver<Opened>,
    sender: Sender<Report<'a>>,
    each: &'e mut Receive<'e>,
    progress: &'e dyn Fn(u64),
    begun: usize,
    working: usize,
    done: u64,
    /// Finished before their turn.
    waiting: BTreeMap<usize, Outcome>,
    waiting_bytes: usize,
    delivered: usize,
}

/// Embeds one file for each of `orders`, as they come out of `files`; `each` gets what comes of them, `progress` the number of clips
/// done. Runs on the threads of rayon; `each` and `progress` are called on this one.
pub fn run(
    bench: Bench<'_>,
    orders: &[Order<'_>],
    files: &Receiver<Opened>,
    each: &mut Receive<'_>,
    progress: &dyn Fn(u64),
) -> Result<(), StageErrorKind> {
    let (sender, reports) = channel();
    rayon::in_place_scope(|scope| {
        let mut work = Loop {
            bench,
            orders,
            files,
            sender,
            each: &mut |piece| each(piece),
            progress,
            begun: 0,
            working: 0,
            done: 0,
            waiting: BTreeMap::new(),
            waiting_bytes: 0,
            delivered: 0,
        };
        let result = work.run(scope, &reports);
        if result.is_err() {
            bench.stop.give_up();
        }
        result
    })
}

impl<'a> Loop<'a, '_> {
    fn run<'s>(&mut self, scope: &rayon::Scope<'s>, reports: &Receiver<Report<'a>>) -> Result<(), StageErrorKind>
    where
        'a: 's,
    {
        while self.delivered < self.orders.len() {
            if self.bench.stop.is_set() {
                return Err(StageErrorKind::Cancelled);
            }
            self.begin(scope)?;
            match wait(reports) {
                Some(Report::Rows(number, clip, rows)) => {
                    for (recipe, patches) in rows {
                        (self.each)(Piece::Rows(number, recipe, patches))?;
                    }
                    self.send_off(scope, number, clip);
                }
                Some(Report::Done(number, outcome)) => {
                    (self.working, self.done) = (self.working - 1, self.done + 1);
                    (self.progress)(self.done);
                    self.finish(number, outcome)?;
                }
                None => {}
            }
        }
        Ok(())
    }

    /// Begins clips while there is room and files are open.
    fn begin<'s>(&mut self, scope: &rayon::Scope<'s>) -> Result<(), StageErrorKind>
    where
        'a: 's,
    {
        let most = CLIPS_PER_THREAD * rayon::current_num_threads();
        while self.begun < self.orders.len()
            && self.begun - self.delivered < most
            && (self.working == 0 || self.waiting_bytes < WAITING_BYTES)
        {
            // With nothing else to wait for, this waits for the file.
            let patience = if self.working == 0 { LOOK } else { Duration::ZERO };
            let file = match self.files.recv_timeout(patience) {
                Ok(file) => file,
                Err(RecvTimeoutError::Timeout) => break,
                // The thread that opens files ends early only when it panics.
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(StageErrorKind::data("the files are no longer opened", "run the same command again"));
                }
            };
            let (number, order) = (self.begun, self.orders[self.begun]);
            self.begun += 1;
            match file {
                Ok(file) => {
                    self.working += 1;
                    self.send_off(scope, number, Box::new(Clip::new(self.bench, file, order.span, order.recipes)));
                }
                Err(OpenError::File { code, message }) => {
                    self.done += 1;
                    (self.progress)(self.done);
                    self.finish(number, Outcome::Failed(ClipError { code: code.to_owned(), message }))?;
                }
                Err(OpenError::Store(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Has a worker take the clip on until there is something to report.
    fn send_off<'s>(&self, scope: &rayon::Scope<'s>, number: usize, mut clip: Box<Clip<'a>>)
    where
        'a: 's,
    {
        let sender = self.sender.clone();
        scope.spawn(move |_| {
            let report = match clip.advance() {
                Ok(Advance::Rows(rows)) => Report::Rows(number, clip, rows),
                Ok(Advance::Whole(embeddings)) => Report::Done(number, Outcome::Whole(embeddings)),
                Ok(Advance::End(heard)) => Report::Done(number, Outcome::Long(heard)),
                Err(error) => Report::Done(number, Outcome::Failed(error)),
            };
            // Nobody listens any more once the loop has ended early.
            let _ = sender.send(report);
        });
    }

    /// Hands over the clips whose turn has come.
    fn finish(&mut self, number: usize, outcome: Outcome) -> Result<(), StageErrorKind> {
        // A clip that was told to leave off has not failed.
        if self.bench.stop.is_set() {
            return Err(StageErrorKind::Cancelled);
        }
        self.waiting_bytes += outcome.bytes();
        self.waiting.insert(number, outcome);
        while let Some(outcome) = self.waiting.remove(&self.delivered) {
            self.waiting_bytes -= outcome.bytes();
            (self.each)(Piece::Done(self.delivered, outcome))?;
            self.delivered += 1;
        }
        Ok(())
    }
}

impl Outcome {
    /// What is known of a clip that can be used.
    pub fn heard(&self) -> Option<&Heard> {
        match self {
            Self::Whole(embeddings) => Some(&embeddings.heard),
            Self::Long(heard) => Some(heard),
            Self::Failed(_) => None,
        }
    }

    /// The same, to be changed.
    pub(crate) fn heard_mut(&mut self) -> Option<&mut Heard> {
        match self {
            Self::Whole(embeddings) => Some(&mut embeddings.heard),
            Self::Long(heard) => Some(heard),
            Self::Failed(_) => None,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Whole(embeddings) => embeddings.variants.iter().map(|p| size_of_val(p.embeddings.as_slice())).sum(),
            Self::Long(_) | Self::Failed(_) => 0,
        }
    }
}

/// The next report, or nothing for now. A worker thread that runs the loop works in the meantime: the others may all be busy, or none
/// be there.
fn wait<T>(reports: &Receiver<T>) -> Option<T> {
    if rayon::current_thread_index().is_some() {
        let report = reports.try_recv().ok();
        if report.is_none() && rayon::yield_now() != Some(rayon::Yield::Executed) {
            std::thread::sleep(Duration::from_micros(200));
        }
        return report;
    }
    reports.recv_timeout(LOOK).ok()
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
