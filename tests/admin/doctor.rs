//! What `storage doctor` finds in a bucket, and what it says is to be done.

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use super::{document, run, states};
use crate::moto::Moto;
use crate::support::Sandbox;

/// The state of a finding of the doctor, and the fix.
pub(super) fn finding<'a>(report: &'a Value, check: &str) -> (&'a str, &'a str) {
    let findings = report["findings"].as_array().unwrap();
    let found = findings.iter().find(|found| found["check"] == check);
    let found = found.unwrap_or_else(|| panic!("no `{check}` in {report:#}"));
    (found["state"].as_str().unwrap(), found["fix"].as_str().unwrap_or_default())
}

pub(super) fn doctor(command: &mut Command) -> (i32, Value) {
    let ran = run(command.args(["storage", "doctor", "--json"]));
    (ran.code, serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {}{}", ran.stdout, ran.stderr)))
}

#[test]
fn the_doctor_knows_what_was_asked_for_and_tells_what_is_there_without() {
    let Some(moto) = Moto::start() else { return };
    let sandbox = Sandbox::new();
    moto.bucket("logs");
    let checks = ["logging", "transitions", "cloudfront", "user"];
    let examined = || {
        let (code, report) = doctor(&mut moto.command(&sandbox, "clips", ""));
        (code, checks.map(|check| finding(&report, check).0.to_owned()), report)
    };
    let options = "--log-bucket logs --standard-ia 60 --distribution arn:aws:cloudfront::123456789012:distribution/E1 --iam-user robot";
    document(&mut moto.command(&sandbox, "clips", "storage setup"));
    let left_out = |report: &Value| {
        let findings = report["findings"].as_array().unwrap().iter();
        findings.filter(|one| one["found"].as_str().unwrap().starts_with("n/a")).count()
    };
    let (code, found, report) = examined();
    assert_eq!((code, found.each_ref().map(String::as_str), left_out(&report)), (0, ["ok"; 4], 5), "{report:#}");
    let asked = |expected: [&str; 4], expected_code: i32| {
        let ran = run(&mut moto.command(&sandbox, "clips", &format!("storage doctor --json {options}")));
        let report: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!((ran.code, checks.map(|check| finding(&report, check).0)), (expected_code, expected), "{report:#}");
        report
    };
    let report = asked(["warn", "warn", "fail", "fail"], 1);
    assert!(finding(&report, "user").1.contains("setup --iam-user robot"), "{report:#}");
    document(&mut moto.command(&sandbox, "clips", &format!("storage setup {options}")));
    let report = asked(["ok"; 4], 0);
    assert_eq!(finding(&report, "user policy").0, "ok");
    let (code, _, report) = examined();
    let text = report.to_string();
    assert!(code == 0 && text.contains("s3://logs/clips/") && text.contains("STANDARD_IA after 60"), "{report:#}");
    assert!(text.contains("distribution/E1 may read"), "{report:#}");
}

#[test]
fn a_variable_of_the_shell_that_goes_before_the_file_is_told_without_its_value() {
    let Some(moto) = Moto::start() else { return };
    let sandbox = Sandbox::new();
    moto.bucket("clips");
    fs::write(sandbox.path().join(".env"), "S3_BUCKET=other\nAWS_SECRET_ACCESS_KEY=hidden\nS3_RETRY_SECONDS=5\n")
        .unwrap();
    let status = run(&mut moto.command(&sandbox, "clips", "storage status"));
    assert!(status.stdout.contains("S3_BUCKET of the shell goes before what .env says"), "{}", status.stdout);
    assert!(!status.stdout.contains("hidden") && !status.stdout.contains("S3_RETRY"), "{}", status.stdout);
    let (_, report) = doctor(&mut moto.command(&sandbox, "clips", ""));
    let (state, fix) = finding(&report, "variables");
    assert!(state == "warn" && fix.contains("unset"), "{report:#}");
    assert!(!report.to_string().contains("hidden"));
}

#[test]
fn the_doctor_is_content_after_the_setup() {
    let Some(moto) = Moto::start() else { return };
    let sandbox = Sandbox::new();
    moto.bucket("logs");
    let line = "storage setup --cors-origin https://clips.example.org --log-bucket logs";
    let report = document(&mut moto.command(&sandbox, "clips", line));
    assert!(states(&report).contains(&("logging", "done")), "{report:#}");
    let mut command = moto.command(&sandbox, "clips", "");
    let (code, report) = doctor(command.env("S3_CORS_ORIGINS", "https://clips.example.org"));
    assert_eq!(code, 0, "{report:#}");
    let wrong: Vec<_> = report["findings"].as_array().unwrap().iter().filter(|one| one["state"] != "ok").collect();
    // Only that the server has no TLS is not as it should be.
    assert!(wrong.len() == 1 && wrong[0]["check"] == "bucket policy", "{report:#}");
    let left = moto.get("clips?list-type=2&prefix=temp/");
    assert!(left.contains("<KeyCount>0</KeyCount>"), "{left}");
}

#[test]
fn the_doctor_names_the_fix_for_what_is_wrong() {
    let Some(moto) = Moto::start() else { return };
    let sandbox = Sandbox::new();
    let (code, report) = doctor(&mut moto.command(&sandbox, "nothing-there", ""));
    assert_eq!(code, 1, "{report:#}");
    assert!(finding(&report, "bucket").1.contains("ecosight storage setup"), "{report:#}");

    moto.bucket("bare");
    let rule = "<Rule><ID>all</ID><Filter><Prefix></Prefix></Filter><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule>";
    moto.put("bare?lifecycle", &format!("<LifecycleConfiguration>{rule}</LifecycleConfiguration>"));
    let (code, report) = doctor(&mut moto.command(&sandbox, "bare", ""));
    assert_eq!(code, 1, "{report:#}");
    assert_eq!(finding(&report, "public access").0, "fail");
    assert_eq!(finding(&report, "lifecycle").0, "warn");
    assert_eq!(finding(&report, "originals stay").0, "fail", "{report:#}");

    // Another server than Amazon's calls regions as it likes.
    let mut elsewhere = moto.command(&sandbox, "bare", "");
    let (_, report) = doctor(elsewhere.env("AWS_REGION", "eu-north-1"));
    assert_eq!(finding(&report, "bucket").0, "ok", "{report:#}");
}

#[test]
fn keys_that_may_only_read_are_told_what_they_lack() {
    let Some(moto) = Moto::start() else { return };
    let sandbox = Sandbox::new();
    moto.bucket("clips");
    // Amazon asks for `s3:ListBucket` where moto asks for a permission of its own.
    let policy = json!({ "Version": "2012-10-17", "Statement": [
        { "Effect": "Allow", "Action": ["s3:ListBucket", "s3:HeadBucket", "s3:GetObject"], "Resource": "*" },
    ]});
    let keys = moto.user("reader", &policy.to_string());
    moto.check_permissions();
    let mut command = moto.command(&sandbox, "clips", "");
    command.env("AWS_ACCESS_KEY_ID", &keys.id).env("AWS_SECRET_ACCESS_KEY", &keys.secret);
    let (code, report) = doctor(&mut command);
    assert_eq!(code, 1, "{report:#}");
    let (state, fix) = finding(&report, "put_get");
    assert!(state == "fail" && fix.contains("s3:PutObject") && fix.contains("storage policy"), "{report:#}");

    let mut setup = moto.command(&sandbox, "clips", "storage setup");
    setup.env("AWS_ACCESS_KEY_ID", &keys.id).env("AWS_SECRET_ACCESS_KEY", &keys.secret);
    let ran = run(&mut setup);
    assert!(ran.code == 1 && ran.stdout.contains("s3:PutBucketPublicAccessBlock"), "{}{}", ran.stdout, ran.stderr);
}

#[test]
fn without_a_bucket_the_doctor_looks_at_the_folder_and_says_why() {
    let sandbox = Sandbox::new();
    let report = document(&mut sandbox.command("storage doctor"));
    let used = &report["findings"][0]["found"];
    assert!(used.as_str().unwrap().contains("S3_BUCKET"), "{report:#}");
    assert_eq!((finding(&report, "data root").0, report["findings"].as_array().unwrap().len()), ("ok", 3));
    let refused = sandbox.run("storage setup");
    assert!(refused.code == 2 && refused.stderr.contains("S3_BUCKET"), "{}", refused.stderr);
}
