//! The audio that a user names on the command line: files as they are, folders by what their files contain.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use ecosight_datasets::DatasetError;
use ecosight_datasets::audio::{AUDIO_EXTENSIONS, sniff};
use ecosight_datasets::files::open_regular;
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Place, Store, describe_loops};

use super::error::CliError;
use super::printer::Printer;
use super::session::Globals;

/// What the paths on a command line name.
pub(crate) struct Named {
    /// Audio files, in a stable order.
    pub(crate) files: Vec<PathBuf>,
    /// One message for each file in a folder whose name cannot be addressed.
    pub(crate) unreadable: Vec<String>,
    /// Files in folders that are no audio.
    pub(crate) passed_over: usize,
}

/// What is done with the address of a bucket.
#[derive(Clone, Copy)]
pub(crate) enum Buckets<'a> {
    /// What lies there is listed.
    Read(&'a Globals),
    /// It is a mistake.
    Refused,
}

/// All audio files that `paths` name. In folders, files that are no audio by content and by name are passed over.
pub(crate) fn expand(paths: &[PathBuf], buckets: Buckets<'_>, printer: &Printer) -> Result<Named, CliError> {
    let mut named = Named { files: Vec::new(), unreadable: Vec::new(), passed_over: 0 };
    for path in paths {
        match buckets {
            Buckets::Read(globals) if is_address(path) => {
                in_bucket(path, globals, &mut named)?;
                continue;
            }
            Buckets::Refused if is_address(path) => {
                let error =
                    format!("`{}` is in a bucket, and only files on this machine are read here", path.display());
                return Err(CliError::usage(error, "copy it here first: `ecosight storage get`"));
            }
            _ => {}
        }
        if !path.is_dir() {
            named.files.push(path.clone());
            continue;
        }
        let listing = block_on(Store::folder(path)?.list())?;
        if let Some(message) = describe_loops(&listing.loops) {
            printer.warning(&message);
        }
        named.unreadable.extend(listing.unreadable);
        let found = listing.objects.into_iter().map(|object| path.join(object.uri));
        let (audio, other): (Vec<_>, Vec<_>) = found.partition(|file| is_audio(file));
        named.files.extend(audio);
        named.passed_over += other.len();
    }
    if named.files.is_empty() && named.unreadable.is_empty() {
        let paths: Vec<_> = paths.iter().map(|p| format!("`{}`", p.display())).collect();
        let message = format!("there is no audio in {}", paths.join(", "));
        return Err(CliError::usage(message, "name audio files or folders of them"));
    }
    Ok(named)
}

/// Whether it is the address of something in a bucket.
pub(crate) fn is_address(path: &Path) -> bool {
    path.to_str().is_some_and(|text| text.contains("://"))
}

/// An object, or the audio in a folder of a bucket, going by the names alone.
fn in_bucket(path: &Path, globals: &Globals, named: &mut Named) -> Result<(), CliError> {
    let place = Place::parse(&path.to_string_lossy())?;
    let (folder, name) = place.split();
    let above = Store::connect(&folder, globals.access()?)?;
    if !name.is_empty() && block_on(above.look(&name))?.is_some() {
        named.files.push(PathBuf::from(place.to_string()));
        return Ok(());
    }
    let store = Store::connect(&place, globals.access()?)?;
    let listing = block_on(store.list())?;
    named.unreadable.extend(listing.unreadable);
    let audio = listing.objects.iter().filter(|object| is_audio_by_name(Path::new(&object.uri)));
    named.files.extend(audio.map(|object| PathBuf::from(store.address(&object.uri))));
    Ok(())
}

/// Opens a file named on the command line.
pub(crate) fn open(path: &Path) -> Result<Box<File>, DatasetError> {
    open_regular(path).map(Box::new).map_err(DatasetError::at("open", path))
}

fn is_audio(path: &Path) -> bool {
    is_audio_by_name(path) || is_audio_by_content(path)
}

fn is_audio_by_name(path: &Path) -> bool {
    path.extension().is_some_and(|e| AUDIO_EXTENSIONS.contains(&e.to_string_lossy().to_lowercase().as_str()))
}

fn is_audio_by_content(path: &Path) -> bool {
    let mut head = Vec::new();
    // What cannot be read is not passed over: it fails later, with its reason.
    open_regular(path).and_then(|file| file.take(4096).read_to_end(&mut head)).is_err() || sniff(&head).is_some()
}
