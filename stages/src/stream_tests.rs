use std::collections::{BTreeMap, HashSet};
use std::f64::consts::TAU;
use std::io::Cursor;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;
use std::time::{Duration, Instant};

use ecosight_datasets::audio::{AudioSource, decode};
use ecosight_datasets::effects::{Effect, Step as EffectStep, catalogue};
use ecosight_datasets::key::{ClipId, ContentHash};
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::schema::{ValueType, Vectors};
use ecosight_datasets::tables::{EmbedFormat, EmbedReader, EmbedTable, EmbedWriter, Patches, Unit, UnitEntry};
use ecosight_models::embedder::{Dtype, EmbedError, Embedder, EmbedderId, Precision};
use ecosight_models::frontend::{Framer, Window, Windowing};
use ecosight_models::open::{EmbedderName, EmbedderSpec, PrecisionChoice, open_embedder, open_identity};
use ecosight_models::weights::WeightsCache;

use super::*;
use crate::behind::write_behind;
use crate::clip::{Recipe, Stop, embed_clip};
use crate::timings::Meter;
use crate::units::unit_key;

const RATE_HZ: u32 = 16_000;

/// The start of the log-mel of each window, repeated where a row is longer.
struct Wide {
    id: EmbedderId,
    dim: usize,
}

impl Wide {
    /// Rows of 64 KiB, so that a clip of 61 s is long.
    fn new() -> Self {
        Self::with_dim(16_384)
    }

    fn with_dim(dim: usize) -> Self {
        let (precision, dtype) = (Precision::F32, Dtype::F32);
        Self { id: EmbedderId { name: "wide".into(), version: 1, weights: None, precision, dtype }, dim }
    }
}

impl Embedder for Wide {
    fn id(&self) -> &EmbedderId {
        &self.id
    }

    fn dim(&self) -> usize {
        self.dim
    }

    fn windowing(&self) -> Windowing {
        Windowing::YAMNET
    }

    fn embed(&self, windows: &[Window]) -> Result<Vec<f32>, EmbedError> {
        let row = |window: &Window| window.logmel.iter().cycle().take(self.dim).copied().collect::<Vec<f32>>();
        Ok(windows.iter().flat_map(row).collect())
    }
}

/// Panics when it is asked for the second time.
struct Panicking {
    wide: Wide,
    asked: AtomicUsize,
}

impl Embedder for Panicking {
    fn id(&self) -> &EmbedderId {
        self.wide.id()
    }

    fn dim(&self) -> usize {
        self.wide.dim()
    }

    fn windowing(&self) -> Windowing {
        self.wide.windowing()
    }

    fn embed(&self, windows: &[Window]) -> Result<Vec<f32>, EmbedError> {
        assert_ne!(self.asked.fetch_add(1, Ordering::Relaxed), 1, "a bug on purpose");
        self.wide.embed(windows)
    }
}

/// A WAV of `seconds` of a sweep, of which the header promises `missing` samples more than there are.
fn wav(seconds: f64, number: u32, missing: u32) -> Vec<u8> {
    let phase = |i: u32| f64::from(i) * (0.01 + f64::from(i) * 1e-8) + f64::from(number);
    wav_of(seconds, missing, phase)
}

/// A WAV of `seconds` of a sine of 440 Hz.
fn tone(seconds: f64) -> Vec<u8> {
    wav_of(seconds, 0, |i| f64::from(i) * TAU * 440.0 / f64::from(RATE_HZ))
}

fn wav_of(seconds: f64, missing: u32, phase: impl Fn(u32) -> f64) -> Vec<u8> {
    let count = (seconds * f64::from(RATE_HZ)).round() as u32;
    let sample = |i: u32| phase(i).sin() * 12_000.0;
    let declared = 2 * (count + missing);
    let mut bytes = b"RIFF".to_vec();
    bytes.extend((36 + declared).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    for (value, size) in [(16, 4), (1, 2), (1, 2), (RATE_HZ, 4), (RATE_HZ * 2, 4), (2, 2), (16, 2)] {
        bytes.extend(&value.to_le_bytes()[..size]);
    }
    bytes.extend(b"data");
    bytes.extend(declared.to_le_bytes());
    bytes.extend((0..count).flat_map(|i| (sample(i) as i16).to_le_bytes()));
    bytes
}

fn source(bytes: &[u8]) -> Box<dyn AudioSource> {
    Box::new(Cursor::new(bytes.to_vec()))
}

fn recipes() -> Vec<Recipe> {
    let noise = Effect(vec![EffectStep::Noise { amplitude: 0.01 }]);
    let slow = Effect(vec![EffectStep::TimeStretch { rate: 0.5 }]);
    vec![
        Recipe::ORIGINAL,
        Recipe { variant: 1, effect: Some(noise), seed: 11 },
        Recipe { variant: 2, effect: Some(slow), seed: 12 },
    ]
}

/// What the rows of a variant are by definition: the effect on the whole clip, frames over all of it.
fn by_definition(embedder: &dyn Embedder, bytes: &[u8], recipe: &Recipe) -> (Vec<f64>, Vec<f32>) {
    let wave = decode(source(bytes), None).unwrap();
    let (mut framer, mut windows) = (Framer::new(embedder.windowing()), Vec::new());
    let wave = recipe.effect.as_ref().map_or(wave.clone(), |effect| effect.apply(&wave, recipe.seed));
    framer.push(&wave, &mut windows);
    framer.finish(&mut windows);
    (windows.iter().map(|w| w.start_s).collect(), embedder.embed(&windows).unwrap())
}

/// Runs `files`, each through `recipes`.
fn stream(
    embedder: &dyn Embedder,
    files: &[Vec<u8>],
    recipes: &[Recipe],
    cancelled: &AtomicBool,
    each: &mut Receive<'_>,
) -> Result<(), StageErrorKind> {
    let (sender, receiver) = sync_channel(files.len());
    for bytes in files {
        sender.send(Ok(source(bytes))).unwrap();
    }
    let (meter, stop) = (Meter::default(), Stop::new(cancelled));
    let orders = vec![Order { span: None, recipes }; files.len()];
    run(Bench { embedder, meter: &meter, stop: &stop, is_measuring: false }, &orders, &receiver, each, &|_| {})
}

fn clip_id(number: usize) -> ClipId {
    ClipId::of_file(&ContentHash::of_reader(&number.to_le_bytes()[..]).unwrap())
}

/// Writes the table of `files` as the stage does; returns the codes of those that failed.
fn write_table(layout: &Layout, embedder: &dyn Embedder, files: &[Vec<u8>], recipes: &[Recipe]) -> Vec<String> {
    let values = if embedder.id().dtype == Dtype::F16 { ValueType::Float16 } else { ValueType::Float32 };
    let metadata = vec![("id", serde_json::to_string(embedder.id()).unwrap())];
    let vectors = Vectors { dim: embedder.dim(), values };
    let format = EmbedFormat { embedder: "x".into(), vectors, metadata };
    let mut table = EmbedWriter::new(&EmbedTable::staging(layout, "x"), format.clone());
    let entry = |number: usize, recipe: &Recipe| {
        let unit = Unit { clip_id: clip_id(number), variant: recipe.variant };
        UnitEntry { unit, key: unit_key(embedder.id(), unit.clip_id, recipe), recipe: "".into() }
    };
    let mut failed = Vec::new();
    let write = |piece| match piece {
        Piece::Rows(number, recipe, patches) => table.write_long(&entry(number, &recipes[recipe]), patches),
        Piece::Done(number, Outcome::Whole(all)) => {
            table.write(recipes.iter().map(|recipe| entry(number, recipe)).zip(all.variants))
        }
        Piece::Done(number, Outcome::Long(_)) => table.keep_long(clip_id(number)),
        Piece::Done(number, Outcome::Failed(_)) => table.drop_long(clip_id(number)),
    };
    let cancelled = AtomicBool::new(false);
    write_behind(write, |hand| {
        stream(embedder, files, recipes, &cancelled, &mut |piece| {
            if let Piece::Done(_, Outcome::Failed(error)) = &piece {
                failed.push(error.code.clone());
            }
            hand(piece)
        })
    })
    .unwrap();
    table.finish().unwrap();
    let table = EmbedTable::open(layout, "x").unwrap();
    let all = table.present();
    table.commit(&format, &all, false, &|| false).unwrap();
    failed
}

/// The rows of each unit.
fn units(layout: &Layout) -> BTreeMap<Unit, Patches> {
    let mut units = BTreeMap::<Unit, Patches>::new();
    for run in EmbedReader::open(layout).unwrap() {
        let (unit, rows) = run.unwrap();
        units.entry(unit).or_default().append(&rows);
    }
    units
}

/// Name and content of the parts.
fn parts(layout: &Layout) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = layout.table("embed").join("embedder=x");
    let entries = std::fs::read_dir(&folder).unwrap().map(|e| e.unwrap().path());
    let mut parts: Vec<_> =
        entries.map(|path| (path.strip_prefix(&folder).unwrap().to_owned(), std::fs::read(&path).unwrap())).collect();
    parts.sort();
    parts
}

#[test]
fn rows_are_those_of_the_definition_in_the_order_of_the_clips_on_any_number_of_threads() {
    let embedder = Wide::new();
    // Short; of exactly one block; long because a variant is, which no header tells; of several blocks; and short again.
    let files: Vec<Vec<u8>> =
        [2.0, 30.0, 17.0, 75.5, 0.3].iter().zip(0..).map(|(seconds, n)| wav(*seconds, n, 0)).collect();
    let mut expected = None;
    for threads in [1, 2, 8] {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let failed = pool.install(|| write_table(&layout, &embedder, &files, &recipes()));
        assert!(failed.is_empty(), "{failed:?}");
        let parts = parts(&layout);
        let first = expected.get_or_insert_with(|| {
            let units = files.iter().enumerate().flat_map(|(n, file)| recipes().into_iter().map(move |r| (n, file, r)));
            let mut rows = self::units(&layout);
            for (number, file, recipe) in units {
                let (start_s, embeddings) = by_definition(&embedder, file, &recipe);
                let unit = Unit { clip_id: clip_id(number), variant: recipe.variant };
                let expected = Patches { first: 0, start_s, embeddings };
                assert!(rows.remove(&unit).unwrap() == expected, "{number} {recipe:?}");
            }
            assert!(rows.is_empty());
            parts.clone()
        });
        assert!(*first == parts, "{threads} threads give other parts");
    }
    assert_eq!(expected.unwrap().len(), 4, "the three long clips have parts of their own");
}

#[test]
fn an_effect_of_a_long_clip_is_that_of_the_whole_clip_for_each_of_many_variants() {
    // Small rows, so that the clips are decoded once for all variants; windows of one block fill several batches.
    let embedder = Wide::with_dim(64);
    let effects = catalogue().into_iter().map(|(_, effect)| Some(effect));
    let recipes: Vec<Recipe> = std::iter::once(None)
        .chain(effects)
        .zip(0..)
        .map(|(effect, variant)| Recipe { variant, effect, seed: 100 + u64::from(variant) })
        .collect();
    // A block and a sample more, exactly two blocks, and several blocks.
    let files = [30.000_062_5, 60.0, 70.3].map(|seconds| wav(seconds, 1, 0));
    let mut clips = 0;
    stream(&embedder, &files, &recipes, &AtomicBool::new(false), &mut |piece| {
        let Piece::Done(number, Outcome::Whole(all)) = piece else { panic!("the rows of a clip fit into memory") };
        for (recipe, patches) in recipes.iter().zip(all.variants) {
            let (start_s, embeddings) = by_definition(&embedder, &files[number], recipe);
            assert!(patches == Patches { first: 0, start_s, embeddings }, "{number} {recipe:?}");
        }
        clips += 1;
        Ok(())
    })
    .unwrap();
    assert_eq!(clips, files.len());
}

#[test]
fn a_shifted_tone_of_70_s_has_no_seam() {
    // The rows are log-mels `[96, 64]`.
    let embedder = Wide::with_dim(96 * 64);
    let shift = Effect(vec![EffectStep::PitchShift { semitones: 2.0 }]);
    let recipe = Recipe { variant: 1, effect: Some(shift), seed: 0 };
    let mut rows = Vec::new();
    stream(&embedder, &[tone(70.0)], &[recipe], &AtomicBool::new(false), &mut |piece| {
        if let Piece::Done(_, Outcome::Whole(all)) = piece {
            rows.clone_from(&all.variants[0].embeddings);
        }
        Ok(())
    })
    .unwrap();
    // A click is in all bands: in the upper half, more than two octaves above the tone, there is nothing else.
    let frames: Vec<f32> = rows.chunks(64).map(|bands| bands[32..].iter().sum::<f32>() / 32.0).collect();
    let loudest = |seconds: std::ops::Range<usize>| {
        // Windows are 0.96 s long and begin every 0.48 s.
        let windows = frames.chunks(96).enumerate().filter(|(n, _)| seconds.contains(&(n * 48 / 100)));
        windows.flat_map(|(_, frames)| frames).copied().fold(f32::MIN, f32::max)
    };
    let ordinary = loudest(5..25);
    for seconds in [28..32, 58..62] {
        assert!(loudest(seconds.clone()) < ordinary + 0.5, "{seconds:?}: {} {ordinary}", loudest(seconds.clone()));
    }
}

#[test]
fn a_panic_within_a_clip_costs_that_clip_alone() {
    for threads in [1, 3] {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path());
        let files: Vec<_> = (0..4).map(|n| wav(1.0, n, 0)).collect();
        let embedder = Panicking { wide: Wide::new(), asked: AtomicUsize::new(0) };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let failed = pool.install(|| write_table(&layout, &embedder, &files, &[Recipe::ORIGINAL]));
        assert_eq!((failed, units(&layout).len()), (vec!["panic".to_owned()], 3));
    }
}

#[test]
fn a_long_clip_that_fails_half_way_leaves_no_rows() {
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let files = [wav(1.0, 1, 0), wav(90.0, 2, 100_000), wav(1.0, 3, 0)];
    let failed = write_table(&layout, &Wide::new(), &files, &[Recipe::ORIGINAL]);
    assert_eq!(failed, ["truncated"]);
    assert_eq!(parts(&layout).len(), 1);
    let clips: HashSet<_> = units(&layout).into_keys().map(|unit| unit.clip_id).collect();
    assert_eq!(clips, HashSet::from([clip_id(0), clip_id(2)]));
}

#[test]
fn rows_of_a_long_recording_come_in_pieces_however_long_it_is() {
    let mut rows = 0;
    stream(&Wide::new(), &[wav(600.0, 1, 0)], &[Recipe::ORIGINAL], &AtomicBool::new(false), &mut |piece| {
        match piece {
            Piece::Rows(_, _, Patches { first, start_s, .. }) => {
                assert!(first as usize == rows && start_s.len() < 300, "{first} {rows} {}", start_s.len());
                rows += start_s.len();
            }
            Piece::Done(_, outcome) => assert!(matches!(outcome, Outcome::Long(heard) if heard.duration_s > 599.9)),
        }
        Ok(())
    })
    .unwrap();
    assert_eq!(rows, 1249);
}

#[test]
fn who_asks_to_stop_does_not_wait_for_the_end_of_a_clip() {
    let cancelled = AtomicBool::new(false);
    let files = [wav(900.0, 1, 0), wav(900.0, 2, 0)];
    let mut since = None;
    let result = stream(&Wide::new(), &files, &recipes(), &cancelled, &mut |piece| {
        if matches!(piece, Piece::Rows(..)) && since.is_none() {
            cancelled.store(true, Ordering::Relaxed);
            since = Some(Instant::now());
        }
        Ok(())
    });
    assert!(matches!(result, Err(StageErrorKind::Cancelled)), "{result:?}");
    assert!(since.unwrap().elapsed() < Duration::from_secs(2));
}

#[test]
fn a_taker_that_fails_ends_the_stream_with_its_error() {
    let files: Vec<_> = (0..40).map(|n| wav(3.0, n, 0)).collect();
    let mut taken = 0;
    let result = stream(&Wide::new(), &files, &recipes(), &AtomicBool::new(false), &mut |_| {
        taken += 1;
        if taken < 3 { Ok(()) } else { Err(StageErrorKind::data("the disk is full", "free some space")) }
    });
    assert!(result.unwrap_err().to_string().contains("the disk is full"));
    assert_eq!(taken, 3);
}

#[test]
fn halves_in_the_table_are_those_that_a_model_is_used_with() {
    let cache = WeightsCache::new(std::path::Path::new("nowhere"));
    let spec = EmbedderSpec { name: EmbedderName::Logmel, precision: PrecisionChoice::F32, dtype: Dtype::F16 };
    let dir = tempfile::tempdir().unwrap();
    let layout = Layout::new(dir.path());
    let file = wav(25.0, 5, 0);
    let embedder = open_embedder(spec, &cache).unwrap();
    write_table(&layout, &*embedder, std::slice::from_ref(&file), &[Recipe::ORIGINAL]);
    let reader = EmbedReader::open(&layout).unwrap();
    let id: EmbedderId = serde_json::from_str(&reader.metadata("id").unwrap().unwrap()).unwrap();
    let opened = open_identity(&id, &cache).unwrap();
    let (meter, cancelled) = (Meter::default(), AtomicBool::new(false));
    let bench = Bench { embedder: &*opened, meter: &meter, stop: &Stop::new(&cancelled), is_measuring: false };
    let mut predicted = Vec::new();
    embed_clip(bench, source(&file), None, &Recipe::ORIGINAL, &mut |patches| predicted.extend(&patches.embeddings))
        .unwrap();
    let bits = |values: &[f32]| values.iter().map(|x| x.to_bits()).collect::<Vec<_>>();
    let table: Vec<f32> = reader.flat_map(|run| run.unwrap().1.embeddings).collect();
    assert_eq!(bits(&table), bits(&predicted));
    let (_, exact) = by_definition(
        &*open_embedder(EmbedderSpec { dtype: Dtype::F32, ..spec }, &cache).unwrap(),
        &file,
        &Recipe::ORIGINAL,
    );
    assert_ne!(bits(&exact), bits(&predicted));
}
