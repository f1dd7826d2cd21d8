//! Whether a model that is read back from disk says of a recording what it said when it was evaluated.

use std::collections::HashMap;

use ecosight_datasets::key::ClipId;
use ecosight_datasets::store::OpenError;
use ecosight_datasets::tables::{ClipRow, PredictionRow, Row, read_file, read_rows};
use rayon::prelude::*;

use super::criteria::Criterion;
use crate::StageErrorKind;
use crate::bridge::{Listed, fetch};
use crate::clip::Stop;
use crate::evaluate::TEST_FILE;
use crate::predict::Predictor;
use crate::stage::Context;
use crate::timings::Meter;

const NAME: &str = "parity";

/// How far scores may lie apart.
const TOLERANCE: f64 = 1e-4;

/// Scores some of the model's test clips from their audio, the way that `predict` does.
pub(super) fn parity(context: &Context<'_>, predictor: &Predictor, clips: usize) -> Result<Criterion, StageErrorKind> {
    if clips == 0 {
        return Ok(Criterion::unknown(NAME, "no clip is to be scored again (`publish.parity_clips`)"));
    }
    let tested: Vec<PredictionRow> = read_file(&context.layout.model(predictor.version()).join(TEST_FILE))?;
    let listed: Vec<ClipRow> = read_rows(&context.layout.table(ClipRow::TABLE.name))?;
    let by_id: HashMap<ClipId, &ClipRow> = listed.iter().map(|clip| (clip.clip_id, clip)).collect();
    // In the order of their hashes, which is any order.
    let known = tested.iter().filter_map(|row| Some((row, *by_id.get(&row.clip_id)?)));
    let chosen: Vec<(&PredictionRow, &ClipRow)> = known.take(clips).collect();
    let store = context.store()?;
    let files: Vec<Listed<'_>> =
        chosen.iter().map(|(_, clip)| Listed { uri: &clip.uri, version: clip.version() }).collect();
    let (meter, stop) = (Meter::default(), Stop::new(context.cancelled));
    let scored: Vec<Result<Option<f64>, StageErrorKind>> = fetch(&store, &files, |opened| {
        let opened: Vec<_> = chosen.iter().zip(opened).collect();
        let score = |((row, clip), file): (&(&PredictionRow, &ClipRow), _)| match file {
            Ok(source) => match predictor.score_clip(source, clip.span, &meter, &stop) {
                Ok(found) => Ok(Some(distance(row, predictor, &found))),
                Err(_) => context.check_cancelled().map(|()| None),
            },
            Err(OpenError::File { .. }) => Ok(None),
            Err(OpenError::Store(error)) => Err(error.into()),
        };
        opened.into_par_iter().map(score).collect()
    });
    let scored = scored.into_iter().collect::<Result<Vec<_>, _>>()?;
    let told: Vec<f64> = scored.iter().copied().flatten().collect();
    let unread = match scored.len() - told.len() {
        0 => String::new(),
        n => format!("; {n} more cannot be read any more, or have changed"),
    };
    if told.is_empty() {
        return Ok(Criterion::unknown(NAME, format!("no test clip could be scored again{unread}")));
    }
    let apart = told.iter().copied().fold(0.0, f64::max);
    let words =
        format!("{} test clips scored again from their audio differ by {apart:.1e} at most{unread}", told.len());
    let words = if apart <= TOLERANCE { words } else { format!("{words}; {TOLERANCE:.0e} is put up with") };
    Ok(Criterion::met(NAME, apart <= TOLERANCE, words))
}

/// How far a clip's scores lie from those that it had.
fn distance(row: &PredictionRow, predictor: &Predictor, found: &[f32]) -> f64 {
    if predictor.is_multi_label() {
        let highest = found.iter().copied().fold(0.0, f32::max);
        return (f64::from(highest) - row.confidence).abs();
    }
    distance_of_one(row, predictor.classes(), found)
}

/// Where it is of one class: by the score of its label, and by the highest one, whatever class was answered.
fn distance_of_one(row: &PredictionRow, classes: &[String], found: &[f32]) -> f64 {
    let of = |class: &String| {
        let place = classes.iter().position(|other| other == class);
        place.map_or(f64::INFINITY, |place| f64::from(found[place]))
    };
    let highest = f64::from(found.iter().copied().fold(0.0, f32::max));
    let apart = [of(&row.label) - row.probability, highest - row.confidence];
    // A score that is no number is far from all.
    apart.into_iter().map(|x| if x.is_nan() { f64::INFINITY } else { x.abs() }).fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use ecosight_datasets::key::ContentHash;
    use ecosight_datasets::tables::Side;

    use super::*;

    #[test]
    fn scores_of_the_label_and_the_highest_ones_are_compared() {
        let row = PredictionRow {
            clip_id: ClipId::of_file(&ContentHash::of_reader(&b"clip"[..]).unwrap()),
            side: Side::Test,
            label: "b".to_owned(),
            predicted: "a".to_owned(),
            confidence: 0.75,
            probability: 0.25,
            surprisal: 0.0,
            margin: 0.5,
            entropy: 0.0,
        };
        let classes = ["a", "b", "c"].map(str::to_owned);
        let apart = |found: [f32; 3]| distance_of_one(&row, &classes, &found);
        assert_eq!((apart([0.75, 0.25, 0.5]), apart([0.75, 0.5, 0.0]), apart([0.5, 0.25, 0.0])), (0.0, 0.25, 0.25));
        assert!(
            apart([f32::NAN, 0.25, 0.0]).is_infinite() && distance_of_one(&row, &classes[..1], &[0.75]).is_infinite()
        );
    }
}
