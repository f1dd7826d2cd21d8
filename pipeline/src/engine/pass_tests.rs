//! Runs that go through their stages more than once because a stage has found something that changes what others make.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use ecosight_datasets::DatasetError;
use ecosight_datasets::key::KeyHasher;
use ecosight_datasets::layout::Layout;
use ecosight_datasets::manifest::Source;
use ecosight_datasets::store::Store;
use ecosight_datasets::tables::Digests;
use ecosight_models::weights::WeightsCache;
use ecosight_stages::{Context, Event, Input, KeyPart, Output, RowCounts, Stage, StageError, StageErrorKind};

use super::*;

/// Makes as many rows as there is known of; runs again where that changes.
struct Maker {
    known: Arc<AtomicU64>,
    runs: Arc<AtomicU64>,
}

impl Stage for Maker {
    fn reads(&self) -> Vec<Input> {
        Vec::new()
    }

    fn identity(&self, _: &Context<'_>) -> Result<Vec<KeyPart>, StageErrorKind> {
        Ok(vec![KeyPart::new("known", self.known.load(Ordering::Relaxed).to_string())])
    }

    fn run(&self, context: &Context<'_>) -> Result<Output, StageError> {
        assert!(!context.forced || self.runs.load(Ordering::Relaxed) == 0, "all of its work is done once");
        self.runs.fetch_add(1, Ordering::Relaxed);
        let known = self.known.load(Ordering::Relaxed);
        let message = "the same in each pass".to_owned();
        context.emit(Event::Warning { stage: "maker", message });
        let digest = KeyHasher::new("made").u64(known).finish();
        let rows = RowCounts { new: u64::from(known == 0) + 1, reused: known, ..RowCounts::default() };
        Ok(Output { columns: Digests::from([("rows".to_owned(), digest)]), rows, ..Output::default() })
    }
}

/// Finds something new until it knows `enough`.
struct Finder {
    known: Arc<AtomicU64>,
    enough: u64,
}

impl Stage for Finder {
    fn reads(&self) -> Vec<Input> {
        vec![Input::of("maker", &["rows"])]
    }

    fn run(&self, _: &Context<'_>) -> Result<Output, StageError> {
        if self.known.load(Ordering::Relaxed) < self.enough {
            let why = format!("thing {}", self.known.fetch_add(1, Ordering::Relaxed) + 1);
            return Err(StageError { stage: "finder", kind: Box::new(StageErrorKind::AnotherPass { why }) });
        }
        Ok(Output::default())
    }
}

/// What a run came to, how often the first stage ran, and the events by kind.
struct Ran {
    result: Result<(), RunError>,
    makings: u64,
    outcome: RunOutcome,
    events: BTreeMap<String, usize>,
}

fn ran(enough: u64, force: Force) -> Ran {
    let dir = tempfile::tempdir().unwrap();
    let (known, runs) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let planned = |name, needs: &[&str], stage| PlannedStage {
        name,
        version: 1,
        about: String::new(),
        needs: needs.iter().map(|&need| need.to_owned()).collect(),
        when: When::Stale,
        params: Vec::new(),
        stage,
    };
    let stages = vec![
        planned("maker", &[], Box::new(Maker { known: known.clone(), runs: runs.clone() })),
        planned("finder", &["maker"], Box::new(Finder { known, enough })),
    ];
    let pipeline = Pipeline { max_failed: 0.0, stages, settings: Vec::new(), table: toml::Table::new() };
    let (layout, source) = (Layout::new(dir.path()), Source::Folder(dir.path().to_owned().into()));
    let record = Mutex::new(Record::begin(&layout, "run", "2026-01-01T00:00:00Z", &source, &pipeline).unwrap());
    let found = Mutex::new(BTreeMap::new());
    let events = |event: Event| {
        let name = serde_json::to_value(&event).unwrap()["event"].as_str().unwrap().to_owned();
        *found.lock().unwrap().entry(name).or_insert(0) += 1;
        record.lock().unwrap().note(&event, "2026-01-01T00:00:00Z").unwrap();
    };
    let (weights, cancelled) = (WeightsCache::new(dir.path()), AtomicBool::new(false));
    let context = Context {
        layout: &layout,
        source: &source,
        open: &|_: &Source| -> Result<Store, DatasetError> { unreachable!("no stage reads audio") },
        weights: &weights,
        run_id: "run",
        started_at: "2026-01-01T00:00:00Z",
        max_failed: 0.0,
        settings: &pipeline.settings,
        events: &events,
        cancelled: &cancelled,
        forced: false,
        force_publish: false,
        allow_loss: false,
        user: None,
        reason: None,
    };
    let selection = Selection::of(&pipeline, Scope::All, force).unwrap();
    let lock = Lock::take(&layout.lock(), "2026-01-01T00:00:00Z".parse().unwrap()).unwrap();
    let result = run(&selection, &context, &lock);
    let plan = foresee(&selection, &context).unwrap();
    if result.is_ok() && selection.forced("maker").is_none() {
        assert!(plan.iter().all(|work| work.verdict == Verdict::Fresh), "{plan:?}");
    }
    let outcome = record.into_inner().unwrap().finish(1.0, "ok", None).unwrap();
    Ran { result, makings: runs.load(Ordering::Relaxed), outcome, events: found.into_inner().unwrap() }
}

#[test]
fn a_stage_that_asks_for_another_pass_gets_one_in_which_only_stale_stages_run() {
    for force in [Force::None, Force::All] {
        let ran = ran(2, force);
        ran.result.unwrap();
        assert_eq!((ran.makings, ran.events["stage_started"], ran.events["told"]), (3, 6, 2));
        assert_eq!((ran.events["warning"], ran.outcome.warnings.len()), (1, 1), "{:?}", ran.outcome.warnings);
        let names: Vec<_> = ran.outcome.stages.iter().map(|stage| (&*stage.stage, &*stage.status)).collect();
        assert_eq!(names, [("maker", "ok"), ("finder", "ok")]);
        // Two rows in the first pass, one in each of the others.
        let rows = ran.outcome.stages[0].rows;
        assert_eq!((rows.new, rows.reused), (4, 0));
        assert_eq!(ran.outcome.timings.len(), 2);
    }
}

#[test]
fn passes_end_with_an_error_where_there_is_no_end_of_them() {
    let ran = ran(u64::MAX, Force::None);
    let RunError::Stage(error) = ran.result.unwrap_err() else { panic!("a stage stops") };
    assert_eq!(error.kind.to_string(), "thing 10");
    assert!(error.kind.hint().unwrap().contains("what was found is kept"));
    assert_eq!(ran.makings, 10);
}
