//! The same bytes more than once: harmless under one label, a contradiction under two.

use std::collections::BTreeMap;
use std::fmt;

use crate::key::ClipId;
use crate::tables::{ClipRow, QuarantineRow};

/// Clips sorted out by [`distinct`].
#[derive(Debug, Default)]
pub struct Distinct {
    /// One row per clip, ordered by uri.
    pub rows: Vec<ClipRow>,
    /// Files left out because an earlier one has the same bytes and label, ordered by uri.
    pub duplicates: Vec<Duplicate>,
    /// One row for each file whose bytes also stand under another label.
    pub conflicts: Vec<QuarantineRow>,
}

/// A file that repeats the bytes of another with the same label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Duplicate {
    /// Path of the file below the source.
    pub uri: String,
    /// Path of the one that is kept.
    pub of: String,
}

impl fmt::Display for Duplicate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}` repeats the bytes of `{}`", self.uri, self.of)
    }
}

/// Keeps one row per clip: of equal bytes under one label the first by uri; of equal bytes under several labels none.
pub fn distinct(rows: Vec<ClipRow>, stage: &str) -> Distinct {
    let mut by_clip: BTreeMap<ClipId, Vec<ClipRow>> = BTreeMap::new();
    for row in rows {
        by_clip.entry(row.clip_id).or_default().push(row);
    }
    let mut result = Distinct::default();
    for (_, mut same) in by_clip {
        same.sort_by(|a, b| a.uri.cmp(&b.uri));
        if same.iter().any(|row| row.label != same[0].label) {
            let others: Vec<_> = same.iter().map(|row| format!("`{}` ({})", row.uri, row.label)).collect();
            let message = format!("the same audio stands under different labels: {}", others.join(", "));
            result.conflicts.extend(same.into_iter().map(|row| QuarantineRow {
                clip_id: Some(row.clip_id),
                uri: row.uri,
                stage: stage.to_owned(),
                code: "label_conflict".to_owned(),
                message: message.clone(),
                key: None,
            }));
        } else {
            let of = same[0].uri.clone();
            let mut same = same.into_iter();
            result.rows.extend(same.next());
            result.duplicates.extend(same.map(|row| Duplicate { uri: row.uri, of: of.clone() }));
        }
    }
    result.rows.sort_by(|a, b| (&a.uri, a.clip_id).cmp(&(&b.uri, b.clip_id)));
    result.duplicates.sort();
    result.conflicts.sort_by(|a, b| a.uri.cmp(&b.uri));
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::ContentHash;

    fn row(uri: &str, label: &str, bytes: &str) -> ClipRow {
        let id = ClipId::of_file(&ContentHash::of_reader(bytes.as_bytes()).unwrap());
        ClipRow {
            clip_id: id,
            file_id: id,
            uri: uri.into(),
            label: label.into(),
            recording_id: None,
            fold: None,
            site: None,
            device: None,
            recorded_at: None,
            span: None,
            container: "wav".into(),
            size_bytes: 1,
            etag: None,
        }
    }

    #[test]
    fn duplicates_keep_the_first_and_contradictions_keep_none() {
        let rows = vec![row("b", "dog", "1"), row("a", "dog", "1"), row("c", "dog", "2"), row("d", "cat", "2")];
        let result = distinct(rows, "manifest");
        assert_eq!(result.rows.iter().map(|r| r.uri.as_str()).collect::<Vec<_>>(), ["a"]);
        assert_eq!(result.duplicates, [Duplicate { uri: "b".into(), of: "a".into() }]);
        assert_eq!(result.duplicates[0].to_string(), "`b` repeats the bytes of `a`");
        assert_eq!(result.conflicts.iter().map(|r| r.uri.as_str()).collect::<Vec<_>>(), ["c", "d"]);
        assert!(result.conflicts[0].message.contains("`c` (dog), `d` (cat)"));
    }
}
