//! Where a client must identify itself, and which grants and connectors it may use (design §2.1, §3).

use serde_json::json;

use crate::support::server::{Server, Site};
use crate::{CI, basic, exchange, job, own_token, refused};

fn simple(server: &Server, basic: Option<&str>) -> crate::support::http::Reply {
    let mut headers = vec![("Content-Type", "application/json")];
    headers.extend(basic.map(|value| ("Authorization", value)));
    let body = json!({"token": job(json!({}))}).to_string();
    server.send("POST", "/token", &headers, body)
}

#[test]
fn a_client_is_needed_once_one_is_configured_unless_the_connector_says_otherwise() {
    let client = "secret = \"s\"";
    let needed = [
        Site::new().connector("ci", "").client("app", client),
        Site::new()
            .connector("ci", "require_client = true")
            .client("app", client),
    ];
    for site in needed {
        let server = site.start();
        let reply = server.exchange(&job(json!({})), &[]);
        refused(&server, &reply, 401, "invalid_client", "client_required");
        let reply = simple(&server, None);
        refused(&server, &reply, 401, "invalid_client", "client_required");
        for reply in [
            exchange(&server, &basic("app", "s"), &job(json!({})), &[]),
            simple(&server, Some(&basic("app", "s"))),
        ] {
            assert_eq!(server.read(&reply).1["aud"], "app");
        }
    }
    let free = [
        Site::new().connector("ci", "targets = [\"t\"]"),
        Site::new()
            .connector("ci", "targets = [\"t\"]\nrequire_client = false")
            .client("app", client),
    ];
    for site in free {
        let server = site.start();
        let reply = server.exchange(&job(json!({})), &[]);
        assert_eq!(server.read(&reply).1["aud"], "t");
        assert_eq!(server.read(&simple(&server, None)).1["aud"], "t");
        // What is sent is checked all the same.
        let reply = exchange(&server, &basic("app", "wrong"), &job(json!({})), &[]);
        refused(&server, &reply, 401, "invalid_client", "client_invalid");
        let reply = simple(&server, Some(&basic("app", "wrong")));
        refused(&server, &reply, 401, "invalid_client", "client_invalid");
    }
}

#[test]
fn one_connector_may_need_a_client_where_another_does_not() {
    let server = Site::new()
        .connector("ci", "require_client = false")
        .connector("other", "")
        .client("app", "secret = \"s\"")
        .start();
    assert_eq!(server.exchange(&job(json!({})), &[]).status, 200);
    let reply = server.exchange(&job(json!({"iss": "https://other.example"})), &[]);
    refused(&server, &reply, 401, "invalid_client", "client_required");
    assert_eq!(server.audit(&reply)["connector"], "other");
}

#[test]
fn a_client_uses_the_connectors_that_it_lists() {
    let server = Site::new()
        .connector("ci", "require_client = false")
        .connector("other", "")
        .client("all", "secret = \"s\"")
        .client("one", "secret = \"s\"\nconnectors = [\"other\"]")
        .client("none", "secret = \"s\"\nconnectors = []")
        .start();
    let other = "https://other.example";
    for (client, issuer, allowed) in [
        ("all", CI, true),
        ("all", other, true),
        ("one", CI, false),
        ("one", other, true),
        ("none", CI, false),
        ("none", other, false),
    ] {
        let reply = exchange(
            &server,
            &basic(client, "s"),
            &job(json!({"iss": issuer})),
            &[],
        );
        if allowed {
            assert_eq!(reply.status, 200, "{client} {issuer}");
        } else {
            refused(
                &server,
                &reply,
                400,
                "unauthorized_client",
                "connector_refused",
            );
            assert_eq!(server.audit(&reply)["client"], client);
        }
    }
    let reply = simple(&server, Some(&basic("one", "s")));
    refused(&server, &reply, 403, "access_denied", "connector_refused");
}

#[test]
fn a_client_uses_the_grants_that_it_lists() {
    const URN: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
    let server = Site::new()
        .connector("ci", "require_client = false")
        .client("default", "secret = \"s\"")
        .client("exchange", "secret = \"s\"\ngrants = [\"token-exchange\"]")
        .client("urn", &format!("secret = \"s\"\ngrants = [\"{URN}\"]"))
        .client("own", "secret = \"s\"\ngrants = [\"client_credentials\"]")
        .client(
            "both",
            &format!("secret = \"s\"\ngrants = [\"client_credentials\", \"{URN}\"]"),
        )
        .client("neither", "secret = \"s\"\ngrants = []")
        .start();
    for (client, exchanges, owns) in [
        ("default", true, false),
        ("exchange", true, false),
        ("urn", true, false),
        ("own", false, true),
        ("both", true, true),
        ("neither", false, false),
    ] {
        let header = basic(client, "s");
        // A client that may not use the grant learns nothing about the token.
        let token = if exchanges {
            job(json!({}))
        } else {
            "garbage".to_owned()
        };
        for (reply, allowed) in [
            (exchange(&server, &header, &token, &[]), exchanges),
            (own_token(&server, &header, &[]), owns),
        ] {
            if allowed {
                assert_eq!(server.read(&reply).1["aud"], client);
            } else {
                refused(&server, &reply, 400, "unauthorized_client", "grant_refused");
                assert_eq!(server.audit(&reply)["client"], client);
            }
        }
        let reply = simple(&server, Some(&header));
        if exchanges {
            assert_eq!(server.read(&reply).1["aud"], client);
        } else {
            refused(&server, &reply, 403, "access_denied", "grant_refused");
        }
    }
}

#[test]
fn the_client_comes_after_the_connector_and_before_the_token() {
    let server = Site::new()
        .connector("ci", "")
        .client("app", "secret = \"s\"\nconnectors = []")
        .start();
    let expired = job(json!({"exp": 1}));
    let reply = server.exchange(&expired, &[]);
    refused(&server, &reply, 401, "invalid_client", "client_required");
    let reply = exchange(&server, &basic("app", "s"), &expired, &[]);
    refused(
        &server,
        &reply,
        400,
        "unauthorized_client",
        "connector_refused",
    );
    let stranger = job(json!({"iss": "https://stranger.example", "exp": 1}));
    for reply in [
        server.exchange(&stranger, &[]),
        exchange(&server, &basic("app", "s"), &stranger, &[]),
    ] {
        refused(&server, &reply, 400, "invalid_request", "issuer_unknown");
    }
    let mismatched = [("connector_id", "ci")];
    let reply = exchange(&server, &basic("app", "s"), &stranger, &mismatched);
    refused(&server, &reply, 400, "invalid_request", "issuer_mismatch");
}
