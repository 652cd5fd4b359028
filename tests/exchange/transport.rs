//! HTTP around the token endpoint: paths, methods, sizes, content types, request ids.

use serde_json::json;

use crate::support::http;
use crate::support::server::{Server, Site};
use crate::{job, signed};

const FORM: &str = "application/x-www-form-urlencoded";

fn server() -> Server {
    Site::new().connector("ci", "").start()
}

#[test]
fn unknown_paths_are_404() {
    let server = server();
    for path in [
        "/",
        "/token/",
        "//token",
        "/TOKEN",
        "/token%20",
        "/%74oken",
        "/tokens",
        "/keys/",
        "/.well-known",
        "/.well-known/jwks",
        "/jwks.json",
        "/metrics",
        "/authorize",
        "/healthz/",
        "/healthz/dead",
        "/../token",
        "/.well-known/openid-configuration/x",
        "/?token",
    ] {
        for method in ["GET", "POST", "HEAD", "DELETE"] {
            let reply = server.send(method, path, &[], "");
            assert_eq!(reply.status, 404, "{method} {path}");
            if method != "HEAD" {
                let refusal = (404, "invalid_request".to_owned(), "not_found".to_owned());
                assert_eq!(reply.refusal(), refusal, "{method} {path}");
            }
        }
    }
}

#[test]
fn wrong_methods_are_405_and_told_the_right_ones() {
    let server = server();
    let reading = [
        "/.well-known/openid-configuration",
        "/.well-known/oauth-authorization-server",
        "/.well-known/jwks.json",
        "/keys",
        "/healthz",
        "/healthz/live",
        "/healthz/ready",
    ];
    let rows = [("/token", "POST")]
        .into_iter()
        .chain(reading.map(|path| (path, "GET, HEAD")));
    for (path, allowed) in rows {
        for method in [
            "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND",
        ] {
            if allowed.split(", ").any(|one| one == method) {
                continue;
            }
            let reply = server.send(method, path, &[("Content-Type", FORM)], "a=b");
            assert_eq!(reply.status, 405, "{method} {path}");
            assert_eq!(reply.header("allow"), Some(allowed), "{method} {path}");
            if method != "HEAD" {
                let refusal = (
                    405,
                    "invalid_request".to_owned(),
                    "method_not_allowed".to_owned(),
                );
                assert_eq!(reply.refusal(), refusal);
            }
        }
    }
}

#[test]
fn other_content_types_are_415() {
    let server = server();
    let form = "grant_type=x";
    for kind in [
        "text/plain",
        "text/json",
        "application/jwt",
        "multipart/form-data; boundary=x",
        "application/jsonx",
        "application/json-patch+json",
        "application/vnd.api+json",
        "x",
        "",
        ";",
        "application/xml",
        "application/x-www-form-urlencoded2",
        "application/json, text/plain",
    ] {
        let reply = server.post(kind, form);
        let refusal = (
            415,
            "invalid_request".to_owned(),
            "content_type_unsupported".to_owned(),
        );
        assert_eq!(reply.refusal(), refusal, "{kind:?}");
        let words = reply.description();
        assert!(
            words.contains("application/x-www-form-urlencoded or application/json"),
            "{words}"
        );
    }
    let both = [
        ("content-type", "application/x-www-form-urlencoded"),
        ("content-type", "application/json"),
    ];
    let both = server.send("POST", "/token", &both, form);
    assert_eq!(both.status, 415);
    assert!(both.description().contains("more than one Content-Type"));
    let none = server.send("POST", "/token", &[], form);
    assert_eq!(none.status, 415);
    assert!(
        none.description().contains("absent"),
        "{}",
        none.description()
    );
}

#[test]
fn parameters_and_case_of_the_content_type_do_not_matter() {
    let server = server();
    for kind in [
        FORM,
        "Application/X-WWW-Form-Urlencoded",
        "application/x-www-form-urlencoded; charset=utf-8",
        "application/x-www-form-urlencoded ;charset=\"x\"",
    ] {
        assert_eq!(
            server.post(kind, "").refusal().2,
            "parameter_missing",
            "{kind}"
        );
    }
    let body = json!({"token": signed(&job())}).to_string();
    for kind in [
        "application/json",
        "APPLICATION/JSON",
        "application/json;charset=utf-8",
    ] {
        assert_eq!(server.post(kind, &body).status, 200, "{kind}");
    }
}

#[test]
fn bodies_over_64_kib_are_413_and_those_of_64_kib_are_read() {
    let server = server();
    let refusal = (
        413,
        "invalid_request".to_owned(),
        "body_too_large".to_owned(),
    );
    let body = |size: usize| format!("a={}", "x".repeat(size - 2));
    assert_eq!(
        server.post(FORM, body(65_536)).refusal().2,
        "parameter_missing"
    );
    for kind in [FORM, "application/json"] {
        assert_eq!(server.post(kind, body(65_537)).refusal(), refusal);
        assert_eq!(server.post(kind, body(1_000_000)).refusal(), refusal);
        let declared = [("Content-Type", kind), ("Content-Length", "99999999999999")];
        assert_eq!(
            server.send("POST", "/token", &declared, "a").refusal(),
            refusal
        );
    }
}

#[test]
fn a_body_that_cannot_be_read_is_refused_and_logged() {
    let server = server();
    let head = "POST /token HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n";
    let reply = http::raw(server.address, head.as_bytes());
    let expected = (
        400,
        "invalid_request".to_owned(),
        "parameter_malformed".to_owned(),
    );
    assert_eq!(reply.refusal(), expected, "{}", reply.text());
    assert_eq!(server.audit(&reply)["reason"], "parameter_malformed");
}

#[test]
fn chunked_bodies_are_read_to_the_same_limit() {
    let server = server();
    let headers = [("Content-Type", FORM), ("Transfer-Encoding", "chunked")];
    let chunks = |sizes: &[usize]| {
        let chunk = |size: &usize| format!("{size:x}\r\n{}\r\n", "x".repeat(*size));
        sizes.iter().map(chunk).collect::<String>() + "0\r\n\r\n"
    };
    let small = server.send("POST", "/token", &headers, chunks(&[1, 2, 3]));
    assert_eq!(small.refusal().2, "parameter_missing");
    let full = server.send("POST", "/token", &headers, chunks(&[65_000, 536]));
    assert_eq!(full.refusal().2, "parameter_missing");
    let large = server.send("POST", "/token", &headers, chunks(&[65_000, 537]));
    assert_eq!(
        large.refusal(),
        (
            413,
            "invalid_request".to_owned(),
            "body_too_large".to_owned()
        )
    );
    let broken = server.send("POST", "/token", &headers, "zz\r\nabc\r\n0\r\n\r\n");
    assert_eq!(broken.status, 400);
}

#[test]
fn heads_over_32_kib_are_431() {
    let server = server();
    let head = |pad: usize| {
        format!(
            "GET /keys HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Pad: {}\r\n\r\n",
            "a".repeat(pad)
        )
    };
    assert_eq!(
        http::raw(server.address, head(30_000).as_bytes()).status,
        200
    );
    let reply = http::raw(server.address, head(40_000).as_bytes());
    assert_eq!(
        reply.refusal(),
        (
            431,
            "invalid_request".to_owned(),
            "head_too_large".to_owned()
        )
    );
}

#[test]
fn sane_request_ids_are_kept_and_others_replaced() {
    let server = server();
    let ask = |id: &str| {
        let reply = server.send(
            "POST",
            "/token",
            &[("X-Request-Id", id), ("Content-Type", FORM)],
            "",
        );
        reply.header("x-request-id").unwrap().to_owned()
    };
    let longest = "a".repeat(128);
    for id in [
        "7",
        "abc-DEF_1.2:3",
        "Root=1-67891233-abcdef012345678912345678",
        "a+b/c=@d",
        &longest,
    ] {
        assert_eq!(ask(id), id);
        server.logged("its event", |line| {
            (line["target"] == "audit" && line["request_id"] == id).then_some(())
        });
    }
    let too_long = "a".repeat(129);
    for id in [
        "",
        " ",
        "a b",
        "a\"b",
        "a,b",
        "a;b",
        "<script>",
        "a\tb",
        "gr\u{fc}n",
        "a%0ab",
        "{}",
        &too_long,
    ] {
        let new = ask(id);
        assert_ne!(new, id);
        assert_eq!((new.len(), &new[14..15]), (36, "7"), "a UUID v7: {new}");
    }
    assert_ne!(ask(""), ask(""));
}

#[test]
fn every_kind_of_reply_carries_the_request_id() {
    let server = server();
    let id = [("X-Request-Id", "same")];
    for (method, path, status) in [
        ("GET", "/keys", 200),
        ("HEAD", "/keys", 200),
        ("GET", "/healthz", 200),
        ("GET", "/nowhere", 404),
        ("GET", "/token", 405),
        ("POST", "/token", 415),
    ] {
        let reply = server.send(method, path, &id, "");
        assert_eq!(
            (reply.status, reply.header("x-request-id")),
            (status, Some("same"))
        );
    }
    let body = json!({"token": signed(&job())}).to_string();
    let headers = [id[0], ("Content-Type", "application/json")];
    let reply = server.send("POST", "/token", &headers, body);
    assert_eq!(
        (reply.status, reply.header("x-request-id")),
        (200, Some("same"))
    );
}

#[test]
fn refusals_before_the_body_are_counted_in_sampled_events() {
    let server = server();
    for _ in 0..20 {
        assert_eq!(server.post("text/plain", "x").status, 415);
    }
    let event = server.logged("a sampled event", |line| {
        (line["reason"] == "content_type_unsupported").then(|| line.clone())
    });
    assert_eq!(
        (&event["target"], &event["outcome"]),
        (&json!("audit"), &json!("refused"))
    );
    assert_eq!(event["count"], 1, "{event}");
}

#[test]
fn bytes_that_are_not_http_get_a_400_in_the_same_shape() {
    let server = server();
    for bytes in [
        &b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n"[..],
        b"GET\r\n\r\n",
        b"POST /token HTTP/9.9\r\n\r\n",
        b"GET /keys HTTP/1.1\r\nA B: c\r\n\r\n",
    ] {
        let reply = http::raw(server.address, bytes);
        assert_eq!(
            (reply.status, reply.refusal().1),
            (400, "invalid_request".to_owned())
        );
        assert_eq!(
            reply.json()["request_id"].as_str(),
            reply.header("x-request-id")
        );
    }
    assert_eq!(server.get("/healthz/live").status, 200);
}
