//! Whether the parts of a report fit together.

use thiserror::Error;

use super::ReportData;

/// Data that do not fit together.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum ReportError {
    /// A list has another length than there are classes.
    #[error("`{list}` has {found} entries for {classes} classes")]
    Length {
        /// The list.
        list: &'static str,
        /// Its length.
        found: usize,
        /// Number of classes.
        classes: usize,
    },
    /// An index points to no class.
    #[error("`{list}` names class {index} of {classes}")]
    Class {
        /// The list.
        list: &'static str,
        /// The index.
        index: usize,
        /// Number of classes.
        classes: usize,
    },
    /// A matrix or a pair of lists whose sizes disagree.
    #[error("{what} has {found} values where {wanted} are expected")]
    Shape {
        /// What it is.
        what: &'static str,
        /// Number of values.
        found: usize,
        /// Number expected.
        wanted: usize,
    },
    /// An embedding with a value that is no number.
    #[error("row {row} of the embeddings holds a value that is not finite")]
    NotFinite {
        /// Number of the row.
        row: usize,
    },
}

/// An error unless all lists have the lengths that they claim and all indices point to a class.
///
/// The confusion matrix, the figures and counts of classes, the curves and the false alarms may be missing as a whole.
pub(super) fn check(data: &ReportData) -> Result<(), ReportError> {
    let classes = data.classes.len();
    let length = |list, found| match found {
        0 => Ok(()),
        found if found == classes => Ok(()),
        found => Err(ReportError::Length { list, found, classes }),
    };
    length("confusion", data.confusion.len())?;
    length("unknown", data.unknown.len())?;
    length("per_class", data.per_class.len())?;
    length("pr_curves", data.pr_curves.len())?;
    length("counts", data.counts.len())?;
    length("false_alarms.per_class", data.false_alarms.as_ref().map_or(0, |alarms| alarms.per_class.len()))?;
    for row in &data.confusion {
        shape("a row of the confusion matrix", row.len(), classes)?;
    }
    for curve in &data.pr_curves {
        shape("the precision of a curve", curve.precision.len(), curve.recall.len())?;
    }
    let class = |list, index| if index < classes { Ok(()) } else { Err(ReportError::Class { list, index, classes }) };
    for point in data.map.iter().flat_map(|map| &map.points) {
        class("map.points", point.class)?;
    }
    for mistake in &data.mistakes {
        if let Some(picture) = &mistake.spectrogram {
            shape("a spectrogram", picture.levels.len(), picture.bands * picture.frames)?;
        }
    }
    Ok(())
}

/// An error unless there are as many values as wanted.
pub(super) fn shape(what: &'static str, found: usize, wanted: usize) -> Result<(), ReportError> {
    if found == wanted { Ok(()) } else { Err(ReportError::Shape { what, found, wanted }) }
}

#[cfg(test)]
mod tests {
    use super::super::{ClassFigures, EmbeddingMap, MapPoint, Mistake, Spectrogram};
    use super::*;

    #[test]
    fn data_that_do_not_fit_together_are_told_by_name() {
        let two = || ReportData { classes: vec!["a".to_owned(), "b".to_owned()], ..ReportData::default() };
        assert_eq!(check(&two()), Ok(()));
        let data = ReportData { per_class: vec![ClassFigures::default()], ..two() };
        assert_eq!(check(&data).unwrap_err().to_string(), "`per_class` has 1 entries for 2 classes");
        let data = ReportData { confusion: vec![vec![1, 2], vec![3]], ..two() };
        let ragged = "a row of the confusion matrix has 1 values where 2 are expected";
        assert_eq!(check(&data).unwrap_err().to_string(), ragged);
        let points = vec![MapPoint { class: 2, ..MapPoint::default() }];
        let data = ReportData { map: Some(EmbeddingMap { points, ..EmbeddingMap::default() }), ..two() };
        assert_eq!(check(&data).unwrap_err().to_string(), "`map.points` names class 2 of 2");
        let spectrogram = Some(Spectrogram { bands: 2, frames: 3, levels: vec![0; 5] });
        let data = ReportData { mistakes: vec![Mistake { spectrogram, ..Mistake::default() }], ..two() };
        assert_eq!(check(&data).unwrap_err().to_string(), "a spectrogram has 5 values where 6 are expected");
    }
}
