//! What a server's refusal means, and what to do about it.

use std::error::Error;

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
    /// The server has too much to do.
    Overloaded,
    /// Nobody answers.
    Unreachable,
    /// The server, or what stands before it, fails.
    ServerFailed,
}

/// Codes in what a server says, and what they mean.
const CODES: [(&str, Trouble); 17] = [
    ("NoSuchBucket", Trouble::NoSuchBucket),
    ("RequestTimeTooSkewed", Trouble::ClockSkew),
    ("AuthorizationHeaderMalformed", Trouble::WrongRegion),
    ("PermanentRedirect", Trouble::WrongRegion),
    ("IllegalLocationConstraint", Trouble::WrongRegion),
    ("incorrectly configured region", Trouble::WrongRegion),
    ("InvalidAccessKeyId", Trouble::UnknownKeys),
    ("SignatureDoesNotMatch", Trouble::WrongSecret),
    ("ExpiredToken", Trouble::ExpiredKeys),
    ("InvalidToken", Trouble::ExpiredKeys),
    ("AccessDenied", Trouble::Forbidden),
    ("AllAccessDisabled", Trouble::Forbidden),
    ("SlowDown", Trouble::Overloaded),
    ("ServiceUnavailable", Trouble::Overloaded),
    ("503 Service Unavailable", Trouble::Overloaded),
    ("InternalError", Trouble::ServerFailed),
    ("500 Internal Server Error", Trouble::ServerFailed),
];

impl Trouble {
    /// What `error` is about, where it comes from a server.
    pub fn of(error: &DatasetError) -> Option<Self> {
        match &error.kind {
            DatasetErrorKind::Store(error) => Self::of_store(error),
            DatasetErrorKind::Server(text) => Self::of_text(text),
            _ => None,
        }
    }

    /// What an error of a store is about.
    pub fn of_store(error: &object_store::Error) -> Option<Self> {
        let first: &(dyn Error + 'static) = error;
        let causes = std::iter::successors(Some(first), |e| (*e).source());
        let text: String = causes.map(|e| format!("{e}\n")).collect();
        let found = Self::of_text(&text);
        found.or(match error {
            object_store::Error::PermissionDenied { .. } => Some(Self::Forbidden),
            object_store::Error::Unauthenticated { .. } => Some(Self::UnknownKeys),
            _ => None,
        })
    }

    /// What the words of a server are about.
    pub fn of_text(text: &str) -> Option<Self> {
        let unreachable = [
            "error sending request",
            "Connection refused",
            "dns error",
            "timed out",
            "connection closed",
            "reset by peer",
        ];
        let found = CODES.iter().find(|(code, _)| text.contains(code)).map(|&(_, trouble)| trouble);
        found.or_else(|| unreachable.iter().any(|words| text.contains(words)).then_some(Self::Unreachable))
    }

    /// The kind that `code` is the word for.
    pub fn of_code(code: &str) -> Option<Self> {
        CODES.iter().map(|&(_, trouble)| trouble).chain([Self::Unreachable]).find(|trouble| trouble.code() == code)
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
            Self::Overloaded => "overloaded",
            Self::Unreachable => "unreachable",
            Self::ServerFailed => "server_failed",
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
            Self::Overloaded => "the server is busy; try again later".to_owned(),
            Self::Unreachable => {
                "the server does not answer: check the network and `S3_ENDPOINT_URL`, then run the same command again"
                    .to_owned()
            }
            Self::ServerFailed => "the server fails; try again later".to_owned(),
        }
    }
}

/// What a server said, without the markup around it: of an XML document its code and its message.
pub fn without_markup(text: &str) -> String {
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

    #[test]
    fn what_servers_say_is_understood() {
        for (text, trouble) in [
            ("<Error><Code>NoSuchBucket</Code></Error>", Trouble::NoSuchBucket),
            ("<Code>RequestTimeTooSkewed</Code><Message>AccessDenied</Message>", Trouble::ClockSkew),
            ("error sending request for url (http://127.0.0.1:1/)", Trouble::Unreachable),
            ("503 Service Unavailable: <Code>SlowDown</Code>", Trouble::Overloaded),
        ] {
            assert_eq!(Trouble::of_text(text), Some(trouble), "{text}");
        }
        assert_eq!(Trouble::of_text("<Code>NoSuchKey</Code>"), None);
        let xml = "<?xml version=\"1.0\"?>\n<Error><Code>SlowDown</Code><Message>Not so fast</Message><HostId>x</HostId></Error>";
        assert_eq!(without_markup(&format!("503: {xml}\n")), "503: SlowDown: Not so fast");
        assert_eq!(without_markup("502: <?xml version=\"1.0\"?><Error><Code>Cut"), "502:");
        assert_eq!(without_markup("404: gone"), "404: gone");
        assert!(Trouble::Forbidden.hint("write object").contains("s3:PutObject"));
    }
}
