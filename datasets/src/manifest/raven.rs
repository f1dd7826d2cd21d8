//! Selection tables of Raven, and of programs that write the same, such as BirdNET: columns between tabs, named in the first line.
//!
//! Raven writes a selection once for each view of it; it counts once. Where a table is about several recordings, `Begin File` names that of each
//! selection, and `File Offset (s)` tells where in it the selection begins.

use super::annotation::{Annotation, Distinct, LineProblem, label, span};

/// Columns that hold the label, the first that is there.
const LABELS: [&str; 6] = ["species", "label", "annotation", "tag", "class", "common name"];

/// The annotations in the text of a selection table.
pub fn read_raven(text: &str) -> Result<Vec<Annotation>, LineProblem> {
    let mut lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let Some((index, header)) = lines.next() else { return Ok(Vec::new()) };
    let names: Vec<String> = header.split('\t').map(|name| name.trim().to_lowercase()).collect();
    let column = |wanted: &str| names.iter().position(|name| name == wanted);
    let needed = |wanted: &str| {
        let have = names.join("`, `");
        column(wanted).ok_or_else(|| LineProblem::at(index, format!("there is no column `{wanted}`, only `{have}`")))
    };
    let (start, end) = (needed("begin time (s)")?, needed("end time (s)")?);
    let labels = LABELS.iter().find_map(|name| column(name));
    let labels = labels.ok_or_else(|| {
        let why = format!("no column is called `{}`, so that nothing says what is heard", LABELS.join("`, `"));
        LineProblem::at(index, why)
    })?;
    let (file, offset) = (column("begin file"), column("file offset (s)"));
    let (mut annotations, mut distinct): (Vec<Annotation>, _) = (Vec::new(), Distinct::default());
    for (index, line) in lines {
        let fields: Vec<&str> = line.split('\t').collect();
        let field = |column: usize| fields.get(column).copied().unwrap_or_default();
        let mut annotation = Annotation {
            span: span(index, field(start), field(end))?,
            label: label(index, field(labels))?,
            recording: file.map(|column| file_name(field(column))).filter(|name| !name.is_empty()),
        };
        if let Some(offset) = offset.map(field).filter(|offset| !offset.trim().is_empty()) {
            let length = annotation.span.end_s.unwrap_or_default() - annotation.span.start_s;
            let start_s = offset.trim().parse().ok().filter(|start_s: &f64| *start_s >= 0.0);
            let why = || LineProblem::at(index, format!("`{offset}` is no number of seconds"));
            annotation.span.start_s = start_s.ok_or_else(why)?;
            annotation.span.end_s = Some(annotation.span.start_s + length);
        }
        if distinct.insert(&annotation, annotation.recording.as_deref()) {
            annotations.push(annotation);
        }
    }
    Ok(annotations)
}

/// The last part of a path of any system.
fn file_name(path: &str) -> String {
    path.trim().rsplit(['/', '\\']).next().unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Span;

    const HEADER: &str =
        "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tSpecies\n";

    #[test]
    fn a_selection_counts_once_however_many_views_it_has() {
        let text = format!(
            "{HEADER}1\tWaveform 1\t1\t0.5\t1.5\t0\t9000\tdog\n1\tSpectrogram 1\t1\t0.5\t1.5\t0\t9000\tdog\n2\tSpectrogram 1\t1\t2\t3\t0\t9\tcat\n"
        );
        let read = read_raven(&text).unwrap();
        assert_eq!(read.iter().map(|read| read.label.as_str()).collect::<Vec<_>>(), ["dog", "cat"]);
        assert_eq!(read[0].span, Span { start_s: 0.5, end_s: Some(1.5) });
        assert_eq!(read_raven(HEADER).unwrap(), []);
    }

    #[test]
    fn a_table_of_several_recordings_tells_where_in_each() {
        let text = "Begin Time (s)\tEnd Time (s)\tBegin File\tFile Offset (s)\tTag\n3600.5\t3601\tC:\\night\\b.wav\t0.5\tdog\n";
        let read = read_raven(text).unwrap();
        assert_eq!((read[0].recording.as_deref(), read[0].span.start_s), (Some("b.wav"), 0.5));
        assert_eq!(read[0].span.end_s, Some(1.0));
    }

    #[test]
    fn a_table_that_makes_no_sense_says_where() {
        let problem = |text: &str| read_raven(text).unwrap_err().to_string();
        assert!(problem("a\tb\n1\t2\n").contains("line 1: there is no column `begin time (s)`, only `a`, `b`"));
        assert!(problem("Begin Time (s)\tEnd Time (s)\n").contains("nothing says what is heard"));
        assert!(problem(&format!("{HEADER}1\tS\t1\t2\t1\t0\t9\tdog\n")).contains("line 2: the span"));
        assert!(problem(&format!("{HEADER}1\tS\t1\t1\t2\t0\t9\t\n")).contains("line 2: it has no label"));
    }
}
