//! `audit`: nothing that is judged by may be a copy of what is trained on.
//!
//! The split keeps recordings together as far as it is told which clips belong to one. This stage listens: files that lie on two sides, audio that is
//! equal once decoded, and copies that were trimmed, shifted, rescaled or encoded anew (see `leaks`). What it finds stops the run,
//! unless leaks are allowed; then the model says of itself that its figures mean nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ecosight_datasets::audio::{AudioSource, MonoReader, Span};
use ecosight_datasets::key::ClipId;
use ecosight_datasets::store::{OpenError, Store};
use ecosight_datasets::tables::{ClipRow, LeakRow, Side, read_rows};
use ecosight_models::frontend::LogMel;
use ecosight_models::head::{Pooling, TrainConfig};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::bridge::{Listed, fetch};
use crate::error::InStage;
use crate::labels::Labels;
use crate::leaks::{Clips, Fingerprint, Match, align, equal_rows, nominate};
use crate::params::{Params, Problem, parse};
use crate::pooled::{Rows, read_pooled};
use crate::rows::replace;
use crate::stage::{Context, Definition, Event, Input, Output, Stage};
use crate::{StageError, StageErrorKind};

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 1,
    about: "find copies of clips on different sides of the split",
    inputs: &["manifest", "split", "embed"],
    parameters: Audit::KEYS,
    configure: |table| Ok(Box::new(parse::<Audit>(table)?)),
};

const NAME: &str = "audit";

/// Longer clips are compared by their beginning: ten minutes take a megabyte.
const LISTENED_S: usize = 600;

/// Leaks that are named in the error.
const NAMED: usize = 5;

/// Parameters of the stage.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Audit {
    /// For each val and test clip, the most similar clips of other sides that are listened to; 0: none.
    pub neighbours: usize,
    /// Whether to go on with what was found.
    pub allow_leak: bool,
}

impl Default for Audit {
    fn default() -> Self {
        Self { neighbours: 20, allow_leak: false }
    }
}

impl Params for Audit {
    const KEYS: &'static [&'static str] = &["neighbours", "allow_leak"];

    fn problems(&self) -> Vec<Problem> {
        crate::params::within("neighbours", self.neighbours as f64, 0.0, 1000.0).into_iter().collect()
    }
}

impl Stage for Audit {
    fn reads(&self) -> Vec<Input> {
        vec![
            Input::of("manifest", &["clip_id", "file_id"]),
            Input::of("split", &["clip_id", "recording_id", "split"]),
            Input::of("embed", &["rows"]),
        ]
    }

    fn run(&self, context: &Context<'_>) -> Result<Output, StageError> {
        let clips: Vec<ClipRow> = read_rows(&context.layout.table("manifest")).in_stage(NAME)?;
        let labels = Labels::read(context, &TrainConfig::default()).in_stage(NAME)?;
        if self.neighbours == 0 {
            let message = "copies that were changed are not looked for: `audit.neighbours` is 0".to_owned();
            context.emit(Event::Warning { stage: NAME, message });
        }
        let found = self.leaks(context, &clips, &labels).in_stage(NAME)?;
        let output = replace(context.layout, &found, |row: &LeakRow| row.clips).in_stage(NAME)?;
        let n = |kind: &str| found.iter().filter(|leak| leak.kind == kind).count();
        context.emit(Event::counted(NAME, [("file", n("file")), ("audio", n("audio")), ("near", n("near"))]));
        if let Some(message) = told(&found) {
            if !self.allow_leak {
                let hint = "tell which clips are of one recording (`split.pattern`, or the column `recording_id` of a manifest), or remove the \
                            copies; tables/audit lists all. To go on all the same, with figures that are marked as leaky: `--allow-leak`";
                return Err(StageErrorKind::data(message, hint)).in_stage(NAME);
            }
            context.emit(Event::Warning { stage: NAME, message });
        }
        Ok(output)
    }
}

/// What was found, in words; nothing where nothing was.
fn told(found: &[LeakRow]) -> Option<String> {
    let first: Vec<_> = found
        .iter()
        .take(NAMED)
        .map(|leak| {
            format!("`{}` ({}) and `{}` ({})", leak.uris[0], leak.sides[0].word(), leak.uris[1], leak.sides[1].word())
        })
        .collect();
    let more = if found.len() > NAMED { format!(" and {} more", found.len() - NAMED) } else { String::new() };
    let are = if found.len() == 1 { "is a pair" } else { "are pairs" };
    let n = found.len();
    (n > 0).then(|| {
        format!(
            "there {are} of clips on different sides of which one is a copy of the other ({n}): {}{more}",
            first.join("; ")
        )
    })
}

/// Two clips, as indices into the rows; the one nearer to training first.
type Two = (usize, usize);

impl Audit {
    /// All leaks, in the order of their clips.
    fn leaks(&self, context: &Context<'_>, clips: &[ClipRow], labels: &Labels) -> Result<Vec<LeakRow>, StageErrorKind> {
        let mut rows = Rows::default();
        read_pooled(context, Pooling::Mean.into(), labels, &mut |unit, labelled, row| {
            if unit.variant == 0 {
                rows.push(unit, labelled, &row);
            }
        })?;
        rows.sort();
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let by_id: HashMap<ClipId, &ClipRow> = clips.iter().map(|clip| (clip.clip_id, clip)).collect();
        let listed: Vec<&ClipRow> = rows.units.iter().map(|unit| by_id[&unit.clip_id]).collect();
        let sides: Vec<Side> = rows.units.iter().map(|unit| labels.clips[&unit.clip_id].split.side).collect();
        let all = Clips { rows: &rows.x, dim: rows.dim, groups: &rows.groups, sides: &sides };

        let mut kinds: BTreeMap<Two, &'static str> = BTreeMap::new();
        for two in same_file(&listed, &sides) {
            kinds.entry(two).or_insert("file");
        }
        let equal: Vec<Two> = equal_rows(&all).iter().flat_map(|set| across(set, &sides)).collect();
        let pairs = if self.neighbours == 0 { Vec::new() } else { nominate(&all, self.neighbours) };
        let near: BTreeSet<Two> = pairs.iter().map(|pair| ordered(pair.a, pair.b, &sides)).collect();
        let heard = listen(context, &listed, equal.iter().chain(&near))?;
        // Digital silence equals digital silence.
        for two in equal {
            if heard.get(&two.0).is_some_and(|fingerprint| !fingerprint.is_blank()) {
                kinds.entry(two).or_insert("audio");
            }
        }
        let near: Vec<Two> = near.into_iter().filter(|two| !kinds.contains_key(two)).collect();
        let matches: Vec<Option<Match>> = near.par_iter().map(|(a, b)| align(heard.get(a)?, heard.get(b)?)).collect();
        let mut found: Vec<(Two, &'static str, Option<Match>)> =
            kinds.into_iter().map(|(two, kind)| (two, kind, None)).collect();
        found.extend(
            near.into_iter().zip(matches).filter(|(_, found)| found.is_some()).map(|(two, found)| (two, "near", found)),
        );
        found.sort_by_key(|((a, b), ..)| (rows.units[*a], rows.units[*b]));
        let leak = |((a, b), kind, found): (Two, &str, Option<Match>)| LeakRow {
            clips: [a, b].map(|clip| rows.units[clip].clip_id),
            uris: [a, b].map(|clip| listed[clip].uri.clone()),
            sides: [a, b].map(|clip| sides[clip]),
            kind: kind.to_owned(),
            similarity: found.map(|found| found.similarity),
            offset_s: found.map(|found| found.offset_s),
            overlap_s: found.map(|found| found.overlap_s),
        };
        Ok(found.into_iter().map(leak).collect())
    }
}

/// The pairs of a set of clips that lie on different sides.
fn across(set: &[usize], sides: &[Side]) -> Vec<Two> {
    let pairs = set.iter().enumerate().flat_map(|(n, &a)| set[n + 1..].iter().map(move |&b| (a, b)));
    pairs.filter(|&(a, b)| sides[a] != sides[b]).map(|(a, b)| ordered(a, b, sides)).collect()
}

fn ordered(a: usize, b: usize, sides: &[Side]) -> Two {
    if (sides[a], a) <= (sides[b], b) { (a, b) } else { (b, a) }
}

/// Spans of one file on different sides, one pair for each two sides.
fn same_file(clips: &[&ClipRow], sides: &[Side]) -> Vec<Two> {
    let mut first: HashMap<ClipId, BTreeMap<Side, usize>> = HashMap::new();
    for (number, clip) in clips.iter().enumerate() {
        first.entry(clip.file_id).or_default().entry(sides[number]).or_insert(number);
    }
    first.values().flat_map(|by_side| across(&by_side.values().copied().collect::<Vec<_>>(), sides)).collect()
}

/// The fingerprints of all clips of these pairs; one that cannot be read any more has none.
fn listen<'a>(
    context: &Context<'_>,
    clips: &[&ClipRow],
    pairs: impl Iterator<Item = &'a Two>,
) -> Result<HashMap<usize, Fingerprint>, StageErrorKind> {
    let wanted: Vec<usize> = pairs.flat_map(|&(a, b)| [a, b]).collect::<BTreeSet<_>>().into_iter().collect();
    let store: Store = context.store()?;
    let files: Vec<Listed<'_>> =
        wanted.iter().map(|&clip| Listed { uri: &clips[clip].uri, version: clips[clip].version() }).collect();
    let total = wanted.len() as u64;
    let mut heard = HashMap::new();
    fetch(&store, &files, |opened| {
        let mut opened = wanted.iter().zip(opened).peekable();
        while opened.peek().is_some() {
            context.check_cancelled()?;
            let some: Vec<_> = opened.by_ref().take(64).collect();
            let fingerprints: Vec<(usize, Result<Option<Fingerprint>, StageErrorKind>)> = some
                .into_par_iter()
                .map(|(&clip, file)| {
                    let fingerprint = match file {
                        Ok(source) => Ok(fingerprint(source, clips[clip].span)),
                        Err(OpenError::File { .. }) => Ok(None),
                        Err(OpenError::Store(error)) => Err(error.into()),
                    };
                    (clip, fingerprint)
                })
                .collect();
            for (clip, fingerprint) in fingerprints {
                if let Some(fingerprint) = fingerprint? {
                    heard.insert(clip, fingerprint);
                }
            }
            context.emit(Event::Progress { stage: NAME, done: heard.len() as u64, total, unit: "clips" });
        }
        Ok(heard)
    })
}

/// The fingerprint of the beginning of a clip; none where it cannot be decoded.
fn fingerprint(source: Box<dyn AudioSource>, span: Option<Span>) -> Option<Fingerprint> {
    let mut reader = MonoReader::open(source, span).ok()?;
    let mut samples = Vec::new();
    while samples.len() < LISTENED_S * ecosight_datasets::audio::SAMPLE_RATE_HZ as usize {
        let Some(block) = reader.next_block().ok()? else { break };
        samples.extend_from_slice(block);
    }
    let mut rows = Vec::new();
    LogMel::new().rows(&samples, &mut rows);
    Some(Fingerprint::new(&rows))
}
