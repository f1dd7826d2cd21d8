//! Buckets are made, put right, checked and priced, against a server that knows their configuration.

mod doctor;

use std::fs;
use std::process::Command;

use serde_json::{Value, json};

use self::doctor::{doctor, finding};
use crate::moto::Moto;
use crate::support::{Ran, Sandbox, ran};

fn run(command: &mut Command) -> Ran {
    ran(&command.output().unwrap())
}

/// A command line that must succeed; its document.
fn document(command: &mut Command) -> Value {
    let ran = run(command.arg("--json"));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    serde_json::from_str(&ran.stdout).unwrap()
}

/// The states of all steps, by their names.
fn states(report: &Value) -> Vec<(&str, &str)> {
    let steps = report["steps"].as_array().unwrap().iter();
    steps.map(|step| (step["step"].as_str().unwrap(), step["state"].as_str().unwrap())).collect()
}

#[test]
fn a_bucket_is_made_from_nothing_and_a_second_time_nothing_is_changed() {
    let Some(moto) = Moto::start() else { return };
    let sandbox = Sandbox::new();
    let line = "storage setup --cors-origin https://clips.example.org --standard-ia 60 --glacier 400";
    let setup = || {
        let mut command = moto.command(&sandbox, "clips/pre", line);
        command.env("S3_REGION", "eu-west-1");
        command
    };
    let first = document(&mut setup());
    let done = ["bucket", "public access", "lifecycle", "cors"];
    for (step, state) in states(&first) {
        let expected: &[&str] = match step {
            _ if done.contains(&step) => &["done"],
            // New buckets have a default of their own.
            "encryption" => &["done", "already_so"],
            _ => &["left_out"],
        };
        assert!(expected.contains(&state), "{step} {state}: {first:#}");
    }
    assert!(moto.get("clips?location").contains("eu-west-1"));
    let lifecycle = moto.get("clips?lifecycle");
    for part in
        ["<Prefix>pre/temp/</Prefix>", "<Prefix>pre/processed/</Prefix>", "<StorageClass>GLACIER</StorageClass>"]
    {
        assert!(lifecycle.contains(part), "{part} is missing in {lifecycle}");
    }
    assert!(moto.get("clips?cors").contains("<ExposeHeader>ETag</ExposeHeader>"));

    let second = run(&mut setup());
    assert!(second.code == 0 && second.stderr.contains("nothing was changed"), "{}{}", second.stdout, second.stderr);
    assert!(!second.stdout.contains("done "), "{}", second.stdout);
    assert_eq!(moto.get("clips?lifecycle"), lifecycle);
}

#[test]
fn a_dry_run_writes_nothing() {
    let Some(moto) = Moto::start() else { return };
    let sandbox = Sandbox::new();
    let dry = |bucket: &str| document(&mut moto.command(&sandbox, bucket, "storage setup --dry-run --iam-user robot"));
    let report = dry("nothing-there");
    let states = states(&report);
    assert!(states.contains(&("bucket", "would_do")) && states.contains(&("access key", "would_do")), "{states:?}");
    assert!(states.iter().all(|(_, state)| ["would_do", "left_out"].contains(state)), "{states:?}");
    assert_eq!(moto.get("nothing-there?location"), "");
    moto.bucket("bare");
    dry("bare");
    assert_eq!(moto.get("bare?lifecycle"), "");
    assert!(!sandbox.path().join(".env").exists());
}

#[test]
fn rules_and_statements_of_others_stay() {
    let Some(moto) = Moto::start() else { return };
    let sandbox = Sandbox::new();
    moto.bucket("clips");
    let rule = "<Rule><ID>theirs</ID><Filter><Prefix>logs/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>9</Days></Expiration></Rule>";
    moto.put("clips?lifecycle", &format!("<LifecycleConfiguration>{rule}</LifecycleConfiguration>"));
    let statement = json!({ "Sid": "Theirs", "Effect": "Deny", "Principal": "*", "Action": "s3:DeleteBucket", "Resource": "arn:aws:s3:::clips" });
    moto.put("clips?policy", &json!({ "Version": "2012-10-17", "Statement": [statement] }).to_string());
    let line = "storage setup --distribution arn:aws:cloudfront::123456789012:distribution/E1";
    let report = document(&mut moto.command(&sandbox, "clips", line));
    assert!(states(&report).contains(&("bucket policy", "done")), "{report:#}");
    let lifecycle = moto.get("clips?lifecycle");
    assert!(lifecycle.contains("<ID>theirs</ID>") && lifecycle.contains("EcoSight-expire-temp"), "{lifecycle}");
    let policy: Value = serde_json::from_str(&moto.get("clips?policy")).unwrap();
    let sids: Vec<_> = policy["Statement"].as_array().unwrap().iter().map(|one| one["Sid"].as_str().unwrap()).collect();
    assert_eq!(sids, ["Theirs", "EcoSightCloudFront"]);
}

#[test]
fn what_lies_below_an_area_that_expires_is_not_removed_unasked() {
    let Some(moto) = Moto::start() else { return };
    let sandbox = Sandbox::new();
    moto.bucket("clips");
    moto.put("clips/processed/theirs.csv", "a,b");
    let setup = |line: &str| run(&mut moto.command(&sandbox, "clips", line));
    let refused = setup("storage setup --abort-incomplete 3");
    assert_eq!(refused.code, 1, "{}{}", refused.stdout, refused.stderr);
    for part in ["processed/theirs.csv", "30 day(s)", "--expire-existing"] {
        assert!(refused.stdout.contains(part), "{part} is missing in {}", refused.stdout);
    }
    assert_eq!(moto.get("clips?lifecycle"), "");
    let asked = setup("storage setup --expire-existing");
    assert_eq!(asked.code, 0, "{}{}", asked.stdout, asked.stderr);
    assert!(moto.get("clips?lifecycle").contains("<Prefix>processed/</Prefix>"));
    let again = setup("storage setup");
    assert!(again.code == 0 && again.stderr.contains("nothing was changed"), "{}{}", again.stdout, again.stderr);
}

#[test]
fn a_server_without_tls_gets_no_policy_that_demands_it() {
    let Some(moto) = Moto::start() else { return };
    let sandbox = Sandbox::new();
    let ran = run(&mut moto.command(&sandbox, "clips", "storage setup"));
    assert_eq!(ran.code, 0, "{}{}", ran.stdout, ran.stderr);
    assert!(
        ran.stderr.contains("warning: bucket policy") && ran.stderr.contains("lock everybody out"),
        "{}",
        ran.stderr
    );
    assert_eq!(moto.get("clips?policy"), "");
    assert!(ran.stdout.contains("\"Sid\": \"EcoSightObjects\""), "the permissions are printed always: {}", ran.stdout);
}

#[test]
fn a_user_gets_one_key_which_is_written_and_not_shown() {
    let Some(moto) = Moto::start() else { return };
    let sandbox = Sandbox::new();
    fs::write(sandbox.path().join(".env"), "# mine\nS3_REGION=us-east-1").unwrap();
    let line = "storage setup --iam-user robot";
    let first = run(&mut moto.command(&sandbox, "clips", line));
    assert_eq!(first.code, 0, "{}{}", first.stdout, first.stderr);
    let env = fs::read_to_string(sandbox.path().join(".env")).unwrap();
    assert!(env.starts_with("# mine\nS3_REGION=us-east-1\nAWS_ACCESS_KEY_ID="), "the other lines stay");
    let value = |name: &str| {
        let line = env.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
        line.unwrap().to_owned()
    };
    let (id, secret) = (value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"));
    assert!(!first.stdout.contains(&secret) && !first.stderr.contains(&secret));
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = fs::metadata(sandbox.path().join(".env")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    // The next command needs no variables to find the bucket.
    assert!(env.ends_with(&format!("S3_BUCKET=clips\nS3_ENDPOINT_URL={}\n", moto.url())), "the region was there");
    let status = sandbox.json("storage status");
    assert_eq!((&status["used"], &status["bucket"]["value"]), (&json!("s3"), &json!("s3://clips")), "{status:#}");
    let second = document(&mut moto.command(&sandbox, "clips", line));
    for step in ["user", "user policy", "access key"] {
        assert!(states(&second).contains(&(step, "already_so")), "{second:#}");
    }
    assert_eq!(fs::read_to_string(sandbox.path().join(".env")).unwrap(), env);

    // The key is good for daily work, and for no more. Where Amazon asks for permissions to list the bucket and to delete the object, moto asks
    // for others.
    let actions = ["s3:HeadBucket", "s3:DeleteObject"];
    let statement = json!({ "Effect": "Allow", "Action": actions, "Resource": "arn:aws:s3:::clips" });
    moto.allow("robot", &json!({ "Version": "2012-10-17", "Statement": statement }).to_string());
    moto.check_permissions();
    let mut command = moto.command(&sandbox, "clips", "");
    command.env("AWS_ACCESS_KEY_ID", id).env("AWS_SECRET_ACCESS_KEY", secret);
    let (_, report) = doctor(&mut command);
    for check in ["bucket", "put_get", "list", "large", "copy", "delete", "create", "update"] {
        assert_eq!(finding(&report, check).0, "ok", "{check}: {report:#}");
    }
    let failed = report["findings"].as_array().unwrap().iter().filter(|one| one["state"] == "fail");
    let failed: Vec<_> = failed.map(|one| one["check"].as_str().unwrap()).collect();
    // While moto checks permissions it fails at every URL that is signed.
    assert_eq!(failed, ["presigned_get", "presigned_put"], "{report:#}");
    assert_eq!(finding(&report, "lifecycle").0, "warn", "{report:#}");
}

#[test]
fn a_user_gets_no_second_key_unless_that_is_asked_for() {
    let Some(moto) = Moto::start() else { return };
    let setup = |sandbox: &Sandbox, line: &str| run(&mut moto.command(sandbox, "clips", line));
    let (first, second, third) = (Sandbox::new(), Sandbox::new(), Sandbox::new());
    assert_eq!(setup(&first, "storage setup --iam-user robot").code, 0);
    let refused = setup(&second, "storage setup --iam-user robot");
    assert!(refused.code == 1 && refused.stdout.contains("--new-key"), "{}{}", refused.stdout, refused.stderr);
    assert!(!second.path().join(".env").exists());
    assert_eq!(setup(&second, "storage setup --iam-user robot --new-key").code, 0);
    let full = setup(&third, "storage setup --iam-user robot --new-key");
    assert!(full.code == 1 && full.stdout.contains("delete-access-key"), "{}{}", full.stdout, full.stderr);
    assert!(!third.path().join(".env").exists());
    // A file with the key alone gets the rest.
    let path = first.path().join(".env");
    let keys = |text: &str| {
        text.lines().filter(|line| line.starts_with("AWS_") && !line.contains("REGION")).collect::<Vec<_>>().join("\n")
    };
    let before = fs::read_to_string(&path).unwrap();
    fs::write(&path, keys(&before)).unwrap();
    let report = document(&mut moto.command(&first, "clips", "storage setup --iam-user robot"));
    assert!(states(&report).contains(&("access key", "done")), "{report:#}");
    assert_eq!(fs::read_to_string(&path).unwrap(), before);
}

#[test]
fn nonsense_is_refused_before_anything_is_sent() {
    let sandbox = Sandbox::new();
    let refused = |bucket: &str, line: &str| {
        // Nobody listens there.
        let mut command = sandbox.command(line);
        command.env("S3_BUCKET", bucket).env("S3_ENDPOINT_URL", "https://s3.us-east-1.amazonaws.com");
        command
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("HTTPS_PROXY", "http://127.0.0.1:9");
        let ran = run(&mut command);
        assert!(ran.code == 2 && ran.stderr.contains("hint:"), "{bucket} {line}: {}{}", ran.stdout, ran.stderr);
        ran.stderr
    };
    for (option, shown) in [
        ("--distribution E123", "E123"),
        ("--cors-origin clips.example.org", "clips.example.org"),
        ("--log-bucket No_Logs", "No_Logs"),
        ("--iam-user ü", "--iam-user"),
        ("--standard-ia 60 --glacier 61", "--glacier 90"),
        ("--standard-ia 60 --glacier 61 --dry-run", "--glacier 90"),
    ] {
        assert!(refused("clips", &format!("storage setup {option}")).contains(shown), "{option}");
    }
    for line in ["storage setup", "storage policy", "storage setup --print"] {
        assert!(refused("Clips_", line).contains("S3_BUCKET: `Clips_`"), "{line}");
    }
    assert!(refused("clips", "storage doctor --iam-user a/b").contains("a/b"));
}

#[test]
fn a_missing_bucket_for_logs_is_the_one_that_is_blamed() {
    let Some(moto) = Moto::start() else { return };
    let sandbox = Sandbox::new();
    for line in ["storage setup --log-bucket nolog", "storage doctor --log-bucket nolog"] {
        let ran = run(&mut moto.command(&sandbox, "clips", line));
        assert_eq!(ran.code, 1, "{}{}", ran.stdout, ran.stderr);
        assert!(ran.stdout.contains("s3://nolog") && ran.stdout.contains("make that bucket first"), "{}", ran.stdout);
        assert!(!ran.stdout.contains("S3_BUCKET"), "{}", ran.stdout);
    }
}

#[test]
fn documents_are_printed_without_asking_anybody() {
    let sandbox = Sandbox::new();
    let print = |line: &str| {
        let mut command = sandbox.command(line);
        command.env("S3_BUCKET", "clips").env("S3_REGION", "eu-west-1");
        document(&mut command)
    };
    let areas = [
        "extracted_audio",
        "tables",
        "retired",
        "index",
        "snapshots",
        "runs",
        "models",
        "journal",
        "temp",
        "processed",
    ];
    let areas = areas
        .iter()
        .map(|area| format!("{area}/*"))
        .chain([".lease.json", ".last_run.json", "corrections.csv"].map(str::to_owned));
    let resources: Vec<_> = areas.map(|name| format!("arn:aws:s3:::clips/{name}")).collect();
    let actions = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload"];
    let expected = json!({ "Version": "2012-10-17", "Statement": [
        { "Sid": "EcoSightList", "Effect": "Allow", "Action": ["s3:ListBucket", "s3:ListBucketMultipartUploads"], "Resource": "arn:aws:s3:::clips" },
        { "Sid": "EcoSightObjects", "Effect": "Allow", "Action": actions, "Resource": resources },
    ]});
    assert_eq!(print("storage policy"), expected);
    assert_eq!(print("storage policy --bucket-policy")["Statement"][0]["Sid"], "EcoSightTlsOnly");
    assert_eq!(print("storage policy --lifecycle")["Rules"][0]["Filter"]["Prefix"], "temp/");
    assert_eq!(
        print("storage policy --cors --cors-origin https://a")["CORSRules"][0]["AllowedOrigins"],
        json!(["https://a"])
    );
    let template = print("storage policy --cloudfront");
    let control = &template["Resources"]["OriginAccessControl"]["Properties"]["OriginAccessControlConfig"];
    assert_eq!(control["SigningBehavior"], "always", "{template:#}");
    let all = print("storage setup --print --log-bucket logs --iam-user robot");
    assert_eq!((&all["policy"], &all["logging"]["LoggingEnabled"]["TargetBucket"]), (&expected, &json!("logs")));
    assert_eq!((&all["cloudfront"], &all["create_access_key"]), (&template, &json!({ "UserName": "robot" })));
    let attached: Value = serde_json::from_str(all["put_user_policy"]["PolicyDocument"].as_str().unwrap()).unwrap();
    assert_eq!((&attached, &all["put_user_policy"]["PolicyName"]), (&expected, &json!("EcoSight-clips-access")));
    assert!(!sandbox.path().join(".env").exists());
}

#[test]
fn a_policy_without_statements_is_not_printed() {
    let sandbox = Sandbox::new();
    let print = |line: &str| {
        let mut command = sandbox.command(line);
        run(command.env("S3_BUCKET", "clips").env("S3_ENDPOINT_URL", "http://127.0.0.1:9"))
    };
    let refused = print("storage policy --bucket-policy");
    assert_eq!((refused.code, refused.stdout.as_str()), (2, ""), "{}", refused.stderr);
    assert!(refused.stderr.contains("http://") && refused.stderr.contains("hint:"), "{}", refused.stderr);
    let arn = "arn:aws:cloudfront::123456789012:distribution/E1";
    let served = print(&format!("storage policy --bucket-policy --distribution {arn}"));
    let policy: Value = serde_json::from_str(&served.stdout).unwrap();
    assert_eq!(policy["Statement"].as_array().unwrap().len(), 1);
    assert_eq!(policy["Statement"][0]["Condition"]["StringEquals"]["AWS:SourceArn"], arn);
}

#[test]
fn a_month_is_priced_from_what_is_there() {
    let Some(moto) = Moto::start() else { return };
    let sandbox = Sandbox::new();
    moto.bucket("clips");
    for name in ["a", "b"] {
        moto.put(&format!("clips/extracted_audio/dog/20260101_000000_{name}.wav"), "0123456789");
    }
    let report = document(&mut moto.command(&sandbox, "clips", "storage cost --uploads 2000"));
    let stored = &report["stored"][0];
    assert_eq!(
        (&stored["area"], &stored["objects"], &stored["bytes"]),
        (&json!("extracted_audio"), &json!(2), &json!(20))
    );
    assert_eq!(report["asked"][0]["month"], 0.01);

    assert_eq!((&report["asked"][0]["from"], &report["asked"][1]["count"]), (&json!("--uploads"), &json!(0)));

    // What was done lately is counted.
    for run in ["20200101-000000-aaaa", "29990101-000000-aaaa", "29990101-000001-bbbb"] {
        fs::create_dir_all(sandbox.path().join("ecosight-data/runs").join(run)).unwrap();
        fs::write(sandbox.path().join("ecosight-data/runs").join(run).join("run.json"), "{}").unwrap();
    }
    let counted = document(&mut moto.command(&sandbox, "clips", "storage cost"));
    let counts: Vec<_> =
        counted["asked"].as_array().unwrap().iter().map(|row| row["count"].as_u64().unwrap()).collect();
    assert_eq!(counts, [2, 2, 4, 0], "{counted:#}");
    assert!(counted["asked"][0]["from"].as_str().unwrap().contains("30 days"));

    let file = sandbox.path().join("ecosight.toml");
    fs::write(&file, "[storage.prices]\nof = \"ours\"\nwrite_1000_requests = 1\n").unwrap();
    let ran = run(&mut moto.command(&sandbox, "clips", "storage cost --uploads 2000"));
    for part in ["2.0000", "prices: ours; your own: write_1000_requests", "aws.amazon.com/s3/pricing"] {
        assert!(ran.stdout.contains(part), "{part} is missing in {}{}", ran.stdout, ran.stderr);
    }
    assert_eq!(document(&mut sandbox.command("storage cost"))["is_in_bucket"], false);
    fs::write(&file, "[storage.prices]\nwrite_100_requests = 1\n").unwrap();
    let wrong = sandbox.run("storage cost");
    assert!(wrong.code == 2 && wrong.stderr.contains("did you mean `write_1000_requests`?"), "{}", wrong.stderr);
    assert!(wrong.stderr.contains("hint:"), "{}", wrong.stderr);
}
