//! A data root in a bucket: before a verb its copy on this machine is brought up to date, while it writes others are kept out and what it makes is
//! sent, and at its end the bucket has all of it.

use std::fs::{File, TryLockError};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, atomic::Ordering};
use std::time::{Duration, Instant};

use ecosight_datasets::key::KeyHasher;
use ecosight_datasets::layout::Area;
use ecosight_datasets::lease::{Holder, Lease, LeaseError, RENEW_EVERY};
use ecosight_datasets::mirror::{AREAS, Mirror};
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Place, Store};
use ecosight_datasets::{DatasetError, DatasetErrorKind};

use super::args::{GcArgs, Verb, VerifyArgs};
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

/// What a verb does with the data root.
pub(crate) enum Use {
    /// Nothing with its tables and models.
    Nothing,
    /// It reads these.
    Read(&'static [Area]),
    /// It writes, and may wait for another who does.
    Write { wait: bool },
}

impl Use {
    /// What `verb` does with the data root.
    pub(crate) fn of(verb: &Verb) -> Self {
        match verb {
            Verb::Retrain(args) if !args.dry_run => Self::Write { wait: args.wait },
            Verb::Evaluate(args) if !args.cv => Self::Write { wait: false },
            Verb::Gc(GcArgs { yes: true, .. }) | Verb::Verify(VerifyArgs { repair: true, .. }) => {
                Self::Write { wait: false }
            }
            Verb::Failed(args) if args.retry => Self::Write { wait: false },
            Verb::Predict(_) => Self::Read(&[Area::Models]),
            Verb::Retrain(_)
            | Verb::Evaluate(_)
            | Verb::Status(_)
            | Verb::Gc(_)
            | Verb::Verify(_)
            | Verb::Failed(_) => Self::Read(&AREAS),
            Verb::Runs(_) => Self::Read(&[Area::Runs, Area::Models]),
            Verb::Doctor(_) => Self::Read(&[Area::Index, Area::Models]),
            _ => Self::Nothing,
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
    match how {
        Use::Nothing => verb(),
        Use::Read(areas) => {
            let mirror = Mirror::open(store()?, globals.layout.clone())?;
            if let Some(_lock) = reader(globals)? {
                fetch(&mirror, areas, printer)?;
            }
            verb()
        }
        Use::Write { wait } => {
            let writer = Writer::begin(store()?, *wait, globals, printer)?;
            writer.finish(verb, globals, printer)
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

fn fetch(mirror: &Mirror, areas: &[Area], printer: &Printer) -> Result<(), CliError> {
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
    mirror: Arc<Mirror>,
    lease: Lease,
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
        let holder = Holder {
            name: format!("process {} on {}", std::process::id(), host()),
            copy: KeyHasher::new("copy")
                .str(&host())
                .str(&globals.layout.root().display().to_string())
                .finish()
                .to_string(),
        };
        let lease = retry(wait, globals, printer, |_| match block_on(Lease::take(store.clone(), &holder, now())) {
            Err(error @ LeaseError::Held { .. }) if wait => Attempt::Again(error.to_string()),
            result => Attempt::Done(result.map_err(CliError::from)),
        })?;
        let mirror = Arc::new(Mirror::open(store, globals.layout.clone())?);
        if let Err(error) = fetch(&mirror, &AREAS, printer) {
            let _ = block_on(lease.release());
            return Err(error);
        }
        Ok(Self { mirror, lease, _lock: lock })
    }

    /// Does `verb`, sends what it has made, and lets others in.
    fn finish(
        self,
        verb: impl FnOnce() -> Result<ExitStatus, CliError>,
        globals: &Globals,
        printer: &Printer,
    ) -> Result<ExitStatus, CliError> {
        let Self { mirror, lease, _lock } = self;
        let (stop, stopped) = channel::<()>();
        let (result, kept) = std::thread::scope(|scope| {
            let mirror = &mirror;
            let keeper = scope.spawn(move || keep(lease, mirror, &stopped, globals));
            let result = verb();
            drop(stop);
            (result, keeper.join())
        });
        let lease = match kept {
            Ok(Ok(lease)) => lease,
            Ok(Err(error)) => return Err(error.into()),
            Err(_) => return Err(CliError::bug()),
        };
        // However it ended: what was made until then need not be made again.
        let sent = block_on(mirror.push());
        let released = block_on(lease.release());
        match (result, sent) {
            (Ok(status), Ok(_)) => {
                if let Err(error) = released {
                    printer.warning(&format!("others must wait two minutes: {error}"));
                }
                Ok(status)
            }
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

/// Renews the lease and sends what was made, until `stopped`. Where the lease is lost the verb is stopped.
fn keep(mut lease: Lease, mirror: &Mirror, stopped: &Receiver<()>, globals: &Globals) -> Result<Lease, LeaseError> {
    let mut sent = Instant::now();
    while let Err(RecvTimeoutError::Timeout) = stopped.recv_timeout(RENEW_EVERY) {
        let mut renewed = block_on(lease.renew(now()));
        if sent.elapsed() >= SEND_EVERY {
            // What fails now is tried again, and told at the end; but who is refused has no lease any more.
            match block_on(mirror.push()) {
                Err(error @ DatasetError { kind: DatasetErrorKind::Conflict, .. }) => renewed = Err(error.into()),
                _ => sent = Instant::now(),
            }
        }
        let is_over = now() >= lease.expires_at();
        match renewed {
            Err(LeaseError::Store(error)) if !is_over && !matches!(error.kind, DatasetErrorKind::Conflict) => {}
            Err(error) => {
                globals.cancelled.store(true, Ordering::Relaxed);
                return Err(error);
            }
            Ok(()) => {}
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
