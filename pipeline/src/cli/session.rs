//! What every verb needs: the data root, the weights, the pipeline file, the source, the clock, and Ctrl-C.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, Utc};
use ecosight_datasets::DatasetError;
use ecosight_datasets::files::{folder_of, read_regular_text};
use ecosight_datasets::key::KeyHasher;
use ecosight_datasets::layout::{Area, Layout};
use ecosight_datasets::manifest::Source;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::cache::DEFAULT_LIMIT_BYTES;
use ecosight_datasets::store::{Access, AudioCache, Environment, Place, Settings, Store};
use ecosight_models::weights::WeightsCache;
use ecosight_stages::publish::Author;
use ecosight_stages::{Context, Event, KeyPart, params};

use super::args::{GlobalArgs, PipelineArgs};
use super::error::CliError;
use super::last_run::LastRun;
use super::printer::Printer;
use crate::engine::{BUILT_IN, Layer, Pipeline, SpecError, own_parameters, parse, set, stack};

/// Name of the user's pipeline file in the current folder.
pub(crate) const USER_FILE: &str = "ecosight.toml";

/// New recordings without which there is no training; goes before the pipeline file.
const MIN_NEW_SAMPLES: &str = "MIN_NEW_SAMPLES";

/// Opens the store of a source.
type Open = dyn Fn(&Source) -> Result<Store, DatasetError> + Send + Sync;

/// The environment of one command.
#[derive(Clone)]
pub(crate) struct Globals {
    /// The data root, or its copy on this machine.
    pub(crate) layout: Layout,
    pub(crate) weights: WeightsCache,
    pub(crate) cancelled: Arc<AtomicBool>,
    pub(crate) started: DateTime<Utc>,
    /// How buckets are reached; read when it is first needed, so that a mistake there is nobody else's trouble.
    access: Arc<OnceLock<Access>>,
    open: Arc<Open>,
    /// Who runs the command: `ECOSIGHT_USER`, else the name of the login.
    pub(crate) user: Option<String>,
    root: Place,
    config: Option<PathBuf>,
    cache: PathBuf,
}

/// Most threads that `--jobs` may ask for: 1024, or 4 per core where that is more. Each takes memory, and more than cores are no faster.
fn thread_limit() -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZeroUsize::get);
    cores.saturating_mul(4).max(1024)
}

impl Globals {
    /// Reads the environment, sets up the threads and the answer to Ctrl-C.
    pub(crate) fn new(args: GlobalArgs) -> Result<Self, CliError> {
        let threads = args.jobs.map_or(0, std::num::NonZeroUsize::get);
        let limit = thread_limit();
        if threads > limit {
            let error = format!("`--jobs {threads}` is more than the limit of {limit} threads");
            return Err(CliError::usage(error, "leave `--jobs` out for one thread per core"));
        }
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .map_err(|e| CliError::usage(e.to_string(), "try a smaller `--jobs`"))?;
        let cache = cache_folder()?;
        let root = Place::parse(&args.data_root)?;
        let access = Arc::new(OnceLock::new());
        let (cell, folder, place) = (access.clone(), cache.clone(), root.clone());
        let cancelled = on_interrupt();
        let stop = cancelled.clone();
        Ok(Self {
            access,
            open: Arc::new(move |source| Ok(source.store(reach(&cell, &folder, &place)?)?.until(&stop))),
            layout: layout_of(&root)?,
            user: user(),
            root,
            weights: WeightsCache::new(&cache.join("weights")),
            cache,
            cancelled,
            started: now(),
            config: args.config,
        })
    }

    /// How buckets are reached, as the environment and `.env` say.
    pub(crate) fn access(&self) -> Result<&Access, DatasetError> {
        reach(&self.access, &self.cache, &self.root)
    }

    /// Where the data root is: a folder or a prefix in a bucket.
    pub(crate) fn root(&self) -> &Place {
        &self.root
    }

    /// Where weights are kept for this user.
    pub(crate) fn weights_folder(&self) -> PathBuf {
        self.cache.join("weights")
    }

    /// Now in UTC, RFC 3339, for what is written to disk.
    pub(crate) fn started_at(&self) -> String {
        self.started.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
    }

    /// Identity of this run: its start and four digits that tell runs of one second apart.
    pub(crate) fn run_id(&self) -> String {
        let nanoseconds = self.started.timestamp_nanos_opt().unwrap_or_default();
        let key = KeyHasher::new("run").u64(u64::from(std::process::id())).u64(nanoseconds as u64).finish();
        format!("{}-{}", self.started.format("%Y%m%d-%H%M%S"), &key.to_string()[..4])
    }

    /// The pipeline: all layers over each other, checked as a whole.
    pub(crate) fn pipeline(&self, args: &PipelineArgs, extra: &[String]) -> Result<Pipeline, CliError> {
        Ok(parse(stack(&self.layers(args, extra)?), &self.config_folder())?)
    }

    /// The folder that the user's file lies in: what it names is looked for there.
    pub(crate) fn config_folder(&self) -> PathBuf {
        self.config.as_deref().map_or(PathBuf::from("."), |file| folder_of(file).to_owned())
    }

    /// The layers of the pipeline: the built-in file, the user's over it, `--set` over both, then `extra`.
    pub(crate) fn layers(&self, args: &PipelineArgs, extra: &[String]) -> Result<Vec<Layer>, CliError> {
        let mut layers = vec![Layer::parse("built-in", BUILT_IN)?];
        let user_file = match &self.config {
            Some(path) => Some(path.clone()),
            None => Some(PathBuf::from(USER_FILE)).filter(|path| path.is_file()),
        };
        if let Some(path) = user_file {
            let text = read_regular_text(&path).map_err(|error| {
                CliError::usage(
                    format!("cannot read the pipeline file `{}`: {error}", path.display()),
                    "check `--config`",
                )
            })?;
            layers.push(Layer::parse(&path.display().to_string(), &text)?);
        }
        if let Some(samples) = Environment::read(Path::new("."))?.get(MIN_NEW_SAMPLES) {
            let invalid =
                |_| DatasetError::invalid("read variable", MIN_NEW_SAMPLES, "it is no whole number of recordings");
            let samples: u32 = samples.parse().map_err(invalid)?;
            layers.push(Layer { name: MIN_NEW_SAMPLES.to_owned(), ..set(&format!("train.min_samples={samples}"))? });
        }
        for assignment in args.set.iter().chain(extra) {
            layers.push(set(assignment)?);
        }
        Ok(layers)
    }

    /// The source: named, else that of the last run, else `extracted_audio/` in the data root.
    pub(crate) fn source(&self, args: &PipelineArgs) -> Result<Source, CliError> {
        if let Some(text) = &args.source {
            return Ok(Source::of(match Place::parse(text)? {
                Place::Local(path) => Place::Local(absolute(&path)?),
                bucket @ Place::Bucket(_) => bucket,
            }));
        }
        if let Some(last) = LastRun::read(&self.layout)? {
            return Ok(last.source);
        }
        let originals = Area::ExtractedAudio.name();
        match &self.root {
            Place::Bucket(_) => {
                let store = Store::connect(&self.root, self.access()?)?;
                if !block_on(store.folders(originals))?.is_empty() {
                    return Ok(Source::Folder(self.root.join(originals)));
                }
            }
            Place::Local(_) if self.layout.extracted_audio().is_dir() => {
                return Ok(Source::Folder(absolute(&self.layout.extracted_audio())?.into()));
            }
            Place::Local(_) => {}
        }
        Err(CliError::usage(
            "there is nothing to train on yet",
            "name a folder with one folder of recordings per class: `--source DIR`; or try `ecosight demo`",
        ))
    }

    /// Warns where the split or the embedder is declared otherwise than in the last run, of which only the source is remembered.
    pub(crate) fn warn_of_changes(&self, pipeline: &Pipeline, source: &Source, printer: &Printer) {
        // An unreadable record matters only to who needs its source.
        let last = LastRun::read(&self.layout).ok().flatten().filter(|last| last.source == *source);
        if let Some(other) = last.as_ref().and_then(|last| last.other_root.as_ref()) {
            let message = format!(
                "the last run read `{other}`, and this data root has recordings of its own, which are read now (`--source {other}` reads the others)"
            );
            printer.warning(&message);
        }
        let differences = last.map(|last| last.differences(&pipeline.table, &["split", "embed"])).unwrap_or_default();
        for difference in differences {
            let message = format!("since the last run {difference} (`{USER_FILE}` keeps parameters from run to run)");
            printer.warning(&message);
        }
    }

    /// A context for stages.
    pub(crate) fn context<'a>(
        &'a self,
        source: &'a Source,
        run: &'a RunName,
        declared: Declared<'a>,
        events: &'a (dyn Fn(Event) + Sync),
    ) -> Context<'a> {
        Context {
            layout: &self.layout,
            source,
            open: &*self.open,
            weights: &self.weights,
            run_id: &run.id,
            started_at: &run.started_at,
            max_failed: declared.max_failed,
            settings: declared.settings,
            events,
            cancelled: &self.cancelled,
            forced: false,
            force_publish: false,
            allow_loss: false,
            user: self.user.as_deref(),
            reason: None,
        }
    }

    /// Name and start of this run.
    pub(crate) fn run_name(&self) -> RunName {
        RunName { id: self.run_id(), started_at: self.started_at() }
    }

    /// Who moves the pointer to the model in production, when and why.
    pub(crate) fn author<'a>(&'a self, at: &'a str, reason: Option<&'a str>) -> Author<'a> {
        Author { at, user: self.user.as_deref(), reason }
    }

    /// Whether the user has asked to stop.
    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }
}

/// The layout of the data root: in its folder, or of a bucket's copy on this machine. The copy is no cache: recordings that are not in the
/// bucket yet lie there.
fn layout_of(root: &Place) -> Result<Layout, CliError> {
    match root {
        Place::Local(folder) => Ok(Layout::new(folder)),
        Place::Bucket(_) => {
            let name = KeyHasher::new("data root").str(&root.to_string()).finish().to_string();
            Ok(Layout::copy_of(root, state_folder()?.join("roots").join(&name[..16])))
        }
    }
}

/// Who runs the command, for the history of models.
fn user() -> Option<String> {
    let set = |name: &&str| std::env::var(name).ok().filter(|user| !user.trim().is_empty());
    ["ECOSIGHT_USER", "USER", "LOGNAME"].iter().find_map(set)
}

/// Where this machine keeps what must not be lost, for this user.
fn state_folder() -> Result<PathBuf, CliError> {
    if let Some(folder) = std::env::var_os("ECOSIGHT_STATE_DIR").filter(|v| !v.is_empty()) {
        return Ok(PathBuf::from(folder));
    }
    let folder = dirs::state_dir().or_else(dirs::data_local_dir).map(|dir| dir.join("ecosight"));
    folder.ok_or_else(|| {
        CliError::usage("no folder for the user's state is known", "set ECOSIGHT_STATE_DIR to a folder you may write")
    })
}

fn reach<'a>(cell: &'a OnceLock<Access>, cache: &Path, root: &Place) -> Result<&'a Access, DatasetError> {
    if let Some(access) = cell.get() {
        return Ok(access);
    }
    let environment = Environment::read(Path::new("."))?;
    let mut settings = Settings::read(&environment)?;
    if root.bucket().is_some() {
        settings.bucket = Some((root.clone(), "--data-root".to_owned()));
    }
    let settings = Arc::new(settings);
    let cache = Arc::new(AudioCache::new(cache.join("audio"), cache_limit(&environment)?));
    Ok(cell.get_or_init(|| Access { settings, cache }))
}

/// Bytes of audio from buckets that are kept on this machine.
fn cache_limit(environment: &Environment) -> Result<u64, DatasetError> {
    const NAME: &str = "ECOSIGHT_CACHE_MB";
    let Some(set) = environment.first(&[NAME]) else { return Ok(DEFAULT_LIMIT_BYTES) };
    let megabytes: Result<u64, _> = set.value.parse();
    let invalid = |_| DatasetError::invalid("read variable", &set.origin, "it is no whole number of megabytes");
    Ok(megabytes.map_err(invalid)?.saturating_mul(1_000_000))
}

/// The parameters of one stage; the pipeline was checked when it was parsed.
pub(crate) fn parameters<P: params::Params>(pipeline: &Pipeline, stage: &str) -> Result<P, CliError> {
    let table = own_parameters(&pipeline.table, stage).unwrap_or_default();
    params::parse(&table).map_err(|problems| CliError::from(SpecError { problems }))
}

/// What stages know of the pipeline as a whole.
#[derive(Clone, Copy)]
pub(crate) struct Declared<'a> {
    pub(crate) max_failed: f64,
    pub(crate) settings: &'a [KeyPart],
}

impl<'a> From<&'a Pipeline> for Declared<'a> {
    fn from(pipeline: &'a Pipeline) -> Self {
        Self { max_failed: pipeline.max_failed, settings: &pipeline.settings }
    }
}

/// How a run is called, and when it began.
pub(crate) struct RunName {
    pub(crate) id: String,
    pub(crate) started_at: String,
}

/// The first Ctrl-C asks to stop at the next good moment, the second stops at once.
fn on_interrupt() -> Arc<AtomicBool> {
    let cancelled = Arc::new(AtomicBool::new(false));
    let flag = cancelled.clone();
    let mut first: Option<Instant> = None;
    // Without a handler Ctrl-C still ends the process, only less politely.
    let _ = ctrlc::set_handler(move || {
        flag.store(true, Ordering::Relaxed);
        // Who sends it to the process and to its group, as `timeout` does, has asked once.
        if first.get_or_insert_with(Instant::now).elapsed() > ONE_INTERRUPT {
            std::process::exit(crate::ExitStatus::Interrupted as i32);
        }
    });
    cancelled
}

/// Signals within this time are one.
const ONE_INTERRUPT: Duration = Duration::from_millis(500);

/// Now in UTC, RFC 3339 with milliseconds, for events.
pub(crate) fn time_of_day() -> String {
    now().to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
}

#[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
pub(crate) fn now() -> DateTime<Utc> {
    // Before 1970, chrono's own clock panics.
    DateTime::from(SystemTime::now())
}

/// Where downloaded and imported weights are kept for this user.
fn cache_folder() -> Result<PathBuf, CliError> {
    if let Some(folder) = std::env::var_os("ECOSIGHT_CACHE_DIR").filter(|v| !v.is_empty()) {
        return Ok(PathBuf::from(folder));
    }
    dirs::cache_dir().map(|dir| dir.join("ecosight")).ok_or_else(|| {
        CliError::usage("no folder for the user's cache is known", "set ECOSIGHT_CACHE_DIR to a folder you may write")
    })
}

/// The path from the root of the file system.
pub(crate) fn absolute(path: &Path) -> Result<PathBuf, CliError> {
    Ok(std::path::absolute(path).map_err(DatasetError::at("find", path))?)
}
