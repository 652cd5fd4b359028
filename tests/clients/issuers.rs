//! Several issuers in one instance, and issuers that the request names (design §3, `issuer`).

use std::fmt::Write as _;

use serde_json::{Value, json};

use crate::job;
use crate::support::http::{Reply, raw};
use crate::support::server::{Server, Site};
use crate::support::tokens;

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";

/// A request whose `Host` headers are these.
fn ask(server: &Server, hosts: &[&str], path: &str, body: Option<&str>) -> Reply {
    let method = if body.is_some() { "POST" } else { "GET" };
    let mut head = format!("{method} {path} HTTP/1.1\r\nConnection: close\r\n");
    for host in hosts {
        write!(head, "Host: {host}\r\n").unwrap();
    }
    if let Some(body) = body {
        write!(
            head,
            "Content-Type: application/json\r\nContent-Length: {}\r\n",
            body.len()
        )
        .unwrap();
    }
    raw(
        server.address,
        format!("{head}\r\n{}", body.unwrap_or_default()).as_bytes(),
    )
}

/// Every document under `base` names `issuer`, and a token posted there comes from it.
#[track_caller]
fn speaks_for(server: &Server, host: &str, base: &str, issuer: &str) {
    let keys = server.get_from(host, "/keys", base);
    for path in [
        format!("{base}{OPENID}"),
        format!("{base}{OAUTH}"),
        format!("{OAUTH}{base}"),
    ] {
        let reply = ask(server, &[host], &path, None);
        assert_eq!(reply.status, 200, "{host} {path}: {}", reply.text());
        let metadata = reply.json();
        assert_eq!(metadata["issuer"], issuer, "{host} {path}");
        let root = issuer.trim_end_matches('/');
        assert_eq!(metadata["token_endpoint"], format!("{root}/token"));
        assert_eq!(
            metadata["jwks_uri"],
            format!("{root}/.well-known/jwks.json")
        );
    }
    let jwks = ask(
        server,
        &[host],
        &format!("{base}/.well-known/jwks.json"),
        None,
    );
    assert_eq!(
        jwks.header("content-type"),
        Some("application/jwk-set+json")
    );
    assert_eq!(jwks.json(), keys);
    let body = json!({"token": job(json!({}))}).to_string();
    let reply = ask(server, &[host], &format!("{base}/token"), Some(&body));
    assert_eq!(reply.status, 200, "{}", reply.text());
    assert_eq!(tokens::read(reply.text(), &keys).1["iss"], issuer);
}

impl Server {
    fn get_from(&self, host: &str, path: &str, base: &str) -> Value {
        ask(self, &[host], &format!("{base}{path}"), None).json()
    }
}

fn listed(issuers: &[&str]) -> Server {
    Site::new().issuers(issuers).connector("ci", "").start()
}

#[test]
fn the_host_chooses_and_the_first_serves_the_rest() {
    let server = listed(&[
        "https://a.example",
        "https://b.example",
        "http://c.example:8080",
        "https://d.example:8443",
    ]);
    for (host, issuer) in [
        ("a.example", "https://a.example"),
        ("b.example", "https://b.example"),
        ("B.Example", "https://b.example"),
        ("b.example:443", "https://b.example"),
        ("c.example:8080", "http://c.example:8080"),
        ("d.example:8443", "https://d.example:8443"),
        // A port that is not the issuer's is another host.
        ("b.example:80", "https://a.example"),
        ("b.example:8443", "https://a.example"),
        ("c.example", "https://a.example"),
        ("d.example", "https://a.example"),
        ("d.example:443", "https://a.example"),
        ("sub.b.example", "https://a.example"),
        ("127.0.0.1:1", "https://a.example"),
        ("", "https://a.example"),
    ] {
        speaks_for(&server, host, "", issuer);
    }
}

#[test]
fn the_path_chooses_among_the_issuers_of_a_host() {
    let server = listed(&[
        "https://h.example",
        "https://h.example/a",
        "https://h.example/a/b/",
        "https://g.example/a",
    ]);
    for (host, base, issuer) in [
        ("h.example", "", "https://h.example"),
        ("h.example", "/a", "https://h.example/a"),
        ("h.example", "/a/b", "https://h.example/a/b/"),
        ("g.example", "/a", "https://g.example/a"),
        ("other.example", "", "https://h.example"),
    ] {
        speaks_for(&server, host, base, issuer);
    }
    // The first issuer serves the rest, at its own path alone.
    for (host, path) in [
        ("h.example", "/a/b/c/token"),
        ("h.example", "/ab/token"),
        ("h.example", "/A/keys"),
        ("other.example", "/a/keys"),
        ("other.example", "/a/token"),
        ("h.example", "/.well-known/oauth-authorization-server/x"),
        ("h.example", "/.well-known/openid-configuration/a"),
    ] {
        assert_eq!(
            ask(&server, &[host], path, None).status,
            404,
            "{host}{path}"
        );
    }
}

#[test]
fn a_first_issuer_with_a_path_serves_other_hosts_under_that_path() {
    let server = listed(&["https://a.example/sts", "https://b.example"]);
    speaks_for(&server, "a.example", "/sts", "https://a.example/sts");
    speaks_for(&server, "x.example", "/sts", "https://a.example/sts");
    speaks_for(&server, "b.example", "", "https://b.example");
    assert_eq!(ask(&server, &["x.example"], "/keys", None).status, 404);
    assert_eq!(ask(&server, &["a.example"], "/keys", None).status, 404);
}

#[test]
fn a_literal_address_can_be_an_issuer() {
    let server = listed(&[
        "https://a.example",
        "http://[::1]:8080",
        "http://127.0.0.1:8080",
    ]);
    speaks_for(&server, "[::1]:8080", "", "http://[::1]:8080");
    speaks_for(&server, "127.0.0.1:8080", "", "http://127.0.0.1:8080");
}

#[test]
fn a_list_of_one_serves_every_host() {
    let server = listed(&["https://a.example"]);
    for host in ["a.example", "b.example", "127.0.0.1"] {
        speaks_for(&server, host, "", "https://a.example");
    }
}

fn from_request() -> Server {
    Site::new()
        .issuer("from-request")
        .connector("ci", "")
        .start()
}

#[test]
fn the_request_can_name_the_issuer() {
    let server = from_request();
    for (host, issuer) in [
        ("a.example", "http://a.example"),
        ("A.Example", "http://a.example"),
        ("a.example:8080", "http://a.example:8080"),
        ("a.example:80", "http://a.example"),
        ("127.0.0.1:9", "http://127.0.0.1:9"),
        ("[::1]:9", "http://[::1]:9"),
        ("[2001:DB8::1]", "http://[2001:db8::1]"),
        ("xn--bcher-kva.example", "http://xn--bcher-kva.example"),
    ] {
        speaks_for(&server, host, "", issuer);
        let metadata = ask(&server, &[host], OPENID, None);
        assert_eq!(metadata.header("cache-control"), Some("no-store"));
        let keys = ask(&server, &[host], "/keys", None);
        assert_eq!(keys.header("cache-control"), Some("public, max-age=300"));
    }
    assert_eq!(ask(&server, &["a.example"], "/dex/token", None).status, 404);
}

/// Hosts that are more than a name or address and a port, or that a verifier would read as another one.
#[test]
fn what_is_no_host_cannot_be_an_issuer() {
    let server = from_request();
    let long = format!("{}.example", "a".repeat(300));
    let body = json!({"token": job(json!({}))}).to_string();
    for (host, reason) in [
        ("a b", "head_malformed"),
        ("a\tb", "head_malformed"),
        ("a@b", "head_malformed"),
        ("evil@a.example", "head_malformed"),
        ("user:pass@a.example", "head_malformed"),
        (":evil@a.example", "head_malformed"),
        (":80", "head_malformed"),
        ("a/evil", "head_malformed"),
        ("a.example/evil/", "head_malformed"),
        ("a.example?evil", "head_malformed"),
        ("a.example/?evil=/", "head_malformed"),
        ("a.example#evil", "head_malformed"),
        ("a\\evil", "head_malformed"),
        ("a.example:80\\@evil", "head_malformed"),
        ("<evil>", "head_malformed"),
        ("a.example,evil.example:80:80", "head_malformed"),
        ("a.example:port", "head_malformed"),
        ("a.example:99999", "head_malformed"),
        ("[::1", "head_malformed"),
        ("[evil]", "head_malformed"),
        ("b\u{fc}cher.evil", "head_malformed"),
        ("", "parameter_malformed"),
        ("a.example:", "parameter_malformed"),
        ("a.example:080", "parameter_malformed"),
        ("a%2eevil", "parameter_malformed"),
        ("%65vil", "parameter_malformed"),
        ("a%2fevil", "parameter_malformed"),
        ("xn--evil-\u{7f}", "head_malformed"),
        ("xn--\u{61}-evil-0000000", "parameter_malformed"),
        ("0x7f.1", "parameter_malformed"),
        ("[0::0:1]", "parameter_malformed"),
        (&long, "parameter_malformed"),
    ] {
        for reply in [
            ask(&server, &[host], OPENID, None),
            ask(&server, &[host], OAUTH, None),
            ask(&server, &[host], "/token", Some(&body)),
        ] {
            let expected = (400, "invalid_request".to_owned(), reason.to_owned());
            assert_eq!(reply.refusal(), expected, "{host:?}: {}", reply.text());
            // It leaves with nobody: neither as an issuer nor in an explanation.
            assert!(!reply.text().contains("evil"), "{host:?}: {}", reply.text());
            assert!(reply.json().get("issuer").is_none(), "{host:?}");
        }
    }
}

/// A `Host` that makes Remint the issuer of one of its connectors would let tokens be renewed for ever.
#[test]
fn the_issuer_of_a_connector_cannot_be_requested() {
    let server = from_request();
    let body = json!({"token": job(json!({}))}).to_string();
    let with_self = Site::new()
        .issuer("from-request")
        .connector("ci", "")
        .connector(
            "own",
            "issuer = \"http://own.example\"\ninsecure_http = true",
        )
        .start();
    assert_eq!(
        ask(&server, &["own.example"], "/token", Some(&body)).status,
        200
    );
    let reply = ask(&with_self, &["own.example"], "/token", Some(&body));
    let expected = (
        403,
        "access_denied".to_owned(),
        "issuer_mismatch".to_owned(),
    );
    assert_eq!(reply.refusal(), expected, "{}", reply.text());
    assert_eq!(with_self.audit(&reply)["reason"], "issuer_mismatch");
    assert_eq!(
        ask(&with_self, &["x.example"], "/token", Some(&body)).status,
        200
    );
}

/// Every decision on a token request has its event, also one that is made before the body is looked at.
#[test]
fn a_host_that_is_none_is_in_the_audit() {
    let server = from_request();
    let body = json!({"token": job(json!({}))}).to_string();
    let reply = ask(&server, &["a.example:"], "/token", Some(&body));
    assert_eq!(reply.status, 400, "{}", reply.text());
    assert_eq!(server.audit(&reply)["reason"], "parameter_malformed");
}
