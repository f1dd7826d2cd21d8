//! What goes wrong on the way to a server, on purpose: some requests meet a fault, or the server is in a state in which it answers none.

use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Frame, Incoming};
use hyper::http;
use s3s::service::S3Service;
use s3s::{Body, HttpError, HttpRequest, HttpResponse};

/// One thing that goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `503 SlowDown`; nothing was done.
    SlowDown,
    /// The connection breaks before anything was done.
    Reset,
    /// The answer comes up to so many milliseconds late.
    Delay(u64),
    /// The connection breaks in the middle of what is read.
    Truncate,
    /// What was asked for is done, but the connection breaks before the answer.
    LoseAnswer,
}

/// Which requests meet a fault.
#[derive(Clone, Debug)]
pub(crate) struct Faults {
    /// Share of all requests, from 0 to 1.
    pub(crate) share: f64,
    /// What happens to those, each as often as the others.
    pub(crate) kinds: Vec<Fault>,
    /// Where randomness begins.
    pub(crate) seed: u64,
}

impl Faults {
    /// Every kind of fault, in a share of all requests.
    pub(crate) fn of_all_kinds(share: f64, seed: u64) -> Self {
        use Fault::{Delay, LoseAnswer, Reset, SlowDown, Truncate};
        Self { share, kinds: vec![SlowDown, Reset, Delay(50), Truncate, LoseAnswer], seed }
    }
}

/// What a server is up to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// It works, faults aside.
    Up,
    /// It closes every connection.
    Down,
    /// Its bucket is gone: `NoSuchBucket`.
    BucketGone,
    /// It refuses to change anything, with this status and code.
    RefusesWrites(u16, &'static str),
    /// It refuses everything, with this status and code.
    Refuses(u16, &'static str),
    /// A proxy answers everything with this status and a page of HTML.
    Page(u16),
    /// A proxy answers with a page of HTML what asks for further pages of a listing.
    PageLater,
    /// A proxy answers with a page of HTML what asks for objects.
    PageForObjects,
    /// It works, but its entity tags are no sums of the content, as where a bucket encrypts with keys of the Key Management Service.
    ForeignTags,
    /// It takes requests and never answers.
    Stalls,
}

/// A request that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// `GET`, `PUT` and so on; `LIST` for lists.
    pub(crate) method: String,
    /// Key of the object; the prefix of a list.
    pub(crate) key: String,
}

/// What stands before the server.
#[derive(Debug)]
pub(super) struct Front {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    faults: Faults,
    state: State,
    /// After so many more requests the state is another one.
    turn: Option<(usize, State)>,
    random: u64,
    seen: Vec<Seen>,
    /// Keys that nobody may read.
    forbidden: Vec<String>,
}

impl Front {
    pub(super) fn new() -> Self {
        let faults = Faults { share: 0.0, kinds: Vec::new(), seed: 0 };
        let inner = Inner { faults, state: State::Up, turn: None, random: 0, seen: Vec::new(), forbidden: Vec::new() };
        Self { inner: Mutex::new(inner) }
    }

    pub(super) fn set_faults(&self, faults: Faults) {
        let mut inner = self.inner.lock().unwrap();
        inner.random = faults.seed;
        inner.faults = faults;
    }

    pub(super) fn set_state(&self, state: State) {
        let mut inner = self.inner.lock().unwrap();
        (inner.state, inner.turn) = (state, None);
    }

    pub(super) fn turn_after(&self, requests: usize, state: State) {
        self.inner.lock().unwrap().turn = Some((requests, state));
    }

    pub(super) fn forbid(&self, keys: &[&str]) {
        self.inner.lock().unwrap().forbidden = keys.iter().map(ToString::to_string).collect();
    }

    pub(super) fn is_down(&self) -> bool {
        self.inner.lock().unwrap().state == State::Down
    }

    pub(super) fn take_seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.inner.lock().unwrap().seen)
    }

    /// Writes a request down; returns how the server stands and what happens to this request.
    fn meet(&self, seen: Seen) -> (State, Option<Fault>, f64) {
        let mut inner = self.inner.lock().unwrap();
        let is_forbidden = inner.forbidden.contains(&seen.key);
        inner.seen.push(seen);
        if is_forbidden {
            return (State::Refuses(403, "AccessDenied"), None, 0.0);
        }
        if let Some((left, state)) = inner.turn {
            if left == 0 {
                (inner.state, inner.turn) = (state, None);
            } else {
                inner.turn = Some((left - 1, state));
            }
        }
        let fault = (inner.random() < inner.faults.share && !inner.faults.kinds.is_empty())
            .then(|| inner.random())
            .map(|which| inner.faults.kinds[(which * inner.faults.kinds.len() as f64) as usize]);
        let how_much = inner.random();
        (inner.state, fault, how_much)
    }

    /// Answers a request, or breaks the connection.
    pub(super) async fn call(
        &self,
        server: &S3Service,
        request: HttpRequest<Incoming>,
    ) -> Result<HttpResponse, HttpError> {
        let seen = Seen::of(&request);
        let is_write = matches!(request.method().as_str(), "PUT" | "POST" | "DELETE");
        let is_further_page = request.uri().query().is_some_and(|query| query.contains("continuation-token"));
        let is_object = matches!(request.method().as_str(), "GET" | "HEAD") && seen.method != "LIST";
        let (state, fault, how_much) = self.meet(seen);
        match state {
            State::Down => return Err(broken()),
            State::BucketGone => return refused(request, 404, "NoSuchBucket").await,
            State::Refuses(status, code) => return refused(request, status, code).await,
            State::RefusesWrites(status, code) if is_write => return refused(request, status, code).await,
            State::Page(status) => return page(request, status).await,
            State::PageLater if is_further_page => return page(request, 200).await,
            State::PageForObjects if is_object => return page(request, 200).await,
            State::Stalls => std::future::pending().await,
            State::ForeignTags => return Ok(with_foreign_tag(server.call(request.map(Body::from)).await?)),
            State::Up | State::RefusesWrites(..) | State::PageLater | State::PageForObjects => {}
        }
        match fault {
            Some(Fault::SlowDown) => refused(request, 503, "SlowDown").await,
            Some(Fault::Reset) => Err(broken()),
            Some(Fault::Delay(most)) => {
                tokio::time::sleep(Duration::from_millis((how_much * most as f64) as u64)).await;
                server.call(request.map(Body::from)).await
            }
            Some(Fault::Truncate) if request.method() == "GET" => {
                let answer = server.call(request.map(Body::from)).await?;
                Ok(truncated(answer, how_much).await)
            }
            Some(Fault::LoseAnswer) if is_write => {
                let answer = server.call(request.map(Body::from)).await?;
                // Some answers are only made when they are read.
                let _ = answer.into_body().collect().await;
                Err(broken())
            }
            Some(Fault::Truncate | Fault::LoseAnswer) | None => server.call(request.map(Body::from)).await,
        }
    }
}

impl Inner {
    /// A number from 0 to 1, by `SplitMix64`.
    fn random(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
    }
}

impl Seen {
    fn of<B>(request: &HttpRequest<B>) -> Self {
        let query = |name: &str| {
            let pairs = url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes());
            pairs.into_iter().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        if query("list-type").is_some() {
            return Self { method: "LIST".to_owned(), key: query("prefix").unwrap_or_default() };
        }
        let path = request.uri().path().trim_start_matches('/');
        let key = path.split_once('/').map_or("", |(_, key)| key);
        let key = plain(key);
        Self { method: request.method().to_string(), key }
    }
}

/// A path without `%`.
fn plain(path: &str) -> String {
    let bytes = path.as_bytes();
    let (mut decoded, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let hex = (bytes[at] == b'%').then(|| path.get(at + 1..at + 3)).flatten();
        if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            decoded.push(byte);
            at += 3;
        } else {
            decoded.push(bytes[at]);
            at += 1;
        }
    }
    String::from_utf8_lossy(&decoded).into_owned()
}

fn broken() -> HttpError {
    HttpError::new("the connection breaks on purpose".into())
}

/// An answer as S3 words it, once the request was read.
async fn refused(request: HttpRequest<Incoming>, status: u16, code: &str) -> Result<HttpResponse, HttpError> {
    let is_head = request.method() == "HEAD";
    let _ = request.into_body().collect().await;
    let text = format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>on purpose</Message></Error>");
    let body = if is_head { Body::empty() } else { Body::from(text) };
    let answer = http::Response::builder().status(status).header("content-type", "application/xml").body(body);
    Ok(answer.expect("a status"))
}

/// What a proxy answers in place of the server, once the request was read.
async fn page(request: HttpRequest<Incoming>, status: u16) -> Result<HttpResponse, HttpError> {
    let is_head = request.method() == "HEAD";
    let _ = request.into_body().collect().await;
    let text = "<!DOCTYPE html>\n<html><head><title>Please log in</title></head><body>AccessDenied</body></html>\n";
    let body = if is_head { Body::empty() } else { Body::from(text.to_owned()) };
    let answer = http::Response::builder().status(status).header("content-type", "text/html; charset=utf-8").body(body);
    Ok(answer.expect("a status"))
}

/// The answer with an entity tag that looks like an MD5 and is another one.
fn with_foreign_tag(mut answer: HttpResponse) -> HttpResponse {
    if let Some(tag) = answer.headers_mut().get_mut("etag") {
        let foreign: String = tag.to_str().unwrap().chars().rev().collect();
        *tag = foreign.parse().expect("a tag");
    }
    answer
}

/// The answer, whose body ends too early.
async fn truncated(answer: HttpResponse, share: f64) -> HttpResponse {
    let (parts, body) = answer.into_parts();
    let bytes = body.collect().await.map(http_body_util::Collected::to_bytes).unwrap_or_default();
    let kept = bytes.slice(..(bytes.len() as f64 * share) as usize);
    let pieces = [Ok(Frame::data(kept)), Err(std::io::Error::other("the connection breaks on purpose"))];
    let body = http_body_util::StreamBody::new(futures::stream::iter(pieces));
    let mut answer = HttpResponse::from_parts(parts, Body::http_body_unsync::<_>(body));
    // The whole length is still promised.
    answer.headers_mut().entry("content-length").or_insert_with(|| Bytes::len(&bytes).into());
    answer
}
