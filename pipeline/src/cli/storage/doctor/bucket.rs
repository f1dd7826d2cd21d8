//! Whether the bucket is set up as it should be.

use ecosight_datasets::DatasetError;
use ecosight_datasets::admin::{Admin, Look, Step, Wishes};
use ecosight_datasets::runtime::block_on;
use ecosight_datasets::store::{Settings, Trouble};

use crate::cli::finding::{Finding, State};
use crate::cli::session::now;

/// The way out of most of it.
const SETUP: &str = "`ecosight storage setup` puts it right, with the keys of somebody who may set up buckets";

/// Adds what is found; whether there is a bucket that the other checks can use.
pub(super) fn findings(settings: &Settings, wishes: Wishes, findings: &mut Vec<Finding>) -> bool {
    block_on(async {
        let admin = match Admin::connect(settings, wishes).await {
            Ok(admin) => admin,
            Err(error) => {
                findings.push(Finding::error("credentials", &error.into()));
                return false;
            }
        };
        for step in Step::ALL {
            let found = judged(step, admin.look(step).await);
            let is_gone = step == Step::Bucket && found.as_ref().is_some_and(|found| found.state == State::Fail);
            findings.extend(found);
            if is_gone {
                return false;
            }
        }
        findings.push(rules(&admin).await);
        findings.push(uploads(&admin).await);
        findings.push(versions(&admin).await);
        true
    })
}

/// What a look means; nothing where it is not wanted.
fn judged(step: Step, look: Result<Look, DatasetError>) -> Option<Finding> {
    let check = step.name();
    Some(match look {
        Ok(Look::Right(what)) => Finding::ok(check, what),
        Ok(Look::LeftOut(_)) => return None,
        Ok(Look::Warning(why)) => Finding::warn(check, why, "reach the server over https://"),
        Ok(Look::Unsafe { why, hint }) => Finding::warn(check, why, hint),
        Ok(Look::Wrong(_)) if step == Step::Bucket => {
            Finding::fail(check, "there is no such bucket", "make it: `ecosight storage setup`; or check `S3_BUCKET`")
        }
        // These only cost money.
        Ok(Look::Wrong(what)) if matches!(step, Step::Lifecycle | Step::Logging) => {
            Finding::warn(check, format!("missing: {what}"), SETUP)
        }
        Ok(Look::Wrong(what)) => Finding::fail(check, format!("missing: {what}"), SETUP),
        // Whether it can be used is found out by using it.
        Err(error) if step == Step::Bucket && Trouble::of(&error) == Some(Trouble::Forbidden) => {
            let found = "these keys may not look at it (`s3:ListBucket`), or it is somebody else's";
            Finding::warn(check, found, "`ecosight storage policy` prints what the keys must be allowed")
        }
        Err(error) if step == Step::Bucket => Finding::error(check, &error.into()),
        Err(error) => unseen(check, error, step.permissions()[0]),
    })
}

/// What could not be looked at; the program's own keys need not be allowed to.
fn unseen(check: &'static str, error: DatasetError, permission: &str) -> Finding {
    if Trouble::of(&error) == Some(Trouble::Forbidden) {
        let found = format!("these keys may not look (`{permission}`), and need not for daily work");
        return Finding::warn(check, found, "run it once with the keys of somebody who may set up buckets");
    }
    if Admin::is_unknown(&error) {
        return Finding::warn(check, "this server does not know it", "see the manual of the server");
    }
    Finding::error(check, &error.into())
}

async fn rules(admin: &Admin) -> Finding {
    const CHECK: &str = "originals stay";
    match admin.dangerous_rules().await {
        Ok(names) if names.is_empty() => Finding::ok(CHECK, "no lifecycle rule removes recordings, tables or models"),
        Ok(names) => {
            let found = format!("a lifecycle rule removes what must stay: {}", names.join(", "));
            Finding::fail(CHECK, found, "remove it from the bucket, or limit it to a prefix that EcoSight does not use")
        }
        Err(error) => unseen(CHECK, error, Step::Lifecycle.permissions()[0]),
    }
}

async fn uploads(admin: &Admin) -> Finding {
    const CHECK: &str = "unfinished";
    let days = i64::from(admin.aborts_after_days().await);
    // The server removes them once a day.
    let before = now().timestamp() - (days + 2) * 24 * 3600;
    match admin.unfinished_uploads(before).await {
        Ok(0) => Finding::ok(CHECK, "no old parts of uploads that were never completed"),
        Ok(count) => {
            let found = format!(
                "{count} upload(s) were begun more than {days} days ago and never completed; their parts are paid for"
            );
            Finding::warn(CHECK, found, SETUP)
        }
        Err(error) => unseen(CHECK, error, "s3:ListBucketMultipartUploads"),
    }
}

async fn versions(admin: &Admin) -> Finding {
    const CHECK: &str = "versioning";
    match admin.keeps_versions().await {
        Ok(true) => Finding::ok(CHECK, "earlier versions are kept, and paid for"),
        Ok(false) => Finding::ok(CHECK, "off: what is deleted or replaced is gone"),
        Err(error) if Trouble::of(&error) == Some(Trouble::Forbidden) => unseen(CHECK, error, "s3:GetBucketVersioning"),
        // Good to know, and no more.
        Err(_) => Finding::ok(CHECK, "this server does not tell"),
    }
}
