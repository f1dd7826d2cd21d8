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
        let mut admin = match Admin::connect(settings, wishes).await {
            Ok(admin) => admin,
            Err(error) => {
                findings.push(Finding::error("credentials", &error.into()));
                return false;
            }
        };
        for step in Step::ALL {
            let found = of_step(step, admin.look(step).await);
            let is_gone = step == Step::Bucket && found.state == State::Fail;
            findings.push(found);
            if is_gone {
                return false;
            }
        }
        findings.push(moves(&admin).await);
        findings.push(distribution(&admin, settings).await);
        // Where this cannot be asked, the finding about encryption has said so.
        let _ = admin.adopt_key().await;
        findings.extend(user(&admin, settings).await);
        findings.push(rules(&admin).await);
        findings.push(uploads(&admin).await);
        findings.push(versions(&admin).await);
        true
    })
}

/// What a look at a step of the setup means.
fn of_step(step: Step, look: Result<Look, DatasetError>) -> Finding {
    let check = step.name();
    match (step, look) {
        (_, Ok(Look::Warning(why))) => Finding::warn(check, why, "reach the server over https://"),
        (Step::Bucket, Ok(Look::Wrong(_))) => {
            Finding::fail(check, "there is no such bucket", "make it: `ecosight storage setup`; or check `S3_BUCKET`")
        }
        // Whether it can be used is found out by using it.
        (Step::Bucket, Err(error)) if Trouble::of(&error) == Some(Trouble::Forbidden) => {
            let found = "these keys may not look at it (`s3:ListBucket`), or it is somebody else's";
            Finding::warn(check, found, "`ecosight storage policy` prints what the keys must be allowed")
        }
        (Step::Bucket, Err(error)) => Finding::error(check, &error.into()),
        // These only cost money.
        (Step::Lifecycle | Step::Logging, look) => judged(check, State::Warn, look, step.permissions()[0]),
        (_, look) => judged(check, State::Fail, look, step.permissions()[0]),
    }
}

/// What a look means; `missing` is how bad it is where something that is wanted is not there. What nobody asked for is never bad.
fn judged(check: &'static str, missing: State, look: Result<Look, DatasetError>, permission: &str) -> Finding {
    match look {
        Ok(Look::Right(what)) => Finding::ok(check, what),
        Ok(Look::LeftOut(why)) => Finding::ok(check, format!("n/a: {why}")),
        Ok(Look::Wrong(what)) => {
            let found = format!("missing: {what}");
            Finding { state: missing, ..Finding::fail(check, found, SETUP) }
        }
        Ok(Look::Unsafe { why, hint }) => Finding::warn(check, why, hint),
        Ok(Look::Warning(why)) => Finding::warn(check, why, SETUP),
        Err(error) => unseen(check, error, permission),
    }
}

/// Where recordings move.
async fn moves(admin: &Admin) -> Finding {
    judged("transitions", State::Warn, admin.look_at_moves().await, Step::Lifecycle.permissions()[0])
}

/// Who serves recordings.
async fn distribution(admin: &Admin, settings: &Settings) -> Finding {
    const CHECK: &str = "cloudfront";
    match (admin.look_at_distribution().await, &settings.cloudfront) {
        (Ok(Look::LeftOut(why)), Some(cloudfront)) => {
            let found = format!("{} is to serve recordings, but {why}", cloudfront.domain);
            let fix = "let its distribution read: `ecosight storage setup --distribution ARN`";
            Finding::warn(CHECK, found, fix)
        }
        (look, _) => judged(CHECK, State::Fail, look, Step::BucketPolicy.permissions()[0]),
    }
}

/// The user of the program and what it may do.
async fn user(admin: &Admin, settings: &Settings) -> Vec<Finding> {
    const CHECK: &str = "user";
    let Some(name) = &admin.wishes().iam_user else {
        return vec![Finding::ok(CHECK, "n/a: no user is named (`--iam-user NAME`)")];
    };
    if !Admin::knows_iam(settings) {
        let found = "not checked: the bucket is not on Amazon's servers, so its users are not there either";
        return vec![Finding::warn(CHECK, found, "name its server of users: `AWS_ENDPOINT_URL_IAM`")];
    }
    let fix = format!(
        "`ecosight storage setup --iam-user {name}` puts it right, with the keys of somebody who may make users"
    );
    let fixed = |finding: Finding| match finding.fix.as_deref() {
        Some(SETUP) => Finding { fix: Some(fix.clone()), ..finding },
        _ => finding,
    };
    let found = fixed(judged(CHECK, State::Fail, admin.look_at_user(name).await, "iam:GetUser"));
    let is_there = found.state == State::Ok;
    let mut findings = vec![found];
    if is_there {
        let look = admin.look_at_user_policy(name).await;
        findings.push(fixed(judged("user policy", State::Fail, look, "iam:GetUserPolicy")));
    }
    findings
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
