//! Client credentials (design §2.2; RFC 6749 §4.4).

use aws_lc_rs::digest;
use serde_json::{Value, json};

use crate::support::http::Reply;
use crate::support::now;
use crate::support::server::{Server, Site};
use crate::support::tokens;
use crate::{basic, own_token, refused};

const OWN: &str = "grants = [\"client_credentials\"]";

fn site() -> Site {
    Site::new()
        .client("my-svc", &format!("name = \"My Service\"\nsecret = \"s\"\n{OWN}\naudiences = [\"api\", \"https://r.example/x\"]\nclaims = {{ groups = [\"ci\", \"ops\"] }}"))
        .client("bare", &format!("secret = \"s\"\n{OWN}"))
        .client("open", &format!("public = true\n{OWN}"))
        .client("half", &format!("public = true\nsecret = \"s\"\n{OWN}"))
        .client("exchanger", "secret = \"s\"")
        .connector("ci", "targets = [\"t\"]")
}

fn ask(server: &Server, further: &[(&str, &str)]) -> Reply {
    own_token(server, &basic("my-svc", "s"), further)
}

#[test]
fn a_client_gets_a_token_of_its_own() {
    let server = site().start();
    let reply = ask(&server, &[]);
    let body = reply.json();
    let members: Vec<_> = body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["access_token", "token_type", "expires_in"]);
    assert_eq!(
        (&body["token_type"], &body["expires_in"]),
        (&json!("Bearer"), &json!(3600))
    );
    let (header, claims) = server.read(&reply);
    assert_eq!(
        (&header["alg"], &header["typ"]),
        (&json!("RS256"), &json!("JWT"))
    );
    let names: Vec<_> = claims.as_object().unwrap().keys().collect();
    assert_eq!(names, ["iss", "aud", "iat", "nbf", "exp", "jti", "sub"]);
    assert_eq!(claims["iss"], "https://sts.example.com");
    assert_eq!(
        (&claims["sub"], &claims["aud"]),
        (&json!("my-svc"), &json!("my-svc"))
    );
    let time = |name: &str| claims[name].as_u64().unwrap();
    assert_eq!(time("exp") - time("iat"), 3600);
    assert_eq!(time("iat") - time("nbf"), 5);
    assert!(time("iat").abs_diff(now()) < 60);
    let event = server.audit(&reply);
    for (name, value) in [
        ("outcome", "issued"),
        ("grant", "client_credentials"),
        ("client", "my-svc"),
        ("aud", "my-svc"),
        ("alg", "RS256"),
    ] {
        assert_eq!(event[name], value, "{event}");
    }
    assert_eq!(event["jti"], claims["jti"]);
    assert_eq!(event["exp"], claims["exp"]);
    assert_eq!(event["kid"], header["kid"]);
    let bare = server.form_with(
        &[
            ("Authorization", &basic("my-svc", "s")),
            ("Accept", "application/jwt"),
        ],
        &[("grant_type", "client_credentials")],
    );
    assert_eq!(bare.header("content-type"), Some("application/jwt"));
    assert_eq!(server.read(&bare).1["sub"], "my-svc");
}

#[test]
fn lifetime_and_algorithm_are_those_of_the_configuration() {
    let server = site()
        .keys("default_alg = \"ES256\"")
        .tables("[tokens]\nmax_lifetime = \"7m\"")
        .start();
    let reply = ask(&server, &[("scope", "openid")]);
    assert_eq!(reply.json()["expires_in"], 420);
    let (header, claims) = server.read(&reply);
    assert_eq!(header["alg"], "ES256");
    let time = |claims: &Value, name: &str| claims[name].as_u64().unwrap();
    assert_eq!(time(&claims, "exp") - time(&claims, "iat"), 420);
    let (header, claims) = id_token(&server, &reply);
    assert_eq!(header["alg"], "ES256");
    assert_eq!(time(&claims, "exp") - time(&claims, "iat"), 420);
}

#[test]
fn its_id_and_its_audiences_may_be_asked() {
    let server = site().start();
    for (wish, aud) in [
        (&[("audience", "my-svc")][..], json!("my-svc")),
        (&[("audience", "api")], json!("api")),
        (
            &[
                ("audience", "api"),
                ("audience", "my-svc"),
                ("audience", "api"),
            ],
            json!(["api", "my-svc"]),
        ),
        (
            &[("resource", "https://r.example/x")],
            json!("https://r.example/x"),
        ),
        (&[("audience", "")], json!("my-svc")),
    ] {
        assert_eq!(server.read(&ask(&server, wish)).1["aud"], aud, "{wish:?}");
    }
    for wish in [
        &[("audience", "t")][..],
        &[("audience", "bare")],
        &[("audience", "api"), ("audience", "x")],
        &[("resource", "api")],
        &[("resource", "https://r.example/x#y")],
    ] {
        let reply = ask(&server, wish);
        refused(&server, &reply, 400, "invalid_target", "target_refused");
    }
}

/// Header and claims of the ID token in a reply.
fn id_token(server: &Server, reply: &Reply) -> (Value, Value) {
    let jwks = server.get("/keys").json();
    tokens::read(reply.json()["id_token"].as_str().unwrap(), &jwks)
}

#[test]
fn openid_adds_an_id_token_bound_to_the_access_token() {
    let server = site().start();
    let reply = ask(
        &server,
        &[
            ("scope", "openid profile"),
            ("nonce", "n-1"),
            ("audience", "api"),
        ],
    );
    let access = reply.json()["access_token"].as_str().unwrap().to_owned();
    let (_, claims) = server.read(&reply);
    assert_eq!(
        (&claims["aud"], &claims["nonce"]),
        (&json!("api"), &json!("n-1"))
    );
    assert!(claims.get("at_hash").is_none(), "{claims}");
    let (header, id) = id_token(&server, &reply);
    assert_eq!(header["alg"], "RS256");
    let digest = digest::digest(&digest::SHA256, access.as_bytes());
    assert_eq!(id["at_hash"], tokens::b64(&digest.as_ref()[..16]));
    // An ID token is for the client that asked, whatever the access token is for.
    for (name, value) in [
        ("aud", "my-svc"),
        ("sub", "my-svc"),
        ("nonce", "n-1"),
        ("name", "My Service"),
        ("iss", "https://sts.example.com"),
    ] {
        assert_eq!(id[name], value, "{id}");
    }
    assert_ne!(id["jti"], claims["jti"]);
    let without = ask(&server, &[("nonce", "n-2")]);
    assert!(without.json().get("id_token").is_none());
    assert_eq!(server.read(&without).1["nonce"], "n-2");
}

/// What a scope may give.
const RELEASED: [&str; 6] = [
    "name",
    "preferred_username",
    "email",
    "email_verified",
    "groups",
    "federated_claims",
];

#[test]
fn scopes_give_what_the_configuration_says_of_the_client() {
    let server = site().start();
    let named = json!({"name": "My Service", "preferred_username": "My Service"});
    for (id, scope, expected) in [
        ("my-svc", "", json!({})),
        ("my-svc", "openid", json!({})),
        ("my-svc", "profile", named),
        ("my-svc", "email", json!({"email_verified": false})),
        ("my-svc", "groups", json!({"groups": ["ci", "ops"]})),
        (
            "bare",
            "profile",
            json!({"name": "bare", "preferred_username": "bare"}),
        ),
        ("bare", "groups", json!({})),
    ] {
        let reply = own_token(&server, &basic(id, "s"), &[("scope", scope)]);
        let claims = server.read(&reply).1;
        for name in RELEASED {
            assert_eq!(claims.get(name), expected.get(name), "{id} {scope} {name}");
        }
        assert!(reply.json().get("refresh_token").is_none());
        // `scope` is in the reply only where less is granted than was asked (RFC 6749 §5.1).
        let less = ((id, scope) == ("bare", "groups")).then_some(json!(""));
        assert_eq!(reply.json().get("scope"), less.as_ref(), "{id} {scope}");
    }
    for scope in [
        "offline_access",
        "federated:id",
        "openid offline_access",
        "deploy",
        "OPENID",
        "audience:server:client_id:nobody",
    ] {
        let reply = ask(&server, &[("scope", scope)]);
        refused(&server, &reply, 400, "invalid_scope", "scope_refused");
    }
}

#[test]
fn only_a_client_that_keeps_a_secret_gets_one() {
    let server = site().start();
    for header in [basic("open", ""), basic("half", "s")] {
        let reply = own_token(&server, &header, &[]);
        refused(&server, &reply, 400, "unauthorized_client", "grant_refused");
    }
    let reply = server.form(&[("grant_type", "client_credentials"), ("client_id", "open")]);
    refused(&server, &reply, 400, "unauthorized_client", "grant_refused");
    let reply = own_token(&server, &basic("exchanger", "s"), &[]);
    refused(&server, &reply, 400, "unauthorized_client", "grant_refused");
    let reply = server.form(&[("grant_type", "client_credentials")]);
    refused(&server, &reply, 401, "invalid_client", "client_required");
    for header in [
        basic("my-svc", "x"),
        basic("half", ""),
        basic("nobody", "s"),
    ] {
        let reply = own_token(&server, &header, &[]);
        refused(&server, &reply, 401, "invalid_client", "client_invalid");
    }
    let post = [
        ("grant_type", "client_credentials"),
        ("client_id", "bare"),
        ("client_secret", "s"),
    ];
    assert_eq!(server.read(&server.form(&post)).1["sub"], "bare");
}

#[test]
fn the_grant_is_there_only_where_a_client_lists_it() {
    let types = |server: &Server| {
        server.get("/.well-known/openid-configuration").json()["grant_types_supported"].clone()
    };
    let without = Site::new()
        .connector("ci", "")
        .client("app", "secret = \"s\"")
        .start();
    let reply = own_token(&without, &basic("app", "s"), &[]);
    refused(
        &without,
        &reply,
        400,
        "unsupported_grant_type",
        "grant_unsupported",
    );
    let exchange = "urn:ietf:params:oauth:grant-type:token-exchange";
    assert_eq!(types(&without), json!([exchange]));
    assert_eq!(
        types(&site().start()),
        json!([exchange, "client_credentials"])
    );
}

#[test]
fn the_subject_is_written_as_dex_writes_it() {
    let server = site().tables("[tokens]\nsubject_format = \"dex\"").start();
    let reply = ask(&server, &[("scope", "openid")]);
    let claims = server.read(&reply).1;
    assert_eq!(
        (&claims["sub"], &claims["aud"]),
        (&json!("CgZteS1zdmM"), &json!("my-svc"))
    );
    assert_eq!(id_token(&server, &reply).1["sub"], "CgZteS1zdmM");
}
