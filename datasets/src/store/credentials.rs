//! What signs requests to S3: keys in variables or in a profile, a web identity, single sign-on, a role that other credentials assume, a
//! container's or an instance's role.
//!
//! [`Credentials::find`] reads variables and files and asks nobody; [`provider`] gets keys, and gets them anew before they expire.

mod fetch;
mod profile;
mod provider;

use std::path::PathBuf;

use super::environment::{Environment, Setting};
use crate::DatasetError;

/// The variables that lead to the role of a container, the first first.
const CONTAINER: [&str; 2] = ["AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"];

/// The variables that hold a pair of keys.
pub(super) const KEYS: [&str; 2] = ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"];

pub(super) use provider::provider;

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
        /// Name of the session, where one is given.
        session: Option<String>,
        /// What set it.
        origin: String,
        /// Region that a profile names.
        region: Option<Setting>,
    },
    /// A role that somebody may take who has signed on at the organisation's portal.
    SignOn {
        /// File with the token that `aws sso login` leaves.
        token_file: PathBuf,
        /// Region of the portal.
        portal_region: String,
        /// Number of the account.
        account: String,
        /// Name of the role.
        role: String,
        /// Name of the profile.
        profile: String,
        /// Region that the profile names.
        region: Option<Setting>,
    },
    /// A role that other credentials assume.
    AssumedRole {
        /// ARN of the role.
        role: String,
        /// What assumes it.
        source: Box<Credentials>,
        /// What the owner of the role wants to be told.
        external_id: Option<String>,
        /// Name of the session, where one is given.
        session: Option<String>,
        /// For how many seconds, where that is given.
        duration_s: Option<u32>,
        /// What set it.
        origin: String,
        /// Region that the profile names.
        region: Option<Setting>,
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
            return Ok(Some(Self::WebIdentity {
                token_file: token_file.to_owned(),
                role: role.to_owned(),
                session: environment.get("AWS_ROLE_SESSION_NAME").map(str::to_owned),
                origin: "AWS_WEB_IDENTITY_TOKEN_FILE".to_owned(),
                region: None,
            }));
        }
        if let Some(credentials) = profile::of_profile(environment, named.as_ref())? {
            return Ok(Some(credentials));
        }
        if environment.first(&CONTAINER).is_some() {
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
            Self::SignOn { profile, .. } => format!("profile `{profile}` (single sign-on)"),
            Self::AssumedRole { origin, role, .. } => format!("{origin} (role {role})"),
            Self::Container => "role of the container".to_owned(),
            Self::Instance => "role of the virtual machine".to_owned(),
        }
    }

    /// The region that the profile names.
    pub(super) fn region(&self) -> Option<Setting> {
        match self {
            Self::Keys { region, .. }
            | Self::Process { region, .. }
            | Self::WebIdentity { region, .. }
            | Self::SignOn { region, .. }
            | Self::AssumedRole { region, .. } => region.clone(),
            Self::Container | Self::Instance => None,
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
        [Some(id), Some(secret)] => {
            // A token in the shell is none of keys in the file, nor the other way round.
            let token = environment.first(&["AWS_SESSION_TOKEN"]);
            let token = token.filter(|token| token.is_of_file() == id.is_of_file()).map(|token| token.value);
            let token =
                token.or_else(|| environment.of_file.get("AWS_SESSION_TOKEN").filter(|_| id.is_of_file()).cloned());
            let (key_id, secret) = (id.value, secret.value);
            Ok(Some(Credentials::Keys { key_id, secret, token, origin: id.origin, region: None }))
        }
        [None, None] => Ok(None),
        [Some(id), None] => half(id, KEYS[1]),
        [None, Some(secret)] => half(secret, KEYS[0]),
    }
}

/// Whether this machine is one of Amazon's, as its firmware says.
fn is_virtual_machine_of_aws() -> bool {
    std::fs::read_to_string("/sys/class/dmi/id/sys_vendor").is_ok_and(|vendor| vendor.trim() == "Amazon EC2")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    /// The keys that credentials hold.
    fn keys(credentials: Option<Credentials>) -> (String, Option<String>) {
        let Some(Credentials::Keys { key_id, token, .. }) = credentials else { panic!("{credentials:?}") };
        (key_id, token)
    }

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
        assert_eq!(keys(Some(found.clone())), ("A".to_owned(), None));
        assert_eq!(found.region().unwrap().value, "eu-west-1");
        assert_eq!(found.origin(), "profile `default` (access key A)");
        let other = find(dir.path(), &[("AWS_PROFILE", "other")]).unwrap().unwrap();
        assert!(matches!(&other, Credentials::Process { command, .. } if command.starts_with("echo")), "{other:?}");
        assert!(find(dir.path(), &[("AWS_PROFILE", "third")]).unwrap_err().kind.to_string().contains("no profile"));
    }

    #[test]
    fn halves_of_two_pairs_are_no_pair() {
        for (in_shell, in_file) in [(KEYS[0], KEYS[1]), (KEYS[1], KEYS[0])] {
            let mut environment = Environment::of([(in_shell, "a")]);
            environment.set(in_file, "b", Setting::origin_in_file(in_file));
            let error = Credentials::find(&environment).unwrap_err();
            assert!(error.kind.to_string().contains(&format!("`{in_file}` is set in .env alone")), "{}", error.kind);
        }
    }

    #[test]
    fn a_session_token_comes_from_where_its_keys_come_from() {
        let token = ("AWS_SESSION_TOKEN", "of the shell");
        let pair = [(KEYS[0], "K"), (KEYS[1], "hidden")];
        let find = |shell: &[(&str, &str)], file: &[(&str, &str)]| {
            let mut environment = Environment::default();
            for (name, value) in file {
                environment.set(name, value, Setting::origin_in_file(name));
            }
            for (name, value) in shell {
                environment.set(name, value, (*name).to_owned());
            }
            keys(Credentials::find(&environment).unwrap()).1
        };
        let of_file = ("AWS_SESSION_TOKEN", "of the file");
        assert_eq!(find(&[token], &pair), None);
        assert_eq!(find(&pair, &[of_file]), None);
        assert_eq!(find(&[token], &[&pair[..], &[of_file]].concat()).as_deref(), Some("of the file"));
        assert_eq!(find(&[&pair[..], &[token]].concat(), &[of_file]).as_deref(), Some("of the shell"));
        // Of two files of the AWS tools, too.
        let dir = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
        write("credentials", "[default]\naws_access_key_id = A\naws_secret_access_key = hidden\n");
        write("config", "[default]\naws_session_token = old\n");
        let of_profile = || {
            let (config, file) = (dir.path().join("config"), dir.path().join("credentials"));
            let files = [
                ("AWS_CONFIG_FILE", config.to_str().unwrap()),
                ("AWS_SHARED_CREDENTIALS_FILE", file.to_str().unwrap()),
            ];
            Credentials::find(&Environment::of(files))
        };
        assert_eq!(keys(of_profile().unwrap()), ("A".to_owned(), None));
        write("credentials", "[default]\naws_access_key_id = A\n");
        write("config", "[default]\naws_secret_access_key = hidden\n");
        assert!(of_profile().unwrap_err().kind.to_string().contains("aws_secret_access_key"));
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
            keys(Credentials::find(&environment).unwrap()).0
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
