//! What each role serves, and nothing else.

use std::fs;

use serde_json::{Value, json};

use crate::server::{Server, Site, ask, get, stranger};

const ALL: &str = r#"
listen = ["127.0.0.1:0"]
metadata_listen = ["127.0.0.1:0", "unix:metadata.sock"]
admin_listen = "127.0.0.1:0"
"#;

/// Method and path, then the status on the main, the metadata and the admin listener.
const TABLE: &str = "
GET  /dex/token                              405 404 404
POST /dex/token                              415 404 404
GET  /dex/.well-known/openid-configuration   200 200 404
GET  /dex/.well-known/oauth-authorization-server 200 200 404
GET  /.well-known/oauth-authorization-server/dex 200 200 404
GET  /dex/.well-known/jwks.json              200 200 404
HEAD /dex/keys                               200 200 404
POST /dex/keys                               405 405 404
GET  /healthz                                200 200 200
GET  /healthz/live                           200 200 200
GET  /healthz/ready                          200 200 200
POST /healthz                                405 405 405
GET  /dex/healthz                            404 404 404
GET  /metrics                                404 404 200
HEAD /metrics                                404 404 200
POST /metrics                                404 404 405
GET  /dex/metrics                            404 404 404
GET  /                                       404 404 404
";

#[test]
fn each_role_serves_its_own_and_nothing_else() {
    let site = Site::new(ALL);
    let server = Server::start(&site);
    let [metadata, socket] = server.on(" metadata on ").try_into().unwrap();
    assert!(socket.starts_with("unix:"), "{socket}");
    for row in TABLE.trim().lines() {
        let [method, path, main, world, admin] = row
            .split_whitespace()
            .collect::<Vec<_>>()
            .try_into()
            .unwrap();
        for (address, status) in [
            (&server.main(), main),
            (&metadata, world),
            (&site.unix("metadata.sock"), world),
            (&server.admin(), admin),
        ] {
            let found = ask(address, method, path).status.to_string();
            assert_eq!(found, status, "{address} {row}");
        }
    }
    let [token, nothing] = ["/dex/token", "/no"].map(|path| ask(&metadata, "POST", path));
    assert_eq!(
        token.json(),
        nothing.json(),
        "it is not told what is inside"
    );
    for (address, words) in [
        (&server.main(), "tokens are at POST /dex/token, "),
        (
            &metadata,
            "this listener serves only metadata: GET /dex/.well-known/openid-configuration, GET /dex/.well-known/jwks.json, ",
        ),
        (
            &server.admin(),
            "this listener serves only GET /healthz and GET /metrics",
        ),
    ] {
        let said = ask(address, "POST", "/no").json()["error_description"].to_string();
        assert!(said.contains(words), "{said}");
    }
    let metrics = get(&server.admin(), "/metrics");
    let kind = "content-type: application/openmetrics-text";
    assert!(metrics.head.contains(kind), "{}", metrics.head);
    assert!(
        metrics.head.contains("cache-control: no-store"),
        "{}",
        metrics.head
    );
}

#[test]
fn without_the_keys_there_are_no_further_listeners() {
    let site = Site::new(r#"listen = ["127.0.0.1:0"]"#);
    let server = Server::start(&site);
    assert!(server.on(" metadata on ").is_empty());
    assert!(server.on(" admin on ").is_empty());
    assert_eq!(get(&server.main(), "/metrics").status, 404);
}

#[test]
fn operators_are_told_more_and_no_secret() {
    let site = Site::new(ALL);
    let server = Server::start(&site);
    let told = get(&server.admin(), "/healthz").json();
    assert_eq!(told["status"], "ok");
    assert_eq!(told["draining"], false);
    assert_eq!(
        told["signing"],
        json!({ "RS256": "RS256", "ES256": "ES256" })
    );
    let gitlab = &told["connectors"]["gitlab"];
    assert_eq!(gitlab["state"], "fresh", "{told}");
    assert_eq!(gitlab["keys"], 2);
    assert!(gitlab["age_seconds"].is_u64());
    assert_eq!(gitlab["last_error"], Value::Null);

    let file = fs::read_to_string(site.path("jwks.json")).unwrap();
    let file: Value = serde_json::from_str(&file).unwrap();
    let private = file["keys"]
        .as_array()
        .unwrap()
        .iter()
        .map(|key| key["d"].as_str().unwrap());
    let told = told.to_string();
    assert_eq!(private.filter(|secret| told.contains(secret)).count(), 0);
    for address in [server.main(), server.metadata()] {
        assert_eq!(get(&address, "/healthz").json(), json!({ "status": "ok" }));
    }
}

#[test]
fn a_dead_upstream_degrades_and_only_operators_learn_why() {
    let site = Site::new(ALL);
    let dead = stranger("HTTP/1.1 500 Broken\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
    site.configure(ALL, &format!("jwks_uri = \"http://{dead}/keys\""));
    let server = Server::start(&site);
    for path in ["/healthz", "/healthz/ready"] {
        for address in [server.main(), server.metadata()] {
            let reply = get(&address, path);
            assert_eq!(reply.status, 200);
            assert_eq!(reply.json(), json!({ "status": "degraded" }));
        }
        let told = get(&server.admin(), path).json();
        assert_eq!(told["status"], "degraded");
        let gitlab = &told["connectors"]["gitlab"];
        assert_eq!(gitlab["state"], "failed", "{told}");
        assert_eq!(gitlab["age_seconds"], Value::Null);
        assert!(
            gitlab["last_error"].as_str().unwrap().contains("500"),
            "{told}"
        );
    }
    assert_eq!(get(&server.admin(), "/healthz/live").json()["status"], "ok");
}
