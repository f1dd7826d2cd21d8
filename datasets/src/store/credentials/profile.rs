//! Profiles in the two configuration files of the AWS tools.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use sha1::{Digest, Sha1};

use super::{CONTAINER, Credentials};
use crate::DatasetError;
use crate::files::read_regular_text;
use crate::store::environment::{Environment, Setting};

/// Settings of one section of one file.
type Section = BTreeMap<String, String>;

/// Keys of a profile that lead to credentials in a way that is not supported, and what to do instead.
const UNSUPPORTED: [(&str, &str); 3] = [
    ("mfa_serial", "a role that wants a code of a device cannot be assumed without asking for it"),
    ("login_session", "sessions of `aws login` are not read"),
    ("role_arn", "it names a role, but neither `source_profile`, `credential_source` nor `web_identity_token_file`"),
];

/// The files, and what is read of them.
struct Files<'a> {
    environment: &'a Environment,
    config: Option<PathBuf>,
    credentials: Option<PathBuf>,
    home: Option<PathBuf>,
}

impl<'a> Files<'a> {
    fn new(environment: &'a Environment) -> Self {
        let home = environment.first(&["HOME", "USERPROFILE"]).map(|setting| PathBuf::from(setting.value));
        let file = |variable: &str, default: &str| match environment.get(variable) {
            Some(path) => Some(PathBuf::from(path)),
            None => home.as_ref().map(|home| home.join(".aws").join(default)),
        };
        let (config, credentials) =
            (file("AWS_CONFIG_FILE", "config"), file("AWS_SHARED_CREDENTIALS_FILE", "credentials"));
        Self { environment, config, credentials, home }
    }

    /// What the configuration file and the file of credentials say of a profile.
    fn profile(&self, name: &str) -> (Section, Section) {
        let section = if name == "default" { name.to_owned() } else { format!("profile {name}") };
        let read = |path: &Option<PathBuf>, section: &str| {
            path.as_deref().map(|path| section_of(path, section)).unwrap_or_default()
        };
        (read(&self.config, &section), read(&self.credentials, name))
    }
}

/// The credentials of the profile that is `named`, or of the default one if it has some.
pub(super) fn of_profile(
    environment: &Environment,
    named: Option<&Setting>,
) -> Result<Option<Credentials>, DatasetError> {
    let name = named.map_or("default", |setting| setting.value.as_str());
    let files = Files::new(environment);
    if let Some(found) = files.credentials_of(name, &mut Vec::new())? {
        return Ok(Some(found));
    }
    let Some(named) = named else { return Ok(None) };
    let (config, keys) = files.profile(name);
    let why = if config.is_empty() && keys.is_empty() {
        format!("there is no profile `{name}` in the AWS configuration")
    } else {
        format!(
            "profile `{name}` has no credentials of a kind that is known; `eval \"$(aws configure export-credentials --profile {name} --format env)\"` gets them"
        )
    };
    Err(DatasetError::invalid("read variable", &named.origin, why))
}

impl Files<'_> {
    /// The credentials of the profile `name`; `seen` are the profiles that lead to it.
    fn credentials_of(&self, name: &str, seen: &mut Vec<String>) -> Result<Option<Credentials>, DatasetError> {
        let (config, keys) = self.profile(name);
        let origin = format!("profile `{name}`");
        let mut all = config.clone();
        all.extend(keys.clone());
        let get = |key: &str| all.get(key).cloned();
        let region = get("region").map(|value| Setting { value, origin: origin.clone() });
        let invalid = |why: String| DatasetError::invalid("read variable", &origin, why);
        let is_again = seen.iter().any(|profile| profile == name);
        let role = get("role_arn").filter(|_| !is_again);
        if let (Some(role), Some(_)) = (&role, get("mfa_serial")) {
            return Err(invalid(format!("`mfa_serial` is not supported: {} ({role})", UNSUPPORTED[0].1)));
        }
        if let (Some(role), None) = (&role, get("web_identity_token_file")) {
            let source = match (get("source_profile"), get("credential_source")) {
                (Some(source), _) => {
                    if seen.contains(&source) && source != name {
                        return Err(invalid(format!("`source_profile` leads back to `{source}`")));
                    }
                    seen.push(name.to_owned());
                    let found = self.credentials_of(&source, seen)?;
                    found.ok_or_else(|| {
                        invalid(format!("`source_profile` names `{source}`, which has no credentials"))
                    })?
                }
                (None, Some(source)) => self.credentials_in(&source).map_err(invalid)?,
                (None, None) => {
                    return Err(invalid(format!("`role_arn` is not supported alone: {}", UNSUPPORTED[2].1)));
                }
            };
            let duration_s = get("duration_seconds").map(|text| text.parse()).transpose();
            let duration_s = duration_s.map_err(|_| invalid("`duration_seconds` is no number".to_owned()))?;
            return Ok(Some(Credentials::AssumedRole {
                role: role.clone(),
                source: Box::new(source),
                external_id: get("external_id"),
                session: get("role_session_name"),
                duration_s,
                origin,
                region,
            }));
        }
        if let Some((key_id, secret, token)) = pair(&keys, &config).map_err(invalid)? {
            return Ok(Some(Credentials::Keys { key_id, secret, token, origin, region }));
        }
        if let (Some(token_file), Some(role)) = (get("web_identity_token_file"), role) {
            let session = get("role_session_name");
            return Ok(Some(Credentials::WebIdentity { token_file, role, session, origin, region }));
        }
        if all.keys().any(|key| key.starts_with("sso_")) {
            return self.sign_on(name, &all, region).map(Some).map_err(invalid);
        }
        if let Some(command) = get("credential_process") {
            return Ok(Some(Credentials::Process { command, origin, region }));
        }
        match UNSUPPORTED.iter().find(|(key, _)| all.contains_key(*key)) {
            Some((key, why)) => Err(invalid(format!("`{key}` is not supported: {why}"))),
            None => Ok(None),
        }
    }

    /// What `credential_source` of a profile names.
    fn credentials_in(&self, source: &str) -> Result<Credentials, String> {
        match source {
            "Environment" => match super::of_variables(self.environment) {
                Ok(Some(keys)) => Ok(keys),
                Ok(None) => Err("`credential_source` is `Environment`, where there are no keys".to_owned()),
                Err(error) => Err(error.kind.to_string()),
            },
            "EcsContainer" if self.environment.first(&CONTAINER).is_some() => Ok(Credentials::Container),
            "EcsContainer" => Err(format!("`credential_source` is `EcsContainer`, but `{}` is not set", CONTAINER[0])),
            "Ec2InstanceMetadata" => Ok(Credentials::Instance),
            _ => Err(format!(
                "`credential_source` is not `{source}` but `Environment`, `EcsContainer` or `Ec2InstanceMetadata`"
            )),
        }
    }

    /// The sign-on that a profile describes, by itself or by the session that it names.
    fn sign_on(&self, name: &str, profile: &Section, region: Option<Setting>) -> Result<Credentials, String> {
        let session = profile.get("sso_session").map(|session| {
            let section = self.config.as_deref().map(|path| section_of(path, &format!("sso-session {session}")));
            (session, section.unwrap_or_default())
        });
        let settings = session.as_ref().map_or(profile, |(_, settings)| settings);
        let get = |of: &Section, key: &str| {
            of.get(key).cloned().ok_or_else(|| format!("`{key}` is missing for its single sign-on"))
        };
        let start_url = get(settings, "sso_start_url")?;
        // The AWS tools name the file by a hash of the session's name or, without one, of the address.
        let named = session.as_ref().map_or(&start_url, |(session, _)| *session);
        let hash: String = Sha1::digest(named.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect();
        let home = self.home.as_ref().ok_or("there is no `HOME`, where the token of its single sign-on lies")?;
        Ok(Credentials::SignOn {
            token_file: home.join(".aws/sso/cache").join(format!("{hash}.json")),
            portal_region: get(settings, "sso_region")?,
            account: get(profile, "sso_account_id")?,
            role: get(profile, "sso_role_name")?,
            profile: name.to_owned(),
            region,
        })
    }
}

/// Key, secret and token of one of two sections, the first first: never parts of both.
fn pair(first: &Section, second: &Section) -> Result<Option<(String, String, Option<String>)>, String> {
    for section in [first, second] {
        let get = |key: &str| section.get(key).cloned();
        match (get("aws_access_key_id"), get("aws_secret_access_key")) {
            (Some(key_id), Some(secret)) => return Ok(Some((key_id, secret, get("aws_session_token")))),
            (None, None) => {}
            (key_id, _) => {
                let missing = if key_id.is_some() { "aws_secret_access_key" } else { "aws_access_key_id" };
                return Err(format!("`{missing}` is missing beside the other half of the pair, in the same file"));
            }
        }
    }
    Ok(None)
}

/// The settings below `[section]` of an AWS configuration file; none where it cannot be read.
fn section_of(path: &Path, section: &str) -> Section {
    let text = read_regular_text(path).unwrap_or_default();
    let mut is_inside = false;
    let mut found = Section::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            is_inside = name.split_whitespace().eq(section.split_whitespace());
        } else if let Some((key, value)) =
            trimmed.split_once('=').filter(|_| is_inside && !trimmed.starts_with(['#', ';']))
        {
            // Indented lines belong to a nested setting of another service.
            if !line.starts_with([' ', '\t']) && !value.trim().is_empty() {
                found.insert(key.trim().to_owned(), value.trim().to_owned());
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(config: &str, profile: &str) -> Result<Option<Credentials>, DatasetError> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config");
        std::fs::write(&path, config).unwrap();
        let environment = Environment::of([
            ("AWS_CONFIG_FILE", path.to_str().unwrap()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere"),
            ("AWS_PROFILE", profile),
            ("HOME", "/home/user"),
        ]);
        Credentials::find(&environment)
    }

    #[test]
    fn a_role_is_assumed_by_the_profile_that_it_names() {
        let config = "[profile a]\nrole_arn = arn:a\nsource_profile = b\nexternal_id = x\nduration_seconds = 900\n[profile b]\nrole_arn = arn:b\nsource_profile = b\naws_access_key_id = K\naws_secret_access_key = hidden\nregion = eu-west-1\n";
        let Some(Credentials::AssumedRole { role, source, external_id, duration_s, .. }) = find(config, "a").unwrap()
        else {
            panic!("no role")
        };
        assert_eq!((role.as_str(), external_id.as_deref(), duration_s), ("arn:a", Some("x"), Some(900)));
        let Credentials::AssumedRole { role, source, .. } = *source else { panic!("{source:?}") };
        assert!(role == "arn:b" && matches!(*source, Credentials::Keys { .. }));
    }

    #[test]
    fn single_sign_on_is_described_by_a_session_or_by_the_profile() {
        let session = "[profile a]\nsso_session = corp\nsso_account_id = 1\nsso_role_name = r\n[sso-session corp]\nsso_start_url = https://corp\nsso_region = eu-north-1\n";
        let legacy = "[profile a]\nsso_start_url = https://corp\nsso_region = eu-north-1\nsso_account_id = 1\nsso_role_name = r\n";
        // As computed by `sha1sum`, of `corp` and of `https://corp`.
        let hashes = ["ee0bfd2552fbd840c02cc48b6e823320543c450f", "17da54e8ec4ee05390f1915bb3ef5fea7ebd238e"];
        for (config, hash) in [session, legacy].into_iter().zip(hashes) {
            let Some(Credentials::SignOn { token_file, portal_region, .. }) = find(config, "a").unwrap() else {
                panic!("no sign-on")
            };
            assert_eq!(portal_region, "eu-north-1");
            assert_eq!(token_file, Path::new("/home/user/.aws/sso/cache").join(format!("{hash}.json")));
        }
    }

    #[test]
    fn what_is_not_supported_is_named() {
        for (config, words) in [
            ("role_arn = r\nmfa_serial = m\nsource_profile = a", "`mfa_serial` is not supported"),
            ("role_arn = r", "`role_arn` is not supported alone"),
            ("role_arn = r\nsource_profile = b", "`source_profile` names `b`"),
            ("role_arn = r\ncredential_source = Moon", "`credential_source` is not `Moon`"),
            ("login_session = x", "`login_session` is not supported"),
            ("sso_session = x\nsso_account_id = 1", "`sso_start_url` is missing"),
            ("aws_access_key_id = x", "`aws_secret_access_key` is missing"),
        ] {
            let error = find(&format!("[profile a]\n{config}\n"), "a").unwrap_err();
            assert!(error.kind.to_string().contains(words), "{config}: {}", error.kind);
        }
        let circle = "[profile a]\nrole_arn = r\nsource_profile = b\n[profile b]\nrole_arn = r\nsource_profile = a\n";
        assert!(find(circle, "a").unwrap_err().kind.to_string().contains("leads back to `a`"));
    }
}
