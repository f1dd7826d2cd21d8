//! The steps that concern the user of the program and its key.

use std::path::Path;

use ecosight_datasets::DatasetError;
use ecosight_datasets::admin::{Admin, KeyFile, KeyOutcome, Look};
use ecosight_datasets::store::Settings;

use super::steps::{failed, line};
use super::{Line, State};

/// A user of IAM has so many keys at most.
const MOST_KEYS: usize = 2;

/// What is to be done about the key of a user.
pub(super) struct Wanted<'a> {
    pub(super) user: &'a str,
    /// Whether a key is made though the user has one.
    pub(super) new_key: bool,
    pub(super) is_dry: bool,
}

/// The user, its policy, its key. What builds on a step that failed is left out.
pub(super) async fn all(admin: &Admin, settings: &Settings, wanted: &Wanted<'_>) -> Vec<Line> {
    const NAMES: [&str; 3] = ["user", "user policy", "access key"];
    let Wanted { user, is_dry, .. } = *wanted;
    let mut lines = vec![made(admin, user, is_dry).await];
    for name in &NAMES[1..] {
        let next = match lines.last() {
            Some(last) if last.state == State::Failed => {
                line(name, State::LeftOut, "the step before failed".to_owned())
            }
            _ if *name == NAMES[1] => allowed(admin, user, is_dry).await,
            _ => key(admin, settings, wanted).await,
        };
        lines.push(next);
    }
    lines
}

async fn made(admin: &Admin, user: &str, is_dry: bool) -> Line {
    let done = match admin.look_at_user(user).await {
        Ok(Look::Wrong(what)) if !is_dry => admin.make_user(user).await.map(|()| (State::Done, what)),
        other => other.map(told),
    };
    finished("user", done, "iam:GetUser and iam:CreateUser")
}

async fn allowed(admin: &Admin, user: &str, is_dry: bool) -> Line {
    let done = match admin.look_at_user_policy(user).await {
        Ok(Look::Wrong(what)) if !is_dry => admin.put_user_policy(user).await.map(|()| (State::Done, what)),
        other => other.map(told),
    };
    finished("user policy", done, "iam:GetUserPolicy and iam:PutUserPolicy")
}

async fn key(admin: &Admin, settings: &Settings, wanted: &Wanted<'_>) -> Line {
    const STEP: &str = "access key";
    let written = written(admin, settings, wanted).await;
    written.unwrap_or_else(|error| failed(STEP, error, "iam:ListAccessKeys and iam:CreateAccessKey"))
}

async fn written(admin: &Admin, settings: &Settings, wanted: &Wanted<'_>) -> Result<Line, DatasetError> {
    let Wanted { user, new_key, is_dry } = *wanted;
    let line = |state, detail| line("access key", state, detail);
    let refused = |detail, hint| Line { hint: Some(hint), ..line(State::Failed, detail) };
    let file = KeyFile::in_folder(Path::new("."))?;
    let shown = file.path().display();
    let others = file.lacking(settings);
    let names = others.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    let keys = admin.keys_of(user).await?;
    Ok(match file.outcome(&keys) {
        KeyOutcome::There if others.is_empty() => line(State::AlreadySo, format!("`{shown}` holds a key of {user}")),
        KeyOutcome::There if is_dry => {
            line(State::WouldDo, format!("write {names} to `{shown}`, beside the key of {user}"))
        }
        KeyOutcome::There => {
            file.add(&others)?;
            line(State::Done, format!("{names} added to `{shown}`, beside the key of {user}"))
        }
        KeyOutcome::Foreign => {
            let why =
                format!("`{shown}` holds a key that is not {user}'s; take it out, and one is made and written there");
            line(State::LeftOut, why)
        }
        KeyOutcome::Missing if keys.len() >= MOST_KEYS => refused(
            format!("{user} has {MOST_KEYS} keys already ({}), and IAM allows no more", keys.join(", ")),
            format!(
                "copy the `.env` with one of them into this folder, or remove one that nobody uses: `aws iam delete-access-key --user-name {user} --access-key-id …`"
            ),
        ),
        KeyOutcome::Missing if !keys.is_empty() && !new_key => refused(
            format!(
                "{user} has a key already ({}), and it is not in `{shown}`; its secret is told only once",
                keys.join(", ")
            ),
            "copy the `.env` that holds it into this folder, or make one more key: `--new-key`".to_owned(),
        ),
        KeyOutcome::Missing if is_dry => line(State::WouldDo, format!("make a key and write it to `{shown}`")),
        KeyOutcome::Missing => {
            let id = admin.make_key(user, &file, &others).await?;
            line(State::Done, format!("key {id} is in `{shown}`, which only you may read"))
        }
    })
}

fn told(look: Look) -> (State, String) {
    match look {
        Look::Right(what) => (State::AlreadySo, what),
        Look::Wrong(what) => (State::WouldDo, what),
        Look::LeftOut(why) | Look::Warning(why) | Look::Unsafe { why, .. } => (State::LeftOut, why),
    }
}

fn finished(step: &'static str, done: Result<(State, String), DatasetError>, permission: &str) -> Line {
    match done {
        Ok((state, detail)) => line(step, state, detail),
        Err(error) => failed(step, error, permission),
    }
}
