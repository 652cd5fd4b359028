//! Replies to a request whose head never reached the routes.

use crate::clock::{Clock, SystemClock};
use crate::random::{SystemRandom, uuid_v7};

/// A reply to a head that cannot be read; the connection closes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not HTTP/1.0 or HTTP/1.1.
    Malformed,
    /// It was not complete in time.
    Late,
    /// It is too large, or has too many lines.
    TooLarge,
}

impl Refusal {
    /// The refusal for hyper's parse error.
    pub(super) fn of(error: &hyper::Error) -> Self {
        if error.is_parse_too_large() {
            Self::TooLarge
        } else {
            Self::Malformed
        }
    }

    /// The whole reply, head and body, with a new request id.
    pub(super) fn reply(self) -> String {
        let (status, reason, description) = self.words();
        let unix = SystemClock::new().unix().as_millis();
        let id = uuid_v7(&SystemRandom, u64::try_from(unix).unwrap_or_default()).to_string();
        let body = serde_json::json!({
            "error": "invalid_request",
            "error_description": description,
            "reason": reason,
            "request_id": id,
        })
        .to_string();
        format!(
            "HTTP/1.1 {status}\r\n\
             content-type: application/json\r\n\
             content-length: {}\r\n\
             cache-control: no-store\r\n\
             connection: close\r\n\
             x-request-id: {id}\r\n\r\n\
             {body}",
            body.len()
        )
    }

    /// Status line, `reason` and `error_description`.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Malformed => (
                "400 Bad Request",
                "head_malformed",
                "the request head is not well-formed HTTP/1.1",
            ),
            Self::Late => (
                "408 Request Timeout",
                "head_timeout",
                "the request head was not complete in time; send it at once",
            ),
            Self::TooLarge => (
                "431 Request Header Fields Too Large",
                "head_too_large",
                "the request head is too large or has over 100 lines; send tokens in the body",
            ),
        }
    }
}
