//! `audit`: nothing that is judged by may be a copy of what is trained on.
//!
//! The split keeps recordings together as far as it is told which clips belong to one. This stage listens: files that lie on two sides, audio that is
//! equal once decoded, and copies that were trimmed, shifted, rescaled or encoded anew (see `leaks`).
//!
//! Pairs that it finds are added to the index of copies. Where the split joins copies (`split.copies`) and a pair is new, the stage asks for another pass
//! of the run, in which the split is dealt again. Otherwise a pair on two sides stops the run, unless leaks are allowed; then nothing is added, and the
//! model says of itself that its figures mean nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};

use ecosight_datasets::key::ClipId;
use ecosight_datasets::tables::{ClipRow, LeakRow, Side, read_rows};
use ecosight_models::head::{Pooling, TrainConfig};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::copies;
use crate::error::InStage;
use crate::labels::Labels;
use crate::leaks::{Clips, Fingerprints, Match, align, equal_rows, nominate};
use crate::params::{Params, Problem, parse};
use crate::pooled::{Rows, read_pooled};
use crate::rows::replace;
use crate::stage::{Context, Definition, Event, Input, Output, Stage};
use crate::{StageError, StageErrorKind};

/// See the module.
pub const DEFINITION: Definition = Definition {
    name: NAME,
    version: 2,
    about: "find copies of clips on different sides of the split",
    inputs: &["manifest", "split", "embed"],
    parameters: Audit::KEYS,
    configure: |table| {
        let settings = parse::<Audit>(table)?;
        Ok(Box::new(AuditStage { settings, fingerprints: Mutex::default() }))
    },
};

const NAME: &str = "audit";

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

/// The stage.
struct AuditStage {
    settings: Audit,
    /// Kept while the stage asks for further passes of a run.
    fingerprints: Mutex<Fingerprints>,
}

impl Stage for AuditStage {
    fn reads(&self) -> Vec<Input> {
        vec![
            Input::of("manifest", &["clip_id", "file_id"]),
            Input::of("split", &["clip_id", "recording_id", "split"]),
            Input::of("embed", &["rows"]),
        ]
    }

    fn run(&self, context: &Context<'_>) -> Result<Output, StageError> {
        let mut fingerprints = self.fingerprints.lock().unwrap_or_else(PoisonError::into_inner);
        let result = self.settings.run(context, &mut fingerprints).in_stage(NAME);
        if !result.as_ref().is_err_and(|error| matches!(*error.kind, StageErrorKind::AnotherPass { .. })) {
            *fingerprints = Fingerprints::default();
        }
        result
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

/// What to do where copies lie on different sides.
fn hint(is_joining: bool) -> &'static str {
    if is_joining {
        return "the split was made before they were known: `ecosight retrain` deals it again with these joined; tables/audit lists all";
    }
    "tell which clips are of one recording (`split.pattern`, or the column `recording_id` of a manifest), let `split.copies` be \"join\", or remove \
     the copies; tables/audit lists all. To go on all the same, with figures that are marked as leaky: `--allow-leak`"
}

/// Two clips, as indices into the rows; the one nearer to training first.
type Two = (usize, usize);

impl Audit {
    fn run(&self, context: &Context<'_>, fingerprints: &mut Fingerprints) -> Result<Output, StageErrorKind> {
        let clips: Vec<ClipRow> = read_rows(&context.layout.table("manifest"))?;
        let labels = Labels::read(context, &TrainConfig::default())?;
        if self.neighbours == 0 {
            let message = "copies that were changed are not looked for: `audit.neighbours` is 0".to_owned();
            context.emit(Event::Warning { stage: NAME, message });
        }
        let found = self.leaks(context, &clips, &labels, fingerprints)?;
        let is_joining = context.setting("split.copies") == Some("join");
        if !self.allow_leak {
            let new = copies::add(context.layout, &found)?;
            if is_joining && new > 0 {
                let pairs = if new == 1 { "pair" } else { "pairs" };
                let why = format!(
                    "{new} {pairs} of copies found on different sides of the split; it is dealt again with these joined"
                );
                return Err(StageErrorKind::AnotherPass { why });
            }
        }
        let output = replace(context.layout, &found, |row: &LeakRow| row.clips)?;
        let n = |kind: &str| found.iter().filter(|leak| leak.kind == kind).count();
        context.emit(Event::counted(NAME, [("file", n("file")), ("audio", n("audio")), ("near", n("near"))]));
        if let Some(message) = told(&found) {
            if !self.allow_leak {
                return Err(StageErrorKind::data(message, hint(is_joining)));
            }
            context.emit(Event::Warning { stage: NAME, message });
        }
        Ok(output)
    }

    /// All leaks, in the order of their clips.
    fn leaks(
        &self,
        context: &Context<'_>,
        clips: &[ClipRow],
        labels: &Labels,
        fingerprints: &mut Fingerprints,
    ) -> Result<Vec<LeakRow>, StageErrorKind> {
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
        let equal = equal_rows(&all);
        let pairs = if self.neighbours == 0 { Vec::new() } else { nominate(&all, self.neighbours) };
        let near: BTreeSet<Two> = pairs.iter().map(|pair| ordered(pair.a, pair.b, &sides)).collect();
        let wanted: BTreeSet<usize> =
            equal.iter().flatten().copied().chain(near.iter().flat_map(|&(a, b)| [a, b])).collect();
        fingerprints.compute(context, NAME, &wanted.iter().map(|&clip| listed[clip]).collect::<Vec<_>>())?;
        let id = |clip: usize| rows.units[clip].clip_id;
        // Digital silence equals digital silence.
        let copies = equal.iter().filter(|set| !set.iter().any(|&clip| fingerprints.is_silent(&id(clip))));
        for two in copies.flat_map(|set| across(set, &sides)) {
            kinds.entry(two).or_insert("audio");
        }
        let near: Vec<Two> = near.into_iter().filter(|two| !kinds.contains_key(two)).collect();
        let of = |clip: usize| fingerprints.of(&id(clip));
        let matches: Vec<Option<Match>> = near.par_iter().map(|&(a, b)| align(of(a)?, of(b)?)).collect();
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
