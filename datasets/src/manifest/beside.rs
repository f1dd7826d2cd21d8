//! Files with labels that lie beside recordings: `a.txt` as Audacity exports it, `a.selections.txt` or `a.Table.1.selections.txt` as Raven saves
//! it, for `a.wav` in the same folder. The spans that they mark are the clips, and what the folder is called does not matter.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use futures::{StreamExt, TryStreamExt};

use super::annotation::{Annotation, Distinct, LineProblem};
use super::{read_audacity, read_raven};
use crate::DatasetError;
use crate::audio::AUDIO_EXTENSIONS;
use crate::store::{MAX_REQUESTS, Object, OpenError, Store, Version};

/// Bytes of a file with labels; more are none.
const LARGEST: u64 = 16 << 20;

/// What files with labels say.
#[derive(Debug, Default)]
pub struct Beside {
    /// Recordings by their path, with what is marked in each. One of which no span is marked has no clips.
    pub recordings: BTreeMap<String, Vec<Annotation>>,
    /// The files with labels, which are nothing else.
    pub files: BTreeSet<String>,
    /// Files that are not understood, with the reason. The recordings that they lie beside have no clips.
    pub problems: Vec<(String, String)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Audacity,
    Raven,
}

/// A file with labels, and the recording it lies beside.
struct Found<'a> {
    object: &'a Object,
    format: Format,
    recording: Option<&'a str>,
}

impl Beside {
    /// What the files with labels among `objects` say of the recordings there. A file that is on this machine is not fetched again.
    pub async fn read(store: &Store, objects: &[Object]) -> Result<Self, DatasetError> {
        let recordings = Recordings::of(objects.iter().map(|object| object.uri.as_str()));
        let found = objects.iter().filter_map(|object| {
            let (format, recording) = recordings.labels(&object.uri)?;
            Some(Found { object, format, recording })
        });
        let found: Vec<Found<'_>> = found.collect();
        let read = found.into_iter().map(|found| async move {
            let text = text(store, found.object).await?;
            Ok::<_, DatasetError>((found, text))
        });
        let mut read: Vec<_> = futures::stream::iter(read).buffer_unordered(MAX_REQUESTS).try_collect().await?;
        read.sort_by(|(a, _), (b, _)| a.object.uri.cmp(&b.object.uri));
        let (mut beside, mut distinct) = (Self::default(), Distinct::default());
        for (found, text) in read {
            if found.format == Format::Audacity && text.as_deref().is_ok_and(is_prose) {
                continue;
            }
            beside.files.insert(found.object.uri.clone());
            if let Some(recording) = found.recording {
                beside.recordings.entry(recording.to_owned()).or_default();
            }
            let annotations = text.and_then(|text| parse(found.format, &text).map_err(|problem| problem.to_string()));
            if let Err(why) =
                annotations.and_then(|annotations| beside.add(&found, annotations, &recordings, &mut distinct))
            {
                beside.problems.push((found.object.uri.clone(), why));
            }
        }
        Ok(beside)
    }

    /// Those of the recordings among `names` that a file with labels lies beside, going by the names alone. A table may be about all recordings of
    /// its folder.
    pub fn labelled<'a>(names: &[&'a str]) -> BTreeSet<&'a str> {
        let recordings = Recordings::of(names.iter().copied());
        let (mut labelled, mut folders) = (BTreeSet::new(), BTreeSet::new());
        for name in names {
            match recordings.labels(name) {
                None => {}
                Some((Format::Audacity, recording)) => labelled.extend(recording),
                Some((Format::Raven, _)) => drop(folders.insert(split(name).0)),
            }
        }
        let by_table = recordings.by_name.iter().filter(|((folder, _), _)| folders.contains(folder));
        labelled.extend(by_table.map(|(_, name)| *name));
        labelled
    }

    /// Those of `names` that hold labels of a recording among them, going by the names alone.
    pub fn labels<'a>(names: &[&'a str]) -> BTreeSet<&'a str> {
        let recordings = Recordings::of(names.iter().copied());
        names.iter().copied().filter(|name| recordings.labels(name).is_some()).collect()
    }

    /// Adds what one file marks; nothing of it where it names a recording that is not there.
    fn add(
        &mut self,
        found: &Found<'_>,
        annotations: Vec<Annotation>,
        recordings: &Recordings<'_>,
        distinct: &mut Distinct,
    ) -> Result<(), String> {
        let folder = found.object.uri.rsplit_once('/').map_or("", |(folder, _)| folder);
        let mut marked = Vec::new();
        for annotation in annotations {
            let recording = match &annotation.recording {
                Some(name) => recordings.named(folder, name).or(found.recording),
                None => found.recording,
            };
            let Some(recording) = recording else {
                let name = annotation.recording.as_deref().unwrap_or("it");
                return Err(format!("no recording of that name lies beside it: `{name}`"));
            };
            marked.push((recording.to_owned(), annotation));
        }
        for (recording, annotation) in marked {
            if distinct.insert(&annotation, Some(&recording)) {
                self.recordings.entry(recording).or_default().push(annotation);
            }
        }
        Ok(())
    }
}

/// The recordings of a source by their folder, and by their name there with and without its ending.
struct Recordings<'a> {
    by_name: BTreeMap<(&'a str, &'a str), &'a str>,
}

impl<'a> Recordings<'a> {
    fn of(names: impl Iterator<Item = &'a str>) -> Self {
        let mut by_name = BTreeMap::new();
        for uri in names {
            let (folder, name) = split(uri);
            let Some((stem, extension)) = name.rsplit_once('.') else { continue };
            if AUDIO_EXTENSIONS.contains(&extension.to_ascii_lowercase().as_str()) {
                by_name.insert((folder, name), uri);
                by_name.entry((folder, stem)).or_insert(uri);
            }
        }
        Self { by_name }
    }

    fn named(&self, folder: &str, name: &str) -> Option<&'a str> {
        self.by_name.get(&(folder, name)).copied()
    }

    /// What file with labels `uri` is, going by its name, and beside which recording. A text that lies beside no recording is a text.
    fn labels(&self, uri: &str) -> Option<(Format, Option<&'a str>)> {
        let (folder, name) = split(uri);
        let name = name.strip_suffix(".txt")?;
        let raven = name.strip_suffix(".selections").or_else(|| name.strip_suffix(".selection.table"));
        let (format, name) = raven.map_or((Format::Audacity, name), |name| (Format::Raven, name));
        let without_table = || {
            let (front, number) = name.rsplit_once('.')?;
            let front = front.strip_suffix(".Table").filter(|_| number.bytes().all(|byte| byte.is_ascii_digit()));
            front.or_else(|| name.strip_suffix(".BirdNET"))
        };
        let recording = self.named(folder, name).or_else(|| self.named(folder, without_table()?));
        (recording.is_some() || format == Format::Raven).then_some((format, recording))
    }
}

/// The folder of a file, and its name there.
fn split(uri: &str) -> (&str, &str) {
    uri.rsplit_once('/').unwrap_or(("", uri))
}

/// Whether a text does not even begin as labels do, with a number and a tab: then it is a note about the recording.
fn is_prose(text: &str) -> bool {
    let first = text.trim_start_matches('\u{feff}').lines().find(|line| !line.trim().is_empty());
    first.is_some_and(|line| line.split_once('\t').is_none_or(|(start, _)| start.trim().parse::<f64>().is_err()))
}

fn parse(format: Format, text: &str) -> Result<Vec<Annotation>, LineProblem> {
    let text = text.trim_start_matches('\u{feff}');
    match format {
        Format::Audacity => read_audacity(text),
        Format::Raven => read_raven(text),
    }
}

/// The content of a file with labels, or why it has none.
async fn text(store: &Store, object: &Object) -> Result<Result<String, String>, DatasetError> {
    if object.size_bytes > LARGEST {
        return Ok(Err(format!("a file of {} bytes holds no labels", object.size_bytes)));
    }
    let version = object.etag.clone().map(|etag| Version { etag, size_bytes: object.size_bytes });
    match store.open(&object.uri, version.as_ref()).await {
        Ok(mut file) => {
            let mut bytes = Vec::new();
            let read = file.read_to_end(&mut bytes).map_err(|error| error.to_string());
            Ok(read.and_then(|_| String::from_utf8(bytes).map_err(|_| "it is no text in UTF-8".to_owned())))
        }
        Err(OpenError::File { message, .. }) => Ok(Err(message)),
        Err(OpenError::Store(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::block_on;

    const RAVEN: &str = "Begin Time (s)\tEnd Time (s)\tBegin File\tSpecies\n0\t1\ta.wav\tdog\n";

    fn beside(files: &[(&str, &str)]) -> Beside {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        }
        let store = Store::folder(dir.path()).unwrap();
        block_on(async { Beside::read(&store, &store.list().await.unwrap().objects).await }).unwrap()
    }

    #[test]
    fn a_file_with_labels_belongs_to_the_recording_of_its_name_in_its_folder() {
        let names = [
            "n/a.txt",
            "n/a.wav.txt",
            "n/a.selections.txt",
            "n/a.Table.1.selections.txt",
            "n/a.Table.12.selections.txt",
        ];
        for name in names {
            let text = if name.contains("selections") { RAVEN } else { "0\t1\tdog\n" };
            let found = beside(&[("n/a.wav", ""), ("m/a.wav", ""), (name, text)]);
            assert_eq!(found.recordings.keys().collect::<Vec<_>>(), ["n/a.wav"], "{name}");
            assert_eq!((found.recordings["n/a.wav"].len(), found.problems.len()), (1, 0), "{name}");
        }
        let found = beside(&[("n/a.wav", ""), ("n/readme.txt", "hello"), ("a.txt", "hello")]);
        assert!(found.files.is_empty() && found.recordings.is_empty());
    }

    /// Comparing all pairs would take minutes.
    #[test]
    fn of_a_table_with_many_lines_repeated_ones_count_once() {
        let line = |i: usize| format!("{}.25\t{}.75\ta.wav\tdog\n", i / 2, i / 2);
        let text: String =
            std::iter::once(RAVEN.lines().next().unwrap().to_owned() + "\n").chain((0..200_000).map(line)).collect();
        let found = beside(&[("a.wav", ""), ("a.selections.txt", &text)]);
        assert_eq!(found.recordings["a.wav"].len(), 100_000, "each is there twice");
    }

    #[test]
    fn one_table_may_be_about_several_recordings() {
        let table = format!("{RAVEN}2\t3\tb.wav\tcat\n");
        let found = beside(&[("a.wav", ""), ("b.wav", ""), ("night.Table.1.selections.txt", &table)]);
        assert_eq!(found.recordings.keys().collect::<Vec<_>>(), ["a.wav", "b.wav"]);
        let found = beside(&[("a.wav", ""), ("night.selections.txt", &table)]);
        assert!(found.problems[0].1.contains("`b.wav`") && found.recordings.is_empty(), "{found:?}");
    }

    #[test]
    fn what_has_labels_is_told_by_the_names_alone() {
        let names =
            ["n/a.wav", "n/b.wav", "n/a.txt", "n/readme.txt", "m/a.wav", "t/a.wav", "t/night.Table.1.selections.txt"];
        assert_eq!(Beside::labelled(&names).into_iter().collect::<Vec<_>>(), ["n/a.wav", "t/a.wav"]);
    }

    #[test]
    fn a_note_about_a_recording_is_no_file_with_labels() {
        let found = beside(&[("dog/a.wav", ""), ("dog/a.txt", "a fine day\n0\t1\tdog\n")]);
        assert!(found.files.is_empty() && found.recordings.is_empty() && found.problems.is_empty(), "{found:?}");
    }

    #[test]
    fn a_recording_whose_labels_are_not_understood_has_no_clips() {
        let found = beside(&[("dog/a.wav", ""), ("dog/a.txt", "0\tsoon\tdog\n")]);
        assert_eq!(found.recordings["dog/a.wav"], []);
        assert!(found.problems[0].0 == "dog/a.txt" && found.problems[0].1.contains("line 1"), "{found:?}");
    }
}
