//! Where a request comes from: `remote` of audit events, and the scheme of `from-request`.

use std::io::{Read as _, Write as _};

use serde_json::Value;

use crate::server::{Reply, Server, Site, connect};

/// What the audit event says of `remote`, for a request with these headers.
fn remote(server: &Server, address: &str, headers: &str) -> Option<String> {
    let mut stream = connect(address).unwrap();
    let head = format!(
        "POST /dex/token HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n{headers}content-length: 2\r\nconnection: close\r\n\r\n{{}}"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    assert_eq!(Reply::parse(&reply).status, 400, "{reply}");
    let event = server.until("\"target\":\"audit\"").pop().unwrap();
    let event: Value = serde_json::from_str(&event).unwrap();
    event
        .get("remote")
        .map(|remote| remote.as_str().unwrap().to_owned())
}

fn start(server: &str) -> (Site, Server) {
    let site = Site::new(&format!(
        "listen = [\"127.0.0.1:0\", \"unix:main.sock\"]\n{server}"
    ));
    let mut command = site.remint(&["--log-format", "json", "serve"]);
    command.env_remove("RUST_LOG");
    let server = Server::of_json(command);
    (site, server)
}

/// Headers, with `|` between them, and what `remote` is; `-` is the peer.
const X_FORWARDED_FOR: &str = "
x-forwarded-for: 203.0.113.7                              => 203.0.113.7
x-forwarded-for: 203.0.113.7:4711                         => 203.0.113.7:4711
x-forwarded-for: 2001:db8::7                              => 2001:db8::7
x-forwarded-for: 1.1.1.1, 203.0.113.7, 10.1.2.3           => 203.0.113.7
x-forwarded-for: 1.1.1.1 | x-forwarded-for: 203.0.113.7   => 203.0.113.7
x-forwarded-for: 10.9.9.9, 10.1.2.3                       => 10.9.9.9
x-forwarded-for: junk, 203.0.113.7                        => 203.0.113.7
x-forwarded-for: \u{ff}, 203.0.113.7                        => 203.0.113.7
x-forwarded-for: 203.0.113.7, junk                        => -
x-forwarded-for: 203.0.113.7, junk, 10.1.2.3              => 10.1.2.3
x-forwarded-for: ,,,                                      => -
x-forwarded-for: 203.0.113.7 | forwarded: for=1.1.1.1     => 203.0.113.7
forwarded: for=\"x | x-forwarded-for: 203.0.113.7         => 203.0.113.7
forwarded: for=203.0.113.7                                => -
x-real-ip: 203.0.113.7                                    => -
";

/// The same where the proxies write `Forwarded`.
const FORWARDED: &str = "
forwarded: for=203.0.113.7;proto=https                    => 203.0.113.7
forwarded: by=10.0.0.1;For=\"[2001:db8::7]:99\"           => [2001:db8::7]:99
forwarded: for=1.1.1.1, for=203.0.113.7, for=10.1.2.3     => 203.0.113.7
forwarded: for=unknown                                    => -
forwarded: for=\"203.0.113.7                              => -
forwarded: for=9.9.9.9;x=\", for=203.0.113.7               => 203.0.113.7
forwarded: for=9.9.9.9;x=\", for=\"[2001:db8::7]:9\"        => [2001:db8::7]:9
forwarded: x, for=203.0.113.7                             => 203.0.113.7
forwarded: for=\"\u{ff}, for=203.0.113.7                    => 203.0.113.7
forwarded: for=9.9.9.9;x=\" | forwarded: for=203.0.113.7   => 203.0.113.7
forwarded: ;=,;=                                          => -
x-forwarded-for: 1.1.1.1 | forwarded: for=203.0.113.7     => 203.0.113.7
x-forwarded-for: 203.0.113.7                              => -
x-real-ip: 203.0.113.7                                    => -
";

/// A caller can add the header that the proxies do not write; it neither names an address nor hides one.
#[test]
fn only_trusted_proxies_name_the_address_and_only_in_their_header() {
    for (header, rows) in [
        ("", X_FORWARDED_FOR),
        (
            "trusted_proxy_header = \"x-forwarded-for\"",
            X_FORWARDED_FOR,
        ),
        ("trusted_proxy_header = \"Forwarded\"", FORWARDED),
    ] {
        let lines = |networks: &str| format!("trusted_proxies = [{networks}]\n{header}");
        let (site, server) = start(&lines("\"127.0.0.0/8\", \"10.0.0.0/8\""));
        let (_strict, other) = start(&lines("\"10.0.0.0/8\""));
        for row in rows.trim().lines() {
            let (headers, expected) = row.split_once("=> ").unwrap();
            let headers = format!("{}\r\n", headers.trim().replace(" | ", "\r\n"));
            let found = remote(&server, &server.main(), &headers).unwrap();
            if expected == "-" {
                assert!(found.starts_with("127.0.0.1:"), "{header} {row}: {found}");
            } else {
                assert_eq!(found, expected, "{header} {row}");
            }
            let found = remote(&other, &other.main(), &headers).unwrap();
            assert!(found.starts_with("127.0.0.1:"), "{header} {row}: {found}");
            // The networks are about addresses, and a unix socket has none.
            assert_eq!(remote(&server, &site.unix("main.sock"), &headers), None);
        }
    }
}

#[test]
fn whoever_may_open_the_socket_is_trusted_by_name_alone() {
    let (site, server) = start("trusted_proxies = [\"unix:\"]");
    let headers = "x-forwarded-for: 203.0.113.7\r\n";
    let found = remote(&server, &site.unix("main.sock"), headers);
    assert_eq!(found.as_deref(), Some("203.0.113.7"));
    assert_eq!(remote(&server, &site.unix("main.sock"), ""), None);
    let found = remote(&server, &server.main(), headers).unwrap();
    assert!(found.starts_with("127.0.0.1:"), "{found}");
}

/// Headers and the scheme where the proxies write `X-Forwarded-For`.
const PROTO: [(&str, &str); 8] = [
    ("", "http"),
    ("x-forwarded-proto: https\r\n", "https"),
    ("x-forwarded-proto: HTTPS\r\n", "https"),
    ("x-forwarded-proto: http\r\n", "http"),
    ("x-forwarded-proto: http, https\r\n", "https"),
    (
        "x-forwarded-proto: https\r\nx-forwarded-proto: http\r\n",
        "http",
    ),
    ("x-forwarded-proto: ftp\r\n", "http"),
    ("forwarded: for=192.0.2.1;proto=https\r\n", "http"),
];

/// The same where they write `Forwarded`.
const FORWARDED_PROTO: [(&str, &str); 8] = [
    ("forwarded: for=192.0.2.1;proto=https\r\n", "https"),
    ("forwarded: Proto=\"HTTPS\"\r\n", "https"),
    (
        "forwarded: proto=http, for=192.0.2.1;proto=https\r\n",
        "https",
    ),
    (
        "forwarded: proto=https, for=192.0.2.1;proto=http\r\n",
        "http",
    ),
    (
        "forwarded: proto=https\r\nforwarded: for=192.0.2.1\r\n",
        "http",
    ),
    ("forwarded: proto=http;proto=https\r\n", "http"),
    // The proxy's own word, whatever the caller wrote before it.
    ("forwarded: x=\", proto=https\r\n", "https"),
    ("x-forwarded-proto: https\r\n", "http"),
];

#[test]
fn the_scheme_of_from_request_is_that_of_the_request_or_of_a_trusted_proxy() {
    for (header, rows) in [
        ("", PROTO),
        ("trusted_proxy_header = \"Forwarded\"", FORWARDED_PROTO),
    ] {
        let server = |lines: &str| {
            let site = Site::new(&format!("listen = [\"127.0.0.1:0\"]\n{lines}"));
            site.issue_from_request();
            let server = Server::start(&site);
            (site, server)
        };
        let (_trusting, trusting) = server(&format!("trusted_proxies = [\"127.0.0.1\"]\n{header}"));
        let (_strict, strict) = server("");
        for (proto, scheme) in rows {
            for (server, scheme) in [(&trusting, scheme), (&strict, "http")] {
                let mut stream = connect(&server.main()).unwrap();
                let head = format!(
                    "GET /.well-known/openid-configuration HTTP/1.1\r\nhost: sts.example.com\r\n{proto}connection: close\r\n\r\n"
                );
                stream.write_all(head.as_bytes()).unwrap();
                let mut reply = String::new();
                stream.read_to_string(&mut reply).unwrap();
                let issuer = Reply::parse(&reply).json()["issuer"].clone();
                assert_eq!(
                    issuer,
                    format!("{scheme}://sts.example.com"),
                    "{header} {proto}"
                );
            }
        }
    }
}

#[test]
fn the_host_of_an_absolute_target_counts() {
    let site = Site::new("listen = [\"127.0.0.1:0\"]");
    site.issue_from_request();
    let server = Server::start(&site);
    let mut stream = connect(&server.main()).unwrap();
    let head = "GET http://sts.example.com/.well-known/openid-configuration HTTP/1.1\r\nhost: other.example.com\r\nconnection: close\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    let mut reply = String::new();
    stream.read_to_string(&mut reply).unwrap();
    let issuer = Reply::parse(&reply).json()["issuer"].clone();
    assert_eq!(issuer, "http://sts.example.com");
}
