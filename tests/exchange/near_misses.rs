//! What a caller reads whose path, issuer or credentials are nearly right: status, `error`, `reason`, and the words
//! that help.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::helpful::{Refused, says};
use crate::support::http;
use crate::support::server::{EXCHANGE, JWT, Server, Site};
use crate::{CI, job, job_with, signed};

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";

const NO_CLIENT: Refused<'_> = (401, "invalid_client", "client_invalid");

fn server() -> Server {
    Site::new().connector("ci", "targets = [\"one\"]").start()
}

#[test]
fn paths_near_the_token_endpoint() {
    let nothing = (404, "invalid_request", "not_found");
    let server = server();
    for path in [
        "/",
        "/Token",
        "/token/",
        "/tokens",
        "/oauth/token",
        "/dex/token",
        "//token",
        "/.well-known/openid-configuration/",
        "/.well-known/jwks.json/",
        "/.well-known/jwks",
        "/jwks.json",
        "/oauth/discovery/keys",
    ] {
        let reply = server.send("POST", path, &[("Content-Type", FORM)], "a=b");
        says(&reply, nothing, "tokens are at POST /token,");
        says(
            &reply,
            nothing,
            "GET /.well-known/openid-configuration, GET /.well-known/jwks.json",
        );
    }
    let several = Site::new()
        .issuers(&[
            "https://sts.example.com/dex",
            "https://sts.example.com/dex/b/",
        ])
        .connector("ci", "")
        .start();
    for (path, words) in [
        ("/token", "POST /dex/token,"),
        ("/dex/", "POST /dex/token,"),
        (
            "/dex/token/",
            "GET /dex/.well-known/openid-configuration, GET /dex/.well-known/jwks.json",
        ),
        ("/dex/b/tokens", "POST /dex/b/token,"),
    ] {
        for host in ["sts.example.com", "elsewhere.example"] {
            let request =
                format!("GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
            let reply = http::raw(several.address, request.as_bytes());
            says(&reply, nothing, words);
        }
    }
    let from_request = Site::new()
        .issuer("from-request")
        .connector("ci", "")
        .start();
    says(&from_request.get("/tokens"), nothing, "POST /token,");
    let refused = (405, "invalid_request", "method_not_allowed");
    says(&server.get("/token"), refused, "this path takes POST");
}

#[test]
fn an_issuer_that_is_nearly_known() {
    let server = server();
    let unknown = (400, "invalid_request", "issuer_unknown");
    let (compare, near) = (
        "compare its `iss` byte for byte",
        "the connector ci has \"https://ci.example\"",
    );
    for (iss, is_near) in [
        ("https://ci.example/", true),
        ("HTTPS://CI.example", true),
        ("http://ci.example", true),
        ("ci.example", true),
        ("https://ci.example:443", false),
        ("https://stranger.example", false),
    ] {
        let reply = server.exchange(&signed(&job_with(json!({"iss": iss}))), &[]);
        says(&reply, unknown, compare);
        says(&reply, unknown, "a slash at the end counts");
        assert!(
            !reply.text().contains(CI),
            "a stranger is told an issuer: {}",
            reply.text()
        );
        let detail = server.audit(&reply)["detail"]
            .to_string()
            .replace("\\\"", "\"");
        assert!(
            detail.contains(&format!("{iss:?} (unverified)")),
            "{detail}"
        );
        assert_eq!(detail.contains(near), is_near, "{detail}");
    }
    let stranger = signed(&job_with(json!({"iss": "https://ci.example/"})));
    let reply = server.exchange(&stranger, &[("connector_id", "ci")]);
    says(&reply, (400, "invalid_request", "issuer_mismatch"), compare);
    assert!(!reply.text().contains(CI), "{}", reply.text());
    let detail = server.audit(&reply)["detail"].to_string();
    assert!(
        detail
            .contains(r#"\"https://ci.example\", the token \"https://ci.example/\" (unverified)"#),
        "{detail}"
    );
}

#[test]
fn clients_that_say_who_they_are_in_a_wrong_way() {
    let server = Site::new()
        .connector("ci", "")
        .client("app", "secret = \"s3cret\"")
        .client("open", "public = true")
        .start();
    let token = signed(&job());
    let header = |scheme: &str, text: &str| format!("{scheme} {}", STANDARD.encode(text));
    let (way, bearer) = (
        "the base64 of ID:SECRET (curl -u ID:SECRET)",
        "but Bearer, and a token to exchange goes into the body",
    );
    let (space, absent) = ("begins or ends with white space", "no secret was sent");
    for (authorization, words) in [
        ("Basic app:s3cret".to_owned(), way),
        ("Basic".to_owned(), way),
        (header("Basic", "app"), way),
        (header("Digest", "app:s3cret"), way),
        (STANDARD.encode("app:s3cret"), way),
        (header("Bearer", "app:s3cret"), bearer),
        (format!("bearer {token}"), bearer),
        (header("Basic", "app:s3cret\n"), space),
        (header("Basic", "app: s3cret"), space),
        (header("Basic", "nobody:s3cret\n"), space),
        (header("Basic", "app:"), absent),
        (header("Basic", "nobody:"), absent),
    ] {
        let form = [
            ("grant_type", EXCHANGE),
            ("subject_token", &token),
            ("subject_token_type", JWT),
        ];
        says(
            &server.form_with(&[("Authorization", &authorization)], &form),
            NO_CLIENT,
            words,
        );
        let headers = [("Content-Type", JSON), ("Authorization", &authorization)];
        let body = json!({"token": token}).to_string();
        says(
            &server.send("POST", "/token", &headers, body),
            NO_CLIENT,
            words,
        );
    }
    for (id, secret, words) in [
        ("app", "s3cret\n", space),
        ("open", " x", space),
        ("app", "", absent),
        ("nobody", "", absent),
    ] {
        let reply = server.exchange(&token, &[("client_id", id), ("client_secret", secret)]);
        says(&reply, NO_CLIENT, words);
    }
    let wrong = server.exchange(&token, &[("client_id", "app"), ("client_secret", "x")]);
    assert_eq!(
        wrong.description(),
        "the client is unknown or its secret is wrong"
    );
}
