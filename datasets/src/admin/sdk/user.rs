//! A user for the program alone, with the least permissions, and its key, which is written to a file once and shown nowhere.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::client::{refused, unless};
use super::{Admin, Look};
use crate::files::folder_of;
use crate::store::{BUCKET_VARIABLES, ENDPOINT_VARIABLES, REGION_VARIABLES, Settings};
use crate::{DatasetError, DatasetErrorKind};

/// What the server says where there is no such user or policy.
const NO_SUCH: &str = "NoSuchEntity";

/// The variable that names the key.
const KEY_ID: &str = "AWS_ACCESS_KEY_ID";

/// A file of variables that gets the key.
#[derive(Clone, Debug)]
pub struct KeyFile {
    path: PathBuf,
    /// The variables that it sets.
    names: BTreeSet<String>,
    /// The key that it names already.
    key_id: Option<String>,
}

/// What is the matter with the key of a user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyOutcome {
    /// The file holds a key of this user.
    There,
    /// The file holds a key that is not this user's.
    Foreign,
    /// The file holds none.
    Missing,
}

impl KeyFile {
    /// The file `.env` in `folder`, which need not be there.
    pub fn in_folder(folder: &Path) -> Result<Self, DatasetError> {
        let path = folder.join(".env");
        // What a link leads to is written, not the link.
        let path = fs::canonicalize(&path).unwrap_or(path);
        let (mut names, mut key_id) = (BTreeSet::new(), None);
        if path.is_file() {
            // The error of a line shows the line, which may hold a secret.
            let unreadable = |_| {
                DatasetError::invalid("read environment file", path.display().to_string(), "a line is no `NAME=value`")
            };
            for line in dotenvy::from_path_iter(&path).map_err(unreadable)? {
                let (name, value) = line.map_err(unreadable)?;
                if value.trim().is_empty() {
                    continue;
                }
                if name == KEY_ID {
                    key_id = Some(value);
                }
                names.insert(name);
            }
        }
        Ok(Self { path, names, key_id })
    }

    /// The bucket, its region and its server as variables, where the file names none: with them the next command finds the bucket that the
    /// key is for.
    pub fn lacking(&self, settings: &Settings) -> Vec<(&'static str, String)> {
        let place = settings.bucket.as_ref().and_then(|(place, _)| place.bucket());
        let prefix = |prefix: &str| if prefix.is_empty() { String::new() } else { format!("/{prefix}") };
        let wanted = [
            (BUCKET_VARIABLES, place.map(|place| format!("{}{}", place.bucket, prefix(&place.prefix)))),
            (REGION_VARIABLES, Some(settings.region.value.clone())),
            (ENDPOINT_VARIABLES, settings.endpoint.as_ref().map(|endpoint| endpoint.value.clone())),
        ];
        let is_lacking = |names: &[&str; 3]| !names.iter().any(|name| self.names.contains(*name));
        wanted
            .into_iter()
            .filter(|(names, _)| is_lacking(names))
            .filter_map(|(names, value)| Some((names[0], value?)))
            .collect()
    }

    /// Writes variables behind the other lines, at once and for good.
    pub fn add(&self, variables: &[(&str, String)]) -> Result<(), DatasetError> {
        let written = self.begin().and_then(|begun| self.finish(begun, variables));
        written.map_err(DatasetError::at("write environment file", self.path()))
    }

    /// Whose key it holds, if these are the keys of the user.
    pub fn outcome(&self, ids: &[String]) -> KeyOutcome {
        match &self.key_id {
            None => KeyOutcome::Missing,
            Some(id) if ids.contains(id) => KeyOutcome::There,
            Some(_) => KeyOutcome::Foreign,
        }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A copy of the file that only this user may read, to be completed and put in its place.
    fn begin(&self) -> std::io::Result<tempfile::NamedTempFile> {
        let old = match fs::read(&self.path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            old => old?,
        };
        // A temporary file has mode 0600 from the beginning.
        let mut file = tempfile::Builder::new().prefix(".env-").tempfile_in(folder_of(&self.path))?;
        file.write_all(&old)?;
        if old.last().is_some_and(|last| *last != b'\n') {
            file.write_all(b"\n")?;
        }
        Ok(file)
    }

    fn finish(&self, mut file: tempfile::NamedTempFile, variables: &[(&str, String)]) -> std::io::Result<()> {
        for (name, value) in variables {
            writeln!(file, "{name}={}", quoted(value))?;
        }
        file.as_file().sync_all()?;
        file.persist(&self.path).map_err(|error| error.error)?;
        Ok(())
    }
}

impl Admin {
    /// Whether there is such a user.
    pub async fn look_at_user(&self, user: &str) -> Result<Look, DatasetError> {
        let answer = self.iam.get_user().user_name(user).send().await;
        let found = unless(NO_SUCH, "look at user", user, answer)?;
        Ok(if found.is_some() { Look::Right(user.to_owned()) } else { Look::Wrong(format!("make user {user}")) })
    }

    /// Makes a user who may do nothing yet.
    pub async fn make_user(&self, user: &str) -> Result<(), DatasetError> {
        let answer = self.iam.create_user().user_name(user).send().await;
        unless("EntityAlreadyExists", "make user", user, answer).map(drop)
    }

    /// Whether the user may do what the program needs, and no more by our policy.
    pub async fn look_at_user_policy(&self, user: &str) -> Result<Look, DatasetError> {
        let name = self.wishes.name_of_user_policy();
        let answer = self.iam.get_user_policy().user_name(user).policy_name(&name).send().await;
        let found = unless(NO_SUCH, "look at policy of user", user, answer)?;
        let found = found.and_then(|found| parsed(&found.policy_document));
        Ok(if found == Some(self.wishes.policy()) {
            Look::Right(name)
        } else {
            Look::Wrong(format!("attach policy {name}"))
        })
    }

    /// Gives the user the least privileges that the program needs.
    pub async fn put_user_policy(&self, user: &str) -> Result<(), DatasetError> {
        let request = self.iam.put_user_policy().user_name(user).policy_name(self.wishes.name_of_user_policy());
        let answer = request.policy_document(self.wishes.policy().to_string()).send().await;
        answer.map(drop).map_err(refused("attach policy to user", user))
    }

    /// The ids of the user's keys; none where there is no such user.
    pub async fn keys_of(&self, user: &str) -> Result<Vec<String>, DatasetError> {
        let answer = self.iam.list_access_keys().user_name(user).send().await;
        let found = unless(NO_SUCH, "list keys of user", user, answer)?;
        let keys = found.map(|found| found.access_key_metadata).unwrap_or_default();
        Ok(keys.into_iter().filter_map(|key| key.access_key_id).collect())
    }

    /// Makes a key for the user and writes it to `file`, and `others` behind it; its id. A key that cannot be written is removed again.
    pub async fn make_key(
        &self,
        user: &str,
        file: &KeyFile,
        others: &[(&str, String)],
    ) -> Result<String, DatasetError> {
        let unwritable = || DatasetError::at("write environment file", file.path());
        let begun = file.begin().map_err(unwritable())?;
        let made =
            self.iam.create_access_key().user_name(user).send().await.map_err(refused("make key of user", user))?;
        let Some(key) = made.access_key else {
            let why = DatasetErrorKind::Server("the server made a key and did not tell it".to_owned());
            return Err(DatasetError::new("make key of user", user, why));
        };
        let of_key = [(KEY_ID, key.access_key_id.clone()), ("AWS_SECRET_ACCESS_KEY", key.secret_access_key.clone())];
        if let Err(error) = file.finish(begun, &[&of_key, others].concat()) {
            // Where this fails as well, the key is one that nobody knows.
            let request = self.iam.delete_access_key().user_name(user).access_key_id(&key.access_key_id);
            let _ = request.send().await;
            return Err(unwritable()(error));
        }
        Ok(key.access_key_id)
    }
}

/// A value as it stands in a file of variables.
fn quoted(value: &str) -> String {
    if value.chars().all(|c| c.is_ascii_alphanumeric() || "+/=.:_-".contains(c)) {
        return value.to_owned();
    }
    let escaped: String =
        value.chars().flat_map(|c| "\\\"$".contains(c).then_some('\\').into_iter().chain([c])).collect();
    format!("\"{escaped}\"")
}

/// A policy as IAM gives it back: URL-encoded JSON.
fn parsed(document: &str) -> Option<Value> {
    if let Ok(value) = serde_json::from_str(document) {
        return Some(value);
    }
    let pair = format!("p={}", document.replace('+', "%2B"));
    let (_, text) = ::url::form_urlencoded::parse(pair.as_bytes()).next()?;
    serde_json::from_str(&text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::Environment;

    #[test]
    fn a_key_is_written_behind_the_other_lines_and_readable_by_nobody_else() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(".env"), "# mine\nS3_BUCKET=clips").unwrap();
        let file = KeyFile::in_folder(dir.path()).unwrap();
        assert_eq!(file.outcome(&[]), KeyOutcome::Missing);
        file.add(&[(KEY_ID, "ID".to_owned()), ("AWS_SECRET_ACCESS_KEY", "hid/den+=".to_owned())]).unwrap();
        let text = fs::read_to_string(dir.path().join(".env")).unwrap();
        assert_eq!(text, "# mine\nS3_BUCKET=clips\nAWS_ACCESS_KEY_ID=ID\nAWS_SECRET_ACCESS_KEY=hid/den+=\n");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(dir.path().join(".env")).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        let file = KeyFile::in_folder(dir.path()).unwrap();
        assert_eq!(file.outcome(&["ID".to_owned()]), KeyOutcome::There);
        assert_eq!(file.outcome(&[]), KeyOutcome::Foreign);
    }

    #[test]
    fn what_the_next_command_needs_is_added_where_the_file_does_not_say_it() {
        let dir = tempfile::tempdir().unwrap();
        let place = ("S3_BUCKET", "clips/a \"b\" $c");
        let keys = [(KEY_ID, "id"), ("AWS_SECRET_ACCESS_KEY", "secret")];
        let variables = [place, ("S3_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL", "https://host:9000")];
        let settings = Settings::read(&Environment::of(variables.into_iter().chain(keys))).unwrap();
        let file = KeyFile::in_folder(dir.path()).unwrap();
        file.add(&file.lacking(&settings)).unwrap();
        let lines = dotenvy::from_path_iter(dir.path().join(".env")).unwrap().map(Result::unwrap);
        let expected = [place, ("AWS_REGION", "eu-west-1"), ("S3_ENDPOINT_URL", "https://host:9000")];
        assert_eq!(lines.collect::<Vec<_>>(), expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        fs::write(dir.path().join(".env"), "S3_BUCKET_NAME=x\nS3_REGION=\nAWS_DEFAULT_REGION=y").unwrap();
        let lacking = KeyFile::in_folder(dir.path()).unwrap().lacking(&settings);
        assert_eq!(lacking.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["S3_ENDPOINT_URL"]);
    }

    #[test]
    fn a_policy_is_read_back_however_it_was_encoded() {
        let policy = serde_json::json!({ "Action": "s3:*", "Sid": "a+b" });
        let encoded: String = ::url::form_urlencoded::byte_serialize(policy.to_string().as_bytes()).collect();
        assert_eq!(parsed(&encoded), Some(policy.clone()));
        assert_eq!(parsed(&policy.to_string()), Some(policy));
    }
}
