//! Writing and reading the folder.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;

use super::checksums::NEXT_CHECKSUMS_FILE;
use super::{ArtefactError, ArtefactErrorKind, CHECKSUMS_FILE, Checksums, ModelMeta, weights};
use crate::head::Head;

/// Name of the file of tensors.
pub const WEIGHTS_FILE: &str = "head.safetensors";

/// Name of the file of metadata.
pub const MODEL_FILE: &str = "model.json";

/// Name of the file of class names, kept for programs written against the system that this one replaces.
pub const CLASS_NAMES_FILE: &str = "class_names.json";

/// Largest file of tensors that is read: an MLP on 100,000 inputs is below it.
pub(super) const WEIGHTS_LIMIT: u64 = 256 << 20;

/// Largest JSON file that is read: the confusion matrices of a thousand classes are below it.
pub(super) const JSON_LIMIT: u64 = 64 << 20;

/// A model as it is stored.
#[derive(Debug, Clone)]
pub struct Artefact {
    /// What it is and how it came about.
    pub meta: ModelMeta,
    /// The trained head.
    pub head: Head,
}

/// The files of an artefact.
struct Files {
    weights: Vec<u8>,
    model: Vec<u8>,
    class_names: Vec<u8>,
    checksums: Vec<u8>,
}

impl Artefact {
    /// Writes the artefact to the folder `dir`, whose parent exists or is made.
    ///
    /// All files are written and synced in a temporary folder beside `dir`, which is renamed in the end. Where `dir`
    /// holds an artefact of the same digest nothing is done, so saving is repeatable.
    ///
    /// # Errors
    ///
    /// [`ArtefactErrorKind::Inconsistent`] or `SchemaVersion` when the metadata does not fit the head or the training settings are not valid, `Exists` when
    /// `dir` holds anything else, `Io` when a file cannot be written.
    pub fn save(&self, dir: &Path) -> Result<(), ArtefactError> {
        let problems = self.meta.train.problems();
        if !problems.is_empty() {
            return Err(ArtefactErrorKind::Inconsistent(format!("`train`: {}", problems.join("; "))).at(dir));
        }
        let files = self.files().map_err(|kind| kind.at(dir))?;
        if dir.try_exists().map_err(|error| ArtefactErrorKind::Io(error).at(dir))? {
            return self.accept_existing(dir);
        }
        match write_folder(dir, &files) {
            Ok(()) => Ok(()),
            // Another writer may have been first; if it wrote the same model, all is well.
            Err(_) if dir.exists() => self.accept_existing(dir),
            Err(error) => Err(ArtefactErrorKind::Io(error).at(dir)),
        }
    }

    /// Replaces `model.json` in the artefact's folder `dir` with its checksum: figures are added once the model is evaluated. It is written in the current
    /// schema. After a crash at any point [`Artefact::verify`] passes, with the old `model.json` or the new one.
    ///
    /// # Errors
    ///
    /// As [`Artefact::save`].
    pub fn save_meta(&self, dir: &Path) -> Result<(), ArtefactError> {
        let current = Self { meta: self.meta.in_current_schema(), head: self.head.clone() };
        let files = current.files().map_err(|kind| kind.at(dir))?;
        for (name, bytes) in [(NEXT_CHECKSUMS_FILE, &files.checksums), (MODEL_FILE, &files.model)] {
            let path = dir.join(name);
            crate::files::replace(&path, bytes).map_err(|error| ArtefactErrorKind::Io(error).at(&path))?;
        }
        let path = dir.join(CHECKSUMS_FILE);
        let renamed = fs::rename(dir.join(NEXT_CHECKSUMS_FILE), &path).and_then(|()| sync_folder(dir));
        renamed.map_err(|error| ArtefactErrorKind::Io(error).at(&path))
    }

    /// Reads and checks the artefact in the folder `dir`.
    ///
    /// # Errors
    ///
    /// [`ArtefactError`] naming the file that is missing, unreadable, too large, of an unknown schema version, corrupt,
    /// or in contradiction to the others.
    pub fn load(dir: &Path) -> Result<Self, ArtefactError> {
        let path = dir.join(MODEL_FILE);
        let meta = read(&path, JSON_LIMIT).and_then(|bytes| ModelMeta::from_json(&bytes));
        let meta = meta.map_err(|kind| kind.at(&path))?;

        let path = dir.join(CLASS_NAMES_FILE);
        read(&path, JSON_LIMIT)
            .and_then(|bytes| serde_json::from_slice::<Vec<String>>(&bytes).map_err(ArtefactErrorKind::Json))
            .and_then(|names| {
                let equal = names == meta.classes;
                let text = format!("the names are not the `classes` of `{MODEL_FILE}`");
                if equal { Ok(()) } else { Err(ArtefactErrorKind::Inconsistent(text)) }
            })
            .map_err(|kind| kind.at(&path))?;

        let path = dir.join(WEIGHTS_FILE);
        let head = read(&path, WEIGHTS_LIMIT)
            .and_then(|bytes| weights::from_bytes(&bytes, &meta.train, meta.classes.len()))
            .map_err(|kind| kind.at(&path))?;
        let artefact = Self { meta, head };
        artefact.check().map_err(|kind| kind.at(dir))?;
        Ok(artefact)
    }

    /// BLAKE3 over the bytes of the weights and of `model.json`, hexadecimal: equal for equal models.
    ///
    /// # Errors
    ///
    /// As [`Artefact::save`] for metadata that does not fit; the path of the error is empty.
    pub fn digest(&self) -> Result<String, ArtefactError> {
        let files = self.files().map_err(|kind| kind.at(Path::new("")))?;
        Ok(Checksums::of(&files.weights, &files.model).digest)
    }

    fn check(&self) -> Result<(), ArtefactErrorKind> {
        self.meta.check()?;
        let problem = |text: String| Err(ArtefactErrorKind::Inconsistent(text));
        if self.head.kind() != self.meta.train.head {
            return problem(format!("the head is {:?}, `train.head` {:?}", self.head.kind(), self.meta.train.head));
        }
        if self.head.classes() != self.meta.classes.len() {
            let (head, names) = (self.head.classes(), self.meta.classes.len());
            return problem(format!("the head has {head} classes, `classes` {names}"));
        }
        let columns = self.meta.train.summary().dim(1);
        if !self.head.input_dim().is_multiple_of(columns) {
            return problem(format!(
                "{} inputs do not come from `train.pooling` and `train.features`",
                self.head.input_dim()
            ));
        }
        Ok(())
    }

    fn files(&self) -> Result<Files, ArtefactErrorKind> {
        self.check()?;
        let mut class_names = serde_json::to_vec_pretty(&self.meta.classes).map_err(ArtefactErrorKind::Json)?;
        class_names.push(b'\n');
        let (weights, model) = (weights::to_bytes(&self.head)?, self.meta.to_json()?);
        let checksums = Checksums::of(&weights, &model).to_json()?;
        Ok(Files { weights, model, class_names, checksums })
    }

    fn accept_existing(&self, dir: &Path) -> Result<(), ArtefactError> {
        let same = match Self::load(dir) {
            Ok(existing) => existing.digest()? == self.digest()?,
            Err(_) => false,
        };
        if same { Ok(()) } else { Err(ArtefactErrorKind::Exists.at(dir)) }
    }
}

fn write_folder(dir: &Path, files: &Files) -> io::Result<()> {
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".model-");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // A temporary folder is private by default; this one becomes the model, readable as the umask says.
        builder.permissions(fs::Permissions::from_mode(0o777));
    }
    let temporary = builder.tempdir_in(parent)?;
    let named = [
        (WEIGHTS_FILE, &files.weights),
        (CLASS_NAMES_FILE, &files.class_names),
        (MODEL_FILE, &files.model),
        (CHECKSUMS_FILE, &files.checksums),
    ];
    for (name, bytes) in named {
        let mut file = File::create_new(temporary.path().join(name))?;
        file.write_all(bytes)?;
        file.sync_all()?;
    }
    sync_folder(temporary.path())?;
    fs::rename(temporary.path(), dir)?;
    // Renamed away: there is nothing left to remove.
    let _ = temporary.keep();
    sync_folder(parent)
}

/// Makes the names in a folder durable; only Unix opens folders as files.
fn sync_folder(dir: &Path) -> io::Result<()> {
    if cfg!(unix) { File::open(dir)?.sync_all() } else { Ok(()) }
}

pub(super) fn read(path: &Path, limit: u64) -> Result<Vec<u8>, ArtefactErrorKind> {
    let file = File::open(path).map_err(ArtefactErrorKind::Io)?;
    let bytes = file.metadata().map_err(ArtefactErrorKind::Io)?.len();
    if bytes > limit {
        return Err(ArtefactErrorKind::TooLarge { bytes, limit });
    }
    let mut content = Vec::new();
    file.take(limit).read_to_end(&mut content).map_err(ArtefactErrorKind::Io)?;
    Ok(content)
}
