//! Each way to get keys, against a small server on this machine.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::sync::Mutex;

use super::*;
use crate::runtime::block_on;
use crate::store::Environment;

/// A server that answers each request with the next of these bodies, the last one for ever, and keeps what it was asked.
struct Server {
    url: String,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn start(bodies: Vec<String>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let kept = asked.clone();
        std::thread::spawn(move || {
            for number in 0.. {
                let Ok((mut socket, _)) = listener.accept() else { return };
                let mut reader = BufReader::new(socket.try_clone().unwrap());
                let (mut text, mut length) = (String::new(), 0);
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap() == 0 || line == "\r\n" {
                        break;
                    }
                    if let Some(bytes) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                        length = bytes.trim().parse().unwrap();
                    }
                    text.push_str(&line);
                }
                let mut body = vec![0; length];
                reader.read_exact(&mut body).unwrap();
                text.push_str(&String::from_utf8(body).unwrap());
                kept.lock().unwrap().push(text);
                let body = &bodies[bodies.len().min(number + 1) - 1];
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
                let _ = socket.write_all(head.as_bytes()).and_then(|()| socket.write_all(body.as_bytes()));
            }
        });
        Self { url, asked }
    }

    fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }
}

fn in_seconds(seconds: i64) -> String {
    (now() + Duration::seconds(seconds)).to_rfc3339()
}

fn json(key: &str, seconds: i64) -> String {
    let expiration = in_seconds(seconds);
    format!(
        r#"{{"AccessKeyId": "{key}", "SecretAccessKey": "hidden", "Token": "t-{key}", "Expiration": "{expiration}"}}"#
    )
}

fn role(name: &str, key: &str) -> String {
    let expiration = in_seconds(3600);
    format!(
        "<{name}Response><{name}Result><Credentials><AccessKeyId>{key}</AccessKeyId><SecretAccessKey>hidden</SecretAccessKey><SessionToken>t</SessionToken><Expiration>{expiration}</Expiration></Credentials></{name}Result></{name}Response>"
    )
}

/// The provider that variables and a configuration file lead to.
fn of(folder: &std::path::Path, config: &str, variables: &[(&str, &str)]) -> AwsCredentialProvider {
    let path = folder.join("config");
    std::fs::write(&path, config).unwrap();
    let files = [
        ("AWS_CONFIG_FILE", path.to_str().unwrap()),
        ("AWS_SHARED_CREDENTIALS_FILE", "/nowhere"),
        ("AWS_EC2_METADATA_DISABLED", "true"),
        ("HOME", folder.to_str().unwrap()),
    ];
    let settings = Settings::read(&Environment::of(files.into_iter().chain(variables.iter().copied()))).unwrap();
    provider(settings.credentials.as_ref().unwrap(), &settings).unwrap()
}

fn key_of(provider: &AwsCredentialProvider) -> String {
    block_on(provider.get_credential()).unwrap().key_id.clone()
}

#[cfg(unix)]
#[test]
fn a_process_is_run_again_when_its_keys_expire() {
    let dir = tempfile::tempdir().unwrap();
    // The first keys have expired, the others have not.
    std::fs::write(dir.path().join("1"), json("FIRST", -1)).unwrap();
    std::fs::write(dir.path().join("2"), json("SECOND", 3600)).unwrap();
    let folder = dir.path().display();
    let config =
        format!("[default]\ncredential_process = echo >> {folder}/runs; cat {folder}/$(wc -l < {folder}/runs)\n");
    let provider = of(dir.path(), &config, &[]);
    assert_eq!([key_of(&provider), key_of(&provider), key_of(&provider)], ["FIRST", "SECOND", "SECOND"]);
}

#[test]
fn the_role_of_a_container_is_asked_for_with_its_token_and_again_before_it_expires() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(vec![json("A", 1), json("B", 3600)]);
    std::fs::write(dir.path().join("token"), "from the file\n").unwrap();
    let url = format!("{}/creds", server.url);
    let file = dir.path().join("token");
    let file = file.to_str().unwrap();
    let full = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str());
    let inline = ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "from the variable");
    let provider = of(dir.path(), "", &[full, inline]);
    assert_eq!(key_of(&provider), "A");
    std::thread::sleep(std::time::Duration::from_millis(1100));
    assert_eq!([key_of(&provider), key_of(&provider)], ["B", "B"]);
    let other = of(dir.path(), "", &[full, inline, ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", file)]);
    assert_eq!(key_of(&other), "B");
    let asked = server.asked();
    assert_eq!(asked.len(), 3);
    assert!(asked[0].starts_with("GET /creds") && asked[0].contains("authorization: from the variable"), "{asked:?}");
    assert!(asked[2].contains("authorization: from the file"), "{asked:?}");
}

#[test]
fn the_token_of_a_container_is_sent_to_no_stranger() {
    for (url, is_fine) in [
        ("http://169.254.170.2/x", true),
        ("http://169.254.170.23/x", true),
        ("http://[fd00:ec2::23]/x", true),
        ("https://example.org/x", true),
        ("http://example.org/x", false),
        ("http://192.0.2.1/x", false),
    ] {
        let environment = Environment::of([("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)]);
        assert_eq!(Fetch::container(&environment, client().unwrap()).is_ok(), is_fine, "{url}");
    }
}

#[test]
fn single_sign_on_gives_the_keys_of_a_role() {
    let dir = tempfile::tempdir().unwrap();
    let expiration = (now() + Duration::hours(1)).timestamp_millis();
    let server = Server::start(vec![format!(
        r#"{{"roleCredentials": {{"accessKeyId": "S", "secretAccessKey": "hidden", "sessionToken": "t", "expiration": {expiration}}}}}"#
    )]);
    let config = "[default]\nsso_session = corp\nsso_account_id = 123\nsso_role_name = a b\n[sso-session corp]\nsso_start_url = https://corp\nsso_region = eu-north-1\n";
    let provider = of(dir.path(), config, &[("AWS_ENDPOINT_URL_SSO", &server.url)]);
    let error = block_on(provider.get_credential()).unwrap_err().to_string();
    assert!(error.contains("aws sso login --profile default"), "{error}");
    let cache = dir.path().join(".aws/sso/cache");
    std::fs::create_dir_all(&cache).unwrap();
    let token = r#"{"accessToken": "bearer", "expiresAt": "2099-01-01T00:00:00Z"}"#;
    std::fs::write(cache.join("ee0bfd2552fbd840c02cc48b6e823320543c450f.json"), token).unwrap();
    assert_eq!([key_of(&provider), key_of(&provider)], ["S", "S"]);
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].starts_with("GET /federation/credentials?account_id=123&role_name=a+b "), "{asked:?}");
    assert!(asked[0].contains("x-amz-sso_bearer_token: bearer"), "{asked:?}");
}

#[test]
fn a_role_is_assumed_with_the_keys_of_another_profile() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(vec![role("AssumeRole", "ASSUMED")]);
    let config = "[default]\nrole_arn = arn:aws:iam::1:role/r\nsource_profile = base\nexternal_id = e+1\n[profile base]\naws_access_key_id = BASE\naws_secret_access_key = hidden\n";
    let variables = [("AWS_ENDPOINT_URL_STS", server.url.as_str()), ("AWS_REGION", "eu-west-1")];
    let provider = of(dir.path(), config, &variables);
    assert_eq!([key_of(&provider), key_of(&provider)], ["ASSUMED", "ASSUMED"]);
    let asked = server.asked();
    assert_eq!(asked.len(), 1);
    assert!(asked[0].contains("Credential=BASE/") && asked[0].contains("/eu-west-1/sts/aws4_request"), "{asked:?}");
    assert!(asked[0].contains("Action=AssumeRole&") && asked[0].contains("ExternalId=e%2B1"), "{asked:?}");
}

#[test]
fn a_web_identity_is_exchanged_for_the_keys_of_a_role() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(vec![role("AssumeRoleWithWebIdentity", "WEB")]);
    let file = dir.path().join("token");
    std::fs::write(&file, "jwt").unwrap();
    let variables = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", file.to_str().unwrap()),
        ("AWS_ROLE_ARN", "arn:aws:iam::1:role/r"),
        ("AWS_ENDPOINT_URL_STS", server.url.as_str()),
    ];
    let provider = of(dir.path(), "", &variables);
    assert_eq!(key_of(&provider), "WEB");
    assert!(server.asked()[0].contains("WebIdentityToken=jwt"), "{:?}", server.asked());
}

#[test]
fn what_the_server_refuses_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let url = "http://127.0.0.1:9/creds";
    let provider = of(dir.path(), "", &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", url)]);
    let error = block_on(provider.get_credential()).unwrap_err().to_string();
    assert!(error.contains("there are no credentials of role of the container"), "{error}");
}
