//! Whether a model that is read back from disk gives a recording the scores that it had when it was evaluated.

use std::collections::HashMap;

use ecosight_datasets::key::ClipId;
use ecosight_datasets::store::OpenError;
use ecosight_datasets::tables::{ClipRow, PredictionRow, Row, Unit, read_file, read_rows};
use ecosight_models::head::Head;
use rayon::prelude::*;

use super::criteria::Criterion;
use crate::StageErrorKind;
use crate::bridge::{Listed, fetch};
use crate::clip::Stop;
use crate::evaluate::TEST_FILE;
use crate::pooled::Rows;
use crate::predict::Predictor;
use crate::stage::Context;
use crate::timings::Meter;

const NAME: &str = "parity";

/// Largest difference of a probability.
const TOLERANCE: f64 = 1e-4;

/// What a model was evaluated on, and with.
#[derive(Clone, Copy)]
pub(super) struct Evaluated<'a> {
    /// Originals of the test side, pooled, in the order of their clips.
    pub(super) rows: &'a Rows,
    /// The head.
    pub(super) head: &'a Head,
}

/// Scores some test clips once more from their audio, the way that `predict` does, and compares the probabilities of all classes.
///
/// A clip that cannot be scored any more fails, as does a model that cannot be used on this machine: `predict` would fail likewise.
pub(super) fn parity(
    context: &Context<'_>,
    predictor: Result<&Predictor, &String>,
    evaluated: Evaluated<'_>,
    clips: usize,
) -> Result<Criterion, StageErrorKind> {
    if clips == 0 {
        return Ok(Criterion::unknown(NAME, "no clip is to be scored again (`publish.parity_clips`)"));
    }
    let predictor = match predictor {
        Ok(predictor) => predictor,
        Err(why) => return Ok(Criterion::met(NAME, false, format!("the model cannot be used on this machine: {why}"))),
    };
    let expected = expected(context, predictor, evaluated, clips)?;
    let listed: Vec<ClipRow> = read_rows(&context.layout.table(ClipRow::TABLE.name))?;
    let by_id: HashMap<ClipId, &ClipRow> = listed.iter().map(|clip| (clip.clip_id, clip)).collect();
    // In the order of their hashes, which is any order.
    let chosen: Vec<(&Expected, &ClipRow)> =
        expected.iter().filter_map(|expected| Some((expected, *by_id.get(&expected.clip_id)?))).collect();
    let store = context.store()?;
    let files: Vec<Listed<'_>> =
        chosen.iter().map(|(_, clip)| Listed { uri: &clip.uri, version: clip.version() }).collect();
    let (meter, stop) = (Meter::default(), Stop::new(context.cancelled));
    let scored: Vec<Result<Result<f64, String>, StageErrorKind>> = fetch(&store, &files, |opened| {
        let opened: Vec<_> = chosen.iter().zip(opened).collect();
        let failed = |clip: &ClipRow, why: &str| Ok(Err(format!("`{}`: {why}", clip.uri)));
        let score = |((expected, clip), file): (&(&Expected, &ClipRow), _)| match file {
            Ok(source) => match predictor.score_clip(source, clip.span, &meter, &stop) {
                Ok(found) => Ok(Ok(expected.distance(&found))),
                Err(error) => context.check_cancelled().and_then(|()| failed(clip, &error.message)),
            },
            Err(OpenError::File { message, .. }) => failed(clip, &message),
            Err(OpenError::Store(error)) => Err(error.into()),
        };
        opened.into_par_iter().map(score).collect()
    });
    Ok(judged(&scored.into_iter().collect::<Result<Vec<_>, _>>()?))
}

/// What is found of clips of which each differs by so much, or could not be scored.
fn judged(scored: &[Result<f64, String>]) -> Criterion {
    let apart = scored.iter().flatten().copied().fold(0.0, f64::max);
    let failed: Vec<&String> = scored.iter().filter_map(|found| found.as_ref().err()).collect();
    let compared = scored.len() - failed.len();
    let mut words = format!("{compared} test clips scored again from their audio differ by {apart:.1e} at most");
    if apart > TOLERANCE {
        words.push_str(&format!("; {TOLERANCE:.0e} is allowed"));
    }
    if let Some(first) = failed.first() {
        words.push_str(&format!("; {} more cannot be scored any more (first: {first})", failed.len()));
    }
    if scored.is_empty() {
        "no test clip is in the source any more".clone_into(&mut words);
    }
    Criterion::met(NAME, !scored.is_empty() && failed.is_empty() && apart <= TOLERANCE, words)
}

/// What a clip was scored with when the model was evaluated.
struct Expected {
    clip_id: ClipId,
    /// Probabilities by its embeddings, `[classes]`.
    probabilities: Vec<f32>,
    /// The highest of them as it was recorded.
    recorded: Option<f64>,
}

impl Expected {
    /// Largest difference from the probabilities `found`, `[classes]`; infinite where one is no number.
    fn distance(&self, found: &[f32]) -> f64 {
        let highest = found.iter().copied().fold(0.0, f32::max);
        let recorded = self.recorded.map(|recorded| f64::from(highest) - recorded);
        let of_classes = found.iter().zip(&self.probabilities).map(|(a, b)| f64::from(*a) - f64::from(*b));
        let is_comparable = found.len() == self.probabilities.len();
        let distance = |x: f64| if x.is_nan() || !is_comparable { f64::INFINITY } else { x.abs() };
        of_classes.chain(recorded).map(distance).fold(0.0, f64::max)
    }
}

/// The first test clips that were evaluated, with their scores.
fn expected(
    context: &Context<'_>,
    predictor: &Predictor,
    evaluated: Evaluated<'_>,
    clips: usize,
) -> Result<Vec<Expected>, StageErrorKind> {
    let tested: Vec<PredictionRow> = read_file(&context.layout.model(predictor.version()).join(TEST_FILE))?;
    let recorded: HashMap<ClipId, f64> = tested.iter().map(|row| (row.clip_id, row.confidence)).collect();
    let Evaluated { rows, head } = evaluated;
    let first: Vec<usize> = {
        let mut left = clips;
        let of_clip = |unit: &[Unit]| {
            let is_taken = left > 0 && recorded.contains_key(&unit[0].clip_id);
            left -= usize::from(is_taken);
            vec![is_taken; unit.len()]
        };
        let taken: Vec<bool> = rows.units.chunk_by(|a, b| a == b).flat_map(of_clip).collect();
        (0..rows.len()).filter(|&row| taken[row]).collect()
    };
    let scored = rows.clips_of(&first, head);
    let of_clip = |(unit, row): (&Unit, &[f32])| Expected {
        clip_id: unit.clip_id,
        probabilities: row.to_vec(),
        recorded: recorded.get(&unit.clip_id).copied(),
    };
    Ok(scored.units.iter().zip(scored.scores.chunks_exact(head.classes())).map(of_clip).collect())
}

#[cfg(test)]
mod tests {
    use ecosight_datasets::key::ContentHash;

    use super::*;
    use crate::publish::Finding;

    fn expected(recorded: Option<f64>) -> Expected {
        let clip_id = ClipId::of_file(&ContentHash::of_reader(&b"clip"[..]).unwrap());
        Expected { clip_id, probabilities: vec![0.75, 0.25, 0.5], recorded }
    }

    #[test]
    fn all_classes_and_the_recorded_score_are_compared() {
        let apart = |found: &[f32]| expected(Some(0.75)).distance(found);
        assert_eq!(
            (apart(&[0.75, 0.25, 0.5]), apart(&[0.75, 0.25, 0.25]), apart(&[0.5, 0.25, 0.5])),
            (0.0, 0.25, 0.25)
        );
        assert!(apart(&[f32::NAN, 0.25, 0.5]).is_infinite() && apart(&[0.75, 0.25]).is_infinite());
        // The weights on disk are others than those that were evaluated.
        assert!((expected(Some(0.5)).distance(&[0.75, 0.25, 0.5]) - 0.25).abs() < 1e-12);
        assert!(expected(None).distance(&[0.75, 0.25, 0.5]) <= 0.0);
    }

    #[test]
    fn a_clip_that_cannot_be_scored_any_more_fails_and_is_named() {
        let found = |scored: &[Result<f64, String>]| judged(scored).result;
        assert_eq!(found(&[Ok(1e-5), Ok(0.0)]), Finding::Pass);
        assert_eq!(found(&[Ok(1e-5), Ok(2e-4)]), Finding::Fail);
        assert_eq!(found(&[]), Finding::Fail);
        let failed = judged(&[Ok(1e-5), Err("`a.wav`: the file is empty".to_owned())]);
        assert_eq!(failed.result, Finding::Fail);
        assert!(failed.words.ends_with("1 more cannot be scored any more (first: `a.wav`: the file is empty)"));
    }
}
