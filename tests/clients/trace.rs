//! No secret and no token is logged, at any level (design §5).

use argon2::password_hash::{PasswordHasher, SaltString};
use argon2::{Argon2, Params};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::json;

use crate::support::fragments::Fragments;
use crate::support::http::Reply;
use crate::support::server::{EXCHANGE, JWT, Server, Site};
use crate::{basic, exchange, job, own_token};

/// Right and wrong secrets; each has bytes that a form or a URL encodes.
const SECRETS: [&str; 9] = [
    "plain/sec+ret=1",
    "environ ment%2",
    "file&secret:3",
    "hashed?secret#4",
    "public;secret,5",
    "wrong/guess+6",
    "wrong hash%7",
    "post\"wrong\\8",
    "bearer-secret-9",
];

/// Every way in which a secret may stand in a log.
fn spellings(id: &str, secret: &str) -> Vec<String> {
    let mut all = vec![
        secret.to_owned(),
        format!("{secret:?}").trim_matches('"').to_owned(),
    ];
    all.push(form_urlencoded::byte_serialize(secret.as_bytes()).collect());
    all.push(all[2].replace('+', "%20"));
    all.push(all[2].to_lowercase());
    for text in [
        secret.to_owned(),
        format!("{id}:{secret}"),
        format!("{id}:{}", all[2]),
    ] {
        for engine in [STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD] {
            all.push(engine.encode(&text));
        }
    }
    // As a list of numbers, which is how `Debug` shows bytes.
    let bytes = format!("{:?}", secret.as_bytes());
    all.push(bytes.trim_matches(['[', ']']).to_owned());
    all
}

fn site() -> (Site, String) {
    let params = Params::new(64, 1, 1, None).unwrap();
    let salt = SaltString::encode_b64(b"sixteen bytes ok").unwrap();
    let argon2 = Argon2::new(argon2::Algorithm::Argon2id, argon2::Version::V0x13, params);
    let hash = argon2
        .hash_password(SECRETS[3].as_bytes(), &salt)
        .unwrap()
        .to_string();
    let both = "grants = [\"token-exchange\", \"client_credentials\"]";
    let site = Site::new()
        .env("RUST_LOG", "trace")
        .env("TEST_SECRET", SECRETS[1])
        .connector("ci", "require_client = false")
        .file("secret.txt", SECRETS[2])
        .client("plain", &format!("secret = '{}'\n{both}", SECRETS[0]))
        .client("env", &format!("secret_env = \"TEST_SECRET\"\n{both}"))
        .client("file", &format!("secret_file = \"secret.txt\"\n{both}"))
        .client("hashed", &format!("secret_hash = '{hash}'\n{both}"))
        .client(
            "public",
            &format!("public = true\nsecret = '{}'", SECRETS[4]),
        );
    (site, hash)
}

/// Form-encoded, as RFC 6749 wants it in Basic.
fn encoded(secret: &str) -> String {
    form_urlencoded::byte_serialize(secret.as_bytes()).collect()
}

/// Asks with every secret; gives the tokens that were sent and those that came back.
fn ask_in_every_way(server: &Server) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut held = || {
        let token = job(json!({}));
        tokens.push(token.clone());
        token
    };
    let mut issued = Vec::new();
    let mut given = |reply: &Reply| {
        if reply.header("content-type") == Some("application/jwt") {
            issued.push(reply.text().to_owned());
            return;
        }
        let body = reply.json();
        let members = [&body["access_token"], &body["id_token"]];
        let tokens = members.into_iter().filter_map(|token| token.as_str());
        issued.extend(tokens.map(str::to_owned));
    };
    let right = ["plain", "env", "file", "hashed", "public"]
        .into_iter()
        .zip(SECRETS);
    for (id, secret) in right {
        for wrong in [secret, SECRETS[5], SECRETS[6]] {
            for spelled in [wrong.to_owned(), encoded(wrong)] {
                let header = basic(id, &spelled);
                let expected = if wrong == secret { 200 } else { 401 };
                let reply = exchange(server, &header, &held(), &[]);
                assert_eq!(reply.status, expected, "{id}: {}", reply.text());
                given(&reply);
                given(&own_token(
                    server,
                    &header,
                    &[("scope", "openid"), ("nonce", "n")],
                ));
                let headers = [
                    ("Content-Type", "application/json"),
                    ("Authorization", &header),
                ];
                let body = json!({"token": held()}).to_string();
                let reply = server.send("POST", "/token", &headers, body);
                assert_eq!(reply.status, expected);
                given(&reply);
            }
        }
        for (secret, status) in [(secret, 200), (SECRETS[7], 401)] {
            let pairs = [("client_id", id), ("client_secret", secret)];
            let reply = server.exchange(&held(), &pairs);
            assert_eq!(reply.status, status);
            given(&reply);
        }
    }
    tokens.extend(issued);
    tokens
}

/// Asks with secrets in the wrong places; gives the token that was sent.
fn ask_wrongly(server: &Server) -> String {
    let good = basic("plain", SECRETS[0]);
    let token = job(json!({}));
    let own = [
        ("grant_type", EXCHANGE),
        ("subject_token", token.as_str()),
        ("subject_token_type", JWT),
    ];
    let secret = ("client_secret", SECRETS[7]);
    for (headers, pair) in [
        (vec![("Authorization", good.as_str())], secret),
        (vec![("Authorization", &good)], ("client_id", "env")),
        (vec![("Authorization", &good); 2], ("scope", "openid")),
        (vec![], secret),
        (
            vec![("Authorization", "Bearer bearer-secret-9")],
            ("scope", "openid"),
        ),
        (
            vec![("Authorization", "Basic bearer-secret-9")],
            ("scope", "openid"),
        ),
        (
            vec![("Authorization", &basic("nobody", SECRETS[5]))],
            ("scope", "openid"),
        ),
        // In the wrong place, where a value may be quoted back.
        (vec![], ("connector_id", "ci?client_secret=x")),
    ] {
        let reply = server.form_with(&headers, &[&own, &[pair][..]].concat());
        assert!((400..500).contains(&reply.status), "{}", reply.text());
        let whole = format!("{:?}{}", reply.headers, reply.text());
        for secret in SECRETS {
            assert!(!whole.contains(secret), "{secret} in {whole}");
        }
    }
    let twice = [&own[..], &[secret, secret]].concat();
    assert_eq!(server.form(&twice).status, 400);
    // Query strings are never read, nor logged.
    let query = format!(
        "/token?client_id=plain&client_secret={}",
        encoded(SECRETS[0])
    );
    let kind = [("Content-Type", "application/x-www-form-urlencoded")];
    assert_eq!(
        server
            .send("POST", &query, &kind, "grant_type=client_credentials")
            .status,
        401
    );
    let basic = [("Authorization", good.as_str())];
    assert_eq!(server.send("GET", &query, &basic, "").status, 405);
    assert_eq!(server.send("GET", "/nothing", &basic, "").status, 404);
    token
}

#[test]
fn no_secret_is_logged_even_at_trace() {
    let (site, hash) = site();
    let server = site.start();
    let mut fragments = Fragments::default();
    let tokens = ask_in_every_way(&server);
    assert!(tokens.len() > 100, "{}", tokens.len());
    for token in &tokens {
        fragments.token(token);
    }
    fragments.token(&ask_wrongly(&server));
    // The last request's event is there, so that everything before it is.
    let last = server.exchange(
        &job(json!({})),
        &[("client_id", "plain"), ("client_secret", SECRETS[0])],
    );
    assert_eq!(server.audit(&last)["outcome"], "issued");
    let log = server.log();
    assert!(
        log.contains("\"TRACE\"") || log.contains("\"DEBUG\""),
        "trace is on"
    );
    assert!(!log.contains(&hash), "the hash of a secret");
    for secret in SECRETS {
        for id in ["plain", "env", "file", "hashed", "public", "nobody"] {
            for spelling in spellings(id, secret) {
                let at = log.lines().find(|line| line.contains(&spelling));
                assert!(at.is_none(), "{spelling:?} ({secret:?}) in {at:?}");
            }
        }
    }
    for secret in SECRETS {
        fragments.secret(secret);
    }
    assert_eq!(fragments.found_in(&log), None);
}
