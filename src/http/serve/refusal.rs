//! Replies to a request whose head never reached the routes.

use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::oauth::Reason;
use crate::random::{SystemRandom, uuid_v7};

/// A reply to a head that cannot be read; the connection closes behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refusal {
    /// It is not HTTP.
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
        let now = SystemClock::new().unix();
        let millis = u64::try_from(now.as_millis()).unwrap_or_default();
        let id = uuid_v7(&SystemRandom, millis).to_string();
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
             date: {}\r\n\
             x-request-id: {id}\r\n\r\n\
             {body}",
            body.len(),
            http_date(now)
        )
    }

    /// Status line, `reason` and `error_description`.
    fn words(self) -> (&'static str, &'static str, &'static str) {
        match self {
            Self::Malformed => (
                "400 Bad Request",
                Reason::HeadMalformed.code(),
                "the request head is not HTTP/1.1 or HTTP/2; where the listener has TLS, it must be used, and not elsewhere",
            ),
            Self::Late => (
                "408 Request Timeout",
                Reason::HeadTimeout.code(),
                "the request head was not complete in time; send it at once",
            ),
            Self::TooLarge => (
                "431 Request Header Fields Too Large",
                Reason::HeadTooLarge.code(),
                "the request head is too large or has over 100 lines; send tokens in the body",
            ),
        }
    }
}

/// `unix` as the `date` field wants it (RFC 9110 §5.6.7).
fn http_date(unix: Duration) -> String {
    let seconds = i64::try_from(unix.as_secs()).unwrap_or_default();
    let printer = jiff::fmt::rfc2822::DateTimePrinter::new();
    jiff::Timestamp::from_second(seconds)
        .and_then(|time| printer.timestamp_to_rfc9110_string(&time))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_have_the_form_of_rfc_9110() {
        let date = http_date(Duration::from_secs(784_111_777));
        assert_eq!(date, "Sun, 06 Nov 1994 08:49:37 GMT");
    }
}
