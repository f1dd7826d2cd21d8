//! What signs requests to S3: keys in variables or in a profile, a web identity, a container's or an instance's role.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::environment::{Environment, Setting};
use crate::DatasetError;

/// The variables that hold a pair of keys.
pub(super) const KEYS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

/// Where credentials come from. Those of roles are asked for when they are needed, and again before they expire.
#[derive(Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Keys that are known.
    Keys {
        /// Access key id; not a secret.
        key_id: String,
        /// Secret access key.
        secret: String,
        /// Session token of keys that expire.
        token: Option<String>,
        /// What set them.
        origin: String,
        /// Region that a profile names.
        region: Option<Setting>,
    },
    /// A program that prints keys.
    Process {
        /// The command line.
        command: String,
        /// What set it.
        origin: String,
        /// Region that a profile names.
        region: Option<Setting>,
    },
    /// A token in a file, exchanged for the keys of a role.
    WebIdentity {
        /// File with the token.
        token_file: String,
        /// ARN of the role.
        role: String,
        /// What set it.
        origin: String,
    },
    /// The role of a container, told by variables.
    Container,
    /// The role of the virtual machine.
    Instance,
}

impl Credentials {
    /// The credentials that `environment` leads to, in the order in which the AWS tools look. An incomplete pair of keys is an error.
    pub fn find(environment: &Environment) -> Result<Option<Self>, DatasetError> {
        let named = environment.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]);
        // Who names a profile on the command line means it, whatever the file holds for daily work.
        let is_overruled = named.as_ref().is_some_and(|named| !named.is_of_file())
            && KEYS.iter().all(|name| is_of_file(environment, name));
        if !is_overruled && let Some(keys) = of_variables(environment)? {
            return Ok(Some(keys));
        }
        let web = (environment.get("AWS_WEB_IDENTITY_TOKEN_FILE"), environment.get("AWS_ROLE_ARN"));
        if let (Some(token_file), Some(role), None) = (web.0, web.1, &named) {
            let origin = "AWS_WEB_IDENTITY_TOKEN_FILE".to_owned();
            return Ok(Some(Self::WebIdentity { token_file: token_file.to_owned(), role: role.to_owned(), origin }));
        }
        if let Some(credentials) = of_profile(environment, named.as_ref())? {
            return Ok(Some(credentials));
        }
        let container = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];
        if environment.first(&container).is_some() {
            return Ok(Some(Self::Container));
        }
        let is_disabled = environment.get("AWS_EC2_METADATA_DISABLED").is_some_and(|v| v.eq_ignore_ascii_case("true"));
        let is_named = environment.get("AWS_METADATA_ENDPOINT").is_some();
        Ok((!is_disabled && (is_named || is_virtual_machine_of_aws())).then_some(Self::Instance))
    }

    /// What set them, for people; never a secret.
    pub fn origin(&self) -> String {
        match self {
            Self::Keys { origin, key_id, .. } => format!("{origin} (access key {key_id})"),
            Self::Process { origin, .. } | Self::WebIdentity { origin, .. } => origin.clone(),
            Self::Container => "role of the container".to_owned(),
            Self::Instance => "role of the virtual machine".to_owned(),
        }
    }

    /// The region that the profile names.
    pub(super) fn region(&self) -> Option<Setting> {
        match self {
            Self::Keys { region, .. } | Self::Process { region, .. } => region.clone(),
            _ => None,
        }
    }

    /// The keys where they are known or a program prints them; none of roles, which the connection asks for.
    pub(super) fn keys(&self) -> Result<Option<(String, String, Option<String>)>, DatasetError> {
        match self {
            Self::Keys { key_id, secret, token, .. } => Ok(Some((key_id.clone(), secret.clone(), token.clone()))),
            Self::Process { command, origin, .. } => printed_by(command, origin).map(Some),
            _ => Ok(None),
        }
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.origin())
    }
}

/// Whether a variable is set in the file `.env` alone, or nowhere.
fn is_of_file(environment: &Environment, name: &str) -> bool {
    environment.first(&[name]).is_none_or(|setting| setting.is_of_file())
}

fn of_variables(environment: &Environment) -> Result<Option<Credentials>, DatasetError> {
    let half = |there: Setting, missing: &str| {
        let why = format!("`{missing}` is not set, and the two go together: set both, or neither");
        Err(DatasetError::invalid("read variable", there.origin, why))
    };
    match KEYS.map(|name| environment.first(&[name])) {
        // A half in the shell and a half in the file are halves of two pairs.
        [Some(id), Some(secret)] if id.is_of_file() != secret.is_of_file() => {
            let (in_shell, missing) = if id.is_of_file() { (secret, KEYS[0]) } else { (id, KEYS[1]) };
            let why = format!("`{missing}` is set in .env alone, and the two go together: set both in one place");
            Err(DatasetError::invalid("read variable", in_shell.origin, why))
        }
        [Some(id), Some(secret)] => Ok(Some(Credentials::Keys {
            key_id: id.value,
            secret: secret.value,
            token: environment.get("AWS_SESSION_TOKEN").map(str::to_owned),
            origin: id.origin,
            region: None,
        })),
        [None, None] => Ok(None),
        [Some(id), None] => half(id, KEYS[1]),
        [None, Some(secret)] => half(secret, KEYS[0]),
    }
}

/// Keys and other settings of one profile.
type Profile = BTreeMap<String, String>;

fn of_profile(environment: &Environment, named: Option<&Setting>) -> Result<Option<Credentials>, DatasetError> {
    let name = named.map_or("default", |setting| setting.value.as_str());
    let home = environment.first(&["HOME", "USERPROFILE"]).map(|setting| PathBuf::from(setting.value));
    let file = |variable: &str, default: &str| match environment.get(variable) {
        Some(path) => Some(PathBuf::from(path)),
        None => home.as_ref().map(|home| home.join(".aws").join(default)),
    };
    let mut profile = Profile::new();
    let places = [
        (
            file("AWS_CONFIG_FILE", "config"),
            if name == "default" { name.to_owned() } else { format!("profile {name}") },
        ),
        (file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), name.to_owned()),
    ];
    for (path, section) in places {
        profile.extend(path.map(|path| section_of(&path, &section)).unwrap_or_default());
    }
    let origin = format!("profile `{name}`");
    let region = profile.get("region").map(|region| Setting { value: region.clone(), origin: origin.clone() });
    let get = |key: &str| profile.get(key).cloned();
    if let (Some(key_id), Some(secret)) = (get("aws_access_key_id"), get("aws_secret_access_key")) {
        return Ok(Some(Credentials::Keys { key_id, secret, token: get("aws_session_token"), origin, region }));
    }
    if let Some(command) = get("credential_process") {
        return Ok(Some(Credentials::Process { command, origin, region }));
    }
    if let (Some(token_file), Some(role)) = (get("web_identity_token_file"), get("role_arn")) {
        return Ok(Some(Credentials::WebIdentity { token_file, role, origin }));
    }
    let Some(named) = named else { return Ok(None) };
    let why = if profile.is_empty() {
        format!("there is no profile `{name}` in the AWS configuration")
    } else {
        format!(
            "profile `{name}` has no keys of its own; `eval \"$(aws configure export-credentials --profile {name} --format env)\"` gets them"
        )
    };
    Err(DatasetError::invalid("read variable", &named.origin, why))
}

/// The settings below `[section]` of an AWS configuration file; none where it cannot be read.
fn section_of(path: &Path, section: &str) -> Profile {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let mut is_inside = false;
    let mut profile = Profile::new();
    for line in text.lines() {
        let trimmed = line.trim();
        if let Some(name) = trimmed.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            is_inside = name.split_whitespace().eq(section.split_whitespace());
        } else if let Some((key, value)) =
            trimmed.split_once('=').filter(|_| is_inside && !trimmed.starts_with(['#', ';']))
        {
            // Indented lines belong to a nested setting of another service.
            if !line.starts_with([' ', '\t']) && !value.trim().is_empty() {
                profile.insert(key.trim().to_owned(), value.trim().to_owned());
            }
        }
    }
    profile
}

#[derive(serde::Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Printed {
    access_key_id: String,
    secret_access_key: String,
    session_token: Option<String>,
}

/// Runs a profile's `credential_process`.
fn printed_by(command: &str, origin: &str) -> Result<(String, String, Option<String>), DatasetError> {
    let invalid = |why: String| DatasetError::invalid("get credentials of", origin, why);
    #[cfg(unix)]
    let output = std::process::Command::new("sh").arg("-c").arg(command).output();
    #[cfg(not(unix))]
    let output = std::process::Command::new("cmd").arg("/C").arg(command).output();
    let output = output.map_err(|error| invalid(format!("`credential_process` does not start: {error}")))?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).lines().last().unwrap_or_default().to_owned();
        return Err(invalid(format!("`credential_process` failed: {said}")));
    }
    let printed: Printed = serde_json::from_slice(&output.stdout)
        .map_err(|_| invalid("`credential_process` printed no credentials".to_owned()))?;
    Ok((printed.access_key_id, printed.secret_access_key, printed.session_token))
}

/// Whether this machine is one of Amazon's, as its firmware says.
fn is_virtual_machine_of_aws() -> bool {
    std::fs::read_to_string("/sys/class/dmi/id/sys_vendor").is_ok_and(|vendor| vendor.trim() == "Amazon EC2")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(folder: &Path, variables: &[(&str, &str)]) -> Result<Option<Credentials>, DatasetError> {
        let (config, keys) = (folder.join("config"), folder.join("credentials"));
        let files = [
            ("AWS_CONFIG_FILE", config.to_str().unwrap()),
            ("AWS_SHARED_CREDENTIALS_FILE", keys.to_str().unwrap()),
            ("AWS_EC2_METADATA_DISABLED", "true"),
        ];
        Credentials::find(&Environment::of(variables.iter().copied().chain(files)))
    }

    #[test]
    fn a_profile_is_read_from_both_files() {
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("credentials", "[default]\naws_access_key_id = A\n# x = y\naws_secret_access_key=hidden\n[other]\n");
        write(
            "config",
            "[default]\nregion = eu-west-1\ns3 =\n  region = no\n[profile other]\ncredential_process = echo '{\"AccessKeyId\": \"P\", \"SecretAccessKey\": \"hidden\"}'\n",
        );
        let found = find(dir.path(), &[]).unwrap().unwrap();
        assert_eq!(found.keys().unwrap().unwrap().0, "A");
        assert_eq!(found.region().unwrap().value, "eu-west-1");
        assert_eq!(found.origin(), "profile `default` (access key A)");
        let other = find(dir.path(), &[("AWS_PROFILE", "other")]).unwrap().unwrap();
        assert_eq!(other.keys().unwrap().unwrap(), ("P".to_owned(), "hidden".to_owned(), None));
        assert!(find(dir.path(), &[("AWS_PROFILE", "third")]).unwrap_err().kind.to_string().contains("no profile"));
    }

    #[test]
    fn a_profile_that_the_process_names_comes_before_keys_in_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("credentials");
        std::fs::write(&path, "[admin]\naws_access_key_id = ADMIN\naws_secret_access_key = hidden\n").unwrap();
        let path = path.to_str().unwrap();
        let find = |variables: &[(&str, &str)], of_file: &[(&str, &str)]| {
            let files = [("AWS_CONFIG_FILE", "/nowhere"), ("AWS_SHARED_CREDENTIALS_FILE", path)];
            let mut environment = Environment::of(variables.iter().copied().chain(files));
            for (name, value) in of_file {
                environment.set(name, value, Setting::origin_in_file(name));
            }
            Credentials::find(&environment).unwrap().unwrap().keys().unwrap().unwrap().0
        };
        let (profile, keys) = ([("AWS_PROFILE", "admin")], [(KEYS[0], "DAILY"), (KEYS[1], "hidden")]);
        assert_eq!(find(&profile, &keys), "ADMIN");
        assert_eq!(find(&[], &keys), "DAILY");
        assert_eq!(find(&[], &[&profile[..], &keys].concat()), "DAILY");
        assert_eq!(find(&[&profile[..], &keys].concat(), &[]), "DAILY");
    }

    #[test]
    fn variables_come_first_and_half_a_pair_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(find(dir.path(), &[]).unwrap(), None);
        for (there, missing) in [(KEYS[0], KEYS[1]), (KEYS[1], KEYS[0])] {
            let error = find(dir.path(), &[(there, "hidden")]).unwrap_err();
            assert!(
                error.at == there && error.kind.to_string().starts_with(&format!("`{missing}` is not set")),
                "{error}"
            );
            assert!(!format!("{error:?}").contains("hidden"));
        }
        let keys = [("AWS_ACCESS_KEY_ID", "A"), ("AWS_SECRET_ACCESS_KEY", "hidden"), ("AWS_SESSION_TOKEN", "hidden")];
        let found = find(dir.path(), &keys).unwrap().unwrap();
        assert!(!format!("{found:?}").contains("hidden"));
        let web = [("AWS_WEB_IDENTITY_TOKEN_FILE", "/t"), ("AWS_ROLE_ARN", "r")];
        assert!(matches!(find(dir.path(), &web).unwrap(), Some(Credentials::WebIdentity { .. })));
    }
}
