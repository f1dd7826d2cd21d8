//! Where the shell has the last word on what the file `.env` says, so that an edit of the file changes nothing.

use serde::Serialize;

use super::credentials::KEYS;
use super::settings::{BUCKET_VARIABLES, ENDPOINT_VARIABLES, REGION_VARIABLES};
use super::{Environment, Setting};

/// Beginnings of the names that the program reads.
const READ: [&str; 6] = ["AWS_", "S3_", "CLOUDFRONT_", "ECOSIGHT_", "MAX_UPLOAD_MB", "MIN_NEW_SAMPLES"];

/// Variables of which the first that is set counts.
const GROUPS: [&[&str]; 4] =
    [&BUCKET_VARIABLES, &REGION_VARIABLES, &ENDPOINT_VARIABLES, &["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]];

/// The variable that holds the token of a session.
const TOKEN: &str = "AWS_SESSION_TOKEN";

/// A variable of the shell that goes before one in `.env` which says something else. Values may be secrets, so there are none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Overruled {
    /// The variable in `.env`.
    pub in_file: String,
    /// The one of the shell, mostly the same.
    pub by: String,
}

impl Environment {
    /// What the shell overrules, in the order of the names.
    pub fn overruled(&self) -> Vec<Overruled> {
        let named = self.of_file.iter().filter(|(name, _)| READ.iter().any(|front| name.starts_with(front)));
        let found = named.filter_map(|(name, value)| {
            let by = self.in_force_for(name).filter(|by| !by.is_of_file() && by.value != *value)?;
            Some(Overruled { in_file: name.clone(), by: by.origin })
        });
        found.collect()
    }

    /// What counts where the variable `name` could.
    fn in_force_for(&self, name: &str) -> Option<Setting> {
        if name == TOKEN {
            // It goes with its keys: where those of the file are in force, so is their token.
            let keys = self.in_force_for(KEYS[0]).filter(|keys| !keys.is_of_file())?;
            return self.first(&[TOKEN]).filter(|token| !token.is_of_file()).or(Some(keys));
        }
        let keys = self.first(&[name]);
        // Who names a profile in the shell means it, whatever keys the file holds; keys in the shell come before both.
        if KEYS.contains(&name) && keys.as_ref().is_some_and(Setting::is_of_file) {
            return self.first(&["AWS_PROFILE", "AWS_DEFAULT_PROFILE"]).filter(|profile| !profile.is_of_file());
        }
        GROUPS.iter().find(|group| group.contains(&name)).map_or(keys, |group| self.first(group))
    }
}

impl std::fmt::Display for Overruled {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { in_file, by } = self;
        if in_file == by {
            write!(f, "{by} of the shell goes before what .env says")
        } else {
            write!(f, "{by} of the shell goes before {in_file} in .env")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(shell: &[(&str, &str)], file: &[(&str, &str)]) -> Vec<String> {
        let mut environment = Environment::default();
        for (name, value) in file {
            environment.set(name, value, Setting::origin_in_file(name));
        }
        for (name, value) in shell {
            environment.set(name, value, (*name).to_owned());
        }
        environment.overruled().iter().map(ToString::to_string).collect()
    }

    #[test]
    fn only_what_the_shell_says_otherwise_is_told_and_no_value() {
        let keys = [(KEYS[0], "hidden"), (KEYS[1], "hidden")];
        let same = [("S3_BUCKET", "clips"), ("PATH", "/hidden"), ("AWS_REGION", "")];
        assert!(told(&same, &[("S3_BUCKET", "clips"), ("PATH", "x"), ("AWS_REGION", "eu-west-1")]).is_empty());
        let other = told(&[("S3_BUCKET", "hidden")], &[("S3_BUCKET", "hidden too")]);
        assert_eq!(other, ["S3_BUCKET of the shell goes before what .env says"]);
        let alias = told(&[("AWS_REGION", "hidden")], &[("S3_REGION", "hidden too"), ("S3_BUCKET", "b")]);
        assert_eq!(alias, ["AWS_REGION of the shell goes before S3_REGION in .env"]);
        assert!(told(&[("S3_REGION", "hidden")], &[("AWS_REGION", "hidden too")]).is_empty());
        let profile = told(&[("AWS_PROFILE", "hidden too")], &keys);
        assert_eq!(profile.len(), 2);
        assert_eq!(profile[0], "AWS_PROFILE of the shell goes before AWS_ACCESS_KEY_ID in .env");
        let token = (TOKEN, "hidden");
        assert!(told(&[token], &[&keys[..], &[(TOKEN, "hidden too")]].concat()).is_empty());
        let stale = told(&[(KEYS[0], "a"), (KEYS[1], "b")], &[token]);
        assert_eq!(stale, ["AWS_ACCESS_KEY_ID of the shell goes before AWS_SESSION_TOKEN in .env"]);
        assert!(told(&keys, &keys).is_empty() && !profile.concat().contains("hidden"));
    }
}
