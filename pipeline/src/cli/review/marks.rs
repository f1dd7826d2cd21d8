//! Files that Raven and Audacity open: one beside each recording, with the span of each clip and what the model takes it for.
//!
//! They are written below a folder of their own, in the folders of the recordings and with the names by which `retrain` knows labels that lie
//! beside recordings: corrected and moved there, they say what the clips are.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use ecosight_datasets::files::write_atomic;

use super::candidates::Candidate;
use crate::cli::args::ReviewFormat;
use crate::cli::error::CliError;

const RAVEN: &str =
    "Selection\tView\tChannel\tBegin Time (s)\tEnd Time (s)\tLow Freq (Hz)\tHigh Freq (Hz)\tLabel\tConfidence\n";

/// Writes a file for each recording below `folder`.
pub(super) fn write(folder: &Path, format: ReviewFormat, clips: &[&Candidate]) -> Result<(), CliError> {
    let mut by_recording: BTreeMap<&str, Vec<&Candidate>> = BTreeMap::new();
    for clip in clips {
        by_recording.entry(&clip.uri).or_default().push(clip);
    }
    for (uri, mut clips) in by_recording {
        clips.sort_by(|a, b| begin(a).total_cmp(&begin(b)));
        let (name, text) = match format {
            ReviewFormat::Raven => ("selections.txt", raven(&clips)),
            ReviewFormat::Audacity | ReviewFormat::Csv => ("txt", audacity(&clips)),
        };
        write_atomic(&folder.join(below(uri)).with_extension(name), text.as_bytes())?;
    }
    Ok(())
}

/// The path of a recording below a folder, wherever it lies.
fn below(uri: &str) -> PathBuf {
    let path = uri.split_once("://").map_or(uri, |(_, path)| path);
    Path::new(path).components().filter(|part| matches!(part, Component::Normal(_))).collect()
}

fn begin(clip: &Candidate) -> f64 {
    clip.span.map_or(0.0, |span| span.start_s)
}

fn end(clip: &Candidate) -> f64 {
    clip.span.and_then(|span| span.end_s).unwrap_or(begin(clip) + clip.length_s)
}

/// A word that does not break the line that it stands in.
fn word(text: &str) -> String {
    text.replace(['\t', '\n', '\r'], " ")
}

fn raven(clips: &[&Candidate]) -> String {
    let line = |(number, clip): (usize, &&Candidate)| {
        let (begin, end, label) = (begin(clip), end(clip), word(&clip.predicted));
        format!("{}\tSpectrogram 1\t1\t{begin:.6}\t{end:.6}\t0\t8000\t{label}\t{:.4}\n", number + 1, clip.confidence)
    };
    clips.iter().enumerate().map(line).fold(RAVEN.to_owned(), |text, line| text + &line)
}

fn audacity(clips: &[&Candidate]) -> String {
    let line = |clip: &&Candidate| format!("{:.6}\t{:.6}\t{}\n", begin(clip), end(clip), word(&clip.predicted));
    clips.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_outside_lies_below_the_folder_all_the_same() {
        for (uri, path) in [("a/b.wav", "a/b.wav"), ("s3://c/d/e.wav", "c/d/e.wav"), ("/x/../y.wav", "x/y.wav")] {
            assert_eq!(below(uri), Path::new(path), "{uri}");
        }
    }
}
