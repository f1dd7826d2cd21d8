//! A server that answers as S3 and IAM do: moto, from the tests' Python environment, on a free port of this machine.
//!
//! It knows what the in-process server does not: the configuration of buckets, users and their permissions. It ends with the value that
//! stands for it, and with the test process in any case.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};

use ureq::http::Response;
use ureq::{Agent, Body};

use crate::python::python;
use crate::support::{Sandbox, repository};

/// A running server.
pub(crate) struct Moto {
    url: String,
    child: Child,
    /// The server ends when this is closed.
    _alive: ChildStdin,
}

/// An access key of a user.
pub(crate) struct Keys {
    /// Its id.
    pub(crate) id: String,
    /// Its secret.
    pub(crate) secret: String,
}

impl Moto {
    /// A new, empty server that lets everybody do everything; none where Python is missing, said loudly.
    pub(crate) fn start() -> Option<Self> {
        let mut child = Command::new(python()?)
            .arg(repository().join("tests/moto_server.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let url = line.trim().to_owned();
        assert!(url.starts_with("http://"), "moto does not start: {line:?}");
        let alive = child.stdin.take().unwrap();
        Some(Self { url, child, _alive: alive })
    }

    /// Its address: `http://127.0.0.1:port`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Makes an empty bucket.
    pub(crate) fn bucket(&self, name: &str) {
        self.put(name, "");
    }

    /// Writes an object, or with `bucket?lifecycle` and the like a configuration.
    pub(crate) fn put(&self, path: &str, body: &str) {
        self.put_bytes(path, body.as_bytes());
    }

    /// Writes an object of any content.
    pub(crate) fn put_bytes(&self, path: &str, body: &[u8]) {
        let request = agent().put(format!("{}/{path}", self.url)).header("Authorization", scope("s3"));
        let response = request.send(body).unwrap();
        assert!(response.status().is_success(), "{path}: {}", text(response));
    }

    /// A request without content, such as `bucket/key?uploads`.
    pub(crate) fn post(&self, path: &str) {
        let request = agent().post(format!("{}/{path}", self.url)).header("Authorization", scope("s3"));
        let response = request.send_empty().unwrap();
        assert!(response.status().is_success(), "{path}: {}", text(response));
    }

    /// Reads an object, or with `bucket?lifecycle` and the like a configuration; empty where there is none.
    pub(crate) fn get(&self, path: &str) -> String {
        let request = agent().get(format!("{}/{path}", self.url)).header("Authorization", scope("s3"));
        let response = request.call().unwrap();
        if response.status().is_success() { text(response) } else { String::new() }
    }

    /// Removes an object or a bucket.
    pub(crate) fn delete(&self, path: &str) {
        let request = agent().delete(format!("{}/{path}", self.url)).header("Authorization", scope("s3"));
        let response = request.call().unwrap();
        assert!(response.status().is_success(), "{path}: {}", text(response));
    }

    /// Makes a user who may do what `policy` says, and a key for it.
    pub(crate) fn user(&self, name: &str, policy: &str) -> Keys {
        self.iam(&[("Action", "CreateUser"), ("UserName", name)]);
        self.allow(name, policy);
        let key = self.iam(&[("Action", "CreateAccessKey"), ("UserName", name)]);
        let between = |tag: &str| {
            let rest = key.split_once(&format!("<{tag}>")).unwrap().1;
            rest.split_once('<').unwrap().0.to_owned()
        };
        Keys { id: between("AccessKeyId"), secret: between("SecretAccessKey") }
    }

    /// Lets a user do what `policy` says, too.
    pub(crate) fn allow(&self, user: &str, policy: &str) {
        let named = [("PolicyName", "test"), ("PolicyDocument", policy)];
        self.iam(&[&[("Action", "PutUserPolicy"), ("UserName", user)][..], &named[..]].concat());
    }

    /// From now on keys and permissions are checked.
    pub(crate) fn check_permissions(&self) {
        let response = agent().post(format!("{}/moto-api/reset-auth", self.url)).send("0").unwrap();
        assert!(response.status().is_success());
    }

    /// One call of IAM; what the server says.
    fn iam(&self, form: &[(&str, &str)]) -> String {
        let form = form.iter().copied().chain([("Version", "2010-05-08")]);
        let response =
            agent().post(format!("{}/", self.url)).header("Authorization", scope("iam")).send_form(form).unwrap();
        assert!(response.status().is_success(), "{}", text(response));
        text(response)
    }

    /// A command line of the real binary that uses `bucket` of this server with keys that everybody may use.
    pub(crate) fn command(&self, sandbox: &Sandbox, bucket: &str, line: &str) -> Command {
        let mut command = sandbox.command(line);
        command
            .env("S3_BUCKET", bucket)
            .env("S3_ENDPOINT_URL", &self.url)
            .env("AWS_ENDPOINT_URL_IAM", &self.url)
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("S3_RETRY_SECONDS", "5");
        command
    }
}

impl Drop for Moto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What tells the server which service is meant; as long as permissions are not checked, nobody looks at the signature.
fn scope(service: &str) -> String {
    format!(
        "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/{service}/aws4_request, SignedHeaders=host, Signature=0"
    )
}

/// A client that uses no proxy and takes refusals for answers.
fn agent() -> Agent {
    Agent::config_builder().proxy(None).http_status_as_error(false).build().into()
}

fn text(mut response: Response<Body>) -> String {
    response.body_mut().read_to_string().unwrap()
}

#[test]
fn the_server_keeps_what_it_is_given() {
    let Some(moto) = Moto::start() else { return };
    assert!(moto.url().starts_with("http://127.0.0.1:"), "on this machine only");
    moto.bucket("clips");
    moto.put("clips/a.txt", "hello");
    assert_eq!(moto.get("clips/a.txt"), "hello");
    moto.delete("clips/a.txt");
    assert_eq!(moto.get("clips/a.txt"), "");
    let keys = moto.user(
        "nobody",
        r#"{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}"#,
    );
    assert!(!keys.id.is_empty() && !keys.secret.is_empty());
}
