//! Checks responses that have a success status. Proxies and login pages of networks answer every request with `200 OK` and a page of their own,
//! which must not be taken for an empty bucket or for the content of an object.
//!
//! * A listing has to be an XML document with the root element of a listing. One that is truncated has to say where it goes on.
//! * A copy, the begin and the end of an upload in parts, and a deletion have to be confirmed by their documents, since S3 reports failures of
//!   some of them with the status 200.
//! * The response to a GET or HEAD of an object has to have an entity tag or a time of last change, that to a PUT an entity tag.
//!
//! Keys in listings that no path can be are taken out and remembered, so that one of them does not hide all the others.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use http::header::{AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderValue, IF_NONE_MATCH, LAST_MODIFIED};
use http::{HeaderMap, Method, StatusCode};
use object_store::ClientOptions;
use object_store::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService, ReqwestConnector,
};
use object_store::path::Path as Location;
use serde::{Deserialize, Serialize};

use super::trouble::error_code;

/// Full keys of objects, and of folders with a slash at the end, that were taken out of listings.
pub(super) type SkippedKeys = Arc<Mutex<BTreeSet<String>>>;

/// How requests to the bucket are told from those that get credentials, which go through the same client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signing {
    /// Nothing is signed, so there are no requests for credentials.
    Anonymous,
    /// Requests to the bucket have a signature of AWS.
    Aws,
    /// Requests to the bucket have an `Authorization` header.
    Header,
}

/// Whether uploads in parts may replace an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Completion {
    /// They may.
    Overwrite,
    /// They are completed with `If-None-Match: *`, which fails where an object is.
    CreateOnly,
}

/// Makes HTTP clients that check responses.
#[derive(Clone, Debug)]
pub(super) struct CheckingConnector {
    pub(super) signing: Signing,
    pub(super) completion: Completion,
    pub(super) skipped: SkippedKeys,
}

impl HttpConnector for CheckingConnector {
    fn connect(&self, options: &ClientOptions) -> object_store::Result<HttpClient> {
        let inner = ReqwestConnector::default().connect(options)?;
        Ok(HttpClient::new(CheckingClient { inner, rules: self.clone() }))
    }
}

#[derive(Debug)]
struct CheckingClient {
    inner: HttpClient,
    rules: CheckingConnector,
}

/// A response with a success status that does not hold what was asked for.
#[derive(Debug, thiserror::Error)]
#[error("the server answered {status} with {found} instead of {expected}")]
pub(super) struct UnexpectedResponse {
    status: StatusCode,
    found: String,
    expected: &'static str,
    /// The code, where an error document was found.
    code: Option<String>,
}

impl UnexpectedResponse {
    /// The code in the error document that was found, if it was one.
    pub(super) fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }
}

/// What a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Expected {
    /// Responses are read by others.
    Anything,
    /// A page of a listing; the name of its root element.
    Listing(&'static str),
    /// A document with this root element, which confirms what was done.
    Confirmation(&'static str),
    /// An object, or what is known of it.
    Object,
    /// That an object was written.
    Written,
}

impl Expected {
    fn of(request: &HttpRequest, signing: Signing) -> Self {
        let authorization = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let is_for_bucket = match signing {
            Signing::Anonymous => true,
            Signing::Aws => authorization.is_some_and(|value| value.starts_with(b"AWS4-")),
            Signing::Header => authorization.is_some(),
        };
        if !is_for_bucket {
            return Self::Anything;
        }
        let query = request.uri().query().unwrap_or_default();
        let has = |parameter: &str| query.split('&').any(|part| part == parameter);
        let is_plain = query.is_empty() || query.starts_with("versionId=");
        match *request.method() {
            Method::GET if has("list-type=2") => Self::Listing("ListBucketResult"),
            Method::GET if has("comp=list") => Self::Listing("EnumerationResults"),
            Method::PUT if is_plain && request.headers().contains_key("x-amz-copy-source") => {
                Self::Confirmation("CopyObjectResult")
            }
            Method::PUT if is_plain => Self::Written,
            Method::GET | Method::HEAD if is_plain => Self::Object,
            Method::POST if signing == Signing::Header => Self::Anything,
            Method::POST if has("uploads") || has("uploads=") => Self::Confirmation("InitiateMultipartUploadResult"),
            Method::POST if completes_upload(request) => Self::Confirmation("CompleteMultipartUploadResult"),
            Method::POST if has("delete") || has("delete=") => Self::Confirmation("DeleteResult"),
            _ => Self::Anything,
        }
    }
}

#[async_trait]
impl HttpService for CheckingClient {
    async fn call(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let expected = Expected::of(&request, self.rules.signing);
        let is_page = is_page(request.uri().path());
        if self.rules.completion == Completion::CreateOnly && completes_upload(&request) {
            // Headers that are neither `host` nor `x-amz-…` need no signature.
            request.headers_mut().insert(IF_NONE_MATCH, HeaderValue::from_static("*"));
        }
        let response = self.inner.execute(request).await?;
        if !response.status().is_success() {
            return Ok(response);
        }
        match expected {
            Expected::Anything => Ok(response),
            Expected::Object => check_object(response, is_page),
            Expected::Written if response.headers().contains_key(ETAG) => Ok(response),
            Expected::Written => Err(unexpected(response.status(), kind_of(response.headers()), "a confirmation")),
            Expected::Confirmation(root) => document(response, root, "a confirmation", |_| Ok(None)).await,
            Expected::Listing(root) => {
                document(response, root, "a listing", |text| check_listing(text, &self.rules.skipped)).await
            }
        }
    }
}

/// Whether this request makes the parts of an upload one object.
fn completes_upload(request: &HttpRequest) -> bool {
    let query = request.uri().query().unwrap_or_default();
    request.method() == Method::POST && query.split('&').any(|part| part.starts_with("uploadId="))
}

/// Whether a page of HTML may well lie at this path.
fn is_page(path: &str) -> bool {
    let ending = path.rsplit_once('.').map_or("", |(_, ending)| ending);
    ending.eq_ignore_ascii_case("html") || ending.eq_ignore_ascii_case("htm")
}

fn check_object(response: HttpResponse, is_page: bool) -> Result<HttpResponse, HttpError> {
    let headers = response.headers();
    let is_html = headers.get(CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    // Every known server marks its responses with headers of its own.
    let marks = ["x-amz-", "x-goog-", "x-ms-"];
    let is_marked = headers.keys().any(|name| marks.iter().any(|mark| name.as_str().starts_with(mark)));
    let is_object = headers.contains_key(ETAG) || headers.contains_key(LAST_MODIFIED);
    if is_object && (!is_html || is_marked || is_page) {
        return Ok(response);
    }
    let found = kind_of(headers);
    Err(unexpected(response.status(), found, "an object"))
}

/// Reads a response that has to be a document with this root element. What `check` returns replaces its body.
async fn document(
    response: HttpResponse,
    root: &'static str,
    expected: &'static str,
    check: impl FnOnce(&str) -> Result<Option<String>, &'static str>,
) -> Result<HttpResponse, HttpError> {
    let (parts, body) = response.into_parts();
    let bytes = body.bytes().await?;
    let text = std::str::from_utf8(&bytes).unwrap_or_default();
    let found = match root_element(text) {
        Some(found) if found == root => None,
        // The client repeats what it was asked for.
        Some("Error") if is_passing(text) => return Ok(HttpResponse::from_parts(parts, bytes.into())),
        Some("Error") => Some(super::without_markup(text).escape_debug().to_string()),
        Some(other) if !other.eq_ignore_ascii_case("html") => {
            let name: String = other.chars().take(60).collect();
            Some(format!("the document `{}`", name.escape_debug()))
        }
        _ => Some(kind_of(&parts.headers)),
    };
    if let Some(found) = found {
        let code = error_code(text).map(str::to_owned);
        let (status, kind) = (parts.status, HttpErrorKind::Decode);
        return Err(HttpError::new(kind, UnexpectedResponse { status, found, expected, code }));
    }
    match check(text) {
        Ok(None) => Ok(HttpResponse::from_parts(parts, bytes.into())),
        Ok(Some(other)) => Ok(HttpResponse::from_parts(parts, other.into())),
        Err(found) => Err(unexpected(parts.status, found.to_owned(), expected)),
    }
}

/// Whether an error document with a success status is one on which the client repeats its request.
fn is_passing(text: &str) -> bool {
    matches!(error_code(text), Some("InternalError" | "SlowDown"))
}

fn unexpected(status: StatusCode, found: String, expected: &'static str) -> HttpError {
    // Of this kind, so that the client does not repeat the request.
    HttpError::new(HttpErrorKind::Decode, UnexpectedResponse { status, found, expected, code: None })
}

/// What the headers say about the content, for people.
fn kind_of(headers: &HeaderMap) -> String {
    match headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) {
        Some(kind) if kind.starts_with("text/html") => "a page of HTML".to_owned(),
        Some(kind) => format!("content of the type `{}`", kind.escape_debug()),
        None => "content of no type".to_owned(),
    }
}

/// The local name of the first element of a document of XML or HTML.
pub(super) fn root_element(text: &str) -> Option<&str> {
    let mut rest = text.trim_start_matches('\u{feff}').trim_start();
    loop {
        let end = if rest.starts_with("<!--") {
            "-->"
        } else if rest.starts_with("<?") {
            "?>"
        } else if rest.starts_with("<!") {
            ">"
        } else {
            break;
        };
        rest = rest.split_once(end)?.1.trim_start();
    }
    let name = rest.strip_prefix('<')?.split(|c: char| c.is_whitespace() || c == '>' || c == '/').next()?;
    Some(name.rsplit(':').next().unwrap_or(name)).filter(|name| !name.is_empty())
}

/// What of a page of a listing is read, and written again where keys were taken out.
#[derive(Debug, Deserialize, Serialize)]
#[serde(rename = "ListBucketResult", rename_all = "PascalCase")]
struct Page {
    #[serde(default)]
    contents: Vec<Entry>,
    #[serde(default)]
    common_prefixes: Vec<Folder>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    is_truncated: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    next_continuation_token: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    key: String,
    size: String,
    last_modified: String,
    #[serde(default, rename = "ETag", skip_serializing_if = "Option::is_none")]
    e_tag: Option<String>,
}

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Folder {
    prefix: String,
}

/// The page without keys that no path can be, which go to `skipped`; nothing where it can stay as it is.
fn check_listing(text: &str, skipped: &SkippedKeys) -> Result<Option<String>, &'static str> {
    // Azure has other elements, and the client reports what it cannot read.
    let Ok(mut page) = quick_xml::de::from_str::<Page>(text) else { return Ok(None) };
    let is_truncated = page.is_truncated.as_deref().is_some_and(|text| text.eq_ignore_ascii_case("true"));
    if is_truncated && page.next_continuation_token.as_deref().unwrap_or_default().is_empty() {
        return Err("a part of a listing that does not say where it goes on");
    }
    let mut taken_out = Vec::new();
    let before = (page.contents.len(), page.common_prefixes.len());
    page.contents.retain(|entry| {
        let is_path = is_path(&entry.key);
        // An empty object with a slash at the end is how some tools show a folder.
        let is_folder = entry.key.ends_with('/') && entry.size.trim() == "0";
        if !is_path && !is_folder {
            taken_out.push(entry.key.clone());
        }
        is_path
    });
    page.common_prefixes.retain(|folder| {
        let is_path = folder.prefix.strip_suffix('/').is_some_and(is_path);
        if !is_path {
            taken_out.push(folder.prefix.clone());
        }
        is_path
    });
    if before == (page.contents.len(), page.common_prefixes.len()) {
        return Ok(None);
    }
    skipped.lock().expect("nobody panics while holding it").extend(taken_out);
    quick_xml::se::to_string(&page).map(Some).map_err(|_| "a listing that cannot be written without some keys")
}

/// Whether stores can name an object with this full key: no part of it is empty, `.` or `..`, and it has no control characters.
pub fn is_path(key: &str) -> bool {
    !key.is_empty() && Location::parse(key).is_ok_and(|path| path.as_ref() == key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_of_a_document_is_found_behind_declarations_and_comments() {
        for (text, root) in [
            ("<ListBucketResult xmlns=\"x\"><Name/></ListBucketResult>", Some("ListBucketResult")),
            ("\u{feff} <?xml version=\"1.0\"?>\n<!-- a > b --><ListBucketResult/>", Some("ListBucketResult")),
            ("<s3:ListBucketResult>", Some("ListBucketResult")),
            ("<!DOCTYPE html>\n<html lang=en>", Some("html")),
            ("{\"message\": \"log in\"}", None),
            ("", None),
            ("<", None),
        ] {
            assert_eq!(root_element(text), root, "{text}");
        }
    }

    #[test]
    fn keys_that_no_path_can_be_are_taken_out_of_a_page() {
        let entry = |key: &str, size: u64| {
            format!(
                "<Contents><Key>{key}</Key><LastModified>2026-01-02T03:04:05.000Z</LastModified><ETag>&quot;a&quot;</ETag><Size>{size}</Size></Contents>"
            )
        };
        let odd = ["a/../b", "a/./b", "a//b", "/b", "a/&#x1b;[31m", "a/full/"];
        let odd_entries: String = odd.iter().map(|key| entry(key, 1)).collect();
        let text = format!(
            "<ListBucketResult><IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;1</NextContinuationToken>{}{odd_entries}{}<CommonPrefixes><Prefix>a/c/</Prefix></CommonPrefixes><CommonPrefixes><Prefix>/</Prefix></CommonPrefixes></ListBucketResult>",
            entry("a/ü &lt;1&gt;.wav", 7),
            entry("a/folder/", 0),
        );
        let skipped = SkippedKeys::default();
        let page = check_listing(&text, &skipped).unwrap().unwrap();
        let page: Page = quick_xml::de::from_str(&page).unwrap();
        let keys: Vec<_> = page.contents.iter().map(|entry| (entry.key.as_str(), entry.e_tag.as_deref())).collect();
        assert_eq!(keys, [("a/ü <1>.wav", Some("\"a\""))]);
        assert_eq!(page.common_prefixes.iter().map(|folder| &folder.prefix).collect::<Vec<_>>(), ["a/c/"]);
        assert_eq!(page.next_continuation_token.as_deref(), Some("t&1"));
        let mut expected: BTreeSet<_> = odd.iter().map(|key| key.replace("&#x1b;", "\u{1b}")).collect();
        expected.insert("/".to_owned());
        assert_eq!(*skipped.lock().unwrap(), expected);
    }

    #[test]
    fn a_page_without_odd_keys_stays_and_one_without_its_end_is_refused() {
        let skipped = SkippedKeys::default();
        let page = "<ListBucketResult><Contents><Key>a</Key><LastModified>x</LastModified><Size>1</Size></Contents></ListBucketResult>";
        assert_eq!(check_listing(page, &skipped), Ok(None));
        assert_eq!(check_listing("<ListBucketResult/>", &skipped), Ok(None));
        assert!(
            check_listing("<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>", &skipped).is_err()
        );
    }
}
