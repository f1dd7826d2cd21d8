//! Labels that Audacity exports: a line for each, with start, end and label between tabs. A line that begins with a backslash holds the
//! frequencies of the label before it, and is left out.

use super::annotation::{Annotation, LineProblem, label, span};

/// The annotations in the text of a label file.
pub fn read_audacity(text: &str) -> Result<Vec<Annotation>, LineProblem> {
    let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty() && !line.starts_with('\\'));
    let annotation = |(index, line): (usize, &str)| {
        let mut fields = line.splitn(3, '\t');
        let (Some(start), Some(end)) = (fields.next(), fields.next()) else {
            return Err(LineProblem::at(index, "it is no `start<tab>end<tab>label`, as Audacity writes it"));
        };
        let span = span(index, start, end)?;
        Ok(Annotation { label: label(index, fields.next().unwrap_or_default())?, span, recording: None })
    };
    lines.map(annotation).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audio::Span;

    #[test]
    fn spans_and_labels_are_read_and_frequencies_left_out() {
        let text = "0.500000\t1.25\tdog\r\n\\\t200.0\t4000.0\r\n\r\n2\t3\ttree frog\r\n";
        let read = read_audacity(text).unwrap();
        assert_eq!(read[0].span, Span { start_s: 0.5, end_s: Some(1.25) });
        assert_eq!(read.iter().map(|read| read.label.as_str()).collect::<Vec<_>>(), ["dog", "tree frog"]);
        assert_eq!(read_audacity("").unwrap(), []);
    }

    #[test]
    fn a_line_that_makes_no_sense_is_named() {
        for (text, line, why) in [
            ("0\t1\ta\nnotes of the day\n", 2, "as Audacity writes it"),
            ("0\tsoon\ta\n", 1, "`soon` is no number"),
            ("1\t1\ta\n", 1, "has no length"),
            ("NaN\t1\ta\n", 1, "no number"),
            ("0\t1\t\n", 1, "no label"),
            ("0\t1\n", 1, "no label"),
            ("0\t1\t../x\n", 1, "slash"),
        ] {
            let problem = read_audacity(text).unwrap_err();
            assert!(problem.line == line && problem.why.contains(why), "{text:?}: {problem}");
        }
    }
}
