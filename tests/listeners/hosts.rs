//! `Host` and `:authority`: what every request must say, on every path and listener.

use std::io::Read as _;

use serde_json::{Value, json};

use crate::server::{Reply, Server, Site, Stream, connect, get};

const LISTENERS: &str = r#"
listen = ["127.0.0.1:0", "unix:main.sock"]
metadata_listen = ["127.0.0.1:0"]
admin_listen = "127.0.0.1:0"
"#;

/// What follows the method and the path in an HTTP/1 head, with `|` between lines, and the status; `-` is that of a
/// request that is in order.
const HEADS: &str = "
HTTP/1.1 | host: a                                      => -
HTTP/1.1 | host: a.example:8080                         => -
HTTP/1.1 | host: [::1]:80                               => -
HTTP/1.1                                                => 400
HTTP/1.1 | host: a | host: a                            => 400
HTTP/1.1 | host: a | host: b                            => 400
HTTP/1.1 | host: a b                                    => 400
HTTP/1.1 | host: a/b                                    => 400
HTTP/1.1 | host: user@a                                 => 400
HTTP/1.1 | host: a:port                                 => 400
HTTP/1.1 | host: [::1                                   => 400
HTTP/1.0                                                => -
HTTP/1.0 | host: a                                      => -
HTTP/1.0 | host: a | host: b                            => 400
HTTP/1.0 | host: a/b                                    => 400
";

const PATHS: [(&str, &str); 6] = [
    ("GET", "/healthz"),
    ("GET", "/dex/keys"),
    ("GET", "/metrics"),
    ("GET", "/nothing"),
    ("PUT", "/dex/keys"),
    ("POST", "/dex/token"),
];

#[test]
fn every_request_of_http1_names_one_host() {
    let site = Site::new(LISTENERS);
    let server = Server::start(&site);
    let listeners = [
        server.main(),
        site.unix("main.sock"),
        server.metadata(),
        server.admin(),
    ];
    for address in &listeners {
        for (method, path) in PATHS {
            let in_order = ask(address, method, path, "HTTP/1.1\r\nhost: a");
            for row in HEADS.trim().lines() {
                let (head, status) = row.split_once("=>").unwrap();
                let head = head.trim().replace(" | ", "\r\n");
                let reply = ask(address, method, path, &head);
                if status.trim() == "-" {
                    assert_eq!(reply.status, in_order.status, "{address} {path} {row}");
                } else {
                    refused(&reply.status.to_string(), &reply.json());
                    assert!(reply.head.contains("\r\nconnection: close"), "{row}");
                }
            }
        }
    }
}

#[test]
fn a_target_with_a_host_needs_a_host_header_too() {
    let server = Server::start(&Site::new(LISTENERS));
    let main = server.main();
    for (target, rest, status) in [
        ("http://a/healthz", "HTTP/1.1", 400),
        ("http://a/healthz", "HTTP/1.1\r\nhost: a\r\nhost: a", 400),
        ("http://user@a/healthz", "HTTP/1.1\r\nhost: a", 400),
        ("http://a/healthz", "HTTP/1.1\r\nhost: a", 200),
        // RFC 9112 §3.2.2: the target counts.
        ("http://a/healthz", "HTTP/1.1\r\nhost: b", 200),
    ] {
        let reply = ask(&main, "GET", target, rest);
        assert_eq!(reply.status, status, "{target} {rest:?}");
    }
}

/// `:authority` and `Host`, where they are there, and the status.
const AUTHORITIES: [(Option<&str>, Option<&str>, u16); 10] = [
    (Some("a"), None, 200),
    (None, Some("a"), 200),
    (Some("a.example:80"), Some("A.Example:80"), 200),
    (Some("a"), Some("b"), 400),
    (Some("a"), Some("a:80"), 200),
    (Some("a"), Some("a:443"), 400),
    (None, None, 400),
    (None, Some("a/b"), 400),
    (Some("user@a"), None, 400),
    (Some("a"), Some(""), 400),
];

#[test]
fn every_request_of_http2_names_one_host() {
    let site = Site::new(LISTENERS);
    let server = Server::start(&site);
    for address in [
        server.main(),
        site.unix("main.sock"),
        server.metadata(),
        server.admin(),
    ] {
        for (authority, host, expected) in AUTHORITIES {
            let (status, body) = ask_two(&address, "/healthz", authority, host);
            let row = format!("{address} {authority:?} {host:?}: {body}");
            assert_eq!(status, expected, "{row}");
            if expected == 400 {
                refused(&status.to_string(), &body);
            }
        }
    }
}

#[test]
fn the_authority_of_http2_is_the_host() {
    let site = Site::new("listen = [\"127.0.0.1:0\"]");
    site.issue_from_request();
    let server = Server::start(&site);
    let path = "/.well-known/openid-configuration";
    for (authority, host) in [
        (Some("sts.example.com"), None),
        (None, Some("sts.example.com")),
    ] {
        let (status, body) = ask_two(&server.main(), path, authority, host);
        assert_eq!(status, 200, "{body}");
        assert_eq!(body["issuer"], "http://sts.example.com");
    }
    assert_eq!(get(&server.main(), path).json()["issuer"], "http://a");
}

#[track_caller]
fn refused(status: &str, body: &Value) {
    let expected = ("400", json!("invalid_request"), json!("head_malformed"));
    let found = (status, body["error"].clone(), body["reason"].clone());
    assert_eq!(found, expected, "{body}");
    assert!(body["request_id"].is_string(), "{body}");
    assert!(body["error_description"].is_string(), "{body}");
}

/// The reply to a request whose head ends with `rest`.
fn ask(address: &str, method: &str, target: &str, rest: &str) -> Reply {
    let mut stream = connect(address).unwrap();
    let head = format!("{method} {target} {rest}\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    Reply::parse(&reply)
}

/// Status and body of an HTTP/2 reply, to a request with exactly these fields.
fn ask_two(address: &str, path: &str, authority: Option<&str>, host: Option<&str>) -> (u16, Value) {
    let fields = [
        (":method", Some("GET")),
        (":scheme", Some("http")),
        (":path", Some(path)),
        (":authority", authority),
        ("host", host),
    ];
    let mut block = Vec::new();
    for (name, value) in fields {
        let Some(value) = value else { continue };
        // Literal, not indexed, not compressed (RFC 7541 §6.2.2).
        block.push(0);
        for text in [name, value] {
            block.push(u8::try_from(text.len()).unwrap());
            block.extend(text.bytes());
        }
    }
    let length = u8::try_from(block.len()).unwrap();
    let mut stream = connect(address).unwrap();
    let mut bytes = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    // HEADERS with END_STREAM and END_HEADERS on stream 1.
    bytes.extend([0, 0, length, 1, 5, 0, 0, 0, 1]);
    bytes.extend(block);
    stream.write_all(&bytes).unwrap();
    read_two(&mut *stream)
}

fn read_two(stream: &mut dyn Stream) -> (u16, Value) {
    let (mut status, mut body) = (0, Vec::new());
    loop {
        let mut head = [0; 9];
        stream.read_exact(&mut head).unwrap();
        let [_, high, low, kind, flags, ..] = head;
        let mut payload = vec![0; usize::from(u16::from_be_bytes([high, low]))];
        stream.read_exact(&mut payload).unwrap();
        match kind {
            0 => body.extend(payload),
            // The first field is `:status`, from the static table (RFC 7541, appendix A).
            1 => {
                status = match payload.first() {
                    Some(0x88) => 200,
                    Some(0x8c) => 400,
                    other => panic!("{other:?}"),
                }
            }
            _ => continue,
        }
        if flags & 1 != 0 {
            return (status, serde_json::from_slice(&body).unwrap());
        }
    }
}
