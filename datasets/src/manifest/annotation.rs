//! A labelled span that somebody marked in a recording, as programs for listening write it.

use std::collections::HashSet;

use crate::audio::Span;

/// Characters of a label.
const LONGEST_LABEL: usize = 64;

/// A labelled span of a recording.
#[derive(Clone, Debug, PartialEq)]
pub struct Annotation {
    /// What is heard.
    pub label: String,
    /// When.
    pub span: Span,
    /// Name of the recording, where the file names it; else the one that it lies beside.
    pub recording: Option<String>,
}

/// What makes two annotations the same: label, start, end and recording.
type Identity = (String, u64, Option<u64>, Option<String>);

/// The annotations so far, to find repeated ones in constant time: a table may have hundreds of thousands of lines.
#[derive(Debug, Default)]
pub(super) struct Distinct(HashSet<Identity>);

impl Distinct {
    /// Remembers `annotation` of `recording`; false if there was an equal one before.
    pub(super) fn insert(&mut self, annotation: &Annotation, recording: Option<&str>) -> bool {
        let Annotation { label, span, .. } = annotation;
        // Adding 0 makes the zero of −0.0 positive: equal times have equal bits then, as none is NaN.
        let bits = |time_s: f64| (time_s + 0.0).to_bits();
        self.0.insert((label.clone(), bits(span.start_s), span.end_s.map(bits), recording.map(str::to_owned)))
    }
}

/// A line that is not understood.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {why}")]
pub struct LineProblem {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl LineProblem {
    /// The line with the index `index` is not understood.
    pub(super) fn at(index: usize, why: impl Into<String>) -> Self {
        Self { line: index + 1, why: why.into() }
    }
}

/// The span from `start` to `end`, both seconds.
pub(super) fn span(index: usize, start: &str, end: &str) -> Result<Span, LineProblem> {
    let number = |text: &str| {
        let number = text.trim().parse::<f64>().ok().filter(|number| number.is_finite());
        number.ok_or_else(|| LineProblem::at(index, format!("`{}` is no number of seconds", text.trim())))
    };
    let (start_s, end_s) = (number(start)?, number(end)?);
    if start_s < 0.0 || end_s <= start_s {
        return Err(LineProblem::at(index, format!("the span from {start_s} s to {end_s} s has no length")));
    }
    Ok(Span { start_s, end_s: Some(end_s) })
}

/// The label that `text` is.
pub(super) fn label(index: usize, text: &str) -> Result<String, LineProblem> {
    let text = text.trim();
    if text.is_empty() {
        return Err(LineProblem::at(index, "it has no label"));
    }
    if text.chars().count() > LONGEST_LABEL || text.contains(|c: char| c.is_control() || matches!(c, '/' | '\\')) {
        let why = format!("a label has at most {LONGEST_LABEL} characters, none of them a slash");
        return Err(LineProblem::at(index, why));
    }
    Ok(text.to_owned())
}
