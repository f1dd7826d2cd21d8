//! The steps that concern the user of the program and its key.

use std::path::Path;

use ecosight_datasets::DatasetError;
use ecosight_datasets::admin::{Admin, KeyFile, KeyOutcome, Look};

use super::steps::{failed, line};
use super::{Line, State};

/// The user, its policy, its key. What builds on a step that failed is left out.
pub(super) async fn all(admin: &Admin, user: &str, is_dry: bool) -> Vec<Line> {
    const NAMES: [&str; 3] = ["user", "user policy", "access key"];
    let mut lines = vec![made(admin, user, is_dry).await];
    for name in &NAMES[1..] {
        let next = match lines.last() {
            Some(last) if last.state == State::Failed => {
                line(name, State::LeftOut, "the step before failed".to_owned())
            }
            _ if *name == NAMES[1] => allowed(admin, user, is_dry).await,
            _ => key(admin, user, is_dry).await,
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

async fn key(admin: &Admin, user: &str, is_dry: bool) -> Line {
    finished("access key", written(admin, user, is_dry).await, "iam:ListAccessKeys and iam:CreateAccessKey")
}

async fn written(admin: &Admin, user: &str, is_dry: bool) -> Result<(State, String), DatasetError> {
    let file = KeyFile::in_folder(Path::new("."))?;
    let shown = file.path().display();
    Ok(match file.outcome(&admin.keys_of(user).await?) {
        KeyOutcome::There => (State::AlreadySo, format!("`{shown}` holds a key of {user}")),
        KeyOutcome::Foreign => {
            let why =
                format!("`{shown}` holds a key that is not {user}'s; take it out, and one is made and written there");
            (State::LeftOut, why)
        }
        KeyOutcome::Missing if is_dry => (State::WouldDo, format!("make a key and write it to `{shown}`")),
        KeyOutcome::Missing => {
            let id = admin.make_key(user, &file).await?;
            (State::Done, format!("key {id} is in `{shown}`, which only you may read"))
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
