//! A store that fails, dawdles or breaks off at any moment: the run stops with its error, and the next one ends as if nothing had been.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use ecosight_datasets::DatasetErrorKind;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::manifest::Source;
use ecosight_datasets::store::Store;
use ecosight_datasets::synth;
use ecosight_datasets::tables::Digests;
use ecosight_models::weights::WeightsCache;
use ecosight_stages::{Context, StageErrorKind};
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::local::LocalFileSystem;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::*;

/// What a store does at its `n`th operation.
#[derive(Clone, Copy, Debug)]
enum Fault {
    /// It refuses.
    Refuse,
    /// It gives half of the file, then an error.
    BreakOff,
    /// It takes its time, at every operation.
    Dawdle,
    /// Nothing.
    None,
}

#[derive(Debug)]
struct Faulty {
    files: LocalFileSystem,
    fault: Fault,
    at: usize,
    operations: Arc<AtomicUsize>,
}

impl fmt::Display for Faulty {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a faulty store")
    }
}

fn broken() -> Error {
    Error::Generic { store: "faulty", source: "the connection was reset".into() }
}

impl Faulty {
    /// Whether this operation is the one.
    fn is_struck(&self) -> bool {
        if matches!(self.fault, Fault::Dawdle) {
            std::thread::sleep(Duration::from_millis(2));
        }
        self.operations.fetch_add(1, Ordering::Relaxed) == self.at
    }
}

#[async_trait]
impl ObjectStore for Faulty {
    async fn put_opts(&self, _: &object_store::path::Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        Err(broken())
    }

    async fn put_multipart_opts(
        &self,
        _: &object_store::path::Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(broken())
    }

    async fn get_opts(&self, location: &object_store::path::Path, options: GetOptions) -> Result<GetResult> {
        let is_struck = self.is_struck();
        let result = self.files.get_opts(location, options).await?;
        match self.fault {
            Fault::Refuse if is_struck => Err(broken()),
            Fault::BreakOff if is_struck => {
                let half = result.meta.size / 2;
                let (meta, range, attributes) = (result.meta.clone(), result.range.clone(), result.attributes.clone());
                let bytes: Bytes = result.bytes().await?.slice(..half as usize);
                let payload = GetResultPayload::Stream(futures::stream::iter([Ok(bytes), Err(broken())]).boxed());
                Ok(GetResult { payload, meta, range, attributes, extensions: object_store::Extensions::default() })
            }
            _ => Ok(result),
        }
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<object_store::path::Path>>,
    ) -> BoxStream<'static, Result<object_store::path::Path>> {
        locations.map(|_| Err(broken())).boxed()
    }

    fn list(&self, prefix: Option<&object_store::path::Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let entries = self.files.list(prefix);
        match self.fault {
            Fault::Refuse if self.is_struck() => futures::stream::iter([Err(broken())]).boxed(),
            Fault::BreakOff if self.is_struck() => {
                entries.take(9).chain(futures::stream::iter([Err(broken())])).boxed()
            }
            _ => entries,
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&object_store::path::Path>) -> Result<ListResult> {
        self.files.list_with_delimiter(prefix).await
    }

    async fn copy_opts(
        &self,
        _: &object_store::path::Path,
        _: &object_store::path::Path,
        _: CopyOptions,
    ) -> Result<()> {
        Err(broken())
    }
}

/// Runs the whole pipeline; gives the number of operations of the store, and how it ended.
fn retrain(root: &Path, source: &Source, fault: Fault, at: usize) -> (usize, std::result::Result<(), RunError>) {
    let mut table = Layer::parse("built-in", BUILT_IN).unwrap().table;
    for assignment in ["embed.embedder=logmel", "augment.variants=1"] {
        merge(&mut table, &set(assignment).unwrap().table);
    }
    let pipeline = parse(table, Path::new(".")).unwrap();
    let selection = Selection::of(&pipeline, Scope::All, Force::None).unwrap();
    let (layout, weights, cancelled) = (Layout::new(root), WeightsCache::new(root), AtomicBool::new(false));
    let operations = Arc::new(AtomicUsize::new(0));
    let open = |source: &Source| {
        let files = LocalFileSystem::new_with_prefix(source.place().local().unwrap()).unwrap();
        Ok(Store::over(source.place().clone(), Arc::new(Faulty { files, fault, at, operations: operations.clone() })))
    };
    let context = Context {
        layout: &layout,
        source,
        open: &open,
        weights: &weights,
        run_id: "run",
        started_at: "2026-01-01T00:00:00Z",
        max_failed: 0.05,
        settings: &pipeline.settings,
        events: &|_| {},
        cancelled: &cancelled,
        forced: false,
        force_publish: false,
        allow_loss: false,
        user: None,
        reason: None,
    };
    let lock = Lock::take(&layout.lock(), "2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
    let result = run(&selection, &context, &lock);
    (operations.load(Ordering::Relaxed), result)
}

/// What every stage has made.
fn made(root: &Path) -> BTreeMap<String, Digests> {
    let layout = Layout::new(root);
    let state = |stage: &ecosight_stages::Definition| {
        State::read(&layout, stage.name).map(|state| (stage.name.to_owned(), state.columns))
    };
    ecosight_stages::ALL.iter().filter_map(state).collect()
}

#[test]
fn a_store_that_fails_at_any_moment_stops_the_run_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let audio = dir.path().join("audio");
    synth::write_clips(&audio, 6, &mut |_| {}).unwrap();
    let source = Source::Folder(audio.into());
    let root = |name: &str| dir.path().join(name);
    let (operations, result) = retrain(&root("undisturbed"), &source, Fault::None, 0);
    result.unwrap();
    let expected = made(&root("undisturbed"));
    assert_eq!(expected.len(), 8);

    let (_, slow) = retrain(&root("slow"), &source, Fault::Dawdle, usize::MAX);
    slow.unwrap();
    assert_eq!(made(&root("slow")), expected);

    for fault in [Fault::Refuse, Fault::BreakOff] {
        let mut stopped = 0;
        for at in (0..operations).step_by(5) {
            let root = root(&format!("{fault:?}{at}"));
            let (_, result) = retrain(&root, &source, fault, at);
            if let Err(error) = result {
                let RunError::Stage(error) = error else { panic!("{fault:?} at {at}: {error}") };
                let StageErrorKind::Dataset(error) = *error.kind else { panic!("{fault:?} at {at}: {error}") };
                assert!(matches!(error.kind, DatasetErrorKind::Store(_)), "{fault:?} at {at}: {error:?}");
                stopped += 1;
            }
            let (again, result) = retrain(&root, &source, Fault::None, 0);
            result.unwrap();
            assert!(again <= operations, "{fault:?} at {at}: {again} operations");
            assert_eq!(made(&root), expected, "{fault:?} at {at}");
        }
        assert!(stopped > 5, "{fault:?} stopped {stopped} runs");
    }
}
