//! URLs for others.

use std::fs;
use std::process::Command;

use base64::Engine;

use super::{KEYS, beside_bucket, local};
use crate::support::skipped;

#[test]
fn a_signed_url_is_good_for_anybody() {
    let (server, sandbox) = beside_bucket();
    sandbox.ok("storage migrate");
    let original = fs::read(sandbox.path().join("ecosight-data").join(KEYS[3])).unwrap();
    let url = sandbox.command("storage url").arg(KEYS[3]).output().unwrap();
    let url = String::from_utf8(url.stdout).unwrap();
    let got = ureq::get(url.trim()).call().unwrap().body_mut().read_to_vec().unwrap();
    assert_eq!(got, original);
    let url = sandbox.json("storage url temp/up.bin --put --expires 5m");
    assert_eq!(url["method"], "PUT");
    ureq::put(url["url"].as_str().unwrap()).send(&b"from outside"[..]).unwrap();
    assert_eq!(fs::read(server.bucket_folder().join("temp/up.bin")).unwrap(), b"from outside");
    assert!(ureq::get(url["url"].as_str().unwrap()).call().is_err(), "a URL to write is none to read");
}

#[test]
fn what_cannot_be_signed_is_refused() {
    let (_server, sandbox) = beside_bucket();
    for expires in ["8d", "0s", "soon"] {
        assert_eq!(sandbox.run(&format!("storage url temp/a --expires {expires}")).code, 2, "{expires}");
    }
    let ran = local().run("storage url temp/a");
    assert!(ran.code == 2 && ran.stderr.contains("storage status"), "{}", ran.stderr);
}

#[test]
fn a_distribution_serves_signed_urls_that_its_public_key_vouches_for() {
    let (_server, mut sandbox) = beside_bucket();
    sandbox.set("CLOUDFRONT_DOMAIN", "d111.cloudfront.net");
    let plain = sandbox.json("storage url temp/a\u{fc}.wav");
    assert_eq!(
        (plain["url"].as_str(), plain["expires_at"].is_null()),
        (Some("https://d111.cloudfront.net/temp/a%C3%BC.wav"), true)
    );
    assert!(sandbox.json("storage url temp/a.wav --s3")["url"].as_str().unwrap().contains("X-Amz-Signature"));
    let run = |args: &[&str]| Command::new("openssl").args(args).current_dir(sandbox.path()).output();
    if !run(&["genrsa", "-out", "key.pem", "2048"]).is_ok_and(|made| made.status.success()) {
        return skipped("openssl is not there");
    }
    sandbox.set("CLOUDFRONT_KEY_PAIR_ID", "K1");
    sandbox.set("CLOUDFRONT_PRIVATE_KEY", "key.pem");
    let signed = sandbox.json("storage url temp/a.wav --expires 2h");
    let (resource, query) = signed["url"].as_str().unwrap().split_once('?').unwrap();
    let value = |name: &str| query.split('&').find_map(|pair| pair.strip_prefix(&format!("{name}="))).unwrap();
    assert_eq!(value("Key-Pair-Id"), "K1");
    let policy = format!(
        r#"{{"Statement":[{{"Resource":"{resource}","Condition":{{"DateLessThan":{{"AWS:EpochTime":{}}}}}}}]}}"#,
        value("Expires")
    );
    let signature = value("Signature").replace('-', "+").replace('_', "=").replace('~', "/");
    let signature = base64::engine::general_purpose::STANDARD.decode(signature).unwrap();
    fs::write(sandbox.path().join("signature"), signature).unwrap();
    fs::write(sandbox.path().join("policy"), policy).unwrap();
    let run = |args: &[&str]| Command::new("openssl").args(args).current_dir(sandbox.path()).output().unwrap();
    assert!(run(&["rsa", "-in", "key.pem", "-pubout", "-out", "public.pem"]).status.success());
    let verified = run(&["dgst", "-sha1", "-verify", "public.pem", "-signature", "signature", "policy"]);
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stdout));
}
