//! The tables of the model card.

use super::super::words::{self, count, maybe, percent};
use super::super::{Champion, Compared, Criterion, Interval, ReportData};
use super::markdown::{code, table, text};

pub(super) fn overall(data: &ReportData) -> String {
    let summary = &data.summary;
    let interval = |value: &Interval| match words::ends(value) {
        ends if ends.is_empty() => words::NONE.to_owned(),
        ends => ends,
    };
    let main = (&summary.metric, &summary.challenger);
    let others =
        data.overall.iter().map(|figure| (&figure.name, &figure.value)).filter(|(name, _)| **name != summary.metric);
    let row = |(name, value): (&String, &Interval)| vec![text(name), percent(value.value), interval(value)];
    table(&["figure", "value", "95 % interval"], std::iter::once(main).chain(others).map(row))
}

pub(super) fn compared(champion: &Champion) -> String {
    let row = |figure: &Compared| {
        let models = [&figure.champion, &figure.challenger].map(words::with_ends);
        [vec![text(&figure.name)], models.to_vec(), vec![words::points_with_ends(&figure.difference)]].concat()
    };
    table(&["figure", "in production before", "this model", "difference"], champion.figures.iter().map(row))
}

pub(super) fn gate(data: &ReportData) -> String {
    let row = |criterion: &Criterion| {
        let outcome = words::outcome(criterion.outcome).to_owned();
        vec![text(&criterion.name), text(&criterion.wanted), text(&criterion.found), outcome]
    };
    table(&["criterion of the gate", "wanted", "found", "outcome"], data.summary.criteria.iter().map(row))
}

pub(super) fn per_class(data: &ReportData) -> String {
    let header = ["class", "precision", "recall", "F1", "AP", "AUROC", "threshold", "test clips"];
    let rows = data.classes.iter().zip(&data.per_class).map(|(class, figures)| {
        let shares = [figures.precision, figures.recall, figures.f1, figures.ap, figures.auroc, figures.threshold];
        [vec![text(class)], shares.map(maybe).to_vec(), vec![count(figures.support)]].concat()
    });
    table(&header, rows)
}

pub(super) fn slices(data: &ReportData) -> String {
    let rows = data.slices.iter().map(|slice| {
        let name = format!("{}: {}", text(&slice.by), text(&slice.name));
        vec![name, count(slice.clips), words::accuracy(slice), words::ends(&slice.accuracy)]
    });
    table(&["slice", "test clips", data.accuracy_name(), "95 % interval"], rows)
}

pub(super) fn counts(data: &ReportData) -> String {
    let rows = data.classes.iter().zip(&data.counts).map(|(class, sides)| {
        let clips = [sides.train, sides.val, sides.test, sides.augmented].map(count);
        let recordings = [sides.recordings, sides.test_recordings].map(words::maybe_count);
        [vec![text(class)], clips.to_vec(), recordings.to_vec()].concat()
    });
    table(&["class", "train", "val", "test", "augmented", "recordings (train, val)", "recordings (test)"], rows)
}

pub(super) fn groups(data: &ReportData) -> String {
    let rows = data.groups.iter().map(|group| {
        let name = format!("{}: {}", text(&group.by), text(&group.name));
        [vec![name], [group.train, group.val, group.test].map(count).to_vec()].concat()
    });
    table(&["clips of", "train", "val", "test"], rows)
}

pub(super) fn settings(data: &ReportData) -> String {
    let rows = data.lineage.settings.iter().map(|(key, value)| vec![code(key), code(value)]);
    table(&["setting", "value"], rows)
}
