//! One HTTP/1.1 exchange over a socket, byte for byte, and what holds of every reply.

use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::PATIENCE;

/// A reply as it came.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The value of a header that stands at most once.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut found = self.headers.iter().filter(|(known, _)| known == name);
        let value = found.next().map(|(_, value)| value.as_str());
        assert!(found.next().is_none(), "{name} stands twice: {self:?}");
        value
    }

    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Status, `error` and `reason` of a refusal.
    pub(crate) fn refusal(&self) -> (u16, String, String) {
        let body = self.json();
        let text = |name: &str| body[name].as_str().unwrap_or_default().to_owned();
        (self.status, text("error"), text("reason"))
    }

    pub(crate) fn description(&self) -> String {
        let body = self.json();
        body["error_description"].as_str().unwrap().to_owned()
    }

    /// What no reply may break, whatever was sent.
    fn check(&self, headless: bool) {
        assert_ne!(self.status, 500, "{self:?}");
        assert!(self.header("x-request-id").is_some(), "{self:?}");
        if self.status >= 400 && !headless {
            self.check_refusal();
        }
        if matches!(self.status, 429 | 502 | 503 | 504) {
            let after = self.header("retry-after").expect("Retry-After");
            assert!(after.parse::<u32>().unwrap() >= 1, "{after}");
        }
    }

    fn check_refusal(&self) {
        assert_eq!(self.header("content-type"), Some("application/json"));
        assert_eq!(self.header("cache-control"), Some("no-store"), "{self:?}");
        let body = self.json();
        let members: Vec<_> = body.as_object().unwrap().keys().collect();
        assert_eq!(
            members,
            ["error", "error_description", "reason", "request_id"]
        );
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        let description = self.description();
        let allowed = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'"' && byte != b'\\';
        assert!(description.bytes().all(allowed), "{description}");
        // Every JWT begins with `{"` in base64url.
        assert!(!self.text().contains("eyJ"), "a token in {self:?}");
    }
}

/// Sends one request and reads to the end of the reply.
pub(crate) fn send(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &[u8],
) -> Reply {
    let mut head = format!("{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n");
    for (name, value) in headers {
        write!(head, "{name}: {value}\r\n").unwrap();
    }
    let says_length = |(name, _): &(&str, &str)| {
        ["content-length", "transfer-encoding"].contains(&name.to_ascii_lowercase().as_str())
    };
    if !headers.iter().any(says_length) && (!body.is_empty() || method == "POST") {
        write!(head, "Content-Length: {}\r\n", body.len()).unwrap();
    }
    head.push_str("\r\n");
    let reply = raw(address, &[head.as_bytes(), body].concat());
    reply.check(method == "HEAD");
    reply
}

/// Sends any bytes and reads to the end of the reply.
pub(crate) fn raw(address: SocketAddr, bytes: &[u8]) -> Reply {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    // A server that refuses a body early may close before all of it is written.
    let _ = stream.write_all(bytes);
    let mut reply = Vec::new();
    if let Err(error) = stream.read_to_end(&mut reply) {
        assert!(!reply.is_empty(), "no reply: {error}");
    }
    parse(&reply)
}

/// A whole reply.
pub(crate) fn parse(reply: &[u8]) -> Reply {
    let end = reply.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no head: {:?}", String::from_utf8_lossy(reply)));
    let head = std::str::from_utf8(&reply[..end]).unwrap();
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap().split(' ').nth(1).unwrap();
    let headers: Vec<_> = lines
        .map(|line| line.split_once(':').unwrap())
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let body = reply[end + 4..].to_vec();
    let chunked = headers
        .iter()
        .any(|(name, value)| name == "transfer-encoding" && value == "chunked");
    assert!(!chunked, "no reply here is so long that it needs chunks");
    Reply {
        status: status.parse().unwrap(),
        headers,
        body,
    }
}
