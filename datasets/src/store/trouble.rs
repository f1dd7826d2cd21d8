//! What a server's refusal means, and what to do about it.

use std::error::Error;

use object_store::client::{HttpError, HttpErrorKind};

use super::response_check::{UnexpectedResponse, root_element};
use crate::{DatasetError, DatasetErrorKind};

/// A kind of failure that people can do something about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no such bucket.
    NoSuchBucket,
    /// The keys may not do this.
    Forbidden,
    /// The server does not know the keys.
    UnknownKeys,
    /// The keys have expired.
    ExpiredKeys,
    /// The secret does not belong to the key.
    WrongSecret,
    /// The bucket is in another region.
    WrongRegion,
    /// This machine's clock is wrong.
    ClockSkew,
    /// A quota is used up, or the server has no space left.
    StorageFull,
    /// The server has too much to do.
    Overloaded,
    /// Nobody answers.
    Unreachable,
    /// The server, or what stands before it, fails.
    ServerFailed,
    /// A proxy or a login page answers in place of the server.
    NotAStore,
}

/// All kinds.
const ALL: [Trouble; 12] = [
    Trouble::NoSuchBucket,
    Trouble::Forbidden,
    Trouble::UnknownKeys,
    Trouble::ExpiredKeys,
    Trouble::WrongSecret,
    Trouble::WrongRegion,
    Trouble::ClockSkew,
    Trouble::StorageFull,
    Trouble::Overloaded,
    Trouble::Unreachable,
    Trouble::ServerFailed,
    Trouble::NotAStore,
];

/// How `object_store` begins the text of a response without a success status; the status and the body follow.
const STATUS: &str = "Server returned non-2xx status code: ";

/// How it begins the text of an error document with a success status; the document follows.
const RESPONSE: &str = "Server returned error response: ";

/// How it begins the text of a redirection to no other address.
const REDIRECT: &str = "Received redirect without LOCATION";

/// How it begins the text on an object that could not be deleted; the code follows at the end.
const NOT_DELETED: &str = "DeleteObjects request failed for key ";

/// How the text of an error begins where a page of HTML was answered.
pub(crate) const HTML: &str = "a page of HTML";

impl Trouble {
    /// What `error` is about, where it comes from a server.
    pub fn of(error: &DatasetError) -> Option<Self> {
        match &error.kind {
            DatasetErrorKind::Store(error) => Self::of_store(error),
            DatasetErrorKind::Server(text) => Self::of_text(text),
            _ => None,
        }
    }

    /// What an error of a store is about. Names of objects, which errors repeat, do not count.
    pub fn of_store(error: &object_store::Error) -> Option<Self> {
        let first: &(dyn Error + 'static) = error;
        let mut is_on_the_way = false;
        for cause in std::iter::successors(Some(first), |e| (*e).source()) {
            if let Some(response) = cause.downcast_ref::<UnexpectedResponse>() {
                return response.code().map_or(Some(Self::NotAStore), Self::of_server_code);
            }
            if let Some(error) = cause.downcast_ref::<HttpError>() {
                if !matches!(error.kind(), HttpErrorKind::Decode | HttpErrorKind::Unknown) {
                    return Some(Self::Unreachable);
                }
                is_on_the_way = true;
            }
            let text = cause.to_string();
            if text.starts_with(REDIRECT) {
                return Some(Self::WrongRegion);
            }
            if let Some(response) = text.strip_prefix(STATUS) {
                let (status, body) = response.split_once(": ").unwrap_or((response, ""));
                return Self::of_response(status.get(..3).and_then(|status| status.parse().ok()).unwrap_or(0), body);
            }
            if let Some(body) = text.strip_prefix(RESPONSE) {
                return Self::of_response(200, body);
            }
            if text.starts_with(NOT_DELETED) {
                return text
                    .rsplit_once("(code: ")
                    .and_then(|(_, code)| Self::of_server_code(code.trim_end_matches(')')));
            }
            // Below an error of the client there are no names.
            if is_on_the_way && is_broken_connection(&text) {
                return Some(Self::Unreachable);
            }
        }
        match error {
            object_store::Error::PermissionDenied { .. } => Some(Self::Forbidden),
            object_store::Error::Unauthenticated { .. } => Some(Self::UnknownKeys),
            _ => None,
        }
    }

    /// What a response without a success status is about.
    fn of_response(status: u16, body: &str) -> Option<Self> {
        if let Some(code) = error_code(body) {
            // The status of a code that is not known says little: 403 is the answer to full quotas as well.
            return Self::of_server_code(code).or(match status {
                500.. => Self::of_status(status),
                _ => None,
            });
        }
        let is_html = root_element(body).is_some_and(|name| name.eq_ignore_ascii_case("html"));
        if is_html && status < 500 { Some(Self::NotAStore) } else { Self::of_status(status) }
    }

    fn of_status(status: u16) -> Option<Self> {
        match status {
            301 | 307 | 308 => Some(Self::WrongRegion),
            302 | 303 | 407 | 511 => Some(Self::NotAStore),
            401 => Some(Self::UnknownKeys),
            403 => Some(Self::Forbidden),
            429 | 503 => Some(Self::Overloaded),
            507 => Some(Self::StorageFull),
            500.. => Some(Self::ServerFailed),
            _ => None,
        }
    }

    /// What the code in an error document of S3 is about.
    fn of_server_code(code: &str) -> Option<Self> {
        Some(match code {
            "NoSuchBucket" | "ContainerNotFound" => Self::NoSuchBucket,
            "RequestTimeTooSkewed" => Self::ClockSkew,
            "AuthorizationHeaderMalformed" | "PermanentRedirect" | "IllegalLocationConstraintException" => {
                Self::WrongRegion
            }
            "InvalidAccessKeyId" | "InvalidClientTokenId" | "UnrecognizedClientException" => Self::UnknownKeys,
            "SignatureDoesNotMatch" => Self::WrongSecret,
            "ExpiredToken" | "ExpiredTokenException" | "InvalidToken" | "TokenRefreshRequired" => Self::ExpiredKeys,
            "AccessDenied" | "AccessDeniedException" | "AllAccessDisabled" | "Forbidden" => Self::Forbidden,
            "AuthorizationFailure" | "AuthorizationPermissionMismatch" | "InsufficientAccountPermissions" => {
                Self::Forbidden
            }
            "SlowDown" | "ServiceUnavailable" | "TooManyRequests" | "Throttling" => Self::Overloaded,
            "InternalError" => Self::ServerFailed,
            // Servers agree on no code: `QuotaExceeded` of Ceph, `XMinioAdminBucketQuotaExceeded`, `XMinioStorageFull`.
            _ if ["Quota", "StorageFull", "InsufficientStorage", "StorageLimit", "storage_cap"]
                .iter()
                .any(|part| code.contains(part)) =>
            {
                Self::StorageFull
            }
            _ => return None,
        })
    }

    /// What the words of a server are about: an error document, or the code and the message of an official client.
    pub fn of_text(text: &str) -> Option<Self> {
        if text.starts_with(HTML) {
            return Some(Self::NotAStore);
        }
        let code = error_code(text).or_else(|| text.split_once(": ").map(|(code, _)| code)).unwrap_or(text);
        let answered = text.strip_prefix("the server answered ").and_then(|rest| rest.get(..3)?.parse().ok());
        let found = Self::of_server_code(code).or_else(|| answered.and_then(Self::of_status));
        found.or_else(|| is_broken_connection(text).then_some(Self::Unreachable))
    }

    /// The kind that `code` is the word for.
    pub fn of_code(code: &str) -> Option<Self> {
        ALL.into_iter().find(|trouble| trouble.code() == code)
    }

    /// One word for it, for tables and programs.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoSuchBucket => "no_such_bucket",
            Self::Forbidden => "forbidden",
            Self::UnknownKeys => "unknown_keys",
            Self::ExpiredKeys => "expired_keys",
            Self::WrongSecret => "wrong_secret",
            Self::WrongRegion => "wrong_region",
            Self::ClockSkew => "clock_skew",
            Self::StorageFull => "storage_full",
            Self::Overloaded => "overloaded",
            Self::Unreachable => "unreachable",
            Self::ServerFailed => "server_failed",
            Self::NotAStore => "not_a_store",
        }
    }

    /// Whether it is the store that is in trouble, so that the next object will fare no better.
    pub fn is_general(self) -> bool {
        !matches!(self, Self::Forbidden)
    }

    /// What to do about it; `action` is what was attempted, such as `write object`.
    pub fn hint(self, action: &str) -> String {
        match self {
            Self::NoSuchBucket => {
                "there is no such bucket: check its name (`ecosight storage status` shows the one that is configured), or make it with `ecosight storage setup`".to_owned()
            }
            Self::Forbidden => format!(
                "the keys lack a permission ({}); `ecosight storage policy` prints the one they need",
                permission(action)
            ),
            Self::UnknownKeys => "the server does not know the access key: check `AWS_ACCESS_KEY_ID`".to_owned(),
            Self::ExpiredKeys => "the session has expired: get new keys and a new `AWS_SESSION_TOKEN`".to_owned(),
            Self::WrongSecret => {
                "the secret does not belong to the access key: check `AWS_SECRET_ACCESS_KEY`".to_owned()
            }
            Self::WrongRegion => "the bucket is in another region: set `AWS_REGION` to that of the bucket".to_owned(),
            Self::ClockSkew => {
                "this machine's clock is wrong: set it, for instance with `timedatectl set-ntp true`".to_owned()
            }
            Self::StorageFull => {
                "a quota of the bucket or the account is used up, or the server is full: raise it, or make room (`ecosight storage du` shows what takes the space)".to_owned()
            }
            Self::Overloaded => "the server is busy; try again later".to_owned(),
            Self::Unreachable => {
                "the server does not answer: check the network and `S3_ENDPOINT_URL`, then run the same command again"
                    .to_owned()
            }
            Self::ServerFailed => "the server fails; try again later".to_owned(),
            Self::NotAStore => {
                "what answers is no object store but perhaps a proxy or the login page of a network: open a page in a browser, and check `S3_ENDPOINT_URL` and the proxy's settings".to_owned()
            }
        }
    }
}

/// The code of an error document of S3, which is the whole of `text` or its end.
pub(super) fn error_code(text: &str) -> Option<&str> {
    let begin = text.find("<?xml").or_else(|| text.find("<Error"))?;
    let document = &text[begin..];
    if !matches!(root_element(document), Some("Error" | "ErrorResponse")) {
        return None;
    }
    // Names and messages in the document are escaped, so that this is its element.
    let (code, _) = document.split_once("<Code>")?.1.split_once("</Code>")?;
    Some(code.trim())
}

/// Whether the words of an HTTP client say that there is no connection, or none any more.
fn is_broken_connection(text: &str) -> bool {
    let words = [
        "error sending request",
        "Connection refused",
        "dns error",
        "timed out",
        "timeout",
        "connection closed",
        "reset by peer",
    ];
    words.iter().any(|words| text.contains(words))
}

/// What a server said, without the markup around it: of an XML document its code and its message, of a page of HTML its title.
pub fn without_markup(text: &str) -> String {
    if let Some(begin) = ["<!doctype html", "<html"].iter().filter_map(|mark| find_ignoring_case(text, mark)).min() {
        let title = find_ignoring_case(text, "<title>").map(|at| &text[at + "<title>".len()..]);
        let title = title.and_then(|rest| rest.split_once("</")).map(|(title, _)| title.trim());
        let title =
            title.filter(|title| !title.is_empty()).map(|title| format!(" with the title `{}`", title.escape_debug()));
        return format!("{}{HTML}{}", &text[..begin], title.unwrap_or_default());
    }
    let end = "</Error>";
    let Some(begin) = text.find("<?xml").or_else(|| text.find("<Error")) else { return text.to_owned() };
    let (before, document) = text.split_at(begin);
    let (document, after) = document.find(end).map_or((document, ""), |at| document.split_at(at + end.len()));
    let part = |name: &str| {
        let rest = document.split_once(&format!("<{name}>"))?.1;
        rest.split_once("</").map(|(part, _)| part.trim()).filter(|part| !part.is_empty())
    };
    let said: Vec<_> = ["Code", "Message"].into_iter().filter_map(part).collect();
    format!("{before}{}{after}", said.join(": ")).trim_end().to_owned()
}

/// Where `words`, in lower case, begin in `text`.
fn find_ignoring_case(text: &str, words: &str) -> Option<usize> {
    text.to_ascii_lowercase().find(words)
}

/// The permission that an action needs, as IAM calls it.
fn permission(action: &str) -> &'static str {
    match action.split(' ').next().unwrap_or_default() {
        "list" => "`s3:ListBucket`",
        "write" | "upload" | "create" | "copy" => "`s3:PutObject`",
        "delete" => "`s3:DeleteObject`",
        "open" | "read" | "download" | "look" => "`s3:GetObject` and `s3:ListBucket`",
        _ => "see the message",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An error as the client of a bucket makes it of a response.
    fn response(name: &str, text: &str) -> object_store::Error {
        #[derive(Debug, thiserror::Error)]
        #[error("Error performing PUT http://127.0.0.1/bucket/{0} in 1ms - {1}")]
        struct Retry(String, #[source] Inner);
        #[derive(Debug, thiserror::Error)]
        #[error("{0}")]
        struct Inner(String);
        let source = Box::new(Retry(name.to_owned(), Inner(text.to_owned())));
        object_store::Error::PermissionDenied { path: name.to_owned(), source }
    }

    #[test]
    fn what_servers_say_is_understood() {
        for (text, trouble) in [
            ("<Error><Code>NoSuchBucket</Code></Error>", Trouble::NoSuchBucket),
            ("<Error><Code>RequestTimeTooSkewed</Code><Message>AccessDenied</Message></Error>", Trouble::ClockSkew),
            ("error sending request for url (http://127.0.0.1:1/)", Trouble::Unreachable),
            ("503: <Error><Code>SlowDown</Code></Error>", Trouble::Overloaded),
            ("AccessDenied: 403 Forbidden", Trouble::Forbidden),
            ("the server answered 503 Service Unavailable", Trouble::Overloaded),
        ] {
            assert_eq!(Trouble::of_text(text), Some(trouble), "{text}");
        }
        assert_eq!(Trouble::of_text("<Error><Code>NoSuchKey</Code></Error>"), None);
        let xml = "<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code><Message>Not so fast</Message><HostId>x</HostId></Error>";
        assert_eq!(without_markup(&format!("503: {xml}\n")), "503: SlowDown: Not so fast");
        assert_eq!(without_markup("502: <?xml version=\"1.0\"?><Error><Code>Cut"), "502:");
        assert_eq!(without_markup("404: gone"), "404: gone");
        let page = "403: <!DOCTYPE html><HTML><head><Title> Log in </title></head>\n<body>x";
        assert_eq!(without_markup(page), "403: a page of HTML with the title `Log in`");
        assert!(Trouble::Forbidden.hint("write object").contains("s3:PutObject"));
    }

    #[test]
    fn a_refusal_is_judged_by_its_code_and_not_by_names_in_it() {
        let denied = "<?xml version=\"1.0\"?><Error><Code>AccessDenied</Code><Key>SlowDown.wav</Key></Error>";
        for (name, text, trouble) in [
            ("a.wav", "403 Forbidden: <Error><Code>QuotaExceeded</Code></Error>", Some(Trouble::StorageFull)),
            (
                "a.wav",
                "507 Insufficient Storage: <Error><Code>XMinioStorageFull</Code></Error>",
                Some(Trouble::StorageFull),
            ),
            (
                "a.wav",
                "403 Forbidden: <!DOCTYPE html><html><title>Blocked</title>AccessDenied</html>",
                Some(Trouble::NotAStore),
            ),
            ("a.wav", "502 Bad Gateway: <html><h1>502 Bad Gateway</h1></html>", Some(Trouble::ServerFailed)),
            ("a.wav", "403 Forbidden: ", Some(Trouble::Forbidden)),
            ("SlowDown.wav", &format!("403 Forbidden: {denied}"), Some(Trouble::Forbidden)),
            ("AccessDenied.wav", "403 Forbidden: <Error><Code>InvalidObjectState</Code></Error>", None),
            ("timed out.wav", "400 Bad Request: <Error><Code>EntityTooLarge</Code></Error>", None),
        ] {
            let error = response(name, &format!("{STATUS}{text}"));
            assert_eq!(Trouble::of_store(&error), trouble, "{name}: {text}");
        }
    }

    #[test]
    fn every_kind_is_found_by_its_word() {
        for trouble in ALL {
            assert_eq!(Trouble::of_code(trouble.code()), Some(trouble));
        }
        assert_eq!(Trouble::of_code("other"), None);
    }
}
