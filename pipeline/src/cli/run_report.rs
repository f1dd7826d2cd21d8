//! `report.html` and `MODEL_CARD.md`: what a run has come to, gathered from its record, its model and the tables.

mod excerpt;
mod gate;
mod groups;
mod record;
mod slices;
mod test_side;

use std::path::PathBuf;

use ecosight_datasets::files::write_atomic;
use ecosight_datasets::manifest::Source;
use ecosight_datasets::store::Place;
use ecosight_datasets::tables::{EpochRow, SliceRow, read_file};
use ecosight_models::ModelError;
use ecosight_models::artefact::{Artefact, ModelMeta, Selection};
use ecosight_models::decision::Labelling;
use ecosight_models::head::{Features, HeadKind, Pooling};
use ecosight_models::metrics::{ClassMetrics, Interval as Ends, Intervals, Metrics, Wish};
use ecosight_stages::slices::SLICES_FILE;
use serde_json::Value;

use super::error::CliError;
use super::session::{Declared, Globals};
use crate::report::{
    ClassFigures, Epoch, Figure, Flag, Interval, MapPoint, Model, Protocol, ReportData, Summary, card, page, stratified,
};
use record::RunRecord;

/// Name of the page in the folder of the run.
pub(crate) const PAGE: &str = "report.html";
/// Name of the card in the folder of the model.
pub(crate) const CARD: &str = "MODEL_CARD.md";

/// A page of more bytes leaves out sounds and points: it is to be mailed and opened on a telephone.
const PAGE_BYTES: usize = 5_000_000;
/// Mistakes that keep their sound, and points that stay, on a page that is too large.
const FEW_SOUNDS: usize = 3;
const FEW_POINTS: usize = 500;

/// Writes both for the run with this record; where the page lies. Nothing where no model was evaluated.
pub(crate) fn write(record: &Value, globals: &Globals) -> Result<Option<PathBuf>, CliError> {
    let run = RunRecord::read(record)?;
    let Some(version) = run.model.clone() else { return Ok(None) };
    let folder = globals.layout.model(&version);
    let artefact = Artefact::load(&folder).map_err(ModelError::from)?;
    let mut data = of_model(&run, &version, &artefact.meta);
    gate::add(&mut data, &folder, run.published);
    let history: Vec<EpochRow> = read_file(&folder.join("training_history.parquet")).unwrap_or_default();
    data.learning = history.iter().map(epoch).collect();
    let slices: Vec<SliceRow> = read_file(&folder.join(SLICES_FILE)).unwrap_or_default();
    data.slices = slices::shown(&slices);
    let source = Source::of(Place::parse(&run.source)?);
    let name = globals.run_name();
    let context = globals.context(&source, &name, Declared { max_failed: 1.0, settings: &[] }, &|_| {});
    if test_side::add(&mut data, &artefact, &context)? {
        data.lineage.tables = record::table_digests(&globals.layout);
    } else {
        let note =
            "the tables have changed since this model was evaluated: curves, map and mistakes cannot be made any more";
        data.flags.push(Flag { word: "older".to_owned(), note: note.to_owned() });
    }
    let place = globals.layout.run(&run.run_id).join(PAGE);
    write_atomic(&place, limited(&mut data)?.as_bytes())?;
    write_atomic(&folder.join(CARD), card(&data)?.as_bytes())?;
    Ok(Some(place))
}

/// The page, with less on it where it would be too large.
fn limited(data: &mut ReportData) -> Result<String, CliError> {
    let less: [fn(&mut ReportData); 3] = [
        |data| data.mistakes.iter_mut().skip(FEW_SOUNDS).for_each(|mistake| mistake.audio.clear()),
        |data| {
            if let Some(map) = &mut data.map {
                let classes: Vec<usize> = map.points.iter().map(|point| point.class).collect();
                let kept = stratified(&classes, FEW_POINTS);
                map.points = kept.into_iter().map(|point| MapPoint { ..map.points[point].clone() }).collect();
            }
        },
        |data| {
            data.mistakes.clear();
            data.pr_curves.clear();
        },
    ];
    let mut html = page(data)?;
    for leave_out in less {
        if html.len() <= PAGE_BYTES {
            break;
        }
        leave_out(data);
        html = page(data)?;
    }
    Ok(html)
}

/// What the run's record and the model's description tell.
fn of_model(run: &RunRecord, version: &str, meta: &ModelMeta) -> ReportData {
    let test = meta.metrics.get("test");
    let mut flags = Vec::new();
    if meta.is_leaky {
        let note = "clips of different sides are copies of each other, so the figures are too good to be true; ecosight audit leaks lists them";
        flags.push(Flag { word: "leaky".to_owned(), note: note.to_owned() });
    }
    if let Some(corrected) = test.map(|test| test.corrected_labels).filter(|n| *n > 0) {
        let note = format!(
            "the labels of {corrected} test clips were corrected by review; the figures rest on the corrected ones"
        );
        flags.push(Flag { word: "corrected labels".to_owned(), note });
    }
    if let Some(ci) = test.and_then(|test| test.ci95.as_ref()).filter(|ci| !ci.is_reliable()) {
        let note = format!("the intervals of all figures are {}", ci.by());
        flags.push(Flag { word: format!("few {}s", ci.unit), note });
    }
    ReportData {
        title: format!("Sound classifier of {} classes", meta.classes.len()),
        run_id: run.run_id.clone(),
        model: Model {
            version: version.to_owned(),
            digest: meta.digest.clone(),
            created_utc: record::made_at(version),
            about: about(meta),
        },
        summary: Summary {
            metric: capitalised(meta.train.labelling().balanced_accuracy_name()),
            challenger: test.map(|test| figures(test)[1].value).unwrap_or_default(),
            ..Summary::default()
        },
        flags,
        classes: meta.classes.clone(),
        protocol: protocol(run, meta),
        accuracy: meta.train.labelling().accuracy_name().to_owned(),
        overall: test.map(figures).unwrap_or_default(),
        confusion: test.map(|test| test.confusion_matrix.clone()).unwrap_or_default(),
        unknown: test.map(Metrics::unknown_rows).unwrap_or_default(),
        per_class: test.map(|test| per_class(test, meta)).unwrap_or_default(),
        timings: run.timings(),
        lineage: run.lineage(meta),
        ..ReportData::default()
    }
}

fn about(meta: &ModelMeta) -> String {
    let head = match meta.train.head {
        HeadKind::Linear => "linear head",
        HeadKind::Mlp => "head with hidden layers",
    };
    let pooling = match meta.train.pooling {
        Pooling::Mean => "mean",
        Pooling::MeanStd => "mean and deviation",
    };
    let features = match meta.train.features {
        Features::Embedding => "",
        Features::Contrast => " and temporal contrast",
    };
    let l2 = meta.selection.as_ref().and_then(|selection| selection.l2);
    let l2 = l2.map(|l2| format!(", L2 {l2}")).unwrap_or_default();
    format!("{head} on the {pooling} of embeddings{features} by {}{l2}", meta.embedder)
}

/// With a capital letter, as at the beginning of a line.
fn capitalised(name: &str) -> String {
    let mut letters = name.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

fn figures(test: &Metrics) -> Vec<Figure> {
    let ends = |ends: fn(&Intervals) -> Ends| test.ci95.as_ref().map(ends).map(|Ends { low, high }| [low, high]);
    let figure = |name: &str, value: f64, ci95| Figure { name: name.to_owned(), value: Interval { value, ci95 } };
    let mut figures = vec![
        figure(&capitalised(test.labelling.accuracy_name()), test.accuracy, ends(|ci| ci.accuracy)),
        figure(
            &capitalised(test.labelling.balanced_accuracy_name()),
            test.balanced_accuracy,
            ends(|ci| ci.balanced_accuracy),
        ),
        figure("Macro F1", test.macro_f1, ends(|ci| ci.macro_f1)),
    ];
    figures.extend(test.weighted_f1.map(|f1| figure("Weighted F1", f1, None)));
    figures
}

fn per_class(test: &Metrics, meta: &ModelMeta) -> Vec<ClassFigures> {
    let decision = meta.decision();
    // A threshold of 0 is none.
    let threshold = |class: usize| decision.thresholds[class].filter(|threshold| *threshold > 0.0).map(f64::from);
    let of = |(number, class): (usize, &ClassMetrics)| {
        let [precision, recall, f1] = class.ratios();
        ClassFigures {
            precision,
            recall,
            f1,
            ap: class.average_precision,
            auroc: class.auroc,
            threshold: threshold(number),
            support: class.support,
        }
    };
    test.per_class.iter().enumerate().map(of).collect()
}

fn protocol(run: &RunRecord, meta: &ModelMeta) -> Protocol {
    let intervals = match meta.metrics.get("test").and_then(|test| test.ci95.as_ref()) {
        Some(ci) => format!(
            "95 % percentile bootstrap {}, {} resamples; of figures that are 100 % or 0 % in all of them, Clopper–Pearson",
            ci.by(),
            ci.resamples
        ),
        None => "none: all test clips belong together (`split.group_by`)".to_owned(),
    };
    let (fitting, thresholds) = match &meta.selection {
        Some(selection) => {
            let tried = selection.tried.len();
            let chosen = if tried > 1 {
                format!("L2 chosen among {tried} by cross-validation over recordings of the train side")
            } else {
                "settings as configured".to_owned()
            };
            let searched = run.search().map(|search| format!("{search}; ")).unwrap_or_default();
            let fitting = format!(
                "{searched}{chosen}; then fitted on {}; the test side had no part in it",
                selection.fitted_on.join(" + ")
            );
            (fitting, thresholds(meta, selection))
        }
        None => ("as the version of EcoSight did that made it".to_owned(), "none".to_owned()),
    };
    Protocol {
        split: run.split(),
        fitting,
        thresholds,
        intervals,
        limits: meta.unmet_thresholds(),
        ..Protocol::default()
    }
}

/// How the thresholds were chosen, and what they decide.
fn thresholds(meta: &ModelMeta, selection: &Selection) -> String {
    let decision = meta.decision();
    let wish = match meta.train.thresholds.wish(decision.labelling) {
        None => return "none: the most probable class is the answer".to_owned(),
        Some(Wish::BestF1) => "the best F1".to_owned(),
        Some(Wish::Precision(precision)) => {
            format!("a precision of at least {precision} with one-sided 95 % confidence")
        }
    };
    let n = selection.calibrated_on;
    let chosen = format!("for {wish}, on {n} train and val clips scored by heads that had not heard their recordings");
    let below = decision.name(&decision.fallback());
    match decision.labelling {
        Labelling::Multi => chosen,
        // Models of before had thresholds, and answered the most probable class whatever they were.
        Labelling::Single if meta.decision.is_none() => format!("{chosen}; they change no answer"),
        Labelling::Single => format!("{chosen}; below that of the most probable class the answer is `{below}`"),
    }
}

fn epoch(row: &EpochRow) -> Epoch {
    Epoch {
        epoch: u64::from(row.epoch),
        loss: row.loss,
        accuracy: Some(row.accuracy),
        val_loss: row.val_loss,
        val_accuracy: row.val_accuracy,
    }
}
