//! A data root in a bucket: before a verb its copy on this machine is brought up to date, while it writes others are kept out and what it makes is
//! sent, and at its end the bucket has all of it.

use std::fs::{File, TryLockError};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use ecosight_datasets::DatasetError;
use ecosight_datasets::files::write_atomic;
use ecosight_datasets::key::KeyHasher;
use ecosight_datasets::layout::Area;
use ecosight_datasets::lease::{Holder, Lease, LeaseError, RENEW_EVERY};
use ecosight_datasets::mirror::{AREAS, Mirror};
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Place, Store, Trouble};

use super::args::{GcArgs, ModelsArgs, ModelsVerb, RunsArgs, RunsVerb, Verb, VerifyArgs};
use super::error::CliError;
use super::printer::Printer;
use super::root::size;
use super::session::{Globals, now};
use crate::ExitStatus;
use crate::engine::{Lock, LockError, RunError, host};

/// How often what was made is sent while a run goes on.
const SEND_EVERY: Duration = Duration::from_mins(1);

/// How long to wait before it is tried again to have the data root.
const AGAIN: Duration = Duration::from_millis(500);

/// For how long another process of this machine may fetch before this one gives up.
const PATIENCE: Duration = Duration::from_secs(10);

/// For how long it is tried to bring a copy up to date that is only read.
const READ_WITHIN: Duration = Duration::from_secs(5);

/// What a verb does with the data root.
pub(crate) enum Use {
    /// Nothing with its tables and models.
    Nothing,
    /// It reads these.
    Read(&'static [Area]),
    /// It reads these where they can be had, and tells what is wrong.
    Check(&'static [Area]),
    /// It writes, and may wait for another who does.
    Write { wait: bool },
}

impl Use {
    /// What `verb` does with the data root. Every verb is named: one that is not would read a copy that nobody brings up to date, and write without a
    /// lease.
    pub(crate) fn of(verb: &Verb) -> Self {
        match verb {
            Verb::Retrain(args) if !args.dry_run => Self::Write { wait: args.wait },
            Verb::Evaluate(args) if !args.cv => Self::Write { wait: false },
            Verb::Gc(GcArgs { yes: true, .. })
            | Verb::Verify(VerifyArgs { repair: true, .. })
            | Verb::Models(ModelsArgs {
                verb:
                    ModelsVerb::Promote { .. }
                    | ModelsVerb::Rollback { .. }
                    | ModelsVerb::Pin { .. }
                    | ModelsVerb::Unpin { .. },
            })
            | Verb::Runs(RunsArgs { verb: RunsVerb::Report { .. } }) => Self::Write { wait: false },
            Verb::Failed(args) if args.retry => Self::Write { wait: false },
            Verb::Review(args) if args.import.is_some() => Self::Write { wait: false },
            Verb::Review(args) if args.dir.is_some() => Self::Read(&[Area::Models, Area::Journal]),
            Verb::Predict(_) | Verb::Models(_) => Self::Read(&[Area::Models, Area::Journal]),
            Verb::Retrain(_)
            | Verb::Evaluate(_)
            | Verb::Status(_)
            | Verb::Gc(_)
            | Verb::Verify(_)
            | Verb::Audit(_)
            | Verb::Review(_)
            | Verb::Failed(_) => Self::Read(&AREAS),
            Verb::Runs(_) => Self::Read(&[Area::Runs, Area::Models, Area::Journal]),
            Verb::Doctor(_) => Self::Check(&[Area::Snapshots, Area::Models, Area::Journal]),
            Verb::Demo(_)
            | Verb::Ingest(_)
            | Verb::Embed(_)
            | Verb::Graph(_)
            | Verb::Weights(_)
            | Verb::Init(_)
            | Verb::Config(_)
            | Verb::Storage(_)
            | Verb::Completions(_) => Self::Nothing,
        }
    }
}

/// Does `verb`, which uses the data root so.
pub(crate) fn around(
    how: &Use,
    globals: &Globals,
    printer: &Printer,
    verb: impl FnOnce() -> Result<ExitStatus, CliError>,
) -> Result<ExitStatus, CliError> {
    let place @ Place::Bucket(_) = globals.root() else { return verb() };
    let store = || Ok::<_, DatasetError>(Arc::new(Store::connect(place, globals.access()?)?));
    // Who only reads has something to go by, and should not wait for long.
    let reading = || -> Result<_, DatasetError> {
        let access = globals.access()?.patient_for(READ_WITHIN);
        Ok(Arc::new(Store::connect(place, &access)?.until(&globals.cancelled)))
    };
    match how {
        Use::Nothing => verb(),
        Use::Check(areas) => {
            // What is wrong is for the checks to tell.
            if let Ok(store) = reading()
                && let Ok(Some(_lock)) = reader(globals)
            {
                let _ = Mirror::open(store, globals.layout.clone()).and_then(|mirror| fetch(&mirror, areas, printer));
            }
            verb()
        }
        Use::Read(areas) => {
            let mirror = Mirror::open(reading()?, globals.layout.clone())?;
            if let Some(_lock) = reader(globals)? {
                match fetch(&mirror, areas, printer) {
                    Err(error) if is_passing(&error) && mirror.is_filled(areas) => printer.warning(&format!(
                        "`{place}` does not answer; what follows is as it was when this machine last fetched from it"
                    )),
                    result => result?,
                }
            }
            verb()
        }
        Use::Write { wait } => {
            let writer = Writer::begin(store()?, *wait, globals, printer)?;
            writer.finish(verb, printer)
        }
    }
}

/// Whoever fetches keeps writers of the same copy out meanwhile; nobody need fetch while one of them works here.
fn reader(globals: &Globals) -> Result<Option<File>, CliError> {
    let path = globals.layout.copy_lock();
    std::fs::create_dir_all(globals.layout.root())?;
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock_shared() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error.into()),
    }
}

/// Whether an error is about the way to the bucket or its server, and may be over soon.
fn is_passing(error: &DatasetError) -> bool {
    matches!(Trouble::of(error), Some(Trouble::Unreachable | Trouble::ServerFailed | Trouble::Overloaded))
}

fn fetch(mirror: &Mirror, areas: &[Area], printer: &Printer) -> Result<(), DatasetError> {
    let address = mirror.store().place().to_string();
    let told = std::sync::atomic::AtomicBool::new(false);
    let progress = |_, total| {
        if !told.swap(true, Ordering::Relaxed) {
            printer.note(&format!("fetching {total} file(s) of {address}"));
        }
    };
    let pulled = block_on(mirror.pull(areas, &progress))?;
    if pulled.files > 0 && printer.verbose {
        printer.note(&format!("fetched {} file(s), {}", pulled.files, size(pulled.bytes)));
    }
    Ok(())
}

/// The one who writes the data root.
struct Writer {
    mirror: Mirror,
    renewal: Renewal,
    _lock: Lock,
}

impl Writer {
    /// Keeps others out, on this machine and elsewhere, and brings the copy up to date.
    fn begin(store: Arc<Store>, wait: bool, globals: &Globals, printer: &Printer) -> Result<Self, CliError> {
        let lock = retry(wait, globals, printer, |waited| match Lock::take(&globals.layout.copy_lock(), now()) {
            // It may only be fetching.
            Err(error @ LockError::Held { .. }) if wait || waited < PATIENCE => Attempt::Again(error.to_string()),
            result => Attempt::Done(result.map_err(|error| RunError::from(error).into())),
        })?;
        let name = format!("process {} on {}", std::process::id(), host());
        let holder = Holder { name, copy: copy_id(globals)? };
        let lease = retry(wait, globals, printer, |_| match block_on(Lease::take(store.clone(), &holder, now())) {
            Err(error @ LeaseError::Held { .. }) if wait => Attempt::Again(error.to_string()),
            result => Attempt::Done(result.map_err(CliError::from)),
        })?;
        let renewal = Renewal::start(lease, globals);
        let mirror = Mirror::open(store, globals.layout.clone())?;
        fetch(&mirror, &AREAS, printer)?;
        Ok(Self { mirror, renewal, _lock: lock })
    }

    /// Does `verb`, sends what it has made, and lets others in.
    fn finish(
        self,
        verb: impl FnOnce() -> Result<ExitStatus, CliError>,
        printer: &Printer,
    ) -> Result<ExitStatus, CliError> {
        let Self { mirror, renewal, _lock } = self;
        let (stop, stopped) = channel::<()>();
        let result = std::thread::scope(|scope| {
            let (mirror, renewal) = (&mirror, &renewal);
            scope.spawn(move || send(mirror, renewal, &stopped));
            let result = verb();
            drop(stop);
            result
        });
        // However it ended: what was made until then need not be made again.
        let sent = if renewal.is_lost() { Ok(()) } else { block_on(mirror.push_all(now())).map(drop) };
        renewal.end(printer)?;
        match (result, sent) {
            (Ok(status), Ok(())) => Ok(status),
            (Ok(_), Err(error)) => {
                Err(CliError::from(error).with_note("everything was made, but not all of it could be sent"))
            }
            (Err(error), sent) => {
                if let Err(sent) = sent {
                    printer.warning(&format!("what was made until then could not be sent: {sent}"));
                }
                Err(error)
            }
        }
    }
}

/// Sends what was made, every now and then, until `stopped`. What fails is tried again, and told at the end.
fn send(mirror: &Mirror, renewal: &Renewal, stopped: &Receiver<()>) {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(SEND_EVERY) {
        if !renewal.is_lost() {
            let _ = block_on(mirror.push());
        }
    }
}

/// Tells this copy of the data root from all others, whatever their machines are called.
fn copy_id(globals: &Globals) -> Result<String, CliError> {
    let path = globals.layout.root().join(".copy-id");
    if let Ok(id) = std::fs::read_to_string(&path)
        && !id.trim().is_empty()
    {
        return Ok(id.trim().to_owned());
    }
    let nanoseconds = now().timestamp_nanos_opt().unwrap_or_default() as u64;
    let id =
        KeyHasher::new("copy").str(&host()).u64(u64::from(std::process::id())).u64(nanoseconds).finish().to_string();
    write_atomic(&path, id.as_bytes())?;
    Ok(id)
}

/// A lease that is renewed by a thread of its own, whatever else goes on.
struct Renewal {
    thread: Option<JoinHandle<Result<Lease, LeaseError>>>,
    stop: Option<Sender<()>>,
    is_lost: Arc<AtomicBool>,
}

impl Renewal {
    /// Renews `lease` from now on. Where it is lost, the verb is told to stop.
    fn start(lease: Lease, globals: &Globals) -> Self {
        let (stop, stopped) = channel::<()>();
        let is_lost = Arc::new(AtomicBool::new(false));
        let (lost, cancelled) = (is_lost.clone(), globals.cancelled.clone());
        let renew = move || {
            renew(lease, &stopped).inspect_err(|_| {
                lost.store(true, Ordering::Relaxed);
                cancelled.store(true, Ordering::Relaxed);
            })
        };
        Self { thread: Some(std::thread::spawn(renew)), stop: Some(stop), is_lost }
    }

    fn is_lost(&self) -> bool {
        self.is_lost.load(Ordering::Relaxed)
    }

    /// Gives the lease back.
    fn end(mut self, printer: &Printer) -> Result<(), CliError> {
        match self.stopped() {
            Some(Ok(Ok(lease))) => {
                if let Err(error) = block_on(lease.release()) {
                    printer.warning(&format!("others must wait two minutes: {error}"));
                }
                Ok(())
            }
            Some(Ok(Err(error))) => Err(error.into()),
            _ => Err(CliError::bug()),
        }
    }

    fn stopped(&mut self) -> Option<std::thread::Result<Result<Lease, LeaseError>>> {
        drop(self.stop.take());
        self.thread.take().map(JoinHandle::join)
    }
}

impl Drop for Renewal {
    fn drop(&mut self) {
        // Left early, because of an error that is told: nobody need wait for it to expire.
        if let Some(Ok(Ok(lease))) = self.stopped() {
            let _ = block_on(lease.release());
        }
    }
}

/// Renews the lease until `stopped`; an error once it is lost.
fn renew(mut lease: Lease, stopped: &Receiver<()>) -> Result<Lease, LeaseError> {
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(RENEW_EVERY) {
        match block_on(lease.renew(now())) {
            Err(LeaseError::Store(_)) if now() < lease.expires_at() => {}
            result => result?,
        }
    }
    Ok(lease)
}

/// What came of trying.
enum Attempt<T> {
    Done(Result<T, CliError>),
    /// Not yet, because of this.
    Again(String),
}

/// Tries until it is done; `attempt` gets how long that has taken.
fn retry<T>(
    wait: bool,
    globals: &Globals,
    printer: &Printer,
    mut attempt: impl FnMut(Duration) -> Attempt<T>,
) -> Result<T, CliError> {
    let start = Instant::now();
    let mut is_told = !wait;
    loop {
        match attempt(start.elapsed()) {
            Attempt::Done(result) => return result,
            Attempt::Again(why) => {
                if !is_told {
                    printer.note(&format!("{why}; waiting for its end"));
                    is_told = true;
                }
            }
        }
        if globals.is_cancelled() {
            return Err(CliError::interrupted("nothing was changed"));
        }
        std::thread::sleep(AGAIN);
    }
}
