//! What verifiers fetch: metadata, keys, and health (design §2).

use serde_json::json;

use crate::support::http::Reply;
use crate::support::issuer::nobody;
use crate::support::server::{EXCHANGE, Server, Site};
use crate::{job, signed};

const OPENID: &str = "/.well-known/openid-configuration";
const OAUTH: &str = "/.well-known/oauth-authorization-server";
const JWKS: &str = "/.well-known/jwks.json";

fn server() -> Server {
    Site::new()
        .connector(
            "ci",
            "clone_claims = [\"sub\", \"ref\"]\n[connectors.claims]\nteam = \"'x'\"",
        )
        .start()
}

fn is_public(reply: &Reply, kind: &str) {
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), Some(kind));
    assert_eq!(reply.header("access-control-allow-origin"), Some("*"));
    assert_eq!(reply.header("cache-control"), Some("public, max-age=300"));
    let etag = reply.header("etag").unwrap();
    assert!(
        etag.len() > 2 && etag.starts_with('"') && etag.ends_with('"'),
        "{etag}"
    );
}

#[test]
fn the_metadata_says_what_relying_parties_look_for() {
    let server = server();
    let reply = server.get(OPENID);
    is_public(&reply, "application/json");
    let expected = json!({
        "issuer": "https://sts.example.com",
        "token_endpoint": "https://sts.example.com/token",
        "jwks_uri": "https://sts.example.com/.well-known/jwks.json",
        "response_types_supported": ["id_token"],
        "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["RS256", "ES256"],
        "claims_supported": ["iss", "sub", "aud", "iat", "nbf", "exp", "jti", "act", "azp", "scope", "name", "preferred_username", "email", "email_verified", "groups", "federated_claims", "ref", "team"],
        "grant_types_supported": [EXCHANGE],
        "token_endpoint_auth_methods_supported": ["none"],
        "scopes_supported": ["openid", "profile", "email", "groups", "federated:id"],
    });
    assert_eq!(reply.json(), expected);
    let other = server.get(OAUTH);
    is_public(&other, "application/json");
    assert_eq!(other.json(), expected);
}

#[test]
fn the_keys_are_published_with_exactly_the_public_members() {
    let server = server();
    let reply = server.get(JWKS);
    is_public(&reply, "application/jwk-set+json");
    let set = reply.json();
    assert_eq!(set.as_object().unwrap().len(), 1);
    let keys = set["keys"].as_array().unwrap();
    assert_eq!(keys.len(), 2);
    for key in keys {
        let mut members: Vec<_> = key
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        members.sort_unstable();
        let expected = match key["kty"].as_str().unwrap() {
            "RSA" => ["alg", "e", "kid", "kty", "n", "use"].to_vec(),
            _ => ["alg", "crv", "kid", "kty", "use", "x", "y"].to_vec(),
        };
        assert_eq!(members, expected);
        assert_eq!(key["use"], "sig");
    }
    let same = server.get("/keys");
    is_public(&same, "application/jwk-set+json");
    assert_eq!(
        (&same.body, same.header("etag")),
        (&reply.body, reply.header("etag"))
    );
}

#[test]
fn head_is_get_without_the_body() {
    let server = server();
    for path in [OPENID, OAUTH, JWKS, "/keys", "/healthz", "/healthz/live"] {
        let (get, head) = (server.get(path), server.send("HEAD", path, &[], ""));
        assert_eq!((head.status, head.body.len()), (200, 0), "{path}");
        let length = get.body.len().to_string();
        assert_eq!(
            head.header("content-length"),
            Some(length.as_str()),
            "{path}"
        );
        for name in ["content-type", "etag", "cache-control"] {
            assert_eq!(head.header(name), get.header(name), "{path} {name}");
        }
    }
}

#[test]
fn a_document_that_the_caller_has_is_304() {
    let server = server();
    for path in [OPENID, JWKS, "/keys"] {
        let etag = server.get(path).header("etag").unwrap().to_owned();
        for tags in [
            etag.clone(),
            format!("W/{etag}"),
            format!("\"x\", {etag}"),
            "*".to_owned(),
        ] {
            let reply = server.send("GET", path, &[("If-None-Match", &tags)], "");
            assert_eq!((reply.status, reply.body.len()), (304, 0), "{tags}");
            assert_eq!(reply.header("etag"), Some(etag.as_str()));
            assert_eq!(reply.header("cache-control"), Some("public, max-age=300"));
        }
        for tags in ["\"x\"", "", etag.trim_matches('"')] {
            let reply = server.send("GET", path, &[("If-None-Match", tags)], "");
            assert_eq!(reply.status, 200, "{tags}");
        }
    }
    assert_ne!(
        server.get(OPENID).header("etag"),
        server.get(JWKS).header("etag")
    );
}

#[test]
fn a_query_does_not_change_a_document() {
    let server = server();
    assert_eq!(server.get("/keys?v=2").body, server.get("/keys").body);
}

#[test]
fn everything_stands_under_the_path_of_the_issuer() {
    for issuer in ["https://h.example/dex", "https://h.example/dex/"] {
        let server = Site::new().issuer(issuer).connector("ci", "").start();
        let metadata = server.get("/dex/.well-known/openid-configuration").json();
        assert_eq!(metadata["issuer"], issuer);
        assert_eq!(
            metadata["jwks_uri"],
            "https://h.example/dex/.well-known/jwks.json"
        );
        assert_eq!(metadata["token_endpoint"], "https://h.example/dex/token");
        // RFC 8414 §3.1 puts the well-known part first; plain appending works too.
        for path in [
            "/dex/.well-known/oauth-authorization-server",
            "/.well-known/oauth-authorization-server/dex",
        ] {
            assert_eq!(server.get(path).json(), metadata, "{path}");
        }
        for path in [
            "/dex/keys",
            "/dex/.well-known/jwks.json",
            "/healthz",
            "/healthz/live",
            "/healthz/ready",
        ] {
            assert_eq!(server.get(path).status, 200, "{path}");
        }
        for path in [
            "/token",
            "/keys",
            OPENID,
            OAUTH,
            JWKS,
            "/dex",
            "/dex/",
            "/dex/healthz",
            "/DEX/keys",
        ] {
            assert_eq!(server.get(path).status, 404, "{path}");
        }
        let body = json!({"token": signed(&job())}).to_string();
        let reply = server.send(
            "POST",
            "/dex/token",
            &[("Content-Type", "application/json")],
            body,
        );
        assert_eq!(reply.status, 200);
        let claims = reply.text().split('.').nth(1).unwrap();
        let claims: serde_json::Value =
            serde_json::from_slice(&crate::support::tokens::unb64(claims)).unwrap();
        assert_eq!(claims["iss"], issuer);
    }
}

#[test]
fn only_what_signs_is_listed_and_all_keys_are_published() {
    let kid = {
        let keys = server().get("/keys").json();
        let rsa = keys["keys"]
            .as_array()
            .unwrap()
            .iter()
            .find(|key| key["kty"] == "RSA");
        rsa.unwrap()["kid"].as_str().unwrap().to_owned()
    };
    let server = Site::new()
        .keys(&format!("[keys.signing]\nRS256 = \"{kid}\""))
        .connector("ci", "")
        .start();
    let metadata = server.get(OPENID).json();
    assert_eq!(
        metadata["id_token_signing_alg_values_supported"],
        json!(["RS256"])
    );
    assert_eq!(
        server.get("/keys").json()["keys"].as_array().unwrap().len(),
        2
    );
    let reply = server.simple(&json!({"token": signed(&job()), "alg": "ES256"}));
    assert_eq!(
        reply.refusal(),
        (
            403,
            "access_denied".to_owned(),
            "alg_unavailable".to_owned()
        )
    );
}

#[test]
fn health_is_ok_or_degraded_and_never_cached() {
    let well = server();
    assert_eq!(well.exchange(&signed(&job()), &[]).status, 200);
    for path in ["/healthz", "/healthz/ready", "/healthz/live"] {
        let reply = well.get(path);
        assert_eq!(
            (reply.status, reply.json()),
            (200, json!({"status": "ok"})),
            "{path}"
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    let down = Site::new()
        .connector(
            "ci",
            &format!(
                "issuer = \"{}\"\njwks_uri = \"{}/jwks\"",
                nobody(),
                nobody()
            ),
        )
        .start();
    down.logged("the failed fetch", |line| {
        (line["message"] == "keys could not be fetched").then_some(())
    });
    for (path, word) in [
        ("/healthz", "degraded"),
        ("/healthz/ready", "degraded"),
        ("/healthz/live", "ok"),
    ] {
        let reply = down.get(path);
        assert_eq!(
            (reply.status, reply.json()),
            (200, json!({"status": word})),
            "{path}"
        );
    }
}
