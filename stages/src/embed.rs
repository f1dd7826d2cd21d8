//! `embed`: the embedding of every patch of every variant.
//!
//! Only units (a clip and a variant) whose key is not there are computed. Their clips go through the [`stream`]; the rows go to a thread
//! that writes them in the manifest's order, so the table does not depend on the number of threads.

use std::collections::{BTreeMap, HashMap, HashSet};

use ecosight_datasets::DatasetError;
use ecosight_datasets::key::{ClipId, UnitKey};
use ecosight_datasets::layout::Layout;
use ecosight_datasets::tables::schema::{ValueType, Vectors};
use ecosight_datasets::tables::{
    ClipRow, Digests, EmbedFormat, EmbedTable, EmbedWriter, QuarantineRow, RecipeRow, SoundRow, Unit, UnitEntry,
    digest, read_rows,
};
use ecosight_models::embedder::{Dtype, Embedder};
use ecosight_models::open::{EmbedderName, EmbedderSpec, PrecisionChoice, open_embedder};
use serde::Deserialize;

use crate::behind::write_behind;
use crate::bridge::{self, Listed};
use crate::clip::{Bench, Heard, Stop};
use crate::error::InStage;
use crate::foresee::Foreseen;
use crate::leaks::{Fingerprint, KeptFingerprints};
use crate::originals::Originals;
use crate::params::{Params, Problem, parse};
use crate::sounds;
use crate::stage::{Context, Definition, Event, Forecast, Input, KeyPart, Output, Stage};
use crate::stream::{self, Order, Outcome, Piece, Receive};
use crate::timings::{Meter, Step};
use crate::units::{Failures, Wanted, account, wanted};
pub use crate::units::{Work, unit_key};
use crate::{StageError, StageErrorKind};

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: VERSION,
    about: "decode, augment and embed every clip and variant",
    inputs: &["manifest", "augment"],
    parameters: Embed::KEYS,
    configure: |table| Ok(Box::new(parse::<Embed>(table)?)),
};

const NAME: &str = "embed";

/// Raised when the rows change that equal recipes and embedders give.
pub(crate) const VERSION: u32 = 3;

/// Key of the embedder's identity (JSON) in the metadata of the table's parts.
pub const EMBEDDER_KEY: &str = "ecosight.embedder";

/// The stage's parameters.
#[derive(Deserialize, Clone, Debug)]
#[serde(default, deny_unknown_fields)]
pub struct Embed {
    /// What turns audio into numbers.
    pub embedder: EmbedderName,
    /// What it computes in.
    pub precision: PrecisionChoice,
    /// What the numbers are kept in.
    pub dtype: Dtype,
}

impl Default for Embed {
    fn default() -> Self {
        Self { embedder: EmbedderName::Yamnet, precision: PrecisionChoice::F32, dtype: Dtype::F32 }
    }
}

impl Embed {
    /// The embedder that is asked for.
    pub fn spec(&self) -> EmbedderSpec {
        EmbedderSpec { name: self.embedder, precision: self.precision, dtype: self.dtype }
    }
}

impl Params for Embed {
    const KEYS: &'static [&'static str] = &["embedder", "precision", "dtype"];

    fn problems(&self) -> Vec<Problem> {
        self.spec().contradiction().map(|message| Problem::new("precision", message)).into_iter().collect()
    }
}

/// The vectors of a table that `embedder` makes.
pub fn vectors(embedder: &dyn Embedder) -> Vectors {
    let values = match embedder.id().dtype {
        Dtype::F32 => ValueType::Float32,
        Dtype::F16 => ValueType::Float16,
    };
    Vectors { dim: embedder.dim(), values }
}

impl Stage for Embed {
    fn check(&self, context: &Context<'_>) -> Result<(), StageError> {
        self.spec().check(context.weights).in_stage(NAME)
    }

    fn reads(&self) -> Vec<Input> {
        vec![Input::of("manifest", &["clip_id"]), Input::of("augment", &[])]
    }

    fn identity(&self, context: &Context<'_>) -> Result<Vec<KeyPart>, StageErrorKind> {
        Ok(vec![KeyPart::new("identity", self.spec().identify(context.weights)?.slug())])
    }

    fn foresee(&self, context: &Context<'_>, foreseen: &mut Foreseen) -> Result<Forecast, StageErrorKind> {
        let id = self.spec().identify(context.weights)?;
        let recipes = foreseen.recipes(context.layout)?.to_vec();
        let clips = foreseen.clips(context.layout)?;
        let wanted = wanted(&id, recipes, clips)?;
        let table = EmbedTable::look(context.layout, &id.slug())?;
        let present = if context.forced { HashSet::new() } else { table.present() };
        let failed = Failures::of_run(context, &id);
        let is_failed = |clip_id| failed.is_known(clip_id);
        let live: HashMap<Unit, &UnitEntry> = table.live().map(|entry| (entry.unit, entry)).collect();
        let keys = live.iter().map(|(unit, entry)| (*unit, entry.key)).collect();
        let rows = account(&wanted, &present, &keys, &is_failed);
        let (mut notes, mut examples) = (table.damaged().to_vec(), Vec::new());
        let mut changed = BTreeMap::<(&str, &str), u64>::new();
        for (clip, units) in wanted.iter().filter(|(clip, _)| !is_failed(clip.clip_id)) {
            let missing: Vec<_> = units.iter().filter(|unit| !present.contains(&unit.entry.key)).collect();
            if !missing.is_empty() {
                examples.push(clip.uri.clone());
            }
            for Wanted { entry, .. } in missing {
                if let Some(before) = live.get(&entry.unit).filter(|before| before.recipe != entry.recipe) {
                    *changed.entry((&*before.recipe, &*entry.recipe)).or_default() += 1;
                }
            }
        }
        for ((before, after), n) in changed.iter().take(3) {
            notes.push(format!("{n} unit(s): {before} → {after}"));
        }
        let keys = wanted.iter().filter(|(clip, _)| !failed.is_known(clip.clip_id)).flat_map(|(_, units)| units);
        let columns = Some(Digests::from([("rows".to_owned(), digest(keys.map(|unit| &unit.entry)))]));
        Ok(Forecast { rows: Some(rows), columns, notes, examples })
    }

    fn run(&self, context: &Context<'_>) -> Result<Output, StageError> {
        let clips: Vec<ClipRow> = read_rows(&context.layout.table("manifest")).in_stage(NAME)?;
        let recipes: Vec<RecipeRow> = read_rows(&context.layout.table("augment")).in_stage(NAME)?;
        let meter = Meter::default();
        let output = self.bring_up_to_date(context, &clips, recipes, &meter).in_stage(NAME)?;
        context.emit(Event::Timed { stage: NAME, steps: meter.report() });
        Ok(output)
    }
}

impl Embed {
    fn bring_up_to_date(
        &self,
        context: &Context<'_>,
        clips: &[ClipRow],
        recipes: Vec<RecipeRow>,
        meter: &Meter,
    ) -> Result<Output, StageErrorKind> {
        let id = self.spec().identify(context.weights)?;
        let wanted = wanted(&id, recipes, clips)?;
        let table = EmbedTable::open(context.layout, &id.slug())?;
        for message in table.damaged() {
            context.emit(Event::Warning { stage: NAME, message: message.clone() });
        }
        let present = if context.forced { HashSet::new() } else { table.present() };
        let live = table.live().map(|entry| (entry.unit, entry.key)).collect();
        drop(table);
        let known = Failures::of_run(context, &id);
        let work: Vec<Work> = wanted
            .iter()
            .filter(|(clip, _)| !known.is_known(clip.clip_id))
            .filter_map(|(clip, units)| Work::missing(clip, units, &present))
            .collect();
        // What is known to fail counts, and is told, like what fails now.
        let mut tally = Tally { failed: known.of(&wanted), ..Tally::default() };
        let embedder = open_embedder(self.spec(), context.weights)?;
        let format = format(&*embedder);
        if !work.is_empty() {
            let stop = Stop::new(context.cancelled);
            let bench = Bench { embedder: &*embedder, meter, stop: &stop, is_measuring: true };
            let originals = Originals::of(context, clips)?;
            let mut measured = Measured::of(context);
            let computed = compute(context, bench, &format, &work, &originals, &mut tally, &mut measured);
            let is_known: HashSet<ClipId> = clips.iter().map(|clip| clip.clip_id).collect();
            computed.and(measured.finish(&is_known))?;
        }
        context.quarantine(&tally.failed, wanted.len())?;
        let failed: HashSet<ClipId> = tally.failed.iter().filter_map(|row| row.clip_id).collect();
        let keys: HashSet<UnitKey> = wanted
            .iter()
            .filter(|(clip, _)| !failed.contains(&clip.clip_id))
            .flat_map(|(_, units)| units.iter().map(|unit| unit.entry.key))
            .collect();
        let table = EmbedTable::open(context.layout, &id.slug())?;
        let is_stopped = || context.check_cancelled().is_err();
        let committed = meter.time(Step::Write, 0, || table.commit(&format, &keys, context.forced, &is_stopped));
        // Whoever asks to stop need not hear of what was not done.
        let committed = committed.or_else(|error| context.check_cancelled().and(Err(error.into())))?;
        let rows = account(&wanted, &present, &live, &|clip_id| failed.contains(&clip_id));
        let counts = [
            ("clips", wanted.len() - failed.len()),
            ("units", tally.units),
            ("patches", tally.patches),
            ("reused", rows.reused as usize),
            ("returned", committed.returned),
            ("retired", committed.retired),
            ("quarantined", failed.len()),
        ];
        context.emit(Event::counted(NAME, counts));
        let is_provisional = tally.failed.iter().any(|row| row.key.is_none());
        let columns = Digests::from([("rows".to_owned(), committed.rows)]);
        Ok(Output { columns, files: committed.files, rows, is_provisional })
    }
}

/// What a run has computed.
#[derive(Default)]
struct Tally {
    units: usize,
    patches: usize,
    failed: Vec<QuarantineRow>,
}

/// What was measured of the clips while they were decoded, for the stages that would have to read them again.
struct Measured<'a> {
    layout: &'a Layout,
    sounds: Vec<SoundRow>,
    fingerprints: Vec<(ClipId, Fingerprint)>,
    kept: KeptFingerprints<'a>,
}

impl<'a> Measured<'a> {
    /// Fingerprints that are held before they are written: of clips of some seconds a few hundred kilobytes.
    const AT_ONCE: usize = 64;

    fn of(context: &'a Context<'a>) -> Self {
        let kept = KeptFingerprints::open(context, NAME);
        Self { layout: context.layout, sounds: Vec::new(), fingerprints: Vec::new(), kept }
    }

    fn push(&mut self, clip_id: ClipId, heard: &mut Heard) {
        let Some(acoustics) = heard.acoustics.take() else { return };
        self.sounds.push(SoundRow { clip_id, duration_s: heard.duration_s, snr_db: acoustics.snr_db });
        self.fingerprints.extend(acoustics.fingerprint.map(|fingerprint| (clip_id, fingerprint)));
        if self.fingerprints.len() >= Self::AT_ONCE {
            self.write();
        }
    }

    fn write(&mut self) {
        let fingerprints = std::mem::take(&mut self.fingerprints);
        self.kept.put(fingerprints.iter().map(|(clip, fingerprint)| (*clip, fingerprint)));
    }

    fn finish(mut self, is_known: &HashSet<ClipId>) -> Result<(), StageErrorKind> {
        self.write();
        self.kept.retain(is_known);
        sounds::keep(self.layout, &self.sounds, |clip| is_known.contains(clip))
    }
}

/// Embeds `work` into parts that wait for the table to be complete. Whatever was computed stays, also after an error.
fn compute(
    context: &Context<'_>,
    bench: Bench<'_>,
    format: &EmbedFormat,
    work: &[Work],
    originals: &Originals<'_>,
    tally: &mut Tally,
    measured: &mut Measured<'_>,
) -> Result<(), StageErrorKind> {
    let id = bench.embedder.id();
    let mut parts = EmbedWriter::new(&EmbedTable::staging(context.layout, &id.slug()), format.clone());
    let write = |piece| write(&mut parts, bench.meter, work, piece);
    let result = write_behind(write, |hand| {
        embed_all(context, NAME, bench, work, &mut |piece| {
            let mut piece = originals.confirm(piece, work);
            if let Piece::Done(number, outcome) = &mut piece
                && let Some(heard) = outcome.heard_mut()
            {
                measured.push(work[*number].clip_id, heard);
            }
            match &piece {
                Piece::Rows(_, _, rows) => tally.patches += rows.len(),
                Piece::Done(_, Outcome::Whole(embeddings)) => {
                    tally.units += embeddings.variants.len();
                    tally.patches += embeddings.patches();
                }
                Piece::Done(number, Outcome::Long(_)) => tally.units += work[*number].recipes.len(),
                Piece::Done(number, Outcome::Failed(error)) => {
                    tally.failed.push(work[*number].quarantined(error, id));
                }
            }
            hand(piece)
        })
    });
    let finished = bench.meter.time(Step::Write, 0, || parts.finish());
    result.and(finished.map(drop).map_err(StageErrorKind::from))
}

/// What all parts of a table that `embedder` makes have in common.
pub fn format(embedder: &dyn Embedder) -> EmbedFormat {
    let id = embedder.id();
    let json = serde_json::to_string(id).expect("an identity is plain data");
    EmbedFormat { embedder: id.slug(), vectors: vectors(embedder), metadata: vec![(EMBEDDER_KEY, json)] }
}

/// Writes what comes out of the stream.
fn write(parts: &mut EmbedWriter, meter: &Meter, work: &[Work], piece: Piece) -> Result<(), DatasetError> {
    match piece {
        Piece::Rows(number, recipe, patches) => {
            meter.time(Step::Write, patches.len(), || parts.write_long(&work[number].units[recipe], patches))
        }
        Piece::Done(number, outcome) => {
            let clip = &work[number];
            match outcome {
                Outcome::Whole(embeddings) => {
                    let rows = embeddings.patches();
                    let units = clip.units.iter().cloned().zip(embeddings.variants);
                    meter.time(Step::Write, rows, || parts.write(units))
                }
                Outcome::Long(_) => meter.time(Step::Write, 0, || parts.keep_long(clip.clip_id)),
                Outcome::Failed(_) => parts.drop_long(clip.clip_id),
            }
        }
    }
}

/// Embeds all of `work`, on behalf of `stage`; `each` gets the pieces, whose numbers are positions in `work`.
pub fn embed_all(
    context: &Context<'_>,
    stage: &'static str,
    bench: Bench<'_>,
    work: &[Work],
    each: &mut Receive<'_>,
) -> Result<(), StageErrorKind> {
    let store = context.store()?;
    let files: Vec<_> = work.iter().map(|w| Listed { uri: &w.uri, version: w.version.clone() }).collect();
    let orders: Vec<Order<'_>> = work.iter().map(|w| Order { span: w.span, recipes: &w.recipes }).collect();
    let total = work.len() as u64;
    let progress = |done| context.emit(Event::Progress { stage, done, total, unit: "clips" });
    let mut silent = Vec::new();
    let mut listen = |piece: Piece| {
        if let Piece::Done(number, outcome) = &piece {
            let uri = &work[*number].uri;
            let heard = outcome.heard();
            if heard.is_some_and(|heard| heard.is_silent) {
                silent.push(uri.clone());
            }
            if let Some(skipped) = heard.map(|heard| heard.skipped_packets).filter(|n| *n > 0) {
                let message = format!("`{uri}`: {skipped} damaged packets left out");
                context.emit(Event::Warning { stage, message });
            }
        }
        each(piece)
    };
    bridge::fetch(&store, &files, |files| stream::run(bench, &orders, &files, &mut listen, &progress))?;
    if let Some(first) = silent.first() {
        let message = format!("{} clip(s) are silent (first: `{first}`)", silent.len());
        context.emit(Event::Warning { stage, message });
    }
    Ok(())
}
